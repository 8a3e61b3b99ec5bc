/* kernels: gradient of a convolution with respect to the filters. */
#include "kernels/ops/window.h"

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    static const size_t operand[] = {0, 2, 1};
    sb_window_convolution_oracle(call, operand, 1, expected, scale);
}

const struct sb_operation sb_operation_conv2d_gradient_filter = {
    .name = "conv2d_gradient_filter",
    .summary = "gradient dw[k,c,r,s] of conv2d from x[n,c,h,w] and dy[n,k,p,q]",
    .sizes = "nchwkrs",
    .derived = "pq",
    .shape = {4, 32, 28, 28, 48, 3, 3},
    .odd = {3, 5, 13, 11, 7, 3, 2},
    .reduced = "npq",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "nchw", SB_FILL_WIDE},
                 {"dy", SB_ROLE_IN, "nkpq", SB_FILL_WIDE},
                 {"dw", SB_ROLE_OUT, "kcrs", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE, SB_WINDOW_PADDING, SB_WINDOW_DILATION},
    .derive = sb_window_derive_convolution,
    .oracle = oracle,
};
