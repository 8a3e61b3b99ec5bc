/* check: outputs come back as they were written, and bytes that a broken run left are refused. */
#include "base/cleanup.h"
#include "check/outputs.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const float values[6] = {1, 2, 3, 4, 5, 6};
static const uint64_t dims[] = {2, 3};

static struct sb_tensor tensor(const char *name) {
    return (struct sb_tensor){name, SB_DTYPE_F32, 2, dims, values};
}

/* A file with two outputs; its bytes, malloc'd, in *bytes. */
static int write_two(char **bytes, size_t *n) {
    int file = sb_run_file_make(NULL);
    ck_assert_int_ge(file, 0);
    struct sb_run_page page;
    ck_assert_int_eq(sb_run_page_read(file, &page), 0);
    struct sb_tensor first = tensor("weight"), second = {"a", SB_DTYPE_U8, 0, NULL, "x"};
    ck_assert_int_eq(sb_output_append(file, &page, &first, NULL), 0);
    ck_assert_int_eq(sb_output_append(file, &page, &second, NULL), 0);
    page.state = SB_RUN_RETURNED;
    ck_assert_int_eq(sb_run_page_write(file, &page), 0);
    *n = (size_t)page.end;
    *bytes = malloc(*n);
    ck_assert_ptr_nonnull(*bytes);
    ck_assert_int_eq(pread(file, *bytes, *n, 0), *n);
    return file;
}

START_TEST(outputs_come_back_as_they_were_reported)
{
    char *bytes;
    size_t n;
    int file = write_two(&bytes, &n);
    struct sb_outputs outputs;
    ck_assert_int_eq(sb_outputs_read(file, &outputs, NULL), 0);
    ck_assert_int_lt(ftruncate(file, 0), 0); /* whoever still has it cannot take it away */
    close(file);
    ck_assert_uint_eq(outputs.n, 2);
    ck_assert_str_eq(outputs.items[0].info.name, "weight");
    ck_assert_uint_eq(outputs.items[0].info.dims[1], 3);
    ck_assert_mem_eq(outputs.items[0].elements, values, sizeof values);
    ck_assert_uint_eq(outputs.items[0].n_bytes, sizeof values);
    ck_assert_ptr_eq(sb_outputs_find(&outputs, "a"), &outputs.items[1]);
    ck_assert_uint_eq(outputs.items[1].info.n_elements, 1);
    ck_assert_ptr_null(sb_outputs_find(&outputs, "b"));
    sb_outputs_clear(&outputs);
    free(bytes);
}
END_TEST

START_TEST(what_is_no_tensor_is_not_written)
{
    int file = sb_run_file_make(NULL);
    struct sb_run_page page;
    ck_assert_int_eq(sb_run_page_read(file, &page), 0);
    char name[300] = {0};
    memset(name, 'n', 256);
    const uint64_t huge[] = {UINT64_C(1) << 40, UINT64_C(1) << 40}, none[] = {0};
    const struct sb_tensor wrong[] = {
        {NULL, SB_DTYPE_F32, 2, dims, values},
        {"", SB_DTYPE_F32, 2, dims, values},
        {name, SB_DTYPE_F32, 2, dims, values},
        {"x", SB_N_DTYPES, 2, dims, values},
        {"x", SB_DTYPE_F32, SB_MAX_RANK + 1, dims, values},
        {"x", SB_DTYPE_F32, 2, NULL, values},
        {"x", SB_DTYPE_F32, 2, huge, values},
        {"x", SB_DTYPE_F32, 2, dims, NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(sb_output_append(file, &page, &wrong[i], NULL), -EINVAL);
    struct sb_tensor empty = {"empty", SB_DTYPE_F64, 1, none, NULL};
    ck_assert_int_eq(sb_output_append(file, &page, &empty, NULL), 0);
    sb_run_page_write(file, &page);
    struct sb_outputs outputs;
    ck_assert_int_eq(sb_outputs_read(file, &outputs, NULL), 0);
    ck_assert_uint_eq(outputs.n, 1);
    sb_outputs_clear(&outputs);
    close(file);
}
END_TEST

/* In memory that ends where the bytes do, so that one byte too far is a crash. */
static int parse_at_an_edge(const char *bytes, size_t n, struct sb_outputs *outputs) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (n + page - 1) / page * page;
    char *mapped =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(mapped != MAP_FAILED);
    ck_assert_int_eq(mprotect(mapped + room, page, PROT_NONE), 0);
    memcpy(mapped + room - n, bytes, n);
    int rc = sb_outputs_parse(mapped + room - n, n, outputs, NULL);
    if (rc == 0)
        sb_outputs_clear(outputs);
    munmap(mapped, room + page);
    return rc;
}

START_TEST(what_is_cut_off_is_refused)
{
    char *bytes;
    size_t n;
    close(write_two(&bytes, &n));
    struct sb_outputs outputs;
    ck_assert_int_eq(parse_at_an_edge(bytes, n, &outputs), 0);
    for (size_t length = 0; length < n; length++)
        ck_assert_int_eq(parse_at_an_edge(bytes, length, &outputs), -EBADMSG);
    free(bytes);
}
END_TEST

/* Every field of the records, set to numbers that would lead astray: an error, or tensors that lie
 * within the bytes; each is read. */
START_TEST(lengths_are_not_believed)
{
    static const uint64_t numbers[] = {
        0, 1, 2, 63, 4096, UINT32_MAX, UINT64_MAX, INT64_MAX, UINT64_MAX - 63, UINT64_C(1) << 62};
    char *bytes;
    size_t n, refused = 0;
    close(write_two(&bytes, &n));
    for (size_t at = 0; at + 8 <= n; at += at < 16 || at >= 4096 ? 4 : 8)
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            char kept[8];
            memcpy(kept, bytes + at, 8);
            memcpy(bytes + at, &numbers[i], 8);
            struct sb_outputs outputs;
            refused += parse_at_an_edge(bytes, n, &outputs) < 0;
            memcpy(bytes + at, kept, 8);
        }
    ck_assert_uint_gt(refused, 50);
    free(bytes);
}
END_TEST

START_TEST(two_outputs_of_one_name_are_refused)
{
    int file = sb_run_file_make(NULL);
    struct sb_run_page page;
    ck_assert_int_eq(sb_run_page_read(file, &page), 0);
    struct sb_tensor both = tensor("weight");
    sb_output_append(file, &page, &both, NULL);
    sb_output_append(file, &page, &both, NULL);
    sb_run_page_write(file, &page);
    struct sb_outputs outputs;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_outputs_read(file, &outputs, &err), -EINVAL);
    ck_assert_str_eq(err.text, "two outputs are called 'weight'");
    close(file);
}
END_TEST

SB_TEST_MAIN("check-outputs", outputs_come_back_as_they_were_reported,
             what_is_no_tensor_is_not_written, what_is_cut_off_is_refused, lengths_are_not_believed,
             two_outputs_of_one_name_are_refused)
