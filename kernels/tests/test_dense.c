/* kernels, train: job dense: what its bits depend on, and what they do not. */
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* How a run is made: its threads and so on, then arguments as name, value … NULL. */
struct how {
    unsigned threads;
    bool deterministic;
    uint64_t hash_seed;
};

static void run(const char *backend, struct how how, struct sb_train_result *result, ...)
    __attribute__((sentinel));
static void run(const char *backend, struct how how, struct sb_train_result *result, ...) {
    const struct sb_training *dense = sb_training_find("dense");
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    sb_arguments_default(dense->arguments, values);
    va_list arguments;
    va_start(arguments, result);
    struct sb_error err = {0};
    for (const char *name; (name = va_arg(arguments, const char *));) {
        int rc =
            sb_argument_set(dense->arguments, values, name, va_arg(arguments, const char *), &err);
        ck_assert_msg(rc == 0, "%s", err.text);
    }
    va_end(arguments);
    ck_assert_msg(dense->check(values, &err) == 0, "%s", err.text);
    struct sb_engine *engine;
    struct sb_engine_options engine_options = {how.threads ? how.threads : 1, how.deterministic};
    ck_assert_int_eq(sb_engine_open(sb_backend_find(backend), &engine_options, &engine, &err), 0);
    struct sb_train_options options = {values, how.threads ? how.threads : 1, how.deterministic,
                                       how.hash_seed};
    *result = (struct sb_train_result){0};
    int rc = dense->run(engine, &options, result, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    sb_engine_close(engine);
}

static size_t bytes_of(const struct sb_tensor *tensor) {
    size_t n = sb_dtype_size(tensor->dtype);
    for (unsigned d = 0; d < tensor->rank; d++)
        n *= tensor->dims[d];
    return n;
}

/* Frees both. */
static bool same_bits(struct sb_train_result *a, struct sb_train_result *b) {
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = bytes_of(&a->tensors[i]) == bytes_of(&b->tensors[i]) &&
               memcmp(a->tensors[i].data, b->tensors[i].data, bytes_of(&a->tensors[i])) == 0;
    sb_train_result_clear(a);
    sb_train_result_clear(b);
    return same;
}

static const struct how plain = {1, false, 0};

START_TEST(ref_keeps_its_bits_over_threads_hash_seeds_and_the_deterministic_flag)
{
    for (unsigned threads = 1; threads <= 4; threads++) {
        for (uint64_t hash_seed = 0; hash_seed < 3; hash_seed++) {
            for (int deterministic = 0; deterministic < 2; deterministic++) {
                struct sb_train_result a, b;
                run("ref", plain, &a, "hidden", "64", "features", "33", NULL);
                run("ref", (struct how){threads, deterministic, hash_seed}, &b, "hidden", "64",
                    "features", "33", NULL);
                ck_assert(same_bits(&a, &b));
            }
        }
    }
}
END_TEST

START_TEST(the_hash_seed_acts_only_when_unordered)
{
    struct sb_train_result a, b;
    for (uint64_t seed = 1; seed < 4; seed++) { /* the levels of the quickstart suite */
        run("ref", plain, &a, "ordered", "false", NULL);
        run("ref", (struct how){1, false, seed}, &b, "ordered", "false", NULL);
        ck_assert(!same_bits(&a, &b));
        run("ref", (struct how){1, false, seed}, &a, "ordered", "false", NULL);
        run("ref", (struct how){2, true, seed}, &b, "ordered", "false", NULL);
        ck_assert(same_bits(&a, &b));
    }
}
END_TEST

START_TEST(each_seed_changes_the_bits_and_the_same_ones_give_them_again)
{
    static const char *const seeds[][2] = {
        {"seed", "43"}, {"op_seed", "5"}, {"data_seed", "1"}, {"shuffle_seed", "9"}};
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        struct sb_train_result a, b;
        run("ref", plain, &a, NULL);
        run("ref", plain, &b, seeds[i][0], seeds[i][1], NULL);
        ck_assert(!same_bits(&a, &b));
        run("ref", plain, &a, seeds[i][0], seeds[i][1], NULL);
        run("ref", plain, &b, seeds[i][0], seeds[i][1], NULL);
        ck_assert(same_bits(&a, &b));
    }
}
END_TEST

START_TEST(unseeded_runs_differ_unless_operations_are_seeded)
{
    struct sb_train_result a, b;
    run("ref", plain, &a, "seeded", "false", NULL);
    run("ref", plain, &b, "seeded", "false", NULL);
    ck_assert(!same_bits(&a, &b));
    run("ref", plain, &a, "seeded", "false", "op_seed", "1", NULL);
    run("ref", plain, &b, "seeded", "false", "op_seed", "1", NULL);
    ck_assert(same_bits(&a, &b));
}
END_TEST

START_TEST(arrival_order_shows_and_the_deterministic_flag_cures_it)
{
    struct sb_train_result a, b;
    run("ref", (struct how){4, true, 0}, &a, "map_deterministic", "false", "map_delay_us", "200",
        NULL);
    run("ref", plain, &b, NULL);
    ck_assert(same_bits(&a, &b));
    run("ref", plain, &a, "map_deterministic", "false", "map_delay_us", "20", NULL);
    run("ref", plain, &b, NULL);
    ck_assert(same_bits(&a, &b)); /* one thread has one order */
    run("ref", (struct how){4, false, 0}, &a, "map_deterministic", "false", "map_delay_us", "500",
        NULL);
    run("ref", plain, &b, NULL);
    ck_assert(!same_bits(&a, &b));
}
END_TEST

START_TEST(reshuffling_and_its_absence_differ)
{
    struct sb_train_result a, b;
    run("ref", plain, &a, "reshuffle", "false", NULL);
    run("ref", plain, &b, NULL);
    ck_assert(!same_bits(&a, &b));
    /* Repeated within an epoch or over epochs: the same steps. */
    run("ref", plain, &a, "epochs", "1", "repeat", "3", "batch_size", "20", NULL);
    run("ref", plain, &b, "epochs", "3", "repeat", "1", "batch_size", "20", NULL);
    ck_assert(same_bits(&a, &b));
    run("ref", plain, &a, "prefetch", "4", NULL);
    run("ref", plain, &b, NULL);
    ck_assert(same_bits(&a, &b));
}
END_TEST

START_TEST(tensors_are_named_and_shaped_as_in_keras)
{
    static const struct {
        const char *name;
        unsigned rank;
        uint64_t dims[2];
    } wanted[] = {{"layers/dense/vars/0", 2, {4, 8}},   {"layers/dense/vars/1", 1, {8}},
                  {"layers/dense_1/vars/0", 2, {8, 8}}, {"layers/dense_1/vars/1", 1, {8}},
                  {"layers/dense_2/vars/0", 2, {8, 2}}, {"layers/dense_2/vars/1", 1, {2}},
                  {"optimizer/vars/0", 0, {0}},         {"optimizer/vars/1", 0, {0}},
                  {"optimizer/vars/2", 2, {4, 8}},      {"optimizer/vars/3", 2, {4, 8}},
                  {"optimizer/vars/4", 1, {8}},         {"optimizer/vars/5", 1, {8}}};
    struct sb_train_result result;
    run("ref", plain, &result, "depth", "2", "save_optimizer", "true", NULL);
    ck_assert_uint_eq(result.n, 6 + 2 + 12);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        ck_assert_str_eq(result.tensors[i].name, wanted[i].name);
        ck_assert_uint_eq(result.tensors[i].rank, wanted[i].rank);
        for (unsigned d = 0; d < wanted[i].rank; d++)
            ck_assert_uint_eq(result.tensors[i].dims[d], wanted[i].dims[d]);
    }
    ck_assert_int_eq(*(const int64_t *)result.tensors[6].data, 21); /* 3 epochs of 7 batches */
    ck_assert_uint_eq(result.n_losses, 3);
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(a_training_without_steps_says_so)
{
    struct sb_train_result result;
    run("ref", plain, &result, "epochs", "0", NULL);
    ck_assert(result.untrained);
    sb_train_result_clear(&result);
    run("ref", plain, &result, "learning_rate", "0", NULL);
    ck_assert(result.untrained);
    sb_train_result_clear(&result);
    run("ref", plain, &result, "batch_size", "101", "drop_remainder", "true", NULL);
    ck_assert(result.untrained);
    sb_train_result_clear(&result);
    run("ref", plain, &result, NULL);
    ck_assert(!result.untrained);
    ck_assert_double_lt(result.losses[2], result.losses[0]);
    sb_train_result_clear(&result);
}
END_TEST

START_TEST(arguments_are_checked_and_the_choices_named)
{
    const struct sb_argument_spec *specs = sb_training_find("dense")->arguments;
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    sb_arguments_default(specs, values);
    struct sb_error err = {0};
    ck_assert_int_eq(sb_argument_set(specs, values, "epoch", "3", &err), -EINVAL);
    ck_assert_ptr_nonnull(
        strstr(err.text, "unknown argument 'epoch' (choices: seed seeded op_seed"));
    ck_assert_ptr_nonnull(strstr(err.text, "save_steps)"));
    static const char *const wrong[][2] = {
        {"epochs", "-1"}, {"epochs", "3.5"},      {"epochs", ""},
        {"epochs", "3x"}, {"batch_size", "0"},    {"seed", "18446744073709551616"},
        {"ordered", "2"}, {"learning_rate", "x"}, {"learning_rate", "nan"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(sb_argument_set(specs, values, wrong[i][0], wrong[i][1], &err), -EINVAL);
    ck_assert_int_eq(sb_argument_set(specs, values, "hidden", "100000", &err), 0);
    ck_assert_int_eq(sb_training_find("dense")->check(values, &err), -EINVAL);
}
END_TEST

SB_TEST_MAIN("kernels-dense", ref_keeps_its_bits_over_threads_hash_seeds_and_the_deterministic_flag,
             the_hash_seed_acts_only_when_unordered,
             each_seed_changes_the_bits_and_the_same_ones_give_them_again,
             unseeded_runs_differ_unless_operations_are_seeded,
             arrival_order_shows_and_the_deterministic_flag_cures_it,
             reshuffling_and_its_absence_differ, tensors_are_named_and_shaped_as_in_keras,
             a_training_without_steps_says_so, arguments_are_checked_and_the_choices_named)
