/* kernels: what the files of backend `cublas` share. */
#ifndef SB_KERNELS_GPU_CUBLAS_H
#define SB_KERNELS_GPU_CUBLAS_H

#include "kernels/backends/gpu.h"

#include <cublasLt.h>
#include <cublas_api.h>

#define SB_CUBLAS_FUNCTIONS(X)                                                                     \
    X(cublasCreate_v2)                                                                             \
    X(cublasDestroy_v2)                                                                            \
    X(cublasGetVersion_v2)                                                                         \
    X(cublasGetStatusString)                                                                       \
    X(cublasSetStream_v2)                                                                          \
    X(cublasSetWorkspace_v2)                                                                       \
    X(cublasSetPointerMode_v2)                                                                     \
    X(cublasSetAtomicsMode)                                                                        \
    X(cublasSetMathMode)                                                                           \
    X(cublasGemmEx)                                                                                \
    X(cublasSgemv_v2)                                                                              \
    X(cublasDgemv_v2)                                                                              \
    X(cublasSsymv_v2)                                                                              \
    X(cublasDsymv_v2)                                                                              \
    X(cublasDotEx)                                                                                 \
    X(cublasNrm2Ex)

#define SB_CUBLASLT_FUNCTIONS(X)                                                                   \
    X(cublasLtCreate)                                                                              \
    X(cublasLtDestroy)                                                                             \
    X(cublasLtMatmulDescCreate)                                                                    \
    X(cublasLtMatmulDescDestroy)                                                                   \
    X(cublasLtMatmulDescSetAttribute)                                                              \
    X(cublasLtMatrixLayoutCreate)                                                                  \
    X(cublasLtMatrixLayoutDestroy)                                                                 \
    X(cublasLtMatmulPreferenceCreate)                                                              \
    X(cublasLtMatmulPreferenceDestroy)                                                             \
    X(cublasLtMatmulPreferenceSetAttribute)                                                        \
    X(cublasLtMatmulAlgoGetHeuristic)                                                              \
    X(cublasLtMatmulAlgoConfigGetAttribute)                                                        \
    X(cublasLtMatmulAlgoConfigSetAttribute)                                                        \
    X(cublasLtMatmulAlgoCheck)                                                                     \
    X(cublasLtMatmul)

struct sb_cublas_functions {
    SB_CUBLAS_FUNCTIONS(SB_GPU_SLOT)
};

struct sb_cublaslt_functions {
    SB_CUBLASLT_FUNCTIONS(SB_GPU_SLOT)
};

/* Where its claim stands. */
#define SB_CUBLAS_REPEATS                                                                          \
    "cuBLAS documentation (Results Reproducibility): repeats with one stream, on one kind of GPU"

/* Streams of algorithm "streams", and cuBLAS's workspace: what NVIDIA recommends for Hopper, and
 * what :4096:8 comes to elsewhere. */
enum { SB_CUBLAS_STREAMS = 4, SB_CUBLAS_WORKSPACE = 32 << 20 };

struct sb_cublas {
    struct sb_gpu gpu;
    struct sb_cublas_functions blas;
    struct sb_cublaslt_functions lt;
    cublasHandle_t handle;
    cublasLtHandle_t lt_handle;
    bool deterministic;
    /* Algorithm "streams"; the handles are used where deterministic is on. */
    cudaStream_t streams[SB_CUBLAS_STREAMS];
    cublasHandle_t handles[SB_CUBLAS_STREAMS];
    struct sb_gpu_memory workspaces[SB_CUBLAS_STREAMS];
    cudaEvent_t events[SB_CUBLAS_STREAMS + 1];
};

/* -ENOTSUP where cuBLAS does not support it, else -EIO. */
int sb_cublas_check(const struct sb_cublas *cublas, cublasStatus_t code, const char *what,
                    struct sb_error *err);

/* The product as cuBLAS, whose matrices are column-major, is asked for it: C' = op(B')·op(A'), each
 * being the same memory read as its transpose. */
struct sb_cublas_product {
    cublasOperation_t op_b, op_a;
    int m, n, k, ld_a, ld_b;
    cudaDataType type;
    cublasComputeType_t compute;
    cudaDataType scale; /* type of alpha and beta */
    size_t element;     /* bytes */
};
struct sb_cublas_product sb_cublas_product(const struct sb_call *call);

/* alpha and beta: 1 and 0 in the type that scale says. */
const void *sb_cublas_one(cudaDataType scale);
const void *sb_cublas_zero(cudaDataType scale);

cudaDataType sb_cublas_type(enum sb_dtype dtype);

extern const char *const sb_cublas_gemm_algorithms[];
int sb_cublas_gemm(void *state, const struct sb_call *call, struct sb_error *err);
/* Algorithms "lt…", by cublasLt. */
int sb_cublas_gemm_lt(struct sb_cublas *cublas, const struct sb_call *call, struct sb_error *err);

#endif
