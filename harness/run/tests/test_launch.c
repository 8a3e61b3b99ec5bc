/* run: what a run starts with, and where its output goes. */
#include "run/tests/work.h"

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

SB_TEST_MAIN_IN_SETTINGS("run-launch", what_cannot_be_started_says_why,
                         the_program_is_looked_up_in_the_runs_own_path,
                         descriptors_signals_and_limits_are_clean,
                         uid_gid_and_cookie_are_as_they_should_be,
                         every_run_has_the_same_environment_and_folder,
                         closed_descriptors_hurt_nobody, a_flood_of_output_is_cut_in_the_middle,
                         output_that_just_fits_is_whole)
