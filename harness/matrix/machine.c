/* Stage 2, matrix: what this machine, and this process on it, can vary, found by trying. */
#include "base/cleanup.h"
#include "base/cpus.h"
#include "base/file.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- CPUs ------------------------------------------------------------------------------------ */

static int find_cpus(struct sb_machine *machine, struct sb_error *err) {
    int rc = sb_allowed_cpus(&machine->cpus, &machine->n_cpus);
    return rc < 0 ? sb_error_errno(err, rc, "CPUs of this process cannot be read") : 0;
}

/* The level of sb_isa_names[i] needs what the libraries' code paths of that name use. */
static void find_isa(struct sb_machine *machine) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init();
    machine->has_isa[0] = __builtin_cpu_supports("sse2") != 0;
    machine->has_isa[1] = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    machine->has_isa[2] = machine->has_isa[1] && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512cd") &&
                          __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
#else
    (void)machine;
#endif
}

/* ---- cgroup quota ---------------------------------------------------------------------------- */

static double quota_of(const char *folder) {
    SB_AUTO_FREE char *path = sb_format("%s/cpu.max", folder);
    SB_AUTO_FREE char *text = NULL;
    long long quota, period;
    if (path && sb_file_read(path, 256, &text, NULL, NULL) == 0) /* v2: "max 100000" */
        return sscanf(text, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0
                   ? (double)quota / (double)period
                   : 0;
    SB_AUTO_FREE char *quota_path = sb_format("%s/cpu.cfs_quota_us", folder);
    SB_AUTO_FREE char *period_path = sb_format("%s/cpu.cfs_period_us", folder);
    SB_AUTO_FREE char *quota_text = NULL;
    SB_AUTO_FREE char *period_text = NULL;
    if (!quota_path || !period_path || sb_file_read(quota_path, 64, &quota_text, NULL, NULL) < 0 ||
        sb_file_read(period_path, 64, &period_text, NULL, NULL) < 0)
        return 0;
    quota = atoll(quota_text);
    period = atoll(period_text);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static void take_smaller(double *quota, double other) {
    if (other > 0 && (*quota == 0 || other < *quota))
        *quota = other;
}

/* The smallest of this process's cgroup and those above it. */
static double find_quota(void) {
    SB_AUTO_FREE char *text = NULL;
    if (sb_file_read("/proc/self/cgroup", 65536, &text, NULL, NULL) < 0)
        return 0;
    double quota = 0;
    char *next = NULL;
    for (char *line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        bool v1 = strcmp(controllers, "cpu") == 0 || strncmp(controllers, "cpu,", 4) == 0 ||
                  strstr(controllers, ",cpu,") || strcmp(controllers, "cpuacct,cpu") == 0;
        if (*controllers && !v1)
            continue;
        const char *root = v1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
        for (;;) {
            SB_AUTO_FREE char *folder = sb_format("%s%s", root, group);
            if (folder)
                take_smaller(&quota, quota_of(folder));
            char *slash = strrchr(group, '/');
            if (!slash)
                break;
            *slash = '\0';
        }
    }
    return quota;
}

/* ---- Privileges ------------------------------------------------------------------------------ */

enum step { STEP_NONE, STEP_USER, STEP_UNSHARE, STEP_USE };

struct attempt {
    enum step step; /* that failed; STEP_NONE: it works */
    int code;       /* errno of it */
};

struct attempts {
    struct attempt uts, mount, pid, personality;
};

static int write_text(const char *path, const char *text) {
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;
}

/* A user namespace of one's own in which the ids stay the same. */
static struct attempt enter_user_namespace(void) {
    char uid_map[64], gid_map[64];
    snprintf(uid_map, sizeof uid_map, "%u %u 1", (unsigned)geteuid(), (unsigned)geteuid());
    snprintf(gid_map, sizeof gid_map, "%u %u 1", (unsigned)getegid(), (unsigned)getegid());
    if (unshare(CLONE_NEWUSER) < 0)
        return (struct attempt){STEP_USER, errno};
    int code = write_text("/proc/self/uid_map", uid_map);
    if (!code) {
        write_text("/proc/self/setgroups", "deny");
        code = write_text("/proc/self/gid_map", gid_map);
    }
    return (struct attempt){code ? STEP_USER : STEP_NONE, code};
}

static struct attempt try_uts(void) {
    static const char name[] = "samebits";
    if (unshare(CLONE_NEWUTS) < 0)
        return (struct attempt){STEP_UNSHARE, errno};
    if (sethostname(name, strlen(name)) < 0)
        return (struct attempt){STEP_USE, errno};
    return (struct attempt){0};
}

/* What is forked after it would have ids of its own; that there is nothing to fork need not be
 * tried. */
static struct attempt try_pid(void) {
    bool refused = unshare(CLONE_NEWPID) < 0;
    return (struct attempt){refused ? STEP_UNSHARE : STEP_NONE, refused ? errno : 0};
}

static struct attempt try_mount(void) {
    if (unshare(CLONE_NEWNS) < 0)
        return (struct attempt){STEP_UNSHARE, errno};
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("samebits", "/proc", "tmpfs", 0, NULL) < 0)
        return (struct attempt){STEP_USE, errno};
    return (struct attempt){0};
}

/* A seccomp filter (Docker's) may allow some values and not others, so the flag itself is tried. */
static struct attempt try_personality(void) {
    int now = personality(0xffffffff);
    if (now < 0 || personality((unsigned long)now ^ ADDR_NO_RANDOMIZE) < 0)
        return (struct attempt){STEP_USE, errno};
    return (struct attempt){0};
}

/* In a child, since what is tried cannot be undone. A child that is killed counts as refused. */
static struct attempts try_all(bool user_namespace) {
    struct attempts attempts = {
        {STEP_USE, EPERM}, {STEP_USE, EPERM}, {STEP_USE, EPERM}, {STEP_USE, EPERM}};
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        attempts.uts.code = attempts.mount.code = attempts.pid.code = attempts.personality.code =
            errno;
        return attempts;
    }
    pid_t child = fork();
    if (child == 0) {
        struct attempt user = {0};
        attempts.personality = try_personality();
        if (user_namespace)
            user = enter_user_namespace();
        attempts.uts = user.step ? user : try_uts();
        attempts.mount = user.step ? user : try_mount();
        attempts.pid = user.step ? user : try_pid();
        sb_write_all(ends[1], &attempts, sizeof attempts);
        _exit(0);
    }
    int fork_errno = errno;
    close(ends[1]);
    struct attempts told;
    ssize_t n;
    do {
        n = child > 0 ? read(ends[0], &told, sizeof told) : 0;
    } while (n < 0 && errno == EINTR);
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (child < 0)
        attempts.uts.code = attempts.mount.code = attempts.pid.code = attempts.personality.code =
            fork_errno;
    return n == (ssize_t)sizeof told ? told : attempts;
}

/* ENOSPC is how the kernel says that no more user namespaces are allowed (user_namespaces(7)). */
static const char *cause(const struct attempt *attempt) {
    if (attempt->step == STEP_USER && attempt->code == ENOSPC)
        return "none is allowed by user.max_user_namespaces";
    return strerror(attempt->code);
}

/* "changing the host name is refused here (as root: Operation not permitted; in a user namespace:
 * none is allowed by user.max_user_namespaces)" */
static char *refusal(const char *what, const struct attempt *plain, const struct attempt *user) {
    return sb_format("%s is refused here (%s: %s; in a user namespace: %s)", what,
                     geteuid() == 0 ? "as root" : "without root", cause(plain), cause(user));
}

static int find_privileges(struct sb_machine *machine) {
    struct attempts plain = try_all(false), user = plain;
    bool plain_works = !plain.uts.step && !plain.mount.step;
    if (!plain_works) {
        user = try_all(true);
        unsigned by_plain = !plain.uts.step + !plain.mount.step;
        unsigned by_user = !user.uts.step + !user.mount.step;
        machine->user_namespace_needed = by_user > by_plain;
    }
    const struct attempts *best = machine->user_namespace_needed ? &user : &plain;
    bool failed = false;
    if (best->uts.step) {
        machine->no_uts_namespace = refusal("changing the host name", &plain.uts, &user.uts);
        failed |= !machine->no_uts_namespace;
    }
    if (best->mount.step) {
        machine->no_mount_namespace =
            refusal("mounting another working directory", &plain.mount, &user.mount);
        failed |= !machine->no_mount_namespace;
    }
    if (best->pid.step) {
        machine->no_pid_namespace =
            refusal("giving a run process ids of its own", &plain.pid, &user.pid);
        failed |= !machine->no_pid_namespace;
    }
    if (plain.personality.step) {
        machine->no_personality =
            sb_format("personality(2) is refused here (%s)", strerror(plain.personality.code));
        failed |= !machine->no_personality;
    }
    return failed ? -ENOMEM : 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

int sb_machine_probe(struct sb_machine **machine, struct sb_error *err) {
    struct sb_machine *probed = calloc(1, sizeof *probed);
    if (!probed)
        return sb_error_errno(err, -ENOMEM, "machine");
    int status = find_cpus(probed, err);
    if (status == 0) {
        find_isa(probed);
        probed->cpu_quota = find_quota();
        status = find_privileges(probed);
        if (status == 0)
            status = sb_machine_find_probe(probed);
        if (status < 0)
            sb_error_errno(err, status, "machine");
    }
    if (status < 0) {
        sb_machine_free(probed);
        return status;
    }
    *machine = probed;
    return 0;
}

void sb_machine_free(struct sb_machine *machine) {
    if (!machine)
        return;
    free(machine->cpus);
    for (size_t i = 0; i < sizeof machine->isa_refused / sizeof *machine->isa_refused; i++)
        free(machine->isa_refused[i]);
    free(machine->no_uts_namespace);
    free(machine->no_pid_namespace);
    free(machine->no_personality);
    free(machine->probe);
    free(machine->no_probe);
    free(machine->no_mount_namespace);
    free(machine);
}
