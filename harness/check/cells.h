/* check: combinations of threads and environments that the function is run in. */
#ifndef SB_CHECK_CELLS_H
#define SB_CHECK_CELLS_H

#include <samebits/check.h>

#include "base/text.h"

struct sb_check_cell {
    unsigned threads; /* 0: as they are */
    struct sb_strings environment;
    char *name; /* "threads=2, OPENBLAS_CORETYPE=Haswell"; "" where there is one cell alone */
};

struct sb_check_cells {
    struct sb_check_cell *items; /* the first is the one that the others are measured against */
    size_t n;
};

int sb_check_cells_make(const struct sb_check_options *options, struct sb_check_cells *cells,
                        struct sb_error *err);
void sb_check_cells_clear(struct sb_check_cells *cells);

#endif
