/* kernels: symv, y = A·x, of A's upper triangle alone. */
#include "kernels/dispatch.h"

#include <math.h>

static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t n = call->size[0];
    for (size_t i = 0; i < n; i++) {
        long double sum = 0, magnitude = 0;
        for (size_t j = 0; j < n; j++) {
            size_t at = i < j ? i * n + j : j * n + i;
            long double product =
                (long double)sb_call_value(call, 0, at) * sb_call_value(call, 1, j);
            sum += product;
            magnitude += fabsl(product);
        }
        expected[2][i] = (double)sum;
        scale[2][i] = (double)magnitude;
    }
}

const struct sb_operation sb_operation_symv = {
    .name = "symv",
    .summary = "symmetric matrix times vector y[n] = A[n,n]*x[n], of A's upper triangle",
    .sizes = "n",
    .shape = {1024},
    .odd = {67},
    .reduced = "n",
    .matters = "threads isa alignment",
    .operands = {{"a", SB_ROLE_IN, "nn", SB_FILL_WIDE},
                 {"x", SB_ROLE_IN, "n", SB_FILL_WIDE},
                 {"y", SB_ROLE_OUT, "n", SB_FILL_NOTHING}},
    .oracle = oracle,
};
