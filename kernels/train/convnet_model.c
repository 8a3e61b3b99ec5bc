/* kernels, train: see convnet_model.h. */
#include "kernels/train/convnet_model.h"
#include "kernels/ops/operations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Keras's defaults: momentum of the running statistics 0.99, epsilon 0.001. */
static const double epsilon = 0.001, average_factor = 0.01;

size_t sb_convnet_half(size_t side) {
    return side < 3 ? 0 : (side - 3) / 2 + 1;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

static int make_block(const struct sb_convnet *net, struct sb_block *block) {
    size_t size = sb_dtype_size(net->dtype), large, small;
    if (__builtin_mul_overflow(net->max_batch * block->out, block->side * block->side, &large))
        return -ENOMEM;
    small = net->max_batch * block->out * block->half * block->half;
    int rc = sb_variable_make(net->dtype, 4, (const uint64_t[]){block->out, block->in, 3, 3},
                              &block->filter);
    if (rc == 0)
        rc = sb_variable_make(net->dtype, 1, (const uint64_t[]){block->out}, &block->gamma);
    if (rc == 0)
        rc = sb_variable_make(net->dtype, 1, (const uint64_t[]){block->out}, &block->beta);
    /* Keras has height, width, in, out. */
    memcpy(block->filter.order, (const unsigned[]){2, 3, 1, 0}, sizeof block->filter.order);
    const struct {
        void **array;
        size_t n;
    } arrays[] = {{&block->running_mean, block->out},
                  {&block->running_variance, block->out},
                  {&block->mean, block->out},
                  {&block->inverse_deviation, block->out},
                  {&block->convolved, large},
                  {&block->normal, large},
                  {&block->active, large},
                  {&block->d_active, large},
                  {&block->pooled, small},
                  {&block->d_pooled, small}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i].array = calloc(arrays[i].n, size);
        if (!*arrays[i].array)
            rc = -ENOMEM;
    }
    return rc;
}

static void clear_block(struct sb_block *block) {
    sb_variable_clear(&block->filter);
    sb_variable_clear(&block->gamma);
    sb_variable_clear(&block->beta);
    void *arrays[] = {
        block->running_mean, block->running_variance, block->mean,   block->inverse_deviation,
        block->convolved,    block->normal,           block->active, block->d_active,
        block->pooled,       block->d_pooled};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
}

void sb_convnet_clear(struct sb_convnet *net) {
    for (size_t i = 0; i < net->n_blocks; i++)
        clear_block(&net->blocks[i]);
    sb_variable_clear(&net->kernel);
    sb_variable_clear(&net->bias);
    free(net->logits);
    free(net->d_logits);
    *net = (struct sb_convnet){0};
}

/* The matrix behind the images: Keras, which has channels last, flattens them in that order. */
static int make_dense(struct sb_convnet *net) {
    const struct sb_block *last = &net->blocks[net->n_blocks - 1];
    net->flat = last->out * last->half * last->half;
    int rc = sb_variable_make(net->dtype, 4,
                              (const uint64_t[]){last->out, last->half, last->half, net->classes},
                              &net->kernel);
    memcpy(net->kernel.order, (const unsigned[]){1, 2, 0, 3}, sizeof net->kernel.order);
    net->kernel.merged = 3;
    if (rc == 0)
        rc = sb_variable_make(net->dtype, 1, (const uint64_t[]){net->classes}, &net->bias);
    net->logits = calloc(net->max_batch * net->classes, sb_dtype_size(net->dtype));
    net->d_logits = calloc(net->max_batch * net->classes, sb_dtype_size(net->dtype));
    return net->logits && net->d_logits ? rc : -ENOMEM;
}

int sb_convnet_make(enum sb_dtype dtype, size_t channels, size_t side, size_t filters,
                    size_t n_blocks, size_t classes, size_t max_batch, struct sb_convnet *net,
                    struct sb_error *err) {
    if (n_blocks < 1 || n_blocks > SB_CONVNET_MOST_BLOCKS)
        return sb_error_set(err, -EINVAL, "%zu blocks: 1 to %d can be had", n_blocks,
                            SB_CONVNET_MOST_BLOCKS);
    struct sb_convnet made = {
        .dtype = dtype, .n_blocks = n_blocks, .classes = classes, .max_batch = max_batch};
    int rc = 0;
    for (size_t i = 0; i < n_blocks && rc == 0; i++) {
        struct sb_block *block = &made.blocks[i];
        block->in = i ? made.blocks[i - 1].out : channels;
        block->out = filters << i;
        block->side = i ? made.blocks[i - 1].half : side;
        block->half = sb_convnet_half(block->side);
        rc = make_block(&made, block);
    }
    if (rc == 0)
        rc = make_dense(&made);
    if (rc < 0) {
        sb_convnet_clear(&made);
        return sb_error_errno(err, rc, "network of %zu blocks", n_blocks);
    }
    *net = made;
    return 0;
}

void sb_convnet_initialise(struct sb_convnet *net, struct sb_stream *streams) {
    for (size_t i = 0; i < net->n_blocks; i++) {
        struct sb_block *block = &net->blocks[i];
        sb_variable_glorot(&block->filter, net->dtype, 9.0 * (double)block->in,
                           9.0 * (double)block->out, &streams[i]);
        sb_variable_fill(&block->gamma, net->dtype, 1);
        memcpy(block->running_variance, block->gamma.value, block->out * sb_dtype_size(net->dtype));
    }
    sb_variable_glorot(&net->kernel, net->dtype, (double)net->flat, (double)net->classes,
                       &streams[net->n_blocks]);
}

size_t sb_convnet_variables(struct sb_convnet *net, struct sb_variable **variables) {
    size_t n = 0;
    for (size_t i = 0; i < net->n_blocks; i++) {
        variables[n++] = &net->blocks[i].filter;
        variables[n++] = &net->blocks[i].gamma;
        variables[n++] = &net->blocks[i].beta;
    }
    variables[n++] = &net->kernel;
    variables[n++] = &net->bias;
    return n;
}

/* ---- Passes ---------------------------------------------------------------------------------- */

/* Of a convolution: sizes nchwkrs, which derive pq; stride, padding and dilation. */
static struct sb_call convolution(const struct sb_convnet *net, const struct sb_block *block,
                                  const struct sb_operation *operation, size_t batch) {
    size_t side = block->side;
    return (struct sb_call){.operation = operation,
                            .dtype = net->dtype,
                            .size = {batch, block->in, side, side, block->out, 3, 3, side, side},
                            .attribute = {1, 1, 1}};
}

/* Of a pool: sizes nchwrs, which derive pq; stride and padding. */
static struct sb_call pooling(const struct sb_convnet *net, const struct sb_block *block,
                              const struct sb_operation *operation, size_t batch) {
    size_t side = block->side, half = block->half;
    return (struct sb_call){.operation = operation,
                            .dtype = net->dtype,
                            .size = {batch, block->out, side, side, 3, 3, half, half},
                            .attribute = {2, 0}};
}

static int batchnorm(struct sb_convnet *net, struct sb_engine *engine, struct sb_block *block,
                     size_t batch, struct sb_error *err) {
    return sb_engine_call(
        engine,
        &(struct sb_call){.operation = &sb_operation_batchnorm,
                          .dtype = net->dtype,
                          .size = {batch, block->out, block->side, block->side},
                          .operand = {block->convolved, block->gamma.value, block->beta.value,
                                      block->running_mean, block->running_variance, block->normal,
                                      block->mean, block->inverse_deviation},
                          .attribute = {epsilon, average_factor}},
        err);
}

static int relu(struct sb_convnet *net, struct sb_engine *engine, struct sb_block *block,
                size_t batch, struct sb_error *err) {
    return sb_engine_call(
        engine,
        &(struct sb_call){.operation = &sb_operation_relu,
                          .dtype = net->dtype,
                          .size = {batch * block->out * block->side * block->side},
                          .operand = {block->normal, block->active}},
        err);
}

static int forward_block(struct sb_convnet *net, struct sb_engine *engine, size_t i, const void *x,
                         size_t batch, struct sb_error *err) {
    struct sb_block *block = &net->blocks[i];
    struct sb_call convolve = convolution(net, block, &sb_operation_conv2d, batch),
                   pool = pooling(net, block, &sb_operation_max_pool, batch);
    convolve.operand[0] = (void *)x;
    convolve.operand[1] = block->filter.value;
    convolve.operand[2] = block->convolved;
    pool.operand[0] = block->active;
    pool.operand[1] = block->pooled;
    int rc = sb_engine_call(engine, &convolve, err);
    if (rc == 0)
        rc = batchnorm(net, engine, block, batch, err);
    if (rc == 0)
        rc = relu(net, engine, block, batch, err);
    if (rc == 0)
        rc = sb_engine_call(engine, &pool, err);
    return rc;
}

/* From the gradient of convolved, which is in d_active. */
static int convolution_gradients(struct sb_convnet *net, struct sb_engine *engine,
                                 struct sb_block *block, const void *x, void *dx, size_t batch,
                                 struct sb_error *err) {
    struct sb_call filter = convolution(net, block, &sb_operation_conv2d_gradient_filter, batch),
                   data = convolution(net, block, &sb_operation_conv2d_gradient_data, batch);
    filter.operand[0] = (void *)x;
    filter.operand[1] = block->d_active;
    filter.operand[2] = block->filter.gradient;
    data.operand[0] = block->filter.value;
    data.operand[1] = block->d_active;
    data.operand[2] = dx;
    int rc = sb_engine_call(engine, &filter, err);
    return rc == 0 && dx ? sb_engine_call(engine, &data, err) : rc;
}

/* From d_pooled; the gradient of x goes to dx, unless that is NULL. The gradient of normal is put
 * where normal was, and that of convolved where d_active was: neither is needed again. */
static int backward_block(struct sb_convnet *net, struct sb_engine *engine, size_t i, const void *x,
                          void *dx, size_t batch, struct sb_error *err) {
    struct sb_block *block = &net->blocks[i];
    struct sb_call pool = pooling(net, block, &sb_operation_max_pool_gradient, batch);
    pool.operand[0] = block->active;
    pool.operand[1] = block->pooled;
    pool.operand[2] = block->d_pooled;
    pool.operand[3] = block->d_active;
    int rc = sb_engine_call(engine, &pool, err);
    if (rc == 0)
        rc = sb_engine_call(
            engine,
            &(struct sb_call){.operation = &sb_operation_relu_gradient,
                              .dtype = net->dtype,
                              .size = {batch * block->out * block->side * block->side},
                              .operand = {block->active, block->d_active, block->normal}},
            err);
    if (rc == 0)
        rc = sb_engine_call(
            engine,
            &(struct sb_call){.operation = &sb_operation_batchnorm_gradient,
                              .dtype = net->dtype,
                              .size = {batch, block->out, block->side, block->side},
                              .operand = {block->convolved, block->gamma.value, block->mean,
                                          block->inverse_deviation, block->normal, block->d_active,
                                          block->gamma.gradient, block->beta.gradient},
                              .attribute = {epsilon}},
            err);
    if (rc == 0)
        rc = convolution_gradients(net, engine, block, x, dx, batch, err);
    return rc;
}

static int gemm(struct sb_convnet *net, struct sb_engine *engine, bool transpose_a,
                bool transpose_b, const size_t *mnk, void *a, void *b, void *c,
                struct sb_error *err) {
    return sb_engine_call(engine,
                          &(struct sb_call){.operation = &sb_operation_gemm,
                                            .dtype = net->dtype,
                                            .size = {mnk[0], mnk[1], mnk[2]},
                                            .operand = {a, b, c},
                                            .attribute = {transpose_a, transpose_b}},
                          err);
}

static int forward_dense(struct sb_convnet *net, struct sb_engine *engine, void *x, size_t batch,
                         struct sb_error *err) {
    int rc = gemm(net, engine, false, false, (const size_t[]){batch, net->classes, net->flat}, x,
                  net->kernel.value, net->logits, err);
    if (rc == 0)
        rc = sb_engine_call(engine,
                            &(struct sb_call){.operation = &sb_operation_bias_add,
                                              .dtype = net->dtype,
                                              .size = {batch, net->classes},
                                              .operand = {net->bias.value, net->logits}},
                            err);
    return rc;
}

static int backward_dense(struct sb_convnet *net, struct sb_engine *engine, void *x, void *dx,
                          size_t batch, struct sb_error *err) {
    int rc = gemm(net, engine, true, false, (const size_t[]){net->flat, net->classes, batch}, x,
                  net->d_logits, net->kernel.gradient, err);
    if (rc == 0)
        rc = gemm(net, engine, false, true, (const size_t[]){batch, net->flat, net->classes},
                  net->d_logits, net->kernel.value, dx, err);
    if (rc == 0)
        rc = sb_engine_call(engine,
                            &(struct sb_call){.operation = &sb_operation_bias_gradient,
                                              .dtype = net->dtype,
                                              .size = {batch, net->classes},
                                              .operand = {net->d_logits, net->bias.gradient}},
                            err);
    return rc;
}

int sb_convnet_gradient(struct sb_convnet *net, struct sb_engine *engine, const void *x,
                        const int32_t *labels, size_t batch, double *loss, struct sb_error *err) {
    struct sb_block *last = &net->blocks[net->n_blocks - 1];
    union {
        float f32;
        double f64;
    } mean;
    int rc = 0;
    for (size_t i = 0; i < net->n_blocks && rc == 0; i++)
        rc = forward_block(net, engine, i, i ? net->blocks[i - 1].pooled : x, batch, err);
    if (rc == 0)
        rc = forward_dense(net, engine, last->pooled, batch, err);
    if (rc == 0)
        rc = sb_engine_call(
            engine,
            &(struct sb_call){.operation = &sb_operation_cross_entropy,
                              .dtype = net->dtype,
                              .size = {batch, net->classes},
                              .operand = {net->logits, (void *)labels, &mean, net->d_logits}},
            err);
    if (rc == 0)
        rc = backward_dense(net, engine, last->pooled, last->d_pooled, batch, err);
    for (size_t i = net->n_blocks; i-- > 0 && rc == 0;)
        rc = backward_block(net, engine, i, i ? net->blocks[i - 1].pooled : x,
                            i ? net->blocks[i - 1].d_pooled : NULL, batch, err);
    if (rc == 0)
        *loss = net->dtype == SB_DTYPE_F32 ? (double)mean.f32 : mean.f64;
    return rc;
}
