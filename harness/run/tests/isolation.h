/* run: what the tests of processes and sandboxes share: a working directory of one's own, one run
 * in it, and the settings in which every test is done: as the tests were called, as an ordinary
 * user who may make user namespaces, and as one who may make nothing, as in a plain container. */
#ifndef SB_RUN_TESTS_ISOLATION_H
#define SB_RUN_TESTS_ISOLATION_H

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/testing.h"

#include <samebits/run.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* ---- Settings ---------------------------------------------------------------------------------
 */

/* Each test has a process of its own, which enters the setting first. */
static bool is_ordinary_user, namespaces_are_forbidden;

static inline void become_nobody(void) {
    is_ordinary_user = true;
    if (geteuid() == 0) {
        ck_assert_int_eq(setgroups(0, NULL), 0);
        ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
        ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
        prctl(PR_SET_DUMPABLE, 1); /* as for a program that was started as this user */
    }
}

static inline void forbid(scmp_filter_ctx filter, int call) {
    ck_assert_int_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0), 0);
}

/* What the default profile of container engines does. */
static inline void forbid_namespaces(void) {
    become_nobody();
    namespaces_are_forbidden = true;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    ck_assert_ptr_nonnull(filter);
    const int calls[] = {SCMP_SYS(unshare),      SCMP_SYS(mount),      SCMP_SYS(umount2),
                         SCMP_SYS(setns),        SCMP_SYS(pivot_root), SCMP_SYS(open_tree),
                         SCMP_SYS(move_mount),   SCMP_SYS(fsopen),     SCMP_SYS(fsmount),
                         SCMP_SYS(mount_setattr)};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        forbid(filter, calls[i]);
    ck_assert_int_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), 0);
    ck_assert_int_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)),
                     0);
    ck_assert_int_eq(seccomp_load(filter), 0);
    seccomp_release(filter);
}

static const struct setting {
    const char *name;
    void (*enter)(void);
} settings[] = {
    {"as called", NULL},
    {"as ordinary user", become_nobody},
    {"without namespaces", forbid_namespaces},
};

static inline bool can_enter(const struct setting *setting) {
    int status = 0;
    pid_t child = setting->enter && geteuid() == 0 ? fork() : -1;
    if (child == 0)
        _exit(setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
              setresuid(NOBODY, NOBODY, NOBODY) < 0);
    return child < 0 || (waitpid(child, &status, 0) == child && status == 0);
}

/* A test could not mount: a skip, unless that is what the setting is about. */
static inline void skip_without_mounts(void) {
    if (namespaces_are_forbidden)
        return;
    sb_test_skip(is_ordinary_user ? "needs user namespaces of ordinary users: to mount in one"
                                  : "needs mount namespaces: to mount in one");
}

/* In the place of all tests of a setting. */
START_TEST(this_setting_cannot_be_had)
{ sb_test_skip("needs another user: to be an ordinary one"); }
END_TEST

static inline int run_in_settings(const char *subject, const TTest *const *tests, size_t n) {
    Suite *suite = suite_create(subject);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        TCase *test_case = tcase_create(settings[i].name);
        bool possible = can_enter(&settings[i]);
        if (settings[i].enter && possible)
            tcase_add_checked_fixture(test_case, settings[i].enter, NULL);
        if (!possible)
            tcase_add_test(test_case, this_setting_cannot_be_had);
        for (size_t j = 0; possible && j < n; j++)
            tcase_add_test(test_case, tests[j]);
        suite_add_tcase(suite, test_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#define SB_TEST_MAIN_IN_SETTINGS(subject, ...)                                                     \
    int main(void) {                                                                               \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_in_settings(subject, tests, sizeof tests / sizeof *tests);                      \
    }

/* ---- Folders and files ------------------------------------------------------------------------
 */

/* A new folder of the given name in a new one; freed by the end of the test's process. */
static inline char *new_folder(const char *name) {
    char parent[] = "/tmp/samebits-test-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(parent));
    char *path = sb_format("%s/%s", parent, name);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    return path;
}

static inline void remove_folder(char *path) {
    char *slash = strrchr(path, '/');
    *slash = '\0';
    sb_remove_tree(path, NULL);
    free(path);
}

static inline void put_file(const char *folder, const char *name, const char *content) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    struct sb_error err = {0};
    ck_assert_msg(sb_file_write(path, content, strlen(content), &err) == 0, "%s", err.text);
}

static inline char *get_file(const char *folder, const char *name) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    char *data = NULL;
    return sb_file_read(path, 1 << 26, &data, NULL, NULL) == 0 ? data : NULL;
}

static inline void assert_file(const char *folder, const char *name, const char *content) {
    SB_AUTO_FREE char *data = get_file(folder, name);
    ck_assert_msg(data != NULL, "%s/%s cannot be read", folder, name);
    ck_assert_str_eq(data, content);
}

static inline bool exists(const char *folder, const char *name) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    struct stat st;
    return lstat(path, &st) == 0;
}

static inline size_t count_entries(const char *path) {
    SB_AUTO_DIR DIR *folder = opendir(path);
    size_t n = 0;
    while (folder && readdir(folder))
        n++;
    return n;
}

static inline size_t count_beside(const char *folder) {
    SB_AUTO_FREE char *parent = sb_format("%s/..", folder);
    return count_entries(parent);
}

/* ---- Sandboxes and runs -----------------------------------------------------------------------
 */

static const enum sb_isolation modes[] = {SB_ISOLATE_OVERLAY, SB_ISOLATE_COPY, SB_ISOLATE_INPLACE};

enum { N_MODES = sizeof modes / sizeof *modes };

/* NULL where this mode cannot be had here. */
static inline struct sb_sandbox *try_open(const char *directory, enum sb_isolation mode,
                                          const char *hidden, struct sb_error *err) {
    const struct sb_sandbox_options options = {
        .mode = mode, .directory = directory, .hidden = hidden};
    struct sb_sandbox *sandbox = NULL;
    return sb_sandbox_open(&options, NULL, &sandbox, err) == 0 ? sandbox : NULL;
}

static inline struct sb_sandbox *open_sandbox(const char *directory, enum sb_isolation mode,
                                              const char *hidden) {
    struct sb_error err = {0};
    struct sb_sandbox *sandbox = try_open(directory, mode, hidden, &err);
    ck_assert_msg(sandbox != NULL, "%s", err.text);
    return sandbox;
}

static inline bool shares(const struct sb_sandbox *sandbox, const char *text) {
    for (const char *const *item = sb_sandbox_shared(sandbox); *item; item++)
        if (strstr(*item, text))
            return true;
    return false;
}

struct test_run {
    struct sb_process *process;
    struct sb_process_end end;
    char *log; /* path */
};

struct test_options {
    const char *script; /* for /bin/sh -c */
    char *const *command;
    char *const *environment;
    const char *path, *hostname;
    bool aslr_off;
    const int *cpus;
    size_t n_cpus;
    uint64_t log_limit;
    double timeout_s, grace_s;
};

static inline int start_run(struct sb_sandbox *sandbox, const struct test_options *options,
                            struct test_run *run, struct sb_error *err) {
    static char *const environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C", NULL};
    char *const shell[] = {(char *)"/bin/sh", (char *)"-c", (char *)options->script, NULL};
    struct sb_setup setup = {
        .environment = (char **)(options->environment ? options->environment : environment),
        .aslr_given = options->aslr_off,
        .hostname = (char *)options->hostname,
        .path = (char *)options->path};
    static unsigned serial;
    run->log = sb_format("/tmp/samebits-test-log-%d-%u", (int)getpid(), serial++);
    const struct sb_process_spec spec = {.setup = &setup,
                                         .command = options->command ? options->command : shell,
                                         .cpus = options->cpus,
                                         .n_cpus = options->n_cpus,
                                         .log_path = run->log,
                                         .log_limit =
                                             options->log_limit ? options->log_limit : 65536,
                                         .timeout_s = options->timeout_s,
                                         .grace_s = options->grace_s ? options->grace_s : 5,
                                         .run_id = "r00001"};
    return sb_process_start(sandbox, &spec, &run->process, err);
}

static inline void wait_run(struct test_run *run) {
    struct sb_error err = {0};
    for (;;) {
        int rc = sb_process_step(run->process, &run->end, &err);
        if (rc == 0)
            return;
        ck_assert_msg(rc == -EAGAIN, "%s", err.text);
        struct pollfd fd = {.fd = sb_process_fd(run->process), .events = POLLIN};
        poll(&fd, 1, sb_process_wait_ms(run->process));
    }
}

static inline struct test_run finish_run(struct sb_sandbox *sandbox,
                                         const struct test_options *options) {
    struct test_run run = {0};
    struct sb_error err = {0};
    ck_assert_msg(start_run(sandbox, options, &run, &err) == 0, "%s", err.text);
    wait_run(&run);
    return run;
}

static inline struct test_run sh(struct sb_sandbox *sandbox, const char *script) {
    return finish_run(sandbox, &(struct test_options){.script = script});
}

static inline void clear_run(struct test_run *run) {
    sb_process_free(run->process);
    sb_process_end_clear(&run->end);
    unlink(run->log);
    free(run->log);
    *run = (struct test_run){0};
}

/* What a run printed, malloc'd. */
static inline char *printed(const struct test_run *run) {
    char *data = NULL;
    ck_assert_int_eq(sb_file_read(run->log, 1 << 26, &data, NULL, NULL), 0);
    return data;
}

static inline void assert_printed(const struct test_run *run, const char *text) {
    SB_AUTO_FREE char *data = printed(run);
    ck_assert_str_eq(data, text);
}

static inline void assert_exit(const struct test_run *run, int code) {
    SB_AUTO_FREE char *data = printed(run);
    ck_assert_msg(run->end.how == SB_ENDED_EXIT && run->end.exit_code == code,
                  "ended as %d with exit code %d, signal %d: %s\n%s", (int)run->end.how,
                  run->end.exit_code, run->end.signal, run->end.message ? run->end.message : "",
                  data);
}

/* Paths that a run wrote, as "a b c". */
static inline char *written(const struct test_run *run, const char *glob) {
    struct sb_strings_pair pair = {0};
    struct sb_text text = {0};
    ck_assert_int_eq(sb_process_written(run->process, glob, &pair, NULL), 0);
    for (size_t i = 0; i < pair.n; i++) {
        struct stat st;
        ck_assert_msg(lstat(pair.absolute[i], &st) == 0 && S_ISREG(st.st_mode), "%s",
                      pair.absolute[i]);
        sb_text_printf(&text, "%s%s", i ? " " : "", pair.relative[i]);
    }
    sb_strings_pair_clear(&pair);
    return sb_text_take(&text);
}

static inline void assert_written(const struct test_run *run, const char *glob, const char *paths) {
    SB_AUTO_FREE char *found = written(run, glob);
    ck_assert_str_eq(found, paths);
}

static inline char *written_content(const struct test_run *run, const char *path) {
    struct sb_strings_pair pair = {0};
    char *data = NULL;
    ck_assert_int_eq(sb_process_written(run->process, path, &pair, NULL), 0);
    ck_assert_uint_eq(pair.n, 1);
    ck_assert_int_eq(sb_file_read(pair.absolute[0], 1 << 20, &data, NULL, NULL), 0);
    sb_strings_pair_clear(&pair);
    return data;
}

/* Is a process alive whose command line has this text? */
static inline bool is_running(const char *mark) {
    SB_AUTO_DIR DIR *proc = opendir("/proc");
    for (struct dirent *found; (found = readdir(proc));) {
        SB_AUTO_FREE char *path = sb_format("/proc/%s/cmdline", found->d_name);
        SB_AUTO_FREE char *line = NULL;
        size_t n = 0;
        if (found->d_name[0] < '0' || found->d_name[0] > '9' ||
            sb_file_read(path, 1 << 20, &line, &n, NULL) < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (line[i] == '\0')
                line[i] = ' ';
        if (n && strstr(line, mark) && atol(found->d_name) != (long)getpid())
            return true;
    }
    return false;
}

#endif
