/* The trace: layers of cuDNN, interposed. What they are stands in descriptors, which are asked.
 * What decides how a layer is computed is no input: algorithm, workspace, type of sums, and of
 * modes those that promise the same in another way. */
#include "probe/trace_tensor.h"

#include <string.h>

/* ---- Descriptors ------------------------------------------------------------------------------
 */

/* Those that are not there describe nothing. */
static struct sb_cudnn_tensor tensor_of(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    struct sb_cudnn_tensor tensor = {0};
    int dims[SB_TENSOR_RANK], strides[SB_TENSOR_RANK];
    if (!descriptor ||
        SB_ASK("cudnnGetTensorNdDescriptor", (const void *, int, int *, int *, int *, int *),
               descriptor, SB_TENSOR_RANK, &tensor.type, &tensor.rank, dims, strides) != 0)
        tensor.rank = 0;
    for (int i = 0; i < tensor.rank && i < SB_TENSOR_RANK; i++) {
        tensor.dims[i] = dims[i];
        tensor.strides[i] = strides[i];
    }
    return tensor;
}

static void tensor(struct sb_layer *layer, const void *descriptor, const void *at,
                   unsigned access) {
    const struct sb_cudnn_tensor of = tensor_of(layer, descriptor);
    sb_layer_tensor(layer, &of, at, access);
}

/* What may be left out. */
static void optional(struct sb_layer *layer, const void *descriptor, const void *at,
                     unsigned access) {
    uint8_t there = at != NULL;
    sb_layer_mix(layer, &there, 1);
    if (at)
        tensor(layer, descriptor, at, access);
}

/* The one that the call's shape is of. */
static void first(struct sb_layer *layer, const void *descriptor, const void *at) {
    const struct sb_cudnn_tensor of = tensor_of(layer, descriptor);
    sb_layer_sizes(layer, &of);
    sb_layer_tensor(layer, &of, at, SB_READ);
}

/* Filters have no gaps, whatever their format says of the order. */
static struct sb_cudnn_tensor filter_of(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    struct sb_cudnn_tensor filter = {0};
    int dims[SB_TENSOR_RANK], format = -1;
    if (!descriptor ||
        SB_ASK("cudnnGetFilterNdDescriptor", (const void *, int, int *, int *, int *, int *),
               descriptor, SB_TENSOR_RANK, &filter.type, &format, &filter.rank, dims) != 0)
        filter.rank = 0;
    int64_t stride = 1;
    for (int i = filter.rank - 1; i >= 0 && filter.rank <= SB_TENSOR_RANK; i--) {
        filter.dims[i] = dims[i];
        filter.strides[i] = stride;
        stride *= dims[i];
    }
    sb_layer_mix(layer, &format, sizeof format);
    return filter;
}

static void filter(struct sb_layer *layer, const void *descriptor, const void *at,
                   unsigned access) {
    const struct sb_cudnn_tensor of = filter_of(layer, descriptor);
    sb_layer_sizes(layer, &of);
    sb_layer_tensor(layer, &of, at, access);
}

static void convolution(struct sb_layer *layer, void *descriptor) {
    const void *caller = layer->caller;
    int n = 0, mode = 0, compute, groups = 0, parts[3][SB_WINDOW_RANK];
    bool known = SB_ASK("cudnnGetConvolutionNdDescriptor",
                        (const void *, int, int *, int *, int *, int *, int *, int *), descriptor,
                        SB_WINDOW_RANK, &n, parts[0], parts[1], parts[2], &mode, &compute) == 0 &&
                 SB_ASK("cudnnGetConvolutionGroupCount", (void *, int *), descriptor, &groups) == 0;
    layer->failed = layer->failed || !known || n < 0 || n > SB_WINDOW_RANK;
    for (int i = 0; i < 3 && !layer->failed; i++)
        sb_layer_mix(layer, parts[i], (size_t)n * sizeof(int));
    sb_layer_mix(layer, &mode, sizeof mode);
    sb_layer_mix(layer, &groups, sizeof groups);
}

/* True: it takes the largest. */
static bool pooling(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    int n = 0, mode = 0, nan = 0, parts[3][SB_WINDOW_RANK];
    bool known = SB_ASK("cudnnGetPoolingNdDescriptor",
                        (const void *, int, int *, int *, int *, int *, int *, int *), descriptor,
                        SB_WINDOW_RANK, &mode, &nan, &n, parts[0], parts[1], parts[2]) == 0;
    layer->failed = layer->failed || !known || n < 0 || n > SB_WINDOW_RANK;
    for (int i = 0; i < 3 && !layer->failed; i++)
        sb_layer_mix(layer, parts[i], (size_t)n * sizeof(int));
    if (mode == SB_CUDNN_POOLING_MAX_DETERMINISTIC)
        mode = SB_CUDNN_POOLING_MAX;
    sb_layer_mix(layer, &mode, sizeof mode);
    sb_layer_mix(layer, &nan, sizeof nan);
    return mode == SB_CUDNN_POOLING_MAX;
}

static void activation(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    int mode = 0, nan = 0;
    double coefficient = 0;
    layer->failed = layer->failed ||
                    SB_ASK("cudnnGetActivationDescriptor", (const void *, int *, int *, double *),
                           descriptor, &mode, &nan, &coefficient) != 0;
    sb_layer_mix(layer, &mode, sizeof mode);
    sb_layer_mix(layer, &nan, sizeof nan);
    sb_layer_mix(layer, &coefficient, sizeof coefficient);
}

static void operation(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    int operation = 0, compute, nan = 0;
    layer->failed =
        layer->failed || SB_ASK("cudnnGetOpTensorDescriptor", (const void *, int *, int *, int *),
                                descriptor, &operation, &compute, &nan) != 0;
    sb_layer_mix(layer, &operation, sizeof operation);
    sb_layer_mix(layer, &nan, sizeof nan);
}

static void reduction(struct sb_layer *layer, const void *descriptor) {
    const void *caller = layer->caller;
    int operation = 0, compute, nan = 0, indices, type;
    layer->failed =
        layer->failed ||
        SB_ASK("cudnnGetReduceTensorDescriptor", (const void *, int *, int *, int *, int *, int *),
               descriptor, &operation, &compute, &nan, &indices, &type) != 0;
    sb_layer_mix(layer, &operation, sizeof operation);
    sb_layer_mix(layer, &nan, sizeof nan);
}

/* ---- Factors and other numbers ----------------------------------------------------------------
 */

/* On the host; doubles where the call's tensors are. False: it is zero, of either sign. */
static bool factor(struct sb_layer *layer, const void *at) {
    double value = 0;
    float narrow;
    layer->failed = layer->failed || !at;
    if (layer->failed)
        return true;
    if (layer->call->element == sizeof value) {
        memcpy(&value, at, sizeof value);
    } else {
        memcpy(&narrow, at, sizeof narrow);
        value = (double)narrow;
    }
    sb_layer_mix(layer, &value, sizeof value);
    return value != 0;
}

static void output(struct sb_layer *layer, const void *descriptor, void *at, const void *beta) {
    tensor(layer, descriptor, at, factor(layer, beta) ? SB_READ | SB_WRITTEN : SB_WRITTEN);
}

static void number(struct sb_layer *layer, double value) {
    sb_layer_mix(layer, &value, sizeof value);
}

#define CUDNN(symbol, parameters, arguments, ...)                                                  \
    SB_CUDA_CALL(cudnnStatus_t, symbol, #symbol, parameters, arguments,                            \
                 struct sb_layer layer = sb_layer_begin(&call, handle, caller), *l = &layer;       \
                 __VA_ARGS__; sb_layer_end(l))

/* ---- Convolutions -----------------------------------------------------------------------------
 */

CUDNN(cudnnConvolutionForward,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x,
       const cudnnFilterDescriptor_t of_w, const void *w, const cudnnConvolutionDescriptor_t how,
       cudnnConvolutionFwdAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
       const cudnnTensorDescriptor_t of_y, void *y),
      (handle, alpha, of_x, x, of_w, w, how, algorithm, workspace, bytes, beta, of_y, y),
      first(l, of_x, x);
      filter(l, of_w, w, SB_READ); convolution(l, how); factor(l, alpha); output(l, of_y, y, beta))
CUDNN(cudnnConvolutionBiasActivationForward,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x,
       const cudnnFilterDescriptor_t of_w, const void *w, const cudnnConvolutionDescriptor_t how,
       cudnnConvolutionFwdAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
       const cudnnTensorDescriptor_t of_z, const void *z, const cudnnTensorDescriptor_t of_bias,
       const void *bias, const cudnnActivationDescriptor_t then, const cudnnTensorDescriptor_t of_y,
       void *y),
      (handle, alpha, of_x, x, of_w, w, how, algorithm, workspace, bytes, beta, of_z, z, of_bias,
       bias, then, of_y, y),
      first(l, of_x, x);
      filter(l, of_w, w, SB_READ); convolution(l, how); factor(l, alpha);
      if (factor(l, beta)) tensor(l, of_z, z, SB_READ); tensor(l, of_bias, bias, SB_READ);
      activation(l, then); tensor(l, of_y, y, SB_WRITTEN))
CUDNN(cudnnConvolutionBackwardData,
      (cudnnHandle_t handle, const void *alpha, const cudnnFilterDescriptor_t of_w, const void *w,
       const cudnnTensorDescriptor_t of_dy, const void *dy, const cudnnConvolutionDescriptor_t how,
       cudnnConvolutionBwdDataAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
       const cudnnTensorDescriptor_t of_dx, void *dx),
      (handle, alpha, of_w, w, of_dy, dy, how, algorithm, workspace, bytes, beta, of_dx, dx),
      first(l, of_dy, dy);
      filter(l, of_w, w, SB_READ); convolution(l, how); factor(l, alpha);
      output(l, of_dx, dx, beta))
CUDNN(cudnnConvolutionBackwardFilter,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x,
       const cudnnTensorDescriptor_t of_dy, const void *dy, const cudnnConvolutionDescriptor_t how,
       cudnnConvolutionBwdFilterAlgo_t algorithm, void *workspace, size_t bytes, const void *beta,
       const cudnnFilterDescriptor_t of_dw, void *dw),
      (handle, alpha, of_x, x, of_dy, dy, how, algorithm, workspace, bytes, beta, of_dw, dw),
      first(l, of_x, x);
      tensor(l, of_dy, dy, SB_READ); convolution(l, how); factor(l, alpha);
      filter(l, of_dw, dw, factor(l, beta) ? SB_READ | SB_WRITTEN : SB_WRITTEN))
CUDNN(cudnnConvolutionBackwardBias,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_dy, const void *dy,
       const void *beta, const cudnnTensorDescriptor_t of_db, void *db),
      (handle, alpha, of_dy, dy, beta, of_db, db), first(l, of_dy, dy);
      factor(l, alpha); output(l, of_db, db, beta))

/* ---- Pools, activations, softmax --------------------------------------------------------------
 */

CUDNN(cudnnPoolingForward,
      (cudnnHandle_t handle, const cudnnPoolingDescriptor_t how, const void *alpha,
       const cudnnTensorDescriptor_t of_x, const void *x, const void *beta,
       const cudnnTensorDescriptor_t of_y, void *y),
      (handle, how, alpha, of_x, x, beta, of_y, y), first(l, of_x, x);
      pooling(l, how); factor(l, alpha); output(l, of_y, y, beta))
/* Of means x and y are not read. */
CUDNN(
    cudnnPoolingBackward,
    (cudnnHandle_t handle, const cudnnPoolingDescriptor_t how, const void *alpha,
     const cudnnTensorDescriptor_t of_y, const void *y, const cudnnTensorDescriptor_t of_dy,
     const void *dy, const cudnnTensorDescriptor_t of_x, const void *x, const void *beta,
     const cudnnTensorDescriptor_t of_dx, void *dx),
    (handle, how, alpha, of_y, y, of_dy, dy, of_x, x, beta, of_dx, dx), first(l, of_dy, dy);
    if (pooling(l, how)) {
        optional(l, of_x, x, SB_READ);
        optional(l, of_y, y, SB_READ);
    } factor(l, alpha);
    output(l, of_dx, dx, beta))
CUDNN(cudnnActivationForward,
      (cudnnHandle_t handle, cudnnActivationDescriptor_t how, const void *alpha,
       const cudnnTensorDescriptor_t of_x, const void *x, const void *beta,
       const cudnnTensorDescriptor_t of_y, void *y),
      (handle, how, alpha, of_x, x, beta, of_y, y), first(l, of_x, x);
      activation(l, how); factor(l, alpha); output(l, of_y, y, beta))
CUDNN(cudnnActivationBackward,
      (cudnnHandle_t handle, cudnnActivationDescriptor_t how, const void *alpha,
       const cudnnTensorDescriptor_t of_y, const void *y, const cudnnTensorDescriptor_t of_dy,
       const void *dy, const cudnnTensorDescriptor_t of_x, const void *x, const void *beta,
       const cudnnTensorDescriptor_t of_dx, void *dx),
      (handle, how, alpha, of_y, y, of_dy, dy, of_x, x, beta, of_dx, dx), first(l, of_dy, dy);
      activation(l, how); optional(l, of_x, x, SB_READ); optional(l, of_y, y, SB_READ);
      factor(l, alpha); output(l, of_dx, dx, beta))
#define SOFTMAX                                                                                    \
    number(l, algorithm == SB_CUDNN_SOFTMAX_LOG);                                                  \
    number(l, mode)
CUDNN(cudnnSoftmaxForward,
      (cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
       const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x, const void *beta,
       const cudnnTensorDescriptor_t of_y, void *y),
      (handle, algorithm, mode, alpha, of_x, x, beta, of_y, y), first(l, of_x, x);
      SOFTMAX; factor(l, alpha); output(l, of_y, y, beta))
CUDNN(cudnnSoftmaxBackward,
      (cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm, cudnnSoftmaxMode_t mode,
       const void *alpha, const cudnnTensorDescriptor_t of_y, const void *y,
       const cudnnTensorDescriptor_t of_dy, const void *dy, const void *beta,
       const cudnnTensorDescriptor_t of_dx, void *dx),
      (handle, algorithm, mode, alpha, of_y, y, of_dy, dy, beta, of_dx, dx), first(l, of_y, y);
      SOFTMAX; tensor(l, of_dy, dy, SB_READ); factor(l, alpha); output(l, of_dx, dx, beta))

/* ---- Batch normalisation ----------------------------------------------------------------------
 */

/* The reserved memory is the library's own, made of what is read and written here. */
static void batchnorm(struct sb_layer *l, int mode, double epsilon) {
    number(l, mode == SB_CUDNN_BATCHNORM_SPATIAL_PERSISTENT ? SB_CUDNN_BATCHNORM_SPATIAL : mode);
    number(l, epsilon);
}

/* What it was does not matter where the new one takes all. */
static void running(struct sb_layer *l, const void *of, double share, void *mean, void *variance) {
    unsigned access = share == 1 ? SB_WRITTEN : SB_READ | SB_WRITTEN;
    number(l, share);
    optional(l, of, mean, access);
    optional(l, of, variance, access);
}

CUDNN(cudnnBatchNormalizationForwardTraining,
      (cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
       const cudnnTensorDescriptor_t of_x, const void *x, const cudnnTensorDescriptor_t of_y,
       void *y, const cudnnTensorDescriptor_t of_channels, const void *scale, const void *bias,
       double share, void *mean, void *variance, double epsilon, void *saved_mean,
       void *saved_inverse),
      (handle, mode, alpha, beta, of_x, x, of_y, y, of_channels, scale, bias, share, mean, variance,
       epsilon, saved_mean, saved_inverse),
      first(l, of_x, x);
      batchnorm(l, mode, epsilon); tensor(l, of_channels, scale, SB_READ);
      tensor(l, of_channels, bias, SB_READ); factor(l, alpha); output(l, of_y, y, beta);
      running(l, of_channels, share, mean, variance);
      optional(l, of_channels, saved_mean, SB_WRITTEN);
      optional(l, of_channels, saved_inverse, SB_WRITTEN))
CUDNN(cudnnBatchNormalizationForwardTrainingEx,
      (cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t what, const void *alpha,
       const void *beta, const cudnnTensorDescriptor_t of_x, const void *x,
       const cudnnTensorDescriptor_t of_z, const void *z, const cudnnTensorDescriptor_t of_y,
       void *y, const cudnnTensorDescriptor_t of_channels, const void *scale, const void *bias,
       double share, void *mean, void *variance, double epsilon, void *saved_mean,
       void *saved_inverse, cudnnActivationDescriptor_t then, void *workspace, size_t bytes,
       void *reserve, size_t reserved),
      (handle, mode, what, alpha, beta, of_x, x, of_z, z, of_y, y, of_channels, scale, bias, share,
       mean, variance, epsilon, saved_mean, saved_inverse, then, workspace, bytes, reserve,
       reserved),
      first(l, of_x, x);
      batchnorm(l, mode, epsilon); number(l, what);
      if (what != SB_CUDNN_BATCHNORM_OPS_BN && then) activation(l, then);
      optional(l, of_z, z, SB_READ); tensor(l, of_channels, scale, SB_READ);
      tensor(l, of_channels, bias, SB_READ); factor(l, alpha); output(l, of_y, y, beta);
      running(l, of_channels, share, mean, variance);
      optional(l, of_channels, saved_mean, SB_WRITTEN);
      optional(l, of_channels, saved_inverse, SB_WRITTEN))
CUDNN(cudnnBatchNormalizationForwardInference,
      (cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
       const cudnnTensorDescriptor_t of_x, const void *x, const cudnnTensorDescriptor_t of_y,
       void *y, const cudnnTensorDescriptor_t of_channels, const void *scale, const void *bias,
       const void *mean, const void *variance, double epsilon),
      (handle, mode, alpha, beta, of_x, x, of_y, y, of_channels, scale, bias, mean, variance,
       epsilon),
      first(l, of_x, x);
      batchnorm(l, mode, epsilon); tensor(l, of_channels, scale, SB_READ);
      tensor(l, of_channels, bias, SB_READ); tensor(l, of_channels, mean, SB_READ);
      tensor(l, of_channels, variance, SB_READ); factor(l, alpha); output(l, of_y, y, beta))

/* Gradients of scale and bias have factors of their own. */
static void parameters(struct sb_layer *l, const void *of, const void *alpha, const void *beta,
                       void *scale, void *bias) {
    factor(l, alpha);
    output(l, of, scale, beta);
    output(l, of, bias, beta);
}

CUDNN(cudnnBatchNormalizationBackward,
      (cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
       const void *alpha_parameters, const void *beta_parameters,
       const cudnnTensorDescriptor_t of_x, const void *x, const cudnnTensorDescriptor_t of_dy,
       const void *dy, const cudnnTensorDescriptor_t of_dx, void *dx,
       const cudnnTensorDescriptor_t of_channels, const void *scale, void *dscale, void *dbias,
       double epsilon, const void *saved_mean, const void *saved_inverse),
      (handle, mode, alpha, beta, alpha_parameters, beta_parameters, of_x, x, of_dy, dy, of_dx, dx,
       of_channels, scale, dscale, dbias, epsilon, saved_mean, saved_inverse),
      first(l, of_x, x);
      batchnorm(l, mode, epsilon); tensor(l, of_dy, dy, SB_READ);
      tensor(l, of_channels, scale, SB_READ); optional(l, of_channels, saved_mean, SB_READ);
      optional(l, of_channels, saved_inverse, SB_READ); factor(l, alpha);
      output(l, of_dx, dx, beta);
      parameters(l, of_channels, alpha_parameters, beta_parameters, dscale, dbias))
CUDNN(cudnnBatchNormalizationBackwardEx,
      (cudnnHandle_t handle, cudnnBatchNormMode_t mode, cudnnBatchNormOps_t what, const void *alpha,
       const void *beta, const void *alpha_parameters, const void *beta_parameters,
       const cudnnTensorDescriptor_t of_x, const void *x, const cudnnTensorDescriptor_t of_y,
       const void *y, const cudnnTensorDescriptor_t of_dy, const void *dy,
       const cudnnTensorDescriptor_t of_dz, void *dz, const cudnnTensorDescriptor_t of_dx, void *dx,
       const cudnnTensorDescriptor_t of_channels, const void *scale, const void *bias, void *dscale,
       void *dbias, double epsilon, const void *saved_mean, const void *saved_inverse,
       cudnnActivationDescriptor_t then, void *workspace, size_t bytes, void *reserve,
       size_t reserved),
      (handle, mode, what, alpha, beta, alpha_parameters, beta_parameters, of_x, x, of_y, y, of_dy,
       dy, of_dz, dz, of_dx, dx, of_channels, scale, bias, dscale, dbias, epsilon, saved_mean,
       saved_inverse, then, workspace, bytes, reserve, reserved),
      first(l, of_x, x);
      batchnorm(l, mode, epsilon); number(l, what);
      if (what != SB_CUDNN_BATCHNORM_OPS_BN && then) activation(l, then);
      optional(l, of_y, y, SB_READ); tensor(l, of_dy, dy, SB_READ);
      tensor(l, of_channels, scale, SB_READ); optional(l, of_channels, bias, SB_READ);
      optional(l, of_channels, saved_mean, SB_READ);
      optional(l, of_channels, saved_inverse, SB_READ); factor(l, alpha);
      output(l, of_dx, dx, beta); optional(l, of_dz, dz, SB_WRITTEN);
      parameters(l, of_channels, alpha_parameters, beta_parameters, dscale, dbias))

/* ---- Tensors ----------------------------------------------------------------------------------
 */

CUDNN(cudnnOpTensor,
      (cudnnHandle_t handle, const cudnnOpTensorDescriptor_t how, const void *alpha_a,
       const cudnnTensorDescriptor_t of_a, const void *a, const void *alpha_b,
       const cudnnTensorDescriptor_t of_b, const void *b, const void *beta,
       const cudnnTensorDescriptor_t of_c, void *c),
      (handle, how, alpha_a, of_a, a, alpha_b, of_b, b, beta, of_c, c), first(l, of_a, a);
      operation(l, how); factor(l, alpha_a); optional(l, of_b, b, SB_READ); factor(l, alpha_b);
      output(l, of_c, c, beta))
/* The indices that some of them give are made of the same. */
CUDNN(cudnnReduceTensor,
      (cudnnHandle_t handle, const cudnnReduceTensorDescriptor_t how, void *indices,
       size_t n_indices, void *workspace, size_t bytes, const void *alpha,
       const cudnnTensorDescriptor_t of_a, const void *a, const void *beta,
       const cudnnTensorDescriptor_t of_c, void *c),
      (handle, how, indices, n_indices, workspace, bytes, alpha, of_a, a, beta, of_c, c),
      first(l, of_a, a);
      reduction(l, how); factor(l, alpha); output(l, of_c, c, beta))
CUDNN(cudnnAddTensor,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_a, const void *a,
       const void *beta, const cudnnTensorDescriptor_t of_c, void *c),
      (handle, alpha, of_a, a, beta, of_c, c), first(l, of_a, a);
      factor(l, alpha); output(l, of_c, c, beta))
CUDNN(cudnnTransformTensor,
      (cudnnHandle_t handle, const void *alpha, const cudnnTensorDescriptor_t of_x, const void *x,
       const void *beta, const cudnnTensorDescriptor_t of_y, void *y),
      (handle, alpha, of_x, x, beta, of_y, y), first(l, of_x, x);
      factor(l, alpha); output(l, of_y, y, beta))

/* ---- Dropout ----------------------------------------------------------------------------------
 */

/* The states of the generator decide what is dropped. */
static void dropout(struct sb_layer *l, void *descriptor, void *handle, bool forward) {
    const void *caller = l->caller;
    float share = 0;
    void *states = NULL;
    unsigned long long seed = 0;
    size_t n = 0;
    l->failed = l->failed ||
                SB_ASK("cudnnGetDropoutDescriptor",
                       (void *, void *, float *, void **, unsigned long long *), descriptor, handle,
                       &share, &states, &seed) != 0 ||
                SB_ASK("cudnnDropoutGetStatesSize", (void *, size_t *), handle, &n) != 0;
    number(l, (double)share);
    if (forward && share > 0)
        sb_layer_bytes(l, states, n, SB_READ);
}

CUDNN(cudnnDropoutForward,
      (cudnnHandle_t handle, const cudnnDropoutDescriptor_t how, const cudnnTensorDescriptor_t of_x,
       const void *x, const cudnnTensorDescriptor_t of_y, void *y, void *reserve, size_t reserved),
      (handle, how, of_x, x, of_y, y, reserve, reserved), first(l, of_x, x);
      dropout(l, how, handle, true); tensor(l, of_y, y, SB_WRITTEN))
/* What was dropped stands in the reserved memory. */
CUDNN(cudnnDropoutBackward,
      (cudnnHandle_t handle, const cudnnDropoutDescriptor_t how,
       const cudnnTensorDescriptor_t of_dy, const void *dy, const cudnnTensorDescriptor_t of_dx,
       void *dx, void *reserve, size_t reserved),
      (handle, how, of_dy, dy, of_dx, dx, reserve, reserved), first(l, of_dy, dy);
      dropout(l, how, handle, false); sb_layer_bytes(l, reserve, reserved, SB_READ);
      tensor(l, of_dx, dx, SB_WRITTEN))

/* ---- CTC --------------------------------------------------------------------------------------
 */

struct labels {
    const int *all, *lengths, *inputs;
    bool on_device;
};

static long sum_of(struct sb_layer *l, const struct labels *labels, int64_t n) {
    long sum = 0;
    for (int64_t i = 0; i < n && !l->failed; i++) {
        int length = 0;
        const struct sb_memory *memory = &l->call->memory;
        if (labels->on_device)
            l->failed = !memory->copy(memory, &length, labels->lengths + i, sizeof length,
                                      sizeof length, 1);
        else
            length = labels->lengths[i];
        l->failed = l->failed || length < 0;
        sum += length;
    }
    return sum;
}

static void put_labels(struct sb_layer *l, const int *labels, int64_t n, bool on_device) {
    size_t bytes = (size_t)n * sizeof *labels;
    if (on_device && !l->failed)
        sb_layer_bytes(l, labels, bytes, SB_READ);
    else if (!l->failed)
        sb_layer_mix(l, labels, bytes);
}

/* Probabilities are [time, batch, labels]; a cost for each of the batch. */
static void ctc(struct sb_layer *l, const void *of_probabilities, const void *probabilities,
                const struct labels *labels, void *costs, const void *of_gradients,
                void *gradients) {
    const struct sb_cudnn_tensor of = tensor_of(l, of_probabilities);
    int64_t n = of.rank >= 3 ? of.dims[1] : 0;
    sb_layer_sizes(l, &of);
    sb_layer_tensor(l, &of, probabilities, SB_READ);
    l->failed = l->failed || !n || !labels->all || !labels->lengths || !labels->inputs || !costs;
    long all = sum_of(l, labels, n);
    put_labels(l, labels->all, all, labels->on_device);
    put_labels(l, labels->lengths, n, labels->on_device);
    put_labels(l, labels->inputs, n, labels->on_device);
    sb_layer_bytes(l, costs, (size_t)n * sb_cudnn_element(of.type), SB_WRITTEN);
    optional(l, of_gradients, gradients, SB_WRITTEN);
}

CUDNN(cudnnCTCLoss,
      (cudnnHandle_t handle, const cudnnTensorDescriptor_t of_probabilities,
       const void *probabilities, const int labels[], const int lengths[], const int inputs[],
       void *costs, const cudnnTensorDescriptor_t of_gradients, void *gradients,
       cudnnCTCLossAlgo_t algorithm, cudnnCTCLossDescriptor_t how, void *workspace, size_t bytes),
      (handle, of_probabilities, probabilities, labels, lengths, inputs, costs, of_gradients,
       gradients, algorithm, how, workspace, bytes),
      ctc(l, of_probabilities, probabilities, &(struct labels){labels, lengths, inputs, false},
          costs, of_gradients, gradients))
CUDNN(cudnnCTCLoss_v8,
      (cudnnHandle_t handle, cudnnCTCLossAlgo_t algorithm, cudnnCTCLossDescriptor_t how,
       const cudnnTensorDescriptor_t of_probabilities, const void *probabilities,
       const int labels[], const int lengths[], const int inputs[], void *costs,
       const cudnnTensorDescriptor_t of_gradients, void *gradients, size_t bytes, void *workspace),
      (handle, algorithm, how, of_probabilities, probabilities, labels, lengths, inputs, costs,
       of_gradients, gradients, bytes, workspace),
      ctc(l, of_probabilities, probabilities, &(struct labels){labels, lengths, inputs, true},
          costs, of_gradients, gradients))
