/* Stage 3: mounts: what lies below a folder, and a run's private view made of them. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_SUBMOUNTS = 256 };

void sb_mounts_unescape(char *path) {
    char *to = path;
    for (const char *from = path; *from;) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    *to = '\0';
}

/* A mount point is only what it is listed as when no other mount covers it. */
static bool is_visible(const char *path, unsigned long long id) {
    struct statx st;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_MNT_ID, &st) < 0)
        return false;
    return !(st.stx_mask & STATX_MNT_ID) || st.stx_mnt_id == id;
}

static int add_topmost(struct sb_strings *relative, const char *path) {
    for (size_t i = 0; i < relative->n; i++)
        if (sb_path_below(path, relative->items[i]))
            return 0;
    /* Those below the new one come with it. */
    struct sb_strings kept = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < relative->n; i++)
        if (!sb_path_below(relative->items[i], path))
            rc = sb_strings_add(&kept, relative->items[i]);
    if (rc == 0)
        rc = sb_strings_add(&kept, path);
    if (rc < 0) {
        sb_strings_clear(&kept);
        return rc;
    }
    sb_strings_clear(relative);
    *relative = kept;
    return 0;
}

int sb_mounts_below(const char *directory, struct sb_strings *relative, struct sb_error *err) {
    SB_AUTO_FILE FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return sb_error_errno(err, -errno, "/proc/self/mountinfo");
    SB_AUTO_STRINGS struct sb_strings found = {0};
    SB_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        char *rest = NULL;
        unsigned long long id = strtoull(strtok_r(line, " ", &rest), NULL, 10);
        for (int i = 0; i < 3; i++) /* parent, device, root */
            strtok_r(NULL, " ", &rest);
        char *path = strtok_r(NULL, " ", &rest);
        if (!path)
            continue;
        sb_mounts_unescape(path);
        if (!sb_path_below(path, directory) || strcmp(path, directory) == 0 ||
            !is_visible(path, id))
            continue;
        const char *below = path + (strcmp(directory, "/") == 0 ? 1 : strlen(directory) + 1);
        int rc = add_topmost(&found, below);
        if (rc < 0)
            return sb_error_errno(err, rc, "mounts below %s", directory);
    }
    if (found.n > MOST_SUBMOUNTS)
        return sb_error_set(err, -E2BIG, "%zu mounts below %s", found.n, directory);
    sb_strings_sort(&found);
    *relative = found;
    found = (struct sb_strings){0};
    return 0;
}

static int open_path(const char *path) {
    return open(path, O_PATH | O_CLOEXEC);
}

/* "<directory>/<relative>" without an allocation. */
static int bind(struct sb_launch *launch, const char *from, const char *directory,
                const char *relative, unsigned long flags) {
    char to[PATH_MAX];
    if (snprintf(to, sizeof to, "%s/%s", directory, relative) >= (int)sizeof to) {
        errno = ENAMETOOLONG;
        return sb_launch_fail(launch, "mount", relative);
    }
    if (mount(from, to, NULL, MS_BIND | flags, NULL) < 0)
        return sb_launch_fail(launch, "mount", relative);
    return 0;
}

static int bind_descriptor(struct sb_launch *launch, int fd, const char *directory,
                           const char *relative) {
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return bind(launch, from, directory, relative, MS_REC);
}

static int bind_fixed(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                      struct sb_launch *launch) {
    if (sandbox->hidden && bind(launch, layer->mask, sandbox->directory, sandbox->hidden, 0) < 0)
        return -1;
    if (mount(layer->tmp, sandbox->tmp, NULL, MS_BIND, NULL) < 0)
        return sb_launch_fail(launch, "mount", sandbox->tmp);
    launch->covered.tmp = true;
    if (layer->alias && mount(sandbox->directory, layer->alias, NULL, MS_BIND | MS_REC, NULL) < 0)
        return sb_launch_fail(launch, "mount", layer->alias);
    return 0;
}

int sb_mounts_enter(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                    struct sb_launch *launch,
                    int (*cover)(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                                 struct sb_launch *launch)) {
    int submounts[MOST_SUBMOUNTS];
    char path[PATH_MAX];
    /* Once covered they can only be reached through descriptors. */
    for (size_t i = 0; i < sandbox->submounts.n; i++) {
        const char *relative = sandbox->submounts.items[i];
        if (snprintf(path, sizeof path, "%s/%s", sandbox->directory, relative) >=
            (int)sizeof path) {
            errno = ENAMETOOLONG;
            return sb_launch_fail(launch, "mount", relative);
        }
        submounts[i] = open_path(path);
        if (submounts[i] < 0)
            return sb_launch_fail(launch, "open", relative);
    }
    if (cover(sandbox, layer, launch) < 0)
        return -1;
    launch->covered.directory = true;
    for (size_t i = 0; i < sandbox->submounts.n; i++) {
        if (bind_descriptor(launch, submounts[i], sandbox->directory, sandbox->submounts.items[i]) <
            0)
            return -1;
        close(submounts[i]);
    }
    return bind_fixed(sandbox, layer, launch);
}

void sb_mounts_leave(const struct sb_sandbox *sandbox, struct sb_covered *covered) {
    /* What is mounted on the view goes with it; what still uses it keeps it. */
    if (covered->directory)
        umount2(sandbox->directory, MNT_DETACH);
    if (covered->tmp)
        umount2(sandbox->tmp, MNT_DETACH);
    *covered = (struct sb_covered){0};
}

int sb_mounts_alias(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                    struct sb_launch *launch) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return sb_launch_fail(launch, "mount", "/");
    if (mount(sandbox->directory, layer->alias, NULL, MS_BIND | MS_REC, NULL) < 0)
        return sb_launch_fail(launch, "mount", layer->alias);
    return 0;
}

int sb_mounts_guard(struct sb_sandbox *sandbox, struct sb_error *err) {
    if (unshare(CLONE_NEWNS) < 0)
        return sb_error_errno(err, -errno, "unshare");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return sb_error_errno(err, -errno, "mount");
    if (sandbox->layers_in_namespace &&
        mount("samebits", sandbox->layers, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") < 0)
        return sb_error_errno(err, -errno, "mount a tmpfs");
    return 0;
}

/* Only what the working directory's own mode allows without us can be asked for. */
static int exercise(const struct sb_sandbox *sandbox, struct sb_launch *launch, bool writable) {
    static const char name[] = ".samebits-try", other[] = ".samebits-tried";
    if (chdir(sandbox->directory) < 0)
        return sb_launch_fail(launch, "chdir", sandbox->directory);
    if (!writable)
        return 0;
    SB_AUTO_FD int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "same", 4) != 4)
        return sb_launch_fail(launch, "write", name);
    if (rename(name, other) < 0 || unlink(other) < 0)
        return sb_launch_fail(launch, "rename", name);
    if (mkdir(name, 0700) < 0 || rename(name, other) < 0)
        return sb_launch_fail(launch, "rename", name);
    if (mount(sandbox->tmp, other, NULL, MS_BIND, NULL) < 0)
        return sb_launch_fail(launch, "mount", other);
    fd = open(".samebits-tried/file", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd < 0 ? sb_launch_fail(launch, "write", other) : 0;
}

/* In a child, since what it does ends with its namespace. */
static int exercise_apart(struct sb_launch *launch, bool entered, struct sb_error *err) {
    const struct sb_sandbox *sandbox = launch->sandbox;
    bool writable = access(sandbox->directory, W_OK) == 0;
    char text[512] = "";
    int pipes[2], status = 0;
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return sb_error_errno(err, -errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0)
            sb_launch_fail(launch, "unshare", "");
        else if (entered || sandbox->kind->enter(sandbox, launch->layer, launch) == 0)
            exercise(sandbox, launch, writable);
        if (launch->error)
            dprintf(pipes[1], "%s%s%s: %s", launch->step, *launch->about ? " " : "", launch->about,
                    strerror(launch->error));
        _exit(launch->error ? 1 : 0);
    }
    close(pipes[1]);
    ssize_t n = read(pipes[0], text, sizeof text - 1);
    close(pipes[0]);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
        return sb_error_set(err, -ENOTSUP, "%s", n > 0 ? text : "the trial process failed");
    return 0;
}

int sb_mounts_try(struct sb_sandbox *sandbox, struct sb_error *err) {
    struct sb_layer layer = {.serial = 0};
    struct sb_launch launch = {.sandbox = sandbox, .layer = &layer};
    bool ahead = sandbox->kind->ahead;
    int rc = sb_layer_make(sandbox, &layer, err);
    if (rc == 0 && sandbox->kind->before)
        rc = sandbox->kind->before(sandbox, &layer, err);
    if (rc == 0 && ahead && sandbox->kind->enter(sandbox, &layer, &launch) < 0)
        rc = sb_launch_error(&launch, err);
    if (rc == 0)
        rc = exercise_apart(&launch, ahead, err);
    sb_mounts_leave(sandbox, &launch.covered);
    sb_layer_remove(&layer);
    sb_layer_clear(&layer);
    return rc;
}
