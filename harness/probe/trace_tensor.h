/* The trace: tensors of cuDNN, by dimensions and strides, as operands of a call. */
#ifndef SB_PROBE_TRACE_TENSOR_H
#define SB_PROBE_TRACE_TENSOR_H

#include "probe/trace_cuda.h"

enum { SB_TENSOR_RANK = 8, SB_WINDOW_RANK = 6 }; /* CUDNN_DIM_MAX; of windows cuDNN has two less */

struct sb_cudnn_tensor {
    int type; /* cudnnDataType_t */
    int rank;
    int64_t dims[SB_TENSOR_RANK], strides[SB_TENSOR_RANK];
};

/* A call being described. All that goes in beside operands is mixed into one number. */
struct sb_layer {
    struct sb_traced *call;
    const void *caller;
    bool failed;
    uint64_t mixed;
};

/* Access to a tensor. */
enum { SB_READ = 1, SB_WRITTEN = 2 };

struct sb_layer sb_layer_begin(struct sb_traced *call, void *handle, const void *caller);
void sb_layer_mix(struct sb_layer *layer, const void *bytes, size_t n);
/* Adds an operand: its dimensions and the order in which they lie in memory go in. The call's type
 * is that of its first. */
void sb_layer_tensor(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor, const void *at,
                     unsigned access);
/* Adds to the call's shape. */
void sb_layer_sizes(struct sb_layer *layer, const struct sb_cudnn_tensor *tensor);
/* Bytes of device memory. */
void sb_layer_bytes(struct sb_layer *layer, const void *at, size_t n, unsigned access);
/* Call when all is described. */
void sb_layer_end(struct sb_layer *layer);

/* 0: not known, or an element has no bytes of its own. */
unsigned sb_cudnn_element(int type);

#endif
