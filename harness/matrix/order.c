/* Stage 2, matrix: the order in which one round's runs are started. */
#include "matrix/random.h"

#include <samebits/matrix.h>

void sb_order_runs(const unsigned *counts, size_t n_cells, bool reference_first, uint64_t seed,
                   size_t *order) {
    size_t n = 0, first = 0;
    for (size_t cell = 0; cell < n_cells; cell++) {
        for (unsigned i = 0; i < counts[cell]; i++)
            order[n++] = cell;
        if (cell == 0 && reference_first)
            first = n;
    }
    uint64_t state = seed;
    for (size_t i = n; i > first + 1; i--) {
        size_t j = first + (size_t)sb_random_below(&state, i - first);
        size_t moved = order[i - 1];
        order[i - 1] = order[j];
        order[j] = moved;
    }
}
