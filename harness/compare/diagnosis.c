/* Stage 5, compare: grades a difference and names its shape. See compare/diagnosis.h. */
#include "compare/diagnosis.h"

#include "compare/element.h"

const char *const sb_grade_names[] = {
    [SB_GRADE_IDENTICAL] = "identical",
    [SB_GRADE_ROUNDING] = "rounding",
    [SB_GRADE_PERMUTATION] = "permutation",
    [SB_GRADE_DIVERGENT] = "divergent",
};

const char *const sb_shape_names[] = {
    [SB_SHAPE_NONE] = "none",
    [SB_SHAPE_ROUNDING] = "rounding",
    [SB_SHAPE_PERMUTATION] = "permutation",
    [SB_SHAPE_SIGN] = "sign",
    [SB_SHAPE_SCALE] = "scale",
    [SB_SHAPE_UNRELATED] = "unrelated",
    [SB_SHAPE_GARBAGE] = "garbage",
    [SB_SHAPE_GROWN] = "grown",
};

static const char *const shape_texts[] = {
    [SB_SHAPE_NONE] = "no difference",
    [SB_SHAPE_ROUNDING] = "rounding: the order of a reduction",
    [SB_SHAPE_PERMUTATION] = "same values in another order: iteration order",
    [SB_SHAPE_SIGN] = "signs of zero or NaN payloads only",
    [SB_SHAPE_SCALE] = "one factor or one offset explains all",
    [SB_SHAPE_UNRELATED] =
        "unrelated values: a seed, entropy, or an order in which things are numbered",
    [SB_SHAPE_GARBAGE] = "NaN, infinite or absurd values: memory read before written",
    [SB_SHAPE_GROWN] = "beyond rounding: other data or order, or a small change that grew",
};

/* ---- Thresholds --------------------------------------------------------------------------------
 */

/* Sums of up to some 10^5 terms in two orders differ by a few ULP, seldom by more than 16 (errors
 * of the orders grow with the root of the number of terms). */
static const double rounding_ulp = 16;
/* Where terms cancel, a sum near 0 is many ULP off, but never by much against the terms, which are
 * of the size of the tensor's other elements. */
static const double rounding_epsilons = 8;
/* For 8-bit floats, 8 epsilons are more than the numbers themselves. */
static const double rounding_share = 0.05;

/* a = b * factor rounds a once, and b may have been rounded once itself: two half ULP on either
 * side, each up to an epsilon. The same for an offset, against the largest element. */
static const double systematic_epsilons = 4;
/* A factor of nearly 1 or an offset of nearly 0 is not told from rounding. */
static const double systematic_least = 8;
/* Two numbers always have a factor, three share one by luck in a coarse type. */
static const uint64_t systematic_elements = 4;

/* Trained weights of one model do not differ by a factor of 10^8 in their largest element, and few
 * get beyond 10^6; random bits read as a float mostly do both. */
static const double absurd_factor = 1e8, absurd_size = 1e6;

/* The correlation of n unrelated pairs is 0 with a standard deviation of 1/sqrt(n): two of those
 * are allowed, and a trace of correlation through a common initial distribution. A run that
 * diverged from a small change keeps one of 0.9 and more for long, which 16 pairs tell from it. */
static const uint64_t unrelated_elements = 16;
static const double unrelated_deviations = 2, unrelated_correlation = 0.1;
/* Fresh random numbers leave next to no element as it was. */
static const double unrelated_share = 0.5;

/* Of f32 the default tolerance allows at most some 20 ULP where values are not near 0. */
static const double telling_ulp = 32;

const char *sb_shape_text(enum sb_shape shape, enum sb_grade grade, double max_ulp) {
    if (shape == SB_SHAPE_ROUNDING && grade == SB_GRADE_ROUNDING && max_ulp > telling_ulp)
        return "within the tolerance, but many ulp: of values near 0, or rounding that grew";
    return shape_texts[shape];
}

/* ---- Shapes, the first that holds --------------------------------------------------------------
 */

static double largest(const struct sb_tally *tally) {
    return tally->max_a > tally->max_b ? tally->max_a : tally->max_b;
}

static bool is_none(const struct sb_tally *tally) {
    return tally->n_different == 0;
}

static bool is_sign(const struct sb_tally *tally) {
    return tally->n_signs == tally->n_different;
}

static bool is_within(const struct sb_tally *tally) {
    return tally->n_outside == 0;
}

static bool is_permutation(const struct sb_tally *tally) {
    return tally->multiset == 0 && tally->n_different > 1;
}

static bool is_few_ulp(const struct sb_tally *tally) {
    const struct sb_resolution *resolution = &sb_resolutions[tally->dtype];
    if (!resolution->is_float || tally->infinite_ulp)
        return false;
    double share = rounding_epsilons * resolution->epsilon;
    share = share < rounding_share ? share : rounding_share;
    return (double)tally->max_ulp <= rounding_ulp || tally->max_abs <= share * largest(tally);
}

static double systematic_error(const struct sb_tally *tally) {
    double epsilon = sb_resolutions[tally->dtype].epsilon;
    return systematic_epsilons * (epsilon > 0 ? epsilon : DBL_EPSILON);
}

static bool is_factor(const struct sb_tally *tally) {
    const struct sb_spread *ratio = &tally->ratio;
    uint64_t n_parts = sb_resolutions[tally->dtype].n_parts;
    if (!ratio->alive || tally->n_steady < systematic_elements ||
        tally->n_steady < tally->n_different * n_parts / 2)
        return false;
    double error = systematic_error(tally), factor = 1 + ratio->most;
    return ratio->most - ratio->least <= error * fabs(factor) &&
           fabs(ratio->most) > systematic_least * error;
}

static bool is_offset(const struct sb_tally *tally) {
    const struct sb_spread *offset = &tally->offset;
    if (!offset->alive || tally->n < systematic_elements)
        return false;
    double error = systematic_error(tally) * largest(tally);
    return offset->most - offset->least <= error && fabs(offset->most) > systematic_least * error;
}

static bool is_systematic(const struct sb_tally *tally) {
    return tally->dtype != SB_DTYPE_BOOL && (is_factor(tally) || is_offset(tally));
}

static bool is_garbage(const struct sb_tally *tally) {
    if (!sb_resolutions[tally->dtype].is_float)
        return false;
    double more = largest(tally), less = tally->max_a < tally->max_b ? tally->max_a : tally->max_b;
    return tally->n_broken > 0 || (more >= absurd_size && more >= absurd_factor * less);
}

static bool is_unrelated(const struct sb_tally *tally) {
    double n = tally->moments.n;
    if (tally->dtype == SB_DTYPE_BOOL || n < (double)unrelated_elements ||
        (double)tally->n_different < unrelated_share * (double)tally->n)
        return false;
    double most = unrelated_correlation + unrelated_deviations / sqrt(n);
    return fabs(sb_tally_correlation(tally)) <= most; /* false for NaN */
}

static bool is_any(const struct sb_tally *tally) {
    (void)tally;
    return true;
}

static const struct {
    bool (*holds)(const struct sb_tally *tally);
    enum sb_shape shape;
} shapes[] = {
    {is_none, SB_SHAPE_NONE},        {is_sign, SB_SHAPE_SIGN},
    {is_within, SB_SHAPE_ROUNDING},  {is_permutation, SB_SHAPE_PERMUTATION},
    {is_few_ulp, SB_SHAPE_ROUNDING}, {is_systematic, SB_SHAPE_SCALE},
    {is_garbage, SB_SHAPE_GARBAGE},  {is_unrelated, SB_SHAPE_UNRELATED},
    {is_any, SB_SHAPE_GROWN},
};

static enum sb_shape shape_of(const struct sb_tally *tally) {
    unsigned i = 0;
    while (!shapes[i].holds(tally))
        i++;
    return shapes[i].shape;
}

static enum sb_grade grade_of(const struct sb_tally *tally) {
    return is_none(tally)          ? SB_GRADE_IDENTICAL
           : is_within(tally)      ? SB_GRADE_ROUNDING
           : is_permutation(tally) ? SB_GRADE_PERMUTATION
                                   : SB_GRADE_DIVERGENT;
}

static double middle(const struct sb_spread *spread) {
    return spread->least / 2 + spread->most / 2;
}

static void index_of(const struct sb_tensor_info *info, uint64_t place, uint64_t *index) {
    for (unsigned i = info->rank; i-- > 0;) {
        index[i] = place % info->dims[i];
        place /= info->dims[i];
    }
}

int sb_only_axis(const struct sb_tensor_info *info) {
    int found = -1;
    for (unsigned i = 0; i < info->rank; i++) {
        if (info->dims[i] <= 1)
            continue;
        if (found >= 0)
            return -1;
        found = (int)i;
    }
    return found;
}

void sb_diagnose(const struct sb_tally *tally, const struct sb_tensor_info *info,
                 struct sb_tensor_difference *difference) {
    *difference = (struct sb_tensor_difference){
        .info = *info,
        .state = tally->n_different ? SB_TENSOR_DIFFERS : SB_TENSOR_SAME,
        .grade = grade_of(tally),
        .shape = shape_of(tally),
        .n_different = tally->n_different,
        .share = tally->n ? (double)tally->n_different / (double)tally->n : 0,
        .max_abs = tally->max_abs,
        .max_rel = tally->max_rel,
        .max_ulp = tally->infinite_ulp ? INFINITY : (double)tally->max_ulp,
        .within = is_within(tally),
        .permuted_axis = -1,
    };
    memcpy(difference->ulp_histogram, tally->histogram, sizeof difference->ulp_histogram);
    if (tally->n_different) {
        index_of(info, tally->first, difference->first);
        index_of(info, tally->worst, difference->worst);
    }
    if (difference->shape == SB_SHAPE_SCALE && is_factor(tally))
        difference->factor = 1 + middle(&tally->ratio);
    else if (difference->shape == SB_SHAPE_SCALE)
        difference->offset = middle(&tally->offset);
    if (difference->grade == SB_GRADE_PERMUTATION)
        difference->permuted_axis = sb_only_axis(info);
}
