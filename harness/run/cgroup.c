/* Stage 3: the cgroup of the runs of one working directory. */
#include "run/cgroup.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "run/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/single_threaded.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* What was killed is gone after so many looks, 2 ms apart, or hangs in the kernel. */
enum { MOST_PASSES = 500 };

/* "0::/path" is the line of version 2; its path is below the root of the cgroup namespace. */
static char *own_path(void) {
    SB_AUTO_FREE char *text = NULL;
    if (sb_file_read("/proc/self/cgroup", 1 << 16, &text, NULL, NULL) < 0)
        return NULL;
    for (char *at = text, *line; (line = strsep(&at, "\n"));)
        if (strncmp(line, "0::/", 4) == 0)
            return strdup(line + 3);
    return NULL;
}

/* Where version 2 is mounted, and which of its folders is shown there. */
static char *find_mount(char **root) {
    SB_AUTO_FILE FILE *file = fopen("/proc/self/mountinfo", "re");
    SB_AUTO_FREE char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) > 0) {
        char *shown, *point;
        const char *kind = strstr(line, " - cgroup2 ");
        if (!kind || sscanf(line, "%*s %*s %*s %ms %ms", &shown, &point) != 2)
            continue;
        sb_mounts_unescape(shown);
        sb_mounts_unescape(point);
        *root = shown;
        return point;
    }
    return NULL;
}

static char *own_folder(void) {
    SB_AUTO_FREE char *root = NULL;
    SB_AUTO_FREE char *point = find_mount(&root);
    SB_AUTO_FREE char *path = own_path();
    if (!point || !path || !sb_path_below(path, root))
        return NULL;
    return sb_format("%s%s", point, strcmp(root, "/") == 0 ? path : path + strlen(root));
}

char *sb_cgroup_name(const char *cookie) {
    return sb_format("samebits-%u-%s", (unsigned)geteuid(), cookie);
}

void sb_cgroup_open(const char *name, struct sb_cgroup *cgroup) {
    SB_AUTO_FREE char *parent = own_folder();
    SB_AUTO_FREE char *path = parent ? sb_path_join(parent, name) : NULL;
    *cgroup = (struct sb_cgroup){.fd = -1};
    if (!path || (mkdir(path, 0755) < 0 && errno != EEXIST))
        return;
    cgroup->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (cgroup->fd >= 0)
        cgroup->path = sb_steal_pointer(&path);
}

pid_t sb_cgroup_fork(const struct sb_cgroup *cgroup) {
    /* Moving a process that runs already would wait milliseconds for every CPU; being born there
     * does not. Without libc's fork its locks are not looked after, so only without threads. */
    if (cgroup->path && __libc_single_threaded) {
        struct clone_args args = {.flags = CLONE_INTO_CGROUP,
                                  .exit_signal = SIGCHLD,
                                  .cgroup = (unsigned long long)cgroup->fd};
        long pid = syscall(SYS_clone3, &args, sizeof args);
        if (pid >= 0)
            return (pid_t)pid;
    }
    return fork();
}

static int write_to(const char *folder, const char *name, const char *text) {
    SB_AUTO_FREE char *path = sb_path_join(folder, name);
    SB_AUTO_FD int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;
}

/* With those that runs made inside it. Fails where anyone is left. */
static int remove_folder(const char *path) {
    SB_AUTO_DIR DIR *folder = opendir(path);
    if (!folder)
        return -1;
    for (struct dirent *found; (found = readdir(folder));) {
        if (found->d_type != DT_DIR || found->d_name[0] == '.')
            continue;
        SB_AUTO_FREE char *inner = sb_path_join(path, found->d_name);
        if (inner)
            remove_folder(inner);
    }
    return rmdir(path);
}

void sb_cgroup_leave(struct sb_cgroup *cgroup) {
    SB_AUTO_FREE char *copy = cgroup->path ? strdup(cgroup->path) : NULL;
    if (!copy)
        return;
    write_to(dirname(copy), "cgroup.procs", "0");
    remove_folder(cgroup->path);
}

void sb_cgroup_close(struct sb_cgroup *cgroup) {
    if (cgroup->path) {
        remove_folder(cgroup->path);
        close(cgroup->fd);
        free(cgroup->path);
    }
    *cgroup = (struct sb_cgroup){.fd = -1};
}

/* Before Linux 5.14, and not in cgroups inside it. */
static void kill_each(const char *path) {
    SB_AUTO_FREE char *name = sb_path_join(path, "cgroup.procs");
    SB_AUTO_FREE char *text = NULL;
    if (!name || sb_file_read(name, 1 << 20, &text, NULL, NULL) < 0)
        return;
    for (char *at = text, *next; *at; at = next) {
        long pid = strtol(at, &next, 10);
        if (next == at)
            break;
        if (pid > 0 && pid != getpid())
            kill((pid_t)pid, SIGKILL);
    }
}

void sb_cgroup_end(const char *path) {
    const struct timespec moment = {.tv_nsec = 2000000};
    for (int pass = 0; pass < MOST_PASSES && remove_folder(path) < 0 && errno == EBUSY; pass++) {
        if (write_to(path, "cgroup.kill", "1") < 0)
            kill_each(path);
        nanosleep(&moment, NULL);
    }
}
