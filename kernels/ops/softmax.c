/* kernels: softmax of every row. */
#include "kernels/dispatch.h"

#include <math.h>

/* An exponent's rounding is relative to |x - top|, and becomes that of the result. */
static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t c = call->size[1];
    for (size_t i = 0; i < call->size[0]; i++) {
        long double top = -INFINITY, sum = 0;
        for (size_t j = 0; j < c; j++)
            top = fmaxl(top, sb_call_value(call, 0, i * c + j));
        for (size_t j = 0; j < c; j++)
            sum += expl(sb_call_value(call, 0, i * c + j) - top);
        for (size_t j = 0; j < c; j++) {
            long double x = sb_call_value(call, 0, i * c + j);
            long double share = expl(x - top) / sum;
            expected[1][i * c + j] = (double)share;
            scale[1][i * c + j] = (double)(share * (1 + fabsl(x) + fabsl(top)));
        }
    }
}

const struct sb_operation sb_operation_softmax = {
    .name = "softmax",
    .summary = "softmax of every row of x[b,c]",
    .sizes = "bc",
    .shape = {256, 1000},
    .reduced = "c",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"x", SB_ROLE_IN, "bc", SB_FILL_NORMAL},
                 {"y", SB_ROLE_OUT, "bc", SB_FILL_NOTHING}},
    .oracle = oracle,
};
