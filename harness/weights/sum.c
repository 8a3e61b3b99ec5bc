/* Stage 4, weights: sums of elements in eight interleaved lanes. See weights/digest.h.
 * Nothing here multiplies, so no compiler can contract an addition into an FMA. */
#include "weights/digest.h"
#include "weights/element.h"

typedef float float4 __attribute__((vector_size(16), aligned(1), may_alias));
typedef double double4 __attribute__((vector_size(32), aligned(1), may_alias));

/* f32 and f64 are nearly all weights there are: eight lanes side by side, in two vectors. The order
 * of additions is that of the lanes, whatever the width of the machine's vectors, so that a version
 * for wider ones gives the same sums. */
#define ADD_EIGHTS(name, attributes, type, convert)                                                \
    attributes static void name(double lanes[8], const char *elements, uint64_t n_eights) {        \
        const type *fours = (const type *)elements;                                                \
        double4 *halves = (double4 *)lanes, low = halves[0], high = halves[1];                     \
        for (uint64_t i = 0; i < n_eights; i++) {                                                  \
            low += convert(fours[2 * i]);                                                          \
            high += convert(fours[2 * i + 1]);                                                     \
        }                                                                                          \
        halves[0] = low;                                                                           \
        halves[1] = high;                                                                          \
    }

#define WIDEN(values) __builtin_convertvector(values, double4)
#define KEEP(values) (values)

ADD_EIGHTS(add_eights_f32, , float4, WIDEN)
ADD_EIGHTS(add_eights_f64, , double4, KEEP)
#if defined(__x86_64__)
ADD_EIGHTS(add_eights_f32_avx2, __attribute__((target("avx2"))), float4, WIDEN)
ADD_EIGHTS(add_eights_f64_avx2, __attribute__((target("avx2"))), double4, KEEP)
#endif

static uint64_t add_eights(struct sb_sum *sum, const char *elements, uint64_t n_eights) {
    bool narrow = sum->dtype == SB_DTYPE_F32;
    if (!narrow && sum->dtype != SB_DTYPE_F64)
        return 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        (narrow ? add_eights_f32_avx2 : add_eights_f64_avx2)(sum->lanes, elements, n_eights);
        return n_eights;
    }
#endif
    (narrow ? add_eights_f32 : add_eights_f64)(sum->lanes, elements, n_eights);
    return n_eights;
}

static void add_one_by_one(struct sb_sum *sum, const char *elements, uint64_t n) {
    size_t size = sb_dtype_size(sum->dtype);
    for (uint64_t i = 0; i < n; i++) {
        sum->lanes[sum->next] += sb_element_double(sum->dtype, elements + i * size);
        sum->next = (sum->next + 1) & 7;
    }
}

void sb_sum_begin(struct sb_sum *sum, enum sb_dtype dtype) {
    *sum = (struct sb_sum){.dtype = dtype, .all_zero = true, .all_nan = true};
}

void sb_sum_add(struct sb_sum *sum, const void *elements, uint64_t n) {
    const char *next = elements;
    size_t size = sb_dtype_size(sum->dtype);
    /* Each loop ends at the first element that decides it, the first of all in most tensors. */
    for (uint64_t i = 0; i < n && sum->all_zero; i++)
        sum->all_zero = sb_element_is_zero(sum->dtype, next + i * size);
    for (uint64_t i = 0; i < n && sum->all_nan; i++)
        sum->all_nan = sb_element_is_nan(sum->dtype, next + i * size);

    uint64_t to_lane_0 = (8 - sum->next) & 7;
    if (to_lane_0 > n)
        to_lane_0 = n;
    add_one_by_one(sum, next, to_lane_0);
    next += to_lane_0 * size;
    n -= to_lane_0;
    uint64_t n_eights = add_eights(sum, next, n / 8);
    add_one_by_one(sum, next + n_eights * 8 * size, n - n_eights * 8);
}

double sb_sum_total(const struct sb_sum *sum) {
    const double *l = sum->lanes;
    return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
}
