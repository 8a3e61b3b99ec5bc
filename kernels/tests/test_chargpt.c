/* kernels, train: job chargpt: its gradient against finite differences, what it learns, and what
 * its bits depend on. */
#include "kernels/train/train.h"
#include "kernels/train/transformer.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sb_engine *engine_of(const char *backend, unsigned threads) {
    struct sb_engine *engine = NULL;
    struct sb_engine_options options = {.threads = threads};
    struct sb_error err = {0};
    int rc = sb_engine_open(sb_backend_find(backend), &options, &engine, &err);
    ck_assert_msg(rc == 0 || rc == -ENOENT || rc == -ENOTSUP, "%s", err.text);
    return engine;
}

/* ---- Gradient -------------------------------------------------------------------------------- */

static const struct sb_transformer_sizes small = {
    .vocabulary = 7, .context = 5, .width = 6, .heads = 2, .hidden = 9, .depth = 2};
enum { BATCH = 3, TOKENS = 3 * 5 };

struct example {
    struct sb_transformer model;
    struct sb_engine *engine;
    int32_t tokens[TOKENS], next[TOKENS];
};

/* Biases and gammas are moved off their 0 and 1, so that each has a part in the loss. */
static void make_example(struct example *example) {
    struct sb_stream stream = sb_stream_make(3, 0);
    example->engine = engine_of("ref", 1);
    ck_assert_int_eq(sb_transformer_make(SB_DTYPE_F64, &small, BATCH, &example->model, NULL), 0);
    sb_transformer_initialise(&example->model, &stream);
    for (size_t v = 0; v < example->model.n_variables; v++) {
        double *value = example->model.variables[v].value;
        for (size_t i = 0; i < example->model.variables[v].n; i++)
            value[i] += 0.3 * sb_stream_normal(&stream);
    }
    for (int i = 0; i < TOKENS; i++) {
        example->tokens[i] = (int32_t)sb_stream_below(&stream, small.vocabulary);
        example->next[i] = (int32_t)sb_stream_below(&stream, small.vocabulary);
    }
}

static void clear_example(struct example *example) {
    sb_transformer_clear(&example->model);
    sb_engine_close(example->engine);
}

static double loss_of(struct example *example, size_t batch) {
    double loss;
    struct sb_error err = {0};
    int rc = sb_transformer_gradient(&example->model, example->engine, example->tokens,
                                     example->next, batch, &loss, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return loss;
}

/* Every element of every variable; those that a loss does not depend on have a gradient of 0. */
START_TEST(gradients_agree_with_finite_differences)
{
    struct example example;
    make_example(&example);
    for (size_t v = 0; v < example.model.n_variables; v++) {
        struct sb_variable *variable = &example.model.variables[v];
        char name[SB_TRANSFORMER_NAME];
        sb_transformer_name(&example.model, v, name);
        for (size_t i = 0; i < variable->n; i++) {
            double *value = (double *)variable->value + i, kept = *value, step = 1e-5;
            loss_of(&example, BATCH);
            double gradient = ((double *)variable->gradient)[i];
            *value = kept + step;
            double above = loss_of(&example, BATCH);
            *value = kept - step;
            double below = loss_of(&example, BATCH), wanted = (above - below) / (2 * step);
            *value = kept;
            ck_assert_msg(fabs(gradient - wanted) < 1e-8 * (1 + fabs(wanted)),
                          "%s, %zu: %g, not %g", name, i, gradient, wanted);
        }
    }
    clear_example(&example);
}
END_TEST

/* What a later letter is changes nothing before it: only the last token of each sequence moves. */
START_TEST(a_letter_is_predicted_from_those_before_it_alone)
{
    struct example example;
    make_example(&example);
    loss_of(&example, BATCH);
    double before[TOKENS * 7];
    memcpy(before, example.model.logits, sizeof before);
    for (int i = 0; i < TOKENS; i++)
        example.tokens[i] = (example.tokens[i] + (i % 5 == 4)) % 7;
    loss_of(&example, BATCH);
    const double *after = example.model.logits;
    for (int i = 0; i < TOKENS; i++) {
        bool same = memcmp(before + i * 7, after + i * 7, 7 * sizeof *after) == 0;
        ck_assert(same == (i % 5 != 4));
    }
    clear_example(&example);
}
END_TEST

START_TEST(the_loss_is_the_mean_cross_entropy_of_the_logits)
{
    struct example example;
    make_example(&example);
    double loss = loss_of(&example, BATCH), wanted = 0;
    for (int i = 0; i < TOKENS; i++) {
        const double *logits = (const double *)example.model.logits + i * 7;
        double sum = 0;
        for (int j = 0; j < 7; j++)
            sum += exp(logits[j]);
        wanted += (log(sum) - logits[example.next[i]]) / TOKENS;
    }
    ck_assert_double_eq_tol(loss, wanted, 1e-12);
    ck_assert_double_ne(loss, loss_of(&example, 1)); /* the first sequence alone */
    clear_example(&example);
}
END_TEST

/* ---- The job --------------------------------------------------------------------------------- */

static char checkpoint[] = "/tmp/samebits-chargpt-XXXXXX";

/* Arguments as name, value … NULL. */
static void run(const char *backend, struct sb_train_options options,
                struct sb_train_result *result, ...) __attribute__((sentinel));
static void run(const char *backend, struct sb_train_options options,
                struct sb_train_result *result, ...) {
    const struct sb_training *chargpt = sb_training_find("chargpt");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    struct sb_error err = {0};
    sb_arguments_default(chargpt->arguments, values);
    va_list arguments;
    va_start(arguments, result);
    for (const char *name; (name = va_arg(arguments, const char *));) {
        const char *value = va_arg(arguments, const char *);
        ck_assert_int_eq(sb_argument_set(chargpt->arguments, values, name, value, &err), 0);
    }
    va_end(arguments);
    ck_assert_msg(chargpt->check(values, &err) == 0, "%s", err.text);
    options.arguments = values;
    options.threads = options.threads ? options.threads : 1;
    struct sb_engine *engine = engine_of(backend, options.threads);
    *result = (struct sb_train_result){0};
    int rc = engine ? chargpt->run(engine, &options, result, &err) : 0;
    ck_assert_msg(rc == 0, "%s", err.text);
    sb_engine_close(engine);
}

static size_t elements_of(const struct sb_tensor *tensor) {
    size_t n = 1;
    for (unsigned d = 0; d < tensor->rank; d++)
        n *= tensor->dims[d];
    return n;
}

static bool same_bits(const struct sb_train_result *a, const struct sb_train_result *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = memcmp(a->tensors[i].data, b->tensors[i].data,
                      elements_of(&a->tensors[i]) * sb_dtype_size(a->tensors[i].dtype)) == 0;
    return same;
}

/* A guess among 27 costs ln 27 = 3.3; frequent letters alone bring it to some 2.9, words further.
 */
START_TEST(the_loss_falls_far_below_that_of_guessing)
{
    struct sb_train_result result;
    run("ref", (struct sb_train_options){.threads = 2}, &result, "epochs", "12", NULL);
    ck_assert_uint_eq(result.n_losses, 12);
    ck_assert_double_gt(result.losses[0], 2.5);
    ck_assert_double_lt(result.losses[11], 0.7 * result.losses[0]);
    for (size_t i = 1; i < result.n_losses; i++)
        ck_assert_double_lt(result.losses[i], result.losses[i - 1]);
    ck_assert(!result.untrained);
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(without_learning_it_is_untrained)
{
    struct sb_train_result result;
    run("ref", (struct sb_train_options){0}, &result, "learning_rate", "0", "epochs", "1", NULL);
    ck_assert(result.untrained);
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(ref_keeps_its_bits_over_threads_and_the_seeds_change_them)
{
    struct sb_train_result first, other;
    run("ref", (struct sb_train_options){0}, &first, "width", "64", "samples", "16", NULL);
    for (unsigned threads = 2; threads <= 4; threads++) {
        run("ref", (struct sb_train_options){.threads = threads, .hash_seed = threads}, &other,
            "width", "64", "samples", "16", NULL);
        ck_assert(same_bits(&first, &other));
        sb_train_result_clear(&other);
    }
    static const char *const changes[][2] = {
        {"seed", "43"}, {"data_seed", "1"}, {"shuffle", "0"}, {"heads", "2"}};
    for (size_t i = 0; i < 4; i++) {
        run("ref", (struct sb_train_options){0}, &other, "width", "64", "samples", "16",
            changes[i][0], changes[i][1], NULL);
        ck_assert(!same_bits(&first, &other));
        sb_train_result_clear(&other);
    }
    sb_train_result_clear(&first);
}
END_TEST

/* 64 sequences in batches of 8: 8 steps an epoch, 24 in all. */
START_TEST(a_training_that_stops_anywhere_goes_on_to_the_same_bits)
{
    static const uint64_t steps[] = {1, 8, 13};
    struct sb_train_result whole, part;
    int fd = mkstemp(checkpoint);
    ck_assert_int_ge(fd, 0);
    close(fd);
    run("ref", (struct sb_train_options){0}, &whole, "save_optimizer", "true", NULL);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct sb_train_options options = {.resume_at = steps[i], .checkpoint = checkpoint};
        run("ref", options, &part, "save_optimizer", "true", NULL);
        ck_assert(part.stopped);
        sb_train_result_clear(&part);
        options.resumed = true;
        run("ref", options, &part, "save_optimizer", "true", NULL);
        ck_assert(!part.stopped && same_bits(&whole, &part));
        sb_train_result_clear(&part);
    }
    sb_train_result_clear(&whole);
    unlink(checkpoint);
}
END_TEST

/* Every backend trains: what it lacks is ref's. Weights differ by rounding, which Adam enlarges. */
START_TEST(every_backend_learns_the_same)
{
    struct sb_train_result wanted, got;
    run("ref", (struct sb_train_options){0}, &wanted, "samples", "32", NULL);
    for (size_t b = 0; sb_backends[b]; b++) {
        if (sb_backends[b]->planned)
            continue;
        run(sb_backends[b]->name, (struct sb_train_options){0}, &got, "samples", "32", NULL);
        for (size_t i = 0; i < got.n_losses; i++)
            ck_assert_msg(fabs(got.losses[i] - wanted.losses[i]) < 1e-3, "%s: %g, not %g",
                          sb_backends[b]->name, got.losses[i], wanted.losses[i]);
        sb_train_result_clear(&got);
    }
    sb_train_result_clear(&wanted);
}
END_TEST

START_TEST(weights_are_named_and_shaped_as_by_keras)
{
    static const struct {
        const char *name;
        unsigned rank;
        uint64_t dims[3];
    } wanted[] = {
        {"layers/embedding/vars/0", 2, {27, 32}},
        {"layers/embedding_1/vars/0", 2, {32, 32}},
        {"layers/layer_normalization/vars/0", 1, {32}},
        {"layers/layer_normalization/vars/1", 1, {32}},
        {"layers/multi_head_attention/query_dense/vars/0", 3, {32, 4, 8}},
        {"layers/multi_head_attention/query_dense/vars/1", 2, {4, 8}},
        {"layers/multi_head_attention/key_dense/vars/0", 3, {32, 4, 8}},
        {"layers/multi_head_attention/key_dense/vars/1", 2, {4, 8}},
        {"layers/multi_head_attention/value_dense/vars/0", 3, {32, 4, 8}},
        {"layers/multi_head_attention/value_dense/vars/1", 2, {4, 8}},
        {"layers/multi_head_attention/output_dense/vars/0", 3, {4, 8, 32}},
        {"layers/multi_head_attention/output_dense/vars/1", 1, {32}},
        {"layers/layer_normalization_1/vars/0", 1, {32}},
        {"layers/layer_normalization_1/vars/1", 1, {32}},
        {"layers/dense/vars/0", 2, {32, 128}},
        {"layers/dense/vars/1", 1, {128}},
        {"layers/dense_1/vars/0", 2, {128, 32}},
        {"layers/dense_1/vars/1", 1, {32}},
        {"layers/layer_normalization_2/vars/0", 1, {32}},
        {"layers/layer_normalization_2/vars/1", 1, {32}},
        {"layers/dense_2/vars/0", 2, {32, 27}},
        {"layers/dense_2/vars/1", 1, {27}},
    };
    struct sb_train_result result;
    run("ref", (struct sb_train_options){0}, &result, "depth", "1", "epochs", "0", NULL);
    ck_assert_uint_eq(result.n, sizeof wanted / sizeof *wanted);
    for (size_t i = 0; i < result.n; i++) {
        ck_assert_str_eq(result.tensors[i].name, wanted[i].name);
        ck_assert_uint_eq(result.tensors[i].rank, wanted[i].rank);
        ck_assert_mem_eq(result.tensors[i].dims, wanted[i].dims, wanted[i].rank * sizeof(uint64_t));
    }
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(sizes_that_do_not_go_together_are_refused)
{
    const struct sb_training *chargpt = sb_training_find("chargpt");
    static const char *const wrong[][3] = {
        {"heads", "5", "'heads', 5, does not divide 'width', 32"},
        {"samples", "1000000", NULL},
        {"hidden", "100000", NULL},
        {"context", "10000", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sb_argument_value values[SB_MAX_ARGUMENTS];
        struct sb_error err = {0};
        sb_arguments_default(chargpt->arguments, values);
        ck_assert_int_eq(
            sb_argument_set(chargpt->arguments, values, wrong[i][0], wrong[i][1], NULL), 0);
        if (!wrong[i][2]) { /* beyond what fits only with another size that is large too */
            ck_assert_int_eq(chargpt->check(values, NULL), 0);
            sb_argument_set(chargpt->arguments, values, "batch_size", "10000", NULL);
            sb_argument_set(chargpt->arguments, values, "context", "10000", NULL);
        }
        ck_assert_int_eq(chargpt->check(values, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, wrong[i][2] ? wrong[i][2] : "is more than 2^28"));
    }
}
END_TEST

SB_TEST_MAIN("kernels-chargpt", gradients_agree_with_finite_differences,
             a_letter_is_predicted_from_those_before_it_alone,
             the_loss_is_the_mean_cross_entropy_of_the_logits,
             the_loss_falls_far_below_that_of_guessing, without_learning_it_is_untrained,
             ref_keeps_its_bits_over_threads_and_the_seeds_change_them,
             a_training_that_stops_anywhere_goes_on_to_the_same_bits, every_backend_learns_the_same,
             weights_are_named_and_shaped_as_by_keras, sizes_that_do_not_go_together_are_refused)
