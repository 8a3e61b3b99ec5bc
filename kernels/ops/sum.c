/* kernels: sum of a vector. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    long double sum = 0, magnitude = 0;
    for (size_t i = 0; i < call->size[0]; i++) {
        sum += sb_call_value(call, 0, i);
        magnitude += fabsl((long double)sb_call_value(call, 0, i));
    }
    expected[1][0] = (double)sum;
    scale[1][0] = (double)magnitude;
}

const struct sb_operation sb_operation_sum = {
    .name = "sum",
    .summary = "sum of a vector of n elements",
    .sizes = "n",
    .shape = {1000000},
    .reduced = "n",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"result", SB_ROLE_OUT, "", SB_FILL_NOTHING}},
    .oracle = oracle,
};
