/* Tests, stand-in for libcudnn: pools, activations, softmax and batch normalisation. */
#include "kernels/tests/standin/dnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What any of these is about; each takes of it what it needs. */
struct layer {
    cudaDataType type;
    int image[4], small[4]; /* x and dx; y and dy of a pool */
    struct cudnnPoolingStruct pool;
    bool fast;
    double factor, epsilon;
    const void *in[5];
    void *out[5];
};

static double in(const struct layer *of, int i, size_t at) {
    return sb_standin_value(of->type, of->in[i], at);
}

static void out(const struct layer *of, int i, size_t at, double value) {
    sb_standin_store(of->type, of->out[i], at, value);
}

static bool start(const char *who, cudaStream_t stream, void (*work)(void *),
                  const struct layer *of) {
    bool good = sb_standin_enqueue(who, stream, work, of, sizeof *of);
    if (good)
        sb_standin_fault(who, stream, of->type, of->out[0]);
    return good;
}

/* ---- Pools ----------------------------------------------------------------------------------- */

/* Places in a plane of the image that the window at (p, q) holds; their number. */
static size_t window(const struct layer *of, int p, int q, size_t *places) {
    size_t n = 0;
    for (int r = 0; r < of->pool.window[0]; r++) {
        for (int s = 0; s < of->pool.window[1]; s++) {
            int h = p * of->pool.stride[0] + r - of->pool.padding[0];
            int w = q * of->pool.stride[1] + s - of->pool.padding[1];
            if (h >= 0 && w >= 0 && h < of->image[2] && w < of->image[3])
                places[n++] = (size_t)h * (size_t)of->image[3] + (size_t)w;
        }
    }
    return n;
}

static bool takes_max(const struct layer *of) {
    return of->pool.mode == CUDNN_POOLING_MAX || of->pool.mode == CUDNN_POOLING_MAX_DETERMINISTIC;
}

static double divisor(const struct layer *of, size_t n) {
    return of->pool.mode == CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING
               ? of->pool.window[0] * of->pool.window[1]
               : (double)n;
}

static void pool_forward(void *arg) {
    const struct layer *of = arg;
    size_t places[64], image = (size_t)of->image[2] * (size_t)of->image[3],
                       small = (size_t)of->small[2] * (size_t)of->small[3];
    for (size_t i = 0; i < sb_standin_dnn_elements(of->small); i++) {
        size_t base = i / small * image;
        size_t n = window(of, (int)(i % small / (size_t)of->small[3]),
                          (int)(i % (size_t)of->small[3]), places);
        double top = -INFINITY, sum = 0;
        for (size_t t = 0; t < n; t++) {
            top = fmax(top, in(of, 0, base + places[t]));
            sum += in(of, 0, base + places[t]);
        }
        out(of, 0, i, takes_max(of) ? top : sum / divisor(of, n));
    }
}

/* Windows that overlap add to the same element; where the mode is CUDNN_POOLING_MAX, in any order.
 * in: x y dy (a mean's x and y are not read). */
static void pool_backward(void *arg) {
    const struct layer *of = arg;
    size_t places[64], image = (size_t)of->image[2] * (size_t)of->image[3],
                       small = (size_t)of->small[2] * (size_t)of->small[3],
                       windows = sb_standin_dnn_elements(of->small);
    size_t *order = calloc(windows, sizeof *order);
    if (!order)
        abort();
    for (size_t i = 0; i < windows; i++) { /* each is put before one that has come */
        size_t other = of->pool.mode == CUDNN_POOLING_MAX ? sb_standin_random((unsigned)i + 1) : i;
        order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < sb_standin_dnn_elements(of->image); i++)
        out(of, 0, i, 0);
    for (size_t turn = 0; turn < windows; turn++) {
        size_t i = order[turn], base = i / small * image;
        size_t n = window(of, (int)(i % small / (size_t)of->small[3]),
                          (int)(i % (size_t)of->small[3]), places);
        bool given = false;
        for (size_t t = 0; t < n && !given; t++) {
            size_t at = base + places[t];
            if (takes_max(of) && in(of, 0, at) != in(of, 1, i))
                continue;
            given = takes_max(of);
            double share = in(of, 2, i) / (given ? 1 : divisor(of, n));
            out(of, 0, at, sb_standin_value(of->type, of->out[0], at) + share);
        }
    }
    free(order);
}

static bool pool_fits(const char *who, cudnnPoolingDescriptor_t pool, cudnnTensorDescriptor_t image,
                      cudnnTensorDescriptor_t small, struct layer *of) {
    if (!sb_standin_is(who, sb_standin_pooling, pool) || !pool->set ||
        pool->window[0] * pool->window[1] > 64)
        return false;
    int size[2];
    for (int i = 0; i < 2; i++)
        size[i] =
            (image->dims[2 + i] + 2 * pool->padding[i] - pool->window[i]) / pool->stride[i] + 1;
    of->pool = *pool;
    of->type = image->type;
    memcpy(of->image, image->dims, sizeof of->image);
    memcpy(of->small, small->dims, sizeof of->small);
    return sb_standin_dnn_shape(who, "y", small, image->type, image->dims[0], image->dims[1],
                                size[0], size[1]);
}

cudnnStatus_t cudnnPoolingForward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t pool,
                                  const void *alpha, const cudnnTensorDescriptor_t x_desc,
                                  const void *x, const void *beta,
                                  const cudnnTensorDescriptor_t y_desc, void *y) {
    static const char who[] = "cudnnPoolingForward";
    struct layer of = {.in = {x}, .out = {y}};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && sb_standin_dnn_tensor(who, "x", x_desc, x) &&
        sb_standin_dnn_tensor(who, "y", y_desc, y) && pool_fits(who, pool, x_desc, y_desc, &of) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        start(who, handle->stream, pool_forward, &of));
}

cudnnStatus_t cudnnPoolingBackward(cudnnHandle_t handle, const cudnnPoolingDescriptor_t pool,
                                   const void *alpha, const cudnnTensorDescriptor_t y_desc,
                                   const void *y, const cudnnTensorDescriptor_t dy_desc,
                                   const void *dy, const cudnnTensorDescriptor_t x_desc,
                                   const void *x, const void *beta,
                                   const cudnnTensorDescriptor_t dx_desc, void *dx) {
    static const char who[] = "cudnnPoolingBackward";
    struct layer of = {.in = {x, y, dy}, .out = {dx}};
    return sb_standin_dnn_status(sb_standin_dnn_ready(who, handle) &&
                                 sb_standin_dnn_tensor(who, "x", x_desc, x) &&
                                 sb_standin_dnn_tensor(who, "y", y_desc, y) &&
                                 sb_standin_dnn_tensor(who, "dy", dy_desc, dy) &&
                                 sb_standin_dnn_tensor(who, "dx", dx_desc, dx) &&
                                 pool_fits(who, pool, dx_desc, dy_desc, &of) &&
                                 sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
                                 start(who, handle->stream, pool_backward, &of));
}

/* ---- relu ------------------------------------------------------------------------------------ */

static void relu_forward(void *arg) {
    const struct layer *of = arg;
    for (size_t i = 0; i < sb_standin_dnn_elements(of->image); i++) {
        double x = in(of, 0, i);
        out(of, 0, i, x > 0 || isnan(x) ? x : 0);
    }
}

static void relu_backward(void *arg) {
    const struct layer *of = arg;
    for (size_t i = 0; i < sb_standin_dnn_elements(of->image); i++)
        out(of, 0, i, in(of, 0, i) > 0 ? in(of, 1, i) : 0);
}

static bool alike(const char *who, const char *what, cudnnTensorDescriptor_t tensor, const void *at,
                  cudnnTensorDescriptor_t as, struct layer *of) {
    const int *d = as->dims;
    of->type = as->type;
    memcpy(of->image, d, sizeof of->image);
    return sb_standin_dnn_tensor(who, what, tensor, at) &&
           sb_standin_dnn_shape(who, what, tensor, as->type, d[0], d[1], d[2], d[3]);
}

static bool is_relu(const char *who, cudnnActivationDescriptor_t activation) {
    return sb_standin_is(who, sb_standin_activation, activation) && activation->set &&
           activation->mode == CUDNN_ACTIVATION_RELU;
}

cudnnStatus_t cudnnActivationForward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation,
                                     const void *alpha, const cudnnTensorDescriptor_t x_desc,
                                     const void *x, const void *beta,
                                     const cudnnTensorDescriptor_t y_desc, void *y) {
    static const char who[] = "cudnnActivationForward";
    struct layer of = {.in = {x}, .out = {y}};
    return sb_standin_dnn_status(sb_standin_dnn_ready(who, handle) && is_relu(who, activation) &&
                                 sb_standin_dnn_tensor(who, "x", x_desc, x) &&
                                 alike(who, "y", y_desc, y, x_desc, &of) &&
                                 sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
                                 start(who, handle->stream, relu_forward, &of));
}

cudnnStatus_t cudnnActivationBackward(cudnnHandle_t handle, cudnnActivationDescriptor_t activation,
                                      const void *alpha, const cudnnTensorDescriptor_t y_desc,
                                      const void *y, const cudnnTensorDescriptor_t dy_desc,
                                      const void *dy, const cudnnTensorDescriptor_t x_desc,
                                      const void *x, const void *beta,
                                      const cudnnTensorDescriptor_t dx_desc, void *dx) {
    static const char who[] = "cudnnActivationBackward";
    struct layer of = {.in = {x, dy}, .out = {dx}};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && is_relu(who, activation) &&
        sb_standin_dnn_tensor(who, "x", x_desc, x) && alike(who, "y", y_desc, y, x_desc, &of) &&
        alike(who, "dy", dy_desc, dy, x_desc, &of) && alike(who, "dx", dx_desc, dx, x_desc, &of) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        start(who, handle->stream, relu_backward, &of));
}

/* ---- A bias ---------------------------------------------------------------------------------- */

/* in: bias, of one image; out: what it is added to. */
static void add_bias(void *arg) {
    const struct layer *of = arg;
    size_t plane = (size_t)of->image[2] * (size_t)of->image[3], channels = (size_t)of->image[1];
    for (size_t i = 0; i < sb_standin_dnn_elements(of->image); i++)
        out(of, 0, i, sb_standin_value(of->type, of->out[0], i) + in(of, 0, i / plane % channels));
}

static void bias_backward(void *arg) {
    const struct layer *of = arg;
    size_t plane = (size_t)of->image[2] * (size_t)of->image[3], channels = (size_t)of->image[1];
    for (size_t c = 0; c < channels; c++) {
        double sum = 0;
        for (size_t i = 0; i < sb_standin_dnn_elements(of->image); i++)
            sum += i / plane % channels == c ? in(of, 0, i) : 0;
        out(of, 0, c, sum);
    }
}

static bool is_one(cudaDataType type, const void *scalar) {
    return type == CUDA_R_64F ? *(const double *)scalar == 1 : *(const float *)scalar == 1;
}

/* A bias of as many channels as the images have. */
static bool bias_fits(const char *who, cudnnTensorDescriptor_t bias, cudnnTensorDescriptor_t images,
                      struct layer *of) {
    of->type = images->type;
    memcpy(of->image, images->dims, sizeof of->image);
    return sb_standin_dnn_shape(who, "the bias", bias, images->type, 1, images->dims[1], 1, 1);
}

cudnnStatus_t cudnnAddTensor(cudnnHandle_t handle, const void *alpha,
                             const cudnnTensorDescriptor_t a_desc, const void *a, const void *beta,
                             const cudnnTensorDescriptor_t c_desc, void *c) {
    static const char who[] = "cudnnAddTensor";
    struct layer of = {.in = {a}, .out = {c}};
    if (!sb_standin_dnn_ready(who, handle) || !sb_standin_dnn_tensor(who, "a", a_desc, a) ||
        !sb_standin_dnn_tensor(who, "c", c_desc, c) || !bias_fits(who, a_desc, c_desc, &of))
        return CUDNN_STATUS_BAD_PARAM;
    if (!is_one(of.type, alpha) || !is_one(of.type, beta)) {
        sb_standin_refuse("%s: the stand-in knows alpha = beta = 1 alone", who);
        return CUDNN_STATUS_BAD_PARAM;
    }
    return sb_standin_dnn_status(sb_standin_enqueue(who, handle->stream, add_bias, &of, sizeof of));
}

cudnnStatus_t cudnnConvolutionBackwardBias(cudnnHandle_t handle, const void *alpha,
                                           const cudnnTensorDescriptor_t dy_desc, const void *dy,
                                           const void *beta, const cudnnTensorDescriptor_t db_desc,
                                           void *db) {
    static const char who[] = "cudnnConvolutionBackwardBias";
    struct layer of = {.in = {dy}, .out = {db}};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && sb_standin_dnn_tensor(who, "dy", dy_desc, dy) &&
        sb_standin_dnn_tensor(who, "db", db_desc, db) && bias_fits(who, db_desc, dy_desc, &of) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        sb_standin_enqueue(who, handle->stream, bias_backward, &of, sizeof of));
}

/* ---- softmax --------------------------------------------------------------------------------- */

/* Over the channels of images of one pixel. */
static void softmax_forward(void *arg) {
    const struct layer *of = arg;
    size_t c = (size_t)of->image[1];
    for (size_t i = 0; i < (size_t)of->image[0]; i++) {
        double top = of->fast ? 0 : -INFINITY, sum = 0;
        for (size_t j = 0; j < c && !of->fast; j++)
            top = fmax(top, in(of, 0, i * c + j));
        for (size_t j = 0; j < c; j++)
            sum += exp(in(of, 0, i * c + j) - top);
        for (size_t j = 0; j < c; j++)
            out(of, 0, i * c + j, exp(in(of, 0, i * c + j) - top) / sum);
    }
}

static void softmax_backward(void *arg) {
    const struct layer *of = arg;
    size_t c = (size_t)of->image[1];
    for (size_t i = 0; i < (size_t)of->image[0]; i++) {
        double sum = 0;
        for (size_t j = i * c; j < (i + 1) * c; j++)
            sum += in(of, 0, j) * in(of, 1, j);
        for (size_t j = i * c; j < (i + 1) * c; j++)
            out(of, 0, j, in(of, 0, j) * (in(of, 1, j) - sum));
    }
}

static bool softmax_fits(const char *who, cudnnSoftmaxAlgorithm_t algorithm,
                         cudnnSoftmaxMode_t mode, struct layer *of) {
    of->fast = algorithm == CUDNN_SOFTMAX_FAST;
    if (mode == CUDNN_SOFTMAX_MODE_CHANNEL && algorithm != CUDNN_SOFTMAX_LOG &&
        of->image[2] * of->image[3] == 1)
        return true;
    sb_standin_refuse("%s: the stand-in knows softmax over channels of one pixel alone", who);
    return false;
}

cudnnStatus_t cudnnSoftmaxForward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm,
                                  cudnnSoftmaxMode_t mode, const void *alpha,
                                  const cudnnTensorDescriptor_t x_desc, const void *x,
                                  const void *beta, const cudnnTensorDescriptor_t y_desc, void *y) {
    static const char who[] = "cudnnSoftmaxForward";
    struct layer of = {.in = {x}, .out = {y}};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && sb_standin_dnn_tensor(who, "x", x_desc, x) &&
        alike(who, "y", y_desc, y, x_desc, &of) && softmax_fits(who, algorithm, mode, &of) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        start(who, handle->stream, softmax_forward, &of));
}

cudnnStatus_t cudnnSoftmaxBackward(cudnnHandle_t handle, cudnnSoftmaxAlgorithm_t algorithm,
                                   cudnnSoftmaxMode_t mode, const void *alpha,
                                   const cudnnTensorDescriptor_t y_desc, const void *y,
                                   const cudnnTensorDescriptor_t dy_desc, const void *dy,
                                   const void *beta, const cudnnTensorDescriptor_t dx_desc,
                                   void *dx) {
    static const char who[] = "cudnnSoftmaxBackward";
    struct layer of = {.in = {y, dy}, .out = {dx}};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && sb_standin_dnn_tensor(who, "y", y_desc, y) &&
        alike(who, "dy", dy_desc, dy, y_desc, &of) && alike(who, "dx", dx_desc, dx, y_desc, &of) &&
        softmax_fits(who, algorithm, mode, &of) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        start(who, handle->stream, softmax_backward, &of));
}

/* ---- Batch normalisation -----------------------------------------------------------------------
 */

/* Place of the i-th element of channel c. */
static size_t place(const struct layer *of, size_t c, size_t i) {
    size_t image = (size_t)of->image[2] * (size_t)of->image[3];
    return (i / image * (size_t)of->image[1] + c) * image + i % image;
}

/* in: x gamma beta; out: y mean inverse, then the running mean and variance. */
static void batchnorm_forward(void *arg) {
    const struct layer *of = arg;
    size_t channels = (size_t)of->image[1], n = sb_standin_dnn_elements(of->image) / channels;
    for (size_t c = 0; c < channels; c++) {
        double mean = 0, variance = 0, factor = of->factor;
        for (size_t i = 0; i < n; i++)
            mean += in(of, 0, place(of, c, i)) / (double)n;
        for (size_t i = 0; i < n; i++)
            variance += pow(in(of, 0, place(of, c, i)) - mean, 2) / (double)n;
        double inverse = 1 / sqrt(variance + of->epsilon);
        for (size_t i = 0; i < n; i++)
            out(of, 0, place(of, c, i),
                (in(of, 0, place(of, c, i)) - mean) * inverse * in(of, 1, c) + in(of, 2, c));
        double unbiased = n > 1 ? variance * (double)n / (double)(n - 1) : variance;
        out(of, 1, c, mean);
        out(of, 2, c, inverse);
        out(of, 3, c, sb_standin_value(of->type, of->out[3], c) * (1 - factor) + mean * factor);
        out(of, 4, c, sb_standin_value(of->type, of->out[4], c) * (1 - factor) + unbiased * factor);
    }
}

/* in: x gamma mean inverse dy; out: dx dgamma dbeta. */
static void batchnorm_backward(void *arg) {
    const struct layer *of = arg;
    size_t channels = (size_t)of->image[1], n = sb_standin_dnn_elements(of->image) / channels;
    for (size_t c = 0; c < channels; c++) {
        double gamma = in(of, 1, c), mean = in(of, 2, c), inverse = in(of, 3, c);
        double sum = 0, product = 0;
        for (size_t i = 0; i < n; i++) {
            size_t at = place(of, c, i);
            sum += in(of, 4, at);
            product += in(of, 4, at) * (in(of, 0, at) - mean) * inverse;
        }
        for (size_t i = 0; i < n; i++) {
            size_t at = place(of, c, i);
            double normal = (in(of, 0, at) - mean) * inverse;
            out(of, 0, at,
                gamma * inverse * (in(of, 4, at) - sum / (double)n - normal * product / (double)n));
        }
        out(of, 1, c, product);
        out(of, 2, c, sum);
    }
}

/* The descriptor of what there is one of a channel, and memory for that at every address. */
static bool channels(const char *who, cudnnTensorDescriptor_t desc, const struct layer *of,
                     const void *const *at, int n) {
    for (int i = 0; i < n; i++) {
        if (!sb_standin_dnn_tensor(who, "a value of every channel", desc, at[i]))
            return false;
    }
    return sb_standin_dnn_shape(who, "what is of every channel", desc,
                                of->type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F, 1, of->image[1],
                                1, 1) &&
           (of->type == CUDA_R_32F || of->type == CUDA_R_64F);
}

cudnnStatus_t cudnnBatchNormalizationForwardTraining(
    cudnnHandle_t handle, cudnnBatchNormMode_t mode, const void *alpha, const void *beta,
    const cudnnTensorDescriptor_t x_desc, const void *x, const cudnnTensorDescriptor_t y_desc,
    void *y, const cudnnTensorDescriptor_t desc, const void *scale, const void *bias, double factor,
    void *running_mean, void *running_variance, double epsilon, void *mean, void *inverse) {
    static const char who[] = "cudnnBatchNormalizationForwardTraining";
    struct layer of = {.factor = factor,
                       .epsilon = epsilon,
                       .in = {x, scale, bias},
                       .out = {y, mean, inverse, running_mean, running_variance}};
    const void *const each[] = {scale, bias, running_mean, running_variance, mean, inverse};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && mode == CUDNN_BATCHNORM_SPATIAL &&
        epsilon >= CUDNN_BN_MIN_EPSILON && sb_standin_dnn_tensor(who, "x", x_desc, x) &&
        alike(who, "y", y_desc, y, x_desc, &of) && channels(who, desc, &of, each, 6) &&
        sb_standin_dnn_scalars(who, of.type, alpha, beta) &&
        start(who, handle->stream, batchnorm_forward, &of));
}

cudnnStatus_t cudnnBatchNormalizationBackward(cudnnHandle_t handle, cudnnBatchNormMode_t mode,
                                              const void *alpha_data, const void *beta_data,
                                              const void *alpha_param, const void *beta_param,
                                              const cudnnTensorDescriptor_t x_desc, const void *x,
                                              const cudnnTensorDescriptor_t dy_desc, const void *dy,
                                              const cudnnTensorDescriptor_t dx_desc, void *dx,
                                              const cudnnTensorDescriptor_t desc, const void *scale,
                                              void *dscale, void *dbias, double epsilon,
                                              const void *mean, const void *inverse) {
    static const char who[] = "cudnnBatchNormalizationBackward";
    struct layer of = {
        .epsilon = epsilon, .in = {x, scale, mean, inverse, dy}, .out = {dx, dscale, dbias}};
    const void *const each[] = {scale, dscale, dbias, mean, inverse};
    return sb_standin_dnn_status(
        sb_standin_dnn_ready(who, handle) && mode == CUDNN_BATCHNORM_SPATIAL &&
        sb_standin_dnn_tensor(who, "x", x_desc, x) && alike(who, "dy", dy_desc, dy, x_desc, &of) &&
        alike(who, "dx", dx_desc, dx, x_desc, &of) && channels(who, desc, &of, each, 5) &&
        sb_standin_dnn_scalars(who, of.type, alpha_data, beta_data) &&
        sb_standin_dnn_scalars(who, of.type, alpha_param, beta_param) &&
        start(who, handle->stream, batchnorm_backward, &of));
}
