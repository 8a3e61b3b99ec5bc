/* kernels, cudnn: pools, relu, softmax and batch normalisation, with their gradients. */
#include "kernels/backends/gpu_cudnn.h"

#include <string.h>

/* ---- Pools ----------------------------------------------------------------------------------- */

const char *const sb_cudnn_max_algorithms[] = {"max", "max_deterministic", NULL};

static bool is_max(const struct sb_call *call) {
    return strncmp(call->operation->name, "max_pool", 8) == 0;
}

static cudnnPoolingMode_t pool_mode(const struct sb_cudnn *cudnn, const struct sb_call *call) {
    if (!is_max(call))
        return call->attribute[2] != 0 ? CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING
                                       : CUDNN_POOLING_AVERAGE_COUNT_EXCLUDE_PADDING;
    bool deterministic =
        call->algorithm ? sb_gpu_asked(call, "max_deterministic") : cudnn->deterministic;
    return deterministic ? CUDNN_POOLING_MAX_DETERMINISTIC : CUDNN_POOLING_MAX;
}

static void report_pool(const struct sb_call *call, cudnnPoolingMode_t mode, bool gradient) {
    if (mode == CUDNN_POOLING_MAX && gradient)
        sb_gpu_report(call, "max", SB_CLAIM_NONDETERMINISTIC,
                      "cuDNN documentation (Reproducibility): cudnnPoolingBackward with "
                      "CUDNN_POOLING_MAX does not repeat");
    else
        sb_gpu_report(call,
                      mode == CUDNN_POOLING_MAX                 ? "max"
                      : mode == CUDNN_POOLING_MAX_DETERMINISTIC ? "max_deterministic"
                                                                : "average",
                      SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
}

/* Sizes n c h w r s, then p q; operands x y, or dy dx, or x y dy dx. cuDNN's gradient of a mean
 * takes x and y too, and does not read them. */
static int run_pool(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                    cudnnPoolingDescriptor_t pool, cudnnTensorDescriptor_t image,
                    cudnnTensorDescriptor_t small, struct sb_error *err) {
    const void *one = sb_cudnn_one(call->dtype), *zero = sb_cudnn_zero(call->dtype);
    if (!strstr(call->operation->name, "gradient"))
        return sb_cudnn_check(cudnn,
                              cudnn->dnn.cudnnPoolingForward(cudnn->handle, pool, one, image,
                                                             device[0], zero, small, device[1]),
                              "cudnnPoolingForward", err);
    bool max = is_max(call);
    void *x = device[max ? 0 : 1], *y = device[max ? 1 : 0], *dy = device[max ? 2 : 0],
         *dx = device[max ? 3 : 1];
    return sb_cudnn_check(cudnn,
                          cudnn->dnn.cudnnPoolingBackward(cudnn->handle, pool, one, small, y, small,
                                                          dy, image, x, zero, image, dx),
                          "cudnnPoolingBackward", err);
}

static int pool(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                struct sb_error *err) {
    const size_t *size = call->size;
    cudnnPoolingDescriptor_t pool = NULL;
    cudnnTensorDescriptor_t tensors[2] = {0};
    cudnnPoolingMode_t mode = pool_mode(cudnn, call);
    int stride = (int)call->attribute[0], padding = (int)call->attribute[1];
    int rc = sb_cudnn_tensor(cudnn, call, size, &tensors[0], err);
    if (rc == 0)
        rc = sb_cudnn_tensor(cudnn, call, (const size_t[]){size[0], size[1], size[6], size[7]},
                             &tensors[1], err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreatePoolingDescriptor(&pool),
                            "cudnnCreatePoolingDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(
            cudnn,
            cudnn->dnn.cudnnSetPooling2dDescriptor(pool, mode, CUDNN_PROPAGATE_NAN, (int)size[4],
                                                   (int)size[5], padding, padding, stride, stride),
            "cudnnSetPooling2dDescriptor", err);
    if (rc == 0)
        rc = run_pool(cudnn, call, device, pool, tensors[0], tensors[1], err);
    report_pool(call, mode, strstr(call->operation->name, "gradient") != NULL);
    if (pool)
        cudnn->dnn.cudnnDestroyPoolingDescriptor(pool);
    sb_cudnn_drop(cudnn, tensors, 2);
    return rc;
}

int sb_cudnn_pool(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, pool, err);
}

/* ---- relu ------------------------------------------------------------------------------------ */

/* The gradient takes the x of relu too; what it asks of it, whether it is above 0, y answers. */
static int relu(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                struct sb_error *err) {
    cudnnActivationDescriptor_t activation = NULL;
    cudnnTensorDescriptor_t vector = NULL;
    const void *one = sb_cudnn_one(call->dtype), *zero = sb_cudnn_zero(call->dtype);
    int rc = sb_cudnn_tensor(cudnn, call, (const size_t[]){1, 1, 1, call->size[0]}, &vector, err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateActivationDescriptor(&activation),
                            "cudnnCreateActivationDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSetActivationDescriptor(
                                activation, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0),
                            "cudnnSetActivationDescriptor", err);
    if (rc == 0 && strcmp(call->operation->name, "relu") == 0)
        rc =
            sb_cudnn_check(cudnn,
                           cudnn->dnn.cudnnActivationForward(cudnn->handle, activation, one, vector,
                                                             device[0], zero, vector, device[1]),
                           "cudnnActivationForward", err);
    else if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnActivationBackward(
                                cudnn->handle, activation, one, vector, device[0], vector,
                                device[1], vector, device[0], zero, vector, device[2]),
                            "cudnnActivationBackward", err);
    sb_gpu_report(call, "relu", SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
    if (activation)
        cudnn->dnn.cudnnDestroyActivationDescriptor(activation);
    sb_cudnn_drop(cudnn, &vector, 1);
    return rc;
}

int sb_cudnn_relu(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, relu, err);
}

/* ---- softmax --------------------------------------------------------------------------------- */

const char *const sb_cudnn_softmax_algorithms[] = {"accurate", "fast", NULL};

/* Rows are images of one pixel, whose channels softmax is over. "fast" does not subtract the
 * largest element first. */
static int softmax(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                   struct sb_error *err) {
    const void *one = sb_cudnn_one(call->dtype), *zero = sb_cudnn_zero(call->dtype);
    cudnnTensorDescriptor_t rows = NULL;
    bool fast = sb_gpu_asked(call, "fast");
    cudnnSoftmaxAlgorithm_t algorithm = fast ? CUDNN_SOFTMAX_FAST : CUDNN_SOFTMAX_ACCURATE;
    int rc = sb_cudnn_tensor(cudnn, call, (const size_t[]){call->size[0], call->size[1], 1, 1},
                             &rows, err);
    if (rc == 0 && strcmp(call->operation->name, "softmax") == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSoftmaxForward(cudnn->handle, algorithm,
                                                           CUDNN_SOFTMAX_MODE_CHANNEL, one, rows,
                                                           device[0], zero, rows, device[1]),
                            "cudnnSoftmaxForward", err);
    else if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSoftmaxBackward(
                                cudnn->handle, algorithm, CUDNN_SOFTMAX_MODE_CHANNEL, one, rows,
                                device[0], rows, device[1], zero, rows, device[2]),
                            "cudnnSoftmaxBackward", err);
    sb_gpu_report(call, fast ? "fast" : "accurate", SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
    sb_cudnn_drop(cudnn, &rows, 1);
    return rc;
}

int sb_cudnn_softmax(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, softmax, err);
}

/* ---- Batch normalisation ----------------------------------------------------------------------
 */

/* Operands: x gamma beta running_mean running_variance y mean inverse_deviation; of the gradient
 * x gamma mean inverse_deviation dy dx dgamma dbeta. */
static int batchnorm(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                     struct sb_error *err) {
    const void *one = sb_cudnn_one(call->dtype), *zero = sb_cudnn_zero(call->dtype);
    const cudnnBatchNormMode_t mode = CUDNN_BATCHNORM_SPATIAL;
    cudnnTensorDescriptor_t tensors[2] = {0};
    int rc = sb_cudnn_tensor(cudnn, call, call->size, &tensors[0], err);
    if (rc == 0)
        rc = sb_cudnn_tensor(cudnn, call, (const size_t[]){1, call->size[1], 1, 1}, &tensors[1],
                             err);
    cudnnTensorDescriptor_t image = tensors[0], channels = tensors[1];
    double epsilon = call->attribute[0];
    if (rc == 0 && strcmp(call->operation->name, "batchnorm") == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnBatchNormalizationForwardTraining(
                                cudnn->handle, mode, one, zero, image, device[0], image, device[5],
                                channels, device[1], device[2], call->attribute[1], device[3],
                                device[4], epsilon, device[6], device[7]),
                            "cudnnBatchNormalizationForwardTraining", err);
    else if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnBatchNormalizationBackward(
                                cudnn->handle, mode, one, zero, one, zero, image, device[0], image,
                                device[4], image, device[5], channels, device[1], device[6],
                                device[7], epsilon, device[2], device[3]),
                            "cudnnBatchNormalizationBackward", err);
    sb_gpu_report(call, "spatial", SB_CLAIM_DETERMINISTIC, SB_CUDNN_REPEATS);
    sb_cudnn_drop(cudnn, tensors, 2);
    return rc;
}

int sb_cudnn_batchnorm(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, batchnorm, err);
}
