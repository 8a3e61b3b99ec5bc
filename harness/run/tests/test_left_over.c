/* run: what a samebits that was killed together with its guards leaves behind is ended by the next
 * one in the same working directory, and nothing else is. */
#include "run/process.h"
#include "run/sandbox.h"
#include "run/tests/isolation.h"

#include <sys/file.h>

static const double moment_s = 0.01;

static bool comes_true(bool (*condition)(const char *), const char *mark, bool wanted) {
    for (int i = 0; i < 500 && condition(mark) != wanted; i++)
        usleep((useconds_t)(moment_s * 1e6));
    return condition(mark) == wanted;
}

/* In a process of its own, which never returns: a samebits whose run does `script`. */
static void be_samebits(const char *folder, const char *script, const char *mark, int answer) {
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    struct test_run run = {0};
    start_run(sandbox, &(struct test_options){.script = script}, &run, NULL);
    comes_true(is_running, mark, true);
    unlink(run.log);
    pid_t guard = sandbox->guards[0]->pid;
    if (write(answer, &guard, sizeof guard) < 0)
        _exit(1);
    for (;;)
        pause();
}

/* Of this test alone: one that failed leaves processes. */
static char *new_mark(void) {
    return sb_format("sleep 125.%d", (int)getpid());
}

/* The daemon alone has the mark in its command line, and has it when it runs. */
static char *with_daemon(const char *before) {
    return sb_format("x=125; (%s setsid sleep $x.%d &); sleep 60", before, (int)getpid());
}

struct started {
    pid_t samebits, guard;
};

static struct started start_samebits(const char *folder, const char *script, const char *mark) {
    int pipes[2];
    struct started started = {0};
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what is left over comes to us, to be waited for */
    ck_assert_int_eq(pipe(pipes), 0);
    started.samebits = fork();
    if (started.samebits == 0)
        be_samebits(folder, script, mark, pipes[1]);
    ck_assert_int_eq(read(pipes[0], &started.guard, sizeof started.guard), sizeof started.guard);
    close(pipes[0]);
    close(pipes[1]);
    return started;
}

static void kill_both(const struct started *started) {
    kill(started->guard, SIGSTOP); /* it must not tidy up first */
    kill(started->samebits, SIGKILL);
    kill(started->guard, SIGKILL);
    waitpid(started->samebits, NULL, 0);
    waitpid(started->guard, NULL, 0);
}

static void open_and_close(const char *folder) {
    sb_sandbox_close(open_sandbox(folder, SB_ISOLATE_AUTO, NULL));
}

START_TEST(a_daemon_that_was_left_over_is_ended_by_the_next_samebits)
{
    SB_AUTO_FREE char *mark = new_mark();
    SB_AUTO_FREE char *script = with_daemon("");
    char *folder = new_folder("work");
    struct started killed = start_samebits(folder, script, mark);
    kill_both(&killed);
    usleep(50000);
    ck_assert(is_running(mark)); /* or there is nothing to be shown */
    open_and_close(folder);
    ck_assert(comes_true(is_running, mark, false));
    remove_folder(folder);
}
END_TEST

/* False: a skip. */
static bool has_cgroup(const char *folder) {
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    bool has = sandbox->cgroup.path != NULL;
    sb_sandbox_close(sandbox);
    if (!has)
        sb_test_skip(is_ordinary_user
                         ? "needs cgroups of ordinary users: a part of the tree to change"
                         : "needs cgroups: a part of the tree to change");
    return has;
}

START_TEST(one_without_its_cookie_is_found_in_the_cgroup)
{
    SB_AUTO_FREE char *mark = new_mark();
    SB_AUTO_FREE char *script = with_daemon("env -i");
    char *folder = new_folder("work");
    if (has_cgroup(folder)) {
        struct started killed = start_samebits(folder, script, mark);
        kill_both(&killed);
        usleep(50000);
        ck_assert(is_running(mark));
        open_and_close(folder);
        ck_assert(comes_true(is_running, mark, false));
    }
    remove_folder(folder);
}
END_TEST

/* The one that runs holds the lock; of its guard alone the next one cannot know more. */
START_TEST(runs_of_a_samebits_that_lives_are_left_alone)
{
    SB_AUTO_FREE char *mark = new_mark();
    SB_AUTO_FREE char *script = with_daemon("");
    char *folder = new_folder("work");
    struct started living = start_samebits(folder, script, mark);
    struct sb_sandbox *sandbox = try_open(folder, SB_ISOLATE_AUTO, NULL, NULL);
    sb_sandbox_close(sandbox); /* NULL where only one can be at a time */
    ck_assert(is_running(mark));
    kill(living.samebits, SIGKILL);
    waitpid(living.samebits, NULL, 0);
    ck_assert(comes_true(is_running, mark, false)); /* by its guard */
    waitpid(living.guard, NULL, 0);
    remove_folder(folder);
}
END_TEST

/* As from inside a container that shows the processes, but has a /tmp of its own. */
START_TEST(a_guarded_run_is_left_alone_even_where_its_lock_is_not_seen)
{
    SB_AUTO_FREE char *mark = new_mark();
    SB_AUTO_FREE char *script = with_daemon("");
    char *folder = new_folder("work");
    char *elsewhere = new_folder("base");
    struct started living = start_samebits(folder, script, mark);
    char cookie[24];
    snprintf(cookie, sizeof cookie, "%016llx", (unsigned long long)sb_path_hash(folder));
    sb_left_over_end(elsewhere, cookie);
    ck_assert(is_running(mark));
    kill_both(&living);
    usleep(50000);
    ck_assert(is_running(mark));
    int held = sb_lock_folder(elsewhere, LOCK_SH);
    sb_left_over_end(elsewhere, cookie);
    ck_assert(is_running(mark)); /* somebody works there */
    close(held);
    setenv("SAMEBITS_COOKIE", cookie, 1);
    sb_left_over_end(elsewhere, cookie);
    ck_assert(is_running(mark)); /* we are one of its runs */
    unsetenv("SAMEBITS_COOKIE");
    sb_left_over_end(elsewhere, "0123456789abcdef");
    ck_assert(is_running(mark)); /* of another working directory */
    sb_left_over_end(elsewhere, cookie);
    ck_assert(comes_true(is_running, mark, false));
    open_and_close(folder);
    remove_folder(elsewhere);
    remove_folder(folder);
}
END_TEST

static bool has_folder(const char *path) {
    return access(path, F_OK) == 0;
}

START_TEST(no_cgroup_stays_behind)
{
    SB_AUTO_FREE char *mark = new_mark();
    char *folder = new_folder("work");
    if (!has_cgroup(folder)) {
        remove_folder(folder);
        return;
    }
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    SB_AUTO_FREE char *path = strdup(sandbox->cgroup.path);
    struct test_run run = sh(sandbox, "cat /proc/self/cgroup");
    SB_AUTO_FREE char *log = printed(&run);
    ck_assert_ptr_nonnull(strstr(log, strrchr(path, '/')));
    clear_run(&run);
    ck_assert(has_folder(path));
    sb_sandbox_close(sandbox);
    ck_assert(!has_folder(path));
    struct started killed = start_samebits(folder, mark, mark);
    ck_assert(has_folder(path));
    kill(killed.samebits, SIGKILL);
    waitpid(killed.samebits, NULL, 0);
    ck_assert(comes_true(has_folder, path, false)); /* by its guard */
    waitpid(killed.guard, NULL, 0);
    killed = start_samebits(folder, mark, mark);
    kill_both(&killed);
    ck_assert(has_folder(path));
    open_and_close(folder);
    ck_assert(!has_folder(path));
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-left-over", a_daemon_that_was_left_over_is_ended_by_the_next_samebits,
                         one_without_its_cookie_is_found_in_the_cgroup,
                         runs_of_a_samebits_that_lives_are_left_alone,
                         a_guarded_run_is_left_alone_even_where_its_lock_is_not_seen,
                         no_cgroup_stays_behind)
