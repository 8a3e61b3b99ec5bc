/* kernels: bias_gradient, the sum over the batch. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t b = call->size[0], n = call->size[1];
    for (size_t j = 0; j < n; j++) {
        long double sum = 0, magnitude = 0;
        for (size_t i = 0; i < b; i++) {
            sum += sb_call_value(call, 0, i * n + j);
            magnitude += fabsl((long double)sb_call_value(call, 0, i * n + j));
        }
        expected[1][j] = (double)sum;
        scale[1][j] = (double)magnitude;
    }
}

const struct sb_operation sb_operation_bias_gradient = {
    .name = "bias_gradient",
    .summary = "sum of dy[b,n] over its rows",
    .sizes = "bn",
    .shape = {4096, 64},
    .reduced = "b",
    .matters = "threads isa alignment",
    .operands = {{"dy", SB_ROLE_IN, "bn", SB_FILL_WIDE}, {"db", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .oracle = oracle,
};
