/* kernels: what the files of backend `cudnn` share. */
#ifndef SB_KERNELS_GPU_CUDNN_H
#define SB_KERNELS_GPU_CUDNN_H

#include "kernels/backends/gpu.h"

#include <cudnn.h>

#define SB_CUDNN_FUNCTIONS(X)                                                                      \
    X(cudnnCreate)                                                                                 \
    X(cudnnDestroy)                                                                                \
    X(cudnnGetVersion)                                                                             \
    X(cudnnGetErrorString)                                                                         \
    X(cudnnSetStream)                                                                              \
    X(cudnnCreateTensorDescriptor)                                                                 \
    X(cudnnDestroyTensorDescriptor)                                                                \
    X(cudnnSetTensor4dDescriptor)                                                                  \
    X(cudnnCreateFilterDescriptor)                                                                 \
    X(cudnnDestroyFilterDescriptor)                                                                \
    X(cudnnSetFilter4dDescriptor)                                                                  \
    X(cudnnCreateConvolutionDescriptor)                                                            \
    X(cudnnDestroyConvolutionDescriptor)                                                           \
    X(cudnnSetConvolution2dDescriptor)                                                             \
    X(cudnnSetConvolutionMathType)                                                                 \
    X(cudnnGetConvolutionForwardAlgorithm_v7)                                                      \
    X(cudnnGetConvolutionBackwardDataAlgorithm_v7)                                                 \
    X(cudnnGetConvolutionBackwardFilterAlgorithm_v7)                                               \
    X(cudnnGetConvolutionForwardWorkspaceSize)                                                     \
    X(cudnnGetConvolutionBackwardDataWorkspaceSize)                                                \
    X(cudnnGetConvolutionBackwardFilterWorkspaceSize)                                              \
    X(cudnnConvolutionForward)                                                                     \
    X(cudnnConvolutionBackwardData)                                                                \
    X(cudnnConvolutionBackwardFilter)                                                              \
    X(cudnnCreatePoolingDescriptor)                                                                \
    X(cudnnDestroyPoolingDescriptor)                                                               \
    X(cudnnSetPooling2dDescriptor)                                                                 \
    X(cudnnPoolingForward)                                                                         \
    X(cudnnPoolingBackward)                                                                        \
    X(cudnnCreateActivationDescriptor)                                                             \
    X(cudnnDestroyActivationDescriptor)                                                            \
    X(cudnnSetActivationDescriptor)                                                                \
    X(cudnnActivationForward)                                                                      \
    X(cudnnActivationBackward)                                                                     \
    X(cudnnSoftmaxForward)                                                                         \
    X(cudnnSoftmaxBackward)                                                                        \
    X(cudnnBatchNormalizationForwardTraining)                                                      \
    X(cudnnBatchNormalizationBackward)                                                             \
    X(cudnnSetTensorNdDescriptor)                                                                  \
    X(cudnnCreateCTCLossDescriptor)                                                                \
    X(cudnnDestroyCTCLossDescriptor)                                                               \
    X(cudnnSetCTCLossDescriptorEx)                                                                 \
    X(cudnnGetCTCLossWorkspaceSize)                                                                \
    X(cudnnCTCLoss)                                                                                \
    X(cudnnBackendCreateDescriptor)                                                                \
    X(cudnnBackendDestroyDescriptor)                                                               \
    X(cudnnBackendSetAttribute)                                                                    \
    X(cudnnBackendGetAttribute)                                                                    \
    X(cudnnBackendFinalize)                                                                        \
    X(cudnnBackendExecute)

struct sb_cudnn_functions {
    SB_CUDNN_FUNCTIONS(SB_GPU_SLOT)
};

struct sb_cudnn {
    struct sb_gpu gpu;
    struct sb_cudnn_functions dnn;
    cudnnHandle_t handle;
    bool deterministic;
};

/* Where the claims of routines without algorithms stand. */
#define SB_CUDNN_REPEATS "cuDNN documentation (Reproducibility): not among what does not repeat"

/* -ENOTSUP where cuDNN does not support it, else -EIO. */
int sb_cudnn_check(const struct sb_cudnn *cudnn, cudnnStatus_t code, const char *what,
                   struct sb_error *err);

cudnnDataType_t sb_cudnn_type(enum sb_dtype dtype);
/* alpha and beta: 1 and 0, in double for f64 and in float for all else. */
const void *sb_cudnn_one(enum sb_dtype dtype);
const void *sb_cudnn_zero(enum sb_dtype dtype);

/* A packed tensor [n,c,h,w]. Destroyed with the function below, also where making one failed. */
int sb_cudnn_tensor(const struct sb_cudnn *cudnn, const struct sb_call *call, const size_t dims[4],
                    cudnnTensorDescriptor_t *tensor, struct sb_error *err);
void sb_cudnn_drop(const struct sb_cudnn *cudnn, cudnnTensorDescriptor_t *tensors, size_t n);

/* Copies the operands, has `work` done on them, copies the outputs back. */
typedef int sb_cudnn_work(struct sb_cudnn *cudnn, const struct sb_call *call,
                          void *const device[SB_MAX_OPERANDS], struct sb_error *err);
int sb_cudnn_do(void *state, const struct sb_call *call, sb_cudnn_work *work, struct sb_error *err);

/* cudnn_convolution.c: all three directions. */
extern const char *const sb_cudnn_forward_algorithms[], *const sb_cudnn_data_algorithms[],
                                                            *const sb_cudnn_filter_algorithms[];
int sb_cudnn_convolution(void *state, const struct sb_call *call, struct sb_error *err);

/* cudnn_graph.c: the same by an engine of the graph interface, algorithms "engine_0" and on. */
sb_cudnn_work sb_cudnn_graph;

/* cudnn_ctc.c */
extern const char *const sb_cudnn_ctc_algorithms[];
int sb_cudnn_ctc(void *state, const struct sb_call *call, struct sb_error *err);

/* cudnn_layers.c: each also computes the gradient. */
extern const char *const sb_cudnn_max_algorithms[], *const sb_cudnn_softmax_algorithms[];
int sb_cudnn_pool(void *state, const struct sb_call *call, struct sb_error *err);
int sb_cudnn_relu(void *state, const struct sb_call *call, struct sb_error *err);
int sb_cudnn_softmax(void *state, const struct sb_call *call, struct sb_error *err);
int sb_cudnn_batchnorm(void *state, const struct sb_call *call, struct sb_error *err);

#endif
