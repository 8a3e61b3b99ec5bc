/* kernels, blis: the module, which links BLIS and calls it as every program does, through CBLAS. */
#include "kernels/backends/blas.h"

#include <blis.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static int load(void **state, struct sb_error *err) {
    (void)err;
    *state = NULL;
    return 0;
}

static void unload(void *state) {
    (void)state;
}

static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    (void)state, (void)err;
    bli_thread_set_num_threads((dim_t)threads);
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    (void)state;
    Dl_info info;
    if (dladdr((void *)(uintptr_t)cblas_sgemm, &info) && info.dli_fname)
        snprintf(facts->library, sizeof facts->library, "%s", info.dli_fname);
    snprintf(facts->version, sizeof facts->version, "%s", bli_info_get_version_str());
    snprintf(facts->core, sizeof facts->core, "%s", bli_arch_string(bli_arch_query_id()));
    snprintf(facts->config, sizeof facts->config, "threads: %s, integers of %s bits in CBLAS",
             bli_info_get_enable_openmp()     ? "OpenMP"
             : bli_info_get_enable_pthreads() ? "pthreads"
                                              : "none",
             bli_info_get_blas_int_type_size() == 64 ? "64" : "32");
    dim_t threads = bli_thread_get_num_threads();
    facts->threads = threads > 0 ? (unsigned)threads : 1;
}

static int fits(const struct sb_call *call, struct sb_error *err) {
    for (size_t i = 0; call->operation->sizes[i]; i++) {
        if (call->size[i] > INT_MAX)
            return sb_error_set(err, -EOVERFLOW, "size %zu is beyond its 32-bit integers",
                                call->size[i]);
    }
    return 0;
}

static int gemm(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    f77_int m = (f77_int)call->size[0], n = (f77_int)call->size[1], k = (f77_int)call->size[2];
    enum CBLAS_TRANSPOSE op_a = ta ? CblasTrans : CblasNoTrans,
                         op_b = tb ? CblasTrans : CblasNoTrans;
    f77_int lda = ta ? m : k, ldb = tb ? k : n;
    if (call->dtype == SB_DTYPE_F32)
        cblas_sgemm(CblasRowMajor, op_a, op_b, m, n, k, 1, call->operand[0], lda, call->operand[1],
                    ldb, 0, call->operand[2], n);
    else
        cblas_dgemm(CblasRowMajor, op_a, op_b, m, n, k, 1, call->operand[0], lda, call->operand[1],
                    ldb, 0, call->operand[2], n);
    return 0;
}

static int gemv(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    f77_int m = (f77_int)call->size[0], n = (f77_int)call->size[1];
    if (call->dtype == SB_DTYPE_F32)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, m, n, 1, call->operand[0], n, call->operand[1], 1,
                    0, call->operand[2], 1);
    else
        cblas_dgemv(CblasRowMajor, CblasNoTrans, m, n, 1, call->operand[0], n, call->operand[1], 1,
                    0, call->operand[2], 1);
    return 0;
}

static int dot(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    f77_int n = (f77_int)call->size[0];
    if (call->dtype == SB_DTYPE_F32)
        *(float *)call->operand[2] = cblas_sdot(n, call->operand[0], 1, call->operand[1], 1);
    else
        *(double *)call->operand[2] = cblas_ddot(n, call->operand[0], 1, call->operand[1], 1);
    return 0;
}

static int gradient_norm(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    f77_int n = (f77_int)call->size[0];
    sb_call_store_norm(call, call->dtype == SB_DTYPE_F32
                                 ? (double)cblas_snrm2(n, call->operand[0], 1)
                                 : cblas_dnrm2(n, call->operand[0], 1));
    return 0;
}

static int symv(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    f77_int n = (f77_int)call->size[0];
    if (call->dtype == SB_DTYPE_F32)
        cblas_ssymv(CblasRowMajor, CblasUpper, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    else
        cblas_dsymv(CblasRowMajor, CblasUpper, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    return 0;
}

static int bias_add(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    size_t n = call->size[1];
    for (size_t i = 0; rc == 0 && i < call->size[0]; i++) {
        if (call->dtype == SB_DTYPE_F32)
            cblas_saxpy((f77_int)n, 1, call->operand[0], 1, (float *)call->operand[1] + i * n, 1);
        else
            cblas_daxpy((f77_int)n, 1, call->operand[0], 1, (double *)call->operand[1] + i * n, 1);
    }
    return rc;
}

/* As programs on BLAS add up rows: the transposed matrix times a vector of ones. */
static int bias_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    f77_int b = (f77_int)call->size[0], n = (f77_int)call->size[1];
    void *ones = sb_blas_ones(call, call->size[0]);
    if (!ones)
        return sb_error_errno(err, -ENOMEM, "bias_gradient");
    if (call->dtype == SB_DTYPE_F32)
        cblas_sgemv(CblasRowMajor, CblasTrans, b, n, 1, call->operand[0], n, ones, 1, 0,
                    call->operand[1], 1);
    else
        cblas_dgemv(CblasRowMajor, CblasTrans, b, n, 1, call->operand[0], n, ones, 1, 0,
                    call->operand[1], 1);
    free(ones);
    return 0;
}

#define KERNEL(operation) {#operation, SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64), operation},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/blis_kernels.h"
    {NULL},
};

extern const struct sb_backend sb_backend_blis __attribute__((visibility("default")));
const struct sb_backend sb_backend_blis = {
    .api = SB_BACKEND_API,
    .name = "blis",
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
    .describe = describe,
};
