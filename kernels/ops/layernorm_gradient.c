/* kernels: gradient of layer normalisation, from its input and what it saved. */
#include "kernels/ops/moments.h"

#include <math.h>

static void prepare(struct sb_call *call) {
    for (size_t i = 0; i < call->size[0]; i++)
        sb_prepare_moments(call, 0, sb_group_row(call, i), call->attribute[0], 2, 3, i);
}

/* dx of one row: g is dy·gamma, normal x̂, far the magnitude that x̂ cancels from. */
static void oracle_row(const struct sb_call *call, size_t i, double *dx, double *scale) {
    size_t n = call->size[1];
    long double mean = sb_call_value(call, 2, i), inverse = sb_call_value(call, 3, i);
    long double sum = 0, sum_scale = 0, product = 0, product_scale = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t j = 0; j < n; j++) {
            long double x = sb_call_value(call, 0, i * n + j);
            long double g =
                (long double)sb_call_value(call, 4, i * n + j) * sb_call_value(call, 1, j);
            long double normal = (x - mean) * inverse, far = (fabsl(x) + fabsl(mean)) * inverse;
            if (pass == 1) {
                dx[j] = (double)(inverse * (g - sum - normal * product));
                scale[j] = (double)(inverse * (fabsl(g) + sum_scale + far * product_scale));
                continue;
            }
            sum += g / n;
            sum_scale += fabsl(g) / n;
            product += g * normal / n;
            product_scale += fabsl(g) * far / n;
        }
    }
}

/* dgamma and dbeta of one column. */
static void oracle_column(const struct sb_call *call, size_t j, double *const *expected,
                          double *const *scale) {
    size_t n = call->size[1];
    long double sum = 0, sum_scale = 0, product = 0, product_scale = 0;
    for (size_t i = 0; i < call->size[0]; i++) {
        long double x = sb_call_value(call, 0, i * n + j), dy = sb_call_value(call, 4, i * n + j);
        long double mean = sb_call_value(call, 2, i), inverse = sb_call_value(call, 3, i);
        sum += dy;
        sum_scale += fabsl(dy);
        product += dy * (x - mean) * inverse;
        product_scale += fabsl(dy) * (fabsl(x) + fabsl(mean)) * inverse;
    }
    expected[6][j] = (double)product;
    scale[6][j] = (double)product_scale;
    expected[7][j] = (double)sum;
    scale[7][j] = (double)sum_scale;
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t i = 0; i < call->size[0]; i++)
        oracle_row(call, i, expected[5] + i * call->size[1], scale[5] + i * call->size[1]);
    for (size_t j = 0; j < call->size[1]; j++)
        oracle_column(call, j, expected, scale);
}

const struct sb_operation sb_operation_layernorm_gradient = {
    .name = "layernorm_gradient",
    .summary = "gradients of layernorm: dx of each row of x[b,n], dgamma and dbeta over the rows",
    .sizes = "bn",
    .shape = {1024, 256},
    .reduced = "n b",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "bn", SB_FILL_WIDE},
                 {"gamma", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"mean", SB_ROLE_IN, "b", SB_FILL_NOTHING},
                 {"inverse_deviation", SB_ROLE_IN, "b", SB_FILL_NOTHING},
                 {"dy", SB_ROLE_IN, "bn", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "bn", SB_FILL_NOTHING},
                 {"dgamma", SB_ROLE_OUT, "n", SB_FILL_NOTHING},
                 {"dbeta", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .attributes = {{"epsilon", 1e-5, 0, 1, "as it was added to the variance"}},
    .prepare = prepare,
    .oracle = oracle,
};
