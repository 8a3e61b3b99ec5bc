/* Tests: stand-in for libcublasLt. It proposes three algorithms, the second of which splits the sum
 * over k in two, and lets any be split as the caller says. */
#include "kernels/tests/standin/product.h"
#include "kernels/tests/standin/standin.h"

#include <cublasLt.h>
#include <string.h>

static const char handle_kind[] = "cublasLt handle", product_kind[] = "cublasLt product",
                  layout_kind[] = "cublasLt layout", preference_kind[] = "cublasLt preference";

struct product {
    cublasComputeType_t compute;
    cudaDataType scale;
    int32_t op_a, op_b;
    int32_t epilogue; /* 0: it was not said */
    void *bias;
};

struct layout {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t ld;
};

struct preference {
    uint64_t workspace;
    uint32_t boundary[4];
};

/* What this library writes into an algorithm, which callers treat as opaque. */
struct algorithm {
    uint64_t magic;
    uint32_t id, splits, scheme, boundary;
    uint64_t rest[5];
};
enum { MAGIC = 0x5b5b };
_Static_assert(sizeof(struct algorithm) == sizeof(cublasLtMatmulAlgo_t), "as opaque");

static cublasStatus_t status(bool good) {
    return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    *handle = sb_standin_make(handle_kind, 1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return status(sb_standin_free("cublasLtDestroy", handle_kind, handle));
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    struct product *product = sb_standin_make(product_kind, sizeof *product);
    *product = (struct product){compute, scale, CUBLAS_OP_N, CUBLAS_OP_N};
    *made = (cublasLtMatmulDesc_t)product;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
    return status(sb_standin_free("cublasLtMatmulDescDestroy", product_kind, product));
}

static void *attribute_of(struct product *product, cublasLtMatmulDescAttributes_t attribute,
                          size_t *bytes) {
    *bytes = sizeof(int32_t);
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return &product->op_a;
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return &product->op_b;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return &product->epilogue;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        *bytes = sizeof(void *);
        return &product->bias;
    default:
        return NULL;
    }
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t bytes) {
    struct product *product = (struct product *)desc;
    size_t needed;
    if (!sb_standin_is("cublasLtMatmulDescSetAttribute", product_kind, desc))
        return CUBLAS_STATUS_INVALID_VALUE;
    void *to = attribute_of(product, attribute, &needed);
    if (!to || bytes != needed)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

/* What nobody set is cuBLAS's default. */
cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute, void *value,
                                              size_t bytes, size_t *written) {
    struct product *product = (struct product *)desc;
    size_t needed;
    int32_t answer = attribute == CUBLASLT_MATMUL_DESC_SCALE_TYPE  ? (int32_t)product->scale
                     : attribute == CUBLASLT_MATMUL_DESC_FILL_MODE ? CUBLAS_FILL_MODE_FULL
                     : attribute == CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE ||
                             attribute == CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE
                         ? -1
                         : 0;
    if (!sb_standin_is("cublasLtMatmulDescGetAttribute", product_kind, desc) ||
        attribute > CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE) /* as of cuBLAS 12.0 */
        return CUBLAS_STATUS_INVALID_VALUE;
    const void *set = attribute_of(product, attribute, &needed);
    if (set && needed != bytes)
        return CUBLAS_STATUS_INVALID_VALUE;
    memset(value, 0, bytes);
    memcpy(value, set ? set : &answer, set || bytes < sizeof answer ? bytes : sizeof answer);
    if (written)
        *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *made, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t ld) {
    if (ld < (int64_t)rows) {
        sb_standin_refuse("cublasLtMatrixLayoutCreate: leading dimension %ld of %lu rows", (long)ld,
                          (unsigned long)rows);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    struct layout *layout = sb_standin_make(layout_kind, sizeof *layout);
    *layout = (struct layout){type, rows, columns, ld};
    *made = (cublasLtMatrixLayout_t)layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t from,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                void *value, size_t bytes, size_t *written) {
    const struct layout *layout = (const struct layout *)from;
    const int64_t values[] = {[CUBLASLT_MATRIX_LAYOUT_TYPE] = layout->type,
                              [CUBLASLT_MATRIX_LAYOUT_ROWS] = (int64_t)layout->rows,
                              [CUBLASLT_MATRIX_LAYOUT_COLS] = (int64_t)layout->columns,
                              [CUBLASLT_MATRIX_LAYOUT_LD] = layout->ld,
                              [CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT] = 1,
                              [CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET] = 0};
    size_t needed =
        attribute <= CUBLASLT_MATRIX_LAYOUT_ORDER || attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT
            ? 4
            : 8;
    if (!sb_standin_is("cublasLtMatrixLayoutGetAttribute", layout_kind, from) || bytes != needed ||
        attribute > CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &values[attribute], bytes);
    if (written)
        *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return status(sb_standin_free("cublasLtMatrixLayoutDestroy", layout_kind, layout));
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *made) {
    *made = sb_standin_make(preference_kind, sizeof(struct preference));
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return status(sb_standin_free("cublasLtMatmulPreferenceDestroy", preference_kind, preference));
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    struct preference *preference = (struct preference *)pref;
    if (!sb_standin_is("cublasLtMatmulPreferenceSetAttribute", preference_kind, pref))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && bytes == sizeof(uint64_t))
        memcpy(&preference->workspace, value, bytes);
    else if (attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
             attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES && bytes == sizeof(uint32_t))
        memcpy(&preference->boundary[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value,
               bytes);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- Algorithms ------------------------------------------------------------------------------ */

/* What is stored of the parts, in the type they are added in; "in place" needs counters alone. */
static size_t workspace_of(const struct algorithm *algorithm, const struct layout *c,
                           cudaDataType scale) {
    size_t element = algorithm->scheme == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE
                         ? sb_standin_size(c->type)
                         : sb_standin_size(scale);
    if (algorithm->splits < 2)
        return 0;
    if (algorithm->scheme == CUBLASLT_REDUCTION_SCHEME_INPLACE)
        return 1024;
    return c->rows * c->columns * element * algorithm->splits;
}

/* Do the shapes go together? m, n and k of the product. */
static bool shapes(const char *who, const struct product *product, const struct layout *a,
                   const struct layout *b, const struct layout *c, uint64_t mnk[3]) {
    bool ta = product->op_a == CUBLAS_OP_T, tb = product->op_b == CUBLAS_OP_T;
    mnk[0] = ta ? a->columns : a->rows, mnk[1] = tb ? b->rows : b->columns;
    mnk[2] = ta ? a->rows : a->columns;
    if (mnk[2] == (tb ? b->columns : b->rows) && mnk[0] == c->rows && mnk[1] == c->columns)
        return true;
    sb_standin_refuse("%s: op(A) is %lux%lu, op(B) %lux%lu, C %lux%lu", who, mnk[0], mnk[2],
                      tb ? b->columns : b->rows, mnk[1], c->rows, c->columns);
    return false;
}

static bool alive(const char *who, cublasLtHandle_t handle, const void *product,
                  const void *const layouts[4]) {
    bool good =
        sb_standin_is(who, handle_kind, handle) && sb_standin_is(who, product_kind, product);
    for (int i = 0; good && i < 4; i++)
        good = sb_standin_is(who, layout_kind, layouts[i]);
    return good;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t pref, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int *found) {
    static const char who[] = "cublasLtMatmulAlgoGetHeuristic";
    uint64_t mnk[3];
    const struct product *product = (const struct product *)desc;
    const struct preference *preference = (const struct preference *)pref;
    if (!alive(who, handle, desc, (const void *const[]){a, b, c, d}) ||
        !sb_standin_is(who, preference_kind, pref) ||
        !shapes(who, product, (const struct layout *)a, (const struct layout *)b,
                (const struct layout *)c, mnk))
        return CUBLAS_STATUS_INVALID_VALUE;
    uint32_t boundary = 256;
    for (int i = 0; i < 4; i++) {
        uint32_t said = preference->boundary[i];
        boundary = said && said < boundary ? said : boundary;
    }
    int n = 0;
    for (uint32_t id = 0; id < 3 && n < wanted; id++) {
        struct algorithm algorithm = {
            MAGIC,    id, id == 1 ? 2 : 1, id == 1 ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE : 0,
            boundary, {0}};
        size_t workspace = workspace_of(&algorithm, (const struct layout *)c, product->scale);
        if (workspace > preference->workspace)
            continue;
        memset(&results[n], 0, sizeof results[n]);
        memcpy(&results[n].algo, &algorithm, sizeof algorithm);
        results[n].workspaceSize = workspace;
        n++;
    }
    *found = n;
    return n ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

static uint32_t *setting(struct algorithm *algorithm,
                         cublasLtMatmulAlgoConfigAttributes_t attribute) {
    switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID:
        return &algorithm->id;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
        return &algorithm->splits;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
        return &algorithm->scheme;
    default:
        return NULL;
    }
}

static bool is_algorithm(const char *who, const cublasLtMatmulAlgo_t *algo) {
    if (((const struct algorithm *)algo)->magic == MAGIC)
        return true;
    sb_standin_refuse("%s: no algorithm that was proposed", who);
    return false;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void *value, size_t bytes, size_t *written) {
    struct algorithm algorithm;
    memcpy(&algorithm, algo, sizeof *algo);
    const uint32_t *found = setting(&algorithm, attribute);
    if (!is_algorithm("cublasLtMatmulAlgoConfigGetAttribute", algo) || bytes != sizeof *found)
        return CUBLAS_STATUS_INVALID_VALUE;
    memset(value, 0, bytes);
    if (found)
        memcpy(value, found, bytes);
    if (written)
        *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    uint32_t *found = setting((struct algorithm *)algo, attribute);
    if (!is_algorithm("cublasLtMatmulAlgoConfigSetAttribute", algo) || bytes != sizeof *found ||
        !found || attribute == CUBLASLT_ALGO_CONFIG_ID)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(found, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                       cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo,
                                       cublasLtMatmulHeuristicResult_t *result) {
    static const char who[] = "cublasLtMatmulAlgoCheck";
    const struct algorithm *algorithm = (const struct algorithm *)algo;
    if (!alive(who, handle, desc, (const void *const[]){a, b, c, d}) || !is_algorithm(who, algo))
        return CUBLAS_STATUS_INVALID_VALUE;
    /* Parts and a scheme go together, and the last proposal cannot be split. */
    if ((algorithm->splits > 1) != (algorithm->scheme != 0) ||
        (algorithm->id == 2 && algorithm->splits > 1))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memset(result, 0, sizeof *result);
    result->algo = *algo;
    result->workspaceSize =
        workspace_of(algorithm, (const struct layout *)c, ((const struct product *)desc)->scale);
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- The product ----------------------------------------------------------------------------- */

static bool memory(const char *who, const char *what, const void *at, const struct layout *layout,
                   uint32_t boundary) {
    if ((size_t)at % boundary) {
        sb_standin_refuse("%s: %s is less aligned than the algorithm was chosen for", who, what);
        return false;
    }
    return sb_standin_on_device(
        who, what, at,
        sb_standin_extent((long)layout->rows, (long)layout->columns, layout->ld, layout->type));
}

struct bias {
    const struct layout *of;
    const void *from;
    void *to;
};

static void add_bias(void *arg) {
    const struct bias *bias = arg;
    const struct layout *of = bias->of;
    for (uint64_t i = 0; i < of->columns; i++) {
        for (uint64_t j = 0; j < of->rows; j++) {
            size_t at = (size_t)(i * (uint64_t)of->ld + j);
            sb_standin_store(of->type, bias->to, at,
                             sb_standin_value(of->type, bias->to, at) +
                                 sb_standin_value(of->type, bias->from, j));
        }
    }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t layout_a, const void *b,
                              cublasLtMatrixLayout_t layout_b, const void *beta, const void *c,
                              cublasLtMatrixLayout_t layout_c, void *d,
                              cublasLtMatrixLayout_t layout_d, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t bytes, cudaStream_t stream) {
    static const char who[] = "cublasLtMatmul";
    const struct product *product = (const struct product *)desc;
    const struct algorithm *algorithm = (const struct algorithm *)algo;
    const struct layout *la = (const struct layout *)layout_a,
                        *lb = (const struct layout *)layout_b,
                        *lc = (const struct layout *)layout_c;
    uint64_t mnk[3];
    if (!alive(who, handle, desc, (const void *const[]){layout_a, layout_b, layout_c, layout_d}) ||
        !is_algorithm(who, algo) || !shapes(who, product, la, lb, lc, mnk) ||
        !sb_standin_on_host(who, "alpha", alpha) || !sb_standin_on_host(who, "beta", beta) ||
        !memory(who, "A", a, la, algorithm->boundary) ||
        !memory(who, "B", b, lb, algorithm->boundary) || c != d ||
        !memory(who, "D", d, lc, algorithm->boundary))
        return CUBLAS_STATUS_INVALID_VALUE;
    size_t needed = workspace_of(algorithm, lc, product->scale);
    if (bytes < needed) {
        sb_standin_refuse("%s: %zu bytes of workspace, the algorithm needs %zu", who, bytes,
                          needed);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if ((size_t)workspace % 256 || !sb_standin_on_device(who, "the workspace", workspace, bytes))
        return CUBLAS_STATUS_INVALID_VALUE;
    struct sb_standin_product plan = {.m = (int)mnk[0],
                                      .n = (int)mnk[1],
                                      .k = (int)mnk[2],
                                      .transpose_a = product->op_a == CUBLAS_OP_T,
                                      .transpose_b = product->op_b == CUBLAS_OP_T,
                                      .a = a,
                                      .b = b,
                                      .c = d,
                                      .ld_a = la->ld,
                                      .ld_b = lb->ld,
                                      .ld_c = lc->ld,
                                      .type = la->type,
                                      .type_c = lc->type,
                                      .sum = product->scale,
                                      .alpha = sb_standin_value(product->scale, alpha, 0),
                                      .beta = sb_standin_value(product->scale, beta, 0),
                                      .splits = (int)algorithm->splits,
                                      .parts =
                                          algorithm->scheme == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE
                                              ? SB_PARTS_IN_OUTPUT_TYPE
                                              : SB_PARTS_IN_COMPUTE_TYPE};
    const struct bias bias = {lc, product->bias, d};
    bool good =
        product->epilogue != CUBLASLT_EPILOGUE_BIAS ||
        sb_standin_on_device(who, "the bias", bias.from, lc->rows * sb_standin_size(lc->type));
    good = good && sb_standin_enqueue(who, stream, sb_standin_product, &plan, sizeof plan);
    if (good && product->epilogue == CUBLASLT_EPILOGUE_BIAS)
        good = sb_standin_enqueue(who, stream, add_bias, &bias, sizeof bias);
    if (good)
        sb_standin_fault(who, stream, lc->type, d);
    return status(good);
}
