/* kernels, onednn: see describe.h: for version 2, where an operation is described before the
 * primitive that does it, and memory by a struct. */
#include "kernels/backends/onednn/primitive.h"

memory_layout memory_made(struct primitive *primitive, int rank, const dnnl_dims_t dims,
                          dnnl_data_type_t type, const dnnl_dims_t strides) {
    dnnl_memory_desc_t *made = &primitive->layouts[primitive->n_layouts];
    dnnl_status_t status =
        strides ? dnnl_memory_desc_init_by_strides(made, rank, dims, type, strides)
                : dnnl_memory_desc_init_by_tag(made, rank, dims, type, dnnl_format_tag_any);
    if (!primitive_ok(primitive, status, "memory"))
        return NULL;
    primitive->n_layouts++;
    return made;
}

void memory_unmake(struct primitive *primitive) {
    primitive->n_layouts = 0;
}

/* The forward primitive that a gradient is told of, or the primitive itself, out of an operation
 * and of what became of describing it. */
static void make(struct primitive *primitive, dnnl_primitive_desc_t *into, dnnl_status_t status,
                 const void *operation, const char *what) {
    if (primitive_ok(primitive, status, what))
        primitive_ok(primitive,
                     dnnl_primitive_desc_create(into, operation, primitive->onednn->attributes,
                                                primitive->onednn->engine,
                                                into == &primitive->hint ? NULL : primitive->hint),
                     what);
}

void describe_matmul(struct primitive *primitive, memory_layout a, memory_layout b,
                     memory_layout c) {
    dnnl_matmul_desc_t operation;
    make(primitive, &primitive->description, dnnl_matmul_desc_init(&operation, a, b, NULL, c),
         &operation, "matmul");
}

void describe_reduction(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                        memory_layout y, float power) {
    dnnl_reduction_desc_t operation;
    make(primitive, &primitive->description,
         dnnl_reduction_desc_init(&operation, kind, x, y, power, 0), &operation, "reduction");
}

void describe_binary(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                     memory_layout other) {
    dnnl_binary_desc_t operation;
    make(primitive, &primitive->description, dnnl_binary_desc_init(&operation, kind, x, other, x),
         &operation, "binary");
}

static void eltwise(struct primitive *primitive, dnnl_primitive_desc_t *into, dnnl_alg_kind_t kind,
                    memory_layout x) {
    dnnl_eltwise_desc_t operation;
    make(primitive, into,
         dnnl_eltwise_forward_desc_init(&operation, dnnl_forward_training, kind, x, 0, 0),
         &operation, "eltwise");
}

void describe_eltwise(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x) {
    eltwise(primitive, &primitive->description, kind, x);
}

void describe_eltwise_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x) {
    dnnl_eltwise_desc_t operation;
    eltwise(primitive, &primitive->hint, kind, x);
    make(primitive, &primitive->description,
         dnnl_eltwise_backward_desc_init(&operation, kind, x, x, 0, 0), &operation, "eltwise");
}

static void softmax(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x) {
    dnnl_softmax_desc_t operation;
    make(primitive, into, dnnl_softmax_forward_desc_init(&operation, dnnl_forward_training, x, 1),
         &operation, "softmax");
}

void describe_softmax(struct primitive *primitive, memory_layout x) {
    softmax(primitive, &primitive->description, x);
}

void describe_softmax_gradient(struct primitive *primitive, memory_layout x) {
    dnnl_softmax_desc_t operation;
    softmax(primitive, &primitive->hint, x);
    make(primitive, &primitive->description, dnnl_softmax_backward_desc_init(&operation, x, x, 1),
         &operation, "softmax");
}

static void layernorm(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x,
                      memory_layout moments, float epsilon, unsigned flags) {
    dnnl_layer_normalization_desc_t operation;
    make(primitive, into,
         dnnl_layer_normalization_forward_desc_init(&operation, dnnl_forward_training, x, moments,
                                                    epsilon, flags),
         &operation, "layer normalisation");
}

void describe_layernorm(struct primitive *primitive, memory_layout x, memory_layout moments,
                        float epsilon, unsigned flags) {
    layernorm(primitive, &primitive->description, x, moments, epsilon, flags);
}

void describe_layernorm_gradient(struct primitive *primitive, memory_layout x,
                                 memory_layout moments, float epsilon, unsigned flags) {
    dnnl_layer_normalization_desc_t operation;
    layernorm(primitive, &primitive->hint, x, moments, epsilon, flags);
    make(primitive, &primitive->description,
         dnnl_layer_normalization_backward_desc_init(&operation, dnnl_backward, x, x, moments,
                                                     epsilon, flags),
         &operation, "layer normalisation");
}

static void batchnorm(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x,
                      float epsilon, unsigned flags) {
    dnnl_batch_normalization_desc_t operation;
    make(primitive, into,
         dnnl_batch_normalization_forward_desc_init(&operation, dnnl_forward_training, x, epsilon,
                                                    flags),
         &operation, "batch normalisation");
}

void describe_batchnorm(struct primitive *primitive, memory_layout x, float epsilon,
                        unsigned flags) {
    batchnorm(primitive, &primitive->description, x, epsilon, flags);
}

void describe_batchnorm_gradient(struct primitive *primitive, memory_layout x, float epsilon,
                                 unsigned flags) {
    dnnl_batch_normalization_desc_t operation;
    batchnorm(primitive, &primitive->hint, x, epsilon, flags);
    make(primitive, &primitive->description,
         dnnl_batch_normalization_backward_desc_init(&operation, dnnl_backward, x, x, epsilon,
                                                     flags),
         &operation, "batch normalisation");
}

static void convolution(struct primitive *primitive, dnnl_primitive_desc_t *into,
                        const struct convolved *convolved, const struct moves *moves) {
    dnnl_convolution_desc_t operation;
    make(primitive, into,
         dnnl_dilated_convolution_forward_desc_init(
             &operation, dnnl_forward_training, dnnl_convolution_direct, convolved->x, convolved->w,
             NULL, convolved->y, moves->stride, moves->dilation, moves->padding, moves->padding),
         &operation, "convolution");
}

void describe_convolution(struct primitive *primitive, const struct convolved *convolved,
                          const struct moves *moves) {
    convolution(primitive, &primitive->description, convolved, moves);
}

void describe_convolution_gradient_data(struct primitive *primitive,
                                        const struct convolved *convolved,
                                        const struct moves *moves) {
    dnnl_convolution_desc_t operation;
    convolution(primitive, &primitive->hint, convolved, moves);
    make(primitive, &primitive->description,
         dnnl_dilated_convolution_backward_data_desc_init(
             &operation, dnnl_convolution_direct, convolved->x, convolved->w, convolved->y,
             moves->stride, moves->dilation, moves->padding, moves->padding),
         &operation, "convolution");
}

void describe_convolution_gradient_filter(struct primitive *primitive,
                                          const struct convolved *convolved,
                                          const struct moves *moves) {
    dnnl_convolution_desc_t operation;
    convolution(primitive, &primitive->hint, convolved, moves);
    make(primitive, &primitive->description,
         dnnl_dilated_convolution_backward_weights_desc_init(
             &operation, dnnl_convolution_direct, convolved->x, convolved->w, NULL, convolved->y,
             moves->stride, moves->dilation, moves->padding, moves->padding),
         &operation, "convolution");
}

static void pool(struct primitive *primitive, dnnl_primitive_desc_t *into, dnnl_prop_kind_t purpose,
                 dnnl_alg_kind_t kind, memory_layout x, memory_layout y,
                 const struct moves *moves) {
    dnnl_pooling_v2_desc_t operation;
    make(primitive, into,
         dnnl_pooling_v2_forward_desc_init(&operation, purpose, kind, x, y, moves->stride,
                                           moves->window, moves->dilation, moves->padding,
                                           moves->padding),
         &operation, "pooling");
}

void describe_pool(struct primitive *primitive, dnnl_prop_kind_t purpose, dnnl_alg_kind_t kind,
                   memory_layout x, memory_layout y, const struct moves *moves) {
    pool(primitive, &primitive->description, purpose, kind, x, y, moves);
}

void describe_pool_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                            memory_layout y, const struct moves *moves) {
    dnnl_pooling_v2_desc_t operation;
    pool(primitive, &primitive->hint, dnnl_forward_training, kind, x, y, moves);
    make(primitive, &primitive->description,
         dnnl_pooling_v2_backward_desc_init(&operation, kind, x, y, moves->stride, moves->window,
                                            moves->dilation, moves->padding, moves->padding),
         &operation, "pooling");
}
