/* kernels: what backend `onednn` in the program and its module have in common. */
#ifndef SB_KERNELS_ONEDNN_H
#define SB_KERNELS_ONEDNN_H

#include "kernels/dispatch.h"

/* oneDNN computes in f32, and many primitives in bf16 where the CPU has the instructions. The rest
 * is widened. */
enum {
    SB_ONEDNN_F32 = SB_BIT(SB_DTYPE_F32),
    SB_ONEDNN_BF16 = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_BF16),
    SB_ONEDNN_ALL = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_BF16) | SB_BIT(SB_DTYPE_F16),
};

#endif
