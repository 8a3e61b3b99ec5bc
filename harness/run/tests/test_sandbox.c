/* run: what runs see of the working directory, what of their writing is found, and that the
 * directory is afterwards as it was. */
#include "run/process.h"
#include "run/sandbox.h"
#include "run/tests/isolation.h"

#include <utime.h>

/* Every mode that can be had here; in place and a copy always can. */
static void in_each_mode(const char *name, void (*body)(const char *, struct sb_sandbox *)) {
    for (size_t i = 0; i < N_MODES; i++) {
        struct sb_error err = {0};
        char *folder = new_folder(name);
        put_file(folder, "old.h5", "old weights");
        put_file(folder, "input", "1 2 3");
        SB_AUTO_FREE char *sub = sb_path_join(folder, "sub");
        ck_assert_int_eq(mkdir(sub, 0755), 0);
        put_file(folder, "sub/data", "deep");
        struct sb_sandbox *sandbox = try_open(folder, modes[i], NULL, &err);
        if (!sandbox && modes[i] == SB_ISOLATE_OVERLAY) {
            remove_folder(folder);
            continue;
        }
        ck_assert_msg(sandbox != NULL, "%s: %s", sb_isolation_names[modes[i]], err.text);
        ck_assert_int_eq(sb_sandbox_mode(sandbox), modes[i]);
        body(folder, sandbox);
        sb_sandbox_close(sandbox);
        assert_file(folder, "old.h5", "old weights");
        assert_file(folder, "input", "1 2 3");
        assert_file(folder, "sub/data", "deep");
        ck_assert_uint_eq(count_entries(folder), 5);
        ck_assert_uint_eq(count_entries(sub), 3);
        ck_assert_uint_eq(count_beside(folder), 3);
        remove_folder(folder);
    }
}

static void body_finds_writes(const char *folder, struct sb_sandbox *sandbox) {
    static const char script[] =
        "cat input; ls; mkdir out; printf new > out/w.h5; printf more >> old.h5; echo > 'a b,c:d'";
    for (int i = 0; i < 2; i++) { /* the second sees nothing of the first */
        struct test_run run = sh(sandbox, script);
        assert_exit(&run, 0);
        assert_printed(&run, "1 2 3input\nold.h5\nsub\n");
        assert_written(&run, NULL, "a b,c:d old.h5 out/w.h5");
        assert_written(&run, "*.h5", "old.h5");
        assert_written(&run, "**/*.h5", "old.h5 out/w.h5");
        SB_AUTO_FREE char *content = written_content(&run, "old.h5");
        ck_assert_str_eq(content, "old weightsmore");
        assert_file(folder, "old.h5", "old weights");
        ck_assert(!exists(folder, "out"));
        clear_run(&run);
    }
}

START_TEST(writes_are_found_and_gone_afterwards)
{ in_each_mode("work", body_finds_writes); }
END_TEST

START_TEST(odd_names_are_names_as_all_others)
{ in_each_mode("a folder, with:colons \\040 and\nline = \"quotes\"%s", body_finds_writes); }
END_TEST

static void body_old_files(const char *folder, struct sb_sandbox *sandbox) {
    (void)folder;
    struct test_run run = sh(sandbox, "cat old.h5 > /dev/null; chmod 600 old.h5");
    assert_exit(&run, 0);
    assert_written(&run, NULL, "");
    clear_run(&run);
    run = sh(sandbox, "mv old.h5 weights.h5");
    assert_exit(&run, 0);
    assert_written(&run, NULL, "");
    clear_run(&run);
    run = sh(sandbox, "mv old.h5 sub/weights.h5; ls sub");
    assert_printed(&run, "data\nweights.h5\n");
    assert_written(&run, NULL, "");
    clear_run(&run);
}

START_TEST(a_file_left_over_from_before_is_not_written)
{ in_each_mode("work", body_old_files); }
END_TEST

static void body_rewrites(const char *folder, struct sb_sandbox *sandbox) {
    static const char *const scripts[] = {"printf 'old weights' > old.h5",
                                          "printf 'old weights' > t; mv t old.h5",
                                          "rm old.h5; cp input old.h5"};
    (void)folder;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct test_run run = sh(sandbox, scripts[i]);
        assert_exit(&run, 0);
        assert_written(&run, NULL, "old.h5");
        clear_run(&run);
    }
}

START_TEST(a_file_rewritten_with_equal_content_is_written)
{ in_each_mode("work", body_rewrites); }
END_TEST

static void body_destroys(const char *folder, struct sb_sandbox *sandbox) {
    static const char script[] =
        "ls -R; stat -c '%a %Y' old.h5 sub sub/data; rm -rf ./*; "
        "printf x > sub; mkdir old.h5; ln -s /etc input; chmod 700 .";
    SB_AUTO_FREE char *first = NULL;
    for (int i = 0; i < 2; i++) {
        struct test_run run = sh(sandbox, script);
        assert_exit(&run, 0);
        assert_written(&run, NULL, "sub");
        SB_AUTO_FREE char *log = printed(&run);
        if (first)
            ck_assert_str_eq(log, first);
        else
            first = sb_steal_pointer(&log);
        clear_run(&run);
        assert_file(folder, "sub/data", "deep");
    }
}

START_TEST(what_a_run_destroys_is_whole_for_the_next)
{ in_each_mode("work", body_destroys); }
END_TEST

static void body_no_files(const char *folder, struct sb_sandbox *sandbox) {
    (void)folder;
    struct test_run run = sh(sandbox,
                             "ln -s /etc/passwd weights.h5; mkfifo pipe.h5; ln -s /etc away; "
                             "mkdir real.h5; ln -s real.h5 loop; mkdir deep; ln -s .. deep/up");
    assert_exit(&run, 0);
    assert_written(&run, "**", "");
    clear_run(&run);
}

START_TEST(links_pipes_and_folders_are_no_weights)
{ in_each_mode("work", body_no_files); }
END_TEST

static void body_two_at_once(const char *folder, struct sb_sandbox *sandbox) {
    (void)folder;
    struct test_run a = {0}, b = {0};
    struct sb_error err = {0};
    const struct test_options options = {
        .script =
            "echo $$ > mine; echo $$ > $TMPDIR/mine; sleep 0.2; cat mine $TMPDIR/mine; "
            "echo $$; ls"};
    ck_assert_int_eq(start_run(sandbox, &options, &a, &err), 0);
    int second = start_run(sandbox, &options, &b, &err);
    if (sb_sandbox_concurrency(sandbox) == 1) {
        ck_assert_int_eq(second, -EBUSY);
        free(b.log);
    } else {
        ck_assert_int_eq(second, 0);
        wait_run(&b);
        assert_exit(&b, 0);
        assert_written(&b, NULL, "mine");
    }
    wait_run(&a);
    SB_AUTO_FREE char *log = printed(&a);
    int one, two, three;
    char rest[64];
    ck_assert_int_eq(sscanf(log, "%d %d %d %63[^\001]", &one, &two, &three, rest), 4);
    ck_assert_int_eq(one, three);
    ck_assert_int_eq(two, three);
    ck_assert_str_eq(rest, "input\nmine\nold.h5\nsub\n");
    clear_run(&a);
    if (second == 0)
        clear_run(&b);
}

START_TEST(runs_at_the_same_time_do_not_see_each_other)
{ in_each_mode("work", body_two_at_once); }
END_TEST

START_TEST(a_read_only_folder_stays_so)
{
    for (size_t i = 0; i < N_MODES; i++) {
        struct sb_error err = {0};
        char *folder = new_folder("work");
        put_file(folder, "input", "1 2 3");
        chmod(folder, 0555);
        struct sb_sandbox *sandbox = try_open(folder, modes[i], NULL, &err);
        ck_assert_msg(sandbox != NULL || modes[i] == SB_ISOLATE_OVERLAY, "%s", err.text);
        if (sandbox) {
            struct test_run run = sh(sandbox, "cat input; stat -c ' %a' .; echo x > $TMPDIR/x");
            assert_exit(&run, 0);
            assert_printed(&run, "1 2 3 555\n");
            assert_written(&run, NULL, "");
            clear_run(&run);
            sb_sandbox_close(sandbox);
        }
        chmod(folder, 0755);
        remove_folder(folder);
    }
}
END_TEST

static void hide_and_run(struct sb_sandbox *sandbox, const char *hidden) {
    struct test_run run = {0};
    SB_AUTO_FREE char *added = sb_path_join(hidden, "added");
    const struct test_options options = {
        .script = "ls results; sleep 0.1; echo x > results/weights; echo x > weights"};
    ck_assert_int_eq(start_run(sandbox, &options, &run, NULL), 0);
    usleep(50000);
    put_file(hidden, "added", "while it runs"); /* as the journal is */
    wait_run(&run);
    assert_file(hidden, "added", "while it runs");
    unlink(added);
    SB_AUTO_FREE char *log = printed(&run);
    if (sb_sandbox_concurrency(sandbox) > 1)
        ck_assert_str_eq(log, "");
    assert_written(&run, NULL, "weights");
    clear_run(&run);
}

START_TEST(the_results_folder_is_out_of_reach)
{
    for (size_t i = 0; i < N_MODES; i++) {
        char *folder = new_folder("work");
        SB_AUTO_FREE char *hidden = sb_path_join(folder, "results");
        mkdir(hidden, 0755);
        put_file(hidden, "journal", "kept");
        struct sb_sandbox *sandbox = try_open(folder, modes[i], hidden, NULL);
        if (sandbox) {
            hide_and_run(sandbox, hidden);
            hide_and_run(sandbox, hidden);
            sb_sandbox_close(sandbox);
        }
        assert_file(hidden, "journal", "kept");
        ck_assert(!exists(folder, "weights"));
        remove_folder(folder);
    }
}
END_TEST

START_TEST(what_is_not_isolated_is_said)
{
    char *folder = new_folder("work");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    ck_assert(shares(sandbox, "$HOME"));
    ck_assert(shares(sandbox, "/dev/shm"));
    ck_assert(shares(sandbox, "ports"));
    if (sb_sandbox_mode(sandbox) == SB_ISOLATE_INPLACE) {
        ck_assert(shares(sandbox, "one run at a time"));
        ck_assert(shares(sandbox, "not isolated better, because overlay: "));
    }
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

START_TEST(automatic_takes_the_best_that_works)
{
    char *folder = new_folder("work");
    struct sb_sandbox *best = NULL;
    for (size_t i = 0; i < N_MODES && !best; i++) {
        best = try_open(folder, modes[i], NULL, NULL);
        if (best && sb_sandbox_concurrency(best) == 1 &&
            sb_sandbox_mode(best) != SB_ISOLATE_INPLACE) {
            sb_sandbox_close(best); /* never moves the user's folder unasked */
            best = NULL;
        }
    }
    ck_assert_ptr_nonnull(best);
    enum sb_isolation mode = sb_sandbox_mode(best);
    sb_sandbox_close(best);
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    ck_assert_int_eq(sb_sandbox_mode(sandbox), mode);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

START_TEST(a_mode_that_cannot_be_had_says_why)
{
    struct sb_error err = {0};
    char *folder = new_folder("work");
    struct sb_sandbox *sandbox = try_open(folder, SB_ISOLATE_OVERLAY, NULL, &err);
    if (!sandbox) {
        ck_assert_ptr_nonnull(strstr(err.text, "overlay: "));
        ck_assert_ptr_nonnull(strstr(err.text, "in a user namespace: "));
        ck_assert_ptr_nonnull(strstr(err.text, "--isolate inplace"));
    }
    sb_sandbox_close(sandbox);
    ck_assert_ptr_null(try_open("/", SB_ISOLATE_AUTO, NULL, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "the working directory is /"));
    ck_assert_ptr_null(try_open("/does/not/exist", SB_ISOLATE_AUTO, NULL, &err));
    ck_assert_str_eq(err.text, "/does/not/exist: No such file or directory");
    remove_folder(folder);
}
END_TEST

START_TEST(files_of_other_owners_are_no_obstacle)
{
    char *folder = new_folder("work");
    put_file(folder, "mine", "mine");
    put_file(folder, "theirs", "secret");
    SB_AUTO_FREE char *theirs = sb_path_join(folder, "theirs");
    bool own = geteuid() != 0;
    if (own) {
        chmod(theirs, 0);
    } else {
        SB_AUTO_FREE char *parent = sb_format("%s/..", folder);
        ck_assert_int_eq(chown(parent, NOBODY, NOBODY), 0);
        ck_assert_int_eq(chown(folder, NOBODY, NOBODY), 0);
        ck_assert_int_eq(chown(theirs, 1, 1), 0);
        chmod(theirs, 0600);
        become_nobody();
    }
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_AUTO, NULL);
    struct test_run run = sh(sandbox, "cat theirs 2>/dev/null; cat mine; echo x > w");
    assert_exit(&run, 0);
    assert_printed(&run, "mine");
    assert_written(&run, NULL, "w");
    clear_run(&run);
    sb_sandbox_close(sandbox);
    /* A copy without them would be another folder. */
    sandbox = open_sandbox(folder, SB_ISOLATE_COPY, NULL);
    run = sh(sandbox, "true");
    if (!own || run.end.how == SB_ENDED_NOT_STARTED) { /* who made a user namespace may read it */
        ck_assert_int_eq(run.end.how, SB_ENDED_NOT_STARTED);
        ck_assert_ptr_nonnull(strstr(run.end.message, "/theirs: Permission denied"));
    }
    clear_run(&run);
    sb_sandbox_close(sandbox);
    ck_assert(exists(folder, "theirs"));
    remove_folder(folder);
}
END_TEST

START_TEST(what_others_add_between_runs_in_place_stays)
{
    char *folder = new_folder("work");
    put_file(folder, "input", "1");
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_INPLACE, NULL);
    struct test_run run = sh(sandbox, "echo x > w");
    clear_run(&run);
    put_file(folder, "added", "by the user");
    put_file(folder, "input", "2");
    run = sh(sandbox, "cat input; echo x > input; rm added");
    assert_printed(&run, "2");
    clear_run(&run);
    sb_sandbox_close(sandbox);
    assert_file(folder, "added", "by the user");
    assert_file(folder, "input", "2");
    remove_folder(folder);
}
END_TEST

START_TEST(a_folder_too_large_to_copy_is_not_put_back_and_that_is_said)
{
    char *folder = new_folder("work");
    put_file(folder, "input", "1");
    SB_AUTO_FREE char *large = sb_path_join(folder, "large");
    int fd = open(large, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(ftruncate(fd, (off_t)3 << 30), 0); /* a hole: it takes no room */
    close(fd);
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_INPLACE, NULL);
    ck_assert(shares(sandbox, "more than 1024 MiB): files that a run changes or removes are not"));
    struct test_run run = sh(sandbox, "echo 2 > input; echo x > w");
    assert_written(&run, NULL, "input w");
    ck_assert_str_eq(run.end.message, "changed or removed 1 file that could not be put back");
    clear_run(&run);
    ck_assert(!exists(folder, "w"));
    run = sh(sandbox, "true");
    assert_written(&run, NULL, "");
    ck_assert_ptr_null(run.end.message);
    clear_run(&run);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

START_TEST(copies_keep_modes_times_links_and_holes)
{
    char *folder = new_folder("work");
    put_file(folder, "a", "one");
    SB_AUTO_FREE char *a = sb_path_join(folder, "a");
    SB_AUTO_FREE char *b = sb_path_join(folder, "b");
    SB_AUTO_FREE char *hole = sb_path_join(folder, "hole");
    SB_AUTO_FREE char *soft = sb_path_join(folder, "soft");
    ck_assert_int_eq(link(a, b), 0);
    chmod(a, 0751);
    utime(a, &(struct utimbuf){1000, 2000});
    ck_assert_int_eq(symlink("a", soft), 0);
    int fd = open(hole, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(ftruncate(fd, 64 << 20), 0);
    ck_assert_int_eq(pwrite(fd, "end", 3, (64 << 20) - 3), 3);
    close(fd);
    struct sb_sandbox *sandbox = open_sandbox(folder, SB_ISOLATE_COPY, NULL);
    struct test_run run = sh(sandbox,
                             "stat -c '%a %Y %h' a; readlink soft; [ a -ef b ] && echo "
                             "linked; tail -c3 hole; echo; stat -c %s hole; [ $(stat -c "
                             "%b hole) -lt 1000 ] && echo sparse");
    assert_printed(&run, "751 2000 2\na\nlinked\nend\n67108864\nsparse\n");
    assert_written(&run, NULL, "");
    clear_run(&run);
    sb_sandbox_close(sandbox);
    remove_folder(folder);
}
END_TEST

SB_TEST_MAIN_IN_SETTINGS(
    "run-sandbox", writes_are_found_and_gone_afterwards, odd_names_are_names_as_all_others,
    a_file_left_over_from_before_is_not_written, a_file_rewritten_with_equal_content_is_written,
    what_a_run_destroys_is_whole_for_the_next, links_pipes_and_folders_are_no_weights,
    runs_at_the_same_time_do_not_see_each_other, a_read_only_folder_stays_so,
    the_results_folder_is_out_of_reach, what_is_not_isolated_is_said,
    automatic_takes_the_best_that_works, a_mode_that_cannot_be_had_says_why,
    files_of_other_owners_are_no_obstacle, what_others_add_between_runs_in_place_stays,
    a_folder_too_large_to_copy_is_not_put_back_and_that_is_said,
    copies_keep_modes_times_links_and_holes)
