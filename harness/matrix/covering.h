/* Stage 2, matrix: covering arrays of strength two. */
#ifndef SB_MATRIX_COVERING_H
#define SB_MATRIX_COVERING_H

#include <samebits/matrix.h>

/* As sb_design_cells; n_levels within the limits. The same array for the same levels everywhere. */
int sb_covering_array(const unsigned *n_levels, size_t n_axes, unsigned **levels, size_t *n_cells,
                      struct sb_error *err);

#endif
