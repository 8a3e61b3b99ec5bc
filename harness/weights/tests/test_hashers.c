/* weights: large tensors are hashed by several threads, within the jail, and nobody can tell. */
#include "weights/hashing.h"
#include "weights/tests/files.h"

#include <errno.h>
#include <stdio.h>

enum { TENSORS = 14, BYTES = 3 << 19 }; /* of each: above what is worth a thread's while */

/* Every third tensor is small, so that both ways take turns. */
static size_t bytes_of(unsigned i) {
    return i % 3 == 1 ? 1000 : BYTES;
}

static void write_file(const char *path, const char *dtype) {
    SB_AUTO_TEXT struct sb_text header = {0};
    size_t at = 0;
    for (unsigned i = 0; i < TENSORS; i++) {
        sb_text_printf(
            &header, "%s\"t%02u\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}",
            i ? "," : "{", i, dtype, bytes_of(i) / (*dtype == 'F' ? 4 : 1), at, at + bytes_of(i));
        at += bytes_of(i);
    }
    sb_text_putc(&header, '}');
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    uint64_t length = header.length;
    fwrite(&length, sizeof length, 1, file);
    fwrite(header.data, 1, header.length, file);
    for (size_t i = 0; i < at; i++)
        fputc(*dtype == 'F' ? (int)(i * i >> 7 & 63) : (int)(i >> 3 & 1), file);
    ck_assert_int_eq(fclose(file), 0);
}

/* Of the file that write_file wrote: byte 0 of tensor `i`. */
static void spoil(const char *path, unsigned tensor, int value) {
    FILE *file = fopen(path, "r+b");
    uint64_t length;
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(&length, sizeof length, 1, file), 1);
    long at = (long)(sizeof length + length);
    for (unsigned i = 0; i < tensor; i++)
        at += (long)bytes_of(i);
    fseek(file, at, SEEK_SET);
    fputc(value, file);
    ck_assert_int_eq(fclose(file), 0);
}

static int read_with(char *path, unsigned threads, enum sb_digest_kind digest,
                     struct sb_fingerprint *fingerprint, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &path, .n = 1};
    const struct sb_weights_options options = {.digest = digest, .threads = threads};
    return sb_weights_fingerprint(&files, &options, fingerprint, err);
}

START_TEST(any_number_of_threads_gives_the_same)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    write_file(path, "F32");
    for (enum sb_digest_kind kind = SB_DIGEST_XXH3; kind <= SB_DIGEST_SHA256; kind++) {
        struct sb_fingerprint one = {0};
        struct sb_error err = {{0}};
        ck_assert_msg(read_with(path, 1, kind, &one, &err) == 0, "%s", err.text);
        for (unsigned threads = 2; threads <= 32; threads *= 2) {
            struct sb_fingerprint many = {0};
            ck_assert_msg(read_with(path, threads, kind, &many, &err) == 0, "%s", err.text);
            ck_assert_str_eq(many.text, one.text);
            ck_assert(many.sum == one.sum);
            for (size_t i = 0; i < TENSORS; i++) {
                ck_assert_str_eq(many.tensors[i].digest, one.tensors[i].digest);
                ck_assert(many.tensors[i].sum == one.tensors[i].sum);
                ck_assert(many.tensors[i].all_zero == one.tensors[i].all_zero);
            }
            sb_fingerprint_clear(&many);
        }
        sb_fingerprint_clear(&one);
    }
    remove_folder(folder);
}
END_TEST

START_TEST(of_several_bad_tensors_the_first_is_named)
{
    char *folder = make_folder();
    SB_AUTO_FREE char *path = sb_path_join(folder, "w.safetensors");
    write_file(path, "BOOL");
    spoil(path, 6, 2);
    spoil(path, 9, 3);
    for (int i = 0; i < 10; i++) {
        struct sb_fingerprint fingerprint = {0};
        struct sb_error err = {{0}};
        ck_assert_int_eq(read_with(path, 4, SB_DIGEST_XXH3, &fingerprint, &err), -EBADMSG);
        ck_assert_msg(strstr(err.text, "'t06' is bool") != NULL, "%s", err.text);
    }
    remove_folder(folder);
}
END_TEST

struct noted {
    size_t n;
    struct sb_hashed last;
};

static void note(void *context, size_t tensor, const struct sb_hashed *hashed) {
    struct noted *noted = context;
    ck_assert_uint_eq(tensor, 5);
    noted->n++;
    noted->last = *hashed;
}

START_TEST(an_error_ends_the_reading)
{
    static char name[] = "w";
    static const char zeros[64];
    struct noted noted = {0};
    struct sb_hashers *hashers;
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_hashers_new(SB_DIGEST_XXH3, 2, note, &noted, &hashers), 0);
    struct sb_range range = {.tensor = 5,
                             .info = {.name = name, .dtype = SB_DTYPE_F32, .n_elements = 16},
                             .bytes = {.fd = -1, .memory = zeros, .n = sizeof zeros}};
    ck_assert_int_eq(sb_hashers_put(hashers, &range, &err), 0);
    ck_assert_int_eq(sb_hashers_wait(hashers, &err), 0);
    ck_assert_uint_eq(noted.n, 1);
    ck_assert(noted.last.all_zero && noted.last.sum == 0);
    range.bytes.n--;
    sb_hashers_put(hashers, &range, &err);
    ck_assert_int_eq(sb_hashers_wait(hashers, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "'w'") != NULL, "%s", err.text);
    ck_assert_int_eq(sb_hashers_put(hashers, &range, &err), -EBADMSG);
    sb_hashers_free(hashers);
    sb_hashers_free(NULL);
}
END_TEST

SB_TEST_MAIN("weights-hashers", any_number_of_threads_gives_the_same,
             of_several_bad_tensors_the_first_is_named, an_error_ends_the_reading)
