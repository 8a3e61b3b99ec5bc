/* Tests: stand-in for libcublas: what the backend calls of it, on the CPU, strictly. */
#include "kernels/tests/standin/product.h"
#include "kernels/tests/standin/standin.h"

#include <cublas_api.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char kind[] = "cuBLAS handle";

struct cublasContext {
    cudaStream_t stream;
    cublasPointerMode_t pointers;
    cublasAtomicsMode_t atomics;
    void *workspace; /* NULL: the default pool */
    size_t workspace_bytes;
};

static bool is(const char *who, cublasHandle_t handle) {
    return sb_standin_is(who, kind, handle) && sb_standin_is_stream(who, handle->stream);
}

static cublasStatus_t status(bool good) {
    return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasCreate_v2(cublasHandle_t *handle) {
    *handle = sb_standin_make(kind, sizeof **handle);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy_v2(cublasHandle_t handle) {
    return sb_standin_free("cublasDestroy", kind, handle) ? CUBLAS_STATUS_SUCCESS
                                                          : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version) {
    *version = CUBLAS_VERSION;
    return status(sb_standin_is("cublasGetVersion", kind, handle));
}

const char *cublasGetStatusString(cublasStatus_t code) {
    return code == CUBLAS_STATUS_NOT_SUPPORTED ? "not supported" : "refused by the stand-in";
}

/* Setting a stream takes the caller's workspace away (cuBLAS documentation, cublasSetStream). */
cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
    if (!sb_standin_is("cublasSetStream", kind, handle) ||
        !sb_standin_is_stream("cublasSetStream", stream))
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->stream = stream;
    handle->workspace = NULL;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t bytes) {
    static const char who[] = "cublasSetWorkspace";
    if (!is(who, handle) || !sb_standin_on_device(who, "the workspace", workspace, bytes) ||
        (size_t)workspace % 256)
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetStream_v2(cublasHandle_t handle, cudaStream_t *stream) {
    if (!sb_standin_is("cublasGetStream", kind, handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *stream = handle->stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t *mode) {
    if (!sb_standin_is("cublasGetPointerMode", kind, handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *mode = handle->pointers;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t handle, cublasPointerMode_t mode) {
    if (!sb_standin_is("cublasSetPointerMode", kind, handle))
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->pointers = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t mode) {
    if (!sb_standin_is("cublasSetAtomicsMode", kind, handle))
        return CUBLAS_STATUS_INVALID_VALUE;
    handle->atomics = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    (void)mode;
    return status(sb_standin_is("cublasSetMathMode", kind, handle));
}

/* The workspace that was given must still be there. */
static bool ready(const char *who, cublasHandle_t handle) {
    return is(who, handle) &&
           (!handle->workspace ||
            sb_standin_on_device(who, "the workspace", handle->workspace, handle->workspace_bytes));
}

/* alpha and beta, where the handle says that they are. */
static bool scalars(const char *who, cublasHandle_t handle, const void *alpha, const void *beta) {
    if (handle->pointers == CUBLAS_POINTER_MODE_DEVICE)
        return sb_standin_on_device(who, "alpha", alpha, 1) &&
               sb_standin_on_device(who, "beta", beta, 1);
    return sb_standin_on_host(who, "alpha", alpha) && sb_standin_on_host(who, "beta", beta);
}

static void take_scalars(struct sb_standin_product *product, cublasHandle_t handle,
                         const void *alpha, const void *beta) {
    if (handle->pointers == CUBLAS_POINTER_MODE_DEVICE) {
        product->far_alpha = alpha;
        product->far_beta = beta;
    } else {
        product->alpha = sb_standin_value(product->sum, alpha, 0);
        product->beta = sb_standin_value(product->sum, beta, 0);
    }
}

static bool enqueue(const char *who, cudaStream_t stream,
                    const struct sb_standin_product *product) {
    bool good = sb_standin_enqueue(who, stream, sb_standin_product, product, sizeof *product);
    if (good)
        sb_standin_fault(who, stream, product->type_c, product->c);
    return good;
}

static bool dense(const char *who, const char *what, const void *at, long rows, long columns,
                  long ld, cudaDataType type) {
    if (ld < (rows > 1 ? rows : 1)) {
        sb_standin_refuse("%s: leading dimension %ld of %s, which has %ld rows", who, ld, what,
                          rows);
        return false;
    }
    if ((size_t)at % sb_standin_size(type)) {
        sb_standin_refuse("%s: %s is not aligned to its elements", who, what);
        return false;
    }
    return sb_standin_on_device(who, what, at, sb_standin_extent(rows, columns, ld, type));
}

/* Which of them cublasGemmEx takes (documentation, table of cublasGemmEx). */
static bool compute_fits(cublasComputeType_t compute, cudaDataType type) {
    switch (compute) {
    case CUBLAS_COMPUTE_32F:
    case CUBLAS_COMPUTE_32F_PEDANTIC:
        return type == CUDA_R_32F || type == CUDA_R_16F || type == CUDA_R_16BF;
    case CUBLAS_COMPUTE_32F_FAST_TF32:
        return type == CUDA_R_32F;
    case CUBLAS_COMPUTE_64F:
    case CUBLAS_COMPUTE_64F_PEDANTIC:
        return type == CUDA_R_64F;
    default:
        return false;
    }
}

struct gemm {
    const char *who;
    cublasOperation_t op_a, op_b;
    int64_t m, n, k;
    const void *alpha, *a, *b, *beta;
    void *c;
    cudaDataType type_a, type_b, type_c;
    int64_t ld_a, ld_b, ld_c;
    cublasComputeType_t compute;
};

static cublasStatus_t start_gemm(cublasHandle_t handle, const struct gemm *g) {
    if (!ready(g->who, handle) || !scalars(g->who, handle, g->alpha, g->beta) || g->m < 0 ||
        g->n < 0 || g->k < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (g->type_a != g->type_b || g->type_a != g->type_c || !compute_fits(g->compute, g->type_a))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    bool ta = g->op_a == CUBLAS_OP_T, tb = g->op_b == CUBLAS_OP_T;
    if (!dense(g->who, "A", g->a, ta ? g->k : g->m, ta ? g->m : g->k, g->ld_a, g->type_a) ||
        !dense(g->who, "B", g->b, tb ? g->n : g->k, tb ? g->k : g->n, g->ld_b, g->type_b) ||
        !dense(g->who, "C", g->c, g->m, g->n, g->ld_c, g->type_c))
        return CUBLAS_STATUS_INVALID_VALUE;
    struct sb_standin_product product = {.m = (int)g->m,
                                         .n = (int)g->n,
                                         .k = (int)g->k,
                                         .transpose_a = ta,
                                         .transpose_b = tb,
                                         .tf32 = g->compute == CUBLAS_COMPUTE_32F_FAST_TF32,
                                         .a = g->a,
                                         .b = g->b,
                                         .c = g->c,
                                         .ld_a = g->ld_a,
                                         .ld_b = g->ld_b,
                                         .ld_c = g->ld_c,
                                         .type = g->type_a,
                                         .type_c = g->type_c,
                                         .sum = g->type_a == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F,
                                         .splits = 1};
    take_scalars(&product, handle, g->alpha, g->beta);
    return status(enqueue(g->who, handle->stream, &product));
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,
                            int m, int n, int k, const void *alpha, const void *a,
                            cudaDataType type_a, int ld_a, const void *b, cudaDataType type_b,
                            int ld_b, const void *beta, void *c, cudaDataType type_c, int ld_c,
                            cublasComputeType_t compute, cublasGemmAlgo_t algo) {
    (void)algo;
    return start_gemm(handle, &(struct gemm){"cublasGemmEx", op_a, op_b, m, n, k, alpha, a, b, beta,
                                             c, type_a, type_b, type_c, ld_a, ld_b, ld_c, compute});
}

#define DEFINE_SGEMM(symbol, integer)                                                              \
    cublasStatus_t symbol(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b,   \
                          integer m, integer n, integer k, const float *alpha, const float *a,     \
                          integer ld_a, const float *b, integer ld_b, const float *beta, float *c, \
                          integer ld_c) {                                                          \
        return start_gemm(handle, &(struct gemm){"cublasSgemm", op_a, op_b, m, n, k, alpha, a, b,  \
                                                 beta, c, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,      \
                                                 ld_a, ld_b, ld_c, CUBLAS_COMPUTE_32F});           \
    }
DEFINE_SGEMM(cublasSgemm_v2, int)
DEFINE_SGEMM(cublasSgemm_v2_64, int64_t)

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                         cublasOperation_t op_b, int m, int n, int k,
                                         const float *alpha, const float *a, int ld_a,
                                         long long stride_a, const float *b, int ld_b,
                                         long long stride_b, const float *beta, float *c, int ld_c,
                                         long long stride_c, int batch) {
    cublasStatus_t code = CUBLAS_STATUS_SUCCESS;
    for (int i = 0; i < batch && code == CUBLAS_STATUS_SUCCESS; i++)
        code = start_gemm(handle, &(struct gemm){"cublasSgemmStridedBatched", op_a, op_b, m, n, k,
                                                 alpha, a + i * stride_a, b + i * stride_b, beta,
                                                 c + i * stride_c, CUDA_R_32F, CUDA_R_32F,
                                                 CUDA_R_32F, ld_a, ld_b, ld_c, CUBLAS_COMPUTE_32F});
    return code;
}

/* The addresses lie on the device: the stand-in reads them when it is asked. */
cublasStatus_t cublasSgemmBatched(cublasHandle_t handle, cublasOperation_t op_a,
                                  cublasOperation_t op_b, int m, int n, int k, const float *alpha,
                                  const float *const a[], int ld_a, const float *const b[],
                                  int ld_b, const float *beta, float *const c[], int ld_c,
                                  int batch) {
    static const char who[] = "cublasSgemmBatched";
    size_t bytes = (size_t)batch * sizeof *a;
    const float *at[3];
    cublasStatus_t code = CUBLAS_STATUS_SUCCESS;
    if (!is(who, handle) || !sb_standin_on_device(who, "the addresses of A", a, bytes) ||
        !sb_standin_on_device(who, "the addresses of B", b, bytes) ||
        !sb_standin_on_device(who, "the addresses of C", c, bytes))
        return CUBLAS_STATUS_INVALID_VALUE;
    for (int i = 0; i < batch && code == CUBLAS_STATUS_SUCCESS; i++) {
        cudaMemcpyAsync(&at[0], &a[i], sizeof *at, cudaMemcpyDeviceToHost, handle->stream);
        cudaMemcpyAsync(&at[1], &b[i], sizeof *at, cudaMemcpyDeviceToHost, handle->stream);
        cudaMemcpyAsync(&at[2], &c[i], sizeof *at, cudaMemcpyDeviceToHost, handle->stream);
        sb_standin_drain(handle->stream);
        code = start_gemm(handle, &(struct gemm){who, op_a, op_b, m, n, k, alpha, at[0], at[1],
                                                 beta, (float *)at[2], CUDA_R_32F, CUDA_R_32F,
                                                 CUDA_R_32F, ld_a, ld_b, ld_c, CUBLAS_COMPUTE_32F});
    }
    return code;
}

static cublasStatus_t gemv(const char *who, cublasHandle_t handle, cublasOperation_t op, int m,
                           int n, const void *alpha, const void *a, int ld_a, const void *x,
                           int step_x, const void *beta, void *y, int step_y, cudaDataType type) {
    bool t = op == CUBLAS_OP_T;
    long in = t ? m : n, out = t ? n : m;
    if (!ready(who, handle) || !scalars(who, handle, alpha, beta) || step_x != 1 || step_y != 1 ||
        !dense(who, "A", a, m, n, ld_a, type) || !dense(who, "x", x, in, 1, in, type) ||
        !dense(who, "y", y, out, 1, out, type))
        return CUBLAS_STATUS_INVALID_VALUE;
    struct sb_standin_product product = {.m = (int)out,
                                         .n = 1,
                                         .k = (int)in,
                                         .transpose_a = t,
                                         .a = a,
                                         .b = x,
                                         .c = y,
                                         .ld_a = ld_a,
                                         .ld_b = in,
                                         .ld_c = out,
                                         .type = type,
                                         .type_c = type,
                                         .sum = type,
                                         .splits = 1};
    take_scalars(&product, handle, alpha, beta);
    return status(enqueue(who, handle->stream, &product));
}

cublasStatus_t cublasSgemv_v2(cublasHandle_t handle, cublasOperation_t op, int m, int n,
                              const float *alpha, const float *a, int ld_a, const float *x,
                              int step_x, const float *beta, float *y, int step_y) {
    return gemv("cublasSgemv", handle, op, m, n, alpha, a, ld_a, x, step_x, beta, y, step_y,
                CUDA_R_32F);
}

cublasStatus_t cublasDgemv_v2(cublasHandle_t handle, cublasOperation_t op, int m, int n,
                              const double *alpha, const double *a, int ld_a, const double *x,
                              int step_x, const double *beta, double *y, int step_y) {
    return gemv("cublasDgemv", handle, op, m, n, alpha, a, ld_a, x, step_x, beta, y, step_y,
                CUDA_R_64F);
}

/* ---- symv ------------------------------------------------------------------------------------ */

struct symv {
    bool lower, atomics;
    int n, ld;
    const void *a, *x;
    void *y;
    cudaDataType type;
};

/* With atomics the products of a row arrive in any order. */
static void symv(void *arg) {
    const struct symv *s = arg;
    int *order = malloc((size_t)s->n * sizeof *order);
    if (!order)
        abort();
    for (int i = 0; i < s->n; i++) {
        for (int j = 0; j < s->n; j++)
            order[j] = j;
        for (int j = s->n - 1; s->atomics && j > 0; j--) {
            int other = (int)sb_standin_random((unsigned)j + 1), kept = order[j];
            order[j] = order[other];
            order[other] = kept;
        }
        double sum = 0;
        for (int p = 0; p < s->n; p++) {
            int j = order[p];
            size_t at = s->lower == (i >= j) ? (size_t)i + (size_t)j * (size_t)s->ld
                                             : (size_t)j + (size_t)i * (size_t)s->ld;
            sum += sb_standin_value(s->type, s->a, at) * sb_standin_value(s->type, s->x, (size_t)j);
            if (s->type == CUDA_R_32F)
                sum = (double)(float)sum;
        }
        sb_standin_store(s->type, s->y, (size_t)i, sum);
    }
    free(order);
}

static cublasStatus_t start_symv(const char *who, cublasHandle_t handle, cublasFillMode_t fill,
                                 int n, const void *alpha, const void *a, int ld, const void *x,
                                 int step_x, const void *beta, void *y, int step_y,
                                 cudaDataType type) {
    if (!ready(who, handle) || !scalars(who, handle, alpha, beta) || step_x != 1 || step_y != 1 ||
        !dense(who, "A", a, n, n, ld, type) || !dense(who, "x", x, n, 1, n, type) ||
        !dense(who, "y", y, n, 1, n, type))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (handle->pointers == CUBLAS_POINTER_MODE_DEVICE || sb_standin_value(type, alpha, 0) != 1 ||
        sb_standin_value(type, beta, 0) != 0)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    struct symv plan = {fill == CUBLAS_FILL_MODE_LOWER,
                        handle->atomics == CUBLAS_ATOMICS_ALLOWED,
                        n,
                        ld,
                        a,
                        x,
                        y,
                        type};
    bool good = sb_standin_enqueue(who, handle->stream, symv, &plan, sizeof plan);
    if (good)
        sb_standin_fault(who, handle->stream, type, y);
    return status(good);
}

cublasStatus_t cublasSsymv_v2(cublasHandle_t handle, cublasFillMode_t fill, int n,
                              const float *alpha, const float *a, int ld, const float *x,
                              int step_x, const float *beta, float *y, int step_y) {
    return start_symv("cublasSsymv", handle, fill, n, alpha, a, ld, x, step_x, beta, y, step_y,
                      CUDA_R_32F);
}

cublasStatus_t cublasDsymv_v2(cublasHandle_t handle, cublasFillMode_t fill, int n,
                              const double *alpha, const double *a, int ld, const double *x,
                              int step_x, const double *beta, double *y, int step_y) {
    return start_symv("cublasDsymv", handle, fill, n, alpha, a, ld, x, step_x, beta, y, step_y,
                      CUDA_R_64F);
}

/* ---- nrm2 ------------------------------------------------------------------------------------ */

struct norm {
    cudaDataType type;
    size_t n;
    const void *x;
    void *result;
};

static void compute_norm(void *arg) {
    const struct norm *of = arg;
    double sum = 0;
    for (size_t i = 0; i < of->n; i++)
        sum += sb_standin_value(of->type, of->x, i) * sb_standin_value(of->type, of->x, i);
    sb_standin_store(of->type, of->result, 0, sqrt(sum));
}

cublasStatus_t cublasNrm2Ex(cublasHandle_t handle, int n, const void *x, cudaDataType type_x,
                            int step, void *result, cudaDataType type, cudaDataType execution) {
    static const char who[] = "cublasNrm2Ex";
    struct norm norm = {type, (size_t)n, x, result};
    if (!ready(who, handle) || step != 1 || n < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (type_x != type || execution != (type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    bool on_device = handle->pointers == CUBLAS_POINTER_MODE_DEVICE;
    if (!dense(who, "x", x, n, 1, n, type) ||
        !(on_device ? sb_standin_on_device(who, "the result", result, sb_standin_size(type))
                    : sb_standin_on_host(who, "the result", result)))
        return CUBLAS_STATUS_INVALID_VALUE;
    bool good = sb_standin_enqueue(who, handle->stream, compute_norm, &norm, sizeof norm);
    if (good && !on_device)
        sb_standin_drain(handle->stream);
    return status(good);
}

/* ---- dot ------------------------------------------------------------------------------------- */

cublasStatus_t cublasDotEx(cublasHandle_t handle, int n, const void *x, cudaDataType type_x,
                           int step_x, const void *y, cudaDataType type_y, int step_y, void *result,
                           cudaDataType type, cudaDataType execution) {
    static const char who[] = "cublasDotEx";
    if (!ready(who, handle) || step_x != 1 || step_y != 1 || n < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (type_x != type_y || type_x != type ||
        execution != (type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    bool on_device = handle->pointers == CUBLAS_POINTER_MODE_DEVICE;
    if (!dense(who, "x", x, n, 1, n, type) || !dense(who, "y", y, n, 1, n, type) ||
        !(on_device ? sb_standin_on_device(who, "the result", result, sb_standin_size(type))
                    : sb_standin_on_host(who, "the result", result)))
        return CUBLAS_STATUS_INVALID_VALUE;
    struct sb_standin_product product = {.m = 1,
                                         .n = 1,
                                         .k = n,
                                         .a = x,
                                         .b = y,
                                         .c = result,
                                         .ld_a = 1,
                                         .ld_b = n,
                                         .ld_c = 1,
                                         .type = type,
                                         .type_c = type,
                                         .sum = execution,
                                         .alpha = 1,
                                         .splits = 1};
    bool good = enqueue(who, handle->stream, &product);
    if (good && !on_device)
        sb_standin_drain(handle->stream);
    return status(good);
}
