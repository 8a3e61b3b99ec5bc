/* kernels: backend `cublas`, NVIDIA's BLAS and its cublasLt, loaded at run time. */
#include "kernels/backends/gpu_cublas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sb_cublas_check(const struct sb_cublas *cublas, cublasStatus_t code, const char *what,
                    struct sb_error *err) {
    if (code == CUBLAS_STATUS_SUCCESS)
        return 0;
    bool unsupported = code == CUBLAS_STATUS_NOT_SUPPORTED || code == CUBLAS_STATUS_ARCH_MISMATCH;
    int rc = unsupported ? -ENOTSUP : code == CUBLAS_STATUS_ALLOC_FAILED ? -ENOMEM : -EIO;
    return sb_error_set(err, rc, "%s: %s", what, cublas->blas.cublasGetStatusString(code));
}

cudaDataType sb_cublas_type(enum sb_dtype dtype) {
    switch (dtype) {
    case SB_DTYPE_F16:
        return CUDA_R_16F;
    case SB_DTYPE_BF16:
        return CUDA_R_16BF;
    case SB_DTYPE_F64:
        return CUDA_R_64F;
    default:
        return CUDA_R_32F;
    }
}

static const float one_f32 = 1, zero_f32;
static const double one_f64 = 1, zero_f64;

const void *sb_cublas_one(cudaDataType scale) {
    return scale == CUDA_R_64F ? (const void *)&one_f64 : &one_f32;
}

const void *sb_cublas_zero(cudaDataType scale) {
    return scale == CUDA_R_64F ? (const void *)&zero_f64 : &zero_f32;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void unload(void *state) {
    struct sb_cublas *cublas = state;
    for (int i = 0; i < SB_CUBLAS_STREAMS; i++) {
        if (cublas->handles[i])
            cublas->blas.cublasDestroy_v2(cublas->handles[i]);
        if (cublas->streams[i])
            cublas->gpu.cuda.cudaStreamDestroy(cublas->streams[i]);
        if (cublas->workspaces[i].at)
            cublas->gpu.cuda.cudaFree(cublas->workspaces[i].at);
    }
    for (int i = 0; i <= SB_CUBLAS_STREAMS; i++) {
        if (cublas->events[i])
            cublas->gpu.cuda.cudaEventDestroy(cublas->events[i]);
    }
    if (cublas->lt_handle)
        cublas->lt.cublasLtDestroy(cublas->lt_handle);
    if (cublas->handle)
        cublas->blas.cublasDestroy_v2(cublas->handle);
    sb_gpu_close(&cublas->gpu);
    free(cublas);
}

static int open_libraries(struct sb_cublas *cublas, struct sb_error *err) {
    static const char *const blas[] = {SB_CUBLAS_FUNCTIONS(SB_GPU_NAME) NULL};
    static const char *const lt[] = {SB_CUBLASLT_FUNCTIONS(SB_GPU_NAME) NULL};
    char soname[32];
    snprintf(soname, sizeof soname, "libcublas.so.%d", CUBLAS_VER_MAJOR);
    int rc = sb_gpu_library(soname, blas, &cublas->blas, sizeof cublas->blas, err);
    snprintf(soname, sizeof soname, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    if (rc == 0)
        rc = sb_gpu_library(soname, lt, &cublas->lt, sizeof cublas->lt, err);
    return rc;
}

static int load(void **state, struct sb_error *err) {
    struct sb_cublas *cublas = calloc(1, sizeof *cublas);
    if (!cublas)
        return sb_error_errno(err, -ENOMEM, "load");
    int rc = sb_gpu_open(&cublas->gpu, err);
    cublas->gpu.keep_offset = true;
    if (rc == 0)
        rc = open_libraries(cublas, err);
    if (rc == 0)
        rc = sb_cublas_check(cublas, cublas->blas.cublasCreate_v2(&cublas->handle), "cublasCreate",
                             err);
    if (rc == 0)
        rc = sb_cublas_check(cublas, cublas->lt.cublasLtCreate(&cublas->lt_handle),
                             "cublasLtCreate", err);
    if (rc == 0)
        rc = sb_cublas_check(cublas,
                             cublas->blas.cublasSetStream_v2(cublas->handle, cublas->gpu.stream),
                             "cublasSetStream", err);
    if (rc < 0)
        unload(cublas);
    else
        *state = cublas;
    return rc;
}

/* On: no atomics, and a workspace of our own, so that none is chosen by stream. The environment's
 * CUBLAS_WORKSPACE_CONFIG, which cuBLAS reads itself, then has no effect. */
static int set_deterministic(void *state, bool on, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    cublas->deterministic = on;
    cublasAtomicsMode_t mode = on ? CUBLAS_ATOMICS_NOT_ALLOWED : CUBLAS_ATOMICS_ALLOWED;
    int rc = sb_cublas_check(cublas, cublas->blas.cublasSetAtomicsMode(cublas->handle, mode),
                             "cublasSetAtomicsMode", err);
    if (rc < 0 || !on)
        return rc;
    rc = sb_gpu_reserve(&cublas->gpu, &cublas->gpu.workspace, SB_CUBLAS_WORKSPACE, err);
    if (rc < 0)
        return rc;
    return sb_cublas_check(cublas,
                           cublas->blas.cublasSetWorkspace_v2(
                               cublas->handle, cublas->gpu.workspace.at, SB_CUBLAS_WORKSPACE),
                           "cublasSetWorkspace", err);
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct sb_cublas *cublas = state;
    int version = 0;
    sb_gpu_describe(&cublas->gpu, facts);
    if (cublas->blas.cublasGetVersion_v2(cublas->handle, &version) == CUBLAS_STATUS_SUCCESS)
        snprintf(facts->version, sizeof facts->version, "%d.%d.%d", version / 10000,
                 version / 100 % 100, version % 100);
}

/* ---- Vectors --------------------------------------------------------------------------------- */

/* A row-major matrix is the transpose of a column-major one. There is no gemv in 16 bits but as a
 * product with one column. */
static int gemv(void *state, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_sizes(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    int m = (int)call->size[0], n = (int)call->size[1];
    cublasStatus_t code;
    bool vector = call->algorithm ? sb_gpu_asked(call, "gemv") : call->dtype >= SB_DTYPE_F32;
    if (vector && call->dtype == SB_DTYPE_F32)
        code = cublas->blas.cublasSgemv_v2(cublas->handle, CUBLAS_OP_T, n, m, &one_f32, device[0],
                                           n, device[1], 1, &zero_f32, device[2], 1);
    else if (vector && call->dtype == SB_DTYPE_F64)
        code = cublas->blas.cublasDgemv_v2(cublas->handle, CUBLAS_OP_T, n, m, &one_f64, device[0],
                                           n, device[1], 1, &zero_f64, device[2], 1);
    else if (vector)
        code = CUBLAS_STATUS_NOT_SUPPORTED;
    else {
        struct sb_cublas_product as = sb_cublas_product(call);
        code = cublas->blas.cublasGemmEx(cublas->handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, m, n,
                                         sb_cublas_one(as.scale), device[1], as.type, 1, device[0],
                                         as.type, n, sb_cublas_zero(as.scale), device[2], as.type,
                                         1, as.compute, CUBLAS_GEMM_DEFAULT);
    }
    rc = sb_cublas_check(cublas, code, vector ? "cublas<t>gemv" : "cublasGemmEx", err);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    sb_gpu_report(call, vector ? "gemv" : "gemmex", SB_CLAIM_DETERMINISTIC, SB_CUBLAS_REPEATS);
    return rc < 0 ? rc : given;
}

/* The result stays on the device: a host pointer would make cuBLAS wait. */
static int dot(void *state, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_sizes(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    cudaDataType type = sb_cublas_type(call->dtype);
    cublas->blas.cublasSetPointerMode_v2(cublas->handle, CUBLAS_POINTER_MODE_DEVICE);
    cublasStatus_t code =
        cublas->blas.cublasDotEx(cublas->handle, (int)call->size[0], device[0], type, 1, device[1],
                                 type, 1, device[2], type, type == CUDA_R_64F ? type : CUDA_R_32F);
    cublas->blas.cublasSetPointerMode_v2(cublas->handle, CUBLAS_POINTER_MODE_HOST);
    rc = sb_cublas_check(cublas, code, "cublasDotEx", err);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    sb_gpu_report(call, "dot", SB_CLAIM_DETERMINISTIC, SB_CUBLAS_REPEATS);
    return rc < 0 ? rc : given;
}

static int gradient_norm(void *state, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_sizes(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    cudaDataType type = sb_cublas_type(call->dtype);
    cublas->blas.cublasSetPointerMode_v2(cublas->handle, CUBLAS_POINTER_MODE_DEVICE);
    cublasStatus_t code = cublas->blas.cublasNrm2Ex(cublas->handle, (int)call->size[0], device[0],
                                                    type, 1, device[1], type, type);
    cublas->blas.cublasSetPointerMode_v2(cublas->handle, CUBLAS_POINTER_MODE_HOST);
    rc = sb_cublas_check(cublas, code, "cublasNrm2Ex", err);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    sb_call_store_norm(call, sb_call_value(call, 1, 0));
    sb_gpu_report(call, "nrm2", SB_CLAIM_DETERMINISTIC, SB_CUBLAS_REPEATS);
    return rc < 0 ? rc : given;
}

static const char *const symv_algorithms[] = {"atomics", "no_atomics", NULL};

/* The upper triangle of a row-major matrix is the lower one of a column-major. */
static int symv(void *state, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_sizes(call, err);
    if (rc == 0)
        rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    int n = (int)call->size[0];
    bool atomics = call->algorithm ? sb_gpu_asked(call, "atomics") : !cublas->deterministic;
    cublas->blas.cublasSetAtomicsMode(cublas->handle, atomics ? CUBLAS_ATOMICS_ALLOWED
                                                              : CUBLAS_ATOMICS_NOT_ALLOWED);
    cublasStatus_t code =
        call->dtype == SB_DTYPE_F32
            ? cublas->blas.cublasSsymv_v2(cublas->handle, CUBLAS_FILL_MODE_LOWER, n, &one_f32,
                                          device[0], n, device[1], 1, &zero_f32, device[2], 1)
            : cublas->blas.cublasDsymv_v2(cublas->handle, CUBLAS_FILL_MODE_LOWER, n, &one_f64,
                                          device[0], n, device[1], 1, &zero_f64, device[2], 1);
    rc = sb_cublas_check(cublas, code, "cublas<t>symv", err);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    if (atomics)
        sb_gpu_report(call, "atomics", SB_CLAIM_NONDETERMINISTIC,
                      "cuBLAS documentation (cublasSetAtomicsMode): symv with atomics allowed does "
                      "not repeat");
    else
        sb_gpu_report(
            call, "no_atomics", SB_CLAIM_DETERMINISTIC,
            "cuBLAS documentation (cublasSetAtomicsMode): without atomics results repeat");
    return rc < 0 ? rc : given;
}

enum {
    BOTH = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64),
    HALF = SB_BIT(SB_DTYPE_F16) | SB_BIT(SB_DTYPE_BF16),
};

static const char *const gemv_algorithms[] = {"gemv", "gemmex", NULL};

static const struct sb_kernel kernels[] = {
    {"gemm", BOTH | HALF, sb_cublas_gemm, .algorithms = sb_cublas_gemm_algorithms},
    {"gemv", BOTH | HALF, gemv, .algorithms = gemv_algorithms},
    {"symv", BOTH, symv, .algorithms = symv_algorithms},
    {"dot", BOTH | HALF, dot},
    {"gradient_norm", BOTH, gradient_norm, HALF},
    {NULL},
};

static const struct sb_missing missing[] = {
    {"sum", "cuBLAS adds absolute values alone (asum)"},
    {"bias_add bias_gradient relu relu_gradient gelu gelu_gradient",
     "cublasLt has it as the end of a matrix product alone; by itself it is cuDNN's"},
    {"conv2d conv2d_gradient_data conv2d_gradient_filter", "that is cuDNN's"},
    {"mean", "cuBLAS has no variance"},
    {"adam sgd", "a step is many passes of axpy and scal, no routine"},
    {"allreduce", "that is NCCL's"},
    {"embedding embedding_gradient", "cuBLAS has no gather and no scatter"},
    {NULL},
};

const struct sb_backend sb_backend_cublas = {
    .api = SB_BACKEND_API,
    .name = "cublas",
    .summary =
        "NVIDIA cuBLAS and cublasLt, loaded when needed; what they lack is computed as in ref",
    .kernels = kernels,
    .gaps = "cuBLAS has vectors, products and norms: no such routine",
    .missing = missing,
    .dtypes_missing = "cuBLAS's symv is of f32 and f64",
    .load = load,
    .unload = unload,
    .set_deterministic = set_deterministic,
    .describe = describe,
};
