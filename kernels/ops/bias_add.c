/* kernels: bias_add, a vector added to every row. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t n = call->size[1];
    for (size_t i = 0; i < call->size[0] * n; i++) {
        double x = sb_call_value(call, 1, i), bias = sb_call_value(call, 0, i % n);
        expected[1][i] = x + bias;
        scale[1][i] = fabs(x) + fabs(bias);
    }
}

const struct sb_operation sb_operation_bias_add = {
    .name = "bias_add",
    .summary = "adds bias[n] to every row of x[b,n]",
    .sizes = "bn",
    .shape = {256, 1024},
    .reduced = "",
    .row = 'b',
    .matters = "isa alignment",
    .operands = {{"bias", SB_ROLE_IN, "n", SB_FILL_WIDE}, {"x", SB_ROLE_INOUT, "bn", SB_FILL_WIDE}},
    .oracle = oracle,
};
