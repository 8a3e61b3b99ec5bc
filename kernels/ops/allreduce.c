/* kernels: the sum over ranks that every rank receives. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t r = call->size[0], n = call->size[1];
    for (size_t i = 0; i < n; i++) {
        long double sum = 0, magnitude = 0;
        for (size_t rank = 0; rank < r; rank++) {
            sum += sb_call_value(call, 0, rank * n + i);
            magnitude += fabsl((long double)sb_call_value(call, 0, rank * n + i));
        }
        expected[1][i] = (double)sum;
        scale[1][i] = (double)magnitude;
    }
}

const struct sb_operation sb_operation_allreduce = {
    .name = "allreduce",
    .summary = "y[n], the sum over ranks r of their vectors x[r,n]",
    .sizes = "rn",
    .shape = {8, 65536},
    .reduced = "r",
    .matters = "threads isa alignment",
    .operands = {{"x", SB_ROLE_IN, "rn", SB_FILL_WIDE}, {"y", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .oracle = oracle,
};
