/* run: how a run ends, and that nothing of it outlives it. */
#include "run/tests/work.h"

#include <sys/resource.h>

START_TEST(an_exit_code_is_reported)
{
    set_up();
    struct test_run run = sh(sandbox, "echo out; echo err >&2; exit 3");
    assert_exit(&run, 3);
    assert_printed(&run, "out\nerr\n");
    ck_assert_ptr_null(run.end.message);
    ck_assert(run.end.wall_s > 0 && run.end.wall_s < 30);
    ck_assert(run.end.max_rss_kb > 0);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_signal_is_reported)
{
    set_up();
    struct test_run run = sh(sandbox, "kill -SEGV $$");
    ck_assert_int_eq(run.end.how, SB_ENDED_SIGNAL);
    ck_assert_int_eq(run.end.signal, SIGSEGV);
    ck_assert(!exists(folder, "core"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_time_out_ends_the_run)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.script = "sleep 1234.5 & sleep 1234.5", .timeout_s = 0.2});
    ck_assert_int_eq(run.end.how, SB_ENDED_TIMEOUT);
    ck_assert_int_eq(run.end.signal, SIGTERM);
    ck_assert(run.end.wall_s >= 0.2 && run.end.wall_s < 4);
    ck_assert(!is_running("sleep 1234.5"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(who_ignores_term_is_killed_after_the_grace_time)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.script = "trap '' TERM; while :; do sleep 0.01; done",
                                        .timeout_s = 0.1,
                                        .grace_s = 0.2});
    ck_assert_int_eq(run.end.how, SB_ENDED_TIMEOUT);
    ck_assert_int_eq(run.end.signal, SIGKILL);
    ck_assert(run.end.wall_s >= 0.3);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(who_obeys_term_can_save)
{
    set_up();
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){
            .script = "trap 'echo saved > state; exit 0' TERM; while :; do sleep 0.01; done",
            .timeout_s = 0.2});
    ck_assert_int_eq(run.end.how, SB_ENDED_TIMEOUT);
    ck_assert_int_eq(run.end.exit_code, 0);
    assert_written(&run, NULL, "state");
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(an_interruption_ends_the_run)
{
    set_up();
    struct test_run run = {0};
    ck_assert_int_eq(
        start_run(sandbox, &(struct test_options){.script = "sleep 1235.5"}, &run, NULL), 0);
    ck_assert_int_eq(sb_process_step(run.process, &run.end, NULL), -EAGAIN);
    sb_process_interrupt(run.process);
    wait_run(&run);
    ck_assert_int_eq(run.end.how, SB_ENDED_INTERRUPTED);
    ck_assert(!is_running("sleep 1235.5"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(freeing_a_run_under_way_ends_it)
{
    set_up();
    struct test_run run = {0};
    ck_assert_int_eq(
        start_run(sandbox, &(struct test_options){.script = "sleep 1236.5"}, &run, NULL), 0);
    clear_run(&run);
    ck_assert(!is_running("sleep 1236.5"));
    tear_down();
}
END_TEST

START_TEST(a_daemon_does_not_outlive_its_run)
{
    set_up();
    struct test_run run =
        sh(sandbox,
           "setsid sh -c '(trap \"\" HUP; env -i sleep 1237.5 <&- >&- 2>&- &)' & wait; "
           "sleep 0.05");
    assert_exit(&run, 0);
    ck_assert_ptr_nonnull(run.end.message);
    ck_assert_str_eq(run.end.message, "left 1 process behind, killed: sleep");
    ck_assert(!is_running("sleep 1237.5"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_daemon_that_ignores_term_does_not_either)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){
                     .script = "(setsid sh -c 'trap \"\" TERM; while :; do sleep 0.0123; done' &)",
                     .grace_s = 0.1});
    assert_exit(&run, 0);
    ck_assert_ptr_nonnull(strstr(run.end.message, "behind, killed: "));
    ck_assert(!is_running("sleep 0.0123"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(who_ends_by_itself_at_once_was_not_left_behind)
{
    set_up();
    struct test_run run = sh(sandbox, "sleep 0.02 & exit 0");
    assert_exit(&run, 0);
    ck_assert_ptr_null(run.end.message);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_fork_bomb_is_ended)
{
    set_up();
    /* Each generation forks two; limited to 6 generations, which live until they are killed. */
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){
            .script = "cat > bomb.sh <<'END'\n"
                      "trap '' TERM\n"
                      "n=$1; [ $n -gt 0 ] || exec sleep 1238.5\n"
                      "setsid sh bomb.sh $((n-1)) & sh bomb.sh $((n-1)) & wait; sleep 1238.5\n"
                      "END\n"
                      "sh bomb.sh 6 & exit 0",
            .grace_s = 0.05});
    assert_exit(&run, 0);
    ck_assert(!is_running("sleep 1238.5"));
    ck_assert(!is_running("bomb.sh"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(leftovers_of_one_run_do_not_touch_another)
{
    set_up();
    struct sb_sandbox *other = sandbox;
    char *second = new_folder("second");
    if (sb_sandbox_concurrency(sandbox) == 1)
        other = open_sandbox(second, SB_ISOLATE_AUTO, NULL);
    struct test_run a = {0}, b = {0};
    ck_assert_int_eq(start_run(sandbox,
                               &(struct test_options){.script = "(setsid sleep 1239.5 &); exit 0",
                                                      .grace_s = 0.1},
                               &a, NULL),
                     0);
    ck_assert_int_eq(start_run(other,
                               &(struct test_options){.script = "(setsid sleep 1240.5 &); "
                                                                "sleep 1; pgrep -f 1240[.]5 "
                                                                ">/dev/null && echo mine lives"},
                               &b, NULL),
                     0);
    wait_run(&a);
    assert_exit(&a, 0);
    ck_assert_str_eq(a.end.message, "left 1 process behind, killed: sleep");
    ck_assert(!is_running("sleep 1239.5"));
    ck_assert(is_running("sleep 1240.5"));
    wait_run(&b);
    ck_assert_str_eq(b.end.message, "left 1 process behind, killed: sleep");
    ck_assert(!is_running("sleep 1240.5"));
    clear_run(&a);
    clear_run(&b);
    if (other != sandbox)
        sb_sandbox_close(other);
    remove_folder(second);
    tear_down();
}
END_TEST

START_TEST(a_killed_samebits_leaves_no_process)
{
    set_up();
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t samebits = fork();
    if (samebits == 0) {
        char *own = new_folder("killed");
        struct sb_sandbox *box = open_sandbox(own, SB_ISOLATE_AUTO, NULL);
        struct test_run run = {0};
        start_run(box,
                  &(struct test_options){
                      .script = "echo x > trace; (setsid sleep 1241.5 &); sleep 1241.5"},
                  &run, NULL);
        for (int i = 0; i < 500 && !is_running("sleep 1241.5"); i++)
            usleep(10000);
        unlink(run.log);
        if (write(pipes[1], own, strlen(own)) < 0)
            _exit(1);
        pause();
    }
    char path[256] = "";
    ck_assert(read(pipes[0], path, sizeof path - 1) > 0);
    ck_assert(is_running("sleep 1241.5"));
    kill(samebits, SIGKILL);
    waitpid(samebits, NULL, 0);
    for (int i = 0; i < 1000 && is_running("sleep 1241.5"); i++)
        usleep(10000);
    ck_assert(!is_running("sleep 1241.5"));
    for (int i = 0; i < 500 && exists(path, "trace"); i++)
        usleep(10000); /* in place, its guard still moves away what was written */
    ck_assert(!exists(path, "trace"));
    remove_folder(strdup(path));
    tear_down();
}
END_TEST

START_TEST(cpu_time_of_children_counts)
{
    set_up();
    struct test_run run = sh(sandbox,
                             "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; "
                             "true");
    assert_exit(&run, 0);
    ck_assert(run.end.cpu_s > 0.005);
    clear_run(&run);
    tear_down();
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-process", an_exit_code_is_reported, a_signal_is_reported,
                         a_time_out_ends_the_run, who_ignores_term_is_killed_after_the_grace_time,
                         who_obeys_term_can_save, an_interruption_ends_the_run,
                         freeing_a_run_under_way_ends_it, a_daemon_does_not_outlive_its_run,
                         a_daemon_that_ignores_term_does_not_either,
                         who_ends_by_itself_at_once_was_not_left_behind, a_fork_bomb_is_ended,
                         leftovers_of_one_run_do_not_touch_another,
                         a_killed_samebits_leaves_no_process, cpu_time_of_children_counts)
