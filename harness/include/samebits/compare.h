/* Stage 5: two sets of weights, tensor by tensor, in ULP and against a tolerance, and the shape of
 * their difference. */
#ifndef SAMEBITS_COMPARE_H
#define SAMEBITS_COMPARE_H

#include <samebits/error.h>
#include <samebits/suite.h>
#include <samebits/weights.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In order of severity. permutation: the same multiset of element bits stands in another order, and
 * the difference is not inside the tolerance. */
enum sb_grade { SB_GRADE_IDENTICAL, SB_GRADE_ROUNDING, SB_GRADE_PERMUTATION, SB_GRADE_DIVERGENT };

extern const char *const sb_grade_names[]; /* identical rounding permutation divergent */

/* Hint to the cause (DESIGN section 4.5). */
enum sb_shape {
    SB_SHAPE_NONE,
    SB_SHAPE_ROUNDING,    /* few ULP and scattered: order of a reduction */
    SB_SHAPE_PERMUTATION, /* same values in another order: iteration order */
    SB_SHAPE_SIGN,        /* sign of zero or NaN payload only */
    SB_SHAPE_SCALE,       /* one factor or one offset explains all elements */
    SB_SHAPE_UNRELATED,   /* no correlation: a seed, entropy, an order that numbers things */
    SB_SHAPE_GARBAGE, /* NaN, infinite or absurd values on one side: memory read before written */
    SB_SHAPE_GROWN,   /* related but far beyond rounding: chaos after a small change */
};

extern const char *const sb_shape_names[]; /* "none" "rounding" "permutation" … */
/* One line for people. Of a difference inside the tolerance ULP say whether it looks like rounding.
 */
const char *sb_shape_text(enum sb_shape shape, enum sb_grade grade, double max_ulp);

enum { SB_ULP_BUCKETS = 65 }; /* 0: equal bits; b ≥ 1: 2^(b-1) ≤ ULP distance < 2^b */

struct sb_tensor_difference {
    struct sb_tensor_info info; /* of side a, or of b where a has none */
    enum {
        SB_TENSOR_SAME,
        SB_TENSOR_DIFFERS,
        SB_TENSOR_ONLY_A,
        SB_TENSOR_ONLY_B,
        SB_TENSOR_CHANGED_TYPE
    } state;
    char *changed; /* CHANGED_TYPE: "f32 3x4 | f64 3x4"; else NULL */
    enum sb_grade grade;
    enum sb_shape shape;
    uint64_t n_different; /* elements with other bits */
    double share;         /* n_different / n_elements */
    double max_abs; /* largest |a − b| over elements finite on both sides; INFINITY where one side
                       is not finite and the other differs. Of complex elements |a − b| is the
                       modulus */
    double max_rel; /* largest |a − b| / |b|, INFINITY where b alone is 0 or as above */
    double max_ulp; /* largest sb_ulp_distance */
    uint64_t first[SB_MAX_RANK]; /* index of the first differing element */
    uint64_t worst[SB_MAX_RANK]; /* index of the first element of max_abs */
    bool within; /* every element inside the tolerance. Equal bits always are; a NaN with other bits
                    on the other side, NaN or not, and an infinity never are */
    uint64_t ulp_histogram[SB_ULP_BUCKETS];
    int permuted_axis; /* PERMUTATION along one axis: which; else -1 */
    /* SCALE: a = b * factor, or a = b + offset, whichever explains all; the other is 0, as both are
     * elsewhere. */
    double factor, offset;
};

/* The same in few bytes, as a comparison holds it: what it is sorted by, and the rest. */
struct sb_packed_difference {
    char *bytes; /* the name first, with a NUL */
    double max_ulp, max_abs, share;
    unsigned char grade, state;
    signed char permuted_axis;
};

struct sb_comparison {
    struct sb_packed_difference
        *tensors; /* worst first: grade, then max_ulp; equal ones last, by name */
    size_t n_tensors, capacity;
    size_t n_different;      /* tensors not SAME */
    enum sb_grade grade;     /* the worst of all; a missing or changed tensor is divergent */
    enum sb_shape shape;     /* of the worst tensor */
    struct sb_globs_met met; /* on either side */
};

/* Tensor i, spread out. Its name and `changed` stay the comparison's. */
void sb_comparison_tensor(const struct sb_comparison *comparison, size_t i,
                          struct sb_tensor_difference *difference);

/* Adds a copy at the end, unsorted. 0 or -ENOMEM. */
int sb_comparison_add(struct sb_comparison *comparison,
                      const struct sb_tensor_difference *difference);

void sb_comparison_clear(struct sb_comparison *comparison);

/* Default rtol and atol of a dtype (torch.testing.assert_close's table); 0 for integers and bool.
 */
void sb_tolerance_default(enum sb_dtype dtype, double *rtol, double *atol);

/* Compares what is in the files; they are read as in sb_weights_fingerprint, in a sandboxed child.
 * Errors alike; -ENODATA where one side has no tensor. Files pair by their prefixes, tensors by
 * name. In a missing or changed tensor every element counts as different, infinitely far. b is what
 * a is measured against: tolerance and max_rel are relative to it. */
int sb_compare_files(const struct sb_weights_files *a, const struct sb_weights_files *b,
                     const struct sb_weights_options *options, const struct sb_tolerance *tolerance,
                     struct sb_comparison *comparison, struct sb_error *err);

/* One pair of tensors in memory with the same dtype and shape: the element loop, for tests and
 * kernels. difference->info is a copy of info whose name stays the caller's. */
void sb_compare_elements(const struct sb_tensor_info *info, const void *a, const void *b,
                         const struct sb_tolerance *tolerance,
                         struct sb_tensor_difference *difference);

/* Distance of two elements in units in the last place (0 for equal bits; +0 and −0 are 1 apart… as
 * the ordered-integer distance has it); INFINITY where exactly one is NaN or either is infinite and
 * they differ. Of complex elements the larger distance of the two parts, of integers |a − b|. */
double sb_ulp_distance(enum sb_dtype dtype, const void *a, const void *b);

#endif
