/* run: how the scheduler's runs end. */
#include "run/tests/schedule.h"

/* ---- How runs end -----------------------------------------------------------------------------
 */

#define ENDING(name, script) "  - {name: " name ", command: [sh, -c, '" script "'], repeats: 1}\n"

static const struct {
    const char *job;
    enum sb_status status;
    const char *message;
} endings[] = {
    {"ok", SB_STATUS_OK, NULL},
    {"exits", SB_STATUS_CRASHED, "exit code 3; last line of its log: no such luck"},
    {"dies", SB_STATUS_CRASHED, "signal 9"},
    {"hangs", SB_STATUS_TIMEOUT, "still running after 0.3 s"},
    {"nothing", SB_STATUS_NO_WEIGHTS,
     "wrote no file in the working directory (files outside of it do not count)"},
    {"other", SB_STATUS_NO_WEIGHTS, "wrote a.txt, b.txt: no weights file"},
    {"misses", SB_STATUS_NO_WEIGHTS, "wrote a.txt; nothing that matches 'w'"},
    {"leftover", SB_STATUS_NO_WEIGHTS, "old is left over from before"},
    {"bad", SB_STATUS_BAD_WEIGHTS, "malformed"},
    {"empty", SB_STATUS_NO_WEIGHTS, "holds no tensor"},
    {"missing", SB_STATUS_SPAWN_FAILED, "no-such-program"},
    {"last", SB_STATUS_OK, NULL},
};

START_TEST(every_end_has_its_status_and_stops_no_other_run)
{
    set_up(ENDING("ok", "echo W > w; echo x > other")
               ENDING("exits", "echo W > w; echo no such luck; exit 3") ENDING("dies", "kill -9 $$")
                   ENDING("nothing", "true") ENDING("other", "echo x > b.txt; echo x > a.txt")
                       ENDING("bad", "echo WBAD > w") ENDING("empty", "echo WNONE > w") //
           "  - {name: hangs, command: [sleep, '98761'], timeout: 300ms, repeats: 1}\n"
           "  - {name: misses, command: [sh, -c, 'echo W > a.txt'], weights: w, repeats: 1}\n"
           "  - {name: leftover, command: ['true'], weights: old, repeats: 1}\n"
           "  - {name: missing, command: [no-such-program], repeats: 1}\n" //
           ENDING("last", "echo W > w"));
    ck_assert_int_eq(sb_file_write("dir/old", "W", 1, NULL), 0);
    schedule_well();
    const size_t n = sizeof endings / sizeof *endings;
    ck_assert_uint_eq(bench.result.n_runs, n);
    ck_assert_uint_eq(bench.started, n);
    ck_assert_uint_eq(bench.finished, n);
    for (size_t i = 0; i < n; i++) {
        const struct sb_run *run = find_run(endings[i].job);
        const char *message = run->message ? run->message : "";
        ck_assert_msg(run->status == endings[i].status, "%s: %s: %s", endings[i].job,
                      sb_status_names[run->status], message);
        ck_assert_msg(strstr(message, endings[i].message ? endings[i].message : "") != NULL,
                      "%s: %s", endings[i].job, message);
        ck_assert(!run->fingerprint == (run->status != SB_STATUS_OK));
        SB_AUTO_FREE char *log = sb_format("out/logs/%s.log", run->id);
        ck_assert_int_eq(access(log, F_OK), 0);
    }
    ck_assert_int_eq(find_run("exits")->exit_code, 3);
    ck_assert_int_eq(find_run("dies")->signal, SIGKILL);
    ck_assert_int_eq(find_run("ok")->exit_code, 0);
    ck_assert(find_run("ok")->sum == 0.1 && isnan(find_run("ok")->accuracy));
    struct sb_strings_pair kept = {0};
    ck_assert_int_eq(sb_store_find(bench.folder, find_run("ok")->fingerprint, &kept, NULL), 0);
    ck_assert_uint_eq(kept.n, 1);
    ck_assert_str_eq(kept.relative[0], "w");
    sb_strings_pair_clear(&kept);
    ck_assert_uint_eq(count_processes("98761"), 0);
    /* Nothing of the runs is in the user's directory. */
    ck_assert_int_ne(access("dir/w", F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(a_directory_that_is_not_there_fails_its_runs_only)
{
    set_up("  - {name: here, command: [sh, -c, 'echo W > w'], repeats: 2}\n");
    free(bench.suite->jobs[0].directory);
    bench.suite->jobs[0].directory = sb_format("%s/nowhere", bench.root);
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(bench.result.runs[i].status, SB_STATUS_SPAWN_FAILED);
        ck_assert_ptr_nonnull(strstr(bench.result.runs[i].message, "nowhere"));
    }
    tear_down();
}
END_TEST

START_TEST(a_daemon_does_not_outlive_its_run)
{
    set_up(ENDING("daemon", "setsid sleep 98762 > /dev/null 2>&1 & echo W > w"));
    schedule_well();
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_OK);
    ck_assert_uint_eq(count_processes("98762"), 0);
    tear_down();
}
END_TEST

START_TEST(secrets_do_not_reach_the_journal)
{
    setenv("MY_API_TOKEN", "hunter2", 1);
    setenv("MODE", "a", 1);
    set_up(
        "  - name: waits\n"
        "    command: [sh, -c, 'sleep 0.2; echo W > w']\n"
        "    repeats: 1\n"
        "    axes: {'env:MODE': [a, b]}\n");
    schedule_well();
    SB_AUTO_FREE char *text = NULL;
    ck_assert_int_eq(sb_file_read("out/journal", 1 << 20, &text, NULL, NULL), 0);
    ck_assert_ptr_null(strstr(text, "hunter2"));
    /* Also where the level is what the variable was already. */
    ck_assert_ptr_nonnull(strstr(text, "\"MODE=a\""));
    ck_assert_ptr_nonnull(strstr(text, "\"MODE=b\""));
    tear_down();
}
END_TEST

/* A program that does built-in jobs as samebits would: only the first in an empty folder. */
static void put_program(const char *script) {
    SB_AUTO_FREE char *text = sb_format(
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'worker train dense' ] || exit 7\n"
        "[ -z \"$(ls -A)\" ] || exit 8\n%s\n",
        script);
    ck_assert_int_eq(sb_file_write("program", text, strlen(text), NULL), 0);
    ck_assert_int_eq(chmod("program", 0755), 0);
}

START_TEST(a_built_in_job_reports_beside_its_weights)
{
    set_up("  - {name: dense, train: dense, backend: ref, repeats: 2}\n");
    put_program(
        "echo W > weights.h5; echo '{\"core\": \"Haswell\", \"untrained\": true,"
        "\"accuracy\": {\"max_rel_vs_f64\": 0.25}}' > $SAMEBITS_REPORT");
    SB_AUTO_FREE char *program = sb_format("%s/program", bench.root);
    bench.options.program = program;
    schedule_well();
    ck_assert_uint_eq(bench.result.n_runs, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct sb_run *run = &bench.result.runs[i];
        ck_assert_msg(run->status == SB_STATUS_OK, "%s", run->message);
        ck_assert(run->untrained && run->accuracy == 0.25);
        ck_assert_str_eq(json_string_value(json_object_get(run->seen.worker, "core")), "Haswell");
    }
    struct sb_strings_pair kept = {0};
    ck_assert_int_eq(sb_store_find(bench.folder, bench.result.runs[0].fingerprint, &kept, NULL), 0);
    ck_assert_uint_eq(kept.n, 1);
    ck_assert_str_eq(kept.relative[0], "weights.h5");
    sb_strings_pair_clear(&kept);
    ck_assert_int_ne(access("out/work", F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(what_a_built_in_job_cannot_do_is_its_message)
{
    set_up("  - {name: dense, train: dense, backend: ref, repeats: 1}\n");
    put_program("echo '{\"unsupported\": \"no such core\"}' > $SAMEBITS_REPORT; exit 1");
    SB_AUTO_FREE char *program = sb_format("%s/program", bench.root);
    bench.options.program = program;
    schedule_well();
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_CRASHED);
    ck_assert_ptr_nonnull(strstr(bench.result.runs[0].message, "no such core"));
    tear_down();
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-scheduler", every_end_has_its_status_and_stops_no_other_run,
                         a_directory_that_is_not_there_fails_its_runs_only,
                         a_daemon_does_not_outlive_its_run, secrets_do_not_reach_the_journal,
                         a_built_in_job_reports_beside_its_weights,
                         what_a_built_in_job_cannot_do_is_its_message)
