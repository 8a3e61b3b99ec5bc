/* kernels, cublas: gemm through cublasLt: what its heuristic proposes, one by one, and its split of
 * the sum over k with each scheme of adding the parts up. */
#include "kernels/backends/gpu_cublas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROPOSALS = 8, SPLITS = 4 };

/* What cublasLt is asked; descriptors are NULL until made. */
struct question {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t b, a, c;
    cublasLtMatmulPreference_t preference;
};

static void clear(const struct sb_cublas *cublas, struct question *question) {
    if (question->preference)
        cublas->lt.cublasLtMatmulPreferenceDestroy(question->preference);
    cublasLtMatrixLayout_t layouts[] = {question->b, question->a, question->c};
    for (size_t i = 0; i < 3; i++) {
        if (layouts[i])
            cublas->lt.cublasLtMatrixLayoutDestroy(layouts[i]);
    }
    if (question->product)
        cublas->lt.cublasLtMatmulDescDestroy(question->product);
}

static int make_product(const struct sb_cublas *cublas, const struct sb_cublas_product *as,
                        struct question *question, struct sb_error *err) {
    int rc = sb_cublas_check(
        cublas, cublas->lt.cublasLtMatmulDescCreate(&question->product, as->compute, as->scale),
        "cublasLtMatmulDescCreate", err);
    const struct {
        cublasLtMatmulDescAttributes_t attribute;
        int32_t value;
    } settings[] = {{CUBLASLT_MATMUL_DESC_TRANSA, (int32_t)as->op_b},
                    {CUBLASLT_MATMUL_DESC_TRANSB, (int32_t)as->op_a}};
    for (size_t i = 0; rc == 0 && i < 2; i++)
        rc = sb_cublas_check(
            cublas,
            cublas->lt.cublasLtMatmulDescSetAttribute(question->product, settings[i].attribute,
                                                      &settings[i].value, sizeof settings[i].value),
            "cublasLtMatmulDescSetAttribute", err);
    return rc;
}

/* Column-major layouts of the matrices as they lie in memory, before they are transposed. */
static int make_layouts(const struct sb_cublas *cublas, const struct sb_cublas_product *as,
                        struct question *question, struct sb_error *err) {
    uint64_t m = (uint64_t)as->m, n = (uint64_t)as->n, k = (uint64_t)as->k;
    bool ta = as->op_a == CUBLAS_OP_T, tb = as->op_b == CUBLAS_OP_T;
    const struct {
        cublasLtMatrixLayout_t *layout;
        uint64_t rows, columns;
        int64_t ld;
    } layouts[] = {{&question->b, tb ? k : n, tb ? n : k, as->ld_b},
                   {&question->a, ta ? m : k, ta ? k : m, as->ld_a},
                   {&question->c, n, m, as->n}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < 3; i++)
        rc = sb_cublas_check(
            cublas,
            cublas->lt.cublasLtMatrixLayoutCreate(layouts[i].layout, as->type, layouts[i].rows,
                                                  layouts[i].columns, layouts[i].ld),
            "cublasLtMatrixLayoutCreate", err);
    return rc;
}

/* The boundary, up to 256, that an address is a multiple of. */
static uint32_t boundary(const void *at) {
    uint32_t of = 256;
    while ((uintptr_t)at % of)
        of /= 2;
    return of;
}

static int make_preference(const struct sb_cublas *cublas, void *const device[],
                           struct question *question, struct sb_error *err) {
    uint64_t most = SB_CUBLAS_WORKSPACE;
    uint32_t a = boundary(device[1]), b = boundary(device[0]), c = boundary(device[2]);
    const struct {
        cublasLtMatmulPreferenceAttributes_t attribute;
        const void *value;
        size_t bytes;
    } settings[] = {{CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &a, sizeof a},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &b, sizeof b},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &c, sizeof c},
                    {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &c, sizeof c}};
    int rc =
        sb_cublas_check(cublas, cublas->lt.cublasLtMatmulPreferenceCreate(&question->preference),
                        "cublasLtMatmulPreferenceCreate", err);
    for (size_t i = 0; rc == 0 && i < sizeof settings / sizeof *settings; i++)
        rc = sb_cublas_check(
            cublas,
            cublas->lt.cublasLtMatmulPreferenceSetAttribute(
                question->preference, settings[i].attribute, settings[i].value, settings[i].bytes),
            "cublasLtMatmulPreferenceSetAttribute", err);
    return rc;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The proposal of that number. */
static int propose(const struct sb_cublas *cublas, const struct question *question, int number,
                   cublasLtMatmulHeuristicResult_t *chosen, struct sb_error *err) {
    cublasLtMatmulHeuristicResult_t proposals[PROPOSALS];
    int n = 0;
    memset(proposals, 0, sizeof proposals);
    int rc = sb_cublas_check(
        cublas,
        cublas->lt.cublasLtMatmulAlgoGetHeuristic(cublas->lt_handle, question->product, question->b,
                                                  question->a, question->c, question->c,
                                                  question->preference, PROPOSALS, proposals, &n),
        "cublasLtMatmulAlgoGetHeuristic", err);
    if (rc < 0)
        return rc;
    if (number >= n)
        return sb_error_set(err, -ENOTSUP, "cublasLt proposes %d algorithm%s for this shape", n,
                            n == 1 ? "" : "s");
    *chosen = proposals[number];
    return sb_cublas_check(cublas, chosen->state, "the proposed algorithm", err);
}

static const struct scheme {
    const char *name;
    uint32_t value;
} schemes[] = {{"none", CUBLASLT_REDUCTION_SCHEME_NONE},
               {"inplace", CUBLASLT_REDUCTION_SCHEME_INPLACE},
               {"compute", CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE},
               {"output", CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE}};
enum { N_SCHEMES = sizeof schemes / sizeof *schemes };

/* The first proposal that can be split that way. */
static int split(const struct sb_cublas *cublas, const struct question *question, const char *name,
                 cublasLtMatmulHeuristicResult_t *chosen, struct sb_error *err) {
    size_t s = 0;
    while (s < N_SCHEMES && strcmp(schemes[s].name, name) != 0)
        s++;
    if (s == N_SCHEMES)
        return sb_error_set(err, -EINVAL, "no scheme '%s'", name);
    int32_t splits = SPLITS;
    uint32_t scheme = schemes[s].value;
    for (int number = 0; number < PROPOSALS; number++) {
        cublasLtMatmulHeuristicResult_t result;
        if (propose(cublas, question, number, chosen, NULL) < 0)
            break;
        cublasStatus_t code = cublas->lt.cublasLtMatmulAlgoConfigSetAttribute(
            &chosen->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits);
        if (code == CUBLAS_STATUS_SUCCESS)
            code = cublas->lt.cublasLtMatmulAlgoConfigSetAttribute(
                &chosen->algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme);
        if (code == CUBLAS_STATUS_SUCCESS)
            code = cublas->lt.cublasLtMatmulAlgoCheck(cublas->lt_handle, question->product,
                                                      question->b, question->a, question->c,
                                                      question->c, &chosen->algo, &result);
        if (code == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= SB_CUBLAS_WORKSPACE) {
            chosen->workspaceSize = result.workspaceSize;
            return 0;
        }
    }
    return sb_error_set(err, -ENOTSUP, "no algorithm of cublasLt splits this in %d (%s)", SPLITS,
                        name);
}

static int choose(const struct sb_cublas *cublas, const struct question *question,
                  const char *algorithm, cublasLtMatmulHeuristicResult_t *chosen,
                  struct sb_error *err) {
    static const char prefix[] = "lt_splitk_";
    if (strncmp(algorithm, prefix, sizeof prefix - 1) == 0)
        return split(cublas, question, algorithm + sizeof prefix - 1, chosen, err);
    return propose(cublas, question, atoi(algorithm + 3), chosen, err);
}

/* A split sum, its parts added in another order than one that is not: other bits, but the same
 * each time, whichever the scheme ("in place" passes the parts on in sequence). */
static void report(const struct sb_cublas *cublas, const struct sb_call *call,
                   const cublasLtMatmulHeuristicResult_t *chosen) {
    const struct {
        cublasLtMatmulAlgoConfigAttributes_t attribute;
    } asked[] = {{CUBLASLT_ALGO_CONFIG_ID},
                 {CUBLASLT_ALGO_CONFIG_TILE_ID},
                 {CUBLASLT_ALGO_CONFIG_STAGES_ID},
                 {CUBLASLT_ALGO_CONFIG_SPLITK_NUM},
                 {CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME}};
    uint32_t value[5] = {0};
    for (size_t i = 0; i < 5; i++)
        cublas->lt.cublasLtMatmulAlgoConfigGetAttribute(&chosen->algo, asked[i].attribute,
                                                        &value[i], sizeof value[i], NULL);
    size_t s = 0;
    while (s < N_SCHEMES - 1 && schemes[s].value != value[4])
        s++;
    sb_gpu_report(call, call->algorithm, SB_CLAIM_DETERMINISTIC,
                  "algorithm %u, tile %u, stages %u, split-K %u, reduction %s; " SB_CUBLAS_REPEATS,
                  value[0], value[1], value[2], value[3], schemes[s].name);
    if (call->report)
        call->report->workspace = chosen->workspaceSize;
    /* Parts are stored, and added, in the type of the output. */
    if (call->report && value[4] == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE &&
        call->dtype < SB_DTYPE_F32)
        call->report->unit = call->dtype == SB_DTYPE_F16 ? 0x1p-11 : 0x1p-8;
}

static int compute(struct sb_cublas *cublas, const struct sb_call *call,
                   const struct sb_cublas_product *as, void *const device[],
                   struct question *question, struct sb_error *err) {
    cublasLtMatmulHeuristicResult_t chosen;
    int rc = make_product(cublas, as, question, err);
    if (rc == 0)
        rc = make_layouts(cublas, as, question, err);
    if (rc == 0)
        rc = make_preference(cublas, device, question, err);
    if (rc == 0)
        rc = choose(cublas, question, call->algorithm, &chosen, err);
    if (rc == 0)
        rc = sb_gpu_reserve(&cublas->gpu, &cublas->gpu.workspace, SB_CUBLAS_WORKSPACE, err);
    if (rc < 0)
        return rc;
    report(cublas, call, &chosen);
    return sb_cublas_check(
        cublas,
        cublas->lt.cublasLtMatmul(cublas->lt_handle, question->product, sb_cublas_one(as->scale),
                                  device[1], question->b, device[0], question->a,
                                  sb_cublas_zero(as->scale), device[2], question->c, device[2],
                                  question->c, &chosen.algo, cublas->gpu.workspace.at,
                                  chosen.workspaceSize, cublas->gpu.stream),
        "cublasLtMatmul", err);
}

int sb_cublas_gemm_lt(struct sb_cublas *cublas, const struct sb_call *call, struct sb_error *err) {
    struct sb_cublas_product as = sb_cublas_product(call);
    struct question question = {0};
    void *device[SB_MAX_OPERANDS];
    int rc = sb_gpu_take(&cublas->gpu, call, device, err);
    if (rc < 0)
        return rc;
    rc = compute(cublas, call, &as, device, &question, err);
    clear(cublas, &question);
    int given = sb_gpu_give(&cublas->gpu, call, device, rc == 0 ? err : NULL);
    return rc < 0 ? rc : given;
}
