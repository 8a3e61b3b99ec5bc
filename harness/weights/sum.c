/* Stage 4, weights: sums of elements in eight interleaved lanes. See weights/digest.h.
 * Nothing here multiplies, so no compiler can contract an addition into an FMA. */
#include "weights/digest.h"
#include "weights/element.h"

#include <string.h>

typedef float float8 __attribute__((vector_size(32), aligned(4)));
typedef double double8 __attribute__((vector_size(64), aligned(8)));

/* f32 and f64 are nearly all weights there are: eight lanes side by side. The order of additions is
 * that of the lanes, whatever the width of the machine's vectors. */
static void add_eights_f32(double lanes[8], const char *elements, uint64_t n_eights) {
    double8 total;
    memcpy(&total, lanes, sizeof total);
    for (uint64_t i = 0; i < n_eights; i++) {
        float8 part;
        memcpy(&part, elements + i * sizeof part, sizeof part);
        total += __builtin_convertvector(part, double8);
    }
    memcpy(lanes, &total, sizeof total);
}

static void add_eights_f64(double lanes[8], const char *elements, uint64_t n_eights) {
    double8 total;
    memcpy(&total, lanes, sizeof total);
    for (uint64_t i = 0; i < n_eights; i++) {
        double8 part;
        memcpy(&part, elements + i * sizeof part, sizeof part);
        total += part;
    }
    memcpy(lanes, &total, sizeof total);
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
    uint64_t n_eights = n / 8;
    if (sum->dtype == SB_DTYPE_F32)
        add_eights_f32(sum->lanes, next, n_eights);
    else if (sum->dtype == SB_DTYPE_F64)
        add_eights_f64(sum->lanes, next, n_eights);
    else
        n_eights = 0;
    add_one_by_one(sum, next + n_eights * 8 * size, n - n_eights * 8);
}

double sb_sum_total(const struct sb_sum *sum) {
    const double *l = sum->lanes;
    return ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]));
}
