#include "columns.h"

#include <stdlib.h>
#include <string.h>

static float sum_in_pairs(const float *first, size_t n, size_t stride) {
    if (n < 2)
        return n ? *first : 0;
    size_t half = n / 2;
    return sum_in_pairs(first, half, stride) +
           sum_in_pairs(first + half * stride, n - half, stride);
}

int columns_sum_tree(const float *matrix, size_t n_rows, size_t n_columns, float *sums) {
#pragma omp parallel for
    for (size_t column = 0; column < n_columns; column++)
        sums[column] = sum_in_pairs(matrix + column, n_rows, n_columns);
    return 0;
}

static void add_row(float *sums, const float *row, size_t n) {
    for (size_t i = 0; i < n; i++)
        sums[i] += row[i];
}

int columns_sum_arrival(const float *matrix, size_t n_rows, size_t n_columns, float *sums) {
    int failed = 0;
    memset(sums, 0, n_columns * sizeof *sums);
#pragma omp parallel
    {
        float *part = calloc(n_columns, sizeof *part);
#pragma omp for
        for (size_t row = 0; row < n_rows; row++)
            if (part)
                add_row(part, matrix + row * n_columns, n_columns);
#pragma omp critical
        if (part)
            add_row(sums, part, n_columns);
        else
            failed = -1;
        free(part);
    }
    return failed;
}
