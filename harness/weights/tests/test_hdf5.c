/* weights: HDF5 files written and read back. */
#include "weights/hdf5_lzf.h"
#include "weights/tests/files.h"

#include <samebits/weights.h>

#include <errno.h>

/* One tensor of every dtype, 2x3, with bytes that are valid for it. */
static size_t every_dtype(struct sb_tensor tensors[SB_N_DTYPES], unsigned char data[96]) {
    static const uint64_t dims[] = {2, 3};
    static char names[SB_N_DTYPES][32];
    for (int i = 0; i < 96; i++)
        data[i] = (unsigned char)(i % 3 == 0);
    for (int i = 0; i < SB_N_DTYPES; i++) {
        snprintf(names[i], sizeof names[i], "layers/%s/vars/0", sb_dtype_names[i]);
        tensors[i] = (struct sb_tensor){names[i], (enum sb_dtype)i, 2, dims, data};
    }
    return SB_N_DTYPES;
}

START_TEST(every_dtype_survives_a_file)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5");
    struct sb_tensor tensors[SB_N_DTYPES];
    unsigned char data[96];
    struct sb_error err = {0};
    struct sb_fingerprint memory = {0}, file = {0};
    size_t n = every_dtype(tensors, data);
    ck_assert_msg(sb_weights_write_hdf5(path, tensors, n, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, n, SB_DIGEST_XXH3, &memory, &err), 0);
    ck_assert_msg(read_here(path, NULL, &file, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(file.n_tensors, n);
    for (size_t i = 0; i < n; i++) {
        ck_assert_str_eq(file.tensors[i].info.name, memory.tensors[i].info.name);
        ck_assert_int_eq(file.tensors[i].info.dtype, memory.tensors[i].info.dtype);
        ck_assert_str_eq(file.tensors[i].digest, memory.tensors[i].digest);
    }
    ck_assert_str_eq(file.text, memory.text);
    sb_fingerprint_clear(&memory);
    sb_fingerprint_clear(&file);
    remove_folder(folder);
}
END_TEST

START_TEST(the_same_tensors_make_the_same_bytes)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *a = sb_path_join(folder, "a.h5"), *b = sb_path_join(folder, "b.h5");
    struct sb_tensor tensors[SB_N_DTYPES];
    unsigned char data[96];
    struct sb_error err = {0};
    size_t n = every_dtype(tensors, data);
    ck_assert_int_eq(sb_weights_write_hdf5(a, tensors, n, &err), 0);
    sleep(1); /* a stored time would now be another */
    free(memset(malloc(1 << 16), 0x5a, 1 << 16));
    ck_assert_int_eq(sb_weights_write_hdf5(b, tensors, n, &err), 0);
    SB_AUTO_FREE char *bytes_a = NULL, *bytes_b = NULL;
    size_t n_a = 0, n_b = 0;
    ck_assert_int_eq(sb_file_read(a, 1 << 20, &bytes_a, &n_a, &err), 0);
    ck_assert_int_eq(sb_file_read(b, 1 << 20, &bytes_b, &n_b, &err), 0);
    ck_assert_uint_eq(n_a, n_b);
    ck_assert_mem_eq(bytes_a, bytes_b, n_a);
    remove_folder(folder);
}
END_TEST

/* Literals, a repetition that reaches into itself, one with a long length; then every damage. */
START_TEST(lzf_is_decompressed_and_damage_is_noticed)
{
    static const unsigned char packed[] = {2, 'a', 'b', 'c', 0x40, 2, 0xe0, 4, 0, 0, 'z'};
    unsigned char output[64];
    size_t n = sb_lzf_decompress(packed, sizeof packed, output, sizeof output);
    output[n] = '\0';
    ck_assert_str_eq((char *)output, "abcabcaaaaaaaaaaaaaaz");
    ck_assert(sb_lzf_decompress(packed, sizeof packed, output, n) == n);
    ck_assert(sb_lzf_decompress(packed, sizeof packed, output, n - 1) == SIZE_MAX);
    for (size_t cut = 1; cut < sizeof packed; cut++) {
        size_t shorter = sb_lzf_decompress(packed, cut, output, sizeof output);
        ck_assert(shorter < n);
    }
    ck_assert_uint_eq(sb_lzf_decompress((const unsigned char[]){0x20, 0}, 2, output, 64), 0);
}
END_TEST

START_TEST(a_file_that_cannot_be_written_leaves_nothing)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.h5"),
                      *nowhere = sb_path_join(folder, "none/w.h5");
    const struct sb_tensor bad[] = {{"good", SB_DTYPE_U8, 0, NULL, "x"},
                                    {"not//good", SB_DTYPE_U8, 0, NULL, "x"}};
    struct sb_error err = {0};
    ck_assert_int_eq(sb_weights_write_hdf5(path, bad, 2, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "not//good") != NULL, "%s", err.text);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(sb_weights_write_hdf5(nowhere, bad, 1, &err), -EIO);
    ck_assert_msg(strstr(err.text, nowhere) && strstr(err.text, "("), "%s", err.text);
    remove_folder(folder);
}
END_TEST

START_TEST(the_version_is_that_of_the_headers)
{
    struct sb_error err = {0};
    const char *version = sb_hdf5_version(&err);
    ck_assert_msg(version != NULL, "%s", err.text);
    ck_assert_msg(strncmp(version, "1.", 2) == 0 || strncmp(version, "2.", 2) == 0, "%s", version);
}
END_TEST

SB_TEST_MAIN("weights-hdf5", lzf_is_decompressed_and_damage_is_noticed,
             a_file_that_cannot_be_written_leaves_nothing, the_version_is_that_of_the_headers,
             every_dtype_survives_a_file, the_same_tensors_make_the_same_bytes)
