/* run: traces of a run's processes, gathered from a folder in which a run may have left anything.
 */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/trace.h"
#include "probe/trace_format.h"
#include "run/process.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64], folder[128];
static int from, to;

static void set_up(void) {
    struct sb_error err = {0};
    snprintf(base, sizeof base, "/tmp/samebits-traces-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(base));
    from = sb_trace_folder_make(base, &err);
    ck_assert_msg(from >= 0, "%s", err.text);
    to = open(base, O_RDONLY | O_DIRECTORY);
    snprintf(folder, sizeof folder, "%s/%s", base, SB_TRACE_FOLDER);
}

static void tear_down(void) {
    close(from);
    close(to);
    ck_assert_int_eq(sb_remove_tree(base, NULL), 0);
}

static int open_at(const char *name) {
    int fd = openat(from, name, O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    return fd;
}

/* What a process leaves, of so many calls of a kernel. `said` is the length in the head; 0: the
 * true one. */
static void leave(const char *name, const char *kernel, uint64_t calls, uint64_t started,
                  uint64_t said) {
    char path[192], records[192];
    struct sb_trace_writer *writer;
    snprintf(records, sizeof records, "%s/records", base);
    unlink(records);
    ck_assert_int_eq(sb_trace_writer_open(records, &writer, NULL), 0);
    for (uint64_t i = 0; i < calls; i++) {
        struct sb_trace_record record = {.kernel = kernel, .backend = "library", .call = i + 1};
        ck_assert_int_eq(sb_trace_write(writer, &record, NULL), 0);
    }
    ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
    SB_AUTO_FREE char *bytes = NULL;
    size_t n;
    ck_assert_int_eq(sb_file_read(records, 1 << 20, &bytes, &n, NULL), 0);
    struct sb_trace_head head = {.length = said ? said : n,
                                 .calls = calls,
                                 .lost = 1,
                                 .inside_ns = 500000000,
                                 .started_ns = started};
    memcpy(head.magic, SB_TRACE_HEAD_MAGIC, sizeof head.magic);
    snprintf(path, sizeof path, "%s", name);
    int fd = open_at(path);
    ck_assert_int_eq(pwrite(fd, &head, sizeof head, 0), sizeof head);
    ck_assert_int_eq(pwrite(fd, bytes, n, SB_TRACE_RECORDS), (ssize_t)n);
    ck_assert_int_eq(ftruncate(fd, SB_TRACE_RECORDS + (off_t)n + 1000), 0); /* room that is left */
    close(fd);
}

/* Kernels of the gathered trace, by their first letters. */
static void gather(double cpu_s, json_t **trace, char letters[64]) {
    char path[192];
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    size_t n = 0;
    ck_assert_int_eq(sb_trace_gather(from, to, "r1.trace", cpu_s, trace), 0);
    snprintf(path, sizeof path, "%s/r1.trace", base);
    ck_assert_int_eq(sb_trace_reader_open(path, &reader, NULL), 0);
    while (sb_trace_read(reader, &record, NULL) == 1 && n < 63)
        letters[n++] = *record.kernel;
    letters[n] = '\0';
    sb_trace_reader_close(reader);
}

static json_int_t number(const json_t *trace, const char *key) {
    return json_integer_value(json_object_get(trace, key));
}

START_TEST(processes_stand_in_the_order_in_which_they_began)
{
    SB_AUTO_JSON json_t *trace = NULL;
    char letters[64];
    set_up();
    leave("10.0", "second", 2, 20, 0);
    leave("11.0", "third", 1, 30, 0);
    leave("12.0", "first", 3, 10, 0);
    gather(3, &trace, letters);
    ck_assert_str_eq(letters, "fffsst");
    ck_assert_int_eq(number(trace, "calls"), 6);
    ck_assert_int_eq(number(trace, "lost"), 3);
    ck_assert_int_eq(number(trace, "processes"), 3);
    ck_assert_double_eq_tol(json_real_value(json_object_get(trace, "cpu_share")), 0.5, 1e-9);
    tear_down();
}
END_TEST

START_TEST(a_worker_comes_last_and_is_counted)
{
    SB_AUTO_JSON json_t *trace = NULL;
    char letters[64], path[192];
    struct sb_trace_writer *writer;
    struct sb_trace_record record = {.kernel = "worker", .backend = "ref"};
    set_up();
    snprintf(path, sizeof path, "%s/worker", folder);
    ck_assert_int_eq(sb_trace_writer_open(path, &writer, NULL), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(sb_trace_write(writer, &record, NULL), 0);
    ck_assert_int_eq(sb_trace_writer_close(writer, NULL), 0);
    leave("1.0", "command", 2, 5, 0);
    gather(3, &trace, letters);
    ck_assert_str_eq(letters, "ccwww");
    ck_assert_int_eq(number(trace, "calls"), 5);
    ck_assert(json_is_null(json_object_get(trace, "cpu_share")));
    tear_down();
}
END_TEST

START_TEST(a_run_without_calls_has_an_empty_trace)
{
    SB_AUTO_JSON json_t *trace = NULL;
    char letters[64];
    set_up();
    gather(0, &trace, letters);
    ck_assert_str_eq(letters, "");
    ck_assert_int_eq(number(trace, "processes"), 0);
    tear_down();
}
END_TEST

START_TEST(nothing_but_regular_files_is_read_and_no_more_than_there_is)
{
    SB_AUTO_JSON json_t *trace = NULL;
    char letters[64];
    set_up();
    leave("1.0", "good", 2, 5, 0);
    leave("2.0", "long", 1, 6, UINT64_MAX);
    ck_assert_int_eq(symlinkat("/etc/passwd", from, "3.0"), 0);
    ck_assert_int_eq(symlinkat("1.0", from, "worker"), 0);
    ck_assert_int_eq(mkfifoat(from, "4.0", 0600), 0);
    ck_assert_int_eq(mkdirat(from, "5.0", 0700), 0);
    close(open_at("6.0"));
    int fd = open_at("7.0");
    ck_assert_int_eq(write(fd, SB_TRACE_HEAD_MAGIC, 8), 8); /* cut off */
    close(fd);
    gather(10, &trace, letters);
    ck_assert_int_eq(strncmp(letters, "ggl", 3), 0);
    ck_assert_int_eq(number(trace, "processes"), 2);
    tear_down();
}
END_TEST

START_TEST(the_folder_is_made_anew)
{
    SB_AUTO_JSON json_t *trace = NULL;
    char letters[64];
    set_up();
    leave("1.0", "old", 2, 5, 0);
    close(from);
    from = sb_trace_folder_make(base, NULL);
    ck_assert_int_ge(from, 0);
    gather(1, &trace, letters);
    ck_assert_str_eq(letters, "");
    tear_down();
}
END_TEST

SB_TEST_MAIN("run-trace", processes_stand_in_the_order_in_which_they_began,
             a_worker_comes_last_and_is_counted, a_run_without_calls_has_an_empty_trace,
             nothing_but_regular_files_is_read_and_no_more_than_there_is, the_folder_is_made_anew)
