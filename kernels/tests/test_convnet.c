/* kernels, train: job `convnet`: its gradient, that it learns, and that its bits hold. */
#include "kernels/train/convnet_model.h"
#include "kernels/train/images.h"
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sb_engine *ref(unsigned threads) {
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = threads};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &engine, NULL), 0);
    return engine;
}

/* ---- The gradient ---------------------------------------------------------------------------- */

enum {
    BATCH = 3,
    CHANNELS = 2,
    SIDE = 7,
    CLASSES = 3,
    BLOCKS = 2,
    PIXELS = CHANNELS * SIDE * SIDE
};

START_TEST(gradients_agree_with_finite_differences)
{
    struct sb_engine *engine = ref(1);
    struct sb_convnet net;
    ck_assert_int_eq(
        sb_convnet_make(SB_DTYPE_F64, CHANNELS, SIDE, 3, BLOCKS, CLASSES, BATCH, &net, NULL), 0);
    struct sb_stream streams[BLOCKS + 1];
    for (size_t i = 0; i <= BLOCKS; i++)
        streams[i] = sb_stream_make(5, i);
    sb_convnet_initialise(&net, streams);
    struct sb_stream inputs = sb_stream_make(5, 9);
    double x[BATCH * PIXELS];
    for (size_t i = 0; i < BATCH * PIXELS; i++)
        x[i] = sb_stream_normal(&inputs);
    const int32_t labels[BATCH] = {2, 0, 1};
    struct sb_variable *variables[3 * BLOCKS + 2];
    size_t n = sb_convnet_variables(&net, variables);
    ck_assert_uint_eq(n, 3 * BLOCKS + 2);
    double loss, largest = 0;
    for (size_t v = 0; v < n; v++) {
        for (size_t i = 0; i < variables[v]->n; i += variables[v]->n / 16 + 1) {
            double *value = (double *)variables[v]->value + i, kept = *value, step = 1e-6;
            double losses[2];
            ck_assert_int_eq(sb_convnet_gradient(&net, engine, x, labels, BATCH, &loss, NULL), 0);
            double gradient = ((double *)variables[v]->gradient)[i];
            for (int side = 0; side < 2; side++) {
                *value = kept + (side ? step : -step);
                ck_assert_int_eq(
                    sb_convnet_gradient(&net, engine, x, labels, BATCH, &losses[side], NULL), 0);
            }
            *value = kept;
            ck_assert_double_eq_tol(gradient, (losses[1] - losses[0]) / (2 * step), 1e-7);
            largest = fmax(largest, fabs(gradient));
        }
    }
    ck_assert_double_gt(largest, 0.01);
    sb_convnet_clear(&net);
    sb_engine_close(engine);
}
END_TEST

/* ---- The job --------------------------------------------------------------------------------- */

static char checkpoint[64];

static struct sb_train_result train(unsigned threads, struct sb_train_options options) {
    const struct sb_training *convnet = sb_training_find("convnet");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    struct sb_engine *engine = ref(threads);
    struct sb_train_result result = {0};
    struct sb_error err = {0};
    sb_arguments_default(convnet->arguments, values);
    ck_assert_int_eq(sb_argument_set(convnet->arguments, values, "epochs", "4", &err), 0);
    ck_assert_int_eq(sb_argument_set(convnet->arguments, values, "samples", "70", &err), 0);
    options.arguments = values;
    options.threads = threads;
    options.checkpoint = checkpoint;
    ck_assert_int_eq(convnet->check(values, &err), 0);
    int rc = convnet->run(engine, &options, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    sb_engine_close(engine);
    return result;
}

static size_t elements_of(const struct sb_tensor *tensor) {
    size_t n = 1;
    for (unsigned d = 0; d < tensor->rank; d++)
        n *= tensor->dims[d];
    return n;
}

static void same_bits(const struct sb_train_result *a, const struct sb_train_result *b) {
    ck_assert_uint_eq(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        ck_assert_msg(memcmp(a->tensors[i].data, b->tensors[i].data,
                             elements_of(&a->tensors[i]) * sizeof(float)) == 0,
                      "%s", a->tensors[i].name);
}

START_TEST(it_learns_to_tell_the_images_apart)
{
    struct sb_train_result result = train(2, (struct sb_train_options){0});
    ck_assert_uint_eq(result.n_losses, 4);
    ck_assert_double_lt(result.losses[3], 0.5 * result.losses[0]);
    ck_assert(!result.untrained);
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(threads_change_no_bits)
{
    struct sb_train_result one = train(1, (struct sb_train_options){0});
    for (unsigned threads = 2; threads <= 3; threads++) {
        struct sb_train_result more = train(threads, (struct sb_train_options){0});
        same_bits(&one, &more);
        sb_train_result_clear(&more);
    }
    sb_train_result_clear(&one);
}
END_TEST

/* The running statistics are no variables: they too must be in the checkpoint. */
START_TEST(a_training_that_stops_goes_on_to_the_same_bits)
{
    struct sb_train_result whole = train(1, (struct sb_train_options){0});
    snprintf(checkpoint, sizeof checkpoint, "/tmp/samebits-convnet-XXXXXX");
    int fd = mkstemp(checkpoint);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct sb_train_result part = train(1, (struct sb_train_options){.resume_at = 7});
    ck_assert(part.stopped);
    sb_train_result_clear(&part);
    part = train(1, (struct sb_train_options){.resume_at = 7, .resumed = true});
    same_bits(&whole, &part);
    sb_train_result_clear(&part);
    sb_train_result_clear(&whole);
    unlink(checkpoint);
}
END_TEST

START_TEST(weights_have_the_names_and_shapes_of_keras)
{
    static const struct {
        const char *name;
        unsigned rank;
        uint64_t dims[4];
    } wanted[] = {
        {"layers/conv2d/vars/0", 4, {3, 3, 3, 8}},
        {"layers/batch_normalization/vars/0", 1, {8}},
        {"layers/batch_normalization/vars/1", 1, {8}},
        {"layers/batch_normalization/vars/2", 1, {8}},
        {"layers/batch_normalization/vars/3", 1, {8}},
        {"layers/conv2d_1/vars/0", 4, {3, 3, 8, 16}},
        {"layers/batch_normalization_1/vars/0", 1, {16}},
        {"layers/batch_normalization_1/vars/1", 1, {16}},
        {"layers/batch_normalization_1/vars/2", 1, {16}},
        {"layers/batch_normalization_1/vars/3", 1, {16}},
        {"layers/dense/vars/0", 2, {2 * 2 * 16, 4}},
        {"layers/dense/vars/1", 1, {4}},
    };
    struct sb_train_result result = train(1, (struct sb_train_options){0});
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
    const struct sb_training *convnet = sb_training_find("convnet");
    static const char *const wrong[][4] = {{"side", "6", "blocks", "2"},
                                           {"side", "1024", "samples", "1000000"},
                                           {"side", "1024", "batch_size", "1000"},
                                           {"filters", "1024", "batch_size", "4000"},
                                           {"classes", "100000", "batch_size", "100000"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sb_argument_value values[SB_MAX_ARGUMENTS];
        struct sb_error err = {0};
        sb_arguments_default(convnet->arguments, values);
        for (size_t j = 0; j < 4; j += 2)
            ck_assert_int_eq(
                sb_argument_set(convnet->arguments, values, wrong[i][j], wrong[i][j + 1], &err), 0);
        ck_assert_msg(convnet->check(values, &err) == -EINVAL, "%s %s", wrong[i][0], wrong[i][1]);
    }
}
END_TEST

SB_TEST_MAIN("kernels-convnet", gradients_agree_with_finite_differences,
             it_learns_to_tell_the_images_apart, threads_change_no_bits,
             a_training_that_stops_goes_on_to_the_same_bits,
             weights_have_the_names_and_shapes_of_keras, sizes_that_do_not_go_together_are_refused)
