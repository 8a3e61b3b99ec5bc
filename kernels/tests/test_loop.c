/* kernels, train: trainings that stop and go on, that share batches, and that are traced. */
#include "kernels/train/loop.h"
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char checkpoint[64];

static void new_checkpoint(void) {
    snprintf(checkpoint, sizeof checkpoint, "/tmp/samebits-loop-XXXXXX");
    int fd = mkstemp(checkpoint);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* One process' part of a training of two iterations an epoch, so that shuffles are wound on. */
static struct sb_train_result part(struct sb_train_options options, sb_trace_function *trace,
                                   void *context) {
    const struct sb_training *dense = sb_training_find("dense");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    struct sb_engine *engine;
    struct sb_engine_options engine_options = {.threads = 2};
    struct sb_train_result result = {0};
    struct sb_error err = {0};
    sb_arguments_default(dense->arguments, values);
    ck_assert_int_eq(sb_argument_set(dense->arguments, values, "repeat", "2", &err), 0);
    ck_assert_int_eq(sb_argument_set(dense->arguments, values, "save_optimizer", "true", &err), 0);
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &engine_options, &engine, &err), 0);
    options.arguments = values;
    options.threads = 2;
    options.checkpoint = checkpoint;
    sb_engine_trace(engine, trace, context);
    int rc = dense->run(engine, &options, &result, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    sb_engine_close(engine);
    return result;
}

static struct sb_train_result train(unsigned ranks, uint64_t resume_at, bool *stopped) {
    struct sb_train_options options = {.ranks = ranks, .resume_at = resume_at};
    struct sb_train_result result = part(options, NULL, NULL);
    *stopped = result.stopped;
    if (!result.stopped)
        return result;
    ck_assert_uint_eq(result.n, 0);
    sb_train_result_clear(&result);
    options.resumed = true;
    result = part(options, NULL, NULL);
    ck_assert(!result.stopped);
    return result;
}

static size_t elements_of(const struct sb_tensor *tensor) {
    size_t n = 1;
    for (unsigned d = 0; d < tensor->rank; d++)
        n *= tensor->dims[d];
    return n;
}

static bool same_bits(const struct sb_train_result *a, const struct sb_train_result *b) {
    bool same = a->n == b->n && a->n_losses == b->n_losses;
    for (size_t i = 0; same && i < a->n; i++)
        same = memcmp(a->tensors[i].data, b->tensors[i].data,
                      elements_of(&a->tensors[i]) * sb_dtype_size(a->tensors[i].dtype)) == 0;
    return same && memcmp(a->losses, b->losses, a->n_losses * sizeof *a->losses) == 0;
}

/* 100 samples twice an epoch in batches of 16: 13 steps an epoch, 39 in all. */
START_TEST(a_training_that_stops_anywhere_goes_on_to_the_same_bits)
{
    static const uint64_t steps[] = {1, 6, 7, 12, 13, 14, 26, 38};
    bool stopped;
    new_checkpoint();
    struct sb_train_result whole = train(0, 0, &stopped);
    ck_assert(!stopped);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct sb_train_result resumed = train(0, steps[i], &stopped);
        ck_assert(stopped);
        ck_assert_msg(same_bits(&whole, &resumed), "resumed after step %d", (int)steps[i]);
        sb_train_result_clear(&resumed);
    }
    struct sb_train_result beyond = train(0, 1000, &stopped);
    ck_assert(!stopped && same_bits(&whole, &beyond));
    sb_train_result_clear(&beyond);
    sb_train_result_clear(&whole);
    unlink(checkpoint);
}
END_TEST

START_TEST(a_checkpoint_of_another_training_is_refused)
{
    bool stopped;
    new_checkpoint();
    struct sb_train_result whole = train(0, 7, &stopped);
    sb_train_result_clear(&whole);
    ck_assert_int_eq(truncate(checkpoint, 100), 0);
    const struct sb_training *dense = sb_training_find("dense");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    struct sb_engine *engine;
    struct sb_engine_options engine_options = {.threads = 1};
    struct sb_train_result result = {0};
    struct sb_error err = {0};
    sb_arguments_default(dense->arguments, values);
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &engine_options, &engine, &err), 0);
    struct sb_train_options options = {
        .arguments = values, .threads = 1, .checkpoint = checkpoint, .resumed = true};
    ck_assert_int_eq(dense->run(engine, &options, &result, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, checkpoint));
    sb_engine_close(engine);
    unlink(checkpoint);
}
END_TEST

/* The same gradient but for rounding, however many share a batch; and the same bits each time. */
START_TEST(ranks_compute_the_same_up_to_rounding)
{
    bool stopped;
    new_checkpoint();
    struct sb_train_result alone = train(1, 0, &stopped);
    for (unsigned ranks = 2; ranks <= 20; ranks += 3) {
        struct sb_train_result shared = train(ranks, 0, &stopped),
                               again = train(ranks, 9, &stopped);
        ck_assert(!same_bits(&alone, &shared));
        ck_assert(same_bits(&shared, &again));
        for (size_t t = 0; t < alone.n; t++) {
            const struct sb_tensor *a = &alone.tensors[t], *b = &shared.tensors[t];
            for (size_t i = 0; a->dtype == SB_DTYPE_F32 && i < elements_of(a); i++)
                ck_assert_float_eq_tol(((const float *)a->data)[i], ((const float *)b->data)[i],
                                       1e-5f);
        }
        sb_train_result_clear(&shared);
        sb_train_result_clear(&again);
    }
    sb_train_result_clear(&alone);
    unlink(checkpoint);
}
END_TEST

/* ---- Trace ----------------------------------------------------------------------------------- */

enum { MOST_CALLS = 4096 };

struct traced {
    struct sb_traced_call calls[MOST_CALLS];
    size_t n;
};

static int note(void *context, const struct sb_traced_call *call, struct sb_error *err) {
    (void)err;
    struct traced *traced = context;
    ck_assert_uint_lt(traced->n, MOST_CALLS);
    traced->calls[traced->n++] = *call;
    return 0;
}

START_TEST(a_trace_numbers_calls_and_steps_and_goes_on_after_a_stop)
{
    static struct traced whole, parts;
    new_checkpoint();
    struct sb_train_result result = part((struct sb_train_options){0}, note, &whole);
    sb_train_result_clear(&result);
    result = part((struct sb_train_options){.resume_at = 20}, note, &parts);
    sb_train_result_clear(&result);
    ck_assert_uint_eq(parts.calls[parts.n - 1].step, 20);
    result = part((struct sb_train_options){.resume_at = 20, .resumed = true}, note, &parts);
    sb_train_result_clear(&result);
    ck_assert_uint_eq(whole.n, parts.n);
    for (size_t i = 0; i < whole.n; i++) {
        const struct sb_traced_call *a = &whole.calls[i], *b = &parts.calls[i];
        ck_assert_uint_eq(a->call, i + 1);
        ck_assert(a->call == b->call && a->step == b->step);
        ck_assert_mem_eq(a->in, b->in, sizeof a->in);
        ck_assert_mem_eq(a->out, b->out, sizeof a->out);
    }
    ck_assert_uint_eq(whole.calls[0].step, 1);
    ck_assert_uint_eq(whole.calls[whole.n - 1].step, 39);
    unlink(checkpoint);
}
END_TEST

SB_TEST_MAIN("kernels-loop", a_training_that_stops_anywhere_goes_on_to_the_same_bits,
             a_checkpoint_of_another_training_is_refused, ranks_compute_the_same_up_to_rounding,
             a_trace_numbers_calls_and_steps_and_goes_on_after_a_stop)
