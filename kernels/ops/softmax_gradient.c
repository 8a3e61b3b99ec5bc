/* kernels: gradient of softmax, from its output. */
#include "kernels/dispatch.h"
#include "kernels/numeric.h"

#include <math.h>

/* y is filled with logits, of which it becomes the softmax. */
static void prepare(struct sb_call *call) {
    size_t c = call->size[1];
    for (size_t i = 0; i < call->size[0]; i++) {
        double sum = 0;
        for (size_t j = 0; j < c; j++)
            sum += sb_exp(sb_call_value(call, 0, i * c + j));
        for (size_t j = 0; j < c; j++)
            sb_call_store(call, 0, i * c + j, sb_exp(sb_call_value(call, 0, i * c + j)) / sum);
    }
}

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t c = call->size[1];
    for (size_t i = 0; i < call->size[0]; i++) {
        long double sum = 0, magnitude = 0;
        for (size_t j = i * c; j < (i + 1) * c; j++) {
            long double product =
                (long double)sb_call_value(call, 0, j) * sb_call_value(call, 1, j);
            sum += product;
            magnitude += fabsl(product);
        }
        for (size_t j = i * c; j < (i + 1) * c; j++) {
            long double y = sb_call_value(call, 0, j), dy = sb_call_value(call, 1, j);
            expected[2][j] = (double)(y * (dy - sum));
            scale[2][j] = (double)(fabsl(y) * (fabsl(dy) + magnitude));
        }
    }
}

const struct sb_operation sb_operation_softmax_gradient = {
    .name = "softmax_gradient",
    .summary = "dx = y*(dy - sum of y*dy) of every row, y being the softmax of x[b,c]",
    .sizes = "bc",
    .shape = {256, 1000},
    .reduced = "c",
    .row = 'b',
    .matters = "threads isa batch alignment",
    .operands = {{"y", SB_ROLE_IN, "bc", SB_FILL_NORMAL},
                 {"dy", SB_ROLE_IN, "bc", SB_FILL_WIDE},
                 {"dx", SB_ROLE_OUT, "bc", SB_FILL_NOTHING}},
    .prepare = prepare,
    .oracle = oracle,
};
