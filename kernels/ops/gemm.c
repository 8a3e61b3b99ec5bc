/* kernels: gemm, C = op(A)·op(B). */
#include "kernels/dispatch.h"

#include <math.h>
#include <stdlib.h>

/* Of f32, products are exact in double, and their sum is good to 2^-53 of its magnitude times k;
 * f64 needs the wider type to be judged. Rows of B innermost: memory is read in order. */
static void oracle(const struct sb_call *call, double *const *expected, double *const *scale) {
    size_t m = call->size[0], n = call->size[1], k = call->size[2];
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    long double *wide = call->dtype == SB_DTYPE_F32 ? NULL : calloc(n, sizeof *wide);
    for (size_t i = 0; i < m; i++) {
        double *sum = expected[2] + i * n, *magnitude = scale[2] + i * n;
        for (size_t p = 0; p < k; p++) {
            double a = sb_call_value(call, 0, ta ? p * m + i : i * k + p);
            if (call->dtype == SB_DTYPE_F32 && !tb) {
                const float *b = (const float *)call->operand[1] + p * n;
                for (size_t j = 0; j < n; j++) {
                    sum[j] += a * b[j];
                    magnitude[j] += fabs(a * b[j]);
                }
                continue;
            }
            for (size_t j = 0; j < n; j++) {
                long double product =
                    (long double)a * sb_call_value(call, 1, tb ? j * k + p : p * n + j);
                magnitude[j] += (double)fabsl(product);
                if (wide)
                    wide[j] = p ? wide[j] + product : product;
                else
                    sum[j] += (double)product;
            }
        }
        for (size_t j = 0; wide && j < n; j++)
            sum[j] = (double)wide[j];
    }
    free(wide);
}

const struct sb_operation sb_operation_gemm = {
    .name = "gemm",
    .summary = "matrix product C[m,n] = A[m,k]*B[k,n], each also transposed",
    .sizes = "mnk",
    .shape = {512, 512, 512},
    .reduced = "k",
    .row = 'm',
    .matters = "threads isa batch alignment",
    .operands = {{"a", SB_ROLE_IN, "mk", SB_FILL_WIDE, .transposed_by = 1},
                 {"b", SB_ROLE_IN, "kn", SB_FILL_WIDE, .transposed_by = 2},
                 {"c", SB_ROLE_OUT, "mn", SB_FILL_NOTHING}},
    .attributes = {{"transpose_a", 0, 0, 1, "A is stored [k,m]"},
                   {"transpose_b", 0, 0, 1, "B is stored [n,k]"}},
    .oracle = oracle,
};
