/* kernels, train: job `dense`, a small classifier of random data: the question whether a seeded
 * training keeps its bits, without anything else. */
#include "kernels/train/dataset.h"
#include "kernels/train/dictionary.h"
#include "kernels/train/loop.h"
#include "kernels/train/network.h"
#include "kernels/train/train.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum {
    SEED,
    SEEDED,
    OP_SEED,
    DATA_SEED,
    EPOCHS,
    BATCH_SIZE,
    DROP_REMAINDER,
    SAMPLES,
    FEATURES,
    HIDDEN,
    DEPTH,
    CLASSES,
    LEARNING_RATE,
    SHUFFLE,
    SHUFFLE_SEED,
    RESHUFFLE,
    REPEAT,
    MAP_THREADS,
    MAP_DETERMINISTIC,
    MAP_DELAY_US,
    PREFETCH,
    ORDERED,
    SAVE_OPTIMIZER,
    SAVE_STEPS,
};

static const struct sb_argument_spec specs[] = {
    [SEED] = {"seed", SB_ARGUMENT_INTEGER, "42", 0, 18446744073709549568.0, "global seed"},
    [SEEDED] = {"seeded", SB_ARGUMENT_BOOLEAN, "true", 0, 0, "false: the global seed is not set"},
    [OP_SEED] = {"op_seed", SB_ARGUMENT_INTEGER, NULL, 0, 9e18,
                 "operation seed: layer k takes op_seed + k, the shuffle the one after the last"},
    [DATA_SEED] = {"data_seed", SB_ARGUMENT_INTEGER, "0", 0, 18446744073709549568.0,
                   "seed of inputs and labels"},
    [EPOCHS] = {"epochs", SB_ARGUMENT_INTEGER, "3", 0, 1e6, "passes over the data"},
    [BATCH_SIZE] = {"batch_size", SB_ARGUMENT_INTEGER, "16", 1, 1e6, "samples a step"},
    [DROP_REMAINDER] = {"drop_remainder", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                        "leave out a last, smaller batch"},
    [SAMPLES] = {"samples", SB_ARGUMENT_INTEGER, "100", 1, 1e7, "rows of the data"},
    [FEATURES] = {"features", SB_ARGUMENT_INTEGER, "4", 1, 1e5, "columns of the data"},
    [HIDDEN] = {"hidden", SB_ARGUMENT_INTEGER, "8", 1, 1e5, "width of a hidden layer"},
    [DEPTH] = {"depth", SB_ARGUMENT_INTEGER, "1", 0, 64, "number of hidden layers"},
    [CLASSES] = {"classes", SB_ARGUMENT_INTEGER, "2", 2, 1e5, "labels are 0 to classes - 1"},
    [LEARNING_RATE] = {"learning_rate", SB_ARGUMENT_REAL, "0.001", 0, 1e6, "of Adam"},
    [SHUFFLE] = {"shuffle", SB_ARGUMENT_INTEGER, "100", 0, 1e7, "buffer of the shuffle; 0: none"},
    [SHUFFLE_SEED] = {"shuffle_seed", SB_ARGUMENT_INTEGER, NULL, 0, 9e18,
                      "operation seed of the shuffle"},
    [RESHUFFLE] = {"reshuffle", SB_ARGUMENT_BOOLEAN, "true", 0, 0, "another order each epoch"},
    [REPEAT] = {"repeat", SB_ARGUMENT_INTEGER, "1", 1, 1e6, "passes over the data an epoch"},
    [MAP_THREADS] = {"map_threads", SB_ARGUMENT_INTEGER, NULL, 1, 256,
                     "threads of the pipeline's map; not set: as many as the run has"},
    [MAP_DETERMINISTIC] = {"map_deterministic", SB_ARGUMENT_BOOLEAN, "true", 0, 0,
                           "false: samples in the order in which threads finish them, "
                           "unless the run is deterministic"},
    [MAP_DELAY_US] = {"map_delay_us", SB_ARGUMENT_INTEGER, "0", 0, 1e6,
                      "plants a random delay of at most so many microseconds in every map"},
    [PREFETCH] = {"prefetch", SB_ARGUMENT_INTEGER, "0", 0, 1e6, "batches to stay ahead; 0: none"},
    [ORDERED] = {"ordered", SB_ARGUMENT_BOOLEAN, "true", 0, 0,
                 "false: features stand in the order of the feature dictionary's hash table"},
    [SAVE_OPTIMIZER] = {"save_optimizer", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                        "save the state of Adam too"},
    [SAVE_STEPS] = {"save_steps", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                    "save the weights after steps on the way too, as step-N/…"},
    {NULL},
};
_Static_assert(sizeof specs / sizeof *specs <= SB_MAX_ARGUMENTS + 1, "raise SB_MAX_ARGUMENTS");

/* The data and how one sample of it is prepared. Read by several threads at once. */
struct data {
    size_t samples, features;
    float *x;        /* [samples,features] */
    int32_t *labels; /* [samples] */
    size_t *column;  /* of each feature */
    uint64_t delay_us;
};

/* What the map makes of an index, and a batch holds: x, then the label. */
static size_t item_size(const struct data *data) {
    return data->features * sizeof(float) + sizeof(int32_t);
}

static int check(const struct sb_argument_value *a, struct sb_error *err) {
    static const struct {
        int a, b;
    } products[] = {{SAMPLES, FEATURES},   {FEATURES, HIDDEN},     {HIDDEN, HIDDEN},
                    {HIDDEN, CLASSES},     {FEATURES, CLASSES},    {BATCH_SIZE, HIDDEN},
                    {BATCH_SIZE, CLASSES}, {BATCH_SIZE, FEATURES}, {SHUFFLE, FEATURES}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        if ((double)a[products[i].a].integer * (double)a[products[i].b].integer > 0x1p28)
            return sb_error_set(err, -EINVAL, "'%s' times '%s' is more than 2^28",
                                specs[products[i].a].name, specs[products[i].b].name);
    }
    return 0;
}

static void sleep_at_random(uint64_t most_us) {
    uint64_t word = 0;
    if (getrandom(&word, sizeof word, 0) != sizeof word)
        return;
    word %= most_us + 1;
    nanosleep(&(struct timespec){(time_t)(word / 1000000), (long)(word % 1000000) * 1000}, NULL);
}

static int prepare(void *context, const void *in, void *out) {
    const struct data *data = context;
    uint64_t sample;
    memcpy(&sample, in, sizeof sample);
    if (data->delay_us)
        sleep_at_random(data->delay_us);
    for (size_t j = 0; j < data->features; j++)
        memcpy((char *)out + data->column[j] * sizeof(float), &data->x[sample * data->features + j],
               sizeof(float));
    memcpy((char *)out + data->features * sizeof(float), &data->labels[sample], sizeof(int32_t));
    return 0;
}

static void clear_data(struct data *data) {
    free(data->x);
    free(data->labels);
    free(data->column);
}

/* The column of each feature: its number in the dictionary, or, unordered, where the table's
 * iteration meets it. */
static int assign_columns(struct data *data, bool ordered, uint64_t hash_seed,
                          struct sb_error *err) {
    struct sb_dictionary *dictionary = NULL;
    int rc = sb_dictionary_make(hash_seed, &dictionary, err);
    for (size_t j = 0; j < data->features && rc == 0; j++) {
        char name[32];
        snprintf(name, sizeof name, "feature_%zu", j);
        rc = sb_dictionary_add(dictionary, name, err);
    }
    size_t *order = calloc(data->features, sizeof *order);
    if (rc == 0 && !order)
        rc = sb_error_errno(err, -ENOMEM, "features");
    if (rc == 0) {
        sb_dictionary_iterate(dictionary, order);
        for (size_t place = 0; place < data->features; place++)
            data->column[order[place]] = ordered ? order[place] : place;
    }
    free(order);
    sb_dictionary_free(dictionary);
    return rc;
}

static int make_data(const struct sb_train_options *options, struct data *data,
                     struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    *data = (struct data){.samples = a[SAMPLES].integer,
                          .features = a[FEATURES].integer,
                          .delay_us = a[MAP_DELAY_US].integer};
    data->x = calloc(data->samples * data->features, sizeof *data->x);
    data->labels = calloc(data->samples, sizeof *data->labels);
    data->column = calloc(data->features, sizeof *data->column);
    if (!data->x || !data->labels || !data->column)
        return sb_error_errno(err, -ENOMEM, "data");
    struct sb_stream inputs = sb_stream_make(a[DATA_SEED].integer, 0);
    sb_stream_fill_normal(&inputs, data->x, data->samples * data->features);
    struct sb_stream labels = sb_stream_make(a[DATA_SEED].integer, 1);
    for (size_t i = 0; i < data->samples; i++)
        data->labels[i] = (int32_t)sb_stream_below(&labels, a[CLASSES].integer);
    return assign_columns(data, a[ORDERED].boolean, options->hash_seed, err);
}

/* range → map → shuffle → repeat → batch → prefetch. */
static int make_pipeline(const struct sb_train_options *options, struct data *data,
                         struct sb_stream shuffle, struct sb_dataset **pipeline,
                         struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    unsigned threads = a[MAP_THREADS].given ? (unsigned)a[MAP_THREADS].integer : options->threads;
    bool in_order = a[MAP_DETERMINISTIC].boolean || options->deterministic;
    struct sb_dataset *d = NULL;
    int rc = sb_dataset_range(data->samples, &d, err);
    if (rc == 0)
        rc = sb_dataset_map(d, item_size(data), prepare, data, threads, in_order, &d, err);
    if (rc == 0 && a[SHUFFLE].integer)
        rc = sb_dataset_shuffle(d, a[SHUFFLE].integer, shuffle, a[RESHUFFLE].boolean, &d, err);
    if (rc == 0 && a[REPEAT].integer > 1)
        rc = sb_dataset_repeat(d, (int64_t)a[REPEAT].integer, &d, err);
    if (rc == 0)
        rc = sb_dataset_batch(d, a[BATCH_SIZE].integer, a[DROP_REMAINDER].boolean, &d, err);
    if (rc == 0 && a[PREFETCH].integer)
        rc = sb_dataset_prefetch(d, a[PREFETCH].integer, &d, err);
    if (rc == 0)
        *pipeline = d;
    return rc;
}

/* One stream a layer, then the shuffle's. */
static int make_streams(const struct sb_argument_value *a, struct sb_stream *streams,
                        size_t n_layers, struct sb_error *err) {
    struct sb_seeds seeds = {.given = a[SEEDED].boolean, .global = a[SEED].integer};
    int rc = 0;
    for (size_t i = 0; i <= n_layers && rc == 0; i++) {
        uint64_t operation = a[OP_SEED].integer + i;
        bool given = a[OP_SEED].given;
        if (i == n_layers && a[SHUFFLE_SEED].given) {
            operation = a[SHUFFLE_SEED].integer;
            given = true;
        }
        rc = sb_seeds_stream(&seeds, given ? &operation : NULL, &streams[i], err);
    }
    return rc;
}

/* What one run owns. */
struct job {
    struct data data;
    struct sb_network network;
    struct sb_dataset *pipeline;
    float *x;        /* [batch,features] */
    int32_t *labels; /* [batch] */
    struct sb_variable **variables;
    double learning_rate;
    uint64_t steps; /* of Adam, so far */
    struct sb_train_result result;
};

static int gradient(void *model, struct sb_engine *engine, const void *items, size_t n,
                    double *loss, struct sb_error *err) {
    struct job *job = model;
    size_t features = job->data.features, size = item_size(&job->data);
    for (size_t i = 0; i < n; i++) {
        const char *item = (const char *)items + i * size;
        memcpy(job->x + i * features, item, features * sizeof *job->x);
        memcpy(job->labels + i, item + features * sizeof *job->x, sizeof *job->labels);
    }
    return sb_network_gradient(&job->network, engine, job->x, job->labels, n, loss, err);
}

static int update(void *model, struct sb_engine *engine, struct sb_error *err) {
    struct job *job = model;
    return sb_variables_adam(job->variables, 2 * job->network.n_layers, job->network.dtype, engine,
                             job->learning_rate, ++job->steps, err);
}

static int learn(struct job *job, struct sb_engine *engine, const struct sb_train_options *options,
                 struct sb_error *err) {
    size_t most = sb_dataset_max_items(job->pipeline);
    job->x = malloc(most * job->data.features * sizeof *job->x);
    job->labels = malloc(most * sizeof *job->labels);
    job->variables = calloc(2 * job->network.n_layers, sizeof *job->variables);
    if (!job->x || !job->labels || !job->variables)
        return sb_error_errno(err, -ENOMEM, "batch");
    sb_network_variables(&job->network, job->variables);
    struct sb_learner learner = {.model = job,
                                 .dtype = job->network.dtype,
                                 .variables = job->variables,
                                 .n_variables = 2 * job->network.n_layers,
                                 .steps = &job->steps,
                                 .gradient = gradient,
                                 .save_steps = options->arguments[SAVE_STEPS].boolean,
                                 .update = update};
    return sb_learn(&learner, engine, job->pipeline, options->arguments[EPOCHS].integer, options,
                    &job->result, err);
}

/* Names as in Keras 3's .weights.h5: layers/dense, layers/dense_1, … */
static int save(struct job *job, const struct sb_argument_value *a) {
    int rc = 0;
    for (size_t l = 0; l < job->network.n_layers && rc == 0; l++) {
        const struct sb_layer *layer = &job->network.layers[l];
        char suffix[24] = "";
        if (l)
            snprintf(suffix, sizeof suffix, "_%zu", l);
        for (size_t v = 0; v < 2 && rc == 0; v++) {
            const struct sb_variable *variable = v ? &layer->bias : &layer->kernel;
            rc = sb_result_add_variable(&job->result, job->network.dtype, variable, variable->value,
                                        "layers/dense%s/vars/%zu", suffix, v);
        }
    }
    if (a[SAVE_OPTIMIZER].boolean && rc == 0)
        rc = sb_result_add_adam(&job->result, job->network.dtype, job->variables,
                                2 * job->network.n_layers, a[LEARNING_RATE].real, job->steps);
    return rc;
}

static int train(struct job *job, struct sb_engine *engine, const struct sb_train_options *options,
                 struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    enum { MOST_LAYERS = 65 };
    struct sb_stream streams[MOST_LAYERS + 1];
    size_t sizes[MOST_LAYERS + 1], n_layers = a[DEPTH].integer + 1;
    sizes[0] = a[FEATURES].integer;
    for (size_t l = 1; l < n_layers; l++)
        sizes[l] = a[HIDDEN].integer;
    sizes[n_layers] = a[CLASSES].integer;
    int rc = make_streams(a, streams, n_layers, err);
    if (rc == 0)
        rc = make_data(options, &job->data, err);
    if (rc == 0)
        rc = make_pipeline(options, &job->data, streams[n_layers], &job->pipeline, err);
    if (rc == 0)
        rc = sb_network_make(SB_DTYPE_F32, sizes, n_layers, a[BATCH_SIZE].integer, &job->network,
                             err);
    if (rc < 0)
        return rc;
    sb_network_initialise(&job->network, streams);
    job->learning_rate = a[LEARNING_RATE].real;
    rc = learn(job, engine, options, err);
    if (rc < 0 || job->result.stopped)
        return rc;
    job->result.untrained =
        sb_variables_untrained(job->variables, 2 * job->network.n_layers, job->network.dtype);
    rc = save(job, a);
    return rc < 0 ? sb_error_errno(err, rc, "weights") : 0;
}

static int run(struct sb_engine *engine, const struct sb_train_options *options,
               struct sb_train_result *result, struct sb_error *err) {
    struct job job = {0};
    int rc = train(&job, engine, options, err);
    sb_network_clear(&job.network);
    sb_dataset_free(job.pipeline);
    clear_data(&job.data);
    free(job.x);
    free(job.labels);
    free(job.variables);
    if (rc < 0)
        sb_train_result_clear(&job.result);
    else
        *result = job.result;
    return rc;
}

const struct sb_training sb_training_dense = {
    .name = "dense",
    .summary = "dense layers on random data: Dense(8, relu), Dense(2), Adam, 3 epochs",
    .arguments = specs,
    .check = check,
    .run = run,
};
