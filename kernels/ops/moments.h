/* kernels: mean and variance of some elements of an operand, for oracles and prepared inputs. */
#ifndef SB_KERNELS_MOMENTS_H
#define SB_KERNELS_MOMENTS_H

#include "kernels/dispatch.h"

/* `blocks` runs of `length` elements, the first at `first`, their starts `stride` apart. */
struct sb_group {
    size_t first, blocks, length, stride;
};
/* Place of the i-th element of a group in its operand. */
size_t sb_group_place(const struct sb_group *group, size_t i);
size_t sb_group_count(const struct sb_group *group);

/* Row i of [b,n]; channel c of [b,c,h,w]. */
struct sb_group sb_group_row(const struct sb_call *call, size_t i);
struct sb_group sb_group_channel(const struct sb_call *call, size_t c);

struct sb_moments {
    long double mean, variance; /* divided by the number of elements, not by one less */
    long double mean_scale;     /* mean of |x| */
    long double variance_scale; /* mean of (|x| + |mean|)²: what E[x²] - E[x]² would cancel from */
};
struct sb_moments sb_moments_of(const struct sb_call *call, size_t o, struct sb_group group);

/* 1/√(variance + epsilon), and the magnitude that its error is relative to. */
long double sb_inverse_deviation(const struct sb_moments *moments, double epsilon,
                                 long double *scale);

/* Writes mean and inverse deviation of a group of operand x into element i of operands `mean` and
 * `inverse`; in double and fixed order, so that inputs have the same bits everywhere. */
void sb_prepare_moments(struct sb_call *call, size_t x, struct sb_group group, double epsilon,
                        size_t mean, size_t inverse, size_t i);

#endif
