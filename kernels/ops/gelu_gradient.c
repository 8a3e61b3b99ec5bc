/* kernels: gradient of gelu, from its input. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const long double root = sqrtl(M_2_PIl), cubic = 0.044715L;
    for (size_t i = 0; i < call->size[0]; i++) {
        long double x = sb_call_value(call, 0, i), dy = sb_call_value(call, 1, i), share, slope;
        if (call->attribute[0] != 0) {
            share = tanhl(root * (x + cubic * x * x * x));
            slope = (1 - share * share) * root * (1 + 3 * cubic * x * x);
        } else {
            share = erfl(x * M_SQRT1_2l);
            slope = root * expl(-x * x / 2);
        }
        expected[2][i] = (double)(dy * ((1 + share) / 2 + x / 2 * slope));
        scale[2][i] = (double)(fabsl(dy) * (1 + fabsl(x) / 2 * slope));
    }
}

const struct sb_operation sb_operation_gelu_gradient = {
    .name = "gelu_gradient",
    .summary = "dx = dy times the derivative of gelu at x",
    .sizes = "n",
    .shape = {65536},
    .reduced = "",
    .matters = "isa alignment",
    .operands = {{"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"dy", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .attributes = {{"tanh", 0, 0, 1, "of the approximation by tanh"}},
    .oracle = oracle,
};
