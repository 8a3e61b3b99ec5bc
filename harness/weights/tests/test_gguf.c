/* weights: GGUF files, good and wrong. */
#include "weights/tests/cut.h"

static void put(struct sb_text *file, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++)
        sb_text_putc(file, (char)(value >> 8 * i));
}

static void put_string(struct sb_text *file, const char *string) {
    put(file, strlen(string), 8);
    sb_text_puts(file, string);
}

static void put_head(struct sb_text *file, uint32_t version, uint64_t tensors, uint64_t pairs) {
    file->length = 0;
    sb_text_puts(file, "GGUF");
    put(file, version, 4);
    put(file, tensors, 8);
    put(file, pairs, 8);
}

/* A tensor of one dimension. */
static void put_tensor(struct sb_text *file, const char *name, uint64_t n, uint32_t type,
                       uint64_t offset) {
    put_string(file, name);
    put(file, 1, 4);
    put(file, n, 8);
    put(file, type, 4);
    put(file, offset, 8);
}

static void put_padding(struct sb_text *file, size_t alignment) {
    while (file->length % alignment)
        sb_text_putc(file, '\0');
}

static void expect(const char *path, const struct sb_text *file, const char *says) {
    ck_assert_int_eq(sb_file_write(path, file->data, file->length, NULL), 0);
    expect_refused(path, says);
}

START_TEST(dims_are_turned_and_blocks_are_bytes)
{
    SB_AUTO_FREE char *path = corpus_file("gguf", "types");
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    ck_assert_msg(read_here(path, NULL, &fingerprint, &err) == 0, "%s", err.text);
    const struct sb_tensor_digest *weight = find_tensor(&fingerprint, "a.weight");
    ck_assert_uint_eq(weight->info.rank, 2);
    ck_assert_uint_eq(weight->info.dims[0], 2);
    ck_assert_uint_eq(weight->info.dims[1], 3);
    ck_assert(weight->sum == 15);
    const struct sb_tensor_digest *blocks = find_tensor(&fingerprint, "q4_0");
    ck_assert_int_eq(blocks->info.dtype, SB_DTYPE_U8);
    ck_assert_uint_eq(blocks->info.dims[1], 36);
    ck_assert_uint_eq(find_tensor(&fingerprint, "scalar")->info.rank, 0);
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(big_endian_files_are_the_same_tensors)
{
    static const float values[] = {1, 2};
    static const uint64_t two[] = {2};
    const struct sb_tensor tensor = {"w", SB_DTYPE_F32, 1, two, values};
    SB_AUTO_FREE char *path = corpus_file("gguf", "big-endian");
    expect_tensors(path, &tensor, 1);
}
END_TEST

START_TEST(what_breaks_the_format_is_refused)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.gguf");
    SB_AUTO_TEXT struct sb_text file = {0};
    put_head(&file, 1, 0, 0);
    expect(path, &file, "version 1");
    put_head(&file, 3, UINT64_MAX, 0);
    expect(path, &file, "ends in a tensor's name");
    put_head(&file, 3, 0, UINT64_MAX);
    expect(path, &file, "ends in a key");
    put_head(&file, 3, 0, 1);
    put(&file, UINT64_MAX, 8);
    expect(path, &file, "a key would be 18446744073709551615 bytes");
    put_head(&file, 3, 0, 1);
    put_string(&file, "key");
    put(&file, 13, 4);
    expect(path, &file, "a value of kind 13");
    put_head(&file, 3, 0, 1);
    put_string(&file, "key");
    for (int i = 0; i < 6; i++) { /* an array of arrays of arrays … */
        put(&file, 9, 4);
        put(&file, i ? 1 : 9, i ? 8 : 4);
        put(&file, 1, i ? 0 : 8);
    }
    expect(path, &file, "deep");
    put_head(&file, 3, 0, 1);
    put_string(&file, "array");
    put(&file, 9, 4);
    put(&file, 12, 4);
    put(&file, UINT64_MAX / 8 + 1, 8);
    expect(path, &file, "ends in an array");
    put_head(&file, 3, 0, 1);
    put_string(&file, "general.alignment");
    put(&file, 4, 4);
    put(&file, 24, 4);
    expect(path, &file, "general.alignment is 24");
    put_head(&file, 3, 1, 0);
    put_tensor(&file, "a", 4, 99, 0);
    expect(path, &file, "'a' is of ggml's type 99");
    put_head(&file, 3, 1, 0);
    put_tensor(&file, "a", 33, 2, 0);
    expect(path, &file, "'a' is no whole number of blocks of 32");
    put_head(&file, 3, 1, 0);
    put_tensor(&file, "a", 1, 0, 4);
    expect(path, &file, "not aligned");
    put_head(&file, 3, 1, 0);
    put_tensor(&file, "a", UINT64_C(1) << 62, 0, 0);
    expect(path, &file, "more elements");
    put_head(&file, 3, 1, 0);
    put_tensor(&file, "a", 1, 0, UINT64_MAX - 31);
    put_padding(&file, 32);
    expect(path, &file, "behind the end");
    put_head(&file, 3, 2, 0);
    put_tensor(&file, "a", 16, 0, 0);
    put_tensor(&file, "b", 16, 0, 32);
    put_padding(&file, 32);
    expect(path, &file, "'a' and 'b' lie on one another");
    put_head(&file, 3, 2, 0);
    put_tensor(&file, "a", 1, 0, 0);
    put_tensor(&file, "a", 1, 0, 32);
    expect(path, &file, "'a' occurs twice");
    remove_folder(folder);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused_or_whole)
{
    cut_everywhere("gguf", "types");
    cut_everywhere("gguf", "big-endian");
}
END_TEST

SB_TEST_MAIN("weights-gguf", dims_are_turned_and_blocks_are_bytes,
             big_endian_files_are_the_same_tensors, what_breaks_the_format_is_refused,
             a_file_cut_anywhere_is_refused_or_whole)
