/* weights: npy files, good and hostile. */
#include <samebits/weights.h>

#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/samebits-npy-XXXXXX";
static char made[sizeof folder + 8];

static void remove_folder(void) {
    unlink(made);
    rmdir(folder);
}

/* A version 1 file with this header text (padded as NumPy does) and these elements. */
static char *make(const char *header, const void *elements, size_t n_bytes) {
    if (strstr(folder, "XXXXXX")) {
        ck_assert_ptr_nonnull(mkdtemp(folder));
        atexit(remove_folder);
    }
    snprintf(made, sizeof made, "%s/w.npy", folder);
    FILE *file = fopen(made, "wb");
    ck_assert_ptr_nonnull(file);
    size_t length = strlen(header) + 1;
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc((int)(length & 0xff), file);
    fputc((int)(length >> 8), file);
    fprintf(file, "%s\n", header);
    fwrite(elements, 1, n_bytes, file);
    fclose(file);
    return made;
}

static int fingerprint(char *path, struct sb_fingerprint *result, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    return sb_weights_fingerprint(&files, NULL, result, err);
}

/* The fingerprint of a file equals that of the same tensor in memory. */
static void expect(char *path, enum sb_dtype dtype, unsigned rank, const uint64_t *dims,
                   const void *data) {
    struct sb_fingerprint found = {0}, expected = {0};
    struct sb_error err = {0};
    const struct sb_tensor tensor = {
        .name = "arr_0", .dtype = dtype, .rank = rank, .dims = dims, .data = data};
    ck_assert_msg(fingerprint(path, &found, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &expected, &err), 0);
    ck_assert_str_eq(found.text, expected.text);
    sb_fingerprint_clear(&found);
    sb_fingerprint_clear(&expected);
}

static void refuse(char *path, const char *says) {
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    ck_assert_int_eq(fingerprint(path, &found, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

static const float six[6] = {1, 2, 3, 4, 5, 6};

START_TEST(an_array_is_read_in_c_order)
{
    expect(make("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, sizeof six),
           SB_DTYPE_F32, 2, (const uint64_t[]){2, 3}, six);
    expect(make("{\"shape\":(6,),\"fortran_order\":False,\"descr\":\"<f4\"}", six, sizeof six),
           SB_DTYPE_F32, 1, (const uint64_t[]){6}, six);
    expect(make("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", six, 4), SB_DTYPE_F32, 0,
           NULL, six);
}
END_TEST

START_TEST(fortran_order_is_transposed)
{
    const float stored[6] = {1, 4, 2, 5, 3, 6};
    expect(
        make("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", stored, sizeof stored),
        SB_DTYPE_F32, 2, (const uint64_t[]){2, 3}, six);
}
END_TEST

START_TEST(big_endian_is_swapped)
{
    const unsigned char stored[4] = {0x01, 0x02, 0x03, 0x04};
    const uint16_t expected[2] = {0x0102, 0x0304};
    expect(make("{'descr': '>u2', 'fortran_order': False, 'shape': (2,), }", stored, 4),
           SB_DTYPE_U16, 1, (const uint64_t[]){2}, expected);
}
END_TEST

START_TEST(what_is_wrong_is_named)
{
    refuse(make("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", six, 8), "pickle");
    refuse(make("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", six, sizeof six),
           "size");
    refuse(make("{'descr': '<f4', 'shape': (6,), }", six, sizeof six), "lacks");
    refuse(make("{'descr': '<f4', 'fortran_order': False, 'shape': (6", six, sizeof six), "header");
    refuse(make("('descr')", six, sizeof six), "dictionary");
    refuse(make("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
                six, 0),
           "");
    refuse(make("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\x01\x02", 2),
           "bool");
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
    char *path = make("{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", six, sizeof six);
    int fd = open(path, O_RDWR);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t n = size - 1; n >= 0; n -= 3) {
        struct sb_fingerprint found = {0};
        ck_assert_int_eq(ftruncate(fd, n), 0);
        ck_assert_int_eq(fingerprint(path, &found, NULL), -EBADMSG);
    }
    close(fd);
}
END_TEST

SB_TEST_MAIN("weights-npy", an_array_is_read_in_c_order, fortran_order_is_transposed,
             big_endian_is_swapped, what_is_wrong_is_named, a_file_cut_anywhere_is_refused)
