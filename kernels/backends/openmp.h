/* kernels: what backend `openmp` in the program and its module have in common. */
#ifndef SB_KERNELS_OPENMP_H
#define SB_KERNELS_OPENMP_H

#include "kernels/dispatch.h"

enum {
    SB_OPENMP_DTYPES = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64),
    SB_OPENMP_WIDENED = SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
};

/* In which order parts of a sum are combined. Without a choice: as they arrive, or by a fixed tree
 * where deterministic is on. */
static const char *const sb_openmp_orders[] = {"arrival", "tree", NULL};
static const char *const sb_openmp_collectives[] = {"arrival", "tree", "ring", NULL};

#endif
