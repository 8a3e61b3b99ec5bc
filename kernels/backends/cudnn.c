/* kernels: backend `cudnn`, NVIDIA's deep-learning primitives, loaded at run time. */
#include "kernels/backends/gpu_cudnn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int sb_cudnn_check(const struct sb_cudnn *cudnn, cudnnStatus_t code, const char *what,
                   struct sb_error *err) {
    if (code == CUDNN_STATUS_SUCCESS)
        return 0;
    bool unsupported = CUDNN_STATUS_CATEGORY((int)code) == CUDNN_STATUS_NOT_SUPPORTED;
    return sb_error_set(err, unsupported ? -ENOTSUP : -EIO, "%s: %s", what,
                        cudnn->dnn.cudnnGetErrorString(code));
}

cudnnDataType_t sb_cudnn_type(enum sb_dtype dtype) {
    switch (dtype) {
    case SB_DTYPE_F16:
        return CUDNN_DATA_HALF;
    case SB_DTYPE_BF16:
        return CUDNN_DATA_BFLOAT16;
    case SB_DTYPE_F64:
        return CUDNN_DATA_DOUBLE;
    default:
        return CUDNN_DATA_FLOAT;
    }
}

const void *sb_cudnn_one(enum sb_dtype dtype) {
    static const float f32 = 1;
    static const double f64 = 1;
    return dtype == SB_DTYPE_F64 ? (const void *)&f64 : &f32;
}

const void *sb_cudnn_zero(enum sb_dtype dtype) {
    static const float f32;
    static const double f64;
    return dtype == SB_DTYPE_F64 ? (const void *)&f64 : &f32;
}

int sb_cudnn_tensor(const struct sb_cudnn *cudnn, const struct sb_call *call, const size_t dims[4],
                    cudnnTensorDescriptor_t *tensor, struct sb_error *err) {
    int rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateTensorDescriptor(tensor),
                            "cudnnCreateTensorDescriptor", err);
    if (rc < 0)
        return rc;
    return sb_cudnn_check(cudnn,
                          cudnn->dnn.cudnnSetTensor4dDescriptor(
                              *tensor, CUDNN_TENSOR_NCHW, sb_cudnn_type(call->dtype), (int)dims[0],
                              (int)dims[1], (int)dims[2], (int)dims[3]),
                          "cudnnSetTensor4dDescriptor", err);
}

void sb_cudnn_drop(const struct sb_cudnn *cudnn, cudnnTensorDescriptor_t *tensors, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (tensors[i])
            cudnn->dnn.cudnnDestroyTensorDescriptor(tensors[i]);
    }
}

int sb_cudnn_do(void *state, const struct sb_call *call, sb_cudnn_work *work,
                struct sb_error *err) {
    struct sb_cudnn *cudnn = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_sizes(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cudnn->gpu, call, device, err);
    if (rc < 0)
        return rc;
    rc = work(cudnn, call, device, err);
    int given = sb_gpu_give(&cudnn->gpu, call, device, rc == 0 ? err : NULL);
    return rc < 0 ? rc : given;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void unload(void *state) {
    struct sb_cudnn *cudnn = state;
    if (cudnn->handle)
        cudnn->dnn.cudnnDestroy(cudnn->handle);
    sb_gpu_close(&cudnn->gpu);
    free(cudnn);
}

static int load(void **state, struct sb_error *err) {
    static const char *const names[] = {SB_CUDNN_FUNCTIONS(SB_GPU_NAME) NULL};
    char soname[32];
    struct sb_cudnn *cudnn = calloc(1, sizeof *cudnn);
    if (!cudnn)
        return sb_error_errno(err, -ENOMEM, "load");
    snprintf(soname, sizeof soname, "libcudnn.so.%d", CUDNN_MAJOR);
    int rc = sb_gpu_open(&cudnn->gpu, err);
    if (rc == 0)
        rc = sb_gpu_library(soname, names, &cudnn->dnn, sizeof cudnn->dnn, err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreate(&cudnn->handle), "cudnnCreate", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnSetStream(cudnn->handle, cudnn->gpu.stream),
                            "cudnnSetStream", err);
    if (rc < 0)
        unload(cudnn);
    else
        *state = cudnn;
    return rc;
}

/* cuDNN itself has no such switch: it is the choice of algorithms. */
static int set_deterministic(void *state, bool on, struct sb_error *err) {
    (void)err;
    ((struct sb_cudnn *)state)->deterministic = on;
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct sb_cudnn *cudnn = state;
    size_t version = cudnn->dnn.cudnnGetVersion();
    sb_gpu_describe(&cudnn->gpu, facts);
    snprintf(facts->version, sizeof facts->version, "%zu.%zu.%zu", version / 10000,
             version / 100 % 100, version % 100);
}

enum {
    BOTH = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64),
    HALF = SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
};

/* Statistics of a batch are in f32 where the batch is in 16 bits: there its operands, which are all
 * of one type, are widened. */
static const struct sb_kernel kernels[] = {
    {"conv2d", BOTH | HALF, sb_cudnn_convolution, .algorithms = sb_cudnn_forward_algorithms},
    {"conv2d_gradient_data", BOTH | HALF, sb_cudnn_convolution,
     .algorithms = sb_cudnn_data_algorithms},
    {"conv2d_gradient_filter", BOTH | HALF, sb_cudnn_convolution,
     .algorithms = sb_cudnn_filter_algorithms},
    {"max_pool", BOTH | HALF, sb_cudnn_pool, .algorithms = sb_cudnn_max_algorithms},
    {"max_pool_gradient", BOTH | HALF, sb_cudnn_pool, .algorithms = sb_cudnn_max_algorithms},
    {"average_pool", BOTH | HALF, sb_cudnn_pool},
    {"average_pool_gradient", BOTH, sb_cudnn_pool, HALF},
    {"bias_add", BOTH, sb_cudnn_bias, HALF},
    {"bias_gradient", BOTH, sb_cudnn_bias, HALF},
    {"relu", BOTH | HALF, sb_cudnn_relu},
    {"relu_gradient", BOTH | HALF, sb_cudnn_relu},
    {"gelu", SB_BIT(SB_DTYPE_F32) | HALF, sb_cudnn_gelu, .algorithms = sb_cudnn_gelu_algorithms},
    {"gelu_gradient", SB_BIT(SB_DTYPE_F32) | HALF, sb_cudnn_gelu,
     .algorithms = sb_cudnn_gelu_algorithms},
    {"softmax", BOTH | HALF, sb_cudnn_softmax, .algorithms = sb_cudnn_softmax_algorithms},
    {"softmax_gradient", BOTH | HALF, sb_cudnn_softmax},
    {"ctc_loss", SB_BIT(SB_DTYPE_F32), sb_cudnn_ctc, .algorithms = sb_cudnn_ctc_algorithms},
    {"batchnorm", BOTH, sb_cudnn_batchnorm, HALF},
    {"batchnorm_gradient", BOTH, sb_cudnn_batchnorm, HALF},
    {NULL},
};

static const struct sb_missing missing[] = {
    {"gemm gemv symv dot", "that is cuBLAS's; of cuDNN's graphs not used here"},
    {"sum mean gradient_norm", "cudnnReduceTensor, which has it, is deprecated, and not used here"},
    {"layernorm layernorm_gradient attention attention_gradient",
     "of cuDNN's graphs convolutions and gelu alone are used here"},
    {"dropout", "cuDNN draws masks of its own, which cannot be held against the operation's"},
    {"allreduce", "that is NCCL's"},
    {NULL},
};

const struct sb_backend sb_backend_cudnn = {
    .api = SB_BACKEND_API,
    .name = "cudnn",
    .summary = "NVIDIA cuDNN, loaded when needed; what it lacks is computed as in ref",
    .kernels = kernels,
    .gaps = "cuDNN has no such routine",
    .missing = missing,
    .dtypes_missing = "cuDNN computes CTC loss in f32, and gelu in f32, f16 and bf16",
    .load = load,
    .unload = unload,
    .set_deterministic = set_deterministic,
    .describe = describe,
};
