/* kernels: relu_gradient, dy where the output of relu was positive. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t i = 0; i < call->size[0]; i++) {
        expected[2][i] = sb_call_value(call, 0, i) > 0 ? sb_call_value(call, 1, i) : 0;
        scale[2][i] = fabs(expected[2][i]);
    }
}

const struct sb_operation sb_operation_relu_gradient = {
    .name = "relu_gradient",
    .summary = "dx = dy where y > 0, else 0",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "",
    .operands = {{"y", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"dy", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .oracle = oracle,
};
