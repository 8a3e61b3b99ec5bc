/* Stage 2, matrix: designs: which combinations of levels become cells. */
#include "matrix/covering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int full(const unsigned *n_levels, size_t n_axes, unsigned **levels, size_t *n_cells,
                struct sb_error *err) {
    size_t n = 1;
    for (size_t a = 0; a < n_axes; a++) {
        if (n > SB_MAX_CELLS / n_levels[a])
            return sb_error_set(err, -E2BIG,
                                "the full design of these axes has more than %d cells: vary fewer "
                                "axes or levels, or use design pairwise or one-at-a-time",
                                SB_MAX_CELLS);
        n *= n_levels[a];
    }
    unsigned *rows = calloc(n * n_axes + 1, sizeof *rows);
    if (!rows)
        return sb_error_errno(err, -ENOMEM, "%zu cells", n);
    for (size_t row = 1; row < n; row++) {
        unsigned *cell = rows + row * n_axes;
        memcpy(cell, cell - n_axes, n_axes * sizeof *cell);
        for (size_t a = n_axes; a-- > 0;) {
            if (++cell[a] < n_levels[a])
                break;
            cell[a] = 0;
        }
    }
    *levels = rows;
    *n_cells = n;
    return 0;
}

static int one_at_a_time(const unsigned *n_levels, size_t n_axes, unsigned **levels,
                         size_t *n_cells, struct sb_error *err) {
    size_t n = 1;
    for (size_t a = 0; a < n_axes; a++)
        n += n_levels[a] - 1;
    unsigned *rows = calloc(n * n_axes + 1, sizeof *rows);
    if (!rows)
        return sb_error_errno(err, -ENOMEM, "%zu cells", n);
    size_t row = 1;
    for (size_t a = 0; a < n_axes; a++) {
        for (unsigned l = 1; l < n_levels[a]; l++)
            rows[row++ * n_axes + a] = l;
    }
    *levels = rows;
    *n_cells = n;
    return 0;
}

int sb_design_cells(enum sb_design design, const unsigned *n_levels, size_t n_axes,
                    unsigned **levels, size_t *n_cells, struct sb_error *err) {
    if (n_axes > SB_MAX_AXES)
        return sb_error_set(err, -E2BIG, "%zu axes are too many (at most %d)", n_axes, SB_MAX_AXES);
    for (size_t a = 0; a < n_axes; a++) {
        if (n_levels[a] < 1 || n_levels[a] > SB_MAX_LEVELS)
            return sb_error_set(err, -EINVAL, "an axis has from 1 to %d levels, not %u",
                                SB_MAX_LEVELS, n_levels[a]);
    }
    switch (design) {
    case SB_DESIGN_FULL:
        return full(n_levels, n_axes, levels, n_cells, err);
    case SB_DESIGN_ONE_AT_A_TIME:
        return one_at_a_time(n_levels, n_axes, levels, n_cells, err);
    case SB_DESIGN_PAIRWISE:
        return sb_covering_array(n_levels, n_axes, levels, n_cells, err);
    }
    return sb_error_set(err, -EINVAL, "unknown design %d", (int)design);
}
