/* run: how a run ends, and that nothing of it outlives it. */
#include "run/tests/isolation.h"

#include <sys/personality.h>
#include <sys/resource.h>

static char *folder;
static struct sb_sandbox *sandbox;

static void set_up(void) {
    folder = new_folder("work");
    sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
}

static void tear_down(void) {
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}

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

static void assert_not_started(char *const *command, const char *message) {
    struct test_run run = finish_run(sandbox, &(struct test_options){.command = command});
    ck_assert_int_eq(run.end.how, SB_ENDED_NOT_STARTED);
    ck_assert_str_eq(run.end.message, message);
    ck_assert_uint_eq(run.end.seen.n_samples, 0);
    clear_run(&run);
}

START_TEST(what_cannot_be_started_says_why)
{
    set_up();
    put_file(folder, "data", "no program");
    put_file(folder, "script", "#!/does/not/exist\n");
    SB_AUTO_FREE char *script = sb_path_join(folder, "script");
    chmod(script, 0755);
    assert_not_started((char *[]){(char *)"./train", NULL},
                       "execvp ./train: No such file or directory");
    assert_not_started((char *[]){(char *)"train-that-is-nowhere", NULL},
                       "execvp train-that-is-nowhere: No such file or directory");
    assert_not_started((char *[]){(char *)"./data", NULL}, "execvp ./data: Permission denied");
    assert_not_started((char *[]){(char *)"./script", NULL},
                       "execvp: the interpreter in the first line of ./script: No such file or "
                       "directory");
    struct test_run run = sh(sandbox, "true"); /* the next one is none the worse */
    assert_exit(&run, 0);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(the_program_is_looked_up_in_the_runs_own_path)
{
    set_up();
    put_file(folder, "mine", "echo found $1\n"); /* no #!: a shell's script, as execvp has it */
    SB_AUTO_FREE char *mine = sb_path_join(folder, "mine");
    chmod(mine, 0755);
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){.command = (char *[]){(char *)"mine", (char *)"it", NULL},
                               .environment = (char *[]){(char *)"PATH=/nowhere::/bin", NULL}});
    assert_exit(&run, 0);
    assert_printed(&run, "found it\n");
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

START_TEST(closed_descriptors_hurt_nobody)
{
    set_up();
    struct test_run run = sh(sandbox, "echo before; exec <&- >&- 2>&-; echo x > w; sleep 0.05");
    assert_exit(&run, 0);
    assert_printed(&run, "before\n");
    assert_written(&run, NULL, "w");
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_flood_of_output_is_cut_in_the_middle)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.script = "echo first; yes | head -c 200000000; echo last",
                                        .log_limit = 10000});
    assert_exit(&run, 0);
    SB_AUTO_FREE char *log = printed(&run);
    ck_assert(strncmp(log, "first\ny\ny\n", 10) == 0);
    ck_assert(strlen(log) > 10000 && strlen(log) < 10100);
    ck_assert_str_eq(log + strlen(log) - 9, "y\ny\nlast\n");
    ck_assert_ptr_nonnull(strstr(log, "\n[samebits: 199990011 bytes left out]\n"));
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(output_that_just_fits_is_whole)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.script = "printf 0123456789; sleep 0.02; printf abcdefghi",
                                        .log_limit = 19});
    assert_printed(&run, "0123456789abcdefghi");
    clear_run(&run);
    run = finish_run(
        sandbox,
        &(struct test_options){.script = "printf 0123456789; printf abcdefghijk", .log_limit = 19});
    assert_printed(&run, "0123456789\n[samebits: 2 bytes left out]\ncdefghijk");
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(descriptors_signals_and_limits_are_clean)
{
    set_up();
    int leaked = open("/dev/null", O_RDONLY); /* no CLOEXEC */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sb_sandbox *again = sandbox;
    char *second = new_folder("second");
    sandbox = open_sandbox(second, SB_ISOLATE_AUTO, NULL);
    /* Read by the process itself: a shell that forks has other descriptors and masks for a moment.
     * The fourth descriptor is ls's own. */
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){.command = (char *[]){(char *)"ls", (char *)"/proc/self/fd", NULL}});
    assert_printed(&run, "0\n1\n2\n3\n");
    clear_run(&run);
    run = finish_run(
        sandbox, &(struct test_options){.command = (char *[]){(char *)"grep", (char *)"-E",
                                                              (char *)"SigIgn|SigBlk",
                                                              (char *)"/proc/self/status", NULL}});
    assert_printed(&run, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    clear_run(&run);
    run = sh(sandbox,
             "ulimit -c; [ $$ = $(cut -d' ' -f6 /proc/$$/stat) ] && echo session; "
             "[ $$ = $(cut -d' ' -f5 /proc/$$/stat) ] && echo group; "
             "readlink /proc/$$/fd/0");
    assert_printed(&run, "0\nsession\ngroup\n/dev/null\n");
    clear_run(&run);
    sb_sandbox_close(sandbox);
    sandbox = again;
    remove_folder(second);
    close(leaked);
    tear_down();
}
END_TEST

START_TEST(uid_gid_and_cookie_are_as_they_should_be)
{
    set_up();
    struct test_run run = sh(sandbox, "id -u; id -g; echo ${#SAMEBITS_COOKIE}");
    SB_AUTO_FREE char *expected = sb_format("%u\n%u\n16\n", geteuid(), getegid());
    assert_printed(&run, expected);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(every_run_has_the_same_environment_and_folder)
{
    set_up();
    static const char script[] =
        "env | sort; pwd; pwd -P; echo $TMPDIR; ls -A $TMPDIR; "
        "touch $TMPDIR/left; [ -w $TMPDIR ] && echo writable";
    struct test_run first = sh(sandbox, script);
    struct test_run second = sh(sandbox, script);
    SB_AUTO_FREE char *a = printed(&first);
    SB_AUTO_FREE char *b = printed(&second);
    ck_assert_str_eq(a, b);
    ck_assert_ptr_nonnull(strstr(a, "writable"));
    SB_AUTO_FREE char *pwd = sb_format("PWD=%s\n", folder);
    ck_assert_ptr_nonnull(strstr(a, pwd));
    clear_run(&first);
    clear_run(&second);
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

/* ---- What is observed -------------------------------------------------------------------------
 */

static bool has_library(const struct sb_observation *seen, const char *part) {
    for (size_t i = 0; i < seen->n_libraries; i++)
        if (strstr(seen->libraries[i], part))
            return true;
    return false;
}

START_TEST(a_run_is_observed_while_it_runs)
{
    set_up();
    cpu_set_t set;
    ck_assert_int_eq(sched_getaffinity(0, sizeof set, &set), 0);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    struct test_run run = finish_run(
        sandbox, &(struct test_options){
                     .script = "sleep 0.05; sleep 0.3; true",
                     .environment = (char *[]){(char *)"PATH=/bin", (char *)"LEVEL=1 2", NULL},
                     .cpus = &cpu,
                     .n_cpus = 1});
    const struct sb_observation *seen = &run.end.seen;
    assert_exit(&run, 0);
    ck_assert_uint_ge(seen->n_samples, 2);
    ck_assert_uint_eq(seen->n_cpus, 1);
    ck_assert_uint_eq(seen->max_threads, 1);
    ck_assert_uint_ge(seen->n_processes, 2);
    ck_assert_str_eq(seen->processes[0].arguments[1], "-c");
    bool level = false, sleeps = false;
    for (char **item = seen->processes[0].environment; *item; item++)
        level |= strcmp(*item, "LEVEL=1 2") == 0;
    for (size_t i = 0; i < seen->n_processes; i++) {
        char **arguments = seen->processes[i].arguments;
        sleeps |= arguments[0] && arguments[1] && strcmp(arguments[1], "0.3") == 0;
    }
    ck_assert(level);
    ck_assert(sleeps);
    ck_assert(has_library(seen, "libc.so") || has_library(seen, "libc-") ||
              has_library(seen, "musl"));
    ck_assert(seen->personality_known);
    ck_assert_str_eq(seen->cwd, folder);
    ck_assert_ptr_nonnull(seen->hostname);
    for (size_t i = 1; i < seen->n_libraries; i++)
        ck_assert(strcmp(seen->libraries[i - 1], seen->libraries[i]) < 0);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(aslr_can_be_switched_off)
{
    set_up();
    int persona = personality(0xffffffff);
    if (personality((unsigned long)persona | ADDR_NO_RANDOMIZE) < 0) {
        tear_down();
        sb_test_skip("needs personality: this container forbids it");
        return;
    }
    personality((unsigned long)persona);
    struct test_run run =
        finish_run(sandbox, &(struct test_options){.script = "cat /proc/$$/personality; sleep 0.1",
                                                   .aslr_off = true});
    assert_printed(&run, "00040000\n");
    ck_assert(run.end.seen.personality_known);
    ck_assert_uint_eq(run.end.seen.personality, ADDR_NO_RANDOMIZE);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(threads_and_late_libraries_are_seen)
{
    if (access("/usr/bin/python3", X_OK) < 0) {
        sb_test_skip("needs python3: a program with threads that loads libraries late");
        return;
    }
    set_up();
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){
            .command = (char *[]){
                (char *)"python3", (char *)"-c",
                (char
                     *)"import threading, time, ctypes, ctypes.util\n"
                       "ts = [threading.Thread(target=time.sleep, args=(0.3,)) for _ in range(5)]\n"
                       "[t.start() for t in ts]\n"
                       "time.sleep(0.15)\n"
                       "ctypes.CDLL('libresolv.so.2')\n"
                       "[t.join() for t in ts]\n",
                NULL}});
    assert_exit(&run, 0);
    ck_assert_uint_eq(run.end.seen.max_threads, 6);
    ck_assert(has_library(&run.end.seen, "libresolv"));
    ck_assert_uint_eq(run.end.seen.n_processes, 1);
    clear_run(&run);
    tear_down();
}
END_TEST

START_TEST(a_run_too_short_to_be_seen_says_so)
{
    set_up();
    struct test_run run = finish_run(
        sandbox, &(struct test_options){.command = (char *[]){(char *)"/bin/true", NULL}});
    assert_exit(&run, 0);
    ck_assert_uint_le(run.end.seen.n_processes, 1);
    if (run.end.seen.n_samples == 0)
        ck_assert_ptr_null(run.end.seen.hostname);
    for (size_t i = 0; i < run.end.seen.n_processes; i++) /* never the child before its exec */
        ck_assert_ptr_nonnull(strstr(run.end.seen.processes[i].exe, "true"));
    clear_run(&run);
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

SB_TEST_MAIN_IN_SETTINGS(
    "run-process", an_exit_code_is_reported, a_signal_is_reported, what_cannot_be_started_says_why,
    the_program_is_looked_up_in_the_runs_own_path, a_time_out_ends_the_run,
    who_ignores_term_is_killed_after_the_grace_time, who_obeys_term_can_save,
    an_interruption_ends_the_run, freeing_a_run_under_way_ends_it,
    a_daemon_does_not_outlive_its_run, a_daemon_that_ignores_term_does_not_either,
    who_ends_by_itself_at_once_was_not_left_behind, a_fork_bomb_is_ended,
    leftovers_of_one_run_do_not_touch_another, closed_descriptors_hurt_nobody,
    a_flood_of_output_is_cut_in_the_middle, output_that_just_fits_is_whole,
    descriptors_signals_and_limits_are_clean, uid_gid_and_cookie_are_as_they_should_be,
    every_run_has_the_same_environment_and_folder, a_killed_samebits_leaves_no_process,
    a_run_is_observed_while_it_runs, aslr_can_be_switched_off, threads_and_late_libraries_are_seen,
    a_run_too_short_to_be_seen_says_so, cpu_time_of_children_counts)
