/* kernels: sparse categorical cross-entropy from logits, with its gradient. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const int32_t *labels = call->operand[1];
    size_t b = call->size[0], c = call->size[1];
    long double total = 0, magnitude = 0;
    for (size_t i = 0; i < b; i++) {
        long double top = -INFINITY, sum = 0,
                    label = sb_call_value(call, 0, i * c + (size_t)labels[i]);
        for (size_t j = 0; j < c; j++)
            top = fmaxl(top, sb_call_value(call, 0, i * c + j));
        for (size_t j = 0; j < c; j++)
            sum += expl(sb_call_value(call, 0, i * c + j) - top);
        total += logl(sum) - (label - top);
        magnitude += fabsl(logl(sum)) + fabsl(label) + fabsl(top);
        for (size_t j = 0; j < c; j++) {
            long double share = expl(sb_call_value(call, 0, i * c + j) - top) / sum;
            long double one = (size_t)labels[i] == j;
            expected[3][i * c + j] = (double)((share - one) / b);
            scale[3][i * c + j] = (double)((share + one) / b);
        }
    }
    expected[2][0] = (double)(total / b);
    scale[2][0] = (double)(magnitude / b);
}

const struct sb_operation sb_operation_cross_entropy = {
    .name = "cross_entropy",
    .summary = "mean sparse categorical cross-entropy of x[b,c] and its gradient",
    .sizes = "bc",
    .shape = {256, 100},
    .reduced = "bc",
    .matters = "threads isa",
    .operands = {{"x", SB_ROLE_IN, "bc", SB_FILL_NORMAL},
                 {"labels", SB_ROLE_IN, "b", SB_FILL_LABELS, 'c', true},
                 {"loss", SB_ROLE_OUT, "", SB_FILL_NOTHING},
                 {"dx", SB_ROLE_OUT, "bc", SB_FILL_NOTHING}},
    .oracle = oracle,
};
