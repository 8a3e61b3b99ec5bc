/* check: starts a run in a process of its own, watches it, and takes what it left. */
#include "check/run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* All that the child needs, made before the fork: there another thread may have held a lock. */
struct launch {
    const struct sb_run_request *request;
    int file, log, input;
    int request_file; /* -1 for a forked run */
    cpu_set_t *cpus;  /* NULL: as they are */
    size_t n_cpu_bytes;
    pid_t parent;
    struct sb_strings environment;
};

static void launch_clear(struct launch *launch) {
    if (launch->cpus)
        CPU_FREE(launch->cpus);
    sb_cleanup_fd(&launch->log);
    sb_cleanup_fd(&launch->input);
    sb_cleanup_fd(&launch->request_file);
    sb_strings_clear(&launch->environment);
}
#define AUTO_LAUNCH SB_CLEANUP(launch_clear)

static int choose_cpus(struct launch *launch) {
    unsigned threads = launch->request->threads;
    if (!threads)
        return 0;
    SB_AUTO_FREE int *cpus = NULL;
    size_t n;
    int rc = sb_allowed_cpus(&cpus, &n);
    if (rc < 0)
        return rc;
    /* More threads than CPUs are no mistake: they find races. */
    launch->cpus = sb_cpu_set(cpus, threads < n ? threads : n, &launch->n_cpu_bytes);
    return launch->cpus ? 0 : -ENOMEM;
}

static int prepare_exec(struct launch *launch, struct sb_error *err) {
    int rc = launch->request_file = sb_run_request_write(launch->request, err);
    if (rc < 0)
        return rc;
    char text[16];
    int length = snprintf(text, sizeof text, "%03d,%03d", launch->request_file, launch->file);
    if (length != 7)
        return sb_error_set(err, -EMFILE, "a run's descriptors are above 999: too many are open");
    rc = sb_environment_set(&launch->environment, SB_CHECK_VARIABLE, text);
    return rc < 0 ? sb_error_errno(err, rc, "environment of a run") : 0;
}

static int prepare(struct launch *launch, struct sb_error *err) {
    launch->parent = getpid();
    launch->input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    launch->log = memfd_create("samebits-log", MFD_CLOEXEC);
    if (launch->input < 0 || launch->log < 0)
        return sb_error_errno(err, -errno, "files of a run");
    int rc = choose_cpus(launch);
    for (char **item = launch->request->environment; rc == 0 && *item; item++)
        rc = sb_strings_add(&launch->environment, *item);
    if (rc < 0)
        return sb_error_errno(err, rc, "CPUs and environment of a run");
    return launch->request->exec ? prepare_exec(launch, err) : 0;
}

/* ---- In the child ------------------------------------------------------------------------------
 */

_Noreturn static void start_program(const struct launch *launch) {
    char *arguments[] = {program_invocation_name, NULL};
    fcntl(launch->file, F_SETFD, 0);
    fcntl(launch->request_file, F_SETFD, 0);
    execve("/proc/self/exe", arguments, launch->environment.items);
    sb_run_refuse(launch->file, "the program cannot be started anew: %s", strerror(errno));
}

_Noreturn static void be_child(struct launch *launch) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != launch->parent)
        _exit(1);
    if (launch->cpus && sched_setaffinity(0, launch->n_cpu_bytes, launch->cpus) < 0)
        sb_run_refuse(launch->file, "its CPUs cannot be set: %s", strerror(errno));
    dup2(launch->input, STDIN_FILENO);
    dup2(launch->log, STDOUT_FILENO);
    dup2(launch->log, STDERR_FILENO);
    if (launch->request->exec)
        start_program(launch);
    environ = launch->environment.items;
    if (launch->request->threads)
        sb_threads_tell_libraries(launch->request->threads);
    sb_run_here(launch->request->compute, launch->request->data, launch->file,
                launch->request->assertion_jump);
}

/* ---- Watching ----------------------------------------------------------------------------------
 */

/* Is the child at its end? It stays to be reaped, so that its process group is not another's. */
static bool has_ended(pid_t child, bool *known) {
    siginfo_t found = {0};
    int rc = waitid(P_PID, (id_t)child, &found, WEXITED | WNOHANG | WNOWAIT);
    if (rc < 0 && errno == EINTR)
        return false;
    *known = rc == 0;
    /* SIGCHLD is ignored: the child is gone without a trace when its number is. */
    return rc < 0 ? errno == ECHILD && kill(child, 0) < 0 : found.si_pid == child;
}

/* Until the child ends or its time is up. Most threads seen, 0 where none could be counted. */
static unsigned watch(pid_t child, double timeout_s, struct sb_run_end *end) {
    char folder[64];
    snprintf(folder, sizeof folder, "/proc/%d/task", (int)child);
    unsigned most = 0;
    double limit = sb_monotonic() + timeout_s;
    long pause_ns = 100000;
    while (!has_ended(child, &end->status_known)) {
        unsigned threads = sb_count_threads(folder);
        most = threads > most ? threads : most;
        if (sb_monotonic() > limit) {
            end->timed_out = true;
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = pause_ns}, NULL);
        pause_ns = pause_ns < 5000000 ? pause_ns * 3 / 2 : pause_ns;
    }
    return most;
}

static void reap(pid_t child, struct sb_run_end *end) {
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    while (waitpid(child, &end->wait_status, 0) < 0) {
        if (errno == EINTR)
            continue;
        end->status_known = false;
        break;
    }
}

/* The last lines, of a few hundred bytes at most. */
static char *read_end(int log) {
    char bytes[401];
    off_t size = lseek(log, 0, SEEK_END);
    off_t from = size > 400 ? size - 400 : 0;
    ssize_t n = size > 0 ? pread(log, bytes, sizeof bytes - 1, from) : 0;
    if (n <= 0)
        return NULL;
    bytes[n] = '\0';
    char *start = from > 0 && strchr(bytes, '\n') ? strchr(bytes, '\n') + 1 : bytes;
    for (size_t length = strlen(start); length && start[length - 1] == '\n';)
        start[--length] = '\0';
    return *start ? strdup(start) : NULL;
}

int sb_run_make(const struct sb_run_request *request, int file, struct sb_run_end *end,
                struct sb_error *err) {
    AUTO_LAUNCH struct launch launch = {
        .request = request, .file = file, .log = -1, .input = -1, .request_file = -1};
    int rc = prepare(&launch, err);
    if (rc < 0)
        return rc;
    /* What the test printed is not to come out of the run too. */
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child < 0)
        return sb_error_errno(err, -errno, "fork");
    if (child == 0)
        be_child(&launch);
    setpgid(child, child);
    *end = (struct sb_run_end){0};
    unsigned threads = watch(child, request->timeout_s, end);
    reap(child, end);
    rc = sb_run_page_read(file, &end->page);
    if (rc < 0)
        return sb_error_errno(err, rc, "reading what a run left");
    if (threads > end->page.most_threads)
        end->page.most_threads = threads;
    end->printed = read_end(launch.log);
    return 0;
}

void sb_run_end_clear(struct sb_run_end *end) {
    free(end->printed);
    *end = (struct sb_run_end){0};
}
