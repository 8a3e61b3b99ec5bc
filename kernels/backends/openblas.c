/* kernels: backend `openblas`, loaded at run time: the program itself links no BLAS. */
#include "kernels/backends/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CBLAS, from the standard (netlib); integers are 32 bits wide in a library without suffixes. */
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112, UPPER = 121 };

typedef void sgemm_function(int, int, int, int, int, int, float, const float *, int, const float *,
                            int, float, float *, int);
typedef void dgemm_function(int, int, int, int, int, int, double, const double *, int,
                            const double *, int, double, double *, int);
typedef void sgemv_function(int, int, int, int, float, const float *, int, const float *, int,
                            float, float *, int);
typedef void dgemv_function(int, int, int, int, double, const double *, int, const double *, int,
                            double, double *, int);
typedef void ssymv_function(int, int, int, float, const float *, int, const float *, int, float,
                            float *, int);
typedef void dsymv_function(int, int, int, double, const double *, int, const double *, int, double,
                            double *, int);
typedef float sdot_function(int, const float *, int, const float *, int);
typedef double ddot_function(int, const double *, int, const double *, int);
typedef void saxpy_function(int, float, const float *, int, float *, int);
typedef void daxpy_function(int, double, const double *, int, double *, int);
typedef float snrm2_function(int, const float *, int);
typedef double dnrm2_function(int, const double *, int);

struct openblas {
    void *library;
    sgemm_function *sgemm;
    dgemm_function *dgemm;
    sgemv_function *sgemv;
    dgemv_function *dgemv;
    ssymv_function *ssymv;
    dsymv_function *dsymv;
    sdot_function *sdot;
    ddot_function *ddot;
    saxpy_function *saxpy;
    daxpy_function *daxpy;
    snrm2_function *snrm2;
    dnrm2_function *dnrm2;
    /* OpenBLAS's own; a plain netlib libblas has none of them. */
    char *(*corename)(void), *(*config)(void);
    int (*num_threads)(void);
    void (*set_num_threads)(int);
};

static void unload(void *state) {
    /* Not dlclose: its threads may still be on their way out of its code. */
    free(state);
}

static int load(void **state, struct sb_error *err) {
    static const char *const names[] = {"libopenblas.so.0", "libopenblas.so"};
    void *library = NULL;
    char why[512] = "";
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        const char *said = library ? NULL : dlerror();
        if (said && (i == 0 || !strstr(said, "No such file")))
            snprintf(why, sizeof why, "%s", said);
    }
    if (!library && strstr(why, "No such file"))
        return sb_error_set(err, -ENOENT, "%s not found (install libopenblas0)", names[0]);
    if (!library)
        return sb_error_set(err, -ENOENT, "%s", why);
    struct openblas *blas = calloc(1, sizeof *blas);
    if (!blas)
        return sb_error_errno(err, -ENOMEM, "load");
    blas->library = library;
    const struct {
        const char *name;
        void **slot;
        bool needed;
    } symbols[] = {
        {"cblas_sgemm", (void **)&blas->sgemm, true},
        {"cblas_dgemm", (void **)&blas->dgemm, true},
        {"cblas_sgemv", (void **)&blas->sgemv, true},
        {"cblas_dgemv", (void **)&blas->dgemv, true},
        {"cblas_ssymv", (void **)&blas->ssymv, true},
        {"cblas_dsymv", (void **)&blas->dsymv, true},
        {"cblas_sdot", (void **)&blas->sdot, true},
        {"cblas_ddot", (void **)&blas->ddot, true},
        {"cblas_saxpy", (void **)&blas->saxpy, true},
        {"cblas_daxpy", (void **)&blas->daxpy, true},
        {"cblas_snrm2", (void **)&blas->snrm2, true},
        {"cblas_dnrm2", (void **)&blas->dnrm2, true},
        {"openblas_get_corename", (void **)&blas->corename, false},
        {"openblas_get_config", (void **)&blas->config, false},
        {"openblas_get_num_threads", (void **)&blas->num_threads, false},
        {"openblas_set_num_threads", (void **)&blas->set_num_threads, false},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        *symbols[i].slot = dlsym(library, symbols[i].name);
        if (!*symbols[i].slot && symbols[i].needed) {
            free(blas);
            return sb_error_set(err, -ENOENT, "%s has no %s", names[0], symbols[i].name);
        }
    }
    *state = blas;
    return 0;
}

/* A silent no-op in some builds, and capped at its own maximum: what it really has is read back by
 * describe. */
static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    (void)err;
    const struct openblas *blas = state;
    if (blas->set_num_threads)
        blas->set_num_threads((int)threads);
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    const struct openblas *blas = state;
    struct link_map *map = NULL;
    if (dlinfo(blas->library, RTLD_DI_LINKMAP, &map) == 0 && map)
        snprintf(facts->library, sizeof facts->library, "%s", map->l_name);
    if (blas->corename)
        snprintf(facts->core, sizeof facts->core, "%s", blas->corename());
    if (blas->config) { /* "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64" */
        snprintf(facts->config, sizeof facts->config, "%s", blas->config());
        sscanf(facts->config, "OpenBLAS %63s", facts->version);
    }
    if (blas->num_threads)
        facts->threads = (unsigned)blas->num_threads();
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
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    int m = (int)call->size[0], n = (int)call->size[1], k = (int)call->size[2];
    int op_a = ta ? TRANSPOSE : NO_TRANSPOSE, op_b = tb ? TRANSPOSE : NO_TRANSPOSE;
    int lda = ta ? m : k, ldb = tb ? k : n;
    if (call->dtype == SB_DTYPE_F32)
        blas->sgemm(ROW_MAJOR, op_a, op_b, m, n, k, 1, call->operand[0], lda, call->operand[1], ldb,
                    0, call->operand[2], n);
    else
        blas->dgemm(ROW_MAJOR, op_a, op_b, m, n, k, 1, call->operand[0], lda, call->operand[1], ldb,
                    0, call->operand[2], n);
    return 0;
}

static int gemv(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    int m = (int)call->size[0], n = (int)call->size[1];
    if (call->dtype == SB_DTYPE_F32)
        blas->sgemv(ROW_MAJOR, NO_TRANSPOSE, m, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    else
        blas->dgemv(ROW_MAJOR, NO_TRANSPOSE, m, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    return 0;
}

static int dot(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    int n = (int)call->size[0];
    if (call->dtype == SB_DTYPE_F32)
        *(float *)call->operand[2] = blas->sdot(n, call->operand[0], 1, call->operand[1], 1);
    else
        *(double *)call->operand[2] = blas->ddot(n, call->operand[0], 1, call->operand[1], 1);
    return 0;
}

static int symv(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    int n = (int)call->size[0];
    if (call->dtype == SB_DTYPE_F32)
        blas->ssymv(ROW_MAJOR, UPPER, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    else
        blas->dsymv(ROW_MAJOR, UPPER, n, 1, call->operand[0], n, call->operand[1], 1, 0,
                    call->operand[2], 1);
    return 0;
}

static int gradient_norm(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    int n = (int)call->size[0];
    sb_call_store_norm(call, call->dtype == SB_DTYPE_F32
                                 ? (double)blas->snrm2(n, call->operand[0], 1)
                                 : blas->dnrm2(n, call->operand[0], 1));
    return 0;
}

static int bias_add(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    size_t n = call->size[1];
    for (size_t i = 0; rc == 0 && i < call->size[0]; i++) {
        if (call->dtype == SB_DTYPE_F32)
            blas->saxpy((int)n, 1, call->operand[0], 1, (float *)call->operand[1] + i * n, 1);
        else
            blas->daxpy((int)n, 1, call->operand[0], 1, (double *)call->operand[1] + i * n, 1);
    }
    return rc;
}

/* As programs on BLAS add up rows: the transposed matrix times a vector of ones. */
static int bias_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    const struct openblas *blas = state;
    int rc = fits(call, err);
    if (rc < 0)
        return rc;
    int b = (int)call->size[0], n = (int)call->size[1];
    void *ones = sb_blas_ones(call, call->size[0]);
    if (!ones)
        return sb_error_errno(err, -ENOMEM, "bias_gradient");
    if (call->dtype == SB_DTYPE_F32)
        blas->sgemv(ROW_MAJOR, TRANSPOSE, b, n, 1, call->operand[0], n, ones, 1, 0,
                    call->operand[1], 1);
    else
        blas->dgemv(ROW_MAJOR, TRANSPOSE, b, n, 1, call->operand[0], n, ones, 1, 0,
                    call->operand[1], 1);
    free(ones);
    return 0;
}

enum { BOTH = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_F64) };

static const struct sb_kernel kernels[] = {
    {"gemm", BOTH, gemm},
    {"gemv", BOTH, gemv},
    {"symv", BOTH, symv},
    {"dot", BOTH, dot},
    {"gradient_norm", BOTH, gradient_norm},
    {"bias_add", BOTH, bias_add},
    {"bias_gradient", BOTH, bias_gradient},
    {NULL},
};

const struct sb_backend sb_backend_openblas = {
    .api = SB_BACKEND_API,
    .name = "openblas",
    .summary = "OpenBLAS, loaded when needed; what it lacks is computed as in ref",
    .kernels = kernels,
    .gaps = SB_BLAS_GAPS,
    .missing = sb_blas_missing,
    .dtypes_missing = "OpenBLAS computes in f32 and f64; sbgemm is not in every build of it",
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
    .describe = describe,
};
