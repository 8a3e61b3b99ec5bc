/* Stage 3: from a guard to the job: everything between fork and exec. */
#include "base/cleanup.h"
#include "run/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

int sb_launch_prepare(struct sb_launch *launch, struct sb_error *err) {
    const struct sb_strings *command = &launch->request->command;
    const struct sb_strings *cpus = &launch->request->cpus;
    if (!command->n)
        return sb_error_set(err, -EINVAL, "the command is empty");
    int highest = 0;
    for (size_t i = 0; i < cpus->n; i++)
        if (atoi(cpus->items[i]) > highest)
            highest = atoi(cpus->items[i]);
    launch->shell = calloc(command->n + 2, sizeof *launch->shell);
    if (!launch->shell || make_candidates(launch) < 0)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    launch->shell[0] = (char *)"/bin/sh";
    for (size_t i = 1; i < command->n; i++)
        launch->shell[i + 1] = command->items[i];
    if (!cpus->n)
        return 0;
    launch->cpus = CPU_ALLOC((size_t)highest + 1);
    launch->cpus_size = CPU_ALLOC_SIZE((size_t)highest + 1);
    if (!launch->cpus)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    CPU_ZERO_S(launch->cpus_size, launch->cpus);
    for (size_t i = 0; i < cpus->n; i++)
        CPU_SET_S((size_t)atoi(cpus->items[i]), launch->cpus_size, launch->cpus);
    return 0;
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
    if (launch->cpus && sched_setaffinity(0, launch->cpus_size, launch->cpus) < 0)
        return sb_launch_fail(launch, "sched_setaffinity", "");
    int persona = request->aslr_given ? personality(0xffffffff) : 0;
    if (request->aslr_given && persona < 0)
        return sb_launch_fail(launch, "personality", "");
    unsigned long wanted = (unsigned long)persona & ~(unsigned long)ADDR_NO_RANDOMIZE;
    if (!request->aslr_on)
        wanted |= ADDR_NO_RANDOMIZE;
    if (request->aslr_given && wanted != (unsigned long)persona && personality(wanted) < 0)
        return sb_launch_fail(launch, "personality", "");
    return 0;
}

static int write_file(const char *path, const char *text) {
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* Uid and gid stay what they are. */
static int map_user(struct sb_launch *launch, uid_t uid, gid_t gid) {
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
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (launch->namespaces && unshare(launch->namespaces) < 0)
        return sb_launch_fail(launch, "unshare", "");
    if (launch->map_user && map_user(launch, uid, gid) < 0)
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
    if (chdir(launch->request->start) < 0)
        return sb_launch_fail(launch, "chdir", launch->request->start);
    if (set_limits(launch) < 0)
        return -1;
    unblock_signals();
    return execute(launch);
}

static int child(void *argument) {
    become_job(argument);
    /* Not _exit: the child shares its parent's memory, and sanitizers hook what does not return. */
    syscall(SYS_exit_group, 127);
    return 127;
}

int sb_launch_area_open(struct sb_launch_area *area, struct sb_error *err) {
    const int protection = PROT_READ | PROT_WRITE;
    area->stack =
        mmap(NULL, STACK_BYTES, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    area->told = mmap(NULL, sizeof *area->told, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (area->stack == MAP_FAILED || area->told == MAP_FAILED)
        return sb_error_errno(err, -ENOMEM, "a guard of runs");
    return 0;
}

int sb_launch_start(const struct sb_launch *launch, const struct sb_launch_area *area, pid_t *pid,
                    struct sb_error *err) {
    struct sb_launch *told = area->told;
    sigset_t all, old;
    int flags = CLONE_VFORK | SIGCHLD;
    /* Sharing memory spares copying page tables; but who makes a user namespace may not. */
    bool shared = !(launch->namespaces & CLONE_NEWUSER);
    *told = *launch;
    /* No signal may run a handler of the guard in the child. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t started =
        clone(child, (char *)area->stack + STACK_BYTES, shared ? flags | CLONE_VM : flags, told);
    int rc = started < 0 ? -errno : 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (rc < 0)
        return sb_error_errno(err, rc, "fork");
    *pid = started;
    return told->error ? sb_launch_error(told, err) : 0;
}
