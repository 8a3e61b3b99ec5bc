/* Stage 4, weights: the child that parses. See weights/isolated.h. */
#include "weights/isolated.h"

#include "base/cleanup.h"
#include "base/sanitizer.h"
#include "weights/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MOST_RECEIVED (UINT64_C(1) << 30)

struct sb_isolated {
    pid_t pid;
    int fd;
    struct sb_isolated_page *page;
    struct sb_weights_files files;
};

int sb_weights_files_copy(const struct sb_weights_files *files, struct sb_weights_files *copy) {
    struct sb_weights_files made = {.n = files->n};
    made.paths = calloc(files->n + 1, sizeof *made.paths);
    made.prefixes = files->prefixes ? calloc(files->n + 1, sizeof *made.prefixes) : NULL;
    bool failed = !made.paths || (files->prefixes && !made.prefixes);
    for (size_t i = 0; i < files->n && !failed; i++) {
        made.paths[i] = strdup(files->paths[i]);
        failed = !made.paths[i];
        if (made.prefixes && !failed) {
            made.prefixes[i] = strdup(files->prefixes[i] ? files->prefixes[i] : "");
            failed = !made.prefixes[i];
        }
    }
    if (failed) {
        sb_weights_files_clear(&made);
        return -ENOMEM;
    }
    *copy = made;
    return 0;
}

void sb_weights_files_clear(struct sb_weights_files *files) {
    for (size_t i = 0; i < files->n; i++) {
        if (files->paths)
            free(files->paths[i]);
        if (files->prefixes)
            free(files->prefixes[i]);
    }
    free(files->paths);
    free(files->prefixes);
    *files = (struct sb_weights_files){0};
}

void sb_close_from(int first) {
    if (close_range((unsigned)first, ~0U, 0) == 0)
        return;
    struct rlimit limit; /* before Linux 5.9, or where a container's filter does not know it */
    int last = 65536;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 65536)
        last = (int)limit.rlim_cur;
    for (int fd = first; fd < last; fd++)
        close(fd);
}

void sb_signals_reset(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- In the child ---------------------------------------------------------------------------- */

struct child {
    struct sb_isolated_page *page;
    const struct sb_jail_filter *filter;
    const struct sb_weights_files *files;
    sb_isolated_work *work;
    void *context;
};

/* Only the output stays open, as SB_JAIL_OUTPUT, and nothing reaches a terminal: what libc prints
 * about a broken heap is the file's doing. */
static int arrange_descriptors(int output) {
    enum { ABOVE = 10 };
    int high = fcntl(output, F_DUPFD, ABOVE);
    int nothing = open("/dev/null", O_RDWR);
    if (high < 0 || nothing < 0)
        return -errno;
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
#if !defined(SB_ADDRESS_SANITIZER)
    dup2(nothing, STDERR_FILENO);
#endif
    if (dup2(high, SB_JAIL_OUTPUT) < 0)
        return -errno;
    sb_close_from(SB_JAIL_OUTPUT + 1);
    return 0;
}

/* A glob may match more files than a shell allows to be open. */
static void allow_many_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_one(const struct child *child, size_t at, struct sb_weights_file *opened,
                    struct sb_error *err) {
    const struct sb_weights_files *files = child->files;
    const char *prefix = files->prefixes ? files->prefixes[at] : NULL;
    child->page->file = (uint32_t)at + 1;
    int r = sb_weights_file_open(files->paths[at], prefix, opened, err);
    if (r < 0)
        return r;
    const struct sb_format *format = opened->format;
    if (format->prepare && (r = format->prepare(err)) < 0)
        return sb_error_prefix(err, r, "%s", files->paths[at]);
    child->page->prepared |= sb_format_bit(format);
    opened->index = at;
    opened->reading = &child->page->file;
    opened->met = &child->page->met;
    return 0;
}

/* Is it a part of one that is open? Then it is read with that. */
static bool is_part(const char *path, const struct sb_weights_file *opened, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (opened[i].format && sb_beside_is_part(opened[i].path, opened[i].format, path))
            return true;
    }
    return false;
}

/* Parts may come before what they are parts of, and may be files of no format: so what cannot be
 * opened is an error only when all is known. */
static int open_all(const struct child *child, struct sb_weights_file *opened, size_t *n,
                    uint64_t *n_bytes, struct sb_error *err) {
    const struct sb_weights_files *files = child->files;
    SB_AUTO_FREE size_t *order = calloc(files->n + 1, sizeof *order);
    struct sb_error ignored;
    if (!order)
        return sb_error_errno(err, -ENOMEM, "opening weights");
    sb_weights_files_order(files, order);
    for (size_t i = 0; i < files->n; i++) {
        if (open_one(child, order[i], &opened[i], &ignored) < 0)
            opened[i] = (struct sb_weights_file){.path = files->paths[order[i]], .fd = -1};
    }
    *n = 0;
    for (size_t i = 0; i < files->n; i++) {
        struct sb_weights_file file = opened[i];
        if (is_part(file.path, opened, files->n)) {
            sb_weights_file_close(&file);
            continue;
        }
        int r = file.format ? 0 : open_one(child, order[i], &file, err); /* to hear why */
        if (r < 0)
            return r;
        *n_bytes += file.n_bytes;
        opened[(*n)++] = file;
    }
    return 0;
}

static int child_work(const struct child *child, int output, struct sb_error *err) {
    uint64_t n_bytes = 0;
    size_t n = 0;
    SB_AUTO_FREE struct sb_jail_filter *own = NULL;
    SB_AUTO_FREE struct sb_weights_file *opened = calloc(child->files->n + 1, sizeof *opened);
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "opening weights");
    int r = arrange_descriptors(output);
    if (r < 0)
        return sb_error_errno(err, r, "the parser's descriptors");
    allow_many_files();
    sb_jail_clean_environment();
    r = open_all(child, opened, &n, &n_bytes, err);
    if (r < 0)
        return r;
    if (!child->filter)
        own = sb_jail_filter_new();
    child->page->cpu_seconds = sb_jail_cpu_seconds(n_bytes);
    sb_jail_close(child->filter ? child->filter : own, n_bytes);
    return child->work(child->context, opened, n, SB_JAIL_OUTPUT, err);
}

void sb_isolated_child(struct sb_isolated_page *page, int output,
                       const struct sb_jail_filter *filter, const struct sb_weights_files *files,
                       sb_isolated_work *work, void *context) {
    struct sb_error err = {0};
    const struct child child = {page, filter, files, work, context};
    int r = child_work(&child, output, &err);
    if (r == -ENOMEM) /* the file's doing, not the machine's: the limit is far above any need */
        r = sb_error_prefix(&err, -EBADMSG, "it needs more memory than a parser may have");
    page->code = r;
    memcpy(page->text, err.text, sizeof page->text);
    page->done = 1;
    _exit(0);
}

/* ---- In the parent --------------------------------------------------------------------------- */

static const char *signal_name(int number) {
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGABRT, "SIGABRT"}, {SIGFPE, "SIGFPE"},
        {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGSYS, "SIGSYS"},   {SIGPIPE, "SIGPIPE"},
        {SIGTERM, "SIGTERM"}, {SIGXFSZ, "SIGXFSZ"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].number == number)
            return names[i].name;
    }
    return "another signal";
}

static int death(const struct sb_isolated_page *page, int status, const char *path,
                 struct sb_error *err) {
    if (!WIFSIGNALED(status))
        return sb_error_set(err, -EBADMSG, "%s: the parser ended on it without a word", path);
    if (WTERMSIG(status) == SIGXCPU)
        return sb_error_set(err, -EBADMSG,
                            "%s: the parser took more than %" PRIu64 " s of CPU time on it", path,
                            page->cpu_seconds);
    if (WTERMSIG(status) == SIGKILL)
        return sb_error_set(err, -EBADMSG, "%s: the parser was killed on it (out of memory?)",
                            path);
    return sb_error_set(err, -EBADMSG, "%s: the parser crashed on it (%s)", path,
                        signal_name(WTERMSIG(status)));
}

int sb_isolated_outcome(const struct sb_isolated_page *page, int wait_status,
                        const struct sb_weights_files *files, struct sb_error *err) {
    struct sb_isolated_page seen = *page;
    const char *path = files->n ? files->paths[0] : "no file";
    if (seen.file >= 1 && seen.file <= files->n)
        path = files->paths[seen.file - 1];
    if (!seen.done)
        return death(&seen, wait_status, path, err);
    if (seen.code == 0)
        return 0;
    seen.text[sizeof seen.text - 1] = '\0';
    for (char *c = seen.text; *c; c++) {
        if ((unsigned char)*c < 0x20)
            *c = '?';
    }
    return sb_error_set(err, seen.code < 0 && seen.code > -4096 ? seen.code : -EBADMSG, "%s",
                        seen.text);
}

int sb_receive(int fd, struct sb_text *received, size_t most) {
    SB_AUTO_FREE char *buffer = malloc(65536);
    if (!buffer)
        return -ENOMEM;
    for (size_t n = 0; n < most;) {
        ssize_t got = read(fd, buffer, 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0 ? 0 : -errno;
        sb_text_add(received, buffer, (size_t)got);
        n += (size_t)got;
        if (received->length > MOST_RECEIVED)
            return -EBADMSG;
        if (received->failed)
            return -ENOMEM;
    }
    return 1;
}

/* The parser must not outlive who waits for it. */
static pid_t fork_child(pid_t parent) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent)
            _exit(1);
        sb_signals_reset();
    }
    return pid;
}

int sb_isolated_start(const struct sb_weights_files *files, sb_isolated_work *work, void *context,
                      struct sb_isolated **isolated, struct sb_error *err) {
    int ends[2] = {-1, -1}, r = -ENOMEM;
    struct sb_isolated *made = calloc(1, sizeof *made);
    if (!made)
        return sb_error_errno(err, -ENOMEM, "reading weights");
    made->fd = -1;
    made->page =
        mmap(NULL, sizeof *made->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made->page != MAP_FAILED && sb_weights_files_copy(files, &made->files) == 0)
        r = pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
    if (r == 0) {
        made->fd = ends[0];
        made->pid = fork_child(getpid());
        if (made->pid == 0)
            sb_isolated_child(made->page, ends[1], NULL, &made->files, work, context);
        r = made->pid < 0 ? -errno : 0;
        close(ends[1]);
    }
    if (r < 0) {
        sb_isolated_free(made);
        return sb_error_errno(err, r, "no process to read weights in");
    }
    *isolated = made;
    return 0;
}

int sb_isolated_fd(const struct sb_isolated *isolated) {
    return isolated->fd;
}

/* A child that closed its output and goes on has nothing to say any more. */
static int reap(struct sb_isolated *isolated) {
    int status = 0;
    if (isolated->pid <= 0)
        return 0;
    kill(isolated->pid, SIGKILL);
    while (waitpid(isolated->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    isolated->pid = 0;
    return status;
}

int sb_isolated_finish(struct sb_isolated *isolated, struct sb_error *err) {
    int status = reap(isolated);
    return sb_isolated_outcome(isolated->page, status, &isolated->files, err);
}

struct sb_globs_met sb_isolated_met(const struct sb_isolated *isolated) {
    return isolated->page->met;
}

void sb_isolated_free(struct sb_isolated *isolated) {
    if (!isolated)
        return;
    reap(isolated);
    if (isolated->fd >= 0)
        close(isolated->fd);
    if (isolated->page != MAP_FAILED)
        munmap(isolated->page, sizeof *isolated->page);
    sb_weights_files_clear(&isolated->files);
    free(isolated);
}
