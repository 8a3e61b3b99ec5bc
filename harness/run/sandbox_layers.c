/* Stage 3: where runs' private folders lie, and the fixed paths that every run sees. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

/* A layer on a smaller file system would fill before a training has written its weights. */
enum { ENOUGH_MIB = 32 };

bool sb_path_below(const char *path, const char *folder) {
    size_t n = strlen(folder);
    if (strcmp(folder, "/") == 0)
        return true;
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

uint64_t sb_path_hash(const char *path) {
    return XXH3_64bits(path, strlen(path));
}

int sb_lock_folder(const char *path, int how) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat open_one, named;
    if (fd < 0)
        return -errno;
    if (flock(fd, how | LOCK_NB) < 0)
        return -errno;
    if (fstat(fd, &open_one) < 0 || lstat(path, &named) < 0)
        return -errno;
    if (open_one.st_ino != named.st_ino || open_one.st_dev != named.st_dev)
        return -ESTALE;
    return sb_steal_fd(&fd);
}

/* Folders of a samebits that was killed, its guards too: nobody holds their locks. */
static void remove_left_over(const char *parent, const char *prefix) {
    SB_AUTO_DIR DIR *folder = opendir(parent);
    if (!folder)
        return;
    for (struct dirent *found; (found = readdir(folder));) {
        /* "samebits-<uid>-" and mkdtemp's six: never "." or "..", whatever the prefix. */
        if (!*prefix || strncmp(found->d_name, prefix, strlen(prefix)) != 0 ||
            strlen(found->d_name) != strlen(prefix) + 6)
            continue;
        SB_AUTO_FREE char *path = sb_path_join(parent, found->d_name);
        struct stat st;
        if (!path || lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
            continue;
        SB_AUTO_FD int fd = sb_lock_folder(path, LOCK_EX);
        if (fd >= 0)
            sb_remove_tree(path, NULL);
    }
}

static bool usable(const char *candidate, const char *directory, bool overlay) {
    struct statfs fs;
    if (candidate[0] != '/' || sb_path_below(candidate, directory) ||
        access(candidate, W_OK | X_OK) < 0 || statfs(candidate, &fs) < 0)
        return false;
    if (overlay && (unsigned long)fs.f_type == OVERLAYFS_SUPER_MAGIC)
        return false;
    return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize >= (uint64_t)ENOUGH_MIB << 20;
}

/* ext4 puts a folder's content near it, and /tmp is where a machine's short-lived files come and
 * go: finding an inode there among those just freed can take a millisecond for every file
 * (measured; ext4 without a journal). Folders of one that is marked as the top of hierarchies
 * (chattr(1), T) are put where there is room instead. A wish, which other file systems do not know.
 */
static void spread_folders(const char *path) {
    enum { TOP_OF_HIERARCHIES = 0x00020000 }; /* EXT4_TOPDIR_FL */
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int flags = 0;
    if (fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= TOP_OF_HIERARCHIES;
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
}

static int make_layers(struct sb_sandbox *sandbox, const char *parent) {
    SB_AUTO_FREE char *prefix = sb_format("samebits-%u-", (unsigned)geteuid());
    SB_AUTO_FREE char *path = sb_format("%s/%sXXXXXX", parent, prefix);
    if (!prefix || !path)
        return -ENOMEM;
    remove_left_over(parent, prefix);
    if (!mkdtemp(path))
        return -errno;
    spread_folders(path);
    int fd = sb_lock_folder(path, LOCK_EX);
    if (fd < 0) {
        rmdir(path);
        return fd;
    }
    sandbox->layers = sb_steal_pointer(&path);
    sandbox->layers_lock = fd;
    return 0;
}

/* For overlay the folder lies on no overlayfs; where there is none other, each guard mounts a
 * tmpfs. */
int sb_layers_open(struct sb_sandbox *sandbox, bool overlay, struct sb_error *err) {
    SB_AUTO_FREE char *named = getenv("TMPDIR") ? realpath(getenv("TMPDIR"), NULL) : NULL;
    const char *const candidates[] = {named ? named : "/tmp", "/tmp", "/var/tmp", "/dev/shm"};
    int rc = -ENOENT;
    for (int namespace = 0; namespace <= overlay; namespace ++) {
        for (size_t i = 0; i < sizeof candidates / sizeof *candidates; i++) {
            if (!usable(candidates[i], sandbox->directory, overlay && !namespace))
                continue;
            rc = make_layers(sandbox, candidates[i]);
            if (rc == 0) {
                sandbox->layers_in_namespace = namespace;
                return 0;
            }
        }
    }
    return sb_error_errno(err, rc,
                          "no place for private layers outside %s (tried TMPDIR, /tmp, /var/tmp, "
                          "/dev/shm; %d MiB are needed)",
                          sandbox->directory, ENOUGH_MIB);
}

/* A folder of ours alone, which nobody else could have made ready for us. */
static int own_folder(const char *path) {
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return -EPERM;
    return (st.st_mode & 077) && chmod(path, 0700) < 0 ? -errno : 0;
}

static int lock_base(struct sb_sandbox *sandbox, const char *parent, bool alone) {
    for (int attempt = 0; attempt < 100; attempt++) {
        int rc = own_folder(parent);
        if (rc == 0)
            rc = own_folder(sandbox->base);
        if (rc == 0)
            rc = sb_lock_folder(sandbox->base, alone ? LOCK_EX : LOCK_SH);
        if (rc >= 0) {
            sandbox->base_lock = rc;
            return own_folder(sandbox->tmp);
        }
        if (rc != -ESTALE && rc != -ENOENT)
            return rc;
    }
    return -EAGAIN;
}

/* Every run's TMPDIR has one path for one working directory, in this samebits and in one that
 * resumes it. Where runs have no mount namespace it is a real folder, emptied between them, and
 * only one samebits may use it. */
int sb_layers_open_tmp(struct sb_sandbox *sandbox, struct sb_error *err) {
    static const char *const parents[] = {"/tmp", "/var/tmp", "/dev/shm"};
    bool alone = !sandbox->kind->mount_namespace;
    int rc = -ENOENT;
    for (size_t i = 0; i < sizeof parents / sizeof *parents; i++) {
        if (!usable(parents[i], sandbox->directory, false))
            continue;
        SB_AUTO_FREE char *parent = sb_format("%s/samebits-%u", parents[i], (unsigned)geteuid());
        free(sandbox->base);
        free(sandbox->tmp);
        sandbox->base = parent ? sb_format("%s/%s", parent, sandbox->cookie) : NULL;
        sandbox->tmp = sandbox->base ? sb_path_join(sandbox->base, "tmp") : NULL;
        if (!sandbox->tmp)
            return sb_error_errno(err, -ENOMEM, "TMPDIR of runs");
        sb_left_over_end(sandbox->base, sandbox->cookie);
        rc = lock_base(sandbox, parent, alone);
        if (rc == 0)
            return 0;
        if (rc == -EWOULDBLOCK)
            return sb_error_set(err, -EBUSY, "another samebits works in %s, %s", sandbox->directory,
                                alone ? "and in place only one can at a time"
                                      : "in place: wait until it has ended");
    }
    return sb_error_errno(err, rc,
                          "no place for the TMPDIR of runs (tried /tmp, /var/tmp, "
                          "/dev/shm)");
}

void sb_layers_close(struct sb_sandbox *sandbox) {
    if (sandbox->layers)
        sb_remove_tree(sandbox->layers, NULL);
    if (sandbox->layers_lock >= 0)
        close(sandbox->layers_lock);
    sandbox->layers_lock = -1;
    free(sb_steal_pointer(&sandbox->layers));
    /* Removed only by the last user: as a mount point it would take the mount with it. The guards
     * share the descriptor, and so its lock: a new one is refused while any of them, or another
     * samebits, has the folder, and is of the folder that the path leads to now. */
    bool used = sandbox->base_lock >= 0;
    if (used)
        close(sandbox->base_lock);
    sandbox->base_lock = -1;
    SB_AUTO_FD int last = used ? sb_lock_folder(sandbox->base, LOCK_EX) : -1;
    if (last >= 0) {
        sb_remove_tree(sandbox->base, NULL);
        SB_AUTO_FREE char *parent = strdup(sandbox->base);
        if (parent) /* only when it is empty */
            rmdir(dirname(parent));
    }
}

int sb_layer_make(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    layer->root =
        sb_format("%s/%llu", sandbox->guard_folder, (unsigned long long)sandbox->n_layers++);
    layer->files = layer->root ? sb_format("%s/files", layer->root) : NULL;
    layer->tmp = layer->root ? sb_format("%s/tmp", layer->root) : NULL;
    layer->mask = layer->root ? sb_format("%s/mask", layer->root) : NULL;
    if (!layer->files || !layer->tmp || !layer->mask)
        return sb_error_errno(err, -ENOMEM, "a private layer");
    clock_gettime(CLOCK_REALTIME_COARSE, &layer->since); /* the clock of file times */
    if (sandbox->kind->folders_late)
        return 0;
    if (mkdir(layer->root, 0700) < 0 || mkdir(layer->files, 0700) < 0)
        return sb_error_errno(err, -errno, "%s", layer->root);
    if (sandbox->kind->mount_namespace && mkdir(layer->tmp, 0700) < 0)
        return sb_error_errno(err, -errno, "%s", layer->tmp);
    if (sandbox->kind->mount_namespace && sandbox->hidden && mkdir(layer->mask, 0755) < 0)
        return sb_error_errno(err, -errno, "%s", layer->mask);
    return 0;
}

int sb_layer_note(const struct sb_sandbox *sandbox, struct sb_layer *layer) {
    int rc = sb_untouched_note(layer->files, &layer->fresh[0]);
    if (rc == 0)
        rc = sb_untouched_note(layer->tmp, &layer->fresh[1]);
    if (rc == 0 && sandbox->hidden)
        rc = sb_untouched_note(layer->mask, &layer->fresh[2]);
    return rc;
}

bool sb_layer_untouched(const struct sb_sandbox *sandbox, const struct sb_layer *layer) {
    return sb_untouched_still(layer->files, &layer->fresh[0]) &&
           sb_untouched_still(layer->tmp, &layer->fresh[1]) &&
           (!sandbox->hidden || sb_untouched_still(layer->mask, &layer->fresh[2]));
}

/* Removes what is in a folder, where that is little. */
static bool empty_folder(const char *path) {
    enum { MOST_ENTRIES = 64 };
    SB_AUTO_STRINGS struct sb_strings names = {0};
    SB_AUTO_DIR DIR *folder = opendir(path);
    for (struct dirent *found; folder && (found = readdir(folder));) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        if (names.n == MOST_ENTRIES || sb_strings_add(&names, found->d_name) < 0)
            return false;
    }
    for (size_t i = 0; i < names.n; i++) {
        SB_AUTO_FREE char *below = sb_path_join(path, names.items[i]);
        if (!below || sb_remove_tree(below, NULL) < 0)
            return false;
    }
    return folder != NULL;
}

bool sb_layer_renew(const struct sb_sandbox *sandbox, struct sb_layer *layer) {
    SB_AUTO_FREE char *work = sb_format("%s/work", layer->root);
    const char *const folders[] = {layer->files, layer->tmp, sandbox->hidden ? layer->mask : NULL};
    if (!work || !empty_folder(work))
        return false;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        struct sb_untouched *fresh = &layer->fresh[i];
        if (folders[i] &&
            (!empty_folder(folders[i]) ||
             utimensat(AT_FDCWD, folders[i],
                       (struct timespec[2]){fresh->st.st_atim, fresh->st.st_mtim}, 0) < 0 ||
             !sb_untouched_still(folders[i], fresh)))
            return false;
    }
    layer->used = false;
    return true;
}

void sb_layer_remove(struct sb_layer *layer) {
    if (layer->root && layer->files && !sb_path_below(layer->files, layer->root))
        sb_remove_tree(layer->files, NULL);
    if (layer->root)
        sb_remove_tree(layer->root, NULL);
}

void sb_layer_clear(struct sb_layer *layer) {
    free(layer->root);
    free(layer->files);
    free(layer->tmp);
    free(layer->mask);
    sb_listing_clear(&layer->listing);
    sb_strings_clear(&layer->written);
    sb_text_clear(&layer->notes);
    *layer = (struct sb_layer){0};
}
