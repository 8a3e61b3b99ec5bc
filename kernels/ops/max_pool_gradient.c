/* kernels: gradient of max_pool: windows overlap, and what two of them say of an element is added.
 */
#include "kernels/ops/window.h"

#include <math.h>

static void prepare(struct sb_call *call) {
    struct sb_window window = sb_window_of(call);
    size_t image = window.h * window.w, windows = window.p * window.q;
    for (size_t i = 0; i < sb_call_elements(call, 1); i++) {
        size_t plane = i / windows, p = i % windows / window.q, q = i % window.q;
        size_t place = sb_window_largest(call, &window, 0, plane, p, q);
        sb_call_store(call, 1, i, sb_call_value(call, 0, plane * image + place));
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    struct sb_window window = sb_window_of(call);
    size_t image = window.h * window.w, windows = window.p * window.q;
    for (size_t i = 0; i < sb_call_elements(call, 2); i++) {
        size_t plane = i / windows, p = i % windows / window.q, q = i % window.q;
        size_t place = plane * image + sb_window_largest(call, &window, 0, plane, p, q);
        expected[3][place] += sb_call_value(call, 2, i);
        scale[3][place] += fabs(sb_call_value(call, 2, i));
    }
}

/* Of equal elements the first in the order of the window takes it all. */
const struct sb_operation sb_operation_max_pool_gradient = {
    .name = "max_pool_gradient",
    .summary = "gradient dx[n,c,h,w] of max_pool from its x and y and dy[n,c,p,q]",
    .sizes = "nchwrs",
    .derived = "pq",
    .shape = {8, 32, 28, 28, 3, 3},
    .odd = {3, 5, 13, 11, 3, 2},
    .reduced = "rs",
    .row = 'n',
    .matters = "threads isa",
    .operands = {{"x", SB_ROLE_IN, "nchw", SB_FILL_WIDE},
                 {"y", SB_ROLE_IN, "ncpq", SB_FILL_NOTHING},
                 {"dy", SB_ROLE_IN, "ncpq", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "nchw", SB_FILL_NOTHING}},
    .attributes = {SB_WINDOW_STRIDE_2, SB_WINDOW_PADDING},
    .derive = sb_window_derive_pool,
    .prepare = prepare,
    .oracle = oracle,
};
