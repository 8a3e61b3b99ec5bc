/* Tests of compare: the definitions as they stand in the header, one element at a time. */
#ifndef SB_COMPARE_TESTS_SLOW_H
#define SB_COMPARE_TESTS_SLOW_H

#include <samebits/compare.h>

#include "weights/element.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t next_random(uint64_t *state) {
    uint64_t bits = *state += UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

/* Uniform in [-1, 1). */
static inline double next_uniform(uint64_t *state) {
    return (double)(int64_t)next_random(state) * 0x1p-63;
}

static inline const void *slow_part(enum sb_dtype dtype, const void *element, unsigned part) {
    return (const char *)element + part * sb_dtype_part_size(dtype);
}

static inline unsigned slow_parts(enum sb_dtype dtype) {
    return sb_dtype_is_complex(dtype) ? 2 : 1;
}

static inline double slow_value(enum sb_dtype dtype, const void *element, unsigned part) {
    return sb_element_double(dtype, slow_part(dtype, element, part));
}

static inline bool slow_finite(enum sb_dtype dtype, const void *element) {
    bool finite = true;
    for (unsigned part = 0; part < slow_parts(dtype); part++)
        finite &= isfinite(slow_value(dtype, element, part)) != 0;
    return finite;
}

static inline double slow_size(enum sb_dtype dtype, const void *element) {
    if (sb_dtype_is_complex(dtype))
        return hypot(slow_value(dtype, element, 0), slow_value(dtype, element, 1));
    return fabs(slow_value(dtype, element, 0));
}

static inline double slow_gap(enum sb_dtype dtype, const void *a, const void *b) {
    if (!sb_dtype_is_float(dtype))
        return sb_ulp_distance(dtype, a, b);
    if (!slow_finite(dtype, a) || !slow_finite(dtype, b))
        return INFINITY;
    double gaps[2] = {0};
    for (unsigned part = 0; part < slow_parts(dtype); part++)
        gaps[part] = slow_value(dtype, a, part) - slow_value(dtype, b, part);
    return sb_dtype_is_complex(dtype) ? hypot(gaps[0], gaps[1]) : fabs(gaps[0]);
}

struct slow {
    uint64_t n_different, first, worst, histogram[SB_ULP_BUCKETS];
    double max_abs, max_rel, max_ulp;
    bool within;
};

static inline unsigned slow_bucket(double ulp) {
    unsigned bucket = 0;
    while (bucket < 64 && ulp >= ldexp(1, (int)bucket))
        bucket++;
    return bucket;
}

static inline struct slow slow_compare(enum sb_dtype dtype, const void *a, const void *b,
                                       uint64_t n, struct sb_tolerance tolerance) {
    struct slow slow = {.first = UINT64_MAX, .worst = UINT64_MAX, .within = true};
    double rtol, atol;
    size_t size = sb_dtype_size(dtype);
    sb_tolerance_default(dtype, &rtol, &atol);
    rtol = tolerance.rtol < 0 ? rtol : tolerance.rtol;
    atol = tolerance.atol < 0 ? atol : tolerance.atol;
    for (uint64_t i = 0; i < n; i++) {
        const char *p = (const char *)a + i * size, *q = (const char *)b + i * size;
        double ulp = sb_ulp_distance(dtype, p, q);
        slow.histogram[slow_bucket(ulp)]++;
        if (memcmp(p, q, size) == 0)
            continue;
        double gap = slow_gap(dtype, p, q), length = slow_size(dtype, q);
        double relative = isinf(gap) ? INFINITY : gap > 0 ? gap / length : 0;
        bool finite = slow_finite(dtype, p) && slow_finite(dtype, q);
        if (tolerance.ulp >= 0 ? !finite || ulp > tolerance.ulp
                               : !finite || gap > atol + rtol * length)
            slow.within = false;
        slow.first = slow.n_different++ ? slow.first : i;
        if (slow.worst == UINT64_MAX || gap > slow.max_abs) {
            slow.worst = i;
            slow.max_abs = gap;
        }
        slow.max_rel = relative > slow.max_rel ? relative : slow.max_rel;
        slow.max_ulp = ulp > slow.max_ulp ? ulp : slow.max_ulp;
    }
    return slow;
}

#endif
