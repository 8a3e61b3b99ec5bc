/* weights: safetensors files, good and wrong. */
#include "weights/tests/files.h"

#include <samebits/weights.h>

#include <errno.h>

/* Writes a file of this header and n bytes 1, 2, 3 … behind it. */
static void write_file(const char *path, const char *header, size_t n) {
    size_t length = strlen(header);
    char *bytes = calloc(1, 8 + length + n);
    ck_assert_ptr_nonnull(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(length >> 8 * i);
    memcpy(bytes + 8, header, length);
    for (size_t i = 0; i < n; i++)
        bytes[8 + length + i] = (char)(i + 1);
    ck_assert_int_eq(sb_file_write(path, bytes, 8 + length + n, NULL), 0);
    free(bytes);
}

#define ENTRY(name, dtype, shape, from, to)                                                        \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" from "," to   \
    "]}"

START_TEST(tensors_are_those_that_are_in_the_file)
{
    static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    static const uint64_t two[] = {2}, two_two[] = {2, 2}, none[] = {0, 3};
    const struct sb_tensor tensors[] = {
        {"model.a", SB_DTYPE_F32, 1, two, bytes},
        {"b", SB_DTYPE_U8, 2, two_two, bytes + 8},
        {"empty", SB_DTYPE_BF16, 2, none, bytes},
    };
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    struct sb_fingerprint file = {0}, memory = {0};
    struct sb_error err = {0};
    write_file(
        path,
        "{\"__metadata__\":{\"z\":\"1\"}," ENTRY("model.a", "F32", "2", "0", "8") "," ENTRY(
            "b", "U8", "2,2", "8", "12") "," ENTRY("empty", "BF16", "0,3", "12", "12") "}   ",
        12);
    ck_assert_msg(read_here(path, NULL, &file, &err) == 0, "%s", err.text);
    ck_assert_int_eq(sb_tensors_fingerprint(tensors, 3, SB_DIGEST_XXH3, &memory, NULL), 0);
    ck_assert_str_eq(file.text, memory.text);
    sb_fingerprint_clear(&file);
    sb_fingerprint_clear(&memory);
    remove_folder(folder);
}
END_TEST

START_TEST(what_breaks_the_format_is_refused)
{
    static const struct {
        const char *header;
        size_t n;
        const char *says;
    } files[] = {
        {"{" ENTRY("a", "F32", "2", "0", "8") "}", 7, "take 8 bytes, the file has 7"},
        {"{" ENTRY("a", "F32", "2", "0", "8") "}", 9, "take 8 bytes, the file has 9"},
        {"{" ENTRY("a", "F32", "2", "4", "12") "}", 12, "does not begin"},
        {"{" ENTRY("a", "U8", "4", "0", "4") "," ENTRY("b", "U8", "4", "2", "6") "}", 6,
         "does not begin"},
        {"{" ENTRY("a", "F32", "3", "0", "8") "}", 8, "other bytes than its shape"},
        {"{" ENTRY("a", "F32", "4294967296,4294967296", "0", "8") "}", 8, "more elements"},
        {"{" ENTRY("a", "F32", "-2", "0", "8") "}", 8, "shape"},
        {"{" ENTRY("a", "F32", "2", "8", "0") "}", 8, "data_offsets"},
        {"{" ENTRY("a", "U8", "1", "0", "1") "," ENTRY("a", "U8", "1", "1", "2") "}", 2,
         "'a' occurs twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "JSON"},
        {"{" ENTRY("a", "U8", "1", "0", "1") "} 1", 1, "something follows it"},
        {"{" ENTRY("a", "U8", "1", "0", "1") ",}", 1, "a name in quotes is missing"},
        {"{" ENTRY("a", "U8", "1", "0", "1") " " ENTRY("b", "U8", "1", "1", "2") "}", 2,
         "',' or '}' is missing"},
        {"{\"a\" 1}", 0, "':' is missing"},
        {"{\"a\":", 0, "JSON"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, "lacks"},
        {"{\"a\":7}", 0, "lacks"},
        {"{\"a\\u0000b\":{}}", 0, "JSON"},
        {"{", 0, "no known weights format"},
    };
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct sb_fingerprint fingerprint = {0};
        struct sb_error err = {0};
        write_file(path, files[i].header, files[i].n);
        int r = read_here(path, NULL, &fingerprint, &err);
        ck_assert_msg(r == -EBADMSG, "%zu: %d %s", i, r, err.text);
        ck_assert_msg(strstr(err.text, files[i].says) != NULL, "%zu: %s", i, err.text);
    }
    remove_folder(folder);
}
END_TEST

START_TEST(a_dtype_without_an_equal_is_ignored_and_listed)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    struct sb_fingerprint fingerprint = {0};
    write_file(path,
               "{" ENTRY("a\\tb", "F4", "16", "0", "8") "," ENTRY("b", "U8", "4", "8", "12") "}",
               12);
    ck_assert_int_eq(read_here(path, NULL, &fingerprint, NULL), 0);
    ck_assert_uint_eq(fingerprint.n_tensors, 1);
    ck_assert_str_eq(fingerprint.ignored[0], "a\\x09b: dtype F4, which has no equal here");
    sb_fingerprint_clear(&fingerprint);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN("weights-safetensors", tensors_are_those_that_are_in_the_file,
             what_breaks_the_format_is_refused, a_dtype_without_an_equal_is_ignored_and_listed)
