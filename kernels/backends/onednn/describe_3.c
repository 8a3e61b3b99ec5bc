/* kernels, onednn: see describe.h: for version 3, where a primitive is described at once, and
 * memory by an object of the library. */
#include "kernels/backends/onednn/primitive.h"

memory_layout memory_made(struct primitive *primitive, int rank, const dnnl_dims_t dims,
                          dnnl_data_type_t type, const dnnl_dims_t strides) {
    dnnl_memory_desc_t *made = &primitive->layouts[primitive->n_layouts];
    dnnl_status_t status =
        strides ? dnnl_memory_desc_create_with_strides(made, rank, dims, type, strides)
                : dnnl_memory_desc_create_with_tag(made, rank, dims, type, dnnl_format_tag_any);
    if (!primitive_ok(primitive, status, "memory"))
        return NULL;
    primitive->n_layouts++;
    return *made;
}

void memory_unmake(struct primitive *primitive) {
    while (primitive->n_layouts > 0)
        dnnl_memory_desc_destroy(primitive->layouts[--primitive->n_layouts]);
}

void describe_matmul(struct primitive *primitive, memory_layout a, memory_layout b,
                     memory_layout c) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_matmul_primitive_desc_create(&primitive->description, onednn->engine, a, b,
                                                   NULL, c, onednn->attributes),
                 "matmul");
}

void describe_reduction(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                        memory_layout y, float power) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_reduction_primitive_desc_create(&primitive->description, onednn->engine, kind,
                                                      x, y, power, 0, onednn->attributes),
                 "reduction");
}

void describe_binary(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                     memory_layout other) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_binary_primitive_desc_create(&primitive->description, onednn->engine, kind, x,
                                                   other, x, onednn->attributes),
                 "binary");
}

static void eltwise(struct primitive *primitive, dnnl_primitive_desc_t *into, dnnl_alg_kind_t kind,
                    memory_layout x) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_eltwise_forward_primitive_desc_create(into, onednn->engine,
                                                            dnnl_forward_training, kind, x, x, 0, 0,
                                                            onednn->attributes),
                 "eltwise");
}

void describe_eltwise(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x) {
    eltwise(primitive, &primitive->description, kind, x);
}

void describe_eltwise_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x) {
    const struct onednn *onednn = primitive->onednn;
    eltwise(primitive, &primitive->hint, kind, x);
    primitive_ok(primitive,
                 dnnl_eltwise_backward_primitive_desc_create(&primitive->description,
                                                             onednn->engine, kind, x, x, x, 0, 0,
                                                             primitive->hint, onednn->attributes),
                 "eltwise");
}

static void softmax(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_softmax_forward_primitive_desc_create(
                     into, onednn->engine, dnnl_forward_training, dnnl_softmax_accurate, x, x, 1,
                     onednn->attributes),
                 "softmax");
}

void describe_softmax(struct primitive *primitive, memory_layout x) {
    softmax(primitive, &primitive->description, x);
}

void describe_softmax_gradient(struct primitive *primitive, memory_layout x) {
    const struct onednn *onednn = primitive->onednn;
    softmax(primitive, &primitive->hint, x);
    primitive_ok(primitive,
                 dnnl_softmax_backward_primitive_desc_create(
                     &primitive->description, onednn->engine, dnnl_softmax_accurate, x, x, x, 1,
                     primitive->hint, onednn->attributes),
                 "softmax");
}

static void layernorm(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x,
                      memory_layout moments, float epsilon, unsigned flags) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_layer_normalization_forward_primitive_desc_create(
                     into, onednn->engine, dnnl_forward_training, x, x, moments, epsilon, flags,
                     onednn->attributes),
                 "layer normalisation");
}

void describe_layernorm(struct primitive *primitive, memory_layout x, memory_layout moments,
                        float epsilon, unsigned flags) {
    layernorm(primitive, &primitive->description, x, moments, epsilon, flags);
}

void describe_layernorm_gradient(struct primitive *primitive, memory_layout x,
                                 memory_layout moments, float epsilon, unsigned flags) {
    const struct onednn *onednn = primitive->onednn;
    layernorm(primitive, &primitive->hint, x, moments, epsilon, flags);
    primitive_ok(primitive,
                 dnnl_layer_normalization_backward_primitive_desc_create(
                     &primitive->description, onednn->engine, dnnl_backward, x, x, x, moments,
                     epsilon, flags, primitive->hint, onednn->attributes),
                 "layer normalisation");
}

static void batchnorm(struct primitive *primitive, dnnl_primitive_desc_t *into, memory_layout x,
                      float epsilon, unsigned flags) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(
        primitive,
        dnnl_batch_normalization_forward_primitive_desc_create(
            into, onednn->engine, dnnl_forward_training, x, x, epsilon, flags, onednn->attributes),
        "batch normalisation");
}

void describe_batchnorm(struct primitive *primitive, memory_layout x, float epsilon,
                        unsigned flags) {
    batchnorm(primitive, &primitive->description, x, epsilon, flags);
}

void describe_batchnorm_gradient(struct primitive *primitive, memory_layout x, float epsilon,
                                 unsigned flags) {
    const struct onednn *onednn = primitive->onednn;
    batchnorm(primitive, &primitive->hint, x, epsilon, flags);
    primitive_ok(primitive,
                 dnnl_batch_normalization_backward_primitive_desc_create(
                     &primitive->description, onednn->engine, dnnl_backward, x, x, x, epsilon,
                     flags, primitive->hint, onednn->attributes),
                 "batch normalisation");
}

static void convolution(struct primitive *primitive, dnnl_primitive_desc_t *into,
                        const struct convolved *convolved, const struct moves *moves) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_convolution_forward_primitive_desc_create(
                     into, onednn->engine, dnnl_forward_training, dnnl_convolution_direct,
                     convolved->x, convolved->w, NULL, convolved->y, moves->stride, moves->dilation,
                     moves->padding, moves->padding, onednn->attributes),
                 "convolution");
}

void describe_convolution(struct primitive *primitive, const struct convolved *convolved,
                          const struct moves *moves) {
    convolution(primitive, &primitive->description, convolved, moves);
}

void describe_convolution_gradient_data(struct primitive *primitive,
                                        const struct convolved *convolved,
                                        const struct moves *moves) {
    const struct onednn *onednn = primitive->onednn;
    convolution(primitive, &primitive->hint, convolved, moves);
    primitive_ok(primitive,
                 dnnl_convolution_backward_data_primitive_desc_create(
                     &primitive->description, onednn->engine, dnnl_convolution_direct, convolved->x,
                     convolved->w, convolved->y, moves->stride, moves->dilation, moves->padding,
                     moves->padding, primitive->hint, onednn->attributes),
                 "convolution");
}

void describe_convolution_gradient_filter(struct primitive *primitive,
                                          const struct convolved *convolved,
                                          const struct moves *moves) {
    const struct onednn *onednn = primitive->onednn;
    convolution(primitive, &primitive->hint, convolved, moves);
    primitive_ok(primitive,
                 dnnl_convolution_backward_weights_primitive_desc_create(
                     &primitive->description, onednn->engine, dnnl_convolution_direct, convolved->x,
                     convolved->w, NULL, convolved->y, moves->stride, moves->dilation,
                     moves->padding, moves->padding, primitive->hint, onednn->attributes),
                 "convolution");
}

static void pool(struct primitive *primitive, dnnl_primitive_desc_t *into, dnnl_prop_kind_t purpose,
                 dnnl_alg_kind_t kind, memory_layout x, memory_layout y,
                 const struct moves *moves) {
    const struct onednn *onednn = primitive->onednn;
    primitive_ok(primitive,
                 dnnl_pooling_forward_primitive_desc_create(
                     into, onednn->engine, purpose, kind, x, y, moves->stride, moves->window,
                     moves->dilation, moves->padding, moves->padding, onednn->attributes),
                 "pooling");
}

void describe_pool(struct primitive *primitive, dnnl_prop_kind_t purpose, dnnl_alg_kind_t kind,
                   memory_layout x, memory_layout y, const struct moves *moves) {
    pool(primitive, &primitive->description, purpose, kind, x, y, moves);
}

void describe_pool_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                            memory_layout y, const struct moves *moves) {
    const struct onednn *onednn = primitive->onednn;
    pool(primitive, &primitive->hint, dnnl_forward_training, kind, x, y, moves);
    primitive_ok(primitive,
                 dnnl_pooling_backward_primitive_desc_create(
                     &primitive->description, onednn->engine, kind, x, y, moves->stride,
                     moves->window, moves->dilation, moves->padding, moves->padding,
                     primitive->hint, onednn->attributes),
                 "pooling");
}
