/* kernels: mean and variance of every row; of all elements, where there is one row. */
#include "kernels/ops/moments.h"

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t i = 0; i < call->size[0]; i++) {
        struct sb_moments moments = sb_moments_of(call, 0, sb_group_row(call, i));
        expected[1][i] = (double)moments.mean;
        scale[1][i] = (double)moments.mean_scale;
        expected[2][i] = (double)moments.variance;
        scale[2][i] = (double)moments.variance_scale;
    }
}

const struct sb_operation sb_operation_mean = {
    .name = "mean",
    .summary = "mean and variance (over n, not n - 1) of every row of x[m,n]",
    .sizes = "mn",
    .shape = {16, 65536},
    .reduced = "n",
    .row = 'm',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "mn", SB_FILL_WIDE},
                 {"mean", SB_ROLE_OUT, "m", SB_FILL_NOTHING},
                 {"variance", SB_ROLE_OUT, "m", SB_FILL_NOTHING}},
    .oracle = oracle,
};
