/* kernels: one operation on made-up inputs, and how far its result is from the float64 oracle. */
#ifndef SB_KERNELS_PROBLEM_H
#define SB_KERNELS_PROBLEM_H

#include "kernels/dispatch.h"

/* Owns its operands. Zero-initialise; free with sb_problem_clear. */
struct sb_problem {
    struct sb_call call;          /* without a report: call.report is for the caller to set */
    void *block[SB_MAX_OPERANDS]; /* where the operands' memory starts */
    double *expected[SB_MAX_OPERANDS], *scale[SB_MAX_OPERANDS];
};

struct sb_problem_options {
    enum sb_dtype dtype; /* f16, bf16, f32 or f64 */
    const size_t *shape; /* n_shape numbers; NULL: the operation's own */
    size_t n_shape;
    const double *attributes; /* in the order of the operation's; NULL: its defaults */
    uint64_t seed;
    size_t offset; /* elements by which operands are moved off a 64-byte boundary */
};

/* Checks shape, dtype and attributes; -EINVAL with what is allowed. */
int sb_problem_check(const struct sb_operation *operation, const struct sb_problem_options *options,
                     struct sb_error *err);

/* Inputs are a function of operation, dtype, shape, attributes and seed alone. */
int sb_problem_make(const struct sb_operation *operation, const struct sb_problem_options *options,
                    struct sb_problem *problem, struct sb_error *err);

/* The same problem for n rows from `first` alone, along the operation's row letter (which it must
 * have): operands that have the letter are cut, others copied. */
int sb_problem_rows(const struct sb_problem *whole, size_t first, size_t n, struct sb_problem *part,
                    struct sb_error *err);
/* Puts the rows of a part's outputs where they belong in the whole. */
void sb_problem_rows_back(const struct sb_problem *part, size_t first, struct sb_problem *whole);
/* Has operand o the row letter among its dims? */
bool sb_problem_has_rows(const struct sb_problem *problem, size_t o);

/* The oracle's answer; to be called before the operation runs, which may change operands. */
int sb_problem_expect(struct sb_problem *problem, struct sb_error *err);

/* The largest |result − expected| / scale over all outputs (see struct sb_operation); INFINITY
 * where one is not finite and the other is. */
double sb_problem_error(const struct sb_problem *problem);

/* What that may be in any order of summation: (terms + 8) units in the last place, of f32 for f16
 * and bf16, whose sums are taken to be formed in f32 or better, and two roundings to their own
 * type; coarser where the call's report says that the arithmetic was (its unit). */
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
