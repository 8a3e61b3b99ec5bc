/* Tests, stand-in for libcudnn: handle and descriptors; see dnn.h. */
#include "kernels/tests/standin/dnn.h"

#include <string.h>

const char sb_standin_dnn[] = "cuDNN handle", sb_standin_tensor[] = "tensor descriptor",
           sb_standin_filter[] = "filter descriptor",
           sb_standin_convolution[] = "convolution descriptor",
           sb_standin_pooling[] = "pooling descriptor",
           sb_standin_activation[] = "activation descriptor";

cudnnStatus_t sb_standin_dnn_status(bool good) {
    return good ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

static cudaDataType type_of(cudnnDataType_t type) {
    switch (type) {
    case CUDNN_DATA_HALF:
        return CUDA_R_16F;
    case CUDNN_DATA_BFLOAT16:
        return CUDA_R_16BF;
    case CUDNN_DATA_DOUBLE:
        return CUDA_R_64F;
    default:
        return CUDA_R_32F;
    }
}

bool sb_standin_dnn_ready(const char *who, cudnnHandle_t handle) {
    return sb_standin_is(who, sb_standin_dnn, handle) && sb_standin_is_stream(who, handle->stream);
}

size_t sb_standin_dnn_elements(const int dims[4]) {
    return (size_t)dims[0] * (size_t)dims[1] * (size_t)dims[2] * (size_t)dims[3];
}

bool sb_standin_dnn_memory(const char *who, const char *what, const void *at, size_t bytes) {
    if ((size_t)at % 16) {
        sb_standin_refuse("%s: %s is not aligned to 16 bytes", who, what);
        return false;
    }
    return sb_standin_on_device(who, what, at, bytes);
}

bool sb_standin_dnn_tensor(const char *who, const char *what, cudnnTensorDescriptor_t tensor,
                           const void *at) {
    if (!sb_standin_is(who, sb_standin_tensor, tensor))
        return false;
    if (!tensor->dims[0]) {
        sb_standin_refuse("%s: the descriptor of %s was never set", who, what);
        return false;
    }
    return sb_standin_dnn_memory(
        who, what, at, sb_standin_dnn_elements(tensor->dims) * sb_standin_size(tensor->type));
}

bool sb_standin_dnn_shape(const char *who, const char *what, cudnnTensorDescriptor_t tensor,
                          cudaDataType type, int n, int c, int h, int w) {
    const int *d = tensor->dims;
    if (tensor->type == type && d[0] == n && d[1] == c && d[2] == h && d[3] == w)
        return true;
    sb_standin_refuse("%s: %s is [%d,%d,%d,%d] of type %d, wanted is [%d,%d,%d,%d] of type %d", who,
                      what, d[0], d[1], d[2], d[3], (int)tensor->type, n, c, h, w, (int)type);
    return false;
}

bool sb_standin_dnn_scalars(const char *who, cudaDataType type, const void *alpha,
                            const void *beta) {
    cudaDataType scalar = type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F;
    if (!sb_standin_on_host(who, "alpha", alpha) || !sb_standin_on_host(who, "beta", beta))
        return false;
    if (sb_standin_value(scalar, alpha, 0) == 1 && sb_standin_value(scalar, beta, 0) == 0)
        return true;
    sb_standin_refuse("%s: the stand-in knows alpha 1 and beta 0 alone", who);
    return false;
}

double sb_standin_dnn_sum(cudaDataType type, const double *terms, size_t n, size_t first) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double term = terms[(first + i) % n];
        sum = type == CUDA_R_64F ? sum + term : (double)(float)(sum + term);
    }
    return sum;
}

/* ---- Handle ---------------------------------------------------------------------------------- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle) {
    *handle = sb_standin_make(sb_standin_dnn, sizeof **handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle) {
    return sb_standin_dnn_status(sb_standin_free("cudnnDestroy", sb_standin_dnn, handle));
}

size_t cudnnGetVersion(void) {
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t code) {
    return code == CUDNN_STATUS_NOT_SUPPORTED ? "CUDNN_STATUS_NOT_SUPPORTED"
                                              : "refused by the stand-in";
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream) {
    if (!sb_standin_is("cudnnSetStream", sb_standin_dnn, handle) ||
        !sb_standin_is_stream("cudnnSetStream", stream))
        return CUDNN_STATUS_BAD_PARAM;
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t handle, cudaStream_t *stream) {
    if (!sb_standin_is("cudnnGetStream", sb_standin_dnn, handle))
        return CUDNN_STATUS_BAD_PARAM;
    *stream = handle->stream;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- Descriptors ------------------------------------------------------------------------------
 */

#define DEFINE_LIFE(create, destroy, type, kind)                                                   \
    cudnnStatus_t create(type *made) {                                                             \
        *made = sb_standin_make(kind, sizeof **made);                                              \
        return CUDNN_STATUS_SUCCESS;                                                               \
    }                                                                                              \
    cudnnStatus_t destroy(type gone) {                                                             \
        return sb_standin_dnn_status(sb_standin_free(#destroy, kind, gone));                       \
    }
DEFINE_LIFE(cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor, cudnnTensorDescriptor_t,
            sb_standin_tensor)
DEFINE_LIFE(cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor, cudnnFilterDescriptor_t,
            sb_standin_filter)
DEFINE_LIFE(cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor,
            cudnnConvolutionDescriptor_t, sb_standin_convolution)
DEFINE_LIFE(cudnnCreatePoolingDescriptor, cudnnDestroyPoolingDescriptor, cudnnPoolingDescriptor_t,
            sb_standin_pooling)
DEFINE_LIFE(cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor,
            cudnnActivationDescriptor_t, sb_standin_activation)

static bool positive(const char *who, const int dims[4]) {
    for (int i = 0; i < 4; i++) {
        if (dims[i] > 0)
            continue;
        sb_standin_refuse("%s: dimension %d is %d", who, i, dims[i]);
        return false;
    }
    return true;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
    static const char who[] = "cudnnSetTensor4dDescriptor";
    const int dims[4] = {n, c, h, w};
    if (!sb_standin_is(who, sb_standin_tensor, tensor) || !positive(who, dims))
        return CUDNN_STATUS_BAD_PARAM;
    if (format != CUDNN_TENSOR_NCHW)
        return CUDNN_STATUS_NOT_SUPPORTED;
    tensor->type = type_of(type);
    memcpy(tensor->dims, dims, sizeof dims);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t filter, cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k, int c, int h, int w) {
    static const char who[] = "cudnnSetFilter4dDescriptor";
    const int dims[4] = {k, c, h, w};
    if (!sb_standin_is(who, sb_standin_filter, filter) || !positive(who, dims))
        return CUDNN_STATUS_BAD_PARAM;
    if (format != CUDNN_TENSOR_NCHW)
        return CUDNN_STATUS_NOT_SUPPORTED;
    filter->type = type_of(type);
    memcpy(filter->dims, dims, sizeof dims);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t convolution, int pad_h,
                                              int pad_w, int u, int v, int dilation_h,
                                              int dilation_w, cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute) {
    if (!sb_standin_is("cudnnSetConvolution2dDescriptor", sb_standin_convolution, convolution))
        return CUDNN_STATUS_BAD_PARAM;
    if (pad_h < 0 || pad_w < 0 || u < 1 || v < 1 || dilation_h < 1 || dilation_w < 1) {
        sb_standin_refuse("cudnnSetConvolution2dDescriptor: padding %d, stride %d, dilation %d",
                          pad_h, u, dilation_h);
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (mode != CUDNN_CROSS_CORRELATION)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *convolution = (struct cudnnConvolutionStruct){
        {pad_h, pad_w}, {u, v}, {dilation_h, dilation_w}, true, compute, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t convolution,
                                          cudnnMathType_t math) {
    if (!sb_standin_is("cudnnSetConvolutionMathType", sb_standin_convolution, convolution))
        return CUDNN_STATUS_BAD_PARAM;
    convolution->math = math;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetPooling2dDescriptor(cudnnPoolingDescriptor_t pooling, cudnnPoolingMode_t mode,
                                          cudnnNanPropagation_t nan, int height, int width,
                                          int pad_h, int pad_w, int stride_h, int stride_w) {
    (void)nan;
    if (!sb_standin_is("cudnnSetPooling2dDescriptor", sb_standin_pooling, pooling))
        return CUDNN_STATUS_BAD_PARAM;
    if (pad_h >= height || pad_w >= width || stride_h < 1 || stride_w < 1) {
        sb_standin_refuse(
            "cudnnSetPooling2dDescriptor: a window of %dx%d with padding %d, stride %d", height,
            width, pad_h, stride_h);
        return CUDNN_STATUS_BAD_PARAM;
    }
    *pooling = (struct cudnnPoolingStruct){
        true, mode, {height, width}, {pad_h, pad_w}, {stride_h, stride_w}};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetActivationDescriptor(cudnnActivationDescriptor_t activation,
                                           cudnnActivationMode_t mode, cudnnNanPropagation_t nan,
                                           double coefficient) {
    (void)nan, (void)coefficient;
    if (!sb_standin_is("cudnnSetActivationDescriptor", sb_standin_activation, activation))
        return CUDNN_STATUS_BAD_PARAM;
    *activation = (struct cudnnActivationStruct){true, mode};
    return CUDNN_STATUS_SUCCESS;
}

/* ---- What descriptors say ---------------------------------------------------------------------
 */

static cudnnDataType_t name_of(cudaDataType type) {
    switch (type) {
    case CUDA_R_16F:
        return CUDNN_DATA_HALF;
    case CUDA_R_16BF:
        return CUDNN_DATA_BFLOAT16;
    case CUDA_R_64F:
        return CUDNN_DATA_DOUBLE;
    default:
        return CUDNN_DATA_FLOAT;
    }
}

/* As many of 4 as are asked for, the last one's stride first made. */
static void give(const int dims[4], int wanted, int *to, int *strides) {
    int stride = 1;
    for (int i = 3; i >= 0; i--) {
        if (i < wanted) {
            to[i] = dims[i];
            if (strides)
                strides[i] = stride;
        }
        stride *= dims[i];
    }
}

cudnnStatus_t cudnnGetTensorNdDescriptor(const cudnnTensorDescriptor_t tensor, int wanted,
                                         cudnnDataType_t *type, int *rank, int dims[],
                                         int strides[]) {
    if (!sb_standin_is("cudnnGetTensorNdDescriptor", sb_standin_tensor, tensor) ||
        wanted > CUDNN_DIM_MAX)
        return CUDNN_STATUS_BAD_PARAM;
    *type = name_of(tensor->type);
    *rank = 4;
    give(tensor->dims, wanted, dims, strides);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetFilterNdDescriptor(const cudnnFilterDescriptor_t filter, int wanted,
                                         cudnnDataType_t *type, cudnnTensorFormat_t *format,
                                         int *rank, int dims[]) {
    if (!sb_standin_is("cudnnGetFilterNdDescriptor", sb_standin_filter, filter) ||
        wanted > CUDNN_DIM_MAX)
        return CUDNN_STATUS_BAD_PARAM;
    *type = name_of(filter->type);
    *format = CUDNN_TENSOR_NCHW;
    *rank = 4;
    give(filter->dims, wanted, dims, NULL);
    return CUDNN_STATUS_SUCCESS;
}

/* Of windows cuDNN gives no more than CUDNN_DIM_MAX - 2 dimensions. */
static bool is_window(const char *who, const char *kind, const void *descriptor, int wanted) {
    if (!sb_standin_is(who, kind, descriptor))
        return false;
    if (wanted >= 2 && wanted <= CUDNN_DIM_MAX - 2)
        return true;
    sb_standin_refuse("%s: %d dimensions are asked for", who, wanted);
    return false;
}

static void give_window(const int padding[2], const int stride[2], int *paddings, int *strides) {
    memcpy(paddings, padding, 2 * sizeof *padding);
    memcpy(strides, stride, 2 * sizeof *stride);
}

cudnnStatus_t cudnnGetConvolutionNdDescriptor(const cudnnConvolutionDescriptor_t window, int wanted,
                                              int *rank, int paddings[], int strides[],
                                              int dilations[], cudnnConvolutionMode_t *mode,
                                              cudnnDataType_t *compute) {
    if (!is_window("cudnnGetConvolutionNdDescriptor", sb_standin_convolution, window, wanted))
        return CUDNN_STATUS_NOT_SUPPORTED;
    *rank = 2;
    give_window(window->padding, window->stride, paddings, strides);
    memcpy(dilations, window->dilation, sizeof window->dilation);
    *mode = CUDNN_CROSS_CORRELATION;
    *compute = window->compute;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionGroupCount(cudnnConvolutionDescriptor_t window, int *groups) {
    *groups = 1;
    return sb_standin_dnn_status(
        sb_standin_is("cudnnGetConvolutionGroupCount", sb_standin_convolution, window));
}

cudnnStatus_t cudnnGetPoolingNdDescriptor(const cudnnPoolingDescriptor_t pool, int wanted,
                                          cudnnPoolingMode_t *mode, cudnnNanPropagation_t *nan,
                                          int *rank, int windows[], int paddings[], int strides[]) {
    if (!is_window("cudnnGetPoolingNdDescriptor", sb_standin_pooling, pool, wanted))
        return CUDNN_STATUS_NOT_SUPPORTED;
    *mode = pool->mode;
    *nan = CUDNN_PROPAGATE_NAN;
    *rank = 2;
    memcpy(windows, pool->window, sizeof pool->window);
    give_window(pool->padding, pool->stride, paddings, strides);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetActivationDescriptor(const cudnnActivationDescriptor_t activation,
                                           cudnnActivationMode_t *mode, cudnnNanPropagation_t *nan,
                                           double *coefficient) {
    if (!sb_standin_is("cudnnGetActivationDescriptor", sb_standin_activation, activation))
        return CUDNN_STATUS_BAD_PARAM;
    *mode = activation->mode;
    *nan = CUDNN_PROPAGATE_NAN;
    *coefficient = 0;
    return CUDNN_STATUS_SUCCESS;
}
