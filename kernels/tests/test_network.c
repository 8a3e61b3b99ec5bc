/* kernels, train: gradients against finite differences, and a training against one written out in
 * double. */
#include "kernels/train/dataset.h"
#include "kernels/train/network.h"
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sb_engine *engine_of(const char *name) {
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = 1};
    ck_assert_int_eq(sb_engine_open(sb_backend_find(name), &options, &engine, NULL), 0);
    return engine;
}

enum { BATCH = 7, IN = 5, OUT = 3 };

static void make_inputs(double *x, int32_t *labels) {
    struct sb_stream stream = sb_stream_make(11, 0);
    for (int i = 0; i < BATCH * IN; i++)
        x[i] = sb_stream_normal(&stream);
    for (int i = 0; i < BATCH; i++)
        labels[i] = (int32_t)sb_stream_below(&stream, OUT);
}

static double loss_of(struct sb_network *network, struct sb_engine *engine, const double *x,
                      const int32_t *labels) {
    double loss;
    ck_assert_int_eq(sb_network_gradient(network, engine, x, labels, BATCH, &loss, NULL), 0);
    return loss;
}

START_TEST(gradients_agree_with_finite_differences)
{
    static const size_t sizes[] = {IN, 6, 4, OUT};
    double x[BATCH * IN];
    int32_t labels[BATCH];
    make_inputs(x, labels);
    struct sb_engine *engine = engine_of("ref");
    struct sb_network network;
    ck_assert_int_eq(sb_network_make(SB_DTYPE_F64, sizes, 3, BATCH, &network, NULL), 0);
    struct sb_stream streams[] = {sb_stream_make(1, 1), sb_stream_make(1, 2), sb_stream_make(1, 3)};
    sb_network_initialise(&network, streams);
    for (size_t v = 0; v < 6; v++) {
        struct sb_variable *variable =
            v % 2 ? &network.layers[v / 2].bias : &network.layers[v / 2].kernel;
        for (size_t i = 0; i < variable->n; i++) {
            double *value = (double *)variable->value + i, kept = *value, step = 1e-6;
            loss_of(&network, engine, x, labels);
            double gradient = ((double *)variable->gradient)[i];
            *value = kept + step;
            double above = loss_of(&network, engine, x, labels);
            *value = kept - step;
            double below = loss_of(&network, engine, x, labels);
            *value = kept;
            ck_assert_double_eq_tol(gradient, (above - below) / (2 * step), 1e-8);
        }
    }
    sb_network_clear(&network);
    sb_engine_close(engine);
}
END_TEST

START_TEST(glorot_weights_stay_within_their_limit_and_fill_it)
{
    static const size_t sizes[] = {200, 100};
    struct sb_network network;
    ck_assert_int_eq(sb_network_make(SB_DTYPE_F32, sizes, 1, 1, &network, NULL), 0);
    struct sb_stream stream = sb_stream_make(42, 0);
    sb_network_initialise(&network, &stream);
    const float *kernel = network.layers[0].kernel.value, *bias = network.layers[0].bias.value;
    float limit = (float)sqrt(6.0 / 300), largest = 0;
    for (int i = 0; i < 20000; i++) {
        ck_assert(fabsf(kernel[i]) <= limit);
        largest = fmaxf(largest, fabsf(kernel[i]));
    }
    ck_assert(largest > 0.999f * limit);
    for (int i = 0; i < 100; i++)
        ck_assert(bias[i] == 0);
    struct sb_variable *variables[2];
    sb_network_variables(&network, variables);
    ck_assert(sb_variables_untrained(variables, 2, SB_DTYPE_F32));
    ((float *)network.layers[0].kernel.value)[19999] *= -1;
    ck_assert(!sb_variables_untrained(variables, 2, SB_DTYPE_F32));
    sb_network_clear(&network);
}
END_TEST

/* ---- The whole training, written out --------------------------------------------------------- */

enum { SAMPLES = 100, FEATURES = 4, HIDDEN = 8, CLASSES = 2, EPOCHS = 3, BATCH_SIZE = 16 };

/* The weights of both layers, one after the other; so are their gradients and Adam's moments. */
enum {
    K0 = 0,
    B0 = K0 + FEATURES * HIDDEN,
    K1 = B0 + HIDDEN,
    B1 = K1 + HIDDEN * CLASSES,
    ALL = B1 + CLASSES
};

static void gradient_of(const double *w, const double *x, int32_t label, double *gradient) {
    double hidden[HIDDEN], logits[CLASSES], sum = 0;
    for (int j = 0; j < HIDDEN; j++) {
        hidden[j] = w[B0 + j];
        for (int i = 0; i < FEATURES; i++)
            hidden[j] += x[i] * w[K0 + i * HIDDEN + j];
        hidden[j] = fmax(hidden[j], 0);
    }
    for (int c = 0; c < CLASSES; c++) {
        logits[c] = w[B1 + c];
        for (int j = 0; j < HIDDEN; j++)
            logits[c] += hidden[j] * w[K1 + j * CLASSES + c];
        sum += exp(logits[c]);
    }
    for (int c = 0; c < CLASSES; c++) {
        double d = exp(logits[c]) / sum - (label == c);
        gradient[B1 + c] += d;
        for (int j = 0; j < HIDDEN; j++) {
            gradient[K1 + j * CLASSES + c] += d * hidden[j];
            if (hidden[j] <= 0)
                continue;
            gradient[B0 + j] += d * w[K1 + j * CLASSES + c];
            for (int i = 0; i < FEATURES; i++)
                gradient[K0 + i * HIDDEN + j] += d * w[K1 + j * CLASSES + c] * x[i];
        }
    }
}

/* Adam as in Kingma and Ba with the epsilon of Keras (section 2 of the paper, last paragraph). */
static void adam_step(double *w, double *m, double *v, const double *gradient, int step) {
    for (int i = 0; i < ALL; i++) {
        m[i] = 0.9 * m[i] + 0.1 * gradient[i];
        v[i] = 0.999 * v[i] + 0.001 * gradient[i] * gradient[i];
        w[i] -=
            0.001 * sqrt(1 - pow(0.999, step)) / (1 - pow(0.9, step)) * m[i] / (sqrt(v[i]) + 1e-7);
    }
}

/* Orders and initial weights come from the generators, whose tests are elsewhere; all else is done
 * again. */
static void train_in_double(double *w) {
    struct sb_stream inputs = sb_stream_make(0, 0), labels_stream = sb_stream_make(0, 1);
    float x[SAMPLES * FEATURES];
    int32_t labels[SAMPLES];
    sb_stream_fill_normal(&inputs, x, SAMPLES * FEATURES);
    for (int i = 0; i < SAMPLES; i++)
        labels[i] = (int32_t)sb_stream_below(&labels_stream, CLASSES);
    const uint64_t implicit = UINT64_C(1) << 63;
    float kernel[FEATURES * HIDDEN];
    struct sb_stream first = sb_stream_make(42, implicit),
                     second = sb_stream_make(42, implicit + 1);
    float limit = (float)sqrt(6.0 / (FEATURES + HIDDEN));
    sb_stream_fill_uniform(&first, -limit, limit, kernel, FEATURES * HIDDEN);
    for (int i = 0; i < FEATURES * HIDDEN; i++)
        w[K0 + i] = kernel[i];
    limit = (float)sqrt(6.0 / (HIDDEN + CLASSES));
    sb_stream_fill_uniform(&second, -limit, limit, kernel, HIDDEN * CLASSES);
    for (int i = 0; i < HIDDEN * CLASSES; i++)
        w[K1 + i] = kernel[i];
    struct sb_dataset *order;
    ck_assert_int_eq(sb_dataset_range(SAMPLES, &order, NULL), 0);
    ck_assert_int_eq(
        sb_dataset_shuffle(order, 100, sb_stream_make(42, implicit + 2), true, &order, NULL), 0);
    double m[ALL] = {0}, v[ALL] = {0};
    int step = 0;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        uint64_t samples[SAMPLES];
        size_t one;
        struct sb_iterator *iterator;
        ck_assert_int_eq(sb_iterator_open(order, &iterator, NULL), 0);
        for (int i = 0; i < SAMPLES; i++)
            ck_assert_int_eq(sb_iterator_next(iterator, &samples[i], &one, NULL), 1);
        sb_iterator_close(iterator);
        for (int start = 0; start < SAMPLES; start += BATCH_SIZE) {
            double gradient[ALL] = {0};
            int n = SAMPLES - start < BATCH_SIZE ? SAMPLES - start : BATCH_SIZE;
            for (int i = 0; i < n; i++) {
                double row[FEATURES];
                for (int f = 0; f < FEATURES; f++)
                    row[f] = x[samples[start + i] * FEATURES + (size_t)f];
                gradient_of(w, row, labels[samples[start + i]], gradient);
            }
            for (int i = 0; i < ALL; i++)
                gradient[i] /= n;
            adam_step(w, m, v, gradient, ++step);
        }
    }
    sb_dataset_free(order);
}

static void agrees_with_double(const char *backend) {
    const struct sb_training *dense = sb_training_find("dense");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    sb_arguments_default(dense->arguments, values);
    struct sb_engine *engine = engine_of(backend);
    struct sb_train_options options = {.arguments = values, .threads = 1};
    struct sb_train_result result = {0};
    ck_assert_int_eq(dense->run(engine, &options, &result, NULL), 0);
    double w[ALL] = {0};
    train_in_double(w);
    static const int starts[] = {K0, B0, K1, B1, ALL};
    ck_assert_uint_eq(result.n, 4);
    double moved = 0;
    for (int t = 0; t < 4; t++) {
        for (int i = 0; i < starts[t + 1] - starts[t]; i++) {
            double got = ((const float *)result.tensors[t].data)[i];
            /* Adam divides by the size of the gradient, so that noise in a small one is not small.
             */
            ck_assert_double_eq_tol(got, w[starts[t] + i], 2e-6);
            moved = t % 2 ? fmax(moved, fabs(got)) : moved;
        }
    }
    ck_assert_double_gt(moved, 0.005); /* twenty-one steps of a thousandth */
    ck_assert(!result.untrained);
    sb_train_result_clear(&result);
    sb_engine_close(engine);
}

START_TEST(dense_on_ref_agrees_with_a_training_in_double)
{ agrees_with_double("ref"); }
END_TEST

START_TEST(dense_on_openblas_agrees_with_a_training_in_double)
{
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = 1};
    if (sb_engine_open(sb_backend_find("openblas"), &options, &engine, NULL) < 0) {
        sb_test_skip("needs openblas: the library");
        return;
    }
    sb_engine_close(engine);
    agrees_with_double("openblas");
}
END_TEST

SB_TEST_MAIN("kernels-network", gradients_agree_with_finite_differences,
             glorot_weights_stay_within_their_limit_and_fill_it,
             dense_on_ref_agrees_with_a_training_in_double,
             dense_on_openblas_agrees_with_a_training_in_double)
