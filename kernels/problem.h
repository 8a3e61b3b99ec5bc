/* kernels: one operation on made-up inputs, and how far its result is from the float64 oracle. */
#ifndef SB_KERNELS_PROBLEM_H
#define SB_KERNELS_PROBLEM_H

#include "kernels/dispatch.h"

/* Owns its operands. Zero-initialise; free with sb_problem_clear. */
struct sb_problem {
    struct sb_call call;
    double *expected[SB_MAX_OPERANDS], *scale[SB_MAX_OPERANDS];
};

/* Checks a shape (NULL: the operation's own) and a dtype; -EINVAL with what is allowed. */
int sb_problem_check(const struct sb_operation *operation, enum sb_dtype dtype, const size_t *shape,
                     size_t n_shape, struct sb_error *err);

/* Inputs are a function of operation, dtype, shape and seed alone, and start on 64-byte boundaries.
 * `attributes`: in the order of the operation's; NULL: its defaults. */
int sb_problem_make(const struct sb_operation *operation, enum sb_dtype dtype, const size_t *shape,
                    size_t n_shape, const double *attributes, uint64_t seed,
                    struct sb_problem *problem, struct sb_error *err);

/* The oracle's answer; to be called before the operation runs, which may change operands. */
int sb_problem_expect(struct sb_problem *problem, struct sb_error *err);

/* The largest |result − expected| / scale over all outputs (see struct sb_operation); INFINITY
 * where one is not finite and the other is. */
double sb_problem_error(const struct sb_problem *problem);

/* What that may be in any order of summation: (terms + 8) units in the last place. */
double sb_problem_tolerance(const struct sb_problem *problem);

/* The outputs, named "<operation>/output", or "<operation>/<operand>" where there are several.
 * `tensors` borrows from the problem and from `room`; returns their number. */
struct sb_problem_room {
    char name[SB_MAX_OPERANDS][96];
    uint64_t dims[SB_MAX_OPERANDS][SB_MAX_SIZES];
};
size_t sb_problem_outputs(const struct sb_problem *problem, struct sb_problem_room *room,
                          struct sb_tensor tensors[SB_MAX_OPERANDS]);

void sb_problem_clear(struct sb_problem *problem);

#endif
