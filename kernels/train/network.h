/* kernels, train: a chain of dense layers, and its gradient, by way of an engine. */
#ifndef SB_KERNELS_NETWORK_H
#define SB_KERNELS_NETWORK_H

#include "kernels/dispatch.h"
#include "kernels/train/rng.h"
#include "kernels/train/variable.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* y = activation(x·kernel + bias): kernel [in,out], bias [out], relu in all layers but the last. */
struct sb_layer {
    size_t in, out;
    struct sb_variable kernel, bias;
    void *z, *y, *dy; /* [batch,out] */
};

/* Zero-initialise; free with sb_network_clear. */
struct sb_network {
    enum sb_dtype dtype; /* f32 or f64 */
    struct sb_layer *layers;
    size_t n_layers;
    size_t max_batch;
};

/* sizes[n_layers + 1]: inputs, then the outputs of each layer. Weights are zero. */
int sb_network_make(enum sb_dtype dtype, const size_t *sizes, size_t n_layers, size_t max_batch,
                    struct sb_network *network, struct sb_error *err);

/* Glorot and Bengio (2010), as Keras: kernel uniform in ±√(6 / (in + out)), one stream a layer;
 * biases stay zero. */
void sb_network_initialise(struct sb_network *network, struct sb_stream *streams);

/* Loss (mean sparse categorical cross-entropy from logits) of x [batch,in] and labels [batch], and
 * the gradient of every variable. */
int sb_network_gradient(struct sb_network *network, struct sb_engine *engine, const void *x,
                        const int32_t *labels, size_t batch, double *loss, struct sb_error *err);

/* Every variable, layer by layer: kernel, bias. variables[2 × n_layers] */
void sb_network_variables(struct sb_network *network, struct sb_variable **variables);

void sb_network_clear(struct sb_network *network);

#endif
