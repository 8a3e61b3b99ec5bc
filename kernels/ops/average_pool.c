/* kernels: the mean of every window. */
#include "kernels/ops/window.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    struct sb_window window = sb_window_of(call);
    size_t image = window.h * window.w, windows = window.p * window.q, place;
    for (size_t i = 0; i < sb_call_elements(call, 1); i++) {
        size_t plane = i / windows, p = i % windows / window.q, q = i % window.q;
        long double sum = 0, magnitude = 0,
                    count = sb_window_count(&window, call->attribute[2] != 0, p, q);
        for (size_t tap = 0; tap < window.r * window.s; tap++) {
            if (!sb_window_tap(&window, p, q, tap / window.s, tap % window.s, &place))
                continue;
            long double x = sb_call_value(call, 0, plane * image + place);
            sum += x;
            magnitude += fabsl(x);
        }
        expected[1][i] = (double)(sum / count);
        scale[1][i] = (double)(magnitude / count);
    }
}

const struct sb_operation sb_operation_average_pool = {
    .name = "average_pool",
    .summary = "y[n,c,p,q]: the mean of every r x s window of x[n,c,h,w]",
    .sizes = "nchwrs",
    .derived = "pq",
    .shape = {8, 32, 28, 28, 3, 3},
    .odd = {3, 5, 13, 11, 3, 2},
    .reduced = "rs",
    .row = 'n',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "nchw", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "ncpq", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE_2, SB_WINDOW_PADDING, SB_WINDOW_INCLUDE_PADDING},
    .derive = sb_window_derive_pool,
    .oracle = oracle,
};
