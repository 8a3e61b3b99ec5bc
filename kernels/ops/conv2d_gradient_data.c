/* kernels: gradient of a convolution with respect to the images. */
#include "kernels/ops/window.h"

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    static const size_t operand[] = {2, 0, 1};
    sb_window_convolution_oracle(call, operand, 0, expected, scale);
}

const struct sb_operation sb_operation_conv2d_gradient_data = {
    .name = "conv2d_gradient_data",
    .summary = "gradient dx[n,c,h,w] of conv2d from w[k,c,r,s] and dy[n,k,p,q]",
    .sizes = "nchwkrs",
    .derived = "pq",
    .shape = {4, 32, 28, 28, 48, 3, 3},
    .odd = {3, 5, 13, 11, 7, 3, 2},
    .reduced = "krs",
    .row = 'n',
    .matters = "threads isa batch alignment",
    .operands = {{"w", SB_ROLE_IN, "kcrs", SB_FILL_WIDE},
                 {"dy", SB_ROLE_IN, "nkpq", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "nchw", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE, SB_WINDOW_PADDING, SB_WINDOW_DILATION},
    .derive = sb_window_derive_convolution,
    .oracle = oracle,
};
