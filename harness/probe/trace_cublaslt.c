/* The trace: cublasLt's products. What one is stands in descriptors, which are asked; how it is
 * computed, the algorithm among the rest, is no input. */
#include "probe/trace_cuda.h"
#include "probe/trace_describe.h"

#include <string.h>

/* A product being described. */
struct product {
    struct sb_traced *call;
    const void *caller;
    cublasLtMatmulDesc_t descriptor;
    bool failed;
};

struct layout {
    int32_t type, order, batch;
    uint64_t rows, columns;
    int64_t ld, stride;
};

/* ---- What descriptors say ---------------------------------------------------------------------
 */

/* `value` stays what it is where the library does not know the attribute. */
static bool ask(const struct product *p, int attribute, void *value, size_t n) {
    const void *caller = p->caller;
    unsigned char room[8];
    if (SB_ASK("cublasLtMatmulDescGetAttribute", (void *, int, void *, size_t, size_t *),
               p->descriptor, attribute, room, n, NULL) != 0)
        return false;
    memcpy(value, room, n);
    return true;
}

static int32_t number(const struct product *p, int attribute, int32_t otherwise) {
    ask(p, attribute, &otherwise, sizeof otherwise);
    return otherwise;
}

static int64_t wide(const struct product *p, int attribute) {
    int64_t value = 0;
    ask(p, attribute, &value, sizeof value);
    return value;
}

static void *pointer(const struct product *p, int attribute) {
    void *value = NULL;
    ask(p, attribute, &value, sizeof value);
    return value;
}

static bool of_layout(const struct product *p, cublasLtMatrixLayout_t layout, int attribute,
                      void *value, size_t n) {
    const void *caller = p->caller;
    return SB_ASK("cublasLtMatrixLayoutGetAttribute", (void *, int, void *, size_t, size_t *),
                  layout, attribute, value, n, NULL) == 0;
}

/* Tiles, numbers in planes and batches by addresses are left out. */
static struct layout layout_of(struct product *p, cublasLtMatrixLayout_t from) {
    struct layout layout = {.type = -1};
    int64_t plane = 0;
    int32_t by_address = 0;
    bool known =
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_TYPE, &layout.type, sizeof layout.type) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_ORDER, &layout.order, sizeof layout.order) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_ROWS, &layout.rows, sizeof layout.rows) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_COLS, &layout.columns,
                  sizeof layout.columns) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_LD, &layout.ld, sizeof layout.ld) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &layout.batch,
                  sizeof layout.batch) &&
        of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &layout.stride,
                  sizeof layout.stride);
    of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, &plane, sizeof plane);
    if (!of_layout(p, from, SB_CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, &by_address, sizeof by_address))
        by_address = 0;
    p->failed = p->failed || !known || plane || by_address ||
                (layout.order != SB_CUBLASLT_ORDER_COL && layout.order != SB_CUBLASLT_ORDER_ROW);
    return layout;
}

/* ---- Operands ---------------------------------------------------------------------------------
 */

static void put_option(struct product *p, const void *bytes, size_t n) {
    memcpy(p->call->options + p->call->n_options, bytes, n);
    p->call->n_options += (unsigned)n;
}

static struct sb_operand *put(struct product *p, const void *at, int32_t type, bool written) {
    struct sb_operand *operand = &p->call->operands[p->call->n_operands++];
    uint8_t dtype;
    *operand = (struct sb_operand){.at = at, .read = !written, .written = written};
    p->failed = p->failed || !at || !sb_cuda_type((cudaDataType)type, &dtype, &operand->element);
    put_option(p, &(uint8_t){(uint8_t)type}, 1);
    return operand;
}

static void put_matrix(struct product *p, const void *at, const struct layout *layout,
                       bool written) {
    struct sb_operand *operand = put(p, at, layout->type, written);
    bool by_rows = layout->order == SB_CUBLASLT_ORDER_ROW;
    operand->rows = by_rows ? layout->columns : layout->rows;
    operand->columns = by_rows ? layout->rows : layout->columns;
    operand->stride = (uint64_t)layout->ld;
    operand->blocks = (uint64_t)layout->batch;
    operand->block_stride = (uint64_t)layout->stride;
    put_option(p, &(uint8_t){(uint8_t)layout->order}, 1);
}

/* One of each batch where they lie apart. */
static void put_vector(struct product *p, const void *at, int32_t type, uint64_t n, int64_t stride,
                       int32_t batch, bool written) {
    struct sb_operand *operand = put(p, at, type, written);
    operand->rows = operand->stride = n;
    operand->columns = 1;
    operand->blocks = stride ? (uint64_t)batch : 1;
    operand->block_stride = (uint64_t)stride;
}

/* ---- Factors ----------------------------------------------------------------------------------
 */

/* True: what it is multiplied with is read. */
static bool put_scalar(struct product *p, char letter, const void *at, bool on_device) {
    unsigned char value[16] = {0};
    size_t n = sb_bytes_of_letter(letter);
    const struct sb_memory *memory = &p->call->memory;
    p->failed = p->failed || !at;
    if (!p->failed && on_device)
        p->failed = !memory->copy(memory, value, at, n, n, 1);
    else if (!p->failed)
        memcpy(value, at, n);
    put_option(p, value, n);
    return !sb_factor_is_zero(letter, (struct sb_factor){value, n});
}

static void put_factors(struct product *p, const void *alpha, const void *beta,
                        const struct layout *d, bool *reads_factors, bool *reads_c) {
    int32_t mode = number(p, SB_CUBLASLT_MATMUL_DESC_POINTER_MODE, SB_CUBLASLT_POINTER_MODE_HOST);
    int32_t type = number(p, SB_CUBLASLT_MATMUL_DESC_SCALE_TYPE, -1);
    char letter = sb_cuda_letter((cudaDataType)type);
    p->failed = p->failed || !letter;
    letter = letter ? letter : 's';
    *reads_factors = *reads_c = true;
    if (mode == SB_CUBLASLT_POINTER_MODE_HOST || mode == SB_CUBLASLT_POINTER_MODE_DEVICE)
        *reads_factors = put_scalar(p, letter, alpha, mode == SB_CUBLASLT_POINTER_MODE_DEVICE);
    else
        put_vector(p, alpha, type, d->rows,
                   wide(p, SB_CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE), d->batch, false);
    if (mode == SB_CUBLASLT_POINTER_MODE_DEVICE_VECTOR)
        put_vector(p, beta, type, d->rows, 0, 1, false);
    else if (mode == SB_CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO)
        *reads_c = false;
    else
        *reads_c = put_scalar(p, letter, beta, mode == SB_CUBLASLT_POINTER_MODE_DEVICE);
}

/* ---- What is done beside the product ----------------------------------------------------------
 */

/* What it is where nobody says (documentation of cublasLtMatmul): that of D, but of few bits a
 * wider one. */
static int32_t type_beside(const struct product *p, int attribute, const struct layout *a,
                           const struct layout *d) {
    int32_t type = number(p, attribute, -1);
    bool few_bits = a->type == SB_CUDA_R_8F_E4M3 || a->type == SB_CUDA_R_8F_E5M2;
    if (type >= 0)
        return type;
    if (d->type == SB_CUDA_R_8I)
        return SB_CUDA_R_32F;
    return few_bits && d->type != SB_CUDA_R_16F ? SB_CUDA_R_16BF : d->type;
}

static void put_bias(struct product *p, int32_t epilogue, const struct layout *a,
                     const struct layout *d) {
    enum { BIAS = SB_CUBLASLT_EPILOGUE_BIAS, GRADIENT = 16 };
    if (epilogue & (BIAS | GRADIENT | SB_CUBLASLT_EPILOGUE_BGRADA | SB_CUBLASLT_EPILOGUE_BGRADB))
        put_vector(p, pointer(p, SB_CUBLASLT_MATMUL_DESC_BIAS_POINTER),
                   type_beside(p, SB_CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, a, d),
                   epilogue & SB_CUBLASLT_EPILOGUE_BGRADB ? d->columns : d->rows,
                   wide(p, SB_CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE), d->batch,
                   !(epilogue & BIAS));
}

/* Of a mask, which has a bit for each element, whole bytes. */
static void put_beside(struct product *p, int32_t epilogue, const struct layout *a,
                       const struct layout *d) {
    enum { BESIDE = 128, INTO_RELU = 8, INTO_GELU = 64 };
    bool mask = epilogue & (SB_CUBLASLT_EPILOGUE_RELU | INTO_RELU);
    struct layout layout = *d;
    if (!(epilogue & BESIDE))
        return;
    layout.ld = wide(p, SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD);
    layout.stride = wide(p, SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE);
    layout.type =
        mask ? SB_CUDA_R_8U : type_beside(p, SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, a, d);
    if (mask) {
        layout.rows /= 8;
        layout.ld /= 8;
        layout.stride /= 8;
    }
    p->failed = p->failed || d->order != SB_CUBLASLT_ORDER_COL;
    put_matrix(p, pointer(p, SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER), &layout,
               !(epilogue & (INTO_RELU | INTO_GELU)));
}

/* One number each, which modes of newer libraries make a vector or tiles of. */
static void put_scales(struct product *p) {
    static const struct {
        int pointer, mode;
        bool written;
    } scales[] = {
        {SB_CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, SB_CUBLASLT_MATMUL_DESC_A_SCALE_MODE, false},
        {SB_CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, SB_CUBLASLT_MATMUL_DESC_B_SCALE_MODE, false},
        {SB_CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, SB_CUBLASLT_MATMUL_DESC_C_SCALE_MODE, false},
        {SB_CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, SB_CUBLASLT_MATMUL_DESC_D_SCALE_MODE, false},
        {SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER,
         SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_MODE, false},
        {SB_CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, 0, true},
        {SB_CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, 0, true}};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        const void *at = pointer(p, scales[i].pointer);
        if (!at)
            continue;
        p->failed = p->failed || (scales[i].mode && number(p, scales[i].mode, 0) != 0);
        put_option(p, &(uint8_t){(uint8_t)scales[i].pointer}, 1);
        put_vector(p, at, SB_CUDA_R_32F, 1, 0, 1, scales[i].written);
    }
    p->failed = p->failed || pointer(p, SB_CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER);
}

/* ---- The call ---------------------------------------------------------------------------------
 */

struct matrices {
    const void *a, *b, *c;
    void *d;
    cublasLtMatrixLayout_t layouts[4];
};

static void describe(struct product *p, const void *alpha, const void *beta,
                     const struct matrices *with, void *stream) {
    struct sb_traced *call = p->call;
    bool reads_factors, reads_c;
    p->failed = !sb_cuda_memory(&call->memory, stream);
    struct layout of[4];
    for (int i = 0; i < 4; i++)
        of[i] = layout_of(p, with->layouts[i]);
    const int32_t flags[] = {
        number(p, SB_CUBLASLT_MATMUL_DESC_TRANSA, SB_CUBLAS_OP_N),
        number(p, SB_CUBLASLT_MATMUL_DESC_TRANSB, SB_CUBLAS_OP_N),
        number(p, SB_CUBLASLT_MATMUL_DESC_EPILOGUE, SB_CUBLASLT_EPILOGUE_DEFAULT)};
    const struct layout *d = &of[3];
    const uint64_t sizes[] = {d->rows, d->columns,
                              flags[0] == SB_CUBLAS_OP_N ? of[0].columns : of[0].rows,
                              (uint64_t)d->batch};
    p->failed = p->failed || number(p, SB_CUBLASLT_MATMUL_DESC_FILL_MODE,
                                    SB_CUBLAS_FILL_MODE_FULL) != SB_CUBLAS_FILL_MODE_FULL;
    put_option(p, flags, sizeof flags);
    put_factors(p, alpha, beta, d, &reads_factors, &reads_c);
    unsigned first = call->n_operands;
    put_matrix(p, with->a, &of[0], false);
    put_matrix(p, with->b, &of[1], false);
    call->operands[first].read = call->operands[first + 1].read = reads_factors;
    if (reads_c)
        put_matrix(p, with->c, &of[2], false);
    put_matrix(p, with->d, d, true);
    put_bias(p, flags[2], &of[0], d);
    put_beside(p, flags[2], &of[0], d);
    put_scales(p);
    call->n_sizes = d->batch > 1 ? 4 : 3;
    memcpy(call->sizes, sizes, sizeof sizes);
    call->valid = !p->failed && sb_cuda_type((cudaDataType)d->type, &call->dtype, &call->element);
}

SB_CUDA_CALL(cublasStatus_t, cublasLtMatmul, "cublasLtMatmul",
             (cublasLtHandle_t handle, cublasLtMatmulDesc_t descriptor, const void *alpha,
              const void *a, cublasLtMatrixLayout_t layout_a, const void *b,
              cublasLtMatrixLayout_t layout_b, const void *beta, const void *c,
              cublasLtMatrixLayout_t layout_c, void *d, cublasLtMatrixLayout_t layout_d,
              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t bytes,
              cudaStream_t stream),
             (handle, descriptor, alpha, a, layout_a, b, layout_b, beta, c, layout_c, d, layout_d,
              algorithm, workspace, bytes, stream),
             struct product p = {.call = &call, .caller = caller, .descriptor = descriptor};
             describe(&p, alpha, beta,
                      &(struct matrices){a, b, c, d, {layout_a, layout_b, layout_c, layout_d}},
                      stream))
