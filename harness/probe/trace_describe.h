/* The trace: what a call of BLAS reads and writes. Arguments are those of the cblas interface, with
 * its numbers for what Fortran writes as a letter. */
#ifndef SB_PROBE_TRACE_DESCRIBE_H
#define SB_PROBE_TRACE_DESCRIBE_H

#include "probe/trace.h"

enum {
    SB_ROW_MAJOR = 101,
    SB_COLUMN_MAJOR = 102,
    SB_NO_TRANSPOSE = 111,
    SB_TRANSPOSE,
    SB_CONJUGATE_TRANSPOSE,
    SB_CONJUGATE,
    SB_IS_UPPER = 121,
    SB_IS_LOWER,
    SB_NON_UNIT = 131,
    SB_UNIT,
    SB_LEFT = 141,
    SB_RIGHT
};

/* A letter's number; one that it cannot mean is 0. */
int sb_flag_of(char letter, const char *letters, int first);
#define SB_TRANSPOSE_OF(at) sb_flag_of(*(at), "NTCR", SB_NO_TRANSPOSE)
#define SB_UPLO_OF(at) sb_flag_of(*(at), "UL", SB_IS_UPPER)
#define SB_DIAGONAL_OF(at) sb_flag_of(*(at), "NU", SB_NON_UNIT)
#define SB_SIDE_OF(at) sb_flag_of(*(at), "LR", SB_LEFT)

/* One factor: its bytes, and whether what it is multiplied with is read at all. */
struct sb_factor {
    const void *at;
    size_t n;
};

/* Letters: s, d, c, z, h (half) and i (a whole number of 32 bits). */
unsigned sb_bytes_of_letter(char letter);
/* +0 or −0, of both parts of a complex number. */
bool sb_factor_is_zero(char letter, struct sb_factor factor);

struct sb_matrix {
    const void *at;
    int64_t ld;
};
struct sb_vector {
    const void *at;
    int64_t step;
};
#define SB_MATRIX(at, ld) ((struct sb_matrix){at, (int64_t)(ld)})
#define SB_VECTOR(at, step) ((struct sb_vector){at, (int64_t)(step)})

/* `type` is the letter s, d, c or z of the elements. Each leaves call->valid false where BLAS would
 * refuse the arguments. */
void sb_describe_gemm(struct sb_traced *call, char type, int order, int transpose_a,
                      int transpose_b, int64_t m, int64_t n, int64_t k, struct sb_factor alpha,
                      struct sb_matrix a, struct sb_matrix b, struct sb_factor beta,
                      struct sb_matrix c);
void sb_describe_symm(struct sb_traced *call, char type, int order, int side, int uplo, int64_t m,
                      int64_t n, struct sb_factor alpha, struct sb_matrix a, struct sb_matrix b,
                      struct sb_factor beta, struct sb_matrix c);
/* b.at NULL: syrk; else syr2k. */
void sb_describe_syrk(struct sb_traced *call, char type, int order, int uplo, int transpose,
                      int64_t n, int64_t k, struct sb_factor alpha, struct sb_matrix a,
                      struct sb_matrix b, struct sb_factor beta, struct sb_matrix c);
void sb_describe_trmm(struct sb_traced *call, char type, int order, int side, int uplo,
                      int transpose, int diagonal, int64_t m, int64_t n, struct sb_factor alpha,
                      struct sb_matrix a, struct sb_matrix b);
void sb_describe_gemv(struct sb_traced *call, char type, int order, int transpose, int64_t m,
                      int64_t n, struct sb_factor alpha, struct sb_matrix a, struct sb_vector x,
                      struct sb_factor beta, struct sb_vector y);
void sb_describe_symv(struct sb_traced *call, char type, int order, int uplo, int64_t n,
                      struct sb_factor alpha, struct sb_matrix a, struct sb_vector x,
                      struct sb_factor beta, struct sb_vector y);
void sb_describe_trmv(struct sb_traced *call, char type, int order, int uplo, int transpose,
                      int diagonal, int64_t n, struct sb_matrix a, struct sb_vector x);
void sb_describe_ger(struct sb_traced *call, char type, int order, int64_t m, int64_t n,
                     struct sb_factor alpha, struct sb_vector x, struct sb_vector y,
                     struct sb_matrix a);
/* y.at NULL: syr; else syr2. */
void sb_describe_syr(struct sb_traced *call, char type, int order, int uplo, int64_t n,
                     struct sb_factor alpha, struct sb_vector x, struct sb_vector y,
                     struct sb_matrix a);
/* y.at NULL: of one vector. What comes out is what the call returns. */
void sb_describe_dot(struct sb_traced *call, char type, int64_t n, struct sb_vector x,
                     struct sb_vector y);
void sb_describe_axpy(struct sb_traced *call, char type, int64_t n, struct sb_factor alpha,
                      struct sb_vector x, struct sb_vector y);
void sb_describe_scal(struct sb_traced *call, char type, int64_t n, struct sb_factor alpha,
                      struct sb_vector x);

/* Of BLAS's letters: the type of a real factor, and the letter as a character. */
#define REAL_s float
#define REAL_d double
#define REAL_c float
#define REAL_z double
#define LETTER_s 's'
#define LETTER_d 'd'
#define LETTER_c 'c'
#define LETTER_z 'z'

#endif
