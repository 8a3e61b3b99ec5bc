/* Dot products of n numbers, by as many threads as OpenMP has. */
#ifndef DOT_H
#define DOT_H

#include <stddef.h>

/* Parts of one length, whatever the number of threads, and their sums in pairs: one result. */
float dot_tree(const float *a, const float *b, size_t n);

/* One part a thread, added as they come: as many results as there are orders. */
float dot_arrival(const float *a, const float *b, size_t n);

#endif
