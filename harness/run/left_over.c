/* Stage 3: ends what is left of a samebits that was killed together with its guards. Nobody holds
 * the lock of the folder that all users of a working directory share, but the folder is there: who
 * ends in order removes it. What runs were started then is found by its cookie, which is that
 * working directory's, and in the cgroup that the folder names. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"
#include "run/sandbox.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const char record[] = "cgroups"; /* in the shared folder: paths, one a line */

/* Who is just forking shows up in the next pass; what hangs in the kernel stays. */
enum { MOST_PASSES = 64, QUIET_PASSES = 3 };

void sb_left_over_note(const char *base, const struct sb_cgroup *cgroup) {
    SB_AUTO_FREE char *path = cgroup->path ? sb_path_join(base, record) : NULL;
    SB_AUTO_FREE char *line = path ? sb_format("%s\n", cgroup->path) : NULL;
    SB_AUTO_FREE char *there = NULL;
    if (!line || (sb_file_read(path, 1 << 20, &there, NULL, NULL) == 0 && strstr(there, line)))
        return;
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        sb_write_all(fd, line, strlen(line));
}

static void end_cgroups(const char *base, const char *name) {
    SB_AUTO_FREE char *path = sb_path_join(base, record);
    SB_AUTO_FREE char *text = NULL;
    if (!path || sb_file_read(path, 1 << 20, &text, NULL, NULL) < 0)
        return;
    for (char *at = text, *line; (line = strsep(&at, "\n"));) {
        const char *slash = strrchr(line, '/');
        if (line[0] == '/' && strcmp(slash + 1, name) == 0)
            sb_cgroup_end(line);
    }
}

static bool is_mine(pid_t pid) {
    char path[32];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    return stat(path, &st) == 0 && st.st_uid == geteuid();
}

/* The name of a process's parent says that the process has somebody who looks after it. */
static bool is_guarded(pid_t pid) {
    char name[32] = "";
    pid_t parent = sb_reap_parent(pid, NULL, 0);
    return parent > 1 && sb_reap_parent(parent, name, sizeof name) >= 0 &&
           strncmp(name, "samebits", 8) == 0;
}

static bool kill_surely(pid_t pid, const char *cookie) {
    /* The number may pass to another process meanwhile, the descriptor does not. */
    SB_AUTO_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0 || !sb_reap_carries(pid, cookie))
        return false;
    return syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
}

/* How many were killed, or -EBUSY where one is looked after: then none of them is left over. */
static int kill_carriers(const char *cookie) {
    SB_AUTO_DIR DIR *proc = opendir("/proc");
    SB_AUTO_FREE pid_t *carriers = NULL;
    size_t n = 0;
    for (struct dirent *found; proc && (found = readdir(proc));) {
        pid_t pid = isdigit((unsigned char)found->d_name[0]) ? (pid_t)atol(found->d_name) : 0;
        if (!pid || pid == getpid() || !is_mine(pid) || !sb_reap_carries(pid, cookie))
            continue;
        pid_t *more = reallocarray(carriers, n + 1, sizeof *more);
        if (!more)
            return -ENOMEM;
        carriers = more;
        carriers[n++] = pid;
        if (is_guarded(pid))
            return -EBUSY;
    }
    int killed = 0;
    for (size_t i = 0; i < n; i++)
        killed += kill_surely(carriers[i], cookie);
    return killed;
}

static void end_everything(const char *base, const char *cookie) {
    const struct timespec moment = {.tv_nsec = 2000000};
    SB_AUTO_FREE char *name = sb_cgroup_name(cookie);
    int killed = kill_carriers(cookie);
    if (killed == -EBUSY)
        return;
    if (name)
        end_cgroups(base, name);
    for (int pass = 0, quiet = 0; pass < MOST_PASSES && quiet < QUIET_PASSES; pass++) {
        quiet = killed > 0 ? 0 : quiet + 1;
        nanosleep(&moment, NULL);
        killed = kill_carriers(cookie);
    }
}

void sb_left_over_end(const char *base, const char *cookie) {
    const char *own = getenv("SAMEBITS_COOKIE");
    struct stat st;
    /* A run that calls samebits on its own working directory is no left-over. */
    if ((own && strcmp(own, cookie) == 0) || lstat(base, &st) < 0 || !S_ISDIR(st.st_mode) ||
        st.st_uid != geteuid())
        return;
    SB_AUTO_FD int lock = sb_lock_folder(base, LOCK_EX);
    if (lock >= 0)
        end_everything(base, cookie);
}
