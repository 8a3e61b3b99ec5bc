/* kernels, train: job `chargpt`, a small transformer that learns to continue a made-up text, letter
 * by letter. */
#include "kernels/train/dataset.h"
#include "kernels/train/loop.h"
#include "kernels/train/train.h"
#include "kernels/train/transformer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SEED,
    DATA_SEED,
    EPOCHS,
    BATCH_SIZE,
    SAMPLES,
    CONTEXT,
    WIDTH,
    HEADS,
    HIDDEN,
    DEPTH,
    LEARNING_RATE,
    SHUFFLE,
    SAVE_OPTIMIZER,
    SAVE_STEPS,
};

static const struct sb_argument_spec specs[] = {
    [SEED] = {"seed", SB_ARGUMENT_INTEGER, "42", 0, 18446744073709549568.0,
              "seed of weights and shuffle"},
    [DATA_SEED] = {"data_seed", SB_ARGUMENT_INTEGER, "0", 0, 18446744073709549568.0,
                   "seed of the text"},
    [EPOCHS] = {"epochs", SB_ARGUMENT_INTEGER, "3", 0, 1e6, "passes over the text"},
    [BATCH_SIZE] = {"batch_size", SB_ARGUMENT_INTEGER, "8", 1, 1e5, "sequences a step"},
    [SAMPLES] = {"samples", SB_ARGUMENT_INTEGER, "64", 1, 1e6, "sequences of the text"},
    [CONTEXT] = {"context", SB_ARGUMENT_INTEGER, "32", 1, 1e4, "letters of a sequence"},
    [WIDTH] = {"width", SB_ARGUMENT_INTEGER, "32", 1, 1e4, "numbers that stand for a letter"},
    [HEADS] = {"heads", SB_ARGUMENT_INTEGER, "4", 1, 1e4, "of attention; divides 'width'"},
    [HIDDEN] = {"hidden", SB_ARGUMENT_INTEGER, "128", 1, 1e5, "width of a block's inner layer"},
    [DEPTH] = {"depth", SB_ARGUMENT_INTEGER, "2", 0, 64, "blocks"},
    [LEARNING_RATE] = {"learning_rate", SB_ARGUMENT_REAL, "0.003", 0, 1e6, "of Adam"},
    [SHUFFLE] = {"shuffle", SB_ARGUMENT_INTEGER, "64", 0, 1e6, "buffer of the shuffle; 0: none"},
    [SAVE_OPTIMIZER] = {"save_optimizer", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                        "save the state of Adam too"},
    [SAVE_STEPS] = {"save_steps", SB_ARGUMENT_BOOLEAN, "false", 0, 0,
                    "save the weights after steps on the way too, as step-N/…"},
    {NULL},
};

static int check(const struct sb_argument_value *a, struct sb_error *err) {
    if (a[WIDTH].integer % a[HEADS].integer != 0)
        return sb_error_set(err, -EINVAL, "'heads', %d, does not divide 'width', %d",
                            (int)a[HEADS].integer, (int)a[WIDTH].integer);
    static const struct {
        int a, b, c;
    } products[] = {
        {SAMPLES, CONTEXT, -1}, {BATCH_SIZE, CONTEXT, WIDTH}, {BATCH_SIZE, CONTEXT, HIDDEN},
        {WIDTH, HIDDEN, -1},    {WIDTH, WIDTH, -1},           {CONTEXT, WIDTH, -1}};
    for (size_t i = 0; i < sizeof products / sizeof *products; i++) {
        double product = (double)a[products[i].a].integer * (double)a[products[i].b].integer;
        bool three = products[i].c >= 0;
        if (three)
            product *= (double)a[products[i].c].integer;
        if (product > 0x1p28)
            return sb_error_set(err, -EINVAL, "'%s' times '%s'%s%s%s is more than 2^28",
                                specs[products[i].a].name, specs[products[i].b].name,
                                three ? " times '" : "", three ? specs[products[i].c].name : "",
                                three ? "'" : "");
    }
    return 0;
}

/* ---- The text -------------------------------------------------------------------------------- */

/* Words of a language that is made up too, some of them frequent, and a blank behind each: there is
 * something to learn, as which letters make a word. */
enum { BLANK, LETTERS = 26, VOCABULARY = 1 + LETTERS, WORDS = 40, LONGEST = 7 };

static void make_text(uint64_t seed, int32_t *text, size_t n) {
    struct sb_stream stream = sb_stream_make(seed, 0);
    int32_t words[WORDS][LONGEST + 1] = {{BLANK}};
    for (size_t w = 0; w < WORDS; w++) {
        size_t length = 2 + sb_stream_below(&stream, LONGEST - 1);
        for (size_t i = 0; i < length; i++)
            words[w][i] = 1 + (int32_t)sb_stream_below(&stream, LETTERS);
    }
    for (size_t i = 0; i < n;) {
        const int32_t *word = words[sb_stream_below(&stream, 1 + sb_stream_below(&stream, WORDS))];
        do {
            text[i++] = *word;
        } while (*word++ != BLANK && i < n);
    }
}

/* What the map makes of an index: letters, and one more, which the last of them is to predict. */
struct data {
    size_t context;
    int32_t *text; /* [samples × context + 1] */
};

static int prepare(void *context, const void *in, void *out) {
    const struct data *data = context;
    uint64_t sample;
    memcpy(&sample, in, sizeof sample);
    memcpy(out, data->text + sample * data->context, (data->context + 1) * sizeof *data->text);
    return 0;
}

/* range → map → shuffle → batch */
static int make_pipeline(const struct sb_train_options *options, struct data *data,
                         struct sb_stream shuffle, struct sb_dataset **pipeline,
                         struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    struct sb_dataset *d = NULL;
    int rc = sb_dataset_range(a[SAMPLES].integer, &d, err);
    if (rc == 0)
        rc = sb_dataset_map(d, (data->context + 1) * sizeof *data->text, prepare, data,
                            options->threads, true, &d, err);
    if (rc == 0 && a[SHUFFLE].integer)
        rc = sb_dataset_shuffle(d, a[SHUFFLE].integer, shuffle, true, &d, err);
    if (rc == 0)
        rc = sb_dataset_batch(d, a[BATCH_SIZE].integer, false, &d, err);
    if (rc == 0)
        *pipeline = d;
    return rc;
}

/* ---- The job --------------------------------------------------------------------------------- */

/* What one run owns. */
struct job {
    struct data data;
    struct sb_transformer model;
    struct sb_dataset *pipeline;
    int32_t *tokens, *next; /* [batch,context] */
    struct sb_variable **variables;
    double learning_rate;
    uint64_t steps; /* of Adam, so far */
    struct sb_train_result result;
};

static int gradient(void *model, struct sb_engine *engine, const void *items, size_t n,
                    double *loss, struct sb_error *err) {
    struct job *job = model;
    size_t context = job->data.context;
    for (size_t i = 0; i < n; i++) {
        const int32_t *item = (const int32_t *)items + i * (context + 1);
        memcpy(job->tokens + i * context, item, context * sizeof *item);
        memcpy(job->next + i * context, item + 1, context * sizeof *item);
    }
    return sb_transformer_gradient(&job->model, engine, job->tokens, job->next, n, loss, err);
}

static int update(void *model, struct sb_engine *engine, struct sb_error *err) {
    struct job *job = model;
    return sb_variables_adam(job->variables, job->model.n_variables, job->model.dtype, engine,
                             job->learning_rate, ++job->steps, err);
}

static int make(struct job *job, const struct sb_train_options *options, struct sb_error *err) {
    const struct sb_argument_value *a = options->arguments;
    const struct sb_transformer_sizes sizes = {.vocabulary = VOCABULARY,
                                               .context = a[CONTEXT].integer,
                                               .width = a[WIDTH].integer,
                                               .heads = a[HEADS].integer,
                                               .hidden = a[HIDDEN].integer,
                                               .depth = a[DEPTH].integer};
    size_t letters = a[SAMPLES].integer * sizes.context + 1,
           tokens = a[BATCH_SIZE].integer * sizes.context;
    struct sb_seeds seeds = {.given = true, .global = a[SEED].integer};
    struct sb_stream weights, shuffle;
    int rc = sb_seeds_stream(&seeds, NULL, &weights, err);
    if (rc == 0)
        rc = sb_seeds_stream(&seeds, NULL, &shuffle, err);
    if (rc == 0)
        rc = sb_transformer_make(SB_DTYPE_F32, &sizes, a[BATCH_SIZE].integer, &job->model, err);
    if (rc < 0)
        return rc;
    sb_transformer_initialise(&job->model, &weights);
    job->learning_rate = a[LEARNING_RATE].real;
    job->data = (struct data){sizes.context, malloc(letters * sizeof(int32_t))};
    job->tokens = malloc(tokens * sizeof *job->tokens);
    job->next = malloc(tokens * sizeof *job->next);
    job->variables = calloc(job->model.n_variables, sizeof(struct sb_variable *));
    if (!job->data.text || !job->tokens || !job->next || !job->variables)
        return sb_error_errno(err, -ENOMEM, "text");
    for (size_t i = 0; i < job->model.n_variables; i++)
        job->variables[i] = &job->model.variables[i];
    make_text(a[DATA_SEED].integer, job->data.text, letters);
    return make_pipeline(options, &job->data, shuffle, &job->pipeline, err);
}

static int save(struct job *job, const struct sb_argument_value *a) {
    const struct sb_transformer *model = &job->model;
    int rc = 0;
    for (size_t i = 0; i < model->n_variables && rc == 0; i++) {
        char name[SB_TRANSFORMER_NAME];
        sb_transformer_name(model, i, name);
        rc = sb_result_add_variable(&job->result, model->dtype, job->variables[i],
                                    job->variables[i]->value, "%s", name);
    }
    if (a[SAVE_OPTIMIZER].boolean && rc == 0)
        rc = sb_result_add_adam(&job->result, model->dtype, job->variables, model->n_variables,
                                a[LEARNING_RATE].real, job->steps);
    return rc;
}

static int train(struct job *job, struct sb_engine *engine, const struct sb_train_options *options,
                 struct sb_error *err) {
    int rc = make(job, options, err);
    if (rc < 0)
        return rc;
    struct sb_learner learner = {.model = job,
                                 .dtype = job->model.dtype,
                                 .variables = job->variables,
                                 .n_variables = job->model.n_variables,
                                 .steps = &job->steps,
                                 .gradient = gradient,
                                 .save_steps = options->arguments[SAVE_STEPS].boolean,
                                 .update = update};
    rc = sb_learn(&learner, engine, job->pipeline, options->arguments[EPOCHS].integer, options,
                  &job->result, err);
    if (rc < 0 || job->result.stopped)
        return rc;
    job->result.untrained =
        sb_variables_untrained(job->variables, job->model.n_variables, job->model.dtype);
    rc = save(job, options->arguments);
    return rc < 0 ? sb_error_errno(err, rc, "weights") : 0;
}

static int run(struct sb_engine *engine, const struct sb_train_options *options,
               struct sb_train_result *result, struct sb_error *err) {
    struct job job = {0};
    int rc = train(&job, engine, options, err);
    sb_transformer_clear(&job.model);
    sb_dataset_free(job.pipeline);
    free(job.data.text);
    free(job.tokens);
    free(job.next);
    free(job.variables);
    if (rc < 0)
        sb_train_result_clear(&job.result);
    else
        *result = job.result;
    return rc;
}

const struct sb_training sb_training_chargpt = {
    .name = "chargpt",
    .summary = "a transformer of 2 blocks on the letters of a made-up text, Adam, 3 epochs",
    .arguments = specs,
    .check = check,
    .run = run,
};
