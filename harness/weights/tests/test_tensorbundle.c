/* weights: TensorBundles, good and wrong. */
#include "weights/tests/cut.h"

static const float values[] = {0, 1, 2, 3, 4, 5, 6, 7};
static const uint64_t two[] = {2}, two_three[] = {2, 3};
static const unsigned char flag = 1;
static const struct sb_tensor tensors[] = {
    {"dense/bias", SB_DTYPE_F32, 1, two, values + 6},
    {"dense/kernel", SB_DTYPE_F32, 2, two_three, values},
    {"flag", SB_DTYPE_BOOL, 0, NULL, &flag},
};

struct bundle {
    char *folder, *index, *data;
    char *bytes; /* of the index */
    size_t n;
};

/* A seed's index, and the data that it speaks of. */
static struct bundle make_bundle(const char *seed, size_t n_data) {
    struct bundle bundle = {.folder = make_folder()};
    char data[36] = {0};
    memcpy(data, values, sizeof values);
    data[32] = 1;
    SB_AUTO_FREE char *from = corpus_file("tensorbundle", seed);
    bundle.index = sb_path_join(bundle.folder, "w.index");
    bundle.data = sb_path_join(bundle.folder, "w.data-00000-of-00001");
    ck_assert_int_eq(sb_file_read(from, 1 << 20, &bundle.bytes, &bundle.n, NULL), 0);
    ck_assert_int_eq(sb_file_write(bundle.index, bundle.bytes, bundle.n, NULL), 0);
    ck_assert_int_eq(sb_file_write(bundle.data, data, n_data, NULL), 0);
    return bundle;
}

static void clear_bundle(struct bundle *bundle) {
    remove_folder(bundle->folder);
    free(bundle->index);
    free(bundle->data);
    free(bundle->bytes);
}

START_TEST(tensors_are_those_of_the_bundle)
{
    static const char *const seeds[] = {"one.index", "blocks.index"};
    struct sb_fingerprint want = {0};
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, 3, SB_DIGEST_XXH3, &want, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct bundle bundle = make_bundle(seeds[i], 36);
        struct sb_fingerprint got = {0};
        struct sb_error err = {0};
        char *paths[] = {bundle.data, bundle.index}; /* the data is read with its index */
        const struct sb_weights_files alone = {.paths = &bundle.index, .n = 1},
                                      both = {paths, NULL, 2};
        ck_assert_msg(sb_weights_fingerprint(&alone, NULL, &got, &err) == 0, "%s", err.text);
        ck_assert_str_eq(got.text, want.text);
        ck_assert_str_eq(got.ignored[0], "text: strings");
        sb_fingerprint_clear(&got);
        ck_assert_msg(sb_weights_fingerprint(&both, NULL, &got, &err) == 0, "%s", err.text);
        ck_assert_str_eq(got.text, want.text);
        sb_fingerprint_clear(&got);
        clear_bundle(&bundle);
    }
    sb_fingerprint_clear(&want);
}
END_TEST

START_TEST(data_that_are_missing_or_short_are_named)
{
    struct bundle bundle = make_bundle("one.index", 20);
    expect_refused(bundle.index, "behind the end");
    ck_assert_int_eq(unlink(bundle.data), 0);
    expect_refused(bundle.index, "'w.data-00000-of-00001', which does not lie beside it");
    ck_assert_int_eq(symlink("/etc/passwd", bundle.data), 0);
    expect_refused(bundle.index, "which does not lie beside it");
    clear_bundle(&bundle);
    bundle = make_bundle("odd.index", 36);
    expect_refused(bundle.index, "'w.data-00001-of-00002'");
    clear_bundle(&bundle);
}
END_TEST

/* Checksums stand over all but the footer, and the block that nobody reads. */
START_TEST(an_index_that_was_changed_or_cut_anywhere_is_refused_or_the_same)
{
    struct bundle bundle = make_bundle("blocks.index", 36);
    struct sb_fingerprint want = {0};
    size_t n_refused = 0;
    ck_assert_int_eq(read_here(bundle.index, NULL, &want, NULL), 0);
    for (size_t i = 0; i < 2 * bundle.n; i++) {
        struct sb_fingerprint got = {0};
        struct sb_error err = {0};
        bool cut = i >= bundle.n;
        bundle.bytes[i % bundle.n] ^= cut ? 0 : 0x41;
        ck_assert_int_eq(
            sb_file_write(bundle.index, bundle.bytes, cut ? i - bundle.n : bundle.n, NULL), 0);
        bundle.bytes[i % bundle.n] ^= cut ? 0 : 0x41;
        int r = read_here(bundle.index, NULL, &got, &err);
        ck_assert_msg(r < 0 || strcmp(got.text, want.text) == 0, "byte %zu", i);
        n_refused += r < 0;
        sb_fingerprint_clear(&got);
    }
    ck_assert_uint_gt(n_refused, 2 * bundle.n - 64);
    sb_fingerprint_clear(&want);
    clear_bundle(&bundle);
}
END_TEST

SB_TEST_MAIN("weights-tensorbundle", tensors_are_those_of_the_bundle,
             data_that_are_missing_or_short_are_named,
             an_index_that_was_changed_or_cut_anywhere_is_refused_or_the_same)
