/* base: traces written, read, cut off and damaged. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/trace.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

static void new_path(void) {
    snprintf(path, sizeof path, "/tmp/samebits-trace-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

/* Call number i of a made-up program: three kernels, five shapes. */
static struct sb_trace_record call_of(uint64_t i) {
    static const char *const kernels[] = {"gemm", "bias_add", "relu"};
    struct sb_trace_record record = {.kernel = kernels[i % 3],
                                     .backend = i % 2 ? "ref" : "openblas",
                                     .dtype = (uint8_t)(i % 4),
                                     .n_sizes = (uint8_t)(1 + i % 3),
                                     .sizes = {i % 5, 7, UINT64_MAX},
                                     .thread = (uint32_t)(i % 8),
                                     .step = (uint32_t)(i / 10),
                                     .call = i + 1};
    for (size_t j = record.n_sizes; j < SB_TRACE_SIZES; j++)
        record.sizes[j] = 0;
    memset(record.in, (int)i, sizeof record.in);
    memset(record.out, (int)(i * 3), sizeof record.out);
    return record;
}

static void write_calls(uint64_t from, uint64_t to) {
    struct sb_trace_writer *writer;
    ck_assert_int_eq(sb_trace_writer_open(path, &writer, NULL), 0);
    for (uint64_t i = from; i < to; i++) {
        struct sb_trace_record record = call_of(i);
        ck_assert_int_eq(sb_trace_write(writer, &record, NULL), 0);
    }
    ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
}

/* Number of calls that can be read, each of which must be as it was written; the code at the end.
 */
static uint64_t read_calls(int *end) {
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    struct sb_error err = {0};
    uint64_t n = 0;
    *end = sb_trace_reader_open(path, &reader, &err);
    if (*end < 0)
        return 0;
    while ((*end = sb_trace_read(reader, &record, &err)) == 1) {
        struct sb_trace_record wanted = call_of(n++);
        ck_assert_str_eq(record.kernel, wanted.kernel);
        ck_assert_str_eq(record.backend, wanted.backend);
        record.kernel = wanted.kernel;
        record.backend = wanted.backend;
        ck_assert_mem_eq(record.sizes, wanted.sizes, sizeof record.sizes);
        ck_assert(record.dtype == wanted.dtype && record.n_sizes == wanted.n_sizes);
        ck_assert(record.thread == wanted.thread && record.step == wanted.step);
        ck_assert(record.call == wanted.call);
        ck_assert_mem_eq(record.in, wanted.in, sizeof record.in);
        ck_assert_mem_eq(record.out, wanted.out, sizeof record.out);
    }
    sb_trace_reader_close(reader);
    return n;
}

START_TEST(what_was_written_is_read_and_a_call_takes_at_most_64_bytes)
{
    new_path();
    struct stat info;
    int end;
    write_calls(0, 10000);
    ck_assert_uint_eq(read_calls(&end), 10000);
    ck_assert_int_eq(end, 0);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_le(info.st_size, 10000 * 64);
    unlink(path);
}
END_TEST

START_TEST(another_process_can_write_on)
{
    new_path();
    int end;
    write_calls(0, 100);
    write_calls(100, 250);
    ck_assert_uint_eq(read_calls(&end), 250);
    ck_assert_int_eq(end, 0);
    unlink(path);
}
END_TEST

START_TEST(a_record_that_is_cut_off_is_ignored)
{
    new_path();
    struct stat info;
    int end;
    write_calls(0, 20);
    ck_assert_int_eq(stat(path, &info), 0);
    uint64_t last = 20;
    for (off_t size = info.st_size - 1; size >= 8; size--) {
        ck_assert_int_eq(truncate(path, size), 0);
        uint64_t n = read_calls(&end);
        ck_assert_int_eq(end, 0);
        ck_assert(n <= last);
        last = n;
    }
    ck_assert_uint_eq(last, 0);
    unlink(path);
}
END_TEST

/* Every byte of a short trace set to several values: read or refused, never a crash. */
START_TEST(damage_is_refused_or_read)
{
    new_path();
    write_calls(0, 6);
    SB_AUTO_FREE char *good = NULL;
    size_t n;
    ck_assert_int_eq(sb_file_read(path, 1 << 20, &good, &n, NULL), 0);
    static const unsigned char values[] = {0, 1, 'C', 'N', 'S', 's', 0x7f, 0xff};
    for (size_t i = 0; i < n; i++) {
        for (size_t v = 0; v < sizeof values; v++) {
            char kept = good[i];
            good[i] = (char)values[v];
            ck_assert_int_eq(sb_file_write(path, good, n, NULL), 0);
            good[i] = kept;
            struct sb_trace_reader *reader;
            struct sb_trace_record record;
            struct sb_error err = {0};
            if (sb_trace_reader_open(path, &reader, &err) < 0)
                continue;
            int rc;
            while ((rc = sb_trace_read(reader, &record, &err)) == 1)
                ck_assert_uint_gt(strlen(record.kernel) + 1, 0);
            ck_assert(rc == 0 || rc == -EBADMSG);
            sb_trace_reader_close(reader);
        }
    }
    unlink(path);
}
END_TEST

START_TEST(what_is_no_trace_is_refused_by_name)
{
    new_path();
    struct sb_trace_reader *reader;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_trace_reader_open(path, &reader, &err), -EBADMSG);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    unlink(path);
    ck_assert_int_eq(sb_trace_reader_open(path, &reader, &err), -ENOENT);
    struct sb_trace_writer *writer;
    ck_assert_int_eq(sb_trace_writer_open("/nowhere/at/all", &writer, &err), -ENOENT);
}
END_TEST

SB_TEST_MAIN("base-trace", what_was_written_is_read_and_a_call_takes_at_most_64_bytes,
             another_process_can_write_on, a_record_that_is_cut_off_is_ignored,
             damage_is_refused_or_read, what_is_no_trace_is_refused_by_name)
