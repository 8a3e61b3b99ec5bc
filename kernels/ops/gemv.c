/* kernels: gemv, y = A·x. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t m = call->size[0], n = call->size[1];
    for (size_t i = 0; i < m; i++) {
        long double sum = 0, magnitude = 0;
        for (size_t j = 0; j < n; j++) {
            long double product =
                (long double)sb_call_value(call, 0, i * n + j) * sb_call_value(call, 1, j);
            sum += product;
            magnitude += fabsl(product);
        }
        expected[2][i] = (double)sum;
        scale[2][i] = (double)magnitude;
    }
}

const struct sb_operation sb_operation_gemv = {
    .name = "gemv",
    .summary = "matrix times vector y[m] = A[m,n]*x[n]",
    .sizes = "mn",
    .shape = {1024, 1024},
    .reduced = "n",
    .row = 'm',
    .matters = "threads isa batch alignment",
    .operands = {{"a", SB_ROLE_IN, "mn", SB_FILL_WIDE},
                 {"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "m", SB_FILL_NOTHING}},
    .oracle = oracle,
};
