/* run: schedules that were interrupted or killed, and those that go on. */
#include "run/tests/schedule.h"

START_TEST(a_stopped_schedule_is_completed_to_the_same_runs)
{
    SB_AUTO_FREE char *whole = order_with_seed(7);
    for (unsigned after = 1; after < 8; after++) {
        set_up(TWO_CELLS);
        bench.options.seed = 7;
        bench.stop_after = after;
        schedule_well();
        ck_assert(bench.result.stopped && !bench.result.interrupted);
        ck_assert_uint_eq(bench.result.n_runs, after);
        reopen();
        ck_assert_uint_eq(bench.options.n_done, after);
        schedule_well();
        SB_AUTO_FREE char *again = summary();
        ck_assert_str_eq(again, whole);
        ck_assert_uint_eq(bench.started, 8 - after);
        ck_assert_uint_eq(bench.finished, 8);
        ck_assert_uint_eq(count_lines("ran"), 8);
        tear_down();
    }
}
END_TEST

START_TEST(a_finished_schedule_is_taken_over_whole)
{
    set_up(TWO_CELLS "  - {name: next, command: [sh, -c, 'echo W > w; exit 1'], repeats: 1}\n");
    bench.rounds = 2;
    schedule_well();
    SB_AUTO_FREE char *whole = summary();
    enum sb_isolation mode = bench.result.mode;
    ck_assert_int_ne(mode, SB_ISOLATE_AUTO);
    reopen();
    schedule_well();
    SB_AUTO_FREE char *again = summary();
    ck_assert_str_eq(again, whole);
    ck_assert_uint_eq(bench.started, 0);
    ck_assert_int_eq(bench.result.mode, mode);
    tear_down();
}
END_TEST

START_TEST(runs_whose_weights_are_lost_are_done_again)
{
    set_up(TWO_CELLS);
    schedule_well();
    SB_AUTO_FREE char *whole = summary();
    SB_AUTO_FREE char *kept =
        sb_format("out/weights/xxh3-%s", bench.result.runs[0].fingerprint + 5);
    ck_assert_int_eq(sb_remove_tree(kept, NULL), 0);
    reopen();
    schedule_well();
    SB_AUTO_FREE char *again = summary();
    ck_assert_str_eq(again, whole);
    ck_assert_uint_eq(bench.started, 4);
    ck_assert_int_eq(access(kept, F_OK), 0);
    tear_down();
}
END_TEST

START_TEST(another_plan_is_refused)
{
    set_up(TWO_CELLS);
    bench.stop_after = 6;
    schedule_well();
    reopen();
    bench.done[5].cell = !bench.done[5].cell;
    ck_assert_int_eq(schedule(), -EINVAL);
    ck_assert_ptr_nonnull(strstr(bench.err.text, "r00006"));
    ck_assert_ptr_nonnull(strstr(bench.err.text, "--force"));
    ck_assert_uint_eq(bench.started, 0);
    tear_down();
}
END_TEST

/* Processes that ignore TERM, one of them a daemon. The length of their sleep is one of this test
 * alone. */
#define STUBBORN                                                                                   \
    "trap \"\" TERM; sleep $STUBBORN & setsid sleep $STUBBORN & touch $ROOT/there; sleep "         \
    "$STUBBORN"

static void set_stubborn(void) {
    snprintf(bench_stubborn, sizeof bench_stubborn, "9876543.%ld", (long)getpid());
    setenv("STUBBORN", bench_stubborn, 1);
}

static void interrupt_stubborn(bool twice) {
    set_stubborn();
    set_up(
        "  - {name: quick, command: [sh, -c, 'echo W > w'], repeats: 2}\n"
        "  - {name: stubborn, command: [sh, -c, '" STUBBORN "'], repeats: 3}\n");
    bench.stubborn_wanted = 3;
    bench.twice = twice;
    schedule_well();
    ck_assert(bench.result.interrupted);
    ck_assert_uint_eq(bench.result.n_runs, 3);
    ck_assert_int_eq(bench.result.runs[1].status, SB_STATUS_OK);
    ck_assert_int_eq(bench.result.runs[2].status, SB_STATUS_INTERRUPTED);
    ck_assert_uint_eq(count_processes(bench_stubborn), 0);
    reopen();
    ck_assert_uint_eq(bench.options.n_done, 2);
    tear_down();
}

START_TEST(an_interruption_leaves_no_process_and_no_lost_result)
{ interrupt_stubborn(false); }
END_TEST

START_TEST(a_second_interruption_does_too)
{ interrupt_stubborn(true); }
END_TEST

START_TEST(a_journal_that_cannot_be_written_ends_everything)
{
    set_stubborn();
    set_up(
        "  - name: both\n"
        "    command: [sh, -c, 'if [ $MODE = b ]; then " STUBBORN
        "; fi;\n"
        "      for i in 1 2 3 4 5 6 7 8 9; do [ -e $ROOT/there ] || sleep 0.1; done;\n"
        "      echo W > w']\n"
        "    axes: {'env:MODE': [a, b]}\n"
        "    repeats: 1\n");
    bench.options.jobs = 2;
    close(bench.folder->journal);
    bench.folder->journal = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(schedule(), -ENOSPC);
    ck_assert_ptr_nonnull(strstr(bench.err.text, "/journal"));
    /* Where runs go one by one, the second never starts. */
    ck_assert_uint_eq(bench.result.n_runs, bench.started);
    ck_assert_int_eq(bench.result.runs[0].status, SB_STATUS_OK);
    if (bench.started == 2)
        ck_assert_int_eq(bench.result.runs[1].status, SB_STATUS_INTERRUPTED);
    ck_assert_uint_eq(count_processes(bench_stubborn), 0);
    tear_down();
}
END_TEST

/* kill -9 of everything that schedules, at moments that are spread over its life. */
START_TEST(a_killed_schedule_is_completed_to_the_same_runs)
{
    SB_AUTO_FREE char *whole = order_with_seed(3);
    for (unsigned moment = 0; moment < 12; moment++) {
        set_up(TWO_CELLS);
        bench.options.seed = 3;
        sb_folder_close(bench.folder);
        bench.folder = NULL;
        pid_t pid = fork();
        if (pid == 0) {
            if (sb_folder_open("out", true, &bench.folder, NULL) < 0)
                _exit(1);
            _exit(schedule() == 0 ? 0 : 1);
        }
        usleep(moment * 6000);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        reopen();
        size_t n_done = bench.options.n_done;
        schedule_well();
        for (size_t i = 0; i < bench.result.n_runs; i++)
            ck_assert_msg(bench.result.runs[i].status == SB_STATUS_OK, "moment %u: %s", moment,
                          bench.result.runs[i].message);
        SB_AUTO_FREE char *again = summary();
        ck_assert_str_eq(again, whole);
        ck_assert_uint_eq(bench.started, 8 - n_done);
        tear_down();
    }
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-resume", a_stopped_schedule_is_completed_to_the_same_runs,
                         a_finished_schedule_is_taken_over_whole,
                         runs_whose_weights_are_lost_are_done_again, another_plan_is_refused,
                         an_interruption_leaves_no_process_and_no_lost_result,
                         a_second_interruption_does_too,
                         a_journal_that_cannot_be_written_ends_everything,
                         a_killed_schedule_is_completed_to_the_same_runs)
