/* run: the weights store: whole, once, and never outside. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"
#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define FINGERPRINT "xxh3:00112233445566778899aabbccddeeff"

static char root[64];
static struct sb_folder *folder;

static void enter_root(void) {
    strcpy(root, "/tmp/samebits-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chdir(root), 0);
    ck_assert_int_eq(sb_folder_create("out", false, &folder, NULL), 0);
    ck_assert_int_eq(mkdir("run", 0755), 0);
}

static void leave_root(void) {
    sb_folder_close(folder);
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(root, NULL);
}

static void put(const char *path, const char *text) {
    ck_assert_int_eq(sb_file_write(path, text, strlen(text), NULL), 0);
}

static const struct sb_strings_pair no_parts;

static int keep(const char *fingerprint, const char *absolute, const char *relative, bool move,
                struct sb_error *err) {
    char *from = strdup(absolute), *name = strdup(relative);
    struct sb_strings_pair files = {.absolute = &from, .relative = &name, .n = 1};
    int rc = sb_store_keep(folder, fingerprint, &files, &no_parts, move, err);
    free(from);
    free(name);
    return rc;
}

/* Names in a folder of the store, one temporary one would be among them. */
static size_t entries(void) {
    SB_AUTO_DIR DIR *store = opendir("out/weights");
    size_t n = 0;
    for (struct dirent *entry; (entry = readdir(store));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    return n;
}

START_TEST(files_are_kept_once_and_found_again)
{
    enter_root();
    put("run/a", "first");
    put("run/b", "second");
    char b[] = "run/b", a[] = "run/a", deep[] = "sub/dir/b", flat[] = "a";
    char *absolute[] = {b, a}, *relative[] = {deep, flat};
    const struct sb_strings_pair files = {.absolute = absolute, .relative = relative, .n = 2};
    ck_assert_int_eq(sb_store_keep(folder, FINGERPRINT, &files, &no_parts, true, NULL), 0);
    ck_assert_int_ne(access("run/a", F_OK), 0);
    ck_assert(sb_store_has(folder, FINGERPRINT));
    struct sb_strings_pair found = {0};
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), 0);
    ck_assert_uint_eq(found.n, 2);
    ck_assert_str_eq(found.relative[0], "a");
    ck_assert_str_eq(found.relative[1], "sub/dir/b");
    SB_AUTO_FREE char *text = NULL;
    ck_assert_int_eq(sb_file_read(found.absolute[1], 100, &text, NULL, NULL), 0);
    ck_assert_str_eq(text, "second");
    sb_strings_pair_clear(&found);
    leave_root();
}
END_TEST

START_TEST(the_first_copy_stays)
{
    enter_root();
    put("run/w", "first");
    ck_assert_int_eq(keep(FINGERPRINT, "run/w", "w", false, NULL), 0);
    ck_assert_int_eq(access("run/w", F_OK), 0);
    put("run/w", "other bytes, same tensors");
    ck_assert_int_eq(keep(FINGERPRINT, "run/w", "w", true, NULL), 0);
    struct sb_strings_pair found = {0};
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), 0);
    SB_AUTO_FREE char *text = NULL;
    ck_assert_int_eq(sb_file_read(found.absolute[0], 100, &text, NULL, NULL), 0);
    ck_assert_str_eq(text, "first");
    ck_assert_uint_eq(entries(), 1);
    sb_strings_pair_clear(&found);
    leave_root();
}
END_TEST

START_TEST(parts_lie_beside_what_they_belong_to)
{
    enter_root();
    ck_assert_int_eq(mkdir("run/m", 0777), 0);
    put("run/m/index", "i");
    put("run/m/part 1", "1");
    put("run/m/part\n2", "2");
    char from[] = "run/m/index", index[] = "m/index";
    char from_1[] = "run/m/part 1", part_1[] = "m/part 1";
    char from_2[] = "run/m/part\n2", part_2[] = "m/part\n2";
    char *absolute[] = {from}, *relative[] = {index};
    char *part_absolute[] = {from_1, from_2}, *part_relative[] = {part_1, part_2};
    const struct sb_strings_pair files = {.absolute = absolute, .relative = relative, .n = 1};
    const struct sb_strings_pair parts = {
        .absolute = part_absolute, .relative = part_relative, .n = 2};
    ck_assert_int_eq(sb_store_keep(folder, FINGERPRINT, &files, &parts, true, NULL), 0);
    ck_assert_int_lt(access("run/m/part 1", F_OK), 0);
    struct sb_strings_pair found = {0};
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), 0);
    ck_assert_uint_eq(found.n, 1);
    ck_assert_str_eq(found.relative[0], "m/index");
    SB_AUTO_FREE char *beside =
        sb_format("%.*spart\n2", (int)(strlen(found.absolute[0]) - 5), found.absolute[0]);
    SB_AUTO_FREE char *text = NULL;
    ck_assert_int_eq(sb_file_read(beside, 100, &text, NULL, NULL), 0);
    ck_assert_str_eq(text, "2");
    sb_strings_pair_clear(&found);
    leave_root();
}
END_TEST

START_TEST(the_name_of_the_list_is_refused)
{
    enter_root();
    put("run/w", "x");
    ck_assert_int_eq(keep(FINGERPRINT, "run/w", ".samebits-parts", true, NULL), -EINVAL);
    ck_assert_uint_eq(entries(), 0);
    leave_root();
}
END_TEST

START_TEST(what_was_not_kept_is_not_found)
{
    enter_root();
    struct sb_strings_pair found = {0};
    ck_assert(!sb_store_has(folder, FINGERPRINT));
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), -ENOENT);
    leave_root();
}
END_TEST

START_TEST(paths_that_lead_out_are_refused)
{
    static const char *const names[] = {"../w", "/etc/w", "a/../../w", "..", ".",
                                        "",     "a//b",   "a/./b",     "a/"};
    enter_root();
    put("run/w", "x");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_msg(keep(FINGERPRINT, "run/w", names[i], true, NULL) == -EINVAL, "'%s'",
                      names[i]);
        ck_assert_uint_eq(entries(), 0);
    }
    static const char *const fingerprints[] = {"xxh3",    "xxh3:",      ":00",
                                               "../x:00", "xxh3:../..", "xxh3:00/1"};
    for (size_t i = 0; i < sizeof fingerprints / sizeof *fingerprints; i++)
        ck_assert_int_eq(keep(fingerprints[i], "run/w", "w", true, NULL), -EINVAL);
    leave_root();
}
END_TEST

START_TEST(links_are_not_followed)
{
    enter_root();
    put("secret", "x");
    ck_assert_int_eq(symlink("../secret", "run/w"), 0);
    ck_assert_int_eq(keep(FINGERPRINT, "run/w", "w", true, NULL), -EINVAL);
    ck_assert_uint_eq(entries(), 0);
    leave_root();
}
END_TEST

START_TEST(a_file_with_a_second_name_is_copied)
{
    enter_root();
    put("run/w", "kept");
    ck_assert_int_eq(link("run/w", "run/other"), 0);
    ck_assert_int_eq(keep(FINGERPRINT, "run/w", "w", true, NULL), 0);
    FILE *other = fopen("run/other", "w");
    fputs("changed", other);
    fclose(other);
    SB_AUTO_FREE char *text = NULL;
    struct sb_strings_pair found = {0};
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), 0);
    ck_assert_int_eq(sb_file_read(found.absolute[0], 100, &text, NULL, NULL), 0);
    ck_assert_str_eq(text, "kept");
    sb_strings_pair_clear(&found);
    leave_root();
}
END_TEST

START_TEST(a_full_disk_leaves_no_half_folder)
{
    enter_root();
    char big[4096];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    put("run/a", "small");
    put("run/b", big);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char from_a[] = "run/a", from_b[] = "run/b", a[] = "a", b[] = "b";
    char *absolute[] = {from_a, from_b}, *relative[] = {a, b};
    const struct sb_strings_pair files = {.absolute = absolute, .relative = relative, .n = 2};
    struct sb_error err = {{0}};
    ck_assert_int_lt(sb_store_keep(folder, FINGERPRINT, &files, &no_parts, false, &err), 0);
    ck_assert(err.text[0]);
    ck_assert_uint_eq(entries(), 0);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(sb_store_keep(folder, FINGERPRINT, &files, &no_parts, false, &err), 0);
    leave_root();
}
END_TEST

static void tell_kernel(const char *path, const char *text) {
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A file system of so many bytes at the path, in a mount namespace of this process's own. */
static bool mount_small(const char *path, unsigned size) {
    SB_AUTO_FREE char *options = sb_format("size=%u", size);
    SB_AUTO_FREE char *user = sb_format("0 %d 1", (int)geteuid());
    SB_AUTO_FREE char *group = sb_format("0 %d 1", (int)getegid());
    if (unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
            return false;
        tell_kernel("/proc/self/setgroups", "deny");
        tell_kernel("/proc/self/uid_map", user);
        tell_kernel("/proc/self/gid_map", group);
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("samebits-test", path, "tmpfs", 0, options) == 0;
}

static void fill(const char *path) {
    char block[4096] = {1};
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, block, sizeof block) > 0)
        continue;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

/* Not only a limit: every call that needs a page fails, folders and names among them. */
START_TEST(what_was_kept_survives_a_full_disk)
{
    static const char other[] = "xxh3:ffffffffffffffffffffffffffffffff";
    char big[40000];
    struct sb_error err = {{0}};
    struct sb_strings_pair found = {0};
    SB_AUTO_FREE char *text = NULL;
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    enter_root();
    sb_folder_close(folder);
    ck_assert_int_eq(mkdir("small", 0755), 0);
    if (!mount_small("small", 128 << 10)) {
        ck_assert_int_eq(sb_folder_create("spare", false, &folder, NULL), 0);
        sb_test_skip("needs mounts: a small file system");
        leave_root();
        return;
    }
    put("run/first", big);
    put("run/second", "of no great length");
    ck_assert_int_eq(chdir("small"), 0);
    ck_assert_int_eq(sb_folder_create("out", false, &folder, NULL), 0);
    ck_assert_int_eq(keep(FINGERPRINT, "../run/first", "w", false, &err), 0);
    fill("ballast");
    ck_assert_int_lt(keep(other, "../run/first", "w", true, &err), 0);
    ck_assert_msg(strstr(err.text, "No space left on device") != NULL, "%s", err.text);
    ck_assert_int_lt(keep(other, "../run/second", "w", true, &err), 0);
    ck_assert_uint_eq(entries(), 1);
    ck_assert(sb_store_has(folder, FINGERPRINT) && !sb_store_has(folder, other));
    ck_assert_int_eq(sb_store_find(folder, FINGERPRINT, &found, NULL), 0);
    ck_assert_int_eq(sb_file_read(found.absolute[0], sizeof big, &text, NULL, NULL), 0);
    ck_assert_str_eq(text, big);
    sb_strings_pair_clear(&found);
    ck_assert_int_eq(access("../run/first", F_OK), 0); /* not lost on the way */
    ck_assert_int_eq(unlink("ballast"), 0);
    ck_assert_msg(keep(other, "../run/first", "w", true, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(entries(), 2);
    ck_assert_int_eq(chdir(root), 0);
    sb_folder_close(folder);
    ck_assert_int_eq(umount2("small", MNT_DETACH), 0);
    ck_assert_int_eq(chdir("/"), 0);
    sb_remove_tree(root, NULL);
}
END_TEST

SB_TEST_MAIN("run-store", files_are_kept_once_and_found_again, the_first_copy_stays,
             parts_lie_beside_what_they_belong_to, the_name_of_the_list_is_refused,
             what_was_not_kept_is_not_found, paths_that_lead_out_are_refused,
             links_are_not_followed, a_file_with_a_second_name_is_copied,
             a_full_disk_leaves_no_half_folder, what_was_kept_survives_a_full_disk)
