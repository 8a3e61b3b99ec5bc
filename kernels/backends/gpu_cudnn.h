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
    X(cudnnConvolutionBackwardBias)                                                                \
    X(cudnnAddTensor)                                                                              \
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

/* Engines by number, as cuDNN counts them for an operation; a number that there is not is answered
 * with how many there are. */
#define SB_CUDNN_TEN(tens)                                                                         \
    "engine_" #tens "0", "engine_" #tens "1", "engine_" #tens "2", "engine_" #tens "3",            \
        "engine_" #tens "4", "engine_" #tens "5", "engine_" #tens "6", "engine_" #tens "7",        \
        "engine_" #tens "8", "engine_" #tens "9"
#define SB_CUDNN_ENGINES                                                                           \
    SB_CUDNN_TEN(), SB_CUDNN_TEN(1), SB_CUDNN_TEN(2), SB_CUDNN_TEN(3), SB_CUDNN_TEN(4),            \
        SB_CUDNN_TEN(5), SB_CUDNN_TEN(6), SB_CUDNN_TEN(7)

/* A graph of one operation. Descriptors in the order in which they were made; each refers to
 * earlier ones only. */
enum { SB_CUDNN_MOST_MADE = 16 };
struct sb_cudnn_graph {
    cudnnBackendDescriptor_t made[SB_CUDNN_MOST_MADE], operation;
    int n, n_data;
    void *data[3]; /* of the tensors whose ids are 1, 2 and 3 */
    int64_t engines;
};

struct sb_cudnn_setting {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t n;
    const void *value;
};

int sb_cudnn_make(const struct sb_cudnn *cudnn, struct sb_cudnn_graph *graph,
                  cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor,
                  struct sb_error *err);
/* Sets n attributes, and with that the descriptor is done. */
int sb_cudnn_finish(const struct sb_cudnn *cudnn, cudnnBackendDescriptor_t descriptor,
                    const struct sb_cudnn_setting *settings, size_t n, const char *what,
                    struct sb_error *err);
#define SB_CUDNN_FINISH(cudnn, descriptor, settings, what, err)                                    \
    sb_cudnn_finish(cudnn, descriptor, settings, sizeof settings / sizeof *settings, what, err)
/* A packed tensor of four dimensions, with an id from 1. */
int sb_cudnn_graph_tensor(const struct sb_cudnn *cudnn, const struct sb_call *call,
                          struct sb_cudnn_graph *graph, int64_t id, const int64_t dims[4],
                          cudnnBackendDescriptor_t *tensor, struct sb_error *err);

/* Makes the operation, and says where its tensors' data are. */
typedef int sb_cudnn_describe(const struct sb_cudnn *cudnn, const struct sb_call *call,
                              void *const device[], struct sb_cudnn_graph *graph,
                              struct sb_error *err);
/* By the engine that the algorithm names; without one, by the first that supports it. */
int sb_cudnn_compute(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                     sb_cudnn_describe *describe, struct sb_error *err);

/* cudnn_gelu.c: gelu and its gradient, by engines alone. */
extern const char *const sb_cudnn_gelu_algorithms[];
int sb_cudnn_gelu(void *state, const struct sb_call *call, struct sb_error *err);

/* cudnn_bias.c: adds it, and computes its gradient. */
int sb_cudnn_bias(void *state, const struct sb_call *call, struct sb_error *err);

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
