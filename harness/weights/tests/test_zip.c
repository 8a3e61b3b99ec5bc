/* weights: npz and .keras archives, good and hostile. */
#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

/* ---- Archives -------------------------------------------------------------------------------- */

static char folder[] = "/tmp/samebits-zip-XXXXXX";
static char path[64];

/* An archive under construction; the directory is kept apart until it is closed. */
struct archive {
    unsigned char bytes[65536], directory[8192];
    size_t n, n_directory, members;
    bool wide; /* sizes and offsets in the 64-bit form */
};

static void put(unsigned char *bytes, size_t *n, uint64_t value, int size) {
    for (int i = 0; i < size; i++)
        bytes[(*n)++] = (unsigned char)(value >> 8 * i);
}

static void put_bytes(unsigned char *bytes, size_t *n, const void *data, size_t size) {
    memcpy(bytes + *n, data, size);
    *n += size;
}

static size_t squeeze(const void *data, size_t n, unsigned char *out, size_t room) {
    z_stream z = {.next_in = (unsigned char *)data,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)room};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* What local header and directory share: flags, method, time, sum, sizes, length of the name. */
static void put_common(unsigned char *bytes, size_t *n, int method, uLong crc, size_t packed,
                       size_t size, size_t n_name, bool wide) {
    put(bytes, n, 0, 2);
    put(bytes, n, (uint64_t)method, 2);
    put(bytes, n, 0, 4);
    put(bytes, n, crc, 4);
    put(bytes, n, wide ? UINT32_MAX : packed, 4);
    put(bytes, n, wide ? UINT32_MAX : size, 4);
    put(bytes, n, n_name, 2);
}

static void add(struct archive *a, const char *name, const void *data, size_t size, bool deflated) {
    static unsigned char packed[65536];
    size_t n_packed = size, at = a->n, n_name = strlen(name);
    if (deflated)
        n_packed = squeeze(data, size, packed, sizeof packed);
    else
        memcpy(packed, data, size);
    uLong crc = crc32(crc32(0, NULL, 0), data, (uInt)size);
    put_bytes(a->bytes, &a->n, "PK\3\4\24\0", 6);
    put_common(a->bytes, &a->n, deflated ? 8 : 0, crc, n_packed, size, n_name, false);
    put(a->bytes, &a->n, 0, 2);
    put_bytes(a->bytes, &a->n, name, n_name);
    put_bytes(a->bytes, &a->n, packed, n_packed);
    put_bytes(a->directory, &a->n_directory, "PK\1\2\24\0\24\0", 8);
    put_common(a->directory, &a->n_directory, deflated ? 8 : 0, crc, n_packed, size, n_name,
               a->wide);
    put(a->directory, &a->n_directory, a->wide ? 28 : 0, 2);
    put(a->directory, &a->n_directory, 0, 2 + 2 + 2 + 4);
    put(a->directory, &a->n_directory, a->wide ? UINT32_MAX : at, 4);
    put_bytes(a->directory, &a->n_directory, name, n_name);
    if (a->wide) {
        put(a->directory, &a->n_directory, 1, 2);
        put(a->directory, &a->n_directory, 24, 2);
        put(a->directory, &a->n_directory, size, 8);
        put(a->directory, &a->n_directory, n_packed, 8);
        put(a->directory, &a->n_directory, at, 8);
    }
    a->members++;
}

static void put_wide_end(struct archive *a, size_t directory_at) {
    size_t at = a->n;
    put_bytes(a->bytes, &a->n, "PK\6\6", 4);
    put(a->bytes, &a->n, 44, 8);
    put(a->bytes, &a->n, 0, 2 + 2 + 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, a->members, 8);
    put(a->bytes, &a->n, a->members, 8);
    put(a->bytes, &a->n, a->n_directory, 8);
    put(a->bytes, &a->n, directory_at, 8);
    put_bytes(a->bytes, &a->n, "PK\6\7", 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, at, 8);
    put(a->bytes, &a->n, 1, 4);
}

static void finish(struct archive *a) {
    size_t at = a->n;
    put_bytes(a->bytes, &a->n, a->directory, a->n_directory);
    if (a->wide)
        put_wide_end(a, at);
    put_bytes(a->bytes, &a->n, "PK\5\6", 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, a->wide ? UINT16_MAX : a->members, 2);
    put(a->bytes, &a->n, a->wide ? UINT16_MAX : a->members, 2);
    put(a->bytes, &a->n, a->wide ? UINT32_MAX : a->n_directory, 4);
    put(a->bytes, &a->n, a->wide ? UINT32_MAX : at, 4);
    put(a->bytes, &a->n, 0, 2);
}

static char *save(const struct archive *a, const char *name) {
    if (strstr(folder, "XXXXXX"))
        ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(sb_file_write(path, (const char *)a->bytes, a->n, NULL), 0);
    return path;
}

static void clean_up(void) {
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}

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

static int fingerprint(char *file, struct sb_fingerprint *found, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &file, .n = 1};
    *found = (struct sb_fingerprint){0};
    return sb_weights_fingerprint(&files, NULL, found, err);
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
