/* kernels, train: the input pipeline has the semantics of tf.data. */
#include "kernels/train/dataset.h"
#include "kernels/train/dictionary.h"
#include "tests/testing.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

/* One iteration: the items, and the sizes of its elements. */
struct walked {
    uint64_t items[MOST];
    size_t n, sizes[MOST], n_elements;
};

static void walk(struct sb_dataset *dataset, struct walked *walked) {
    memset(walked, 0, sizeof *walked);
    ck_assert_uint_eq(sb_dataset_item_size(dataset), sizeof(uint64_t));
    struct sb_iterator *iterator;
    ck_assert_int_eq(sb_iterator_open(dataset, &iterator, NULL), 0);
    int rc;
    size_t n;
    while ((rc = sb_iterator_next(iterator, walked->items + walked->n, &n, NULL)) == 1) {
        walked->sizes[walked->n_elements++] = n;
        walked->n += n;
    }
    ck_assert_int_eq(rc, 0);
    /* The end stays the end. */
    ck_assert_int_eq(sb_iterator_next(iterator, walked->items + walked->n, &n, NULL), 0);
    sb_iterator_close(iterator);
}

static struct sb_dataset *range(uint64_t n) {
    struct sb_dataset *dataset;
    ck_assert_int_eq(sb_dataset_range(n, &dataset, NULL), 0);
    return dataset;
}

static struct sb_dataset *shuffled(struct sb_dataset *input, size_t buffer, uint64_t seed,
                                   bool reshuffle) {
    struct sb_dataset *dataset;
    ck_assert_int_eq(
        sb_dataset_shuffle(input, buffer, sb_stream_make(seed, 1), reshuffle, &dataset, NULL), 0);
    return dataset;
}

static struct sb_dataset *repeated(struct sb_dataset *input, int64_t count) {
    struct sb_dataset *dataset;
    ck_assert_int_eq(sb_dataset_repeat(input, count, &dataset, NULL), 0);
    return dataset;
}

static struct sb_dataset *batched(struct sb_dataset *input, size_t size, bool drop) {
    struct sb_dataset *dataset;
    ck_assert_int_eq(sb_dataset_batch(input, size, drop, &dataset, NULL), 0);
    return dataset;
}

static bool same(const struct walked *a, const struct walked *b) {
    return a->n == b->n && memcmp(a->items, b->items, a->n * sizeof *a->items) == 0;
}

static void is_permutation(const uint64_t *items, size_t n) {
    bool seen[MOST] = {0};
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_lt(items[i], n);
        ck_assert(!seen[items[i]]);
        seen[items[i]] = true;
    }
}

START_TEST(a_buffer_of_one_keeps_the_order)
{
    struct sb_dataset *dataset = shuffled(range(50), 1, 9, true);
    struct walked a;
    walk(dataset, &a);
    for (uint64_t i = 0; i < 50; i++)
        ck_assert_uint_eq(a.items[i], i);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(an_item_comes_at_most_a_buffer_early)
{
    for (size_t buffer = 1; buffer <= 64; buffer *= 2) {
        struct sb_dataset *dataset = shuffled(range(200), buffer, buffer, true);
        struct walked a;
        walk(dataset, &a);
        ck_assert_uint_eq(a.n, 200);
        is_permutation(a.items, a.n);
        size_t earliest = 0;
        for (size_t i = 0; i < a.n; i++) {
            ck_assert_uint_lt(a.items[i], i + buffer);
            earliest += a.items[i] == i + buffer - 1;
        }
        ck_assert_uint_gt(earliest, 0); /* and that far does happen */
        sb_dataset_free(dataset);
    }
}
END_TEST

START_TEST(a_whole_buffer_gives_every_permutation_as_often)
{
    unsigned count[6] = {0};
    struct sb_dataset *dataset = shuffled(range(3), 3, 4, true);
    for (int i = 0; i < 6000; i++) {
        struct walked a;
        walk(dataset, &a);
        count[a.items[0] * 2 + (a.items[1] > a.items[2])]++;
    }
    for (int i = 0; i < 6; i++)
        ck_assert_int_lt(abs((int)count[i] - 1000), 150); /* five standard deviations */
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(reshuffling_gives_another_order_each_iteration_and_the_same_ones_again)
{
    struct walked first[3], again[3];
    struct sb_dataset *a = shuffled(range(100), 100, 42, true);
    struct sb_dataset *b = shuffled(range(100), 100, 42, true);
    for (int i = 0; i < 3; i++) {
        walk(a, &first[i]);
        walk(b, &again[i]);
        ck_assert(same(&first[i], &again[i]));
    }
    ck_assert(!same(&first[0], &first[1]));
    ck_assert(!same(&first[1], &first[2]));
    sb_dataset_free(a);
    sb_dataset_free(b);
}
END_TEST

START_TEST(without_reshuffling_every_iteration_has_the_order_of_the_first)
{
    struct walked one, two, reshuffling;
    struct sb_dataset *a = shuffled(range(100), 100, 42, false);
    struct sb_dataset *b = shuffled(range(100), 100, 42, true);
    walk(a, &one);
    walk(a, &two);
    walk(b, &reshuffling);
    ck_assert(same(&one, &two));
    ck_assert(same(&one, &reshuffling));
    sb_dataset_free(a);
    sb_dataset_free(b);
}
END_TEST

START_TEST(another_seed_gives_another_order)
{
    struct walked one, two;
    struct sb_dataset *a = shuffled(range(100), 100, 42, true);
    struct sb_dataset *b = shuffled(range(100), 100, 43, true);
    walk(a, &one);
    walk(b, &two);
    ck_assert(!same(&one, &two));
    sb_dataset_free(a);
    sb_dataset_free(b);
}
END_TEST

START_TEST(shuffle_before_repeat_keeps_epochs_apart)
{
    struct walked a;
    struct sb_dataset *dataset = repeated(shuffled(range(20), 20, 5, true), 3);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 60);
    for (int epoch = 0; epoch < 3; epoch++)
        is_permutation(a.items + 20 * epoch, 20);
    ck_assert_mem_ne(a.items, a.items + 20, 20 * sizeof *a.items);
    sb_dataset_free(dataset);
    dataset = repeated(shuffled(range(20), 20, 5, false), 2);
    walk(dataset, &a);
    ck_assert_mem_eq(a.items, a.items + 20, 20 * sizeof *a.items);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(shuffle_after_repeat_mixes_epochs)
{
    struct walked a;
    struct sb_dataset *dataset = shuffled(repeated(range(20), 3), 20, 5, true);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 60);
    bool seen[20] = {0}, twice = false;
    for (int i = 0; i < 20; i++) {
        twice |= seen[a.items[i]];
        seen[a.items[i]] = true;
    }
    ck_assert(twice);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(repeating_nothing_for_ever_ends)
{
    struct walked a;
    struct sb_dataset *dataset = repeated(range(0), -1);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 0);
    sb_dataset_free(dataset);
    dataset = repeated(range(5), 0);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 0);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(an_endless_dataset_goes_on)
{
    struct sb_dataset *dataset = repeated(range(3), -1);
    struct sb_iterator *iterator;
    ck_assert_int_eq(sb_iterator_open(dataset, &iterator, NULL), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t item;
        size_t n;
        ck_assert_int_eq(sb_iterator_next(iterator, &item, &n, NULL), 1);
        ck_assert_uint_eq(item, i % 3);
    }
    sb_iterator_close(iterator);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(a_remainder_is_kept_or_dropped)
{
    struct walked a;
    struct sb_dataset *dataset = batched(range(10), 4, false);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n_elements, 3);
    ck_assert_uint_eq(a.sizes[2], 2);
    ck_assert_uint_eq(a.items[9], 9);
    sb_dataset_free(dataset);
    dataset = batched(range(10), 4, true);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n_elements, 2);
    ck_assert_uint_eq(a.n, 8);
    sb_dataset_free(dataset);
    /* Batches are shuffled as wholes, and batched again. */
    dataset = batched(shuffled(batched(range(10), 4, false), 3, 1, true), 2, false);
    ck_assert_uint_eq(sb_dataset_max_items(dataset), 8);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 10);
    is_permutation(a.items, 10);
    sb_dataset_free(dataset);
}
END_TEST

/* ---- Threads --------------------------------------------------------------------------------- */

static int square(void *context, const void *in, void *out) {
    (void)context;
    uint64_t item;
    memcpy(&item, in, sizeof item);
    item *= item;
    memcpy(out, &item, sizeof item);
    return 0;
}

static struct sb_dataset *mapped(struct sb_dataset *input, sb_map_function *function, void *context,
                                 unsigned threads, bool deterministic) {
    struct sb_dataset *dataset;
    ck_assert_int_eq(sb_dataset_map(input, sizeof(uint64_t), function, context, threads,
                                    deterministic, &dataset, NULL),
                     0);
    return dataset;
}

START_TEST(a_deterministic_map_keeps_the_order_with_any_threads)
{
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct walked a;
        struct sb_dataset *dataset = mapped(range(1000), square, NULL, threads, true);
        walk(dataset, &a);
        ck_assert_uint_eq(a.n, 1000);
        for (uint64_t i = 0; i < 1000; i++)
            ck_assert_uint_eq(a.items[i], i * i);
        sb_dataset_free(dataset);
    }
}
END_TEST

START_TEST(a_map_in_arrival_order_loses_nothing)
{
    struct walked a;
    struct sb_dataset *dataset = mapped(range(1000), square, NULL, 4, false);
    walk(dataset, &a);
    ck_assert_uint_eq(a.n, 1000);
    bool seen[1000] = {0};
    for (int i = 0; i < 1000; i++) {
        uint64_t root = 0;
        while (root * root < a.items[i])
            root++;
        ck_assert(root < 1000 && !seen[root]);
        seen[root] = true;
    }
    sb_dataset_free(dataset);
}
END_TEST

/* Item 0 waits until three others are through: possible only where another thread is at work at the
 * same time, and it then arrives late. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t passed;
    unsigned n_passed, n_threads;
    pthread_t threads[8];
};

static int hold_the_first(void *context, const void *in, void *out) {
    struct gate *gate = context;
    uint64_t item;
    memcpy(&item, in, sizeof item);
    pthread_mutex_lock(&gate->lock);
    unsigned i = 0;
    while (i < gate->n_threads && !pthread_equal(gate->threads[i], pthread_self()))
        i++;
    if (i == gate->n_threads)
        gate->threads[gate->n_threads++] = pthread_self();
    if (item == 0) {
        while (gate->n_passed < 3)
            pthread_cond_wait(&gate->passed, &gate->lock);
    } else {
        gate->n_passed++;
        pthread_cond_broadcast(&gate->passed);
    }
    pthread_mutex_unlock(&gate->lock);
    memcpy(out, &item, sizeof item);
    return 0;
}

START_TEST(a_held_item_arrives_late_or_in_its_place_as_the_map_is_asked)
{
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .passed = PTHREAD_COND_INITIALIZER};
        struct walked a;
        struct sb_dataset *dataset = mapped(range(20), hold_the_first, &gate, 4, deterministic);
        walk(dataset, &a);
        ck_assert_uint_eq(a.n, 20);
        is_permutation(a.items, 20);
        ck_assert_uint_ge(gate.n_threads, 2);
        if (deterministic)
            ck_assert_uint_eq(a.items[0], 0);
        else
            ck_assert_uint_ne(a.items[0], 0);
        sb_dataset_free(dataset);
    }
}
END_TEST

static int fail_at_seven(void *context, const void *in, void *out) {
    (void)context;
    uint64_t item;
    memcpy(&item, in, sizeof item);
    memcpy(out, &item, sizeof item);
    return item == 7 ? -EIO : 0;
}

START_TEST(a_failing_map_ends_the_iteration_with_its_error)
{
    for (int deterministic = 0; deterministic < 2; deterministic++) {
        struct sb_dataset *dataset = mapped(range(100), fail_at_seven, NULL, 3, deterministic);
        struct sb_iterator *iterator;
        ck_assert_int_eq(sb_iterator_open(dataset, &iterator, NULL), 0);
        uint64_t item;
        size_t n;
        int rc;
        struct sb_error err = {0};
        while ((rc = sb_iterator_next(iterator, &item, &n, &err)) == 1)
            ;
        ck_assert_int_eq(rc, -EIO);
        ck_assert_ptr_nonnull(strstr(err.text, "map"));
        sb_iterator_close(iterator);
        sb_dataset_free(dataset);
    }
}
END_TEST

START_TEST(an_iterator_may_be_closed_early)
{
    struct sb_dataset *dataset = mapped(repeated(range(3), -1), square, NULL, 4, true);
    ck_assert_int_eq(sb_dataset_prefetch(dataset, 8, &dataset, NULL), 0);
    struct sb_iterator *iterator;
    ck_assert_int_eq(sb_iterator_open(dataset, &iterator, NULL), 0);
    uint64_t item;
    size_t n;
    ck_assert_int_eq(sb_iterator_next(iterator, &item, &n, NULL), 1);
    sb_iterator_close(iterator);
    sb_dataset_free(dataset);
}
END_TEST

START_TEST(prefetch_changes_nothing)
{
    struct walked a, b;
    struct sb_dataset *plain = batched(shuffled(range(100), 10, 3, true), 7, false);
    struct sb_dataset *ahead = batched(shuffled(range(100), 10, 3, true), 7, false);
    ck_assert_int_eq(sb_dataset_prefetch(ahead, 3, &ahead, NULL), 0);
    for (int i = 0; i < 3; i++) {
        walk(plain, &a);
        walk(ahead, &b);
        ck_assert(same(&a, &b));
        ck_assert_mem_eq(a.sizes, b.sizes, sizeof a.sizes);
    }
    sb_dataset_free(plain);
    sb_dataset_free(ahead);
}
END_TEST

/* ---- Dictionary ------------------------------------------------------------------------------ */

/* The vector of the paper's appendix A: key 00…0f, message 00…0e. */
START_TEST(siphash_gives_the_published_answer)
{
    unsigned char message[15];
    for (unsigned char i = 0; i < sizeof message; i++)
        message[i] = i;
    ck_assert_uint_eq(sb_siphash(0x0706050403020100, 0x0f0e0d0c0b0a0908, message, sizeof message),
                      0xa129ca6149be45e5);
}
END_TEST

static void iterate(uint64_t seed, size_t n, size_t *order) {
    struct sb_dictionary *dictionary;
    ck_assert_int_eq(sb_dictionary_make(seed, &dictionary, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "feature_%zu", i);
        ck_assert_int_eq(sb_dictionary_add(dictionary, name, NULL), 0);
        ck_assert_int_eq(sb_dictionary_add(dictionary, name, NULL), 0);
        ck_assert_uint_eq(sb_dictionary_find(dictionary, name), i);
    }
    ck_assert_uint_eq(sb_dictionary_size(dictionary), n);
    ck_assert_uint_eq(sb_dictionary_find(dictionary, "none"), SIZE_MAX);
    sb_dictionary_iterate(dictionary, order);
    sb_dictionary_free(dictionary);
}

START_TEST(iteration_follows_the_hash_seed)
{
    size_t zero[300], again[300], one[300];
    for (size_t n = 4; n <= 300; n += 37) {
        iterate(0, n, zero);
        iterate(0, n, again);
        iterate(1, n, one);
        ck_assert_mem_eq(zero, again, n * sizeof *zero);
        ck_assert_mem_ne(zero, one, n * sizeof *zero);
        bool seen[300] = {0};
        for (size_t i = 0; i < n; i++) {
            ck_assert(zero[i] < n && !seen[zero[i]]);
            seen[zero[i]] = true;
        }
    }
}
END_TEST

SB_TEST_MAIN("kernels-dataset", a_buffer_of_one_keeps_the_order,
             an_item_comes_at_most_a_buffer_early, a_whole_buffer_gives_every_permutation_as_often,
             reshuffling_gives_another_order_each_iteration_and_the_same_ones_again,
             without_reshuffling_every_iteration_has_the_order_of_the_first,
             another_seed_gives_another_order, shuffle_before_repeat_keeps_epochs_apart,
             shuffle_after_repeat_mixes_epochs, repeating_nothing_for_ever_ends,
             an_endless_dataset_goes_on, a_remainder_is_kept_or_dropped,
             a_deterministic_map_keeps_the_order_with_any_threads,
             a_map_in_arrival_order_loses_nothing,
             a_held_item_arrives_late_or_in_its_place_as_the_map_is_asked,
             a_failing_map_ends_the_iteration_with_its_error, an_iterator_may_be_closed_early,
             prefetch_changes_nothing, siphash_gives_the_published_answer,
             iteration_follows_the_hash_seed)
