/* The trace: cuBLAS, interposed: the routines of trace_cublas_list.h. Matrices are BLAS's, by
 * columns, and lie on a device; factors and results there or not, as the handle says. What decides
 * how and not what is computed is no input: the algorithm, the type of sums, the mathematics that
 * are allowed. */
#include "probe/trace_cuda.h"
#include "probe/trace_describe.h"

#include <string.h>

/* A call being described. */
struct routine {
    struct sb_traced *call;
    struct sb_returned *returned;
    bool on_device; /* factors and results */
    bool failed;
    unsigned n_factors;
    unsigned char factors[2][16];
};

static struct routine begin(struct sb_traced *call, cublasHandle_t handle,
                            struct sb_returned *returned, const void *caller) {
    struct routine r = {.call = call, .returned = returned};
    void *stream = NULL;
    int mode = SB_CUBLAS_POINTER_MODE_HOST;
    r.failed = SB_ASK("cublasGetStream_v2", (void *, void **), handle, &stream) != 0 ||
               SB_ASK("cublasGetPointerMode_v2", (void *, int *), handle, &mode) != 0 ||
               !sb_cuda_memory(&call->memory, stream);
    r.on_device = mode == SB_CUBLAS_POINTER_MODE_DEVICE;
    return r;
}

static void end(const struct routine *r) {
    r->call->valid = r->call->valid && !r->failed;
}

static struct sb_factor factor(struct routine *r, const void *at, size_t n) {
    unsigned char *kept = r->factors[r->n_factors++];
    const struct sb_memory *memory = &r->call->memory;
    memset(kept, 0, n);
    r->failed = r->failed || !at;
    if (!r->failed && r->on_device)
        r->failed = !memory->copy(memory, kept, at, n, n, 1);
    else if (!r->failed)
        memcpy(kept, at, n);
    return (struct sb_factor){kept, n};
}

static void put_result(struct routine *r, void *at, unsigned element) {
    if (r->on_device)
        r->call->operands[r->call->n_operands++] = (struct sb_operand){
            .at = at, .rows = 1, .columns = 1, .stride = 1, .element = element, .written = true};
    else
        *r->returned = (struct sb_returned){at, element};
    r->failed = r->failed || !at;
}

static void put_batch(struct routine *r, int64_t n, const int64_t strides[3]) {
    struct sb_traced *call = r->call;
    for (unsigned i = 0; i < call->n_operands; i++) {
        struct sb_operand *operand = &call->operands[i];
        operand->listed = !strides && n > 0;
        operand->blocks = (uint64_t)n;
        operand->block_stride = strides ? (uint64_t)strides[i] : 0;
        if (n == 0)
            operand->rows = operand->columns = 0;
    }
    r->failed = r->failed || n < 0;
    call->sizes[call->n_sizes++] = (uint64_t)n;
}

/* ---- Elements of several types ----------------------------------------------------------------
 */

/* The call's is the last one's. */
static void put_types(struct routine *r, unsigned n, const cudaDataType *types) {
    struct sb_traced *call = r->call;
    for (unsigned i = 0; i < n; i++) {
        r->failed = r->failed || !sb_cuda_type(types[i], &call->dtype, &call->operands[i].element);
        call->options[call->n_options++] = (uint8_t)types[i];
    }
}

/* Before CUDA 11 what is the type of sums now was that of the factors. */
static char letter_of_compute(cublasComputeType_t compute, cudaDataType c) {
    bool complex = (int)c == SB_CUDA_C_32F || (int)c == SB_CUDA_C_64F;
    switch ((int)compute) {
    case SB_CUBLAS_COMPUTE_16F:
    case SB_CUBLAS_COMPUTE_16F_PEDANTIC:
        return 'h';
    case SB_CUBLAS_COMPUTE_32I:
    case SB_CUBLAS_COMPUTE_32I_PEDANTIC:
        return 'i';
    case SB_CUBLAS_COMPUTE_64F:
    case SB_CUBLAS_COMPUTE_64F_PEDANTIC:
        return complex ? 'z' : 'd';
    default:
        return (int)compute < SB_CUBLAS_COMPUTE_16F ? sb_cuda_letter((cudaDataType)compute)
               : (int)c == SB_CUDA_C_64F || (int)c == SB_CUDA_R_64F ? (complex ? 'z' : 'd')
               : complex                                            ? 'c'
                                                                    : 's';
    }
}

static struct sb_factor typed_factor(struct routine *r, char letter, const void *at) {
    r->failed = r->failed || !letter;
    return factor(r, at, sb_bytes_of_letter(letter ? letter : 's'));
}

/* ---- Routines ---------------------------------------------------------------------------------
 */

/* cuBLAS's numbers as those of the C interface. */
#define ORDER SB_COLUMN_MAJOR
#define OP(op) (SB_NO_TRANSPOSE + (int)(op))
#define FILL(fill)                                                                                 \
    ((int)(fill) == SB_CUBLAS_FILL_MODE_UPPER   ? SB_IS_UPPER                                      \
     : (int)(fill) == SB_CUBLAS_FILL_MODE_LOWER ? SB_IS_LOWER                                      \
                                                : 0)
#define SIDE(side) (SB_LEFT + (int)(side))
#define DIAGONAL(diagonal) (SB_NON_UNIT + (int)(diagonal))

static void gemm(struct routine *r, char letter, cublasOperation_t ta, cublasOperation_t tb,
                 int64_t m, int64_t n, int64_t k, const void *alpha, struct sb_matrix a,
                 struct sb_matrix b, const void *beta, struct sb_matrix c) {
    struct sb_factor factors[] = {typed_factor(r, letter, alpha), typed_factor(r, letter, beta)};
    sb_describe_gemm(r->call, letter ? letter : 's', ORDER, OP(ta), OP(tb), m, n, k, factors[0], a,
                     b, factors[1], c);
}

/* Of CUDA's own trmm, which writes beside what it reads; where both are one, in its place. */
static void trmm(struct routine *r, char letter, cublasSideMode_t side, cublasFillMode_t fill,
                 cublasOperation_t op, cublasDiagType_t diagonal, int64_t m, int64_t n,
                 const void *alpha, struct sb_matrix a, struct sb_matrix b, struct sb_matrix c) {
    struct sb_traced *call = r->call;
    sb_describe_trmm(call, letter, ORDER, SIDE(side), FILL(fill), OP(op), DIAGONAL(diagonal), m, n,
                     typed_factor(r, letter, alpha), a, b);
    call->operands[1].written = false;
    struct sb_operand out = call->operands[1];
    out.at = c.at;
    out.stride = (uint64_t)c.ld;
    out.read = false;
    out.written = true;
    call->operands[call->n_operands++] = out;
    r->failed = r->failed || c.ld < m || !c.at;
}

#define CUBLAS(symbol, kernel, parameters, arguments, ...)                                         \
    SB_CUDA_CALL(cublasStatus_t, symbol, kernel, parameters, arguments,                            \
                 struct routine r = begin(&call, handle, &returned, caller);                       \
                 __VA_ARGS__; end(&r))

#define T_s float
#define T_d double
#define T_c cuComplex
#define T_z cuDoubleComplex
#define T_h __half
#define LETTER_h 'h'
#define FACTOR(t, at) typed_factor(&r, LETTER_##t, at)
#define REAL(t, at) factor(&r, at, sizeof(REAL_##t))
#define NO_MATRIX SB_MATRIX(NULL, 0)
#define NO_VECTOR SB_VECTOR(NULL, 0)
#define GEMM(letter, a, lda, b, ldb, c, ldc)                                                       \
    gemm(&r, letter, ta, tb, m, n, k, alpha, SB_MATRIX(a, lda), SB_MATRIX(b, ldb), beta,           \
         SB_MATRIX(c, ldc))
#define HEAD cublasHandle_t handle, cublasOperation_t ta, cublasOperation_t tb

#define FAMILY_gemm(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const T_##t *alpha, const T_##t *a,             \
            integer lda, const T_##t *b, integer ldb, const T_##t *beta, T_##t *c, integer ldc),   \
           (handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc),                         \
           GEMM(LETTER_##t, a, lda, b, ldb, c, ldc))
#define FAMILY_gemm_batched(symbol, kernel, t, integer)                                            \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const T_##t *alpha, const T_##t *const a[],     \
            integer lda, const T_##t *const b[], integer ldb, const T_##t *beta, T_##t *const c[], \
            integer ldc, integer batch),                                                           \
           (handle, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, batch),                  \
           GEMM(LETTER_##t, a, lda, b, ldb, c, ldc);                                               \
           put_batch(&r, batch, NULL))
#define STRIDES ((const int64_t[]){stride_a, stride_b, stride_c})
#define FAMILY_gemm_strided(symbol, kernel, t, integer)                                            \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const T_##t *alpha, const T_##t *a,             \
            integer lda, long long stride_a, const T_##t *b, integer ldb, long long stride_b,      \
            const T_##t *beta, T_##t *c, integer ldc, long long stride_c, integer batch),          \
           (handle, ta, tb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc,      \
            stride_c, batch),                                                                      \
           GEMM(LETTER_##t, a, lda, b, ldb, c, ldc);                                               \
           put_batch(&r, batch, STRIDES))
#define TYPES ((const cudaDataType[]){type_a, type_b, type_c})
#define FAMILY_typed_gemm(symbol, kernel, t, integer)                                              \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const T_##t *alpha, const void *a,              \
            cudaDataType type_a, integer lda, const void *b, cudaDataType type_b, integer ldb,     \
            const T_##t *beta, void *c, cudaDataType type_c, integer ldc),                         \
           (handle, ta, tb, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc), \
           GEMM(LETTER_##t, a, lda, b, ldb, c, ldc);                                               \
           put_types(&r, 3, TYPES))
#define FAMILY_gemm_ex(symbol, kernel, t, integer)                                                 \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const void *alpha, const void *a,               \
            cudaDataType type_a, integer lda, const void *b, cudaDataType type_b, integer ldb,     \
            const void *beta, void *c, cudaDataType type_c, integer ldc,                           \
            cublasComputeType_t compute, cublasGemmAlgo_t algorithm),                              \
           (handle, ta, tb, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc,  \
            compute, algorithm),                                                                   \
           GEMM(letter_of_compute(compute, type_c), a, lda, b, ldb, c, ldc);                       \
           put_types(&r, 3, TYPES))
#define FAMILY_gemm_batched_ex(symbol, kernel, t, integer)                                         \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const void *alpha, const void *const a[],       \
            cudaDataType type_a, integer lda, const void *const b[], cudaDataType type_b,          \
            integer ldb, const void *beta, void *const c[], cudaDataType type_c, integer ldc,      \
            integer batch, cublasComputeType_t compute, cublasGemmAlgo_t algorithm),               \
           (handle, ta, tb, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc,  \
            batch, compute, algorithm),                                                            \
           GEMM(letter_of_compute(compute, type_c), a, lda, b, ldb, c, ldc);                       \
           put_types(&r, 3, TYPES); put_batch(&r, batch, NULL))
#define FAMILY_gemm_strided_ex(symbol, kernel, t, integer)                                         \
    CUBLAS(symbol, kernel,                                                                         \
           (HEAD, integer m, integer n, integer k, const void *alpha, const void *a,               \
            cudaDataType type_a, integer lda, long long stride_a, const void *b,                   \
            cudaDataType type_b, integer ldb, long long stride_b, const void *beta, void *c,       \
            cudaDataType type_c, integer ldc, long long stride_c, integer batch,                   \
            cublasComputeType_t compute, cublasGemmAlgo_t algorithm),                              \
           (handle, ta, tb, m, n, k, alpha, a, type_a, lda, stride_a, b, type_b, ldb, stride_b,    \
            beta, c, type_c, ldc, stride_c, batch, compute, algorithm),                            \
           GEMM(letter_of_compute(compute, type_c), a, lda, b, ldb, c, ldc);                       \
           put_types(&r, 3, TYPES); put_batch(&r, batch, STRIDES))

#define FAMILY_symm(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, integer m,        \
            integer n, const T_##t *alpha, const T_##t *a, integer lda, const T_##t *b,            \
            integer ldb, const T_##t *beta, T_##t *c, integer ldc),                                \
           (handle, side, fill, m, n, alpha, a, lda, b, ldb, beta, c, ldc),                        \
           struct sb_factor first = FACTOR(t, alpha), second = FACTOR(t, beta);                    \
           sb_describe_symm(&call, LETTER_##t, ORDER, SIDE(side), FILL(fill), m, n, first,         \
                            SB_MATRIX(a, lda), SB_MATRIX(b, ldb), second, SB_MATRIX(c, ldc)))
#define RANK_K(symbol, kernel, t, integer, real, taken)                                            \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, integer n,         \
            integer k, const real *alpha, const T_##t *a, integer lda, const real *beta, T_##t *c, \
            integer ldc),                                                                          \
           (handle, fill, op, n, k, alpha, a, lda, beta, c, ldc),                                  \
           struct sb_factor first = taken(t, alpha), second = taken(t, beta);                      \
           sb_describe_syrk(&call, LETTER_##t, ORDER, FILL(fill), OP(op), n, k, first,             \
                            SB_MATRIX(a, lda), NO_MATRIX, second, SB_MATRIX(c, ldc)))
#define FAMILY_syrk(symbol, kernel, t, integer) RANK_K(symbol, kernel, t, integer, T_##t, FACTOR)
#define FAMILY_herk(symbol, kernel, t, integer) RANK_K(symbol, kernel, t, integer, REAL_##t, REAL)
#define RANK_2K(symbol, kernel, t, integer, real, taken)                                           \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op, integer n,         \
            integer k, const T_##t *alpha, const T_##t *a, integer lda, const T_##t *b,            \
            integer ldb, const real *beta, T_##t *c, integer ldc),                                 \
           (handle, fill, op, n, k, alpha, a, lda, b, ldb, beta, c, ldc),                          \
           struct sb_factor first = FACTOR(t, alpha), second = taken(t, beta);                     \
           r.failed = r.failed || !b;                                                              \
           sb_describe_syrk(&call, LETTER_##t, ORDER, FILL(fill), OP(op), n, k, first,             \
                            SB_MATRIX(a, lda), SB_MATRIX(b, ldb), second, SB_MATRIX(c, ldc)))
#define FAMILY_syr2k(symbol, kernel, t, integer) RANK_2K(symbol, kernel, t, integer, T_##t, FACTOR)
#define FAMILY_her2k(symbol, kernel, t, integer) RANK_2K(symbol, kernel, t, integer, REAL_##t, REAL)

#define TRIANGLE                                                                                   \
    cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t fill, cublasOperation_t op,     \
        cublasDiagType_t diagonal
#define FAMILY_trmm(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (TRIANGLE, integer m, integer n, const T_##t *alpha, const T_##t *a, integer lda,       \
            const T_##t *b, integer ldb, T_##t *c, integer ldc),                                   \
           (handle, side, fill, op, diagonal, m, n, alpha, a, lda, b, ldb, c, ldc),                \
           trmm(&r, LETTER_##t, side, fill, op, diagonal, m, n, alpha, SB_MATRIX(a, lda),          \
                SB_MATRIX(b, ldb), SB_MATRIX(c, ldc)))
#define FAMILY_trsm(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (TRIANGLE, integer m, integer n, const T_##t *alpha, const T_##t *a, integer lda,       \
            T_##t *b, integer ldb),                                                                \
           (handle, side, fill, op, diagonal, m, n, alpha, a, lda, b, ldb),                        \
           sb_describe_trmm(&call, LETTER_##t, ORDER, SIDE(side), FILL(fill), OP(op),              \
                            DIAGONAL(diagonal), m, n, FACTOR(t, alpha), SB_MATRIX(a, lda),         \
                            SB_MATRIX(b, ldb)))
#define FAMILY_trsm_batched(symbol, kernel, t, integer)                                            \
    CUBLAS(symbol, kernel,                                                                         \
           (TRIANGLE, integer m, integer n, const T_##t *alpha, const T_##t *const a[],            \
            integer lda, T_##t *const b[], integer ldb, integer batch),                            \
           (handle, side, fill, op, diagonal, m, n, alpha, a, lda, b, ldb, batch),                 \
           sb_describe_trmm(&call, LETTER_##t, ORDER, SIDE(side), FILL(fill), OP(op),              \
                            DIAGONAL(diagonal), m, n, FACTOR(t, alpha), SB_MATRIX(a, lda),         \
                            SB_MATRIX(b, ldb));                                                    \
           put_batch(&r, batch, NULL))

#define FAMILY_gemv(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasOperation_t op, integer m, integer n, const T_##t *alpha, \
            const T_##t *a, integer lda, const T_##t *x, integer incx, const T_##t *beta,          \
            T_##t *y, integer incy),                                                               \
           (handle, op, m, n, alpha, a, lda, x, incx, beta, y, incy),                              \
           struct sb_factor first = FACTOR(t, alpha), second = FACTOR(t, beta);                    \
           sb_describe_gemv(&call, LETTER_##t, ORDER, OP(op), m, n, first, SB_MATRIX(a, lda),      \
                            SB_VECTOR(x, incx), second, SB_VECTOR(y, incy)))
#define FAMILY_symv(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasFillMode_t fill, integer n, const T_##t *alpha,           \
            const T_##t *a, integer lda, const T_##t *x, integer incx, const T_##t *beta,          \
            T_##t *y, integer incy),                                                               \
           (handle, fill, n, alpha, a, lda, x, incx, beta, y, incy),                               \
           struct sb_factor first = FACTOR(t, alpha), second = FACTOR(t, beta);                    \
           sb_describe_symv(&call, LETTER_##t, ORDER, FILL(fill), n, first, SB_MATRIX(a, lda),     \
                            SB_VECTOR(x, incx), second, SB_VECTOR(y, incy)))
#define FAMILY_trmv(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasFillMode_t fill, cublasOperation_t op,                    \
            cublasDiagType_t diagonal, integer n, const T_##t *a, integer lda, T_##t *x,           \
            integer incx),                                                                         \
           (handle, fill, op, diagonal, n, a, lda, x, incx),                                       \
           sb_describe_trmv(&call, LETTER_##t, ORDER, FILL(fill), OP(op), DIAGONAL(diagonal), n,   \
                            SB_MATRIX(a, lda), SB_VECTOR(x, incx)))
#define FAMILY_ger(symbol, kernel, t, integer)                                                     \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer m, integer n, const T_##t *alpha, const T_##t *x,       \
            integer incx, const T_##t *y, integer incy, T_##t *a, integer lda),                    \
           (handle, m, n, alpha, x, incx, y, incy, a, lda),                                        \
           sb_describe_ger(&call, LETTER_##t, ORDER, m, n, FACTOR(t, alpha), SB_VECTOR(x, incx),   \
                           SB_VECTOR(y, incy), SB_MATRIX(a, lda)))
#define RANK_1(symbol, kernel, t, integer, real, taken)                                            \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, cublasFillMode_t fill, integer n, const real *alpha,            \
            const T_##t *x, integer incx, T_##t *a, integer lda),                                  \
           (handle, fill, n, alpha, x, incx, a, lda),                                              \
           sb_describe_syr(&call, LETTER_##t, ORDER, FILL(fill), n, taken(t, alpha),               \
                           SB_VECTOR(x, incx), NO_VECTOR, SB_MATRIX(a, lda)))
#define FAMILY_syr(symbol, kernel, t, integer) RANK_1(symbol, kernel, t, integer, T_##t, FACTOR)
#define FAMILY_her(symbol, kernel, t, integer) RANK_1(symbol, kernel, t, integer, REAL_##t, REAL)

#define FAMILY_dot(symbol, kernel, t, integer)                                                     \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const T_##t *x, integer incx, const T_##t *y,        \
            integer incy, T_##t *result),                                                          \
           (handle, n, x, incx, y, incy, result),                                                  \
           sb_describe_dot(&call, LETTER_##t, n, SB_VECTOR(x, incx), SB_VECTOR(y, incy));          \
           r.failed = r.failed || !y; put_result(&r, result, call.element))
#define FAMILY_norm(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const T_##t *x, integer incx, REAL_##t *result),     \
           (handle, n, x, incx, result),                                                           \
           sb_describe_dot(&call, LETTER_##t, n, SB_VECTOR(x, incx), NO_VECTOR);                   \
           put_result(&r, result, sizeof(REAL_##t)))
#define FAMILY_axpy(symbol, kernel, t, integer)                                                    \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const T_##t *alpha, const T_##t *x, integer incx,    \
            T_##t *y, integer incy),                                                               \
           (handle, n, alpha, x, incx, y, incy),                                                   \
           sb_describe_axpy(&call, LETTER_##t, n, FACTOR(t, alpha), SB_VECTOR(x, incx),            \
                            SB_VECTOR(y, incy)))
#define SCALE(symbol, kernel, t, integer, real, taken)                                             \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const real *alpha, T_##t *x, integer incx),          \
           (handle, n, alpha, x, incx),                                                            \
           sb_describe_scal(&call, LETTER_##t, n, taken(t, alpha), SB_VECTOR(x, incx)))
#define FAMILY_scal(symbol, kernel, t, integer) SCALE(symbol, kernel, t, integer, T_##t, FACTOR)
#define FAMILY_rscal(symbol, kernel, t, integer) SCALE(symbol, kernel, t, integer, REAL_##t, REAL)

static unsigned bytes_of(struct routine *r, cudaDataType type) {
    uint8_t dtype;
    unsigned element = 0;
    r->failed = r->failed || !sb_cuda_type(type, &dtype, &element);
    return element;
}

#define FAMILY_dot_ex(symbol, kernel, t, integer)                                                  \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const void *x, cudaDataType type_x, integer incx,    \
            const void *y, cudaDataType type_y, integer incy, void *result, cudaDataType type,     \
            cudaDataType execution),                                                               \
           (handle, n, x, type_x, incx, y, type_y, incy, result, type, execution),                 \
           sb_describe_dot(&call, 's', n, SB_VECTOR(x, incx), SB_VECTOR(y, incy));                 \
           r.failed = r.failed || !y;                                                              \
           put_types(&r, y ? 2 : 1, ((const cudaDataType[]){type_x, type_y}));                     \
           put_result(&r, result, bytes_of(&r, type)))
#define FAMILY_norm_ex(symbol, kernel, t, integer)                                                 \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const void *x, cudaDataType type_x, integer incx,    \
            void *result, cudaDataType type, cudaDataType execution),                              \
           (handle, n, x, type_x, incx, result, type, execution),                                  \
           sb_describe_dot(&call, 's', n, SB_VECTOR(x, incx), NO_VECTOR);                          \
           put_types(&r, 1, &type_x); put_result(&r, result, bytes_of(&r, type)))
#define TYPED(alpha, type) typed_factor(&r, sb_cuda_letter(type), alpha)
#define LETTER_OR_S(type) (sb_cuda_letter(type) ? sb_cuda_letter(type) : 's')
#define FAMILY_axpy_ex(symbol, kernel, t, integer)                                                 \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const void *alpha, cudaDataType type, const void *x, \
            cudaDataType type_x, integer incx, void *y, cudaDataType type_y, integer incy,         \
            cudaDataType execution),                                                               \
           (handle, n, alpha, type, x, type_x, incx, y, type_y, incy, execution),                  \
           sb_describe_axpy(&call, LETTER_OR_S(type), n, TYPED(alpha, type), SB_VECTOR(x, incx),   \
                            SB_VECTOR(y, incy));                                                   \
           put_types(&r, 2, ((const cudaDataType[]){type_x, type_y})))
#define FAMILY_scal_ex(symbol, kernel, t, integer)                                                 \
    CUBLAS(symbol, kernel,                                                                         \
           (cublasHandle_t handle, integer n, const void *alpha, cudaDataType type, void *x,       \
            cudaDataType type_x, integer incx, cudaDataType execution),                            \
           (handle, n, alpha, type, x, type_x, incx, execution),                                   \
           sb_describe_scal(&call, LETTER_OR_S(type), n, TYPED(alpha, type), SB_VECTOR(x, incx));  \
           put_types(&r, 1, &type_x))

/* ---- Names ------------------------------------------------------------------------------------
 */

#define SB_CUBLAS(name, ending, family, t)                                                         \
    FAMILY_##family(cublas##name##ending, "cublas" #name, t, int)                                  \
        FAMILY_##family(cublas##name##ending##_64, "cublas" #name, t, int64_t)

#include "probe/trace_cublas_list.h"
