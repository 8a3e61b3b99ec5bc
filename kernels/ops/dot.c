/* kernels: dot, the inner product of two vectors. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    long double sum = 0, magnitude = 0;
    for (size_t i = 0; i < call->size[0]; i++) {
        long double product = (long double)sb_call_value(call, 0, i) * sb_call_value(call, 1, i);
        sum += product;
        magnitude += fabsl(product);
    }
    expected[2][0] = (double)sum;
    scale[2][0] = (double)magnitude;
}

const struct sb_operation sb_operation_dot = {
    .name = "dot",
    .summary = "inner product of two vectors of n elements",
    .sizes = "n",
    .shape = {1000000},
    .reduced = "n",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"y", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"result", SB_ROLE_OUT, "", SB_FILL_NOTHING}},
    .oracle = oracle,
};
