/* weights: npz and .keras archives, good and hostile. */
#include "base/cleanup.h"
#include "weights/tests/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Arrays ---------------------------------------------------------------------------------- */

/* An npy file of little-endian f32: its length. */
static size_t array(unsigned char *out, const float *values, size_t n, const char *shape,
                    bool fortran) {
    char header[128];
    int length =
        snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': %s, 'shape': %s, }\n",
                 fortran ? "True" : "False", shape);
    size_t at = 0;
    put_bytes(out, &at, "\x93NUMPY\x01", 8);
    out[at - 1] = 0;
    put(out, &at, (uint64_t)length, 2);
    put_bytes(out, &at, header, (size_t)length);
    put_bytes(out, &at, values, n * sizeof *values);
    return at;
}

static const float six[6] = {1, 2, 3, 4, 5, 6}, turned[6] = {1, 4, 2, 5, 3, 6}, one[1] = {7};

/* a-b [2,3], and c, a scalar; in the archive c stands first. */
static void arrays(struct archive *a, bool deflated, bool fortran) {
    unsigned char bytes[512];
    size_t n = array(bytes, one, 1, "()", false);
    add(a, "c.npy", bytes, n, deflated);
    n = array(bytes, fortran ? turned : six, 6, "(2, 3)", fortran);
    add(a, "a.npy", bytes, n, deflated);
    n = array(bytes, six, 6, "(6,)", false);
    add(a, "a-b.npy", bytes, n, deflated);
}

static void is_the_three_arrays(char *file) {
    static const uint64_t two_three[] = {2, 3}, flat[] = {6};
    static const struct sb_tensor tensors[] = {{"a", SB_DTYPE_F32, 2, two_three, six},
                                               {"a-b", SB_DTYPE_F32, 1, flat, six},
                                               {"c", SB_DTYPE_F32, 0, NULL, one}};
    struct sb_fingerprint found, wanted = {0};
    struct sb_error err = {0};
    ck_assert_msg(fingerprint(file, &found, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, 3, SB_DIGEST_XXH3, &wanted, NULL), 0);
    ck_assert_str_eq(found.text, wanted.text);
    sb_fingerprint_clear(&found);
    sb_fingerprint_clear(&wanted);
}

static void refuse(const struct archive *a, const char *says) {
    struct sb_fingerprint found;
    struct sb_error err = {0};
    ck_assert_int_eq(fingerprint(save(a, "bad.npz"), &found, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s, not: %s", err.text, says);
}

static size_t find(const struct archive *a, const char *what, size_t n) {
    const unsigned char *at = memmem(a->bytes, a->n, what, n);
    ck_assert_ptr_nonnull(at);
    return (size_t)(at - a->bytes);
}

/* ---- Tests ----------------------------------------------------------------------------------- */

START_TEST(arrays_have_one_fingerprint_however_they_are_packed)
{
    for (int deflated = 0; deflated < 2; deflated++) {
        for (int fortran = 0; fortran < 2; fortran++) {
            for (int wide = 0; wide < 2; wide++) {
                struct archive a = {.wide = wide};
                arrays(&a, deflated, fortran);
                finish(&a);
                is_the_three_arrays(save(&a, "w.npz"));
            }
        }
    }
    clean_up();
}
END_TEST

START_TEST(a_keras_archive_is_the_file_in_it)
{
    static const uint64_t dims[] = {2, 3};
    const struct sb_tensor tensor = {"layers/dense/vars/0", SB_DTYPE_F32, 2, dims, six};
    struct sb_fingerprint found, wanted = {0};
    struct sb_error err = {0};
    SB_AUTO_FREE char *file = NULL;
    size_t n;
    struct archive empty = {0};
    char *h5 = strdup(save(&empty, "w.h5"));
    unlink(h5);
    ck_assert_msg(sb_weights_write_hdf5(h5, &tensor, 1, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_file_read(h5, 65536, &file, &n, NULL), 0);
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &wanted, NULL), 0);
    for (int deflated = 0; deflated < 2; deflated++) {
        struct archive a = {0};
        add(&a, "metadata.json", "{}", 2, false);
        add(&a, "config.json", "{}", 2, false);
        add(&a, "model.weights.h5", file, n, deflated);
        finish(&a);
        ck_assert_msg(fingerprint(save(&a, "m.keras"), &found, &err) == 0, "%s", err.text);
        ck_assert_str_eq(found.text, wanted.text);
        sb_fingerprint_clear(&found);
    }
    struct archive without = {0};
    add(&without, "metadata.json", "{}", 2, false);
    finish(&without);
    refuse(&without, "has no model.weights.h5");
    sb_fingerprint_clear(&wanted);
    free(h5);
    clean_up();
}
END_TEST

START_TEST(members_that_lie_are_refused)
{
    struct archive good = {0}, a;
    arrays(&good, false, false);
    finish(&good);
    size_t values = find(&good, (const char *)six, sizeof six);
    size_t entry = find(&good, "PK\1\2", 4), end = find(&good, "PK\5\6", 4);

    a = good;
    a.bytes[values] ^= 1;
    refuse(&a, "its checksum is another");
    a = good;
    a.bytes[entry + 8] |= 1;
    refuse(&a, "is encrypted");
    a = good;
    a.bytes[entry + 10] = 12;
    refuse(&a, "compressed by method 12");
    a = good;
    a.bytes[entry + 24] ^= 1;
    refuse(&a, "is stored with two sizes");
    a = good;
    a.bytes[entry + 46] = 'x'; /* the directory's name alone */
    refuse(&a, "is not where the directory says");
    a = good;
    a.bytes[end + 16] ^= 0x10;
    refuse(&a, "its directory is damaged");
    a = good;
    a.bytes[end + 17] = 0xff;
    refuse(&a, "larger than the file");
    a = good;
    a.n -= 1;
    refuse(&a, "the file has no directory");
    a = good;
    a.bytes[end + 4] = 1;
    refuse(&a, "one part of several");
    clean_up();
}
END_TEST

/* Two entries of the directory that mean the same bytes would make much out of little. */
START_TEST(members_that_overlap_or_share_a_name_are_refused)
{
    unsigned char bytes[512];
    size_t n = array(bytes, six, 6, "(6,)", false);
    struct archive twice = {0}, shared = {0};
    add(&twice, "a.npy", bytes, n, false);
    add(&twice, "a.npy", bytes, n, false);
    finish(&twice);
    refuse(&twice, "is there twice");
    add(&shared, "a.npy", bytes, n, false);
    size_t one_entry = shared.n_directory;
    put_bytes(shared.directory, &shared.n_directory, shared.directory, one_entry);
    shared.members++;
    finish(&shared);
    refuse(&shared, "overlap");
    clean_up();
}
END_TEST

START_TEST(a_file_that_is_cut_off_anywhere_is_refused)
{
    struct archive good = {.wide = true};
    arrays(&good, true, false);
    finish(&good);
    for (size_t n = 40; n < good.n; n += 7) {
        struct archive a = good;
        struct sb_fingerprint found;
        struct sb_error err = {0};
        a.n = n;
        ck_assert_int_eq(fingerprint(save(&a, "cut.npz"), &found, &err), -EBADMSG);
    }
    clean_up();
}
END_TEST

/* Whatever is changed: read, or refused, and nothing worse. */
START_TEST(damage_anywhere_is_refused_or_makes_no_difference)
{
    srand(1);
    for (int round = 0; round < 300; round++) {
        struct archive a = {.wide = round & 1};
        struct sb_fingerprint found;
        struct sb_error err = {0};
        arrays(&a, round & 2, round & 4);
        finish(&a);
        for (int i = 0; i < 1 + round % 3; i++)
            a.bytes[4 + (size_t)rand() % (a.n - 4)] = (unsigned char)rand();
        int rc = fingerprint(save(&a, "damaged.npz"), &found, &err);
        ck_assert_msg(rc == 0 || rc == -EBADMSG || rc == -ENODATA || rc == -EFBIG, "%d: %s", rc,
                      err.text);
        ck_assert_ptr_null(strstr(err.text, "crash"));
        if (rc == 0)
            sb_fingerprint_clear(&found);
    }
    clean_up();
}
END_TEST

SB_TEST_MAIN("weights-zip", arrays_have_one_fingerprint_however_they_are_packed,
             a_keras_archive_is_the_file_in_it, members_that_lie_are_refused,
             members_that_overlap_or_share_a_name_are_refused,
             a_file_that_is_cut_off_anywhere_is_refused,
             damage_anywhere_is_refused_or_makes_no_difference)
