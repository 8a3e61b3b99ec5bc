/* kernels, cublas: gemm through cublasGemmEx, on one stream and on several. */
#include "kernels/backends/gpu_cublas.h"

#include <errno.h>
#include <string.h>

/* "gemmex" is cuBLAS's default. "tf32" lets tensor cores round factors to 11 bits. "pedantic" takes
 * no such and no other liberty. "streams" cuts C into rows and computes each part on a stream of
 * its own: through one handle, whose workspace they then share, or, where deterministic is on, each
 * through a handle and a workspace of its own, which is the cure. The rest is cublasLt's. */
const char *const sb_cublas_gemm_algorithms[] = {"gemmex",
                                                 "tf32",
                                                 "pedantic",
                                                 "streams",
                                                 "lt_0",
                                                 "lt_1",
                                                 "lt_2",
                                                 "lt_3",
                                                 "lt_4",
                                                 "lt_5",
                                                 "lt_6",
                                                 "lt_7",
                                                 "lt_splitk_inplace",
                                                 "lt_splitk_compute",
                                                 "lt_splitk_output",
                                                 NULL};

struct sb_cublas_product sb_cublas_product(const struct sb_call *call) {
    struct sb_cublas_product as = {.type = sb_cublas_type(call->dtype),
                                   .element = sb_dtype_size(call->dtype)};
    bool wide = call->dtype == SB_DTYPE_F64;
    as.compute = wide ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;
    as.scale = wide ? CUDA_R_64F : CUDA_R_32F;
    if (strcmp(call->operation->name, "gemm") != 0)
        return as;
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    as.m = (int)call->size[0], as.n = (int)call->size[1], as.k = (int)call->size[2];
    as.op_a = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    as.op_b = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    as.ld_a = ta ? as.m : as.k;
    as.ld_b = tb ? as.k : as.n;
    return as;
}

/* Rows from `first`, `rows` of them, through one handle. */
static int multiply(struct sb_cublas *cublas, cublasHandle_t handle,
                    const struct sb_cublas_product *as, void *const device[], int first, int rows,
                    struct sb_error *err) {
    size_t step = as->op_a == CUBLAS_OP_T ? 1 : (size_t)as->k;
    const char *a = (const char *)device[0] + (size_t)first * step * as->element;
    char *c = (char *)device[2] + (size_t)first * (size_t)as->n * as->element;
    return sb_cublas_check(cublas,
                           cublas->blas.cublasGemmEx(handle, as->op_b, as->op_a, as->n, rows, as->k,
                                                     sb_cublas_one(as->scale), device[1], as->type,
                                                     as->ld_b, a, as->type, as->ld_a,
                                                     sb_cublas_zero(as->scale), c, as->type, as->n,
                                                     as->compute, CUBLAS_GEMM_DEFAULT),
                           "cublasGemmEx", err);
}

/* ---- Several streams ------------------------------------------------------------------------- */

static int make_stream(struct sb_cublas *cublas, int i, struct sb_error *err) {
    const struct sb_cudart *cuda = &cublas->gpu.cuda;
    int rc = sb_gpu_check(
        &cublas->gpu, cuda->cudaStreamCreateWithFlags(&cublas->streams[i], cudaStreamNonBlocking),
        "cudaStreamCreate", err);
    if (rc < 0 || !cublas->deterministic)
        return rc;
    rc = sb_cublas_check(cublas, cublas->blas.cublasCreate_v2(&cublas->handles[i]), "cublasCreate",
                         err);
    if (rc == 0)
        rc = sb_gpu_reserve(&cublas->gpu, &cublas->workspaces[i], SB_CUBLAS_WORKSPACE, err);
    if (rc < 0)
        return rc;
    rc = sb_cublas_check(cublas,
                         cublas->blas.cublasSetStream_v2(cublas->handles[i], cublas->streams[i]),
                         "cublasSetStream", err);
    if (rc == 0) /* after the stream: setting that takes the workspace away */
        rc = sb_cublas_check(cublas,
                             cublas->blas.cublasSetWorkspace_v2(
                                 cublas->handles[i], cublas->workspaces[i].at, SB_CUBLAS_WORKSPACE),
                             "cublasSetWorkspace", err);
    return rc;
}

static int make_streams(struct sb_cublas *cublas, struct sb_error *err) {
    int rc = 0;
    for (int i = 0; rc == 0 && i <= SB_CUBLAS_STREAMS && !cublas->events[SB_CUBLAS_STREAMS]; i++)
        rc = sb_gpu_check(
            &cublas->gpu,
            cublas->gpu.cuda.cudaEventCreateWithFlags(&cublas->events[i], cudaEventDisableTiming),
            "cudaEventCreate", err);
    for (int i = 0; rc == 0 && i < SB_CUBLAS_STREAMS; i++) {
        if (!cublas->streams[i])
            rc = make_stream(cublas, i, err);
    }
    return rc;
}

/* Part i after the operands are there, and the main stream after part i. */
static int multiply_part(struct sb_cublas *cublas, const struct sb_cublas_product *as,
                         void *const device[], int i, struct sb_error *err) {
    const struct sb_cudart *cuda = &cublas->gpu.cuda;
    int first = as->m * i / SB_CUBLAS_STREAMS, end = as->m * (i + 1) / SB_CUBLAS_STREAMS;
    cudaStream_t stream = cublas->streams[i];
    cublasHandle_t handle = cublas->deterministic ? cublas->handles[i] : cublas->handle;
    if (first == end)
        return 0;
    int rc = sb_gpu_check(&cublas->gpu,
                          cuda->cudaStreamWaitEvent(stream, cublas->events[SB_CUBLAS_STREAMS], 0),
                          "cudaStreamWaitEvent", err);
    if (rc == 0 && !cublas->deterministic)
        rc = sb_cublas_check(cublas, cublas->blas.cublasSetStream_v2(handle, stream),
                             "cublasSetStream", err);
    if (rc == 0)
        rc = multiply(cublas, handle, as, device, first, end - first, err);
    if (rc == 0)
        rc = sb_gpu_check(&cublas->gpu, cuda->cudaEventRecord(cublas->events[i], stream),
                          "cudaEventRecord", err);
    if (rc == 0)
        rc = sb_gpu_check(&cublas->gpu,
                          cuda->cudaStreamWaitEvent(cublas->gpu.stream, cublas->events[i], 0),
                          "cudaStreamWaitEvent", err);
    return rc;
}

static int multiply_on_streams(struct sb_cublas *cublas, const struct sb_cublas_product *as,
                               void *const device[], struct sb_error *err) {
    const struct sb_cudart *cuda = &cublas->gpu.cuda;
    int rc = make_streams(cublas, err);
    if (rc == 0)
        rc = sb_gpu_check(
            &cublas->gpu,
            cuda->cudaEventRecord(cublas->events[SB_CUBLAS_STREAMS], cublas->gpu.stream),
            "cudaEventRecord", err);
    for (int i = 0; rc == 0 && i < SB_CUBLAS_STREAMS; i++)
        rc = multiply_part(cublas, as, device, i, err);
    if (!cublas->deterministic)
        cublas->blas.cublasSetStream_v2(cublas->handle, cublas->gpu.stream);
    return rc;
}

/* ---- The call -------------------------------------------------------------------------------- */

static void report(const struct sb_cublas *cublas, const struct sb_call *call,
                   const struct sb_cublas_product *as) {
    const char *algorithm = call->algorithm ? call->algorithm : "gemmex";
    if (!sb_gpu_asked(call, "streams"))
        sb_gpu_report(call, algorithm, SB_CLAIM_DETERMINISTIC, SB_CUBLAS_REPEATS);
    else if (cublas->deterministic)
        sb_gpu_report(call, algorithm, SB_CLAIM_DETERMINISTIC,
                      SB_CUBLAS_REPEATS ", with a handle and workspace each");
    else
        sb_gpu_report(call, algorithm, SB_CLAIM_NONE,
                      "cuBLAS documentation (Results Reproducibility): %d streams of one handle "
                      "may take different "
                      "workspaces and so kernels",
                      SB_CUBLAS_STREAMS);
    if (call->report && as->compute == CUBLAS_COMPUTE_32F_FAST_TF32)
        call->report->unit = 0x1p-11;
    if (call->report && cublas->deterministic)
        call->report->workspace = SB_CUBLAS_WORKSPACE;
}

static int choose(const struct sb_call *call, struct sb_cublas_product *as, struct sb_error *err) {
    if (sb_gpu_asked(call, "tf32")) {
        if (call->dtype != SB_DTYPE_F32)
            return sb_error_set(err, -ENOTSUP, "algorithm 'tf32' is for f32");
        as->compute = CUBLAS_COMPUTE_32F_FAST_TF32;
    }
    if (sb_gpu_asked(call, "pedantic"))
        as->compute =
            call->dtype == SB_DTYPE_F64 ? CUBLAS_COMPUTE_64F_PEDANTIC : CUBLAS_COMPUTE_32F_PEDANTIC;
    return 0;
}

int sb_cublas_gemm(void *state, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas *cublas = state;
    int rc = sb_gpu_sizes(call, err);
    if (rc < 0)
        return rc;
    if (call->algorithm && strncmp(call->algorithm, "lt_", 3) == 0)
        return sb_cublas_gemm_lt(cublas, call, err);
    struct sb_cublas_product as = sb_cublas_product(call);
    rc = choose(call, &as, err);
    void *device[SB_MAX_OPERANDS];
    if (rc == 0)
        rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    /* Sums in f16 and bf16 between parts of a split sum are allowed unless this is said. */
    cublas->blas.cublasSetMathMode(
        cublas->handle, CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);
    rc = sb_gpu_asked(call, "streams")
             ? multiply_on_streams(cublas, &as, device, err)
             : multiply(cublas, cublas->handle, &as, device, 0, as.m, err);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    report(cublas, call, &as);
    return rc < 0 ? rc : given;
}
