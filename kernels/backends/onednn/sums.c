/* kernels, onednn: products and sums. */
#include "kernels/backends/onednn/primitive.h"

#include <errno.h>
#include <stdlib.h>

/* C[m,n] = A[m,k]·B[k,n] of memory that lies as the strides say. */
static int matmul(void *state, const struct sb_call *call, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k,
                  const dnnl_dim_t *strides_a, const dnnl_dim_t *strides_b, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    memory_layout a = memory_of(&primitive, 2, (dnnl_dim_t[]){m, k}, strides_a),
                  b = memory_of(&primitive, 2, (dnnl_dim_t[]){k, n}, strides_b),
                  c = memory_of(&primitive, 2, (dnnl_dim_t[]){m, n}, NULL);
    describe_matmul(&primitive, a, b, c);
    primitive_take(&primitive, DNNL_ARG_SRC, a, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_WEIGHTS, b, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_DST, c, call->operand[2]);
    return primitive_run(&primitive);
}

int onednn_gemm(void *state, const struct sb_call *call, struct sb_error *err) {
    dnnl_dim_t m = (dnnl_dim_t)call->size[0], n = (dnnl_dim_t)call->size[1],
               k = (dnnl_dim_t)call->size[2];
    const dnnl_dim_t a[] = {k, 1}, a_transposed[] = {1, m}, b[] = {n, 1}, b_transposed[] = {1, k};
    return matmul(state, call, m, n, k, call->attribute[0] != 0 ? a_transposed : a,
                  call->attribute[1] != 0 ? b_transposed : b, err);
}

int onednn_gemv(void *state, const struct sb_call *call, struct sb_error *err) {
    return matmul(state, call, (dnnl_dim_t)call->size[0], 1, (dnnl_dim_t)call->size[1], NULL, NULL,
                  err);
}

int onednn_dot(void *state, const struct sb_call *call, struct sb_error *err) {
    return matmul(state, call, 1, 1, (dnnl_dim_t)call->size[0], NULL, NULL, err);
}

/* Of x[rows, columns] over its rows, into an operand. */
static int reduce(void *state, const struct sb_call *call, dnnl_alg_kind_t kind, size_t rows,
                  size_t columns, size_t into, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t r = (dnnl_dim_t)rows, c = (dnnl_dim_t)columns;
    memory_layout x = memory_of(&primitive, 2, (dnnl_dim_t[]){r, c}, NULL),
                  y = memory_of(&primitive, 2, (dnnl_dim_t[]){1, c}, NULL);
    describe_reduction(&primitive, kind, x, y, 2);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, y, call->operand[into]);
    return primitive_run(&primitive);
}

/* oneDNN reduces nothing where there is one element. */
static bool is_single(const struct sb_call *call, size_t into) {
    if (call->size[0] != 1)
        return false;
    for (size_t i = 0; i < sb_call_elements(call, 0); i++)
        sb_call_store(call, into, i, sb_call_value(call, 0, i));
    return true;
}

int onednn_sum(void *state, const struct sb_call *call, struct sb_error *err) {
    return is_single(call, 1) ? 0
                              : reduce(state, call, dnnl_reduction_sum, call->size[0], 1, 1, err);
}

int onednn_bias_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    return is_single(call, 1)
               ? 0
               : reduce(state, call, dnnl_reduction_sum, call->size[0], call->size[1], 1, err);
}

int onednn_gradient_norm(void *state, const struct sb_call *call, struct sb_error *err) {
    int rc = 0;
    if (call->size[0] == 1) {
        double only = sb_call_value(call, 0, 0);
        sb_call_store(call, 1, 0, only < 0 ? -only : only);
    } else {
        rc = reduce(state, call, dnnl_reduction_norm_lp_sum, call->size[0], 1, 1, err);
    }
    if (rc == 0)
        sb_call_store_norm(call, sb_call_value(call, 1, 0));
    return rc;
}

/* What layer normalisation finds out on its way. */
int onednn_mean(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t m = (dnnl_dim_t)call->size[0], n = (dnnl_dim_t)call->size[1];
    float *normalised = malloc(call->size[0] * call->size[1] * sizeof *normalised);
    if (!normalised)
        return sb_error_errno(err, -ENOMEM, "mean");
    memory_layout x = memory_of(&primitive, 2, (dnnl_dim_t[]){m, n}, NULL),
                  of_rows = memory_f32(&primitive, 1, &m);
    describe_layernorm(&primitive, x, of_rows, 1e-5f, 0);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, x, normalised);
    primitive_take(&primitive, DNNL_ARG_MEAN, of_rows, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_VARIANCE, of_rows, call->operand[2]);
    int rc = primitive_run(&primitive);
    free(normalised);
    return rc;
}
