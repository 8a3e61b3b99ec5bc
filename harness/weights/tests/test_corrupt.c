/* weights: files that were damaged anywhere: never a crash of the caller, never a hang, and a file
 * cut short is never taken for whole. */
#include "weights/tests/files.h"
#include "weights/tests/libhdf5.h"

#include <samebits/weights.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

enum { AT_ONCE = 4 };

static struct sb_reader *reader;

/* A file with groups, a compact, a contiguous and a compressed dataset, attributes and links. */
static void write_rich(const char *path, bool latest) {
    static const hsize_t dims[] = {20, 10}, chunk[] = {7, 4};
    float values[200];
    for (int i = 0; i < 200; i++)
        values[i] = (float)i / 3;
    hid_t access = good(H5(H5Pcreate)(H5_ID(H5P_CLS_FILE_ACCESS_ID_g)));
    if (latest)
        H5(H5Pset_libver_bounds)(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t file = good(H5(H5Fcreate)(path, H5F_ACC_TRUNC, H5P_DEFAULT, access));
    hid_t space = new_space(2, dims), chunked = new_creation(), compact = new_creation();
    hid_t type = H5_ID(H5T_IEEE_F32LE_g);
    H5(H5Pset_chunk)(chunked, 2, chunk);
    H5(H5Pset_deflate)(chunked, 4);
    H5(H5Pset_layout)(compact, H5D_COMPACT);
    H5(H5Gclose)(good(H5(H5Gcreate2)(file, "layers", 0, 0, 0)));
    H5(H5Gclose)(good(H5(H5Gcreate2)(file, "layers/vars", 0, 0, 0)));
    new_dataset(file, "layers/vars/0", type, space, chunked, values);
    new_dataset(file, "layers/vars/1", type, space, compact, values);
    new_dataset(file, "layers/vars/2", type, space, H5P_DEFAULT, values);
    H5(H5Lcreate_hard)(file, "layers", file, "layers/again", 0, 0);
    H5(H5Lcreate_soft)("/layers", file, "soft", 0, 0);
    H5(H5Pclose)(chunked);
    H5(H5Pclose)(compact);
    H5(H5Pclose)(access);
    H5(H5Sclose)(space);
    H5(H5Fclose)(file);
}

struct trial {
    char *path;
    struct sb_reading *reading;
};

static void start(struct trial *trial) {
    const struct sb_weights_files files = {.paths = &trial->path, .n = 1};
    struct sb_error err = {0};
    ck_assert_msg(sb_reading_start(reader, &files, NULL, &trial->reading, &err) == 0, "%s",
                  err.text);
}

/* The answer, which must be one that a caller can be given, in time. */
static int answer(struct trial *trial, const char *what, size_t at) {
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    int r;
    do {
        struct pollfd polled = {.fd = sb_reading_fd(trial->reading), .events = POLLIN};
        ck_assert_msg(poll(&polled, 1, 30000) == 1, "%s at %zu: no answer", what, at);
        r = sb_reading_step(trial->reading, &found, &err);
    } while (r == -EAGAIN);
    ck_assert_msg(r == 0 || r == -EBADMSG || r == -ENODATA, "%s at %zu: %d %s", what, at, r,
                  err.text);
    ck_assert_msg(r == 0 || strstr(err.text, trial->path), "%s at %zu: %s", what, at, err.text);
    sb_fingerprint_clear(&found);
    sb_reading_free(trial->reading);
    return r;
}

/* Damage number i of a file: one bit, one byte, eight bytes, or a cut. */
static size_t damage(char *bytes, size_t n, size_t at, size_t kind) {
    static const unsigned char fills[] = {0x00, 0xff};
    if (kind == 0)
        bytes[at] ^= (char)(1 << (at * 5 % 8));
    else if (kind == 1)
        bytes[at] = (char)fills[at % 2];
    else if (kind == 2)
        memset(bytes + at, fills[at % 2], n - at < 8 ? n - at : 8);
    else
        return at;
    return n;
}

static const char *const kinds[] = {"a bit", "a byte", "eight bytes", "a cut"};

/* Spoils copies of a file at steps of `step` bytes, several at once. */
static void spoil(const char *original, const char *folder, size_t step) {
    struct trial trials[AT_ONCE] = {0};
    SB_AUTO_FREE char *bytes = NULL;
    size_t n = 0, n_refused = 0;
    ck_assert_int_eq(sb_file_read(original, 1 << 20, &bytes, &n, NULL), 0);
    SB_AUTO_FREE char *copy = malloc(n);
    ck_assert_ptr_nonnull(copy);
    for (int i = 0; i < AT_ONCE; i++)
        trials[i].path = sb_format("%s/%d", folder, i);
    for (size_t at = 0; at < n; at += step) {
        for (size_t kind = 0; kind < AT_ONCE; kind++) {
            memcpy(copy, bytes, n);
            size_t length = damage(copy, n, at, kind);
            ck_assert_int_eq(sb_file_write(trials[kind].path, copy, length, NULL), 0);
            start(&trials[kind]);
        }
        for (size_t kind = 0; kind < AT_ONCE; kind++) {
            int r = answer(&trials[kind], kinds[kind], at);
            n_refused += r != 0;
            ck_assert_msg(kind != 3 || r != 0, "cut to %zu of %zu bytes, and taken for whole", at,
                          n);
        }
    }
    ck_assert_uint_gt(n_refused, n / step); /* all cuts, and more */
    for (int i = 0; i < AT_ONCE; i++)
        free(trials[i].path);
}

static void spoil_hdf5(bool latest, size_t step) {
    struct sb_error err = {0};
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    write_rich(path, latest);
    spoil(path, folder, step);
    sb_reader_stop(reader);
    remove_folder(folder);
}

START_TEST(a_damaged_hdf5_file_is_survived)
{ spoil_hdf5(false, 23); }
END_TEST

START_TEST(a_damaged_hdf5_file_of_the_latest_format_is_survived)
{ spoil_hdf5(true, 13); }
END_TEST

START_TEST(a_damaged_safetensors_file_is_survived)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2,2],"
        "\"data_offsets\":[4,20]},\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}";
    char file[8 + sizeof header - 1 + 20] = {0};
    struct sb_error err = {0};
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    file[0] = (char)(sizeof header - 1);
    memcpy(file + 8, header, sizeof header - 1);
    ck_assert_int_eq(sb_file_write(path, file, sizeof file, NULL), 0);
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    spoil(path, folder, 1);
    sb_reader_stop(reader);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN("weights-corrupt", a_damaged_hdf5_file_is_survived,
             a_damaged_hdf5_file_of_the_latest_format_is_survived,
             a_damaged_safetensors_file_is_survived)
