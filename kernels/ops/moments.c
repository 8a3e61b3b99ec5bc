/* kernels: see moments.h. */
#include "kernels/ops/moments.h"
#include "kernels/numeric.h"

#include <math.h>

size_t sb_group_place(const struct sb_group *group, size_t i) {
    return group->first + i / group->length * group->stride + i % group->length;
}

size_t sb_group_count(const struct sb_group *group) {
    return group->blocks * group->length;
}

struct sb_group sb_group_row(const struct sb_call *call, size_t i) {
    size_t n = call->size[1];
    return (struct sb_group){i * n, 1, n, n};
}

struct sb_group sb_group_channel(const struct sb_call *call, size_t c) {
    size_t area = call->size[2] * call->size[3];
    return (struct sb_group){c * area, call->size[0], area, call->size[1] * area};
}

struct sb_moments sb_moments_of(const struct sb_call *call, size_t o, struct sb_group group) {
    struct sb_moments moments = {0};
    size_t n = sb_group_count(&group);
    for (size_t i = 0; i < n; i++) {
        long double x = sb_call_value(call, o, sb_group_place(&group, i));
        moments.mean += x / n;
        moments.mean_scale += fabsl(x) / n;
    }
    for (size_t i = 0; i < n; i++) {
        long double x = sb_call_value(call, o, sb_group_place(&group, i));
        long double far = fabsl(x) + fabsl(moments.mean);
        moments.variance += (x - moments.mean) * (x - moments.mean) / n;
        moments.variance_scale += far * far / n;
    }
    return moments;
}

/* d(1/√v) = -½·v^(-3/2)·dv. */
long double sb_inverse_deviation(const struct sb_moments *moments, double epsilon,
                                 long double *scale) {
    long double inverse = 1 / sqrtl(moments->variance + epsilon);
    *scale = inverse * (1 + moments->variance_scale * inverse * inverse / 2);
    return inverse;
}

void sb_prepare_moments(struct sb_call *call, size_t x, struct sb_group group, double epsilon,
                        size_t mean, size_t inverse, size_t i) {
    size_t n = sb_group_count(&group);
    double sum = 0, squares = 0;
    for (size_t j = 0; j < n; j++)
        sum += sb_call_value(call, x, sb_group_place(&group, j));
    double centre = sum / (double)n;
    for (size_t j = 0; j < n; j++) {
        double d = sb_call_value(call, x, sb_group_place(&group, j)) - centre;
        squares += d * d;
    }
    sb_call_store(call, mean, i, centre);
    sb_call_store(call, inverse, i, 1 / sb_sqrt(squares / (double)n + epsilon));
}
