/* kernels, train: see network.h. */
#include "kernels/train/network.h"
#include "kernels/ops/operations.h"

#include <errno.h>
#include <stdlib.h>

static void *elements(const struct sb_network *network, size_t rows, size_t columns) {
    size_t n;
    if (__builtin_mul_overflow(rows, columns, &n))
        return NULL;
    return calloc(n, sb_dtype_size(network->dtype));
}

void sb_network_clear(struct sb_network *network) {
    for (size_t l = 0; l < network->n_layers; l++) {
        struct sb_layer *layer = &network->layers[l];
        sb_variable_clear(&layer->kernel);
        sb_variable_clear(&layer->bias);
        free(layer->z);
        free(layer->y);
        free(layer->dy);
    }
    free(network->layers);
    *network = (struct sb_network){0};
}

int sb_network_make(enum sb_dtype dtype, const size_t *sizes, size_t n_layers, size_t max_batch,
                    struct sb_network *network, struct sb_error *err) {
    struct sb_network made = {.dtype = dtype, .n_layers = n_layers, .max_batch = max_batch};
    made.layers = calloc(n_layers, sizeof *made.layers);
    int rc = made.layers ? 0 : -ENOMEM;
    if (rc < 0)
        made.n_layers = 0;
    for (size_t l = 0; l < made.n_layers && rc == 0; l++) {
        struct sb_layer *layer = &made.layers[l];
        layer->in = sizes[l];
        layer->out = sizes[l + 1];
        const uint64_t dims[] = {layer->in, layer->out};
        rc = sb_variable_make(dtype, 2, dims, &layer->kernel);
        if (rc == 0)
            rc = sb_variable_make(dtype, 1, dims + 1, &layer->bias);
        layer->z = elements(&made, max_batch, layer->out);
        layer->y = elements(&made, max_batch, layer->out);
        layer->dy = elements(&made, max_batch, layer->out);
        if (!layer->z || !layer->y || !layer->dy)
            rc = -ENOMEM;
    }
    if (rc < 0) {
        sb_network_clear(&made);
        return sb_error_errno(err, rc, "network of %zu layers", n_layers);
    }
    *network = made;
    return 0;
}

void sb_network_initialise(struct sb_network *network, struct sb_stream *streams) {
    for (size_t l = 0; l < network->n_layers; l++) {
        struct sb_layer *layer = &network->layers[l];
        sb_variable_glorot(&layer->kernel, network->dtype, (double)layer->in, (double)layer->out,
                           &streams[l]);
    }
}

static int gemm(struct sb_engine *engine, enum sb_dtype dtype, bool transpose_a, bool transpose_b,
                size_t m, size_t n, size_t k, const void *a, const void *b, void *c,
                struct sb_error *err) {
    return sb_engine_call(engine,
                          &(struct sb_call){.operation = &sb_operation_gemm,
                                            .dtype = dtype,
                                            .size = {m, n, k},
                                            .operand = {(void *)a, (void *)b, c},
                                            .attribute = {transpose_a, transpose_b}},
                          err);
}

/* What a layer hands to the next: the last has no activation. */
static void *output(const struct sb_network *network, size_t l) {
    return l + 1 < network->n_layers ? network->layers[l].y : network->layers[l].z;
}

static int forward(struct sb_network *network, struct sb_engine *engine, const void *x,
                   size_t batch, struct sb_error *err) {
    int rc = 0;
    for (size_t l = 0; l < network->n_layers && rc == 0; l++) {
        struct sb_layer *layer = &network->layers[l];
        rc = gemm(engine, network->dtype, false, false, batch, layer->out, layer->in,
                  l ? output(network, l - 1) : x, layer->kernel.value, layer->z, err);
        if (rc == 0)
            rc = sb_engine_call(engine,
                                &(struct sb_call){.operation = &sb_operation_bias_add,
                                                  .dtype = network->dtype,
                                                  .size = {batch, layer->out},
                                                  .operand = {layer->bias.value, layer->z}},
                                err);
        if (rc == 0 && l + 1 < network->n_layers)
            rc = sb_engine_call(engine,
                                &(struct sb_call){.operation = &sb_operation_relu,
                                                  .dtype = network->dtype,
                                                  .size = {batch * layer->out},
                                                  .operand = {layer->z, layer->y}},
                                err);
    }
    return rc;
}

/* dz: gradient of the layer's z, [batch,out]. */
static int backward(struct sb_network *network, struct sb_engine *engine, const void *x, size_t l,
                    const void *dz, size_t batch, struct sb_error *err) {
    struct sb_layer *layer = &network->layers[l];
    int rc = gemm(engine, network->dtype, true, false, layer->in, layer->out, batch,
                  l ? output(network, l - 1) : x, dz, layer->kernel.gradient, err);
    if (rc == 0)
        rc = sb_engine_call(engine,
                            &(struct sb_call){.operation = &sb_operation_bias_gradient,
                                              .dtype = network->dtype,
                                              .size = {batch, layer->out},
                                              .operand = {(void *)dz, layer->bias.gradient}},
                            err);
    if (rc < 0 || l == 0)
        return rc;
    struct sb_layer *below = &network->layers[l - 1];
    rc = gemm(engine, network->dtype, false, true, batch, layer->in, layer->out, dz,
              layer->kernel.value, below->dy, err);
    if (rc == 0)
        rc = sb_engine_call(engine,
                            &(struct sb_call){.operation = &sb_operation_relu_gradient,
                                              .dtype = network->dtype,
                                              .size = {batch * below->out},
                                              .operand = {below->y, below->dy, below->z}},
                            err);
    return rc;
}

int sb_network_gradient(struct sb_network *network, struct sb_engine *engine, const void *x,
                        const int32_t *labels, size_t batch, double *loss, struct sb_error *err) {
    int rc = forward(network, engine, x, batch, err);
    if (rc < 0)
        return rc;
    struct sb_layer *last = &network->layers[network->n_layers - 1];
    union {
        float f32;
        double f64;
    } mean;
    rc = sb_engine_call(engine,
                        &(struct sb_call){.operation = &sb_operation_cross_entropy,
                                          .dtype = network->dtype,
                                          .size = {batch, last->out},
                                          .operand = {last->z, (void *)labels, &mean, last->dy}},
                        err);
    const void *dz = last->dy;
    for (size_t l = network->n_layers; rc == 0 && l-- > 0;) {
        rc = backward(network, engine, x, l, dz, batch, err);
        dz = l ? network->layers[l - 1].z : NULL;
    }
    if (rc == 0)
        *loss = network->dtype == SB_DTYPE_F32 ? (double)mean.f32 : mean.f64;
    return rc;
}

void sb_network_variables(struct sb_network *network, struct sb_variable **variables) {
    for (size_t l = 0; l < network->n_layers; l++) {
        variables[2 * l] = &network->layers[l].kernel;
        variables[2 * l + 1] = &network->layers[l].bias;
    }
}
