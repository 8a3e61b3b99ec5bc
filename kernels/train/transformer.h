/* kernels, train: a transformer that predicts the next of every token of a text, and its gradient,
 * by way of an engine. */
#ifndef SB_KERNELS_TRANSFORMER_H
#define SB_KERNELS_TRANSFORMER_H

#include "kernels/dispatch.h"
#include "kernels/train/rng.h"
#include "kernels/train/variable.h"

#include <stddef.h>
#include <stdint.h>

struct sb_transformer_sizes {
    size_t vocabulary, context; /* tokens that there are; of one sequence */
    size_t width, heads;        /* heads of width / heads */
    size_t hidden, depth;       /* width between the two dense layers of a block; blocks */
};

/* Of a block, in the order in which they are used: x += attention(layernorm(x)), then x +=
 * dense(gelu(dense(layernorm(x)))). Kernels are [in,out], of attention [width,heads,…] and
 * [heads,…,width]. */
enum {
    SB_TRANSFORMER_GAMMA_1,
    SB_TRANSFORMER_BETA_1,
    SB_TRANSFORMER_QUERY,
    SB_TRANSFORMER_QUERY_BIAS,
    SB_TRANSFORMER_KEY,
    SB_TRANSFORMER_KEY_BIAS,
    SB_TRANSFORMER_VALUE,
    SB_TRANSFORMER_VALUE_BIAS,
    SB_TRANSFORMER_OUTPUT,
    SB_TRANSFORMER_OUTPUT_BIAS,
    SB_TRANSFORMER_GAMMA_2,
    SB_TRANSFORMER_BETA_2,
    SB_TRANSFORMER_UP,
    SB_TRANSFORMER_UP_BIAS,
    SB_TRANSFORMER_DOWN,
    SB_TRANSFORMER_DOWN_BIAS,
    SB_TRANSFORMER_BLOCK, /* number of the above */
};

/* What a block computes on the way forward and needs on the way back. */
enum sb_transformer_value {
    SB_TRANSFORMER_X, /* what comes in */
    SB_TRANSFORMER_NORMAL_1,
    SB_TRANSFORMER_MEAN_1,
    SB_TRANSFORMER_INVERSE_1,
    SB_TRANSFORMER_Q, /* from here by heads, [batch,heads,context,…] */
    SB_TRANSFORMER_K,
    SB_TRANSFORMER_V,
    SB_TRANSFORMER_Y,
    SB_TRANSFORMER_LOG_SUM,
    SB_TRANSFORMER_MERGED, /* and from here by tokens again */
    SB_TRANSFORMER_MIDDLE, /* x after attention */
    SB_TRANSFORMER_NORMAL_2,
    SB_TRANSFORMER_MEAN_2,
    SB_TRANSFORMER_INVERSE_2,
    SB_TRANSFORMER_RAISED,
    SB_TRANSFORMER_ACTIVE,
    SB_TRANSFORMER_VALUES,
};

/* Zero-initialise; free with sb_transformer_clear. */
struct sb_transformer {
    enum sb_dtype dtype; /* f32 or f64 */
    struct sb_transformer_sizes sizes;
    size_t max_batch;
    /* Embedding, positions, the blocks', the last layernorm's gamma and beta, kernel and bias of
     * the dense layer that gives logits. */
    struct sb_variable *variables;
    size_t n_variables;
    /* [depth + 1], of the last one X, NORMAL_1, MEAN_1 and INVERSE_1 only */
    void *(*values)[SB_TRANSFORMER_VALUES];
    void *logits, *slope; /* [tokens,vocabulary] */
    void *wide[2];        /* room: [tokens,hidden] */
    void *narrow[6];      /* room: [tokens,width] */
};

/* Weights are zero. `heads` divides `width`. */
int sb_transformer_make(enum sb_dtype dtype, const struct sb_transformer_sizes *sizes,
                        size_t max_batch, struct sb_transformer *model, struct sb_error *err);

/* As Keras does by default: embeddings uniform in ±0.05, kernels by Glorot and Bengio (2010), all
 * from one stream; gammas 1, betas and biases 0. */
void sb_transformer_initialise(struct sb_transformer *model, struct sb_stream *stream);

/* Mean loss (cross-entropy) of predicting next[i] from tokens up to tokens[i] of the same sequence,
 * both [batch,context], and the gradient of every variable. */
int sb_transformer_gradient(struct sb_transformer *model, struct sb_engine *engine,
                            const int32_t *tokens, const int32_t *next, size_t batch, double *loss,
                            struct sb_error *err);

/* Name of variable i in a file of Keras 3. */
enum { SB_TRANSFORMER_NAME = 96 };
void sb_transformer_name(const struct sb_transformer *model, size_t i,
                         char name[SB_TRANSFORMER_NAME]);

void sb_transformer_clear(struct sb_transformer *model);

#endif
