/* kernels: gelu (Hendrycks and Gimpel, 2016), by erf or by the approximation with tanh. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const long double root = sqrtl(M_2_PIl);
    for (size_t i = 0; i < call->size[0]; i++) {
        long double x = sb_call_value(call, 0, i);
        long double share = call->attribute[0] != 0 ? tanhl(root * (x + 0.044715L * x * x * x))
                                                    : erfl(x * M_SQRT1_2l);
        expected[1][i] = (double)(x / 2 * (1 + share));
        scale[1][i] = (double)fabsl(x); /* 1 + share cancels left of 0 */
    }
}

const struct sb_operation sb_operation_gelu = {
    .name = "gelu",
    .summary = "y = x/2*(1 + erf(x/sqrt(2))), or its approximation by tanh",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "isa alignment",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE}, {"y", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .attributes = {{"tanh", 0, 0, 1, "x/2·(1 + tanh(sqrt(2/pi)·(x + 0.044715·x^3)))"}},
    .oracle = oracle,
};
