/* run: batches: what one samebits asks of others, in files alone. */
#include "run/batch.h"
#include "run/tests/schedule.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *path;
static struct sb_batch *batch;
static struct sb_run spooled_runs[4];
static size_t n_spooled;

static const struct sb_due due[] = {
    {.id = "r00007", .cell = 1, .repeat = 3},
    {.id = "r00008", .cell = 0, .repeat = 4},
};
static const struct sb_batch_task tasks[] = {{.first = 0, .n = 1}, {.first = 1, .n = 1}};

static void make(char *const *environment, size_t n_tasks) {
    bench.options.environment = environment;
    const struct sb_schedule schedule = {
        .plan = bench.plan, .folder = bench.folder, .options = &bench.options};
    ck_assert_msg(sb_batch_make(&schedule, due, tasks, n_tasks, &path, &bench.err) == 0, "%s",
                  bench.err.text);
    ck_assert_msg(sb_batch_open(path, &batch, &bench.err) == 0, "%s", bench.err.text);
}

/* As another machine does it: with the folder open for reading. */
static int do_task(unsigned task) {
    struct sb_folder *folder = NULL;
    json_t *machine = json_pack("{s:s, s:s, s:n}", "host", "n1", "cpu", "a CPU", "gpu");
    ck_assert_int_eq(sb_folder_open("out", false, &folder, &bench.err), 0);
    int rc = sb_batch_do(batch, task, bench.plan, folder, getenv("SAMEBITS"), machine, &digesting,
                         &bench.err);
    sb_folder_close(folder);
    json_decref(machine);
    return rc;
}

static int take_run(void *context, struct sb_run *run, struct sb_error *err) {
    (void)context, (void)err;
    ck_assert_uint_lt(n_spooled, sizeof spooled_runs / sizeof *spooled_runs);
    spooled_runs[n_spooled++] = *run;
    *run = (struct sb_run){0};
    return 0;
}

static int read_spool(struct sb_spooled *spooled, size_t task) {
    SB_AUTO_FREE char *file = sb_batch_spool(path, task);
    spooled->run = take_run;
    int rc = sb_spooled_read(spooled, file, &bench.err);
    ck_assert_msg(rc >= 0, "%s", bench.err.text);
    return rc;
}

static void clear(void) {
    for (size_t i = 0; i < n_spooled; i++)
        sb_run_clear(&spooled_runs[i]);
    n_spooled = 0;
    sb_batch_free(batch);
    free(path);
    tear_down();
}

START_TEST(a_task_does_its_runs_and_tells_of_them_in_its_spool_alone)
{
    struct sb_spooled spooled = {0};
    set_up(TWO_CELLS);
    make(environ, 1);
    ck_assert_msg(do_task(0) == 0, "%s", bench.err.text);
    ck_assert_int_eq(read_spool(&spooled, 0), 1);
    ck_assert_int_eq(read_spool(&spooled, 0), 0);
    ck_assert_uint_eq(n_spooled, 1);
    const struct sb_run *run = &spooled_runs[0];
    ck_assert_str_eq(run->id, "r00007");
    ck_assert_uint_eq(run->cell, 1);
    ck_assert_uint_eq(run->repeat, 3);
    ck_assert_int_eq(run->status, SB_STATUS_OK);
    ck_assert_str_eq(json_string_value(json_object_get(run->seen.machine, "host")), "n1");
    ck_assert(sb_store_has(bench.folder, run->fingerprint));
    ck_assert_int_eq(access("out/logs/r00007.log", F_OK), 0);
    ck_assert_int_ne(spooled.mode, SB_ISOLATE_AUTO);
    struct sb_run *runs = NULL;
    size_t n = 0;
    ck_assert_int_eq(sb_journal_read(bench.folder, &runs, &n, &bench.err), 0);
    ck_assert_uint_eq(n, 0);
    free(runs);
    sb_spooled_clear(&spooled);
    clear();
}
END_TEST

START_TEST(an_environment_arrives_byte_for_byte_where_others_cannot_look)
{
    char first[] = "A=1\n2", second[] = "B=\xff\xfe", third[] = "C=";
    char *const environment[] = {first, second, third, NULL};
    struct stat st;
    set_up(TWO_CELLS);
    make(environment, 1);
    char **arrived = sb_batch_environment(batch);
    for (size_t i = 0; i < 4; i++)
        ck_assert_pstr_eq(arrived[i], environment[i]);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 077, 0);
    clear();
}
END_TEST

START_TEST(in_place_two_tasks_are_refused_the_directory_and_one_is_not)
{
    struct sb_spooled spooled = {0};
    set_up(TWO_CELLS);
    bench.options.isolate = SB_ISOLATE_INPLACE;
    make(environ, 2);
    ck_assert_msg(do_task(0) == 0, "%s", bench.err.text);
    read_spool(&spooled, 0);
    ck_assert_uint_eq(n_spooled, 1);
    ck_assert_int_eq(spooled_runs[0].status, SB_STATUS_SPAWN_FAILED);
    ck_assert_ptr_nonnull(strstr(spooled_runs[0].message, "cannot be isolated on n1"));
    ck_assert_uint_eq(count_lines("ran"), 0);
    sb_spooled_clear(&spooled);
    clear();
    set_up(TWO_CELLS);
    bench.options.isolate = SB_ISOLATE_INPLACE;
    make(environ, 1);
    ck_assert_msg(do_task(0) == 0, "%s", bench.err.text);
    read_spool(&spooled, 0);
    ck_assert_int_eq(spooled_runs[0].status, SB_STATUS_OK);
    sb_spooled_clear(&spooled);
    clear();
}
END_TEST

START_TEST(nothing_is_begun_of_a_batch_that_nobody_waits_for)
{
    struct sb_spooled spooled = {0};
    set_up(TWO_CELLS);
    make(environ, 1);
    SB_AUTO_FREE char *file = sb_format("%s/" SB_BATCH_FILE, path);
    ck_assert_int_eq(unlink(file), 0);
    ck_assert_msg(do_task(0) == 0, "%s", bench.err.text);
    read_spool(&spooled, 0);
    ck_assert_uint_eq(n_spooled, 0);
    ck_assert_uint_eq(count_lines("ran"), 0);
    sb_spooled_clear(&spooled);
    clear();
}
END_TEST

START_TEST(a_task_of_another_plan_and_one_that_is_not_there_are_refused)
{
    set_up(TWO_CELLS);
    make(environ, 2);
    ck_assert_int_eq(do_task(2), -EINVAL);
    ck_assert_ptr_nonnull(strstr(bench.err.text, "task 2 is not of this plan"));
    bench.plan->jobs[0].n_cells = 1;
    ck_assert_int_eq(do_task(0), -EINVAL);
    bench.plan->jobs[0].n_cells = 2;
    clear();
}
END_TEST

START_TEST(a_complaint_and_half_a_record_are_read_as_what_they_are)
{
    struct sb_spooled spooled = {0};
    set_up(TWO_CELLS);
    make(environ, 1);
    sb_batch_complain(batch, 0, &(struct sb_error){"n1: no such folder"});
    read_spool(&spooled, 0);
    ck_assert_str_eq(spooled.error, "n1: no such folder");
    sb_spooled_clear(&spooled);
    ck_assert_msg(do_task(0) == 0, "%s", bench.err.text);
    SB_AUTO_FREE char *file = sb_batch_spool(path, 0);
    struct stat st;
    ck_assert_int_eq(stat(file, &st), 0);
    ck_assert_int_eq(truncate(file, st.st_size - 10), 0);
    ck_assert_int_eq(read_spool(&spooled, 0), 1);
    ck_assert_ptr_nonnull(spooled.machine);
    ck_assert_uint_eq(n_spooled, 0);
    sb_spooled_clear(&spooled);
    clear();
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-batch", a_task_does_its_runs_and_tells_of_them_in_its_spool_alone,
                         an_environment_arrives_byte_for_byte_where_others_cannot_look,
                         in_place_two_tasks_are_refused_the_directory_and_one_is_not,
                         nothing_is_begun_of_a_batch_that_nobody_waits_for,
                         a_task_of_another_plan_and_one_that_is_not_there_are_refused,
                         a_complaint_and_half_a_record_are_read_as_what_they_are)
