/* kernels, train: a classifier of images: blocks of convolution, batchnorm, relu and max-pool, then
 * one dense layer; and its gradient, by way of an engine. */
#ifndef SB_KERNELS_CONVNET_MODEL_H
#define SB_KERNELS_CONVNET_MODEL_H

#include "kernels/dispatch.h"
#include "kernels/train/rng.h"
#include "kernels/train/variable.h"

/* Images [batch,in,side,side] to [batch,out,half,half]: 3×3 convolution with a margin of 1 and no
 * bias, batchnorm, relu, and the largest of every 3×3 window in steps of 2, which overlap, without
 * a margin. */
struct sb_block {
    size_t in, out, side, half;
    struct sb_variable filter, gamma, beta;       /* [out,in,3,3], [out], [out] */
    void *running_mean, *running_variance;        /* [out], which a forward pass updates */
    void *mean, *inverse_deviation;               /* [out], of the batch */
    void *convolved, *normal, *active, *d_active; /* [batch,out,side,side] */
    void *pooled, *d_pooled;                      /* [batch,out,half,half] */
};

enum { SB_CONVNET_MOST_BLOCKS = 8 };

/* Rows of what a block makes of that many; 0: there is nothing left of them. */
size_t sb_convnet_half(size_t side);

/* Zero-initialise; free with sb_convnet_clear. */
struct sb_convnet {
    enum sb_dtype dtype;                       /* f32 or f64 */
    size_t n_blocks, flat, classes, max_batch; /* flat: elements of the last block's output */
    struct sb_block blocks[SB_CONVNET_MOST_BLOCKS];
    struct sb_variable kernel, bias; /* [flat,classes], [classes] */
    void *logits, *d_logits;         /* [batch,classes] */
};

/* `side` is large enough for the blocks. The first block has `filters`, each further one twice as
 * many. Weights are zero. */
int sb_convnet_make(enum sb_dtype dtype, size_t channels, size_t side, size_t filters,
                    size_t n_blocks, size_t classes, size_t max_batch, struct sb_convnet *net,
                    struct sb_error *err);
/* As Keras does: kernels by Glorot, gamma and running variances 1, the rest 0. One stream a block,
 * then the dense layer's. */
void sb_convnet_initialise(struct sb_convnet *net, struct sb_stream *streams);

/* In the order of the layers. variables[3 × n_blocks + 2] */
size_t sb_convnet_variables(struct sb_convnet *net, struct sb_variable **variables);

/* Mean loss of x [batch,channels,side,side] with labels [batch], and the gradient of every
 * variable. Updates the running statistics. */
int sb_convnet_gradient(struct sb_convnet *net, struct sb_engine *engine, const void *x,
                        const int32_t *labels, size_t batch, double *loss, struct sb_error *err);

void sb_convnet_clear(struct sb_convnet *net);

#endif
