/* kernels: gradient of batch normalisation as in training, from its input and what it saved. */
#include "kernels/ops/moments.h"

#include <math.h>

static void prepare(struct sb_call *call) {
    for (size_t c = 0; c < call->size[1]; c++)
        sb_prepare_moments(call, 0, sb_group_channel(call, c), call->attribute[0], 2, 3, c);
}

static void oracle_channel(const struct sb_call *call, size_t c, double *const *expected,
                           double *const *scale) {
    struct sb_group channel = sb_group_channel(call, c);
    size_t n = sb_group_count(&channel);
    long double gamma = sb_call_value(call, 1, c), mean = sb_call_value(call, 2, c),
                inverse = sb_call_value(call, 3, c);
    long double sum = 0, sum_scale = 0, product = 0, product_scale = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = sb_group_place(&channel, i);
        long double x = sb_call_value(call, 0, at), dy = sb_call_value(call, 4, at);
        sum += dy;
        sum_scale += fabsl(dy);
        product += dy * (x - mean) * inverse;
        product_scale += fabsl(dy) * (fabsl(x) + fabsl(mean)) * inverse;
    }
    expected[6][c] = (double)product;
    scale[6][c] = (double)product_scale;
    expected[7][c] = (double)sum;
    scale[7][c] = (double)sum_scale;
    for (size_t i = 0; i < n; i++) {
        size_t at = sb_group_place(&channel, i);
        long double x = sb_call_value(call, 0, at), dy = sb_call_value(call, 4, at);
        long double normal = (x - mean) * inverse, far = (fabsl(x) + fabsl(mean)) * inverse;
        expected[5][at] = (double)(gamma * inverse * (dy - sum / n - normal * product / n));
        scale[5][at] = (double)(fabsl(gamma) * inverse *
                                (fabsl(dy) + sum_scale / n + far * product_scale / n));
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t c = 0; c < call->size[1]; c++)
        oracle_channel(call, c, expected, scale);
}

const struct sb_operation sb_operation_batchnorm_gradient = {
    .name = "batchnorm_gradient",
    .summary =
        "gradients of batchnorm as in training: dx[b,c,h,w], dgamma and dbeta of each channel",
    .sizes = "bchw",
    .shape = {32, 64, 16, 16},
    .odd = {3, 5, 7, 3},
    .reduced = "bhw",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "bchw", SB_FILL_WIDE},
                 {"gamma", SB_ROLE_IN, "c", SB_FILL_WIDE},
                 {"mean", SB_ROLE_IN, "c", SB_FILL_NOTHING},
                 {"inverse_deviation", SB_ROLE_IN, "c", SB_FILL_NOTHING},
                 {"dy", SB_ROLE_IN, "bchw", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "bchw", SB_FILL_NOTHING},
                 {"dgamma", SB_ROLE_OUT, "c", SB_FILL_NOTHING},
                 {"dbeta", SB_ROLE_OUT, "c", SB_FILL_NOTHING}},
    .attributes = {{"epsilon", 1e-5, 0, 1, "as it was added to the variance"}},
    .prepare = prepare,
    .oracle = oracle,
};
