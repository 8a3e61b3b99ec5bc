/* kernels: the largest element of every window. */
#include "kernels/ops/window.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    struct sb_window window = sb_window_of(call);
    size_t image = window.h * window.w, windows = window.p * window.q;
    for (size_t i = 0; i < sb_call_elements(call, 1); i++) {
        size_t plane = i / windows, p = i % windows / window.q, q = i % window.q;
        size_t place = sb_window_largest(call, &window, 0, plane, p, q);
        expected[1][i] = sb_call_value(call, 0, plane * image + place);
        scale[1][i] = fabs(expected[1][i]);
    }
}

/* Padding takes no part. */
const struct sb_operation sb_operation_max_pool = {
    .name = "max_pool",
    .summary = "y[n,c,p,q]: the largest element of every r x s window of x[n,c,h,w]",
    .sizes = "nchwrs",
    .derived = "pq",
    .shape = {8, 32, 28, 28, 3, 3},
    .odd = {3, 5, 13, 11, 3, 2},
    .reduced = "",
    .row = 'n',
    .matters = "",
    .operands = {{"x", SB_ROLE_IN, "nchw", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "ncpq", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE_2, SB_WINDOW_PADDING},
    .derive = sb_window_derive_pool,
    .oracle = oracle,
};
