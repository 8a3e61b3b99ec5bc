/* kernels, onednn: functions of single elements, of rows and of channels. */
#include "kernels/backends/onednn/primitive.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int onednn_bias_add(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t b = (dnnl_dim_t)call->size[0], n = (dnnl_dim_t)call->size[1];
    memory_layout x = memory_of(&primitive, 2, (dnnl_dim_t[]){b, n}, NULL),
                  bias = memory_of(&primitive, 2, (dnnl_dim_t[]){1, n}, NULL);
    describe_binary(&primitive, dnnl_binary_add, x, bias);
    primitive_take(&primitive, DNNL_ARG_SRC_0, x, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_SRC_1, bias, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[1]);
    return primitive_run(&primitive);
}

/* ---- Single elements ------------------------------------------------------------------------- */

static int elementwise(void *state, const struct sb_call *call, dnnl_alg_kind_t kind,
                       struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t n = (dnnl_dim_t)call->size[0];
    memory_layout x = memory_of(&primitive, 1, &n, NULL);
    describe_eltwise(&primitive, kind, x);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[1]);
    return primitive_run(&primitive);
}

/* `argument`: whether the first operand is the function's input or its output. */
static int elementwise_gradient(void *state, const struct sb_call *call, dnnl_alg_kind_t kind,
                                int argument, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t n = (dnnl_dim_t)call->size[0];
    memory_layout x = memory_of(&primitive, 1, &n, NULL);
    describe_eltwise_gradient(&primitive, kind, x);
    primitive_take(&primitive, argument, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DIFF_DST, x, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_DIFF_SRC, x, call->operand[2]);
    return primitive_run(&primitive);
}

int onednn_relu(void *state, const struct sb_call *call, struct sb_error *err) {
    return elementwise(state, call, dnnl_eltwise_relu, err);
}

int onednn_relu_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    return elementwise_gradient(state, call, dnnl_eltwise_relu_use_dst_for_bwd, DNNL_ARG_DST, err);
}

static dnnl_alg_kind_t gelu_kind(const struct sb_call *call) {
    return call->attribute[0] != 0 ? dnnl_eltwise_gelu_tanh : dnnl_eltwise_gelu_erf;
}

int onednn_gelu(void *state, const struct sb_call *call, struct sb_error *err) {
    return elementwise(state, call, gelu_kind(call), err);
}

int onednn_gelu_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    return elementwise_gradient(state, call, gelu_kind(call), DNNL_ARG_SRC, err);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

static memory_layout matrix(struct primitive *primitive) {
    const size_t *size = primitive->call->size;
    return memory_of(primitive, 2, (dnnl_dim_t[]){(dnnl_dim_t)size[0], (dnnl_dim_t)size[1]}, NULL);
}

int onednn_softmax(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    memory_layout x = matrix(&primitive);
    describe_softmax(&primitive, x);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[1]);
    return primitive_run(&primitive);
}

int onednn_softmax_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    memory_layout x = matrix(&primitive);
    describe_softmax_gradient(&primitive, x);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DIFF_DST, x, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_DIFF_SRC, x, call->operand[2]);
    return primitive_run(&primitive);
}

/* ---- Normalisation --------------------------------------------------------------------------- */

static const unsigned affine = dnnl_use_scale | dnnl_use_shift;

/* oneDNN saves the variance, an operation 1/√(variance + epsilon). */
static void invert(float *values, size_t n, double epsilon) {
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(1 / sqrt((double)values[i] + epsilon));
}

static float *variances(const float *inverse, size_t n, double epsilon) {
    float *values = malloc(n * sizeof *values);
    for (size_t i = 0; values && i < n; i++)
        values[i] = (float)fmax(1 / ((double)inverse[i] * inverse[i]) - epsilon, 0);
    return values;
}

int onednn_layernorm(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t b = (dnnl_dim_t)call->size[0], n = (dnnl_dim_t)call->size[1];
    memory_layout x = matrix(&primitive), of_rows = memory_f32(&primitive, 1, &b),
                  of_columns = memory_f32(&primitive, 1, &n);
    describe_layernorm(&primitive, x, of_rows, (float)call->attribute[0], affine);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_SCALE, of_columns, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_SHIFT, of_columns, call->operand[2]);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[3]);
    primitive_take(&primitive, DNNL_ARG_MEAN, of_rows, call->operand[4]);
    primitive_take(&primitive, DNNL_ARG_VARIANCE, of_rows, call->operand[5]);
    int rc = primitive_run(&primitive);
    if (rc == 0)
        invert(call->operand[5], call->size[0], call->attribute[0]);
    return rc;
}

/* A gradient does not read the shift, but some versions count it among the inputs that they must be
 * given, and others refuse it. The others are the five of normalisation_gradient. */
static bool wants_shift(const struct primitive *primitive) {
    int n_inputs = 0;
    return primitive->rc == 0 &&
           dnnl_primitive_desc_query(primitive->description, dnnl_query_num_of_inputs_s32, 0,
                                     &n_inputs) == dnnl_success &&
           n_inputs > 5;
}

/* Arguments of a normalisation's gradient, whose operands stand in one order for rows and for
 * channels; `statistics` of the moments, `weights` of gamma. */
static int normalisation_gradient(struct primitive *primitive, memory_layout x,
                                  memory_layout statistics, memory_layout weights,
                                  size_t n_statistics) {
    const struct sb_call *call = primitive->call;
    float *variance = variances(call->operand[3], n_statistics, call->attribute[0]);
    if (!variance && primitive->rc == 0)
        primitive->rc = sb_error_errno(primitive->err, -ENOMEM, "variances");
    primitive_take(primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(primitive, DNNL_ARG_SCALE, weights, call->operand[1]);
    if (wants_shift(primitive))
        primitive_take(primitive, DNNL_ARG_SHIFT, weights, call->operand[1]);
    primitive_take(primitive, DNNL_ARG_MEAN, statistics, call->operand[2]);
    primitive_take(primitive, DNNL_ARG_VARIANCE, statistics, variance);
    primitive_take(primitive, DNNL_ARG_DIFF_DST, x, call->operand[4]);
    primitive_take(primitive, DNNL_ARG_DIFF_SRC, x, call->operand[5]);
    primitive_take(primitive, DNNL_ARG_DIFF_SCALE, weights, call->operand[6]);
    primitive_take(primitive, DNNL_ARG_DIFF_SHIFT, weights, call->operand[7]);
    int rc = primitive_run(primitive);
    free(variance);
    return rc;
}

int onednn_layernorm_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t b = (dnnl_dim_t)call->size[0], n = (dnnl_dim_t)call->size[1];
    memory_layout x = matrix(&primitive), of_rows = memory_f32(&primitive, 1, &b),
                  of_columns = memory_f32(&primitive, 1, &n);
    describe_layernorm_gradient(&primitive, x, of_rows, (float)call->attribute[0], affine);
    return normalisation_gradient(&primitive, x, of_rows, of_columns, call->size[0]);
}

static memory_layout images(struct primitive *primitive) {
    dnnl_dim_t dims[4];
    for (int i = 0; i < 4; i++)
        dims[i] = (dnnl_dim_t)primitive->call->size[i];
    return memory_of(primitive, 4, dims, NULL);
}

/* Running statistics are the framework's affair, not oneDNN's. Their variance is over n - 1. */
static void run_on(const struct sb_call *call) {
    float *running_mean = call->operand[3], *running_variance = call->operand[4];
    const float *mean = call->operand[6], *variance = call->operand[7];
    float n = (float)(call->size[0] * call->size[2] * call->size[3]),
          factor = (float)call->attribute[1], unbiased = n > 1 ? n / (n - 1) : 1;
    for (size_t c = 0; c < call->size[1]; c++) {
        running_mean[c] = running_mean[c] * (1 - factor) + mean[c] * factor;
        running_variance[c] = running_variance[c] * (1 - factor) + variance[c] * unbiased * factor;
    }
}

int onednn_batchnorm(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t c = (dnnl_dim_t)call->size[1];
    memory_layout x = images(&primitive), of_channels = memory_f32(&primitive, 1, &c);
    describe_batchnorm(&primitive, x, (float)call->attribute[0], affine);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_SCALE, of_channels, call->operand[1]);
    primitive_take(&primitive, DNNL_ARG_SHIFT, of_channels, call->operand[2]);
    primitive_take(&primitive, DNNL_ARG_DST, x, call->operand[5]);
    primitive_take(&primitive, DNNL_ARG_MEAN, of_channels, call->operand[6]);
    primitive_take(&primitive, DNNL_ARG_VARIANCE, of_channels, call->operand[7]);
    int rc = primitive_run(&primitive);
    if (rc == 0) {
        run_on(call);
        invert(call->operand[7], call->size[1], call->attribute[0]);
    }
    return rc;
}

int onednn_batchnorm_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    dnnl_dim_t c = (dnnl_dim_t)call->size[1];
    memory_layout x = images(&primitive), of_channels = memory_f32(&primitive, 1, &c);
    describe_batchnorm_gradient(&primitive, x, (float)call->attribute[0], affine);
    return normalisation_gradient(&primitive, x, of_channels, of_channels, call->size[1]);
}
