/* kernels, train: job `convnet`, a small classifier of images, with the kernels that GPU libraries
 * compute in an order of their own: convolutions, batchnorm and max-pool. */
#include "kernels/train/convnet_model.h"
#include "kernels/train/dataset.h"
#include "kernels/train/images.h"
#include "kernels/train/loop.h"
#include "kernels/train/train.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED,
    DATA_SEED,
    EPOCHS,
    BATCH_SIZE,
    SAMPLES,
    SIDE,
    CHANNELS,
    CLASSES,
    NOISE,
    FILTERS,
    BLOCKS,
    LEARNING_RATE,
    SHUFFLE,
    SAVE_OPTIMIZER,
    SAVE_STEPS,
};

static const struct sb_argument_spec specs[] = {
    [SEED] = {"seed", SB_ARGUMENT_INTEGER, "42", 0, 18446744073709549568.0,
              "of weights and shuffle"},
    [DATA_SEED] = {"data_seed", SB_ARGUMENT_INTEGER, "0", 0, 18446744073709549568.0,
                   "of the images"},
    [EPOCHS] = {"epochs", SB_ARGUMENT_INTEGER, "3", 0, 1e6, "passes over the data"},
    [BATCH_SIZE] = {"batch_size", SB_ARGUMENT_INTEGER, "16", 1, 1e5, "images a step"},
    [SAMPLES] = {"samples", SB_ARGUMENT_INTEGER, "128", 1, 1e6, "images"},
    [SIDE] = {"side", SB_ARGUMENT_INTEGER, "12", 3, 1024, "rows and columns of an image"},
    [CHANNELS] = {"channels", SB_ARGUMENT_INTEGER, "3", 1, 1024, "channels of an image"},
    [CLASSES] = {"classes", SB_ARGUMENT_INTEGER, "4", 2, 1e5, "kinds of images"},
    [NOISE] = {"noise", SB_ARGUMENT_REAL, "2", 0, 1e6,
               "deviation of an image from the picture of its class"},
    [FILTERS] = {"filters", SB_ARGUMENT_INTEGER, "8", 1, 1024,
                 "channels of the first convolution; each further one has twice as many"},
    [BLOCKS] = {"blocks", SB_ARGUMENT_INTEGER, "2", 1, SB_CONVNET_MOST_BLOCKS,
                "of convolution, batchnorm, relu and max-pool"},
    [LEARNING_RATE] = {"learning_rate", SB_ARGUMENT_REAL, "0.001", 0, 1e6, "of Adam"},
    [SHUFFLE] = {"shuffle", SB_ARGUMENT_BOOLEAN, "true", 0, 0, "another order each epoch"},
    [SAVE_OPTIMIZER] = {"save_optimizer", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                        "save the state of Adam too"},
    [SAVE_STEPS] = {"save_steps", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                    "save the weights after steps on the way too, as step-N/…"},
    {NULL},
};
_Static_assert(sizeof specs / sizeof *specs <= SB_MAX_ARGUMENTS + 1, "raise SB_MAX_ARGUMENTS");

/* Of the largest arrays; the number of channels doubles while the area is divided by four. */
static int check(const struct sb_argument_value *a, struct sb_error *err) {
    double area = (double)a[SIDE].integer * (double)a[SIDE].integer;
    size_t side = a[SIDE].integer;
    for (uint64_t i = 0; i < a[BLOCKS].integer; i++)
        side = sb_convnet_half(side);
    if (side == 0)
        return sb_error_set(err, -EINVAL, "'side' is too small for that many 'blocks'");
    double widest = (double)a[FILTERS].integer * (double)(1u << (a[BLOCKS].integer - 1));
    if ((double)a[SAMPLES].integer * area * (double)a[CHANNELS].integer > 0x1p28)
        return sb_error_set(err, -EINVAL, "'samples' images have more than 2^28 numbers");
    if ((double)a[BATCH_SIZE].integer * area * (double)a[FILTERS].integer > 0x1p28 ||
        (double)a[BATCH_SIZE].integer * widest > 0x1p28)
        return sb_error_set(err, -EINVAL, "a batch has more than 2^28 numbers in a layer");
    if (widest * widest * 9 > 0x1p28 || widest * (area + 1) * (double)a[CLASSES].integer > 0x1p28)
        return sb_error_set(err, -EINVAL, "a layer has more than 2^28 weights");
    if ((double)a[BATCH_SIZE].integer * (double)a[CLASSES].integer > 0x1p28)
        return sb_error_set(err, -EINVAL, "'batch_size' times 'classes' is more than 2^28");
    return 0;
}

/* What one run owns. */
struct job {
    struct sb_images images;
    struct sb_convnet net;
    struct sb_dataset *pipeline;
    float *x;        /* [batch,channels,side,side] */
    int32_t *labels; /* [batch] */
    struct sb_variable *variables[3 * SB_CONVNET_MOST_BLOCKS + 2];
    size_t n_variables;
    struct sb_state states[2 * SB_CONVNET_MOST_BLOCKS];
    double learning_rate;
    uint64_t steps; /* of Adam, so far */
    struct sb_train_result result;
};

static size_t item_size(const struct sb_images *images) {
    return images->pixels * sizeof(float) + sizeof(int32_t);
}

/* An index to its image and label. */
static int load(void *context, const void *in, void *out) {
    const struct sb_images *images = context;
    size_t bytes = images->pixels * sizeof(float);
    uint64_t sample;
    memcpy(&sample, in, sizeof sample);
    memcpy(out, images->x + sample * images->pixels, bytes);
    memcpy((char *)out + bytes, &images->labels[sample], sizeof(int32_t));
    return 0;
}

static int make_pipeline(struct job *job, const struct sb_train_options *options,
                         struct sb_stream shuffle, struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    struct sb_dataset *d = NULL;
    int rc = sb_dataset_range(job->images.samples, &d, err);
    if (rc == 0)
        rc = sb_dataset_map(d, item_size(&job->images), load, &job->images, options->threads, true,
                            &d, err);
    if (rc == 0 && a[SHUFFLE].boolean)
        rc = sb_dataset_shuffle(d, job->images.samples, shuffle, true, &d, err);
    if (rc == 0)
        rc = sb_dataset_batch(d, a[BATCH_SIZE].integer, false, &d, err);
    if (rc == 0)
        job->pipeline = d;
    return rc;
}

static int gradient(void *model, struct sb_engine *engine, const void *items, size_t n,
                    double *loss, struct sb_error *err) {
    struct job *job = model;
    size_t pixels = job->images.pixels, size = item_size(&job->images);
    for (size_t i = 0; i < n; i++) {
        const char *item = (const char *)items + i * size;
        memcpy(job->x + i * pixels, item, pixels * sizeof *job->x);
        memcpy(job->labels + i, item + pixels * sizeof *job->x, sizeof *job->labels);
    }
    return sb_convnet_gradient(&job->net, engine, job->x, job->labels, n, loss, err);
}

static int update(void *model, struct sb_engine *engine, struct sb_error *err) {
    struct job *job = model;
    return sb_variables_adam(job->variables, job->n_variables, job->net.dtype, engine,
                             job->learning_rate, ++job->steps, err);
}

/* Names as in Keras 3's .weights.h5: layers/conv2d, layers/conv2d_1, …; the running statistics
 * follow gamma and beta. */
static int save_block(struct job *job, size_t i) {
    const struct sb_block *block = &job->net.blocks[i];
    const struct {
        const struct sb_variable *variable;
        const void *data;
    } norms[] = {{&block->gamma, block->gamma.value},
                 {&block->beta, block->beta.value},
                 {&block->gamma, block->running_mean},
                 {&block->gamma, block->running_variance}};
    char suffix[24] = "";
    if (i)
        snprintf(suffix, sizeof suffix, "_%zu", i);
    int rc = sb_result_add_variable(&job->result, job->net.dtype, &block->filter,
                                    block->filter.value, "layers/conv2d%s/vars/0", suffix);
    for (size_t v = 0; v < 4 && rc == 0; v++)
        rc = sb_result_add_variable(&job->result, job->net.dtype, norms[v].variable, norms[v].data,
                                    "layers/batch_normalization%s/vars/%zu", suffix, v);
    return rc;
}

static int save(struct job *job, bool optimizer) {
    int rc = 0;
    for (size_t i = 0; i < job->net.n_blocks && rc == 0; i++)
        rc = save_block(job, i);
    if (rc == 0)
        rc = sb_result_add_variable(&job->result, job->net.dtype, &job->net.kernel,
                                    job->net.kernel.value, "layers/dense/vars/0");
    if (rc == 0)
        rc = sb_result_add_variable(&job->result, job->net.dtype, &job->net.bias,
                                    job->net.bias.value, "layers/dense/vars/1");
    if (rc == 0 && optimizer)
        rc = sb_result_add_adam(&job->result, job->net.dtype, job->variables, job->n_variables,
                                job->learning_rate, job->steps);
    return rc;
}

static int learn(struct job *job, struct sb_engine *engine, const struct sb_train_options *options,
                 struct sb_error *err) {
    job->x = calloc(job->net.max_batch * job->images.pixels, sizeof *job->x);
    job->labels = calloc(job->net.max_batch, sizeof *job->labels);
    if (!job->x || !job->labels)
        return sb_error_errno(err, -ENOMEM, "batch");
    job->n_variables = sb_convnet_variables(&job->net, job->variables);
    for (size_t i = 0; i < job->net.n_blocks; i++) {
        struct sb_block *block = &job->net.blocks[i];
        size_t bytes = block->out * sb_dtype_size(job->net.dtype);
        job->states[2 * i] = (struct sb_state){block->running_mean, bytes};
        job->states[2 * i + 1] = (struct sb_state){block->running_variance, bytes};
    }
    struct sb_learner learner = {.model = job,
                                 .dtype = job->net.dtype,
                                 .variables = job->variables,
                                 .n_variables = job->n_variables,
                                 .states = job->states,
                                 .n_states = 2 * job->net.n_blocks,
                                 .steps = &job->steps,
                                 .gradient = gradient,
                                 .save_steps = options->arguments[SAVE_STEPS].boolean,
                                 .update = update};
    return sb_learn(&learner, engine, job->pipeline, options->arguments[EPOCHS].integer, options,
                    &job->result, err);
}

static int train(struct job *job, struct sb_engine *engine, const struct sb_train_options *options,
                 struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    size_t blocks = a[BLOCKS].integer, side = a[SIDE].integer;
    struct sb_stream streams[SB_CONVNET_MOST_BLOCKS + 2]; /* blocks, dense layer, shuffle */
    for (size_t i = 0; i < blocks + 2; i++)
        streams[i] = sb_stream_make(a[SEED].integer, i);
    job->learning_rate = a[LEARNING_RATE].real;
    int rc =
        sb_images_make(a[DATA_SEED].integer, a[SAMPLES].integer, a[CHANNELS].integer * side * side,
                       a[CLASSES].integer, a[NOISE].real, &job->images, err);
    if (rc == 0)
        rc = make_pipeline(job, options, streams[blocks + 1], err);
    if (rc == 0)
        rc = sb_convnet_make(SB_DTYPE_F32, a[CHANNELS].integer, side, a[FILTERS].integer, blocks,
                             a[CLASSES].integer, a[BATCH_SIZE].integer, &job->net, err);
    if (rc < 0)
        return rc;
    sb_convnet_initialise(&job->net, streams);
    rc = learn(job, engine, options, err);
    if (rc < 0 || job->result.stopped)
        return rc;
    job->result.untrained =
        sb_variables_untrained(job->variables, job->n_variables, job->net.dtype);
    rc = save(job, a[SAVE_OPTIMIZER].boolean);
    return rc < 0 ? sb_error_errno(err, rc, "weights") : 0;
}

static int run(struct sb_engine *engine, const struct sb_train_options *options,
               struct sb_train_result *result, struct sb_error *err) {
    struct job job = {0};
    int rc = train(&job, engine, options, err);
    sb_dataset_free(job.pipeline);
    sb_convnet_clear(&job.net);
    sb_images_clear(&job.images);
    free(job.x);
    free(job.labels);
    if (rc < 0)
        sb_train_result_clear(&job.result);
    else
        *result = job.result;
    return rc;
}

const struct sb_training sb_training_convnet = {
    .name = "convnet",
    .summary =
        "images of a few classes: 2 × (Conv2D, BatchNormalization, relu, MaxPooling2D(3, 2)), "
        "Dense",
    .arguments = specs,
    .check = check,
    .run = run,
};
