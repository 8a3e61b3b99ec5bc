/* kernels: what backend `onednn` in the program and its module have in common. */
#ifndef SB_KERNELS_ONEDNN_H
#define SB_KERNELS_ONEDNN_H

#include "kernels/dispatch.h"

/* oneDNN computes in f32, and many primitives in bf16 where the CPU has the instructions. The rest
 * is widened. */
enum {
    SB_ONEDNN_F32 = SB_BIT(SB_DTYPE_F32),
    SB_ONEDNN_BF16 = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_BF16),
    SB_ONEDNN_ALL = SB_BIT(SB_DTYPE_F32) | SB_BIT(SB_DTYPE_BF16) | SB_BIT(SB_DTYPE_F16),
};

#define SB_ONEDNN_GAPS "oneDNN has no such primitive; training takes ref's"

static const struct sb_missing sb_onednn_missing[] = {
    {"symv", "oneDNN knows no symmetric matrices"},
    {"adam sgd", "oneDNN has no optimizers"},
    {"cross_entropy ctc_loss", "oneDNN has softmax and its logarithm, and no losses"},
    {"dropout",
     "oneDNN has it, in late versions, as a part of other primitives alone, with masks of "
     "its own"},
    {"embedding embedding_gradient", "oneDNN has no gather and no scatter"},
    {"allreduce", "oneDNN knows no ranks (oneCCL does)"},
    {"attention attention_gradient",
     "of oneDNN's primitives it is matmul and softmax; as one it is "
     "in the graph interface of late versions, not used here"},
    {NULL},
};

#endif
