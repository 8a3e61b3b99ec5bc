/* kernels: relu. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t i = 0; i < call->size[0]; i++) {
        expected[1][i] = fmax(sb_call_value(call, 0, i), 0);
        scale[1][i] = expected[1][i];
    }
}

const struct sb_operation sb_operation_relu = {
    .name = "relu",
    .summary = "y = max(x, 0)",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE}, {"y", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .oracle = oracle,
};
