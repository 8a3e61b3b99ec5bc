/* The trace: tensors of cuDNN as operands. See trace_tensor.h. */
#include "probe/trace_tensor.h"

#include <samebits/weights.h>

#include <stdlib.h>
#include <string.h>

struct sb_layer sb_layer_begin(struct sb_traced *call, void *handle, const void *caller) {
    struct sb_layer layer = {.call = call, .caller = caller, .mixed = UINT64_C(0xcbf29ce484222325)};
    void *stream = NULL;
    layer.failed = SB_ASK("cudnnGetStream", (void *, void **), handle, &stream) != 0 ||
                   !sb_cuda_memory(&call->memory, stream);
    return layer;
}

/* FNV-1a of 64 bits. */
void sb_layer_mix(struct sb_layer *layer, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        layer->mixed = (layer->mixed ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
}

void sb_layer_end(struct sb_layer *layer) {
    struct sb_traced *call = layer->call;
    memcpy(call->options, &layer->mixed, sizeof layer->mixed);
    call->n_options = sizeof layer->mixed;
    call->valid = !layer->failed && call->n_operands;
}

/* ---- Types ------------------------------------------------------------------------------------
 */

static const struct {
    uint8_t dtype, element;
} types[] = {[SB_CUDNN_DATA_FLOAT] = {SB_DTYPE_F32, 4},
             [SB_CUDNN_DATA_DOUBLE] = {SB_DTYPE_F64, 8},
             [SB_CUDNN_DATA_HALF] = {SB_DTYPE_F16, 2},
             [SB_CUDNN_DATA_INT8] = {SB_DTYPE_I8, 1},
             [SB_CUDNN_DATA_INT32] = {SB_DTYPE_I32, 4},
             [SB_CUDNN_DATA_UINT8] = {SB_DTYPE_U8, 1},
             [SB_CUDNN_DATA_BFLOAT16] = {SB_DTYPE_BF16, 2},
             [SB_CUDNN_DATA_INT64] = {SB_DTYPE_I64, 8},
             [SB_CUDNN_DATA_BOOLEAN] = {SB_DTYPE_BOOL, 1},
             [SB_CUDNN_DATA_FP8_E4M3] = {SB_DTYPE_F8_E4M3, 1},
             [SB_CUDNN_DATA_FP8_E5M2] = {SB_DTYPE_F8_E5M2, 1}};

unsigned sb_cudnn_element(int type) {
    return type >= 0 && (size_t)type < sizeof types / sizeof *types ? types[type].element : 0;
}

/* ---- Places in memory -------------------------------------------------------------------------
 */

/* A dimension, with which it is; or what several have become. */
struct level {
    int64_t n, stride;
    int which;
};

static int by_stride(const void *left, const void *right) {
    const struct level *a = left, *b = right;
    if (a->stride != b->stride)
        return a->stride < b->stride ? -1 : 1;
    return b->which - a->which;
}

/* Those that have more than one place in memory, the innermost first, one that goes on where
 * another ends taken with it. */
static int levels_of(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor,
                     struct level levels[SB_TENSOR_RANK]) {
    int n = 0, joined = 0;
    for (int i = 0; i < tensor->rank; i++) {
        layer->failed = layer->failed || tensor->dims[i] < 1 || tensor->strides[i] < 0;
        if (tensor->dims[i] > 1 && tensor->strides[i])
            levels[n++] = (struct level){tensor->dims[i], tensor->strides[i], i};
    }
    qsort(levels, (size_t)n, sizeof *levels, by_stride);
    for (int i = 0; i < n; i++) {
        sb_layer_mix(layer, &levels[i].which, sizeof levels[i].which);
        struct level *before = joined ? &levels[joined - 1] : NULL;
        if (before && levels[i].stride == before->n * before->stride)
            before->n *= levels[i].n;
        else
            levels[joined++] = levels[i];
    }
    return joined;
}

/* Rows that lie side by side, columns, blocks: more than that are in no tensor that a framework
 * makes. */
static struct sb_operand operand_of(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor) {
    struct level levels[SB_TENSOR_RANK];
    struct sb_operand operand = {.rows = 1, .columns = 1, .stride = 1};
    int n = levels_of(layer, tensor, levels), at = 0;
    if (at < n && levels[at].stride == 1)
        operand.rows = operand.stride = (uint64_t)levels[at++].n;
    if (at < n) {
        operand.columns = (uint64_t)levels[at].n;
        operand.stride = (uint64_t)levels[at++].stride;
    }
    if (at < n) {
        operand.blocks = (uint64_t)levels[at].n;
        operand.block_stride = (uint64_t)levels[at++].stride;
    }
    layer->failed = layer->failed || at < n;
    return operand;
}

static void put(struct sb_layer *layer, struct sb_operand operand, const void *at,
                unsigned access) {
    struct sb_traced *call = layer->call;
    layer->failed = layer->failed || !at || call->n_operands == SB_TRACED_OPERANDS;
    if (layer->failed)
        return;
    operand.at = at;
    operand.read = access & SB_READ;
    operand.written = access & SB_WRITTEN;
    call->operands[call->n_operands++] = operand;
}

void sb_layer_tensor(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor, const void *at,
                     unsigned access) {
    unsigned element = sb_cudnn_element(tensor->type);
    bool known = element && tensor->rank > 0 && tensor->rank <= SB_TENSOR_RANK;
    layer->failed = layer->failed || !known;
    if (!known)
        return;
    if (!layer->call->n_operands) {
        layer->call->dtype = types[tensor->type].dtype;
        layer->call->element = element;
    }
    sb_layer_mix(layer, &tensor->type, sizeof tensor->type);
    sb_layer_mix(layer, tensor->dims, (size_t)tensor->rank * sizeof *tensor->dims);
    struct sb_operand operand = operand_of(layer, tensor);
    operand.element = element;
    put(layer, operand, at, access);
}

void sb_layer_sizes(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor) {
    struct sb_traced *call = layer->call;
    for (int i = 0; i < tensor->rank && call->n_sizes < SB_TRACED_SIZES; i++)
        call->sizes[call->n_sizes++] = (uint64_t)tensor->dims[i];
}

void sb_layer_bytes(struct sb_layer *layer, const void *at, size_t n, unsigned access) {
    put(layer, (struct sb_operand){.rows = n, .columns = 1, .stride = n, .element = 1}, at, access);
}
