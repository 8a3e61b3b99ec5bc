/* kernels: convolution of images. */
#include "kernels/ops/window.h"

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    static const size_t operand[] = {0, 1, 2};
    sb_window_convolution_oracle(call, operand, 2, expected, scale);
}

/* The window is not turned round: what every framework calls a convolution. */
const struct sb_operation sb_operation_conv2d = {
    .name = "conv2d",
    .summary = "convolution y[n,k,p,q] of x[n,c,h,w] with filters w[k,c,r,s]",
    .sizes = "nchwkrs",
    .derived = "pq",
    .shape = {4, 32, 28, 28, 48, 3, 3},
    .odd = {3, 5, 13, 11, 7, 3, 2},
    .reduced = "crs",
    .row = 'n',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "nchw", SB_FILL_WIDE},
                 {"w", SB_ROLE_IN, "kcrs", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "nkpq", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE, SB_WINDOW_PADDING, SB_WINDOW_DILATION},
    .derive = sb_window_derive_convolution,
    .oracle = oracle,
};
