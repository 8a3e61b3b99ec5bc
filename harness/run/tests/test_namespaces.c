/* run: paths, host names and mounts that only a run has. */
#include "run/process.h"
#include "run/sandbox.h"
#include "run/tests/isolation.h"

#include <sys/utsname.h>

START_TEST(the_path_axis_gives_the_folder_another_name)
{
    char *folder = new_folder("work");
    put_file(folder, "input", "1 2 3");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    SB_AUTO_FREE char *other = sb_format("OTHER=%s", folder);
    struct test_run run = finish_run(
        sandbox,
        &(struct test_options){.script = "cat input; echo; pwd -P; echo $PWD; printf new > w; "
                                         "cat \"$OTHER/w\"; sleep 0.1",
                               .environment = (char *[]){(char *)"PATH=/bin", other, NULL},
                               .path = "a/longer name"});
    if (run.end.how == SB_ENDED_NOT_STARTED) { /* no mounts: said, not passed over */
        ck_assert_ptr_nonnull(strstr(run.end.message, "unshare: Operation not permitted"));
    } else {
        char one[256], two[256];
        SB_AUTO_FREE char *log = printed(&run);
        ck_assert_int_eq(sscanf(log, "1 2 3\n%255[^\n]\n%255[^\n]\nnew", one, two), 2);
        ck_assert_str_eq(one, two);
        ck_assert_str_eq(one + strlen(one) - 14, "/a/longer name");
        ck_assert_str_eq(run.end.seen.cwd, one);
        assert_written(&run, NULL, "w");
    }
    clear_run(&run);
    struct sb_error err = {0};
    ck_assert_int_eq(start_run(sandbox, &(struct test_options){.path = "../up"}, &run, &err),
                     -EINVAL);
    free(run.log);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

START_TEST(the_host_name_is_the_runs_own)
{
    struct utsname before, after;
    char *folder = new_folder("work");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    uname(&before);
    struct test_run run =
        finish_run(sandbox, &(struct test_options){.script = "uname -n; id -u; sleep 0.1",
                                                   .hostname = "another-host"});
    if (run.end.how == SB_ENDED_NOT_STARTED) {
        ck_assert_ptr_nonnull(strstr(run.end.message, "unshare: Operation not permitted"));
    } else {
        SB_AUTO_FREE char *expected = sb_format("another-host\n%u\n", geteuid());
        assert_printed(&run, expected);
        ck_assert_str_eq(run.end.seen.hostname, "another-host");
    }
    uname(&after);
    ck_assert_str_eq(before.nodename, after.nodename);
    clear_run(&run);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

static void write_once(const char *path, const char *text) {
    SB_AUTO_FD int fd = open(path, O_WRONLY);
    ck_assert(fd >= 0 && write(fd, text, strlen(text)) > 0);
}

/* A mount namespace for the test, by any means; false where none can be had. */
static bool own_mounts(void) {
    SB_AUTO_FREE char *users = sb_format("%u %u 1", geteuid(), geteuid());
    SB_AUTO_FREE char *groups = sb_format("%u %u 1", getegid(), getegid());
    if (unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            return false;
        write_once("/proc/self/uid_map", users);
        write_once("/proc/self/setgroups", "deny");
        write_once("/proc/self/gid_map", groups);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static void run_over_mounts(enum sb_isolation mode) {
    char *folder = new_folder("work");
    char *data = new_folder("data");
    put_file(data, "train", "from elsewhere");
    SB_AUTO_FREE char *inner = sb_path_join(folder, "in, here:\\ and\nthere");
    SB_AUTO_FREE char *memory = sb_path_join(folder, "memory");
    SB_AUTO_FREE char *deep = sb_path_join(memory, "deep");
    mkdir(inner, 0755);
    mkdir(memory, 0755);
    ck_assert_int_eq(mount(data, inner, NULL, MS_BIND, NULL), 0);
    ck_assert_int_eq(mount("tmpfs", memory, "tmpfs", 0, NULL), 0);
    mkdir(deep, 0755);
    ck_assert_int_eq(mount(data, deep, NULL, MS_BIND, NULL), 0);
    struct sb_sandbox *sandbox = try_open(folder, mode, NULL, NULL);
    if (sandbox) {
        struct test_run run = sh(sandbox,
                                 "cat in*/train memory/deep/train; echo x > w; "
                                 "echo y > memory/shared; ls");
        assert_exit(&run, 0);
        assert_printed(&run, "from elsewherefrom elsewherein, here:\\ and\nthere\nmemory\nw\n");
        assert_written(&run, NULL, "w");
        clear_run(&run);
        ck_assert(shares(sandbox, "/memory, a mount of its own"));
        sb_sandbox_close(sandbox);
        assert_file(memory, "shared", "y\n");
    } else {
        ck_assert_int_eq(mode, SB_ISOLATE_OVERLAY);
    }
    ck_assert(!exists(folder, "w"));
    ck_assert_int_eq(umount(deep), 0);
    ck_assert_int_eq(umount(memory), 0);
    ck_assert_int_eq(umount(inner), 0);
    assert_file(data, "train", "from elsewhere");
    remove_folder(folder);
    remove_folder(data);
}

START_TEST(mounts_below_the_folder_are_there_in_every_run)
{
    if (!own_mounts()) {
        skip_without_mounts();
        return;
    }
    for (size_t i = 0; i < N_MODES; i++)
        run_over_mounts(modes[i]);
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run-namespaces", the_path_axis_gives_the_folder_another_name,
                         the_host_name_is_the_runs_own,
                         mounts_below_the_folder_are_there_in_every_run)
