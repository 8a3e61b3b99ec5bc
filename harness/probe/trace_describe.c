/* The trace: what a call of BLAS reads and writes. What a factor of zero keeps from being read is
 * left out: the standard lets it be anything. */
#include "probe/trace_describe.h"

#include <samebits/weights.h>

#include <string.h>

int sb_flag_of(char letter, const char *letters, int first) {
    if (letter >= 'a' && letter <= 'z')
        letter = (char)(letter - 'a' + 'A');
    const char *found = letter ? strchr(letters, letter) : NULL;
    return found ? first + (int)(found - letters) : 0;
}

/* ---- Parts ------------------------------------------------------------------------------------
 */

/* By the type's letter: h and i come of CUDA alone. */
static const struct type {
    char letter;
    uint8_t dtype, element;
    enum { WHOLE_NUMBER, HALF, SINGLE, DOUBLE } of;
} types[] = {{'s', SB_DTYPE_F32, 4, SINGLE}, {'d', SB_DTYPE_F64, 8, DOUBLE},
             {'c', SB_DTYPE_C64, 8, SINGLE}, {'z', SB_DTYPE_C128, 16, DOUBLE},
             {'h', SB_DTYPE_F16, 2, HALF},   {'i', SB_DTYPE_I32, 4, WHOLE_NUMBER}};

static const struct type *type_of(char letter) {
    size_t i = 0;
    while (types[i].letter != letter)
        i++;
    return &types[i];
}

static void begin(struct sb_traced *call, char type) {
    call->valid = true;
    call->dtype = type_of(type)->dtype;
    call->element = type_of(type)->element;
}

static void put_size(struct sb_traced *call, int64_t size) {
    call->valid &= size >= 0;
    call->sizes[call->n_sizes++] = (uint64_t)size;
}

static void put_flag(struct sb_traced *call, int flag, int first, int last) {
    call->valid &= flag >= first && flag <= last;
    call->options[call->n_options++] = (uint8_t)flag;
}

static void put_order(struct sb_traced *call, int order) {
    put_flag(call, order, SB_ROW_MAJOR, SB_COLUMN_MAJOR);
}

static void put_transpose(struct sb_traced *call, int transpose) {
    put_flag(call, transpose, SB_NO_TRANSPOSE, SB_CONJUGATE);
}

static void put_uplo(struct sb_traced *call, int uplo) {
    put_flag(call, uplo, SB_IS_UPPER, SB_IS_LOWER);
}

static void put_factor(struct sb_traced *call, struct sb_factor factor) {
    memcpy(call->options + call->n_options, factor.at, factor.n);
    call->n_options += (unsigned)factor.n;
}

unsigned sb_bytes_of_letter(char letter) {
    return type_of(letter)->element;
}

/* All bits but the sign's. */
bool sb_factor_is_zero(char type, struct sb_factor factor) {
    static const size_t sizes[] = {[WHOLE_NUMBER] = 4, [HALF] = 2, [SINGLE] = 4, [DOUBLE] = 8};
    size_t size = sizes[type_of(type)->of];
    for (size_t i = 0; i < factor.n; i++) {
        unsigned char byte = ((const unsigned char *)factor.at)[i];
        bool has_sign = i % size == size - 1 && type_of(type)->of != WHOLE_NUMBER;
        if (has_sign ? byte & 0x7f : byte)
            return false;
    }
    return true;
}

enum access { UNUSED = 0, READ = 1, WRITTEN = 2, UPDATED = 3 };

static void put_operand(struct sb_traced *call, struct sb_operand operand, enum access access) {
    operand.read = access & READ;
    operand.written = access & WRITTEN;
    if (!operand.rows || !operand.columns)
        operand.rows = operand.columns = 0;
    call->operands[call->n_operands++] = operand;
}

/* A matrix of m rows and n columns, as `order` keeps it. `uplo` 0: all of it. */
static void put_triangle(struct sb_traced *call, int order, struct sb_matrix matrix, int64_t m,
                         int64_t n, int uplo, bool unit, enum access access) {
    bool by_rows = order == SB_ROW_MAJOR;
    int64_t rows = by_rows ? n : m, columns = by_rows ? m : n;
    struct sb_operand operand = {.at = matrix.at,
                                 .rows = (uint64_t)rows,
                                 .columns = (uint64_t)columns,
                                 .stride = (uint64_t)matrix.ld};
    bool upper = (uplo == SB_IS_UPPER) != by_rows;
    if (uplo && unit)
        operand.part = upper ? SB_STRICTLY_UPPER : SB_STRICTLY_LOWER;
    else if (uplo)
        operand.part = upper ? SB_UPPER : SB_LOWER;
    call->valid &= matrix.ld >= (rows > 1 ? rows : 1) && (matrix.at || !rows || !columns);
    put_operand(call, operand, access);
}

static void put_matrix(struct sb_traced *call, int order, struct sb_matrix matrix, int64_t m,
                       int64_t n, enum access access) {
    put_triangle(call, order, matrix, m, n, 0, false, access);
}

/* One that is given as its transpose. */
static void put_given(struct sb_traced *call, int order, int transpose, struct sb_matrix matrix,
                      int64_t m, int64_t n, enum access access) {
    bool as_is = transpose == SB_NO_TRANSPOSE || transpose == SB_CONJUGATE;
    put_matrix(call, order, matrix, as_is ? m : n, as_is ? n : m, access);
}

/* From the lowest address on, whichever way the call goes; which that is goes in too. */
static void put_vector(struct sb_traced *call, struct sb_vector vector, int64_t n,
                       enum access access) {
    uint64_t step = (uint64_t)(vector.step < 0 ? -vector.step : vector.step);
    struct sb_operand operand = {.at = vector.at, .rows = 1, .columns = (uint64_t)n, .stride = 1};
    if (step == 0)
        operand.columns = n > 0;
    else
        operand.stride = step;
    call->options[call->n_options++] = vector.step < 0 ? '-' : vector.step > 0 ? '+' : '0';
    call->valid &= vector.at || n <= 0;
    put_operand(call, operand, access);
}

static enum access if_not_zero(char type, struct sb_factor factor) {
    return sb_factor_is_zero(type, factor) ? UNUSED : READ;
}

/* ---- Level 3 ----------------------------------------------------------------------------------
 */

void sb_describe_gemm(struct sb_traced *call, char type, int order, int transpose_a,
                      int transpose_b, int64_t m, int64_t n, int64_t k, struct sb_factor alpha,
                      struct sb_matrix a, struct sb_matrix b, struct sb_factor beta,
                      struct sb_matrix c) {
    enum access factors = if_not_zero(type, alpha);
    begin(call, type);
    put_size(call, m);
    put_size(call, n);
    put_size(call, k);
    put_order(call, order);
    put_transpose(call, transpose_a);
    put_transpose(call, transpose_b);
    put_factor(call, alpha);
    put_factor(call, beta);
    put_given(call, order, transpose_a, a, m, k, factors);
    put_given(call, order, transpose_b, b, k, n, factors);
    put_matrix(call, order, c, m, n, WRITTEN | if_not_zero(type, beta));
}

void sb_describe_symm(struct sb_traced *call, char type, int order, int side, int uplo, int64_t m,
                      int64_t n, struct sb_factor alpha, struct sb_matrix a, struct sb_matrix b,
                      struct sb_factor beta, struct sb_matrix c) {
    enum access factors = if_not_zero(type, alpha);
    int64_t of_a = side == SB_LEFT ? m : n;
    begin(call, type);
    put_size(call, m);
    put_size(call, n);
    put_order(call, order);
    put_flag(call, side, SB_LEFT, SB_RIGHT);
    put_uplo(call, uplo);
    put_factor(call, alpha);
    put_factor(call, beta);
    put_triangle(call, order, a, of_a, of_a, uplo, false, factors);
    put_matrix(call, order, b, m, n, factors);
    put_matrix(call, order, c, m, n, WRITTEN | if_not_zero(type, beta));
}

void sb_describe_syrk(struct sb_traced *call, char type, int order, int uplo, int transpose,
                      int64_t n, int64_t k, struct sb_factor alpha, struct sb_matrix a,
                      struct sb_matrix b, struct sb_factor beta, struct sb_matrix c) {
    enum access factors = if_not_zero(type, alpha);
    begin(call, type);
    put_size(call, n);
    put_size(call, k);
    put_order(call, order);
    put_uplo(call, uplo);
    put_transpose(call, transpose);
    put_factor(call, alpha);
    put_factor(call, beta);
    put_given(call, order, transpose, a, n, k, factors);
    if (b.at)
        put_given(call, order, transpose, b, n, k, factors);
    put_triangle(call, order, c, n, n, uplo, false, WRITTEN | if_not_zero(type, beta));
}

void sb_describe_trmm(struct sb_traced *call, char type, int order, int side, int uplo,
                      int transpose, int diagonal, int64_t m, int64_t n, struct sb_factor alpha,
                      struct sb_matrix a, struct sb_matrix b) {
    enum access factors = if_not_zero(type, alpha);
    int64_t of_a = side == SB_LEFT ? m : n;
    begin(call, type);
    put_size(call, m);
    put_size(call, n);
    put_order(call, order);
    put_flag(call, side, SB_LEFT, SB_RIGHT);
    put_uplo(call, uplo);
    put_transpose(call, transpose);
    put_flag(call, diagonal, SB_NON_UNIT, SB_UNIT);
    put_factor(call, alpha);
    put_triangle(call, order, a, of_a, of_a, uplo, diagonal == SB_UNIT, factors);
    put_matrix(call, order, b, m, n, WRITTEN | factors);
}

/* ---- Level 2 ----------------------------------------------------------------------------------
 */

void sb_describe_gemv(struct sb_traced *call, char type, int order, int transpose, int64_t m,
                      int64_t n, struct sb_factor alpha, struct sb_matrix a, struct sb_vector x,
                      struct sb_factor beta, struct sb_vector y) {
    enum access factors = if_not_zero(type, alpha);
    bool as_is = transpose == SB_NO_TRANSPOSE || transpose == SB_CONJUGATE;
    begin(call, type);
    put_size(call, m);
    put_size(call, n);
    put_order(call, order);
    put_transpose(call, transpose);
    put_factor(call, alpha);
    put_factor(call, beta);
    put_matrix(call, order, a, m, n, factors);
    put_vector(call, x, as_is ? n : m, factors);
    put_vector(call, y, as_is ? m : n, WRITTEN | if_not_zero(type, beta));
}

void sb_describe_symv(struct sb_traced *call, char type, int order, int uplo, int64_t n,
                      struct sb_factor alpha, struct sb_matrix a, struct sb_vector x,
                      struct sb_factor beta, struct sb_vector y) {
    enum access factors = if_not_zero(type, alpha);
    begin(call, type);
    put_size(call, n);
    put_order(call, order);
    put_uplo(call, uplo);
    put_factor(call, alpha);
    put_factor(call, beta);
    put_triangle(call, order, a, n, n, uplo, false, factors);
    put_vector(call, x, n, factors);
    put_vector(call, y, n, WRITTEN | if_not_zero(type, beta));
}

void sb_describe_trmv(struct sb_traced *call, char type, int order, int uplo, int transpose,
                      int diagonal, int64_t n, struct sb_matrix a, struct sb_vector x) {
    begin(call, type);
    put_size(call, n);
    put_order(call, order);
    put_uplo(call, uplo);
    put_transpose(call, transpose);
    put_flag(call, diagonal, SB_NON_UNIT, SB_UNIT);
    put_triangle(call, order, a, n, n, uplo, diagonal == SB_UNIT, READ);
    put_vector(call, x, n, UPDATED);
}

void sb_describe_ger(struct sb_traced *call, char type, int order, int64_t m, int64_t n,
                     struct sb_factor alpha, struct sb_vector x, struct sb_vector y,
                     struct sb_matrix a) {
    enum access factors = if_not_zero(type, alpha);
    begin(call, type);
    put_size(call, m);
    put_size(call, n);
    put_order(call, order);
    put_factor(call, alpha);
    put_vector(call, x, m, factors);
    put_vector(call, y, n, factors);
    put_matrix(call, order, a, m, n, UPDATED);
}

void sb_describe_syr(struct sb_traced *call, char type, int order, int uplo, int64_t n,
                     struct sb_factor alpha, struct sb_vector x, struct sb_vector y,
                     struct sb_matrix a) {
    enum access factors = if_not_zero(type, alpha);
    begin(call, type);
    put_size(call, n);
    put_order(call, order);
    put_uplo(call, uplo);
    put_factor(call, alpha);
    put_vector(call, x, n, factors);
    if (y.at)
        put_vector(call, y, n, factors);
    put_triangle(call, order, a, n, n, uplo, false, UPDATED);
}

/* ---- Level 1 ----------------------------------------------------------------------------------
 */

/* Here a negative size means nothing to do. */
static int64_t count(int64_t n) {
    return n > 0 ? n : 0;
}

void sb_describe_dot(struct sb_traced *call, char type, int64_t n, struct sb_vector x,
                     struct sb_vector y) {
    begin(call, type);
    put_size(call, count(n));
    put_vector(call, x, count(n), READ);
    if (y.at)
        put_vector(call, y, count(n), READ);
}

void sb_describe_axpy(struct sb_traced *call, char type, int64_t n, struct sb_factor alpha,
                      struct sb_vector x, struct sb_vector y) {
    begin(call, type);
    put_size(call, count(n));
    put_factor(call, alpha);
    put_vector(call, x, count(n), if_not_zero(type, alpha));
    put_vector(call, y, count(n), UPDATED);
}

void sb_describe_scal(struct sb_traced *call, char type, int64_t n, struct sb_factor alpha,
                      struct sb_vector x) {
    begin(call, type);
    put_size(call, count(n));
    put_factor(call, alpha);
    /* A step below 1 means nothing to do. */
    put_vector(call, x, x.step > 0 ? count(n) : 0, WRITTEN | if_not_zero(type, alpha));
}
