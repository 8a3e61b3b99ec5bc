/* run: what is left when samebits or its guard is killed, and what the next samebits makes of it.
 */
#include "run/process.h"
#include "run/sandbox.h"
#include "run/tests/isolation.h"

START_TEST(a_second_samebits_in_the_same_folder_in_place_is_refused)
{
    struct sb_error err = {0};
    char *folder = new_folder("work");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_INPLACE, NULL);
    ck_assert_ptr_null(try_open(folder, SB_ISOLATE_INPLACE, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "another samebits works in"));
    sb_sandbox_close(sandbox);
    sandbox = open_sandbox(folder, SB_ISOLATE_INPLACE, NULL);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

/* samebits and its guard are both killed while a run is under way. */
static void kill_all_of_it(const char *folder, const char *hidden, enum sb_isolation mode) {
    int pipes[2];
    ck_assert_int_eq(pipe(pipes), 0);
    pid_t samebits = fork();
    if (samebits == 0) {
        struct sb_sandbox *sandbox = open_sandbox(folder, mode, hidden);
        struct test_run run = {0};
        start_run(sandbox,
                  &(struct test_options){.script = "echo x > w; echo 2 > input; exec sleep 60"},
                  &run, NULL);
        usleep(200000);
        unlink(run.log);
        pid_t guard = sandbox->guards[0]->pid;
        if (write(pipes[1], &guard, sizeof guard) < 0)
            _exit(1);
        pause();
    }
    pid_t guard;
    ck_assert_int_eq(read(pipes[0], &guard, sizeof guard), sizeof guard);
    kill(guard, SIGSTOP); /* it must not tidy up first */
    kill(samebits, SIGKILL);
    kill(guard, SIGKILL);
    waitpid(samebits, NULL, 0);
    usleep(50000);
    close(pipes[0]);
    close(pipes[1]);
}

START_TEST(a_folder_that_was_exchanged_comes_back_after_a_kill)
{
    char *folder = new_folder("work");
    struct stat original, now;
    SB_AUTO_FREE char *hidden = sb_path_join(folder, "results");
    mkdir(hidden, 0755);
    put_file(hidden, "journal", "kept");
    put_file(folder, "input", "1");
    ck_assert_int_eq(stat(folder, &original), 0);
    kill_all_of_it(folder, hidden, SB_ISOLATE_COPY);
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, hidden);
    sb_sandbox_close(sandbox);
    ck_assert_int_eq(stat(folder, &now), 0);
    ck_assert_uint_eq(now.st_ino, original.st_ino);
    assert_file(folder, "input", "1");
    assert_file(hidden, "journal", "kept");
    ck_assert(!exists(folder, "w"));
    ck_assert_uint_eq(count_beside(folder), 3);
    remove_folder(folder);
}
END_TEST

START_TEST(a_folder_that_cannot_be_brought_back_is_never_removed)
{
    char *folder = new_folder("work");
    put_file(folder, "input", "the user's");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_COPY, NULL);
    if (sb_sandbox_concurrency(sandbox) == 1) { /* exchanged, not mounted */
        SB_AUTO_FREE char *stash =
            sb_format("%s/../.samebits-%016llx", folder, (unsigned long long)sb_path_hash(folder));
        SB_AUTO_FREE char *away = sb_format("%s.1", stash);
        SB_AUTO_FREE char *script = sb_format("printf broken > '%s/exchange'", stash);
        struct test_run run = sh(sandbox, script);
        ck_assert_ptr_nonnull(strstr(run.end.message, "is damaged"));
        clear_run(&run);
        sb_sandbox_close(sandbox);
        assert_file(away, "input", "the user's");
        ck_assert_ptr_null(try_open(folder, SB_ISOLATE_AUTO, NULL, NULL));
        assert_file(away, "input", "the user's");
    } else {
        sb_sandbox_close(sandbox);
    }
    remove_folder(folder);
}
END_TEST

START_TEST(a_damaged_note_loses_nothing)
{
    struct sb_error err = {0};
    char *folder = new_folder("work");
    put_file(folder, "input", "1");
    SB_AUTO_FREE char *stash =
        sb_format("%s/../.samebits-%016llx", folder, (unsigned long long)sb_path_hash(folder));
    mkdir(stash, 0700);
    put_file(stash, "exchange", "12 0 5");
    put_file(stash, "users", "file");
    ck_assert_ptr_null(try_open(folder, SB_ISOLATE_AUTO, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "is damaged"));
    assert_file(stash, "users", "file");
    assert_file(folder, "input", "1");
    remove_folder(folder);
}
END_TEST

START_TEST(private_folders_of_a_killed_samebits_are_removed_by_the_next)
{
    char *folder = new_folder("work");
    char *places = new_folder("places");
    setenv("TMPDIR", places, 1);
    kill_all_of_it(folder, NULL, SB_ISOLATE_AUTO);
    ck_assert_uint_eq(count_entries(places), 3);
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    ck_assert_uint_eq(count_entries(places), 3); /* its own alone */
    sb_sandbox_close(sandbox);
    ck_assert_uint_eq(count_entries(places), 2);
    remove_folder(places);
    remove_folder(folder);
}
END_TEST

/* A sweep once followed "..": what lies beside, above, or is merely named alike must stay. */
START_TEST(nothing_but_private_folders_is_ever_removed)
{
    static const char *const names[] = {"keep",         "samebits-",       "samebits-%u",
                                        "samebits-%u-", "samebits-%u-abc", "samebits-%u-abcdefgh",
                                        ".hidden"};
    enum { N = sizeof names / sizeof *names };
    char *folder = new_folder("work");
    char *places = new_folder("places");
    for (size_t i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, names[i], (unsigned)geteuid());
        SB_AUTO_FREE char *path = sb_path_join(places, name);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        put_file(path, "file", "precious");
    }
    SB_AUTO_FREE char *above = sb_format("%s/..", places);
    put_file(above, "above", "precious");
    setenv("TMPDIR", places, 1);
    for (size_t i = 0; i < N_MODES; i++) {
        struct sb_sandbox *sandbox = try_open(folder, modes[i], NULL, NULL);
        if (!sandbox)
            continue;
        struct test_run run = sh(sandbox, "echo x > w; echo x > $TMPDIR/x");
        assert_exit(&run, 0);
        clear_run(&run);
        sb_sandbox_close(sandbox);
        ck_assert_uint_eq(count_entries(places), N + 2);
    }
    for (size_t i = 0; i < N; i++) {
        char name[64];
        snprintf(name, sizeof name, names[i], (unsigned)geteuid());
        SB_AUTO_FREE char *path = sb_path_join(places, name);
        assert_file(path, "file", "precious");
    }
    assert_file(above, "above", "precious");
    remove_folder(places);
    remove_folder(folder);
}
END_TEST

START_TEST(a_killed_guard_is_an_error_of_its_run_alone)
{
    char *folder = new_folder("work");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    struct test_run run = {0};
    const struct test_options options = {.script = "(setsid sleep 1242.5 &); sleep 1242.5"};
    ck_assert_int_eq(start_run(sandbox, &options, &run, NULL), 0);
    for (int i = 0; i < 500 && !is_running("sleep 1242.5"); i++)
        usleep(10000);
    kill(sandbox->guards[0]->pid, SIGKILL);
    wait_run(&run);
    ck_assert_int_eq(run.end.how, SB_ENDED_SIGNAL);
    ck_assert_ptr_nonnull(strstr(run.end.message, "was killed"));
    assert_written(&run, NULL, "");
    clear_run(&run);
    for (int i = 0; i < 100 && is_running("sleep 1242.5"); i++)
        usleep(10000);
    ck_assert(!is_running("sleep 1242.5"));
    if (sb_sandbox_concurrency(sandbox) > 1) {
        run = sh(sandbox, "echo next");
        assert_exit(&run, 0);
        assert_printed(&run, "next\n");
        clear_run(&run);
    }
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-recovery", a_second_samebits_in_the_same_folder_in_place_is_refused,
                         a_folder_that_was_exchanged_comes_back_after_a_kill,
                         a_folder_that_cannot_be_brought_back_is_never_removed,
                         a_damaged_note_loses_nothing,
                         private_folders_of_a_killed_samebits_are_removed_by_the_next,
                         nothing_but_private_folders_is_ever_removed,
                         a_killed_guard_is_an_error_of_its_run_alone)
