/* The trace: BLAS, interposed. Every routine of trace_blas_list.h under the names of its C and its
 * Fortran interface, with 32 and 64 bit integers: as reference and vendor libraries have them, with
 * OpenBLAS's and reference LAPACK's suffixes for 64 bits, and with the prefix of NumPy's and
 * SciPy's wheels. */
#include "probe/trace_describe.h"

/* By the type's letter: a factor as the C interface passes it, its address, its type, and the
 * type of a real number of that precision. */
#define FACTOR_s float
#define FACTOR_d double
#define FACTOR_c const void *
#define FACTOR_z const void *
#define ADDRESS_s(factor) (&(factor))
#define ADDRESS_d(factor) (&(factor))
#define ADDRESS_c(factor) (factor)
#define ADDRESS_z(factor) (factor)
#define BYTES_s 4
#define BYTES_d 8
#define BYTES_c 8
#define BYTES_z 16

#define FACTOR_VALUE(t, factor) ((struct sb_factor){ADDRESS_##t(factor), BYTES_##t})
#define FACTOR_POINTED(t, at) ((struct sb_factor){at, BYTES_##t})
#define REAL_VALUE(t, factor) ((struct sb_factor){&(factor), sizeof(REAL_##t)})
#define REAL_POINTED(t, at) ((struct sb_factor){at, sizeof(REAL_##t)})
#define NO_MATRIX SB_MATRIX(NULL, 0)
#define NO_VECTOR SB_VECTOR(NULL, 0)

/* The C interface's integers are passed on as wide as they may be: some libraries have 64 bits of
 * them under the names of 32. What a call of 32 bits leaves in the other half is read by nobody. */

/* A Fortran compiler passes the lengths of letters behind all else. Not every caller does, and no
 * library reads them: 1 is what they are. */
#define LENGTH , size_t
#define ONE , (size_t)1

/* Defines the function `symbol`. `on` are the types of what it is passed on as, more than its
 * parameters where those hide some. */
#define INTERPOSE(symbol, kernel, result, parameters, on, describe, keep, arguments, returned,     \
                  n_returned, give)                                                                \
    SB_INTERPOSED result symbol parameters;                                                        \
    SB_INTERPOSED result symbol parameters {                                                       \
        static struct sb_real real = {.name = #symbol};                                            \
        const struct sb_found *found = sb_trace_real(&real, (const void *)symbol, SB_CALLER);      \
        result(*function) on = (result(*) on)found->function;                                      \
        struct sb_traced call;                                                                     \
        bool traced = sb_trace_enter(&call, kernel, found);                                        \
        if (traced) {                                                                              \
            describe;                                                                              \
            sb_trace_before(&call);                                                                \
        }                                                                                          \
        keep function arguments;                                                                   \
        if (traced)                                                                                \
            sb_trace_after(&call, returned, n_returned);                                           \
        give;                                                                                      \
    }
#define PROCEDURE(symbol, kernel, parameters, on, describe, arguments)                             \
    INTERPOSE(symbol, kernel, void, parameters, on, describe, , arguments, NULL, 0, return )
#define FUNCTION(symbol, kernel, result, parameters, describe, arguments)                          \
    INTERPOSE(symbol, kernel, result, parameters, parameters, describe, result value =, arguments, \
              &value, sizeof value, return value)

/* ---- Level 3 ---------------------------------------------------------------------------------
 */

#define CBLAS_gemm(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int ta, int tb, int64_t m, int64_t n, int64_t k, FACTOR_##t alpha,       \
               const void *a, int64_t lda, const void *b, int64_t ldb, FACTOR_##t beta, void *c,   \
               int64_t ldc),                                                                       \
              (int, int, int, int64_t, int64_t, int64_t, FACTOR_##t, const void *, int64_t,        \
               const void *, int64_t, FACTOR_##t, void *, int64_t),                                \
              sb_describe_gemm(&call, LETTER_##t, order, ta, tb, (integer)m, (integer)n,           \
                               (integer)k, FACTOR_VALUE(t, alpha), SB_MATRIX(a, (integer)lda),     \
                               SB_MATRIX(b, (integer)ldb), FACTOR_VALUE(t, beta),                  \
                               SB_MATRIX(c, (integer)ldc)),                                        \
              (order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
#define FORTRAN_gemm(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *ta, const char *tb, const integer *m, const integer *n,                 \
               const integer *k, const void *alpha, const void *a, const integer *lda,             \
               const void *b, const integer *ldb, const void *beta, void *c, const integer *ldc),  \
              (const char *, const char *, const integer *, const integer *, const integer *,      \
               const void *, const void *, const integer *, const void *, const integer *,         \
               const void *, void *, const integer *LENGTH LENGTH),                                \
              sb_describe_gemm(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_TRANSPOSE_OF(ta),            \
                               SB_TRANSPOSE_OF(tb), *m, *n, *k, FACTOR_POINTED(t, alpha),          \
                               SB_MATRIX(a, *lda), SB_MATRIX(b, *ldb), FACTOR_POINTED(t, beta),    \
                               SB_MATRIX(c, *ldc)),                                                \
              (ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc ONE ONE))

#define CBLAS_symm(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int side, int uplo, int64_t m, int64_t n, FACTOR_##t alpha,              \
               const void *a, int64_t lda, const void *b, int64_t ldb, FACTOR_##t beta, void *c,   \
               int64_t ldc),                                                                       \
              (int, int, int, int64_t, int64_t, FACTOR_##t, const void *, int64_t, const void *,   \
               int64_t, FACTOR_##t, void *, int64_t),                                              \
              sb_describe_symm(&call, LETTER_##t, order, side, uplo, (integer)m, (integer)n,       \
                               FACTOR_VALUE(t, alpha), SB_MATRIX(a, (integer)lda),                 \
                               SB_MATRIX(b, (integer)ldb), FACTOR_VALUE(t, beta),                  \
                               SB_MATRIX(c, (integer)ldc)),                                        \
              (order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc))
#define FORTRAN_symm(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *side, const char *uplo, const integer *m, const integer *n,             \
               const void *alpha, const void *a, const integer *lda, const void *b,                \
               const integer *ldb, const void *beta, void *c, const integer *ldc),                 \
              (const char *, const char *, const integer *, const integer *, const void *,         \
               const void *, const integer *, const void *, const integer *, const void *, void *, \
               const integer *LENGTH LENGTH),                                                      \
              sb_describe_symm(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_SIDE_OF(side),               \
                               SB_UPLO_OF(uplo), *m, *n, FACTOR_POINTED(t, alpha),                 \
                               SB_MATRIX(a, *lda), SB_MATRIX(b, *ldb), FACTOR_POINTED(t, beta),    \
                               SB_MATRIX(c, *ldc)),                                                \
              (side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc ONE ONE))

/* Updates of rank k and 2k: of Hermitian matrices the factors (of rank 2k beta alone) are real. */
#define CBLAS_rank_k(symbol, kernel, t, integer, kind)                                             \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int trans, int64_t n, int64_t k, kind##_##t alpha,             \
               const void *a, int64_t lda, kind##_##t beta, void *c, int64_t ldc),                 \
              (int, int, int, int64_t, int64_t, kind##_##t, const void *, int64_t, kind##_##t,     \
               void *, int64_t),                                                                   \
              sb_describe_syrk(&call, LETTER_##t, order, uplo, trans, (integer)n, (integer)k,      \
                               kind##_VALUE(t, alpha), SB_MATRIX(a, (integer)lda), NO_MATRIX,      \
                               kind##_VALUE(t, beta), SB_MATRIX(c, (integer)ldc)),                 \
              (order, uplo, trans, n, k, alpha, a, lda, beta, c, ldc))
#define CBLAS_syrk(symbol, kernel, t, integer) CBLAS_rank_k(symbol, kernel, t, integer, FACTOR)
#define CBLAS_herk(symbol, kernel, t, integer) CBLAS_rank_k(symbol, kernel, t, integer, REAL)
#define FORTRAN_rank_k(symbol, kernel, t, integer, kind)                                           \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const char *trans, const integer *n, const integer *k,            \
               const void *alpha, const void *a, const integer *lda, const void *beta, void *c,    \
               const integer *ldc),                                                                \
              (const char *, const char *, const integer *, const integer *, const void *,         \
               const void *, const integer *, const void *, void *, const integer *LENGTH LENGTH), \
              sb_describe_syrk(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo),               \
                               SB_TRANSPOSE_OF(trans), *n, *k, kind##_POINTED(t, alpha),           \
                               SB_MATRIX(a, *lda), NO_MATRIX, kind##_POINTED(t, beta),             \
                               SB_MATRIX(c, *ldc)),                                                \
              (uplo, trans, n, k, alpha, a, lda, beta, c, ldc ONE ONE))
#define FORTRAN_syrk(symbol, kernel, t, integer) FORTRAN_rank_k(symbol, kernel, t, integer, FACTOR)
#define FORTRAN_herk(symbol, kernel, t, integer) FORTRAN_rank_k(symbol, kernel, t, integer, REAL)

#define CBLAS_rank_2k(symbol, kernel, t, integer, kind)                                            \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int trans, int64_t n, int64_t k, FACTOR_##t alpha,             \
               const void *a, int64_t lda, const void *b, int64_t ldb, kind##_##t beta, void *c,   \
               int64_t ldc),                                                                       \
              (int, int, int, int64_t, int64_t, FACTOR_##t, const void *, int64_t, const void *,   \
               int64_t, kind##_##t, void *, int64_t),                                              \
              sb_describe_syrk(&call, LETTER_##t, order, uplo, trans, (integer)n, (integer)k,      \
                               FACTOR_VALUE(t, alpha), SB_MATRIX(a, (integer)lda),                 \
                               SB_MATRIX(b, (integer)ldb), kind##_VALUE(t, beta),                  \
                               SB_MATRIX(c, (integer)ldc)),                                        \
              (order, uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
#define CBLAS_syr2k(symbol, kernel, t, integer) CBLAS_rank_2k(symbol, kernel, t, integer, FACTOR)
#define CBLAS_her2k(symbol, kernel, t, integer) CBLAS_rank_2k(symbol, kernel, t, integer, REAL)
#define FORTRAN_rank_2k(symbol, kernel, t, integer, kind)                                          \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const char *trans, const integer *n, const integer *k,            \
               const void *alpha, const void *a, const integer *lda, const void *b,                \
               const integer *ldb, const void *beta, void *c, const integer *ldc),                 \
              (const char *, const char *, const integer *, const integer *, const void *,         \
               const void *, const integer *, const void *, const integer *, const void *, void *, \
               const integer *LENGTH LENGTH),                                                      \
              sb_describe_syrk(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo),               \
                               SB_TRANSPOSE_OF(trans), *n, *k, FACTOR_POINTED(t, alpha),           \
                               SB_MATRIX(a, *lda), SB_MATRIX(b, *ldb), kind##_POINTED(t, beta),    \
                               SB_MATRIX(c, *ldc)),                                                \
              (uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc ONE ONE))
#define FORTRAN_syr2k(symbol, kernel, t, integer)                                                  \
    FORTRAN_rank_2k(symbol, kernel, t, integer, FACTOR)
#define FORTRAN_her2k(symbol, kernel, t, integer) FORTRAN_rank_2k(symbol, kernel, t, integer, REAL)

#define CBLAS_trmm(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int side, int uplo, int trans, int diagonal, int64_t m, int64_t n,       \
               FACTOR_##t alpha, const void *a, int64_t lda, void *b, int64_t ldb),                \
              (int, int, int, int, int, int64_t, int64_t, FACTOR_##t, const void *, int64_t,       \
               void *, int64_t),                                                                   \
              sb_describe_trmm(&call, LETTER_##t, order, side, uplo, trans, diagonal, (integer)m,  \
                               (integer)n, FACTOR_VALUE(t, alpha), SB_MATRIX(a, (integer)lda),     \
                               SB_MATRIX(b, (integer)ldb)),                                        \
              (order, side, uplo, trans, diagonal, m, n, alpha, a, lda, b, ldb))
#define FORTRAN_trmm(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *side, const char *uplo, const char *trans, const char *diagonal,        \
               const integer *m, const integer *n, const void *alpha, const void *a,               \
               const integer *lda, void *b, const integer *ldb),                                   \
              (const char *, const char *, const char *, const char *, const integer *,            \
               const integer *, const void *, const void *, const integer *, void *,               \
               const integer *LENGTH LENGTH LENGTH LENGTH),                                        \
              sb_describe_trmm(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_SIDE_OF(side),               \
                               SB_UPLO_OF(uplo), SB_TRANSPOSE_OF(trans), SB_DIAGONAL_OF(diagonal), \
                               *m, *n, FACTOR_POINTED(t, alpha), SB_MATRIX(a, *lda),               \
                               SB_MATRIX(b, *ldb)),                                                \
              (side, uplo, trans, diagonal, m, n, alpha, a, lda, b, ldb ONE ONE ONE ONE))

/* ---- Level 2 ---------------------------------------------------------------------------------
 */

#define CBLAS_gemv(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int trans, int64_t m, int64_t n, FACTOR_##t alpha, const void *a,        \
               int64_t lda, const void *x, int64_t incx, FACTOR_##t beta, void *y, int64_t incy),  \
              (int, int, int64_t, int64_t, FACTOR_##t, const void *, int64_t, const void *,        \
               int64_t, FACTOR_##t, void *, int64_t),                                              \
              sb_describe_gemv(&call, LETTER_##t, order, trans, (integer)m, (integer)n,            \
                               FACTOR_VALUE(t, alpha), SB_MATRIX(a, (integer)lda),                 \
                               SB_VECTOR(x, (integer)incx), FACTOR_VALUE(t, beta),                 \
                               SB_VECTOR(y, (integer)incy)),                                       \
              (order, trans, m, n, alpha, a, lda, x, incx, beta, y, incy))
#define FORTRAN_gemv(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *trans, const integer *m, const integer *n, const void *alpha,           \
               const void *a, const integer *lda, const void *x, const integer *incx,              \
               const void *beta, void *y, const integer *incy),                                    \
              (const char *, const integer *, const integer *, const void *, const void *,         \
               const integer *, const void *, const integer *, const void *, void *,               \
               const integer *LENGTH),                                                             \
              sb_describe_gemv(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_TRANSPOSE_OF(trans), *m, *n, \
                               FACTOR_POINTED(t, alpha), SB_MATRIX(a, *lda), SB_VECTOR(x, *incx),  \
                               FACTOR_POINTED(t, beta), SB_VECTOR(y, *incy)),                      \
              (trans, m, n, alpha, a, lda, x, incx, beta, y, incy ONE))

#define CBLAS_symv(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int64_t n, FACTOR_##t alpha, const void *a, int64_t lda,       \
               const void *x, int64_t incx, FACTOR_##t beta, void *y, int64_t incy),               \
              (int, int, int64_t, FACTOR_##t, const void *, int64_t, const void *, int64_t,        \
               FACTOR_##t, void *, int64_t),                                                       \
              sb_describe_symv(&call, LETTER_##t, order, uplo, (integer)n, FACTOR_VALUE(t, alpha), \
                               SB_MATRIX(a, (integer)lda), SB_VECTOR(x, (integer)incx),            \
                               FACTOR_VALUE(t, beta), SB_VECTOR(y, (integer)incy)),                \
              (order, uplo, n, alpha, a, lda, x, incx, beta, y, incy))
#define FORTRAN_symv(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const integer *n, const void *alpha, const void *a,               \
               const integer *lda, const void *x, const integer *incx, const void *beta, void *y,  \
               const integer *incy),                                                               \
              (const char *, const integer *, const void *, const void *, const integer *,         \
               const void *, const integer *, const void *, void *, const integer *LENGTH),        \
              sb_describe_symv(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo), *n,           \
                               FACTOR_POINTED(t, alpha), SB_MATRIX(a, *lda), SB_VECTOR(x, *incx),  \
                               FACTOR_POINTED(t, beta), SB_VECTOR(y, *incy)),                      \
              (uplo, n, alpha, a, lda, x, incx, beta, y, incy ONE))

#define CBLAS_trmv(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int trans, int diagonal, int64_t n, const void *a,             \
               int64_t lda, void *x, int64_t incx),                                                \
              (int, int, int, int, int64_t, const void *, int64_t, void *, int64_t),               \
              sb_describe_trmv(&call, LETTER_##t, order, uplo, trans, diagonal, (integer)n,        \
                               SB_MATRIX(a, (integer)lda), SB_VECTOR(x, (integer)incx)),           \
              (order, uplo, trans, diagonal, n, a, lda, x, incx))
#define FORTRAN_trmv(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const char *trans, const char *diagonal, const integer *n,        \
               const void *a, const integer *lda, void *x, const integer *incx),                   \
              (const char *, const char *, const char *, const integer *, const void *,            \
               const integer *, void *, const integer *LENGTH LENGTH LENGTH),                      \
              sb_describe_trmv(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo),               \
                               SB_TRANSPOSE_OF(trans), SB_DIAGONAL_OF(diagonal), *n,               \
                               SB_MATRIX(a, *lda), SB_VECTOR(x, *incx)),                           \
              (uplo, trans, diagonal, n, a, lda, x, incx ONE ONE ONE))

#define CBLAS_ger(symbol, kernel, t, integer)                                                      \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int64_t m, int64_t n, FACTOR_##t alpha, const void *x, int64_t incx,     \
               const void *y, int64_t incy, void *a, int64_t lda),                                 \
              (int, int64_t, int64_t, FACTOR_##t, const void *, int64_t, const void *, int64_t,    \
               void *, int64_t),                                                                   \
              sb_describe_ger(&call, LETTER_##t, order, (integer)m, (integer)n,                    \
                              FACTOR_VALUE(t, alpha), SB_VECTOR(x, (integer)incx),                 \
                              SB_VECTOR(y, (integer)incy), SB_MATRIX(a, (integer)lda)),            \
              (order, m, n, alpha, x, incx, y, incy, a, lda))
#define FORTRAN_ger(symbol, kernel, t, integer)                                                    \
    PROCEDURE(                                                                                     \
        symbol, kernel,                                                                            \
        (const integer *m, const integer *n, const void *alpha, const void *x,                     \
         const integer *incx, const void *y, const integer *incy, void *a, const integer *lda),    \
        (const integer *, const integer *, const void *, const void *, const integer *,            \
         const void *, const integer *, void *, const integer *),                                  \
        sb_describe_ger(&call, LETTER_##t, SB_COLUMN_MAJOR, *m, *n, FACTOR_POINTED(t, alpha),      \
                        SB_VECTOR(x, *incx), SB_VECTOR(y, *incy), SB_MATRIX(a, *lda)),             \
        (m, n, alpha, x, incx, y, incy, a, lda))

#define CBLAS_syr(symbol, kernel, t, integer)                                                      \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int64_t n, FACTOR_##t alpha, const void *x, int64_t incx,      \
               void *a, int64_t lda),                                                              \
              (int, int, int64_t, FACTOR_##t, const void *, int64_t, void *, int64_t),             \
              sb_describe_syr(&call, LETTER_##t, order, uplo, (integer)n, FACTOR_VALUE(t, alpha),  \
                              SB_VECTOR(x, (integer)incx), NO_VECTOR, SB_MATRIX(a, (integer)lda)), \
              (order, uplo, n, alpha, x, incx, a, lda))
#define FORTRAN_syr(symbol, kernel, t, integer)                                                    \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const integer *n, const void *alpha, const void *x,               \
               const integer *incx, void *a, const integer *lda),                                  \
              (const char *, const integer *, const void *, const void *, const integer *, void *, \
               const integer *LENGTH),                                                             \
              sb_describe_syr(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo), *n,            \
                              FACTOR_POINTED(t, alpha), SB_VECTOR(x, *incx), NO_VECTOR,            \
                              SB_MATRIX(a, *lda)),                                                 \
              (uplo, n, alpha, x, incx, a, lda ONE))

#define CBLAS_her(symbol, kernel, t, integer)                                                      \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int64_t n, REAL_##t alpha, const void *x, int64_t incx,        \
               void *a, int64_t lda),                                                              \
              (int, int, int64_t, REAL_##t, const void *, int64_t, void *, int64_t),               \
              sb_describe_syr(&call, LETTER_##t, order, uplo, (integer)n, REAL_VALUE(t, alpha),    \
                              SB_VECTOR(x, (integer)incx), NO_VECTOR, SB_MATRIX(a, (integer)lda)), \
              (order, uplo, n, alpha, x, incx, a, lda))
#define FORTRAN_her(symbol, kernel, t, integer)                                                    \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const integer *n, const void *alpha, const void *x,               \
               const integer *incx, void *a, const integer *lda),                                  \
              (const char *, const integer *, const void *, const void *, const integer *, void *, \
               const integer *LENGTH),                                                             \
              sb_describe_syr(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo), *n,            \
                              REAL_POINTED(t, alpha), SB_VECTOR(x, *incx), NO_VECTOR,              \
                              SB_MATRIX(a, *lda)),                                                 \
              (uplo, n, alpha, x, incx, a, lda ONE))

#define CBLAS_syr2(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int order, int uplo, int64_t n, FACTOR_##t alpha, const void *x, int64_t incx,      \
               const void *y, int64_t incy, void *a, int64_t lda),                                 \
              (int, int, int64_t, FACTOR_##t, const void *, int64_t, const void *, int64_t,        \
               void *, int64_t),                                                                   \
              sb_describe_syr(&call, LETTER_##t, order, uplo, (integer)n, FACTOR_VALUE(t, alpha),  \
                              SB_VECTOR(x, (integer)incx), SB_VECTOR(y, (integer)incy),            \
                              SB_MATRIX(a, (integer)lda)),                                         \
              (order, uplo, n, alpha, x, incx, y, incy, a, lda))
#define FORTRAN_syr2(symbol, kernel, t, integer)                                                   \
    PROCEDURE(symbol, kernel,                                                                      \
              (const char *uplo, const integer *n, const void *alpha, const void *x,               \
               const integer *incx, const void *y, const integer *incy, void *a,                   \
               const integer *lda),                                                                \
              (const char *, const integer *, const void *, const void *, const integer *,         \
               const void *, const integer *, void *, const integer *LENGTH),                      \
              sb_describe_syr(&call, LETTER_##t, SB_COLUMN_MAJOR, SB_UPLO_OF(uplo), *n,            \
                              FACTOR_POINTED(t, alpha), SB_VECTOR(x, *incx), SB_VECTOR(y, *incy),  \
                              SB_MATRIX(a, *lda)),                                                 \
              (uplo, n, alpha, x, incx, y, incy, a, lda ONE))

/* ---- Level 1 ---------------------------------------------------------------------------------
 */

#define CBLAS_dot(symbol, kernel, t, integer)                                                      \
    FUNCTION(symbol, kernel, REAL_##t,                                                             \
             (int64_t n, const void *x, int64_t incx, const void *y, int64_t incy),                \
             sb_describe_dot(&call, LETTER_##t, (integer)n, SB_VECTOR(x, (integer)incx),           \
                             SB_VECTOR(y, (integer)incy)),                                         \
             (n, x, incx, y, incy))
#define FORTRAN_dot(symbol, kernel, t, integer)                                                    \
    FUNCTION(symbol, kernel, REAL_##t,                                                             \
             (const integer *n, const void *x, const integer *incx, const void *y,                 \
              const integer *incy),                                                                \
             sb_describe_dot(&call, LETTER_##t, *n, SB_VECTOR(x, *incx), SB_VECTOR(y, *incy)),     \
             (n, x, incx, y, incy))

#define CBLAS_dot_sub(symbol, kernel, t, integer)                                                  \
    INTERPOSE(symbol, kernel, void,                                                                \
              (int64_t n, const void *x, int64_t incx, const void *y, int64_t incy, void *result), \
              (int64_t, const void *, int64_t, const void *, int64_t, void *),                     \
              sb_describe_dot(&call, LETTER_##t, (integer)n, SB_VECTOR(x, (integer)incx),          \
                              SB_VECTOR(y, (integer)incy)),                                        \
              , (n, x, incx, y, incy, result), result, BYTES_##t, return )

#define CBLAS_norm(symbol, kernel, t, integer)                                                     \
    FUNCTION(                                                                                      \
        symbol, kernel, REAL_##t, (int64_t n, const void *x, int64_t incx),                        \
        sb_describe_dot(&call, LETTER_##t, (integer)n, SB_VECTOR(x, (integer)incx), NO_VECTOR),    \
        (n, x, incx))
#define FORTRAN_norm(symbol, kernel, t, integer)                                                   \
    FUNCTION(symbol, kernel, REAL_##t, (const integer *n, const void *x, const integer *incx),     \
             sb_describe_dot(&call, LETTER_##t, *n, SB_VECTOR(x, *incx), NO_VECTOR), (n, x, incx))

#define CBLAS_axpy(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel,                                                                      \
              (int64_t n, FACTOR_##t alpha, const void *x, int64_t incx, void *y, int64_t incy),   \
              (int64_t, FACTOR_##t, const void *, int64_t, void *, int64_t),                       \
              sb_describe_axpy(&call, LETTER_##t, (integer)n, FACTOR_VALUE(t, alpha),              \
                               SB_VECTOR(x, (integer)incx), SB_VECTOR(y, (integer)incy)),          \
              (n, alpha, x, incx, y, incy))
#define FORTRAN_axpy(symbol, kernel, t, integer)                                                   \
    PROCEDURE(                                                                                     \
        symbol, kernel,                                                                            \
        (const integer *n, const void *alpha, const void *x, const integer *incx, void *y,         \
         const integer *incy),                                                                     \
        (const integer *, const void *, const void *, const integer *, void *, const integer *),   \
        sb_describe_axpy(&call, LETTER_##t, *n, FACTOR_POINTED(t, alpha), SB_VECTOR(x, *incx),     \
                         SB_VECTOR(y, *incy)),                                                     \
        (n, alpha, x, incx, y, incy))

#define CBLAS_scal(symbol, kernel, t, integer)                                                     \
    PROCEDURE(symbol, kernel, (int64_t n, FACTOR_##t alpha, void *x, int64_t incx),                \
              (int64_t, FACTOR_##t, void *, int64_t),                                              \
              sb_describe_scal(&call, LETTER_##t, (integer)n, FACTOR_VALUE(t, alpha),              \
                               SB_VECTOR(x, (integer)incx)),                                       \
              (n, alpha, x, incx))
#define FORTRAN_scal(symbol, kernel, t, integer)                                                   \
    PROCEDURE(                                                                                     \
        symbol, kernel, (const integer *n, const void *alpha, void *x, const integer *incx),       \
        (const integer *, const void *, void *, const integer *),                                  \
        sb_describe_scal(&call, LETTER_##t, *n, FACTOR_POINTED(t, alpha), SB_VECTOR(x, *incx)),    \
        (n, alpha, x, incx))

#define CBLAS_rscal(symbol, kernel, t, integer)                                                    \
    PROCEDURE(symbol, kernel, (int64_t n, REAL_##t alpha, void *x, int64_t incx),                  \
              (int64_t, REAL_##t, void *, int64_t),                                                \
              sb_describe_scal(&call, LETTER_##t, (integer)n, REAL_VALUE(t, alpha),                \
                               SB_VECTOR(x, (integer)incx)),                                       \
              (n, alpha, x, incx))
#define FORTRAN_rscal(symbol, kernel, t, integer)                                                  \
    PROCEDURE(                                                                                     \
        symbol, kernel, (const integer *n, const void *alpha, void *x, const integer *incx),       \
        (const integer *, const void *, void *, const integer *),                                  \
        sb_describe_scal(&call, LETTER_##t, *n, REAL_POINTED(t, alpha), SB_VECTOR(x, *incx)),      \
        (n, alpha, x, incx))

/* ---- Names ------------------------------------------------------------------------------------
 */

#define SB_CBLAS_ROUTINE(name, family, t)                                                          \
    CBLAS_##family(cblas_##name, #name, t, int)                                                    \
        CBLAS_##family(cblas_##name##64_, #name, t, int64_t)                                       \
            CBLAS_##family(cblas_##name##_64, #name, t, int64_t)                                   \
                CBLAS_##family(scipy_cblas_##name, #name, t, int)                                  \
                    CBLAS_##family(scipy_cblas_##name##64_, #name, t, int64_t)
#define SB_ROUTINE(name, family, t)                                                                \
    SB_CBLAS_ROUTINE(name, family, t)                                                              \
    FORTRAN_##family(name##_, #name, t, int) FORTRAN_##family(name##_64_, #name, t, int64_t)       \
        FORTRAN_##family(name##64_, #name, t, int64_t)                                             \
            FORTRAN_##family(scipy_##name##_, #name, t, int)                                       \
                FORTRAN_##family(scipy_##name##_64_, #name, t, int64_t)

#include "probe/trace_blas_list.h"
