/* kernels: gradient of embedding: rows added to the table's by index, many to the same. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const int32_t *indices = call->operand[0];
    size_t b = call->size[0], v = call->size[1], d = call->size[2];
    for (size_t k = 0; k < v * d; k++) {
        long double sum = 0, magnitude = 0;
        for (size_t i = 0; i < b; i++) {
            if ((size_t)indices[i] != k / d)
                continue;
            sum += sb_call_value(call, 1, i * d + k % d);
            magnitude += fabsl((long double)sb_call_value(call, 1, i * d + k % d));
        }
        expected[2][k] = (double)sum;
        scale[2][k] = (double)magnitude;
    }
}

const struct sb_operation sb_operation_embedding_gradient = {
    .name = "embedding_gradient",
    .summary = "dtable[v,d]: sums of the rows of dy[b,d] that have the same index",
    .sizes = "bvd",
    .shape = {4096, 64, 64},
    .reduced = "b",
    .matters = "threads isa alignment",
    .operands = {{"indices", SB_ROLE_IN, "b", SB_FILL_LABELS, 'v', true},
                 {"dy", SB_ROLE_IN, "bd", SB_FILL_WIDE},
                 {"dtable", SB_ROLE_OUT, "vd", SB_FILL_NOTHING}},
    .oracle = oracle,
};
