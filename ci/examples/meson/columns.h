/* Sums of the columns of a matrix of n_rows x n_columns, as a bias has its gradient, by as many
 * threads as OpenMP has. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stddef.h>

/* Rows in pairs, whatever the number of threads. 0, or -1 without memory. */
int columns_sum_tree(const float *matrix, size_t n_rows, size_t n_columns, float *sums);

/* One part a thread, added as they come. */
int columns_sum_arrival(const float *matrix, size_t n_rows, size_t n_columns, float *sums);

#endif
