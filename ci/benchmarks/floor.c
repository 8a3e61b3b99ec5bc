/* The floors that runs are measured against: what the kernel alone costs.
 *   floor spawn N PROGRAM            fork, exec, wait
 *   floor overlay N PROGRAM FOLDER   fork, unshare, one overlay mount, exec, wait
 * Prints the seconds that N took. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void write_text(const char *path, const char *text) {
    int fd = open(path, O_WRONLY);
    if (fd >= 0) {
        if (write(fd, text, strlen(text)) < 0)
            _exit(3);
        close(fd);
    }
}

/* A user namespace as well where the mount alone is not allowed. */
static int enter_namespace(void) {
    if (unshare(CLONE_NEWNS) == 0)
        return 0;
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -1;
    write_text("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    write_text("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    write_text("/proc/self/gid_map", map);
    return 0;
}

static void mount_overlay(const char *folder, int i) {
    char upper[256], work[256], options[1024];
    snprintf(upper, sizeof upper, "%s/upper%d", folder, i);
    snprintf(work, sizeof work, "%s/work%d", folder, i);
    if (mkdir(upper, 0700) < 0 || mkdir(work, 0700) < 0 || enter_namespace() < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        _exit(3);
    snprintf(options, sizeof options, "lowerdir=%s/lower,upperdir=%s,workdir=%s", folder, upper,
             work);
    char target[256];
    snprintf(target, sizeof target, "%s/lower", folder);
    if (mount("overlay", target, "overlay", 0, options) < 0)
        _exit(3);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    int n = atoi(argv[2]);
    double began = seconds();
    for (int i = 0; i < n; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (strcmp(argv[1], "overlay") == 0)
                mount_overlay(argv[4], i);
            execl(argv[3], argv[3], (char *)NULL);
            _exit(127);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "floor: %s: the child ended with %d\n", argv[1], status);
            return 1;
        }
    }
    printf("%.6f\n", seconds() - began);
    return 0;
}
