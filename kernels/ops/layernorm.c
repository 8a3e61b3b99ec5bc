/* kernels: layer normalisation (Ba, Kiros and Hinton, 2016) of every row. */
#include "kernels/ops/moments.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t n = call->size[1];
    for (size_t i = 0; i < call->size[0]; i++) {
        struct sb_moments moments = sb_moments_of(call, 0, sb_group_row(call, i));
        long double inverse_scale,
            inverse = sb_inverse_deviation(&moments, call->attribute[0], &inverse_scale);
        for (size_t j = 0; j < n; j++) {
            long double x = sb_call_value(call, 0, i * n + j), gamma = sb_call_value(call, 1, j),
                        beta = sb_call_value(call, 2, j), centred = x - moments.mean;
            expected[3][i * n + j] = (double)(centred * inverse * gamma + beta);
            scale[3][i * n + j] =
                (double)(fabsl(gamma) * ((fabsl(x) + moments.mean_scale) * inverse +
                                         fabsl(centred) * inverse_scale) +
                         fabsl(beta));
        }
        expected[4][i] = (double)moments.mean;
        scale[4][i] = (double)moments.mean_scale;
        expected[5][i] = (double)inverse;
        scale[5][i] = (double)inverse_scale;
    }
}

const struct sb_operation sb_operation_layernorm = {
    .name = "layernorm",
    .summary = "y = (x - mean)*inverse_deviation*gamma + beta, with moments of each row of x[b,n]",
    .sizes = "bn",
    .shape = {256, 1024},
    .reduced = "n",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "bn", SB_FILL_WIDE},
                 {"gamma", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"beta", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "bn", SB_FILL_NOTHING},
                 {"mean", SB_ROLE_OUT, "b", SB_FILL_NOTHING},
                 {"inverse_deviation", SB_ROLE_OUT, "b", SB_FILL_NOTHING}},
    .attributes = {{"epsilon", 1e-5, 0, 1, "added to the variance, which is over n"}},
    .oracle = oracle,
};
