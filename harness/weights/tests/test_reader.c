/* weights: the jail, the child that parses, and the reader process; with planted crashes. */
#include "base/sanitizer.h"
#include "weights/isolated.h"
#include "weights/tests/files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct place {
    char *folder, *path;
    struct sb_weights_files files;
};

static void write_weights(char *path, float first) {
    static const uint64_t n = 1000;
    float values[1000] = {first, 2, 3};
    const struct sb_tensor tensor = {"layers/dense/vars/0", SB_DTYPE_F32, 1, &n, values};
    struct sb_error err = {0};
    ck_assert_msg(sb_weights_write_hdf5(path, &tensor, 1, &err) == 0, "%s", err.text);
}

static void make_place(struct place *place) {
    place->folder = make_folder();
    place->path = sb_path_join(place->folder, "w.h5");
    place->files = (struct sb_weights_files){.paths = &place->path, .n = 1};
    write_weights(place->path, 1);
}

static void clear_place(struct place *place) {
    free(place->path);
    remove_folder(place->folder);
}

/* Runs work on a good file in a jailed child. */
static int run(sb_isolated_work *work, void *context, char *answer, struct sb_error *err) {
    struct place place;
    struct sb_isolated *isolated;
    SB_AUTO_TEXT struct sb_text received = {0};
    make_place(&place);
    ck_assert_int_eq(sb_isolated_start(&place.files, work, context, &isolated, err), 0);
    ck_assert_int_eq(sb_receive(sb_isolated_fd(isolated), &received, 1000), 0);
    int r = sb_isolated_finish(isolated, err);
    if (answer)
        snprintf(answer, 1000, "%s", received.data ? received.data : "");
    sb_isolated_free(isolated);
    clear_place(&place);
    return r;
}

/* A sanitizer reports a crash itself, and leaves in its own way. */
#if defined(SB_ADDRESS_SANITIZER)
#define CRASHED(signal) ""
#else
#define CRASHED(signal) "crashed on it (" signal
#endif

/* ---- Planted faults -------------------------------------------------------------------------- */

/* Tries what a parser that was taken over would, and answers with what it could do. */
static int try_everything(void *context, const struct sb_weights_file *files, size_t n, int output,
                          struct sb_error *err) {
    (void)n;
    (void)err;
    const char *path = context;
    struct sb_text could = {0};
    char byte;
    if (open(path, O_RDONLY) >= 0)
        sb_text_puts(&could, " read");
    if (open(path, O_WRONLY | O_CREAT, 0600) >= 0)
        sb_text_puts(&could, " create");
    if (unlink(path) == 0)
        sb_text_puts(&could, " unlink");
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        sb_text_puts(&could, " socket");
    if (fork() == 0)
        _exit(0);
    if (errno != EPERM)
        sb_text_puts(&could, " fork");
    if (execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM)
        sb_text_puts(&could, " exec");
    if (kill(getppid(), 0) == 0)
        sb_text_puts(&could, " kill");
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        sb_text_puts(&could, " map-code");
    if (write(files[0].fd, "x", 1) > 0)
        sb_text_puts(&could, " write");
    if (pread(files[0].fd, &byte, 1, 0) != 1)
        sb_text_puts(&could, " not-even-read-the-weights");
    sb_text_puts(&could, ".");
    return sb_write_all(output, could.data, could.length);
}

/* System calls by which a process reaches the network, other programs, other processes or the disk,
 * and those that would take such a way round the filter. Arguments are as good as they can be, so
 * that each would go further than this where it were allowed; none would do harm. */
struct forbidden {
    const char *name;
    long number, arguments[5];
};

/* As libc starts one, which alone is allowed. */
#define A_THREAD                                                                                   \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |            \
     CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const char etc[] = "/etc/passwd", fresh[] = "/tmp/samebits-jail-broken";

static const struct forbidden all_forbidden[] = {
#define CALL(name, ...)                                                                            \
    {                                                                                              \
#name, SYS_##name, {                                                                       \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
    CALL(socket, AF_INET, SOCK_STREAM, 0),
    CALL(socket, AF_INET6, SOCK_DGRAM, 0),
    CALL(socket, AF_UNIX, SOCK_STREAM, 0),
    CALL(socket, AF_NETLINK, SOCK_RAW, 0),
    CALL(socketpair, AF_UNIX, SOCK_STREAM, 0, (long)fresh),
    CALL(sendto, SB_JAIL_OUTPUT, (long)etc, 1, 0, 0),
    CALL(connect, SB_JAIL_OUTPUT, (long)etc, 16),
    CALL(execve, (long)"/bin/true", 0, 0),
    CALL(execveat, AT_FDCWD, (long)"/bin/true", 0, 0, 0),
    CALL(fork),
    CALL(vfork),
    CALL(clone, SIGCHLD, 0, 0, 0, 0),
    CALL(clone, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0, 0),
    CALL(clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0),
    CALL(clone, A_THREAD | CLONE_NEWUTS, 0, 0, 0, 0),
    CALL(clone, A_THREAD | CLONE_NEWNET, 0, 0, 0, 0),
    CALL(clone3, 0, 88),
    CALL(kill, 1, 0),
    CALL(tgkill, 1, 1, 0),
    CALL(ptrace, PTRACE_TRACEME, 0, 0, 0),
    CALL(process_vm_readv, 1, 0, 0, 0, 0),
    CALL(open, (long)etc, O_RDONLY, 0),
    CALL(openat, AT_FDCWD, (long)etc, O_RDONLY, 0),
    CALL(openat, AT_FDCWD, (long)fresh, O_CREAT | O_WRONLY, 0600),
    CALL(openat2, AT_FDCWD, (long)etc, 0, 24),
    CALL(creat, (long)fresh, 0600),
    CALL(mkdir, (long)fresh, 0700),
    CALL(unlink, (long)fresh),
    CALL(rename, (long)fresh, (long)fresh),
    CALL(link, (long)etc, (long)fresh),
    CALL(symlink, (long)etc, (long)fresh),
    CALL(chmod, (long)fresh, 0777),
    CALL(truncate, (long)fresh, 0),
    CALL(memfd_create, (long)"x", 0),
    CALL(write, STDOUT_FILENO, (long)etc, 1),
    CALL(pwrite64, SB_JAIL_OUTPUT, (long)etc, 1, 0),
    CALL(writev, SB_JAIL_OUTPUT, (long)etc, 0),
    CALL(dup, SB_JAIL_OUTPUT),
    CALL(fcntl, SB_JAIL_OUTPUT, F_GETFL),
    CALL(ioctl, SB_JAIL_OUTPUT, 0x5401, 0),
    CALL(io_uring_setup, 1, 0),
    CALL(bpf, 0, 0, 0),
    CALL(keyctl, 0, 0, 0, 0, 0),
    CALL(shmget, 0, 4096, 01600),
    CALL(mount, (long)"none", (long)fresh, (long)"tmpfs", 0, 0),
    CALL(unshare, CLONE_NEWUSER),
    CALL(chroot, (long)fresh),
    CALL(setuid, 0),
    CALL(prctl, PR_SET_DUMPABLE, 1),
    CALL(seccomp, 0, 0, 0),
    CALL(setrlimit, RLIMIT_FSIZE, (long)etc),
    CALL(prlimit64, 0, RLIMIT_FSIZE, (long)etc, 0),
#undef CALL
};

/* Answers with the calls that are not refused as forbidden. */
static int try_all_calls(void *context, const struct sb_weights_file *files, size_t n, int output,
                         struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    (void)err;
    struct sb_text could = {0};
    for (size_t i = 0; i < sizeof all_forbidden / sizeof *all_forbidden; i++) {
        const struct forbidden *call = &all_forbidden[i];
        const long *a = call->arguments;
        errno = 0;
        if (syscall(call->number, a[0], a[1], a[2], a[3], a[4]) == 0 && strstr(call->name, "fork"))
            _exit(1);
        if (errno != EPERM && errno != ENOSYS) /* as clone3, whose flags no filter sees */
            sb_text_printf(&could, " %s", call->name);
    }
    sb_text_putc(&could, '.');
    return sb_write_all(output, could.data, could.length);
}

static void *answer_from_a_thread(void *output) {
    return sb_write_all(*(const int *)output, "thread", 6) == 0 ? output : NULL;
}

static int start_a_thread(void *context, const struct sb_weights_file *files, size_t n, int output,
                          struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    pthread_t thread;
    void *wrote = NULL;
    int rc = pthread_create(&thread, NULL, answer_from_a_thread, &output);
    if (rc == 0)
        rc = pthread_join(thread, &wrote);
    return rc == 0 && wrote ? 0 : sb_error_errno(err, -rc, "a thread");
}

static int write_to_nowhere(void *context, const struct sb_weights_file *files, size_t n,
                            int output, struct sb_error *err) {
    (void)files;
    (void)n;
    (void)output;
    (void)err;
    **(volatile char *volatile *)context = 1;
    return 0;
}

static int trap(void *context, const struct sb_weights_file *files, size_t n, int output,
                struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    (void)output;
    (void)err;
    __builtin_trap();
}

static int end_without_a_word(void *context, const struct sb_weights_file *files, size_t n,
                              int output, struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    (void)output;
    (void)err;
    _exit(0);
}

static int hang_with_closed_output(void *context, const struct sb_weights_file *files, size_t n,
                                   int output, struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    (void)err;
    close(output);
    while (getpid() > 0)
        continue;
    return 0;
}

static int lie(void *context, const struct sb_weights_file *files, size_t n, int output,
               struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    ck_assert_int_eq(sb_write_all(output, "abc", 3), 0);
    return sb_error_set(err, 12345, "\x1b[2Ja lie\n");
}

START_TEST(a_parser_can_do_nothing_but_parse)
{
    char answer[1000];
    struct sb_error err = {0};
    ck_assert_msg(run(try_everything, (void *)"/etc/passwd", answer, &err) == 0, "%s", err.text);
    ck_assert_str_eq(answer, ".");
}
END_TEST

START_TEST(a_parser_may_have_threads)
{
    char answer[1000];
    struct sb_error err = {0};
    if (sb_jail_threads(2) < 2) {
        sb_test_skip("needs a build without sanitizers: the jail does not bear their threads");
        return;
    }
    ck_assert_msg(run(start_a_thread, NULL, answer, &err) == 0, "%s", err.text);
    ck_assert_str_eq(answer, "thread");
}
END_TEST

#if defined(__x86_64__)
START_TEST(no_call_leads_out_of_the_jail)
{
    char answer[1000];
    struct sb_error err = {0};
    ck_assert_msg(run(try_all_calls, NULL, answer, &err) == 0, "%s", err.text);
    ck_assert_str_eq(answer, ".");
    ck_assert_int_ne(access(fresh, F_OK), 0);
}
END_TEST

/* As in a container that gives none: no capability, no way to get one. */
START_TEST(the_jail_needs_no_privilege)
{
    pid_t child = fork();
    if (child == 0) {
        char answer[1000];
        struct sb_error err = {0};
        bool lowered =
            geteuid() != 0 || (setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
                               setresuid(65534, 65534, 65534) == 0);
        setenv("TMPDIR", "/tmp", 1);
        if (!lowered || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
            prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0)
            _exit(2);
        if (run(try_all_calls, NULL, answer, &err) != 0 || strcmp(answer, ".") != 0) {
            fprintf(stderr, "%s%s\n", answer, err.text);
            _exit(1);
        }
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

/* Harmless, since nothing may be holding it back. */
static int look_round(void *context, const struct sb_weights_file *files, size_t n, int output,
                      struct sb_error *err) {
    (void)context;
    (void)files;
    (void)n;
    (void)err;
    char text[100];
    struct rlimit limit = {0};
    bool opened = open(etc, O_RDONLY | O_CLOEXEC) >= 0;
    getrlimit(RLIMIT_FSIZE, &limit);
    int length = snprintf(text, sizeof text, "%s, and may write %llu bytes to files",
                          opened ? "opened" : "held back", (unsigned long long)limit.rlim_max);
    return sb_write_all(output, text, (size_t)length);
}

/* A container may forbid further filters. The limits are left then, and files are read. */
START_TEST(where_no_filter_can_be_had_limits_are_left)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof refuse / sizeof *refuse, refuse};
    struct place place;
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    char answer[1000];
    make_place(&place);
    ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
    ck_assert_msg(sb_weights_fingerprint(&place.files, NULL, &found, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(found.n_tensors, 1);
    sb_fingerprint_clear(&found);
    ck_assert_msg(run(look_round, NULL, answer, &err) == 0, "%s", err.text);
    ck_assert_str_eq(answer, "opened, and may write 0 bytes to files");
    clear_place(&place);
}
END_TEST
#endif

START_TEST(a_crash_is_the_files_error)
{
    struct sb_error err = {0};
    char *nowhere = NULL;
    ck_assert_int_eq(run(write_to_nowhere, &nowhere, NULL, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "/w.h5: the parser " CRASHED("SIGSEGV")) != NULL, "%s",
                  err.text);
    ck_assert_int_eq(run(trap, NULL, NULL, &err), -EBADMSG);
    ck_assert_msg(strstr(err.text, "/w.h5: the parser " CRASHED("SIG")) != NULL, "%s", err.text);
}
END_TEST

START_TEST(every_death_is_told_apart)
{
    static const struct {
        int wait_status;
        const char *says;
    } deaths[] = {
        {SIGBUS, "b: the parser crashed on it (SIGBUS)"},
        {SIGXCPU, "b: the parser took more than 61 s of CPU time on it"},
        {SIGKILL, "b: the parser was killed on it (out of memory?)"},
        {0, "b: the parser ended on it without a word"},
    };
    char a[] = "a", b[] = "b", *paths[] = {a, b};
    const struct sb_weights_files files = {.paths = paths, .n = 2};
    struct sb_isolated_page page = {.file = 2, .cpu_seconds = 61};
    struct sb_error err = {0};
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        ck_assert_int_eq(sb_isolated_outcome(&page, deaths[i].wait_status, &files, &err), -EBADMSG);
        ck_assert_str_eq(err.text, deaths[i].says);
    }
    page.file = 77; /* a page that was scribbled on */
    ck_assert_int_eq(sb_isolated_outcome(&page, SIGSEGV, &files, &err), -EBADMSG);
}
END_TEST

START_TEST(a_parser_that_says_nothing_or_lies_is_no_danger)
{
    struct sb_error err = {0};
    ck_assert_int_eq(run(end_without_a_word, NULL, NULL, &err), -EBADMSG);
    ck_assert_int_eq(run(hang_with_closed_output, NULL, NULL, &err), -EBADMSG);
    ck_assert_int_eq(run(lie, NULL, NULL, &err), -EBADMSG);
    ck_assert_str_eq(err.text, "?[2Ja lie?");
}
END_TEST

/* ---- The reader process ---------------------------------------------------------------------- */

static int wait_for(struct sb_reading *reading, struct sb_fingerprint *fingerprint,
                    struct sb_error *err) {
    int r;
    do {
        struct pollfd polled = {.fd = sb_reading_fd(reading), .events = POLLIN};
        ck_assert_int_eq(poll(&polled, 1, 20000), 1);
        r = sb_reading_step(reading, fingerprint, err);
    } while (r == -EAGAIN);
    return r;
}

START_TEST(many_readings_at_once_give_each_its_own_answer)
{
    enum { N = 40 };
    struct sb_reader *reader;
    struct sb_reading *readings[N];
    struct sb_error err = {0};
    char *folder = make_folder(), *paths[N];
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    for (int i = 0; i < N; i++) {
        SB_AUTO_FREE char *name = sb_format("%d.h5", i);
        paths[i] = sb_path_join(folder, name);
        if (i % 5 == 4)
            ck_assert_int_eq(sb_file_write(paths[i], "nonsense", 8, NULL), 0);
        else
            write_weights(paths[i], (float)i);
        const struct sb_weights_files files = {.paths = &paths[i], .n = 1};
        ck_assert_int_eq(sb_reading_start(reader, &files, NULL, &readings[i], &err), 0);
    }
    for (int i = N - 1; i >= 0; i--) {
        struct sb_fingerprint found = {0}, expected = {0};
        int r = wait_for(readings[i], &found, &err);
        if (i % 5 == 4) {
            ck_assert_int_eq(r, -EBADMSG);
            ck_assert_msg(strstr(err.text, paths[i]) == err.text, "%s", err.text);
        } else {
            ck_assert_msg(r == 0, "%s", err.text);
            ck_assert_int_eq(read_here(paths[i], NULL, &expected, &err), 0);
            ck_assert_str_eq(found.text, expected.text);
        }
        sb_fingerprint_clear(&found);
        sb_fingerprint_clear(&expected);
        sb_reading_free(readings[i]);
        free(paths[i]);
    }
    sb_reader_stop(reader);
    remove_folder(folder);
}
END_TEST

START_TEST(options_reach_the_reader)
{
    struct place place;
    struct sb_reader *reader;
    struct sb_reading *reading;
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    char all[] = "**", *exclude[] = {all};
    struct sb_weights_options options = {.digest = SB_DIGEST_SHA256};
    make_place(&place);
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    ck_assert_int_eq(sb_reading_start(reader, &place.files, &options, &reading, &err), 0);
    ck_assert_int_eq(wait_for(reading, &found, &err), 0);
    ck_assert_msg(strncmp(found.text, "sha256:", 7) == 0, "%s", found.text);
    sb_fingerprint_clear(&found);
    sb_reading_free(reading);
    options.exclude = exclude;
    options.n_exclude = 1;
    ck_assert_int_eq(sb_reading_start(reader, &place.files, &options, &reading, &err), 0);
    ck_assert_int_eq(wait_for(reading, &found, &err), -ENODATA);
    sb_reading_free(reading);
    sb_reader_stop(reader);
    clear_place(&place);
}
END_TEST

/* The only child of this test is the reader. */
static pid_t only_child(void) {
    SB_AUTO_FREE char *text = NULL;
    SB_AUTO_FREE char *path = sb_format("/proc/self/task/%d/children", (int)gettid());
    ck_assert_int_eq(sb_file_read(path, 4096, &text, NULL, NULL), 0);
    return (pid_t)strtol(text, NULL, 10);
}

START_TEST(a_reader_that_was_killed_is_replaced)
{
    struct place place;
    struct sb_reader *reader;
    struct sb_reading *reading;
    struct sb_fingerprint found = {0};
    struct sb_error err = {0};
    make_place(&place);
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    pid_t pid = only_child();
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_msg(sb_reading_start(reader, &place.files, NULL, &reading, &err) == 0, "%s",
                  err.text);
    ck_assert_msg(wait_for(reading, &found, &err) == 0, "%s", err.text);
    sb_fingerprint_clear(&found);
    sb_reading_free(reading);
    sb_reader_stop(reader);
    clear_place(&place);
}
END_TEST

START_TEST(a_reading_that_nobody_wants_any_more_ends)
{
    struct place place;
    struct sb_reader *reader;
    struct sb_reading *reading;
    struct sb_error err = {0};
    make_place(&place);
    ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(sb_reading_start(reader, &place.files, NULL, &reading, &err), 0);
        sb_reading_free(reading);
    }
    sb_reader_stop(reader); /* ends too, with readings under way */
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    clear_place(&place);
}
END_TEST

START_TEST(descriptors_are_not_left_behind)
{
    struct place place;
    struct sb_reader *reader;
    struct sb_reading *reading;
    struct sb_error err = {0};
    make_place(&place);
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 3; i++) {
        struct sb_fingerprint found = {0};
        ck_assert_int_eq(sb_reader_start(&reader, &err), 0);
        ck_assert_int_eq(sb_reading_start(reader, &place.files, NULL, &reading, &err), 0);
        ck_assert_int_eq(wait_for(reading, &found, &err), 0);
        sb_fingerprint_clear(&found);
        sb_reading_free(reading);
        sb_reader_stop(reader);
        ck_assert_int_eq(sb_weights_fingerprint(&place.files, NULL, &found, &err), 0);
        sb_fingerprint_clear(&found);
    }
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    ck_assert_int_eq(before, after);
    clear_place(&place);
}
END_TEST

#if !defined(__x86_64__) /* whose list of calls the tests go by */
#define ON_X86
#else
#define ON_X86                                                                                     \
    no_call_leads_out_of_the_jail, the_jail_needs_no_privilege,                                    \
        where_no_filter_can_be_had_limits_are_left,
#endif

SB_TEST_MAIN("weights-reader", ON_X86 a_parser_can_do_nothing_but_parse, a_parser_may_have_threads,
             a_crash_is_the_files_error, every_death_is_told_apart,
             a_parser_that_says_nothing_or_lies_is_no_danger,
             many_readings_at_once_give_each_its_own_answer, options_reach_the_reader,
             a_reader_that_was_killed_is_replaced, a_reading_that_nobody_wants_any_more_ends,
             descriptors_are_not_left_behind)
