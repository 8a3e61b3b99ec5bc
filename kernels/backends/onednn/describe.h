/* kernels, onednn: what versions 2 and 3 of oneDNN write differently, described alike: memory that
 * primitives look at, and primitives. describe_2.c and describe_3.c each do it for one version. */
#ifndef SB_KERNELS_ONEDNN_DESCRIBE_H
#define SB_KERNELS_ONEDNN_DESCRIBE_H

#include <dnnl.h>

struct primitive;

/* How memory lies, as every function of oneDNN takes it. Where a step has failed, it is NULL. */
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t memory_layout;
#else
typedef const dnnl_memory_desc_t *memory_layout;
#endif

/* Memory of `rank` dims, in C order or with these strides, of the call's type or f32. The primitive
 * owns it. */
memory_layout memory_of(struct primitive *primitive, int rank, const dnnl_dim_t *dims,
                        const dnnl_dim_t *strides);
memory_layout memory_f32(struct primitive *primitive, int rank, const dnnl_dim_t *dims);

/* In whatever layout oneDNN finds best: the argument is then taken with primitive_reorder. */
memory_layout memory_any(struct primitive *primitive, int rank, const dnnl_dim_t *dims);

/* A window that moves over images; dilation is counted from 0. */
struct moves {
    dnnl_dims_t stride, padding, dilation, window;
};

/* x, w and y of a convolution. */
struct convolved {
    memory_layout x, w, y;
};

/* Each writes primitive->description, and for a gradient primitive->hint first; `kind` and
 * `purpose` are oneDNN's. */
void describe_matmul(struct primitive *primitive, memory_layout a, memory_layout b,
                     memory_layout c);
void describe_reduction(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                        memory_layout y, float power);
void describe_binary(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                     memory_layout other);
void describe_eltwise(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x);
void describe_eltwise_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x);
void describe_softmax(struct primitive *primitive, memory_layout x);
void describe_softmax_gradient(struct primitive *primitive, memory_layout x);
void describe_layernorm(struct primitive *primitive, memory_layout x, memory_layout moments,
                        float epsilon, unsigned flags);
void describe_layernorm_gradient(struct primitive *primitive, memory_layout x,
                                 memory_layout moments, float epsilon, unsigned flags);
void describe_batchnorm(struct primitive *primitive, memory_layout x, float epsilon,
                        unsigned flags);
void describe_batchnorm_gradient(struct primitive *primitive, memory_layout x, float epsilon,
                                 unsigned flags);
void describe_convolution(struct primitive *primitive, const struct convolved *convolved,
                          const struct moves *moves);
void describe_convolution_gradient_data(struct primitive *primitive,
                                        const struct convolved *convolved,
                                        const struct moves *moves);
void describe_convolution_gradient_filter(struct primitive *primitive,
                                          const struct convolved *convolved,
                                          const struct moves *moves);
void describe_pool(struct primitive *primitive, dnnl_prop_kind_t purpose, dnnl_alg_kind_t kind,
                   memory_layout x, memory_layout y, const struct moves *moves);
void describe_pool_gradient(struct primitive *primitive, dnnl_alg_kind_t kind, memory_layout x,
                            memory_layout y, const struct moves *moves);

#endif
