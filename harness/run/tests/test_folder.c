/* run: the results folder: numbers, locks, links, and whose files are whose. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char root[64];

static void enter_root(void) {
    strcpy(root, "/tmp/samebits-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chdir(root), 0);
}

static void leave_root(void) {
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(root, NULL);
}

static struct sb_folder *create(const char *out, bool force) {
    struct sb_folder *folder = NULL;
    struct sb_error err = {{0}};
    ck_assert_msg(sb_folder_create(out, force, &folder, &err) == 0, "%s", err.text);
    return folder;
}

static void put(const char *path, const char *text) {
    ck_assert_int_eq(sb_file_write(path, text, strlen(text), NULL), 0);
}

static void append_one(struct sb_folder *folder) {
    struct sb_run run = {.id = "r00001", .repeat = 1, .exit_code = 1, .status = SB_STATUS_CRASHED};
    ck_assert_int_eq(sb_journal_append(folder, &run, NULL), 0);
}

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

START_TEST(folders_are_numbered_and_latest_leads_to_the_last)
{
    enter_root();
    for (int i = 1; i <= 3; i++) {
        struct sb_folder *folder = create(NULL, false);
        char number[32], target[32] = "";
        snprintf(number, sizeof number, "%04d", i);
        ck_assert_ptr_nonnull(strstr(sb_folder_path(folder), number));
        ck_assert_int_eq(sb_folder_path(folder)[0], '/');
        ck_assert_int_eq(readlink("samebits-results/latest", target, sizeof target - 1), 4);
        ck_assert_str_eq(target, number);
        append_one(folder);
        sb_folder_close(folder);
    }
    leave_root();
}
END_TEST

START_TEST(results_are_found_by_every_name)
{
    enter_root();
    struct sb_folder *folder = create(NULL, false);
    append_one(folder);
    SB_AUTO_FREE char *path = strdup(sb_folder_path(folder));
    sb_folder_close(folder);
    put("samebits-results/0001/result.json", "{\"schema\": \"samebits.result/1\"}");
    static const char *const names[] = {"samebits-results/latest",
                                        "samebits-results/0001",
                                        "latest",
                                        "0001",
                                        "samebits-results/latest/result.json",
                                        "samebits-results/latest/"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sb_error err = {{0}};
        ck_assert_msg(sb_folder_open(names[i], false, &folder, &err) == 0, "%s", err.text);
        ck_assert_str_eq(sb_folder_path(folder), path);
        sb_folder_close(folder);
    }
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_folder_open("nowhere", false, &folder, &err), -ENOENT);
    ck_assert_int_eq(sb_folder_open(root, false, &folder, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "no samebits result"));
    leave_root();
}
END_TEST

START_TEST(a_result_alone_can_be_read_but_not_gone_on_with)
{
    enter_root();
    mkdir("copied", 0755);
    put("copied/result.json", "{\"schema\": \"samebits.result/1\"}");
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_open("copied/result.json", false, &folder, NULL), 0);
    sb_folder_close(folder);
    ck_assert_int_eq(sb_folder_open("copied", true, &folder, NULL), -ENOENT);
    leave_root();
}
END_TEST

START_TEST(many_at_once_get_different_numbers)
{
    enter_root();
    enum { N = 12 };
    for (int i = 0; i < N; i++) {
        if (fork() == 0) {
            struct sb_folder *folder;
            _exit(sb_folder_create(NULL, false, &folder, NULL) == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < N; i++) {
        int status;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    for (int i = 1; i <= N; i++) {
        SB_AUTO_FREE char *path = sb_format("samebits-results/%04d/journal", i);
        ck_assert_msg(exists(path), "%s", path);
    }
    char target[32] = "";
    ck_assert_int_eq(readlink("samebits-results/latest", target, sizeof target - 1), 4);
    ck_assert_str_eq(target, "0012");
    leave_root();
}
END_TEST

START_TEST(a_second_samebits_is_refused_and_told_the_process)
{
    enter_root();
    int ready[2], done[2];
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(done), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(done[1]);
        /* No assertion in here: Check's messages of two processes would mix. */
        struct sb_run run = {.id = "r00001", .repeat = 1, .status = SB_STATUS_CRASHED};
        struct sb_folder *mine;
        if (sb_folder_create("out", false, &mine, NULL) < 0 ||
            sb_journal_append(mine, &run, NULL) < 0)
            _exit(1);
        (void)!write(ready[1], "x", 1);
        char c;
        (void)!read(done[0], &c, 1);
        _exit(0);
    }
    char c;
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    SB_AUTO_FREE char *named = sb_format("(process %ld)", (long)pid);
    struct sb_folder *folder;
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_folder_create("out", true, &folder, &err), -EBUSY);
    ck_assert_msg(strstr(err.text, named) != NULL, "%s", err.text);
    ck_assert_int_eq(sb_folder_create("out", false, &folder, &err), -EBUSY);
    ck_assert_int_eq(sb_folder_open("out", true, &folder, &err), -EBUSY);
    ck_assert_int_eq(sb_folder_open("out", false, &folder, &err), 0); /* reading is free */
    sb_folder_close(folder);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(sb_folder_open("out", true, &folder, &err), 0);
    sb_folder_close(folder);
    leave_root();
}
END_TEST

/* What a forked reader or guard does for a moment after samebits was killed. */
START_TEST(a_lock_that_outlives_its_samebits_is_waited_for)
{
    enter_root();
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct sb_folder *mine;
        if (sb_folder_create("out", false, &mine, NULL) < 0)
            _exit(1);
        if (fork() == 0) {
            (void)!write(ready[1], "x", 1);
            usleep(300 * 1000);
            _exit(0);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(ready[1]);
    char c;
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_open("out", true, &folder, NULL), 0);
    sb_folder_close(folder);
    leave_root();
}
END_TEST

START_TEST(a_result_is_replaced_only_when_forced)
{
    enter_root();
    struct sb_folder *folder = create("out", false);
    append_one(folder);
    sb_folder_close(folder);
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_folder_create("out", false, &folder, &err), -EEXIST);
    ck_assert_ptr_nonnull(strstr(err.text, "--resume"));
    ck_assert_ptr_nonnull(strstr(err.text, "--force"));
    folder = create("out", true);
    struct sb_run *runs;
    size_t n;
    ck_assert_int_eq(sb_journal_read(folder, &runs, &n, NULL), 0);
    ck_assert_uint_eq(n, 0);
    free(runs);
    sb_folder_close(folder);
    /* Nothing was done in it, so nothing is lost. */
    sb_folder_close(create("out", false));
    leave_root();
}
END_TEST

START_TEST(force_removes_only_what_samebits_wrote)
{
    enter_root();
    struct sb_folder *folder = create("out", false);
    append_one(folder);
    sb_folder_close(folder);
    put("out/result.json", "{\"schema\": \"samebits.result/1\"}");
    put("out/notes.txt", "mine");
    put("out/logs/r00001.log", "x");
    put("out/logs/mine.log", "mine");
    mkdir("out/weights/xxh3-00", 0755);
    put("out/weights/xxh3-00/w", "x");
    put("out/weights/mine", "mine");
    sb_folder_close(create("out", true));
    ck_assert(!exists("out/result.json"));
    ck_assert(!exists("out/logs/r00001.log"));
    ck_assert(!exists("out/weights/xxh3-00"));
    ck_assert(exists("out/notes.txt"));
    ck_assert(exists("out/logs/mine.log"));
    ck_assert(exists("out/weights/mine"));
    leave_root();
}
END_TEST

START_TEST(force_follows_no_link_out)
{
    enter_root();
    struct sb_folder *folder = create("out", false);
    append_one(folder);
    sb_folder_close(folder);
    mkdir("elsewhere", 0755);
    put("elsewhere/r00001.log", "mine");
    ck_assert_int_eq(rmdir("out/logs"), 0);
    ck_assert_int_eq(symlink("../elsewhere", "out/logs"), 0);
    if (sb_folder_create("out", true, &folder, NULL) == 0)
        sb_folder_close(folder);
    ck_assert(exists("elsewhere/r00001.log"));
    leave_root();
}
END_TEST

START_TEST(a_folder_with_other_files_is_refused_even_when_forced)
{
    enter_root();
    mkdir("src", 0755);
    put("src/train.py", "pass");
    put("src/result.json", "{\"mine\": 1}");
    struct sb_folder *folder;
    struct sb_error err = {{0}};
    ck_assert_int_eq(sb_folder_create("src", true, &folder, &err), -ENOTEMPTY);
    ck_assert(exists("src/result.json") && !exists("src/lock"));
    put("file", "");
    ck_assert_int_lt(sb_folder_create("file", true, &folder, &err), 0);
    leave_root();
}
END_TEST

START_TEST(an_unfinished_start_is_no_obstacle)
{
    enter_root();
    mkdir("out", 0755);
    put("out/lock", ""); /* killed before the lock file was filled */
    sb_folder_close(create("out", false));
    put("out/plan.json", "{}"); /* killed before the first run */
    mkdir("out/weights/.new-1-0", 0755);
    struct sb_folder *folder;
    ck_assert_int_eq(sb_folder_open("out", true, &folder, NULL), 0);
    ck_assert(!exists("out/weights/.new-1-0"));
    sb_folder_close(folder);
    sb_folder_close(create("out", false));
    leave_root();
}
END_TEST

SB_TEST_MAIN("run-folder", folders_are_numbered_and_latest_leads_to_the_last,
             results_are_found_by_every_name, a_result_alone_can_be_read_but_not_gone_on_with,
             many_at_once_get_different_numbers, a_second_samebits_is_refused_and_told_the_process,
             a_lock_that_outlives_its_samebits_is_waited_for, a_result_is_replaced_only_when_forced,
             force_removes_only_what_samebits_wrote, force_follows_no_link_out,
             a_folder_with_other_files_is_refused_even_when_forced,
             an_unfinished_start_is_no_obstacle)
