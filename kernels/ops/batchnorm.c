/* kernels: batch normalisation (Ioffe and Szegedy, 2015) of every channel, as in training. */
#include "kernels/ops/moments.h"

#include <math.h>

static void of_channel(const struct sb_call *call, size_t c, const struct sb_moments *moments,
                       double *const *expected, double *const *scale) {
    struct sb_group channel = sb_group_channel(call, c);
    size_t n = sb_group_count(&channel);
    long double factor = call->attribute[1], unbiased = n > 1 ? (long double)n / (n - 1) : 1;
    long double old[2] = {sb_call_value(call, 3, c), sb_call_value(call, 4, c)};
    expected[3][c] = (double)(old[0] * (1 - factor) + moments->mean * factor);
    scale[3][c] = (double)(fabsl(old[0]) + moments->mean_scale);
    expected[4][c] = (double)(old[1] * (1 - factor) + moments->variance * unbiased * factor);
    scale[4][c] = (double)(fabsl(old[1]) + moments->variance_scale * unbiased);
    long double inverse_scale,
        inverse = sb_inverse_deviation(moments, call->attribute[0], &inverse_scale);
    expected[6][c] = (double)moments->mean;
    scale[6][c] = (double)moments->mean_scale;
    expected[7][c] = (double)inverse;
    scale[7][c] = (double)inverse_scale;
    long double gamma = sb_call_value(call, 1, c), beta = sb_call_value(call, 2, c);
    for (size_t i = 0; i < n; i++) {
        size_t at = sb_group_place(&channel, i);
        long double x = sb_call_value(call, 0, at), centred = x - moments->mean;
        expected[5][at] = (double)(centred * inverse * gamma + beta);
        scale[5][at] = (double)(fabsl(gamma) * ((fabsl(x) + moments->mean_scale) * inverse +
                                                fabsl(centred) * inverse_scale) +
                                fabsl(beta));
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    for (size_t c = 0; c < call->size[1]; c++) {
        struct sb_moments moments = sb_moments_of(call, 0, sb_group_channel(call, c));
        of_channel(call, c, &moments, expected, scale);
    }
}

const struct sb_operation sb_operation_batchnorm = {
    .name = "batchnorm",
    .summary = "y[b,c,h,w]: x of each channel normalised as in training, times gamma plus beta",
    .sizes = "bchw",
    .shape = {32, 64, 16, 16},
    .odd = {3, 5, 7, 3},
    .reduced = "bhw",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "bchw", SB_FILL_WIDE},
                 {"gamma", SB_ROLE_IN, "c", SB_FILL_WIDE},
                 {"beta", SB_ROLE_IN, "c", SB_FILL_WIDE},
                 {"running_mean", SB_ROLE_INOUT, "c", SB_FILL_WIDE},
                 {"running_variance", SB_ROLE_INOUT, "c", SB_FILL_POSITIVE},
                 {"y", SB_ROLE_OUT, "bchw", SB_FILL_NOTHING},
                 {"mean", SB_ROLE_OUT, "c", SB_FILL_NOTHING},
                 {"inverse_deviation", SB_ROLE_OUT, "c", SB_FILL_NOTHING}},
    .attributes = {{"epsilon", 1e-5, 0, 1, "added to the variance, which is over b·h·w"},
                   {"average_factor", 0.1, 0, 1,
                    "share of this batch in the running statistics; their variance is over "
                    "b·h·w - 1"}},
    .oracle = oracle,
};
