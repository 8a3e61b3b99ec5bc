/* Stage 3: from a guard to the job: everything between fork and exec. */
#include "base/cleanup.h"
#include "base/cpus.h"
#include "run/process.h"
#include "run/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

int sb_launch_fail(struct sb_launch *launch, const char *step, const char *about) {
    launch->error = errno;
    launch->step = step;
    launch->about = about;
    return -launch->error;
}

int sb_launch_error(const struct sb_launch *launch, struct sb_error *err) {
    return sb_error_set(err, -launch->error, "%s%s%s: %s", launch->step, *launch->about ? " " : "",
                        launch->about, strerror(launch->error));
}

/* What a shell would try: the name itself when it has a slash, else each folder of the run's own
 * PATH. The search happens in the child, in the run's view. */
static int make_candidates(struct sb_launch *launch) {
    const struct sb_run_request *request = launch->request;
    const char *program = request->command.items[0];
    const char *path = sb_environment_get(&request->environment, "PATH");
    struct sb_strings candidates = {0};
    int rc = 0;
    if (strchr(program, '/') || !*program)
        rc = sb_strings_add(&candidates, program);
    for (const char *at = strchr(program, '/') ? NULL
                          : path               ? path
                                               : "/bin:/usr/bin";
         rc == 0 && at;) {
        size_t n = strcspn(at, ":");
        rc = sb_strings_take(&candidates, n ? sb_format("%.*s/%s", (int)n, at, program)
                                            : sb_format("./%s", program));
        at = at[n] ? at + n + 1 : NULL;
    }
    if (rc < 0)
        sb_strings_clear(&candidates);
    launch->candidates = candidates.items;
    return rc;
}

static int make_cpus(struct sb_launch *launch, struct sb_error *err) {
    const struct sb_strings *names = &launch->request->cpus;
    SB_AUTO_FREE int *cpus = calloc(names->n + 1, sizeof *cpus);
    for (size_t i = 0; cpus && i < names->n; i++)
        cpus[i] = atoi(names->items[i]);
    launch->cpus = cpus && names->n ? sb_cpu_set(cpus, names->n, &launch->cpus_size) : NULL;
    return launch->cpus || (cpus && !names->n) ? 0 : sb_error_errno(err, -ENOMEM, "starting a run");
}

int sb_launch_prepare(struct sb_launch *launch, struct sb_error *err) {
    const struct sb_strings *command = &launch->request->command;
    if (!command->n)
        return sb_error_set(err, -EINVAL, "the command is empty");
    launch->shell = calloc(command->n + 2, sizeof *launch->shell);
    if (!launch->shell || make_candidates(launch) < 0)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    launch->shell[0] = (char *)"/bin/sh";
    for (size_t i = 1; i < command->n; i++)
        launch->shell[i + 1] = command->items[i];
    return make_cpus(launch, err);
}

void sb_launch_clear(struct sb_launch *launch) {
    for (char **candidate = launch->candidates; candidate && *candidate; candidate++)
        free(*candidate);
    free(launch->candidates);
    free(launch->shell);
    if (launch->cpus)
        CPU_FREE(launch->cpus);
}

/* As execvpe(3), which would search the PATH of this process instead of the run's. */
static int execute(struct sb_launch *launch) {
    char *const *command = launch->request->command.items;
    char *const *environment = launch->request->environment.items;
    int denied = 0;
    for (char **path = launch->candidates; *path; path++) {
        execve(*path, command, environment);
        if (errno == ENOEXEC) {
            launch->shell[1] = *path;
            execve(launch->shell[0], launch->shell, environment);
            errno = ENOEXEC;
        }
        if (errno == ENOENT && faccessat(AT_FDCWD, *path, F_OK, 0) == 0) {
            errno = ENOENT;
            return sb_launch_fail(launch, "execvp: the interpreter in the first line of", *path);
        }
        if (errno == EACCES)
            denied = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return sb_launch_fail(launch, "execvp", *path);
    }
    errno = denied ? denied : ENOENT;
    return sb_launch_fail(launch, "execvp", command[0]);
}

/* A guard has no handlers and ignores nothing, but blocks nearly all. */
static void unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_limits(struct sb_launch *launch) {
    const struct sb_run_request *request = launch->request;
    struct rlimit core = {0, 0};
    setrlimit(RLIMIT_CORE, &core);
    int persona = request->aslr_given ? personality(0xffffffff) : 0;
    if (request->aslr_given && persona < 0)
        return sb_launch_fail(launch, "personality", "");
    unsigned long wanted = (unsigned long)persona & ~(unsigned long)ADDR_NO_RANDOMIZE;
    if (!request->aslr_on)
        wanted |= ADDR_NO_RANDOMIZE;
    if (request->aslr_given && wanted != (unsigned long)persona && personality(wanted) < 0)
        return sb_launch_fail(launch, "personality", "");
    if (request->schedule_frozen &&
        sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) < 0)
        return sb_launch_fail(launch, "sched_setscheduler", "");
    return 0;
}

static int write_file(const char *path, const char *text) {
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* Uid and gid stay what they are. */
static int map_user(struct sb_launch *launch) {
    uid_t uid = launch->uid;
    gid_t gid = launch->gid;
    char line[64];
    write_file("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)uid, (unsigned)uid);
    if (write_file("/proc/self/uid_map", line) < 0)
        return sb_launch_fail(launch, "uid_map", "");
    snprintf(line, sizeof line, "%u %u 1\n", (unsigned)gid, (unsigned)gid);
    if (write_file("/proc/self/gid_map", line) < 0)
        return sb_launch_fail(launch, "gid_map", "");
    return 0;
}

static int enter_namespaces(struct sb_launch *launch) {
    const char *hostname = launch->request->hostname;
    /* A namespace of process ids belongs to the user namespace that it was cloned with. */
    int wanted = launch->namespaces & ~(launch->request->pid_frozen ? CLONE_NEWUSER : 0);
    bool cloned = wanted != launch->namespaces;
    if (cloned && map_user(launch) < 0)
        return -1;
    if (wanted && unshare(wanted) < 0)
        return sb_launch_fail(launch, "unshare", "");
    if (launch->map_user && !cloned && map_user(launch) < 0)
        return -1;
    if (hostname && sethostname(hostname, strlen(hostname)) < 0)
        return sb_launch_fail(launch, "sethostname", hostname);
    return 0;
}

static int set_descriptors(struct sb_launch *launch) {
    if (dup2(launch->null, 0) < 0 || dup2(launch->output, 1) < 0 || dup2(launch->output, 2) < 0)
        return sb_launch_fail(launch, "dup2", "");
    /* Closed by the exec, not before: mounts below still go by descriptors. */
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        for (int fd = 3; fd < 1024; fd++)
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* In a mount namespace of its own. Where it is refused /proc shows the ids of outside, and
 * /proc/self still leads to the right one. */
static void show_own_processes(void) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int become_job(struct sb_launch *launch) {
    const struct sb_view_kind *kind = launch->sandbox->kind;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    if (set_descriptors(launch) < 0 || enter_namespaces(launch) < 0)
        return -1;
    bool enter = kind->enter && !kind->ahead;
    if (enter && kind->enter(launch->sandbox, launch->layer, launch) < 0)
        return -1;
    if (!enter && launch->layer->alias &&
        sb_mounts_alias(launch->sandbox, launch->layer, launch) < 0)
        return -1;
    if (launch->request->pid_frozen)
        show_own_processes();
    if (chdir(launch->request->start) < 0)
        return sb_launch_fail(launch, "chdir", launch->request->start);
    if (set_limits(launch) < 0)
        return -1;
    unblock_signals();
    /* The guard waits for the exec, and could not answer a call before it. */
    if (launch->raw)
        launch->raw_refused = -sb_raw_filter_install(launch->raw, launch->raw_socket);
    return execute(launch);
}

static int child(void *argument) {
    become_job(argument);
    /* Not _exit: the child shares its parent's memory, and sanitizers hook what does not return. */
    syscall(SYS_exit_group, 127, 0, 0, 0, 0, SB_PROBE_OWN_CALL);
    return 127;
}

int sb_launch_area_open(struct sb_launch_area *area, struct sb_error *err) {
    const int protection = PROT_READ | PROT_WRITE;
    area->stack =
        mmap(NULL, STACK_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    area->told = mmap(NULL, sizeof *area->told, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SB_AUTO_FREE int *cpus = NULL;
    size_t n = 0;
    int rc = sb_allowed_cpus(&cpus, &n);
    area->home = rc == 0 ? sb_cpu_set(cpus, n, &area->home_size) : NULL;
    if (area->stack == MAP_FAILED || area->told == MAP_FAILED || !area->home)
        return sb_error_errno(err, rc < 0 ? rc : -ENOMEM, "a guard of runs");
    return 0;
}

/* A child begins where its parent is. On a CPU that another run keeps busy it would wait for its
 * turn before it could even ask to be elsewhere, for milliseconds; so the guard goes first. */
static int start_on_cpus(const struct sb_launch *launch, const struct sb_launch_area *area,
                         int flags, pid_t *pid, struct sb_error *err) {
    if (launch->cpus && sched_setaffinity(0, launch->cpus_size, launch->cpus) < 0)
        return sb_error_errno(err, -errno, "sched_setaffinity");
    pid_t started = clone(child, (char *)area->stack + STACK_BYTES, flags, area->told);
    int rc = started < 0 ? sb_error_errno(err, -errno, "fork") : 0;
    if (launch->cpus) /* where that fails it stays: slower, no less right */
        sched_setaffinity(0, area->home_size, area->home);
    if (rc == 0)
        *pid = started;
    return rc;
}

int sb_launch_start(const struct sb_launch *launch, const struct sb_launch_area *area, pid_t *pid,
                    struct sb_error *err) {
    struct sb_launch *told = area->told;
    sigset_t all, old;
    /* The first process of a namespace can only be cloned into it. */
    int flags = CLONE_VFORK | SIGCHLD;
    if (launch->request->pid_frozen)
        flags |= CLONE_NEWPID | (launch->namespaces & CLONE_NEWUSER);
    /* Sharing memory spares copying page tables; but who makes a user namespace may not. */
    bool shared = !(launch->namespaces & CLONE_NEWUSER);
    *told = *launch;
    told->uid = geteuid(); /* in a user namespace of its own the child could not ask any more */
    told->gid = getegid();
    /* No signal may run a handler of the guard in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    int rc = start_on_cpus(launch, area, shared ? flags | CLONE_VM : flags, pid, err);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (rc < 0)
        return rc;
    return told->error ? sb_launch_error(told, err) : 0;
}
