/* kernels: the operations that training calls by name. */
#ifndef SB_KERNELS_OPERATIONS_H
#define SB_KERNELS_OPERATIONS_H

#include "kernels/dispatch.h"

extern const struct sb_operation sb_operation_adam, sb_operation_allreduce, sb_operation_attention,
    sb_operation_attention_gradient, sb_operation_batchnorm, sb_operation_batchnorm_gradient,
    sb_operation_bias_add, sb_operation_bias_gradient, sb_operation_conv2d,
    sb_operation_conv2d_gradient_data, sb_operation_conv2d_gradient_filter,
    sb_operation_cross_entropy, sb_operation_embedding, sb_operation_embedding_gradient,
    sb_operation_gelu, sb_operation_gelu_gradient, sb_operation_gemm, sb_operation_layernorm,
    sb_operation_layernorm_gradient, sb_operation_max_pool, sb_operation_max_pool_gradient,
    sb_operation_relu, sb_operation_relu_gradient;

#endif
