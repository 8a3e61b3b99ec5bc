/* weights: names that count anew, by themselves and in files. */
#include "weights/counters.h"
#include "weights/tests/files.h"

enum { MOST = 12 };

/* Recounts `before` (ends with NULL) behind n_kept bytes, and finds `after`. */
static void expect(size_t n_kept, const char *const *before, const char *const *after) {
    char *names[MOST];
    size_t n = 0;
    for (; before[n]; n++)
        names[n] = strdup(before[n]);
    ck_assert_int_eq(sb_names_recount(names, n, n_kept), 0);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(names[i], after[i]);
        free(names[i]);
    }
}
#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(counters_begin_again)
{
    expect(0, LIST("dense_7", "dense_10", "dense_9"), LIST("dense", "dense_2", "dense_1"));
    expect(0, LIST("dense_1", "dense", "conv2d_4"), LIST("dense_1", "dense", "conv2d"));
    expect(0, LIST("dense"), LIST("dense"));
    expect(0, LIST("a_18446744073709551617", "a_18446744073709551616"), LIST("a_1", "a"));
}
END_TEST

START_TEST(a_counter_may_grow)
{
    expect(0, LIST("a", "a_0", "a_1", "a_2", "a_3", "a_4", "a_5", "a_6", "a_7", "a_8", "a_9"),
           LIST("a", "a_1", "a_2", "a_3", "a_4", "a_5", "a_6", "a_7", "a_8", "a_9", "a_10"));
}
END_TEST

START_TEST(what_is_no_counter_stays)
{
    static const char *const names[] = {"kernel:0", "_7", "a_07",   "dense5", "a_",
                                        "7",        "",   "b__3_x", "c_-1",   NULL};
    expect(0, names, names);
}
END_TEST

START_TEST(words_within_are_counted_too)
{
    expect(0, LIST("net_1_dense_3_bias", "net_1_dense_2_kernel", "net_1_dense_2_bias", "step_4"),
           LIST("net_dense_1_bias", "net_dense_kernel", "net_dense_bias", "step"));
    expect(0, LIST("net_dense_bias", "net_dense_1_bias", "net_dense_kernel"),
           LIST("net_dense_bias", "net_dense_1_bias", "net_dense_kernel"));
    expect(0, LIST("a_1_b_5", "a_2_b_3", "a_2_b_4", "a_2"), LIST("a_b", "a_1_b", "a_1_b_1", "a"));
}
END_TEST

/* Names of a first model, with other numbers that rise where the first's do: the first's again. */
START_TEST(any_numbers_in_the_same_order_give_the_same_names)
{
    srand(7);
    for (int round = 0; round < 2000; round++) {
        char *first[8], *later[8];
        size_t n = 0;
        int net = 0, dense = 0;
        for (int layers = 1 + rand() % 8; layers; layers--) {
            int new_net = rand() % 3 == 0;
            net += new_net ? 1 + rand() % 40 : 0;
            dense = new_net ? rand() % 9 : dense + 1 + rand() % 20;
            static int net_rank, dense_rank;
            net_rank = n == 0 ? 0 : net_rank + new_net;
            dense_rank = n == 0 || new_net ? 0 : dense_rank + 1;
            SB_AUTO_FREE char *a = net_rank ? sb_format("net_%d", net_rank) : strdup("net");
            SB_AUTO_FREE char *b = dense_rank ? sb_format("dense_%d", dense_rank) : strdup("dense");
            first[n] = sb_format("g/%s_%s_x", a, b);
            later[n++] = sb_format("g/net_%d_dense_%d_x", net + 1, dense);
        }
        ck_assert_int_eq(sb_names_recount(later, n, 2), 0);
        for (size_t i = 0; i < n; i++) {
            ck_assert_str_eq(later[i], first[i]);
            free(first[i]);
            free(later[i]);
        }
    }
}
END_TEST

START_TEST(a_longer_name_is_another)
{ expect(0, LIST("dense_3", "dense_x_4", "dens_5"), LIST("dense", "dense_x", "dens")); }
END_TEST

START_TEST(what_is_kept_is_not_looked_at)
{ expect(4, LIST("g_1/a_5", "g_1/a_3"), LIST("g_1/a_1", "g_1/a")); }
END_TEST

/* ---- In files -------------------------------------------------------------------------------- */

static void write_layers(const char *path, const char *const *names, size_t n) {
    static const uint64_t dims[] = {1};
    float values[MOST];
    struct sb_tensor tensors[MOST];
    for (size_t i = 0; i < n; i++) {
        values[i] = (float)i;
        tensors[i] = (struct sb_tensor){names[i], SB_DTYPE_F32, 1, dims, &values[i]};
    }
    ck_assert_int_eq(sb_weights_write_hdf5(path, tensors, n, NULL), 0);
}

START_TEST(a_later_model_has_the_names_of_the_first)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *first = sb_path_join(folder, "first.h5");
    SB_AUTO_FREE char *later = sb_path_join(folder, "later.h5");
    /* The later one's names are in another order of bytes. */
    write_layers(
        first,
        LIST("w/dense/dense/kernel:0", "w/dense_1/dense_1/kernel:0", "w/dense_2/dense_2/kernel:0"),
        3);
    write_layers(later,
                 LIST("w/dense_9/dense_9/kernel:0", "w/dense_10/dense_10/kernel:0",
                      "w/dense_11/dense_11/kernel:0"),
                 3);
    char *paths[] = {first, later};
    char prints[2][2][SB_FINGERPRINT_TEXT];
    for (int by_order = 0; by_order < 2; by_order++) {
        for (int i = 0; i < 2; i++) {
            const struct sb_weights_files files = {.paths = &paths[i], .n = 1};
            const struct sb_weights_options options = {.match_by_order = by_order};
            struct sb_fingerprint fingerprint = {0};
            struct sb_error err = {0};
            ck_assert_msg(sb_weights_fingerprint(&files, &options, &fingerprint, &err) == 0, "%s",
                          err.text);
            strcpy(prints[by_order][i], fingerprint.text);
            if (by_order)
                ck_assert_str_eq(fingerprint.tensors[1].info.name, "w/dense_1/dense/kernel:0");
            sb_fingerprint_clear(&fingerprint);
        }
    }
    ck_assert_str_ne(prints[0][0], prints[0][1]);
    ck_assert_str_eq(prints[1][0], prints[1][1]);
    remove_folder(folder);
}
END_TEST

START_TEST(two_that_would_have_one_name_are_refused)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    write_layers(path, LIST("a_1_2", "a_3", "a_5", "a_7"), 4);
    const struct sb_weights_options options = {.match_by_order = true};
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    ck_assert_int_eq(read_here(path, &options, &fingerprint, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "two datasets are named 'a_2'") != NULL, "%s", err.text);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN("weights-counters", counters_begin_again, a_counter_may_grow, what_is_no_counter_stays,
             words_within_are_counted_too, any_numbers_in_the_same_order_give_the_same_names,
             a_longer_name_is_another, what_is_kept_is_not_looked_at,
             a_later_model_has_the_names_of_the_first, two_that_would_have_one_name_are_refused)
