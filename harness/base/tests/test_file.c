/* base: whole files, folders, and everything below them. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each test is a process of its own, and works in a new folder. */
static void enter_scratch(void) {
    char path[] = "/tmp/samebits-test-file-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(path));
    ck_assert_int_eq(chdir(path), 0);
}

static void leave_scratch(void) {
    SB_AUTO_FREE char *path = getcwd(NULL, 0);
    ck_assert_ptr_nonnull(path);
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(sb_remove_tree(path, NULL), 0);
    ck_assert_int_lt(access(path, F_OK), 0);
}

static void put(const char *path, const char *content) {
    struct sb_error err = {0};
    ck_assert_msg(sb_file_write(path, content, strlen(content), &err) == 0, "%s", err.text);
}

static void expect(const char *path, const char *content) {
    struct sb_error err = {0};
    SB_AUTO_FREE char *data = NULL;
    ck_assert_msg(sb_file_read(path, 1 << 20, &data, NULL, &err) == 0, "%s", err.text);
    ck_assert_str_eq(data, content);
}

static bool exists(const char *path) {
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The effective uid of a process whose permissions are checked. */
static void drop_privilege(void) {
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(".", 65534, 65534), 0);
    ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
    ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
}

/* Runs `body` in a mount namespace of its own, or skips the test where none is to be had. */
static void with_mounts(void (*body)(void)) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        body();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_msg(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77, "step %d failed",
                  WEXITSTATUS(status));
    if (WEXITSTATUS(status) == 77)
        sb_test_skip("needs mounts: to mount a small file system");
}

START_TEST(what_is_no_file_is_written_to_and_stays)
{
    struct sb_error err = {0};
    struct stat st;
    char got[8] = "";
    enter_scratch();
    ck_assert_int_eq(mkfifo("pipe", 0600), 0);
    ck_assert_int_eq(symlink("pipe", "link"), 0);
    int fd = open("pipe", O_RDWR | O_CLOEXEC); /* so that no open waits for the other end */
    ck_assert_msg(sb_file_write("link", "hello", 5, &err) == 0, "%s", err.text);
    ck_assert_int_eq(read(fd, got, sizeof got), 5);
    ck_assert_str_eq(got, "hello");
    ck_assert(lstat("link", &st) == 0 && S_ISLNK(st.st_mode));
    ck_assert(lstat("pipe", &st) == 0 && S_ISFIFO(st.st_mode));
    close(fd);
    leave_scratch();
}
END_TEST

START_TEST(a_file_is_read_whole_and_not_beyond_the_limit)
{
    enter_scratch();
    struct sb_error err = {0};
    SB_AUTO_FREE char *data = NULL;
    size_t n = 0;
    put("f", "0123456789");
    ck_assert_int_eq(sb_file_read("f", 10, &data, &n, &err), 0);
    ck_assert_uint_eq(n, 10);
    ck_assert_int_eq(data[n], '\0');
    SB_AUTO_FREE char *untouched = NULL;
    ck_assert_int_eq(sb_file_read("f", 9, &untouched, &n, &err), -EFBIG);
    ck_assert_int_eq(sb_file_read("none", 9, &untouched, &n, &err), -ENOENT);
    ck_assert_ptr_null(untouched);
    ck_assert_int_eq(sb_file_read("/proc/self/status", 1 << 20, &untouched, &n, &err), 0);
    ck_assert_uint_gt(n, 100);
    leave_scratch();
}
END_TEST

START_TEST(a_write_replaces_the_whole_file_and_leaves_no_other)
{
    enter_scratch();
    put("f", "a longer content");
    put("f", "short");
    expect("f", "short");
    ck_assert_int_eq(unlink("f"), 0);
    ck_assert_int_eq(rmdir("."), -1);
    ck_assert_int_eq(errno, EINVAL);
    SB_AUTO_FREE char *path = getcwd(NULL, 0);
    ck_assert_int_eq(rmdir(path), 0); /* so nothing else was left in it */
}
END_TEST

/* Exits with the number of the step that failed. */
static void write_on_a_full_disk(void) {
    static char large[1 << 20];
    struct sb_error err = {0};
    SB_AUTO_FREE char *data = NULL;
    if (mkdir("m", 0700) < 0 || mount("none", "m", "tmpfs", 0, "size=64k") < 0)
        _exit(77);
    if (sb_file_write("m/f", "old", 3, &err) < 0)
        _exit(1);
    memset(large, 'x', sizeof large);
    if (sb_file_write("m/f", large, sizeof large, &err) != -ENOSPC)
        _exit(2);
    if (sb_file_read("m/f", 10, &data, NULL, &err) < 0 || strcmp(data, "old") != 0)
        _exit(3);
    if (unlink("m/f") < 0 || umount("m") < 0 || rmdir("m") < 0)
        _exit(4);
    if (mkdir("m", 0700) < 0 || mount("none", "m", "tmpfs", 0, "size=64k") < 0 ||
        sb_file_write("from", large, sizeof large, &err) < 0)
        _exit(5);
    if (sb_copy_file("from", "m/to", &err) != -ENOSPC || exists("m/to"))
        _exit(6);
    if (sb_move_file("from", "m/to", &err) != -ENOSPC || !exists("from"))
        _exit(7);
    if (umount("m") < 0) /* busy were a descriptor left open */
        _exit(8);
}

START_TEST(a_full_disk_leaves_the_old_content)
{
    enter_scratch();
    with_mounts(write_on_a_full_disk);
    leave_scratch();
}
END_TEST

START_TEST(folders_are_made_with_their_parents)
{
    enter_scratch();
    struct sb_error err = {0};
    ck_assert_int_eq(sb_make_folders("a/b/c", 0700, &err), 0);
    ck_assert_int_eq(sb_make_folders("a/b/c", 0700, &err), 0);
    ck_assert_int_eq(sb_make_folders("a/b/d/", 0700, &err), 0);
    ck_assert(exists("a/b/c") && exists("a/b/d"));
    ck_assert_int_eq(symlink("a", "link"), 0);
    ck_assert_int_eq(sb_make_folders("link/e", 0700, &err), 0);
    ck_assert(exists("a/e"));
    leave_scratch();
}
END_TEST

START_TEST(no_folder_is_made_over_a_file)
{
    enter_scratch();
    struct sb_error err = {0};
    put("f", "kept");
    ck_assert_int_eq(sb_make_folders("f", 0700, &err), -EEXIST);
    ck_assert_int_eq(sb_make_folders("f/a", 0700, &err), -ENOTDIR);
    ck_assert_int_eq(sb_make_folders("f/a/b", 0700, &err), -ENOTDIR);
    ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
    ck_assert_int_lt(sb_make_folders("dangling", 0700, &err), 0);
    ck_assert_int_lt(sb_make_folders("", 0700, &err), 0);
    expect("f", "kept");
    leave_scratch();
}
END_TEST

START_TEST(what_would_remove_too_much_is_refused)
{
    enter_scratch();
    static const char *const refused[] = {"",   "/",   "//",    "///",  ".",    "..",
                                          "./", "../", "d/.",   "d/./", "d/..", "d/../",
                                          "/.", "/..", "d//..", "d/.//"};
    ck_assert_int_eq(mkdir("deep", 0755), 0); /* ".." is ours too */
    ck_assert_int_eq(chdir("deep"), 0);
    ck_assert_int_eq(mkdir("d", 0700), 0);
    put("d/f", "kept");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        /* Should one not be refused, little must be lost: as nobody, or nothing outside at all. */
        struct sb_error err = {0};
        if (refused[i][0] == '/' && geteuid() != 0)
            continue;
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            drop_privilege();
            _exit(sb_remove_tree(refused[i], &err) == -EINVAL && err.text[0] ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(status == 0, "'%s' was not refused", refused[i]);
    }
    expect("d/f", "kept");
    ck_assert_int_eq(chdir(".."), 0);
    leave_scratch();
}
END_TEST

START_TEST(names_that_begin_with_dots_are_names)
{
    enter_scratch();
    static const char *const names[] = {"...", ".a", "..a", "a.", "a.."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(mkdir(names[i], 0700), 0);
        ck_assert_int_eq(sb_remove_tree(names[i], NULL), 0);
        ck_assert(!exists(names[i]));
    }
    ck_assert_int_eq(sb_remove_tree("none", NULL), 0);
    ck_assert_int_eq(sb_remove_tree("none/at/all", NULL), 0);
    leave_scratch();
}
END_TEST

START_TEST(links_are_removed_and_what_they_lead_to_stays)
{
    enter_scratch();
    ck_assert_int_eq(mkdir("outside", 0700), 0);
    put("outside/f", "kept");
    ck_assert_int_eq(mkdir("tree", 0700), 0);
    ck_assert_int_eq(symlink("../outside", "tree/folder"), 0);
    ck_assert_int_eq(symlink("../outside/f", "tree/file"), 0);
    ck_assert_int_eq(symlink("nowhere", "tree/dangling"), 0);
    ck_assert_int_eq(symlink(".", "tree/self"), 0);
    ck_assert_int_eq(sb_remove_tree("tree/", NULL), 0);
    ck_assert(!exists("tree"));
    static const char *const tops[] = {"top", "top/", "top//"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(symlink("outside", "top"), 0);
        ck_assert_int_eq(sb_remove_tree(tops[i], NULL), 0);
        ck_assert(!exists("top"));
    }
    expect("outside/f", "kept");
    leave_scratch();
}
END_TEST

START_TEST(unwritable_folders_are_removed)
{
    enter_scratch();
    drop_privilege();
    ck_assert_int_eq(sb_make_folders("tree/a/b", 0700, NULL), 0);
    put("tree/a/b/f", "");
    put("tree/a/g", "");
    ck_assert_int_eq(chmod("tree/a/b/f", 0), 0);
    ck_assert_int_eq(chmod("tree/a/b", 0), 0);
    ck_assert_int_eq(chmod("tree/a", 0500), 0);
    ck_assert_int_eq(chmod("tree", 0), 0);
    struct sb_error err = {0};
    ck_assert_msg(sb_remove_tree("tree", &err) == 0, "%s", err.text);
    ck_assert(!exists("tree"));
    SB_AUTO_FREE char *path = getcwd(NULL, 0);
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(path, NULL); /* empty; in a sticky folder it is ours to remove */
}
END_TEST

static void remove_around_mounts(void) {
    if (sb_make_folders("tree/a/mounted", 0700, NULL) < 0 ||
        sb_make_folders("tree/bound", 0700, NULL) < 0 ||
        sb_make_folders("outside", 0700, NULL) < 0 ||
        sb_file_write("outside/f", "kept", 4, NULL) < 0 ||
        sb_file_write("tree/a/g", "gone", 4, NULL) < 0)
        _exit(1);
    if (mount("none", "tree/a/mounted", "tmpfs", 0, "size=64k") < 0 ||
        mount("outside", "tree/bound", NULL, MS_BIND, NULL) < 0)
        _exit(77);
    if (sb_file_write("tree/a/mounted/f", "kept", 4, NULL) < 0)
        _exit(2);
    if (sb_remove_tree("tree", NULL) != -EXDEV)
        _exit(3);
    if (!exists("tree/a/mounted/f") || exists("tree/a/g"))
        _exit(4);
    if (!exists("tree/bound/f") || !exists("outside/f"))
        _exit(5);
    if (umount("tree/a/mounted") < 0 || umount("tree/bound") < 0)
        _exit(6);
    if (sb_remove_tree("tree", NULL) < 0 || exists("tree"))
        _exit(7);
}

START_TEST(mount_points_are_not_crossed)
{
    enter_scratch();
    with_mounts(remove_around_mounts);
    leave_scratch();
}
END_TEST

START_TEST(a_copy_has_content_and_mode)
{
    enter_scratch();
    struct sb_error err = {0};
    struct stat st;
    put("f", "content");
    put("to", "a longer one that is replaced");
    ck_assert_int_eq(chmod("f", 0751), 0);
    ck_assert_int_eq(sb_copy_file("f", "to", &err), 0);
    expect("to", "content");
    ck_assert_int_eq(stat("to", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0751);
    put("empty", "");
    ck_assert_int_eq(sb_copy_file("empty", "to", &err), 0);
    expect("to", "");
    ck_assert_int_eq(sb_copy_file("none", "to", &err), -ENOENT);
    ck_assert_int_lt(sb_copy_file("f", "none/to", &err), 0);
    leave_scratch();
}
END_TEST

START_TEST(a_copy_keeps_what_lies_around_holes)
{
    enter_scratch();
    struct sb_error err = {0};
    const off_t size = 3 << 20;
    int fd = open("sparse", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, "in", 2, 1 << 20), 2);
    ck_assert_int_eq(ftruncate(fd, size), 0);
    close(fd);
    ck_assert_int_eq(sb_copy_file("sparse", "copy", &err), 0);
    SB_AUTO_FREE char *from = NULL, *to = NULL;
    size_t n_from, n_to;
    ck_assert_int_eq(sb_file_read("sparse", 4 << 20, &from, &n_from, &err), 0);
    ck_assert_int_eq(sb_file_read("copy", 4 << 20, &to, &n_to, &err), 0);
    ck_assert_uint_eq(n_from, (size_t)size);
    ck_assert_uint_eq(n_to, (size_t)size);
    ck_assert_int_eq(memcmp(from, to, n_to), 0);
    ck_assert_int_eq(memcmp(to + (1 << 20), "in", 2), 0);
    leave_scratch();
}
END_TEST

START_TEST(a_file_whose_size_is_unknown_is_copied)
{
    enter_scratch();
    struct sb_error err = {0};
    ck_assert_int_eq(sb_copy_file("/proc/version", "copy", &err), 0);
    SB_AUTO_FREE char *version = NULL;
    ck_assert_int_eq(sb_file_read("/proc/version", 1 << 20, &version, NULL, &err), 0);
    expect("copy", version);
    leave_scratch();
}
END_TEST

START_TEST(a_move_replaces_also_across_file_systems)
{
    enter_scratch();
    struct sb_error err = {0};
    put("f", "moved");
    put("to", "old");
    ck_assert_int_eq(sb_move_file("f", "to", &err), 0);
    ck_assert(!exists("f"));
    expect("to", "moved");
    SB_AUTO_FREE char *far = sb_format("/dev/shm/samebits-test-%ld", (long)getpid());
    if (access("/dev/shm", W_OK) == 0) {
        ck_assert_int_eq(sb_move_file("to", far, &err), 0);
        ck_assert(!exists("to"));
        expect(far, "moved");
        ck_assert_int_eq(unlink(far), 0);
    }
    ck_assert_int_eq(sb_move_file("none", "to", &err), -ENOENT);
    leave_scratch();
}
END_TEST

START_TEST(all_is_written_to_a_slow_reader)
{
    static char data[1 << 20];
    int ends[2], status;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        size_t sum = 0;
        char buffer[5000];
        close(ends[1]);
        for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
            sum += (size_t)n;
        _exit(sum == sizeof data ? 0 : 1);
    }
    close(ends[0]);
    ck_assert_int_eq(sb_write_all(ends[1], data, sizeof data), 0);
    close(ends[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(sb_write_all(-1, data, 1), -EBADF);
}
END_TEST

START_TEST(a_file_that_cannot_be_made_is_named_as_it_was_given)
{
    enter_scratch();
    put("a", "x");
    struct sb_error err = {0};
    ck_assert_int_eq(sb_file_write("none/b", "y", 1, &err), -ENOENT);
    ck_assert_str_eq(err.text, "none/b: No such file or directory");
    err = (struct sb_error){0};
    ck_assert_int_eq(sb_copy_file("a", "none/b", &err), -ENOENT);
    ck_assert_str_eq(err.text, "none/b: No such file or directory");
    leave_scratch();
}
END_TEST

START_TEST(paths_are_joined)
{
    static const char *const joins[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"a", "/b", "/b"}, {"", "b", "b"}};
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        SB_AUTO_FREE char *joined = sb_path_join(joins[i][0], joins[i][1]);
        ck_assert_str_eq(joined, joins[i][2]);
    }
    SB_AUTO_FREE char *program = sb_program_path();
    ck_assert_ptr_nonnull(program);
    ck_assert_int_eq(access(program, X_OK), 0);
}
END_TEST

SB_TEST_MAIN("base-file", a_file_is_read_whole_and_not_beyond_the_limit,
             a_write_replaces_the_whole_file_and_leaves_no_other,
             what_is_no_file_is_written_to_and_stays, a_full_disk_leaves_the_old_content,
             folders_are_made_with_their_parents, no_folder_is_made_over_a_file,
             what_would_remove_too_much_is_refused, names_that_begin_with_dots_are_names,
             links_are_removed_and_what_they_lead_to_stays, unwritable_folders_are_removed,
             mount_points_are_not_crossed, a_copy_has_content_and_mode,
             a_copy_keeps_what_lies_around_holes, a_file_whose_size_is_unknown_is_copied,
             a_move_replaces_also_across_file_systems, all_is_written_to_a_slow_reader,
             a_file_that_cannot_be_made_is_named_as_it_was_given, paths_are_joined)
