/* kernels: gemm, C = op(A)·op(B). */
#include "kernels/dispatch.h"

#include <math.h>

/* Inputs f32: products are exact in double already; long double keeps f64 exact enough to judge it.
 */
static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t m = call->size[0], n = call->size[1], k = call->size[2];
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            long double sum = 0, magnitude = 0;
            for (size_t p = 0; p < k; p++) {
                long double product =
                    (long double)sb_call_value(call, 0, ta ? p * m + i : i * k + p) *
                    sb_call_value(call, 1, tb ? j * k + p : p * n + j);
                sum += product;
                magnitude += fabsl(product);
            }
            expected[2][i * n + j] = (double)sum;
            scale[2][i * n + j] = (double)magnitude;
        }
    }
}

const struct sb_operation sb_operation_gemm = {
    .name = "gemm",
    .summary = "matrix product C[m,n] = A[m,k]·B[k,n], each also transposed",
    .sizes = "mnk",
    .shape = {512, 512, 512},
    .reduced = "k",
    .operands = {{"a", SB_ROLE_IN, "mk", SB_FILL_WIDE},
                 {"b", SB_ROLE_IN, "kn", SB_FILL_WIDE},
                 {"c", SB_ROLE_OUT, "mn", SB_FILL_NOTHING}},
    .attributes = {{"transpose_a", 0, 0, 1, "A is stored [k,m]"},
                   {"transpose_b", 0, 0, 1, "B is stored [n,k]"}},
    .oracle = oracle,
};
