/* run: layers that serve more than one run: nothing of one may reach the next. */
#include "run/process.h"
#include "run/sandbox.h"
#include "run/tests/isolation.h"

#include <sys/xattr.h>

/* All that a run can tell of its folders. */
static const char look[] =
    "stat -c '%a %u %g %s %Y' . ; ls -lA --time-style=+%s . sub; cat old; "
    "stat -c '%a %u %g %s' \"$TMPDIR\"; ls -lA \"$TMPDIR\"";

static const char *const deeds[] = {
    "true",
    "echo new >new",
    "echo new >new; rm new",
    "chmod 700 .",
    "touch -d @1000000 .",
    "echo more >>old",
    "rm old",
    "mv old sub/old",
    "rm -r sub; mkdir sub",
    "ln -s old link",
    "echo left >\"$TMPDIR/left\"",
    "mkdir \"$TMPDIR/left\"; rmdir \"$TMPDIR/left\"",
    "i=0; while [ $i -lt 100 ]; do : >f$i; : >\"$TMPDIR/f$i\"; i=$((i + 1)); done",
};

static struct sb_sandbox *open_filled(enum sb_isolation mode, char **folder) {
    struct sb_error err = {0};
    *folder = new_folder("work");
    put_file(*folder, "old", "old\n");
    SB_AUTO_FREE char *sub = sb_path_join(*folder, "sub");
    ck_assert_int_eq(mkdir(sub, 0755), 0);
    put_file(sub, "file", "one\n");
    struct sb_sandbox *sandbox = try_open(*folder, mode, NULL, &err);
    if (!sandbox)
        remove_folder(*folder);
    return sandbox;
}

static void close_filled(struct sb_sandbox *sandbox, char *folder) {
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}

static char *said(struct sb_sandbox *sandbox, const char *script) {
    struct test_run run = sh(sandbox, script);
    assert_exit(&run, 0);
    char *text = printed(&run);
    clear_run(&run);
    return text;
}

/* With a pause a guard gets to empty layers and to prepare the next view. */
static void assert_traceless(struct sb_sandbox *sandbox, const char *reference, const char *deed,
                             unsigned pause_us) {
    free(said(sandbox, deed));
    usleep(pause_us);
    SB_AUTO_FREE char *seen = said(sandbox, look);
    ck_assert_msg(strcmp(seen, reference) == 0, "after '%s':\n%sinstead of\n%s", deed, seen,
                  reference);
}

START_TEST(nothing_of_a_run_reaches_the_next)
{
    for (size_t m = 0; m < N_MODES; m++) {
        char *folder;
        struct sb_sandbox *sandbox = open_filled(modes[m], &folder);
        if (!sandbox)
            continue;
        SB_AUTO_FREE char *reference = said(sandbox, look);
        for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
            assert_traceless(sandbox, reference, deeds[i], 0);
            assert_traceless(sandbox, reference, deeds[i], 10000);
        }
        close_filled(sandbox, folder);
    }
}
END_TEST

START_TEST(what_changes_between_runs_is_seen)
{
    for (size_t m = 0; m < N_MODES; m++) {
        char *folder;
        struct sb_sandbox *sandbox = open_filled(modes[m], &folder);
        if (!sandbox)
            continue;
        const char *const script = "cat old; cat added; cat sub/file; true";
        free(said(sandbox, script));
        put_file(folder, "old", "newer\n");
        put_file(folder, "added", "added\n");
        SB_AUTO_FREE char *next = said(sandbox, script);
        ck_assert_ptr_nonnull(strstr(next, "newer\nadded\n"));
        /* Deeper down an overlay may show what it has seen for a second. */
        put_file(folder, "sub/file", "two\n");
        usleep(1100000);
        SB_AUTO_FREE char *later = said(sandbox, script);
        ck_assert_ptr_nonnull(strstr(later, "two\n"));
        close_filled(sandbox, folder);
    }
}
END_TEST

/* The folder mounted over TMPDIR is the layer's. */
START_TEST(a_view_left_as_it_was_serves_the_next_run)
{
    char *folder;
    struct sb_sandbox *sandbox = open_filled(SB_ISOLATE_OVERLAY, &folder);
    if (!sandbox)
        return; /* no mount namespaces in this setting */
    const char *const script = "stat -c %i \"$TMPDIR\"";
    bool same = false;
    /* A machine may be too busy for two runs in a second. */
    for (int i = 0; i < 20 && !same; i++) {
        SB_AUTO_FREE char *first = said(sandbox, script);
        SB_AUTO_FREE char *second = said(sandbox, script);
        same = strcmp(first, second) == 0;
    }
    ck_assert(same);
    /* A folder's number may be given again to one that is made when it is gone. */
    for (int i = 0; i < 20 && same; i++) {
        SB_AUTO_FREE char *before = said(sandbox, "stat -c %i \"$TMPDIR\"; echo new >new");
        SB_AUTO_FREE char *after = said(sandbox, script);
        same = strcmp(before, after) == 0;
    }
    ck_assert(!same);
    close_filled(sandbox, folder);
}
END_TEST

static void touch_attribute(const char *path) {
    if (setxattr(path, "user.samebits", "x", 1, 0) < 0) /* a file system without any */
        ck_assert_int_eq(chmod(path, 0711), 0);
}

static void touch_mode(const char *path) {
    ck_assert_int_eq(chmod(path, 0711), 0);
}

static void touch_content(const char *path) {
    put_file(path, "file", "");
}

static void touch_times(const char *path) {
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* What came and went leaves the time of the last change. */
static void touch_and_go(const char *path) {
    usleep(20000); /* file times have a coarse clock */
    put_file(path, "file", "");
    SB_AUTO_FREE char *file = sb_path_join(path, "file");
    ck_assert_int_eq(unlink(file), 0);
}

static void replace(const char *path) {
    SB_AUTO_FREE char *away = sb_format("%s.away", path);
    ck_assert_int_eq(rename(path, away), 0);
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

START_TEST(every_touch_is_noticed)
{
    void (*const touches[])(const char *) = {touch_attribute, touch_mode,   touch_content,
                                             touch_times,     touch_and_go, replace};
    for (size_t i = 0; i < sizeof touches / sizeof *touches; i++) {
        char *folder = new_folder("empty");
        struct sb_untouched noted;
        ck_assert_int_eq(sb_untouched_note(folder, &noted), 0);
        ck_assert(sb_untouched_still(folder, &noted));
        touches[i](folder);
        ck_assert_msg(!sb_untouched_still(folder, &noted), "touch %zu", i);
        remove_folder(folder);
    }
}
END_TEST

START_TEST(runs_that_print_nothing_have_empty_logs_of_their_own_names)
{
    char *folder;
    struct sb_sandbox *sandbox = open_filled(SB_ISOLATE_AUTO, &folder);
    ck_assert_ptr_nonnull(sandbox);
    struct test_run silent[2] = {sh(sandbox, "true"), sh(sandbox, "true")};
    struct test_run loud = sh(sandbox, "echo loud");
    assert_printed(&silent[0], "");
    assert_printed(&silent[1], "");
    assert_printed(&loud, "loud\n");
    /* Who writes a log anew takes it from its name, and not from the others. */
    int log_folder = -1;
    ck_assert_int_eq(sb_log_begin(silent[0].log, &log_folder, NULL), 0);
    ck_assert_int_eq(access(silent[0].log, F_OK), -1);
    close(log_folder);
    assert_printed(&silent[1], "");
    for (size_t i = 0; i < 2; i++)
        clear_run(&silent[i]);
    clear_run(&loud);
    close_filled(sandbox, folder);
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS("run/layers", nothing_of_a_run_reaches_the_next,
                         what_changes_between_runs_is_seen,
                         a_view_left_as_it_was_serves_the_next_run, every_touch_is_noticed,
                         runs_that_print_nothing_have_empty_logs_of_their_own_names)
