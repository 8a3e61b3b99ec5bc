/* kernels, ref: its functions by subject, for the table in ref.c. Each is `run` of a struct
 * sb_kernel for f32 and f64. */
#ifndef SB_KERNELS_REF_KERNELS_H
#define SB_KERNELS_REF_KERNELS_H

#include "kernels/backends/ref_gemm.h"
#include "kernels/dispatch.h"

/* The state of `ref`. */
struct sb_ref {
    unsigned threads;
    const struct sb_ref_path *path;
};

#define SB_REF_DECLARE(name)                                                                       \
    int sb_ref_##name(void *state, const struct sb_call *call, struct sb_error *err)

/* Defines one out of functions name_f32 and name_f64 that cannot fail. */
#define SB_REF_DEFINE(name)                                                                        \
    SB_REF_DECLARE(name) {                                                                         \
        (void)state, (void)err;                                                                    \
        (call->dtype == SB_DTYPE_F32 ? name##_f32 : name##_f64)(call);                             \
        return 0;                                                                                  \
    }

/* ref_norm.c */
SB_REF_DECLARE(mean);
SB_REF_DECLARE(layernorm);
SB_REF_DECLARE(layernorm_gradient);
SB_REF_DECLARE(batchnorm);
SB_REF_DECLARE(batchnorm_gradient);

/* ref_activation.c */
SB_REF_DECLARE(softmax);
SB_REF_DECLARE(softmax_gradient);
SB_REF_DECLARE(gelu);
SB_REF_DECLARE(gelu_gradient);
SB_REF_DECLARE(dropout);

/* ref_ctc.c */
SB_REF_DECLARE(ctc_loss);

/* ref_table.c */
SB_REF_DECLARE(embedding);
SB_REF_DECLARE(embedding_gradient);

/* ref_conv.c */
SB_REF_DECLARE(conv2d);
SB_REF_DECLARE(conv2d_gradient_data);
SB_REF_DECLARE(conv2d_gradient_filter);

/* ref_pool.c */
SB_REF_DECLARE(max_pool);
SB_REF_DECLARE(max_pool_gradient);
SB_REF_DECLARE(average_pool);
SB_REF_DECLARE(average_pool_gradient);

/* ref_attention.c */
SB_REF_DECLARE(attention);
SB_REF_DECLARE(attention_gradient);

#endif
