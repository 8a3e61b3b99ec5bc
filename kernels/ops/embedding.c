/* kernels: embedding, rows of a table gathered by index. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    const int32_t *indices = call->operand[1];
    size_t d = call->size[2];
    for (size_t i = 0; i < call->size[0] * d; i++) {
        expected[2][i] = sb_call_value(call, 0, (size_t)indices[i / d] * d + i % d);
        scale[2][i] = fabs(expected[2][i]);
    }
}

const struct sb_operation sb_operation_embedding = {
    .name = "embedding",
    .summary = "y[b,d]: rows of table[v,d] by indices[b]",
    .sizes = "bvd",
    .shape = {4096, 64, 64},
    .reduced = "",
    .row = 'b',
    .matters = "",
    .operands = {{"table", SB_ROLE_IN, "vd", SB_FILL_WIDE},
                 {"indices", SB_ROLE_IN, "b", SB_FILL_LABELS, 'v', true},
                 {"y", SB_ROLE_OUT, "bd", SB_FILL_NOTHING}},
    .oracle = oracle,
};
