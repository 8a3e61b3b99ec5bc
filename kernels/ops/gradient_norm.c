/* kernels: norm of all gradients together, and the factor that clips them to a limit. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    long double sum = 0, limit = call->attribute[0];
    for (size_t i = 0; i < call->size[0]; i++)
        sum += (long double)sb_call_value(call, 0, i) * sb_call_value(call, 0, i);
    long double norm = sqrtl(sum);
    expected[1][0] = scale[1][0] = (double)norm;
    expected[2][0] = scale[2][0] = (double)(limit / fmaxl(norm, limit));
}

const struct sb_operation sb_operation_gradient_norm = {
    .name = "gradient_norm",
    .summary =
        "norm of n numbers (root of their squares' sum), and the factor limit/max(norm, limit)",
    .sizes = "n",
    .shape = {1000000},
    .reduced = "n",
    .matters = "threads isa alignment",
    .operands = {{"gradient", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"norm", SB_ROLE_OUT, "", SB_FILL_NOTHING},
                 {"factor", SB_ROLE_OUT, "", SB_FILL_NOTHING}},
    .attributes = {{"limit", 1, 1e-30, 1e30, "longest norm that is left as it is"}},
    .oracle = oracle,
};
