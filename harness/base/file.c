/* base: whole files, folders, and everything below them. See base/file.h. */
#include "base/file.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

int sb_file_read(const char *path, size_t limit, char **data, size_t *n, struct sb_error *err) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sb_error_errno(err, -errno, "%s", path);
    SB_AUTO_TEXT struct sb_text text = {0};
    char buffer[16384];
    for (;;) {
        ssize_t got = read(fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sb_error_errno(err, -errno, "%s", path);
        if (got == 0)
            break;
        if (text.length + (size_t)got > limit)
            return sb_error_set(err, -EFBIG, "%s: larger than %zu bytes", path, limit);
        sb_text_add(&text, buffer, (size_t)got);
    }
    size_t length = text.length;
    char *content = sb_text_take(&text);
    if (!content)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    *data = content;
    if (n)
        *n = length;
    return 0;
}

int sb_write_all(int fd, const void *data, size_t n) {
    const char *at = data;
    while (n) {
        ssize_t wrote = write(fd, at, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        at += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

/* What is there is written to as it is, where it is no file that another could take the place of: a
 * device, a pipe, a link to one, and the links in /dev to what is open, which may be a file. */
static bool is_stream(const char *path) {
    struct stat st;
    if (strncmp(path, "/dev/", 5) == 0 && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        return true;
    return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

static int write_stream(const char *path, const char *data, size_t n, struct sb_error *err) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    int rc = fd < 0 ? -errno : sb_write_all(fd, data, n);
    if (fd >= 0 && close(fd) < 0 && rc == 0)
        rc = -errno;
    return rc < 0 ? sb_error_errno(err, rc, "%s", path) : 0;
}

int sb_file_write(const char *path, const char *data, size_t n, struct sb_error *err) {
    if (is_stream(path))
        return write_stream(path, data, n, err);
    SB_AUTO_FREE char *temporary = sb_format("%s.%ld.tmp", path, (long)getpid());
    if (!temporary)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return sb_error_errno(err, -errno, "%s", path);
    int rc = sb_write_all(fd, data, n);
    if (close(fd) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(temporary, path) < 0)
        rc = -errno;
    if (rc < 0) {
        unlink(temporary);
        return sb_error_errno(err, rc, "%s", path);
    }
    return 0;
}

int sb_make_folders(const char *path, mode_t mode, struct sb_error *err) {
    if (mkdir(path, mode) == 0)
        return 0;
    if (errno == ENOENT) {
        SB_AUTO_FREE char *parent = strdup(path);
        char *slash = parent ? strrchr(parent, '/') : NULL;
        if (slash && slash != parent) {
            *slash = '\0';
            int rc = sb_make_folders(parent, mode, err);
            if (rc < 0)
                return rc;
            if (mkdir(path, mode) == 0)
                return 0;
        }
    }
    struct stat st;
    if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    return sb_error_errno(err, -errno, "cannot make folder %s", path);
}

/* A bind mount has the device number of its file system, so that alone does not tell. */
static bool is_mount_point(int fd) {
    struct statx st;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

/* Opens the folder that `st` told of, or fails: never what a link leads to. */
static int open_folder(int parent, const char *name, const struct stat *st) {
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(parent, name, flags);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = openat(parent, name, flags);
    if (fd < 0)
        return -errno;
    struct stat opened;
    int rc = fstat(fd, &opened) < 0 ? -errno : 0;
    if (rc == 0 && (opened.st_dev != st->st_dev || opened.st_ino != st->st_ino))
        rc = -EXDEV;
    if (rc == 0 && (st->st_mode & 0700) != 0700)
        fchmod(fd, 0700);
    if (rc == 0)
        return fd;
    close(fd);
    return rc;
}

static int remove_at(int parent, const char *name, dev_t device) {
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(parent, name, 0) < 0 && errno != ENOENT ? -errno : 0;
    if (device && st.st_dev != device)
        return -EXDEV;
    int fd = open_folder(parent, name, &st);
    if (fd < 0)
        return fd;
    SB_AUTO_DIR DIR *folder = fdopendir(fd);
    if (!folder) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    if (device && is_mount_point(fd))
        return -EXDEV;
    int rc = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int removed = remove_at(fd, entry->d_name, st.st_dev);
        if (removed < 0)
            rc = removed;
    }
    if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT && rc == 0)
        rc = -errno;
    return rc;
}

int sb_remove_tree(const char *path, struct sb_error *err) {
    SB_AUTO_FREE char *bare = strdup(path);
    if (!bare)
        return sb_error_errno(err, -ENOMEM, "cannot remove %s", path);
    size_t n = strlen(bare);
    while (n && bare[n - 1] == '/') /* a slash after its name would follow a link */
        bare[--n] = '\0';
    const char *slash = strrchr(bare, '/');
    const char *last = slash ? slash + 1 : bare;
    if (!*last || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return sb_error_set(err, -EINVAL, "refusing to remove '%s'", path);
    int rc = remove_at(AT_FDCWD, bare, 0);
    return rc < 0 ? sb_error_errno(err, rc, "cannot remove %s", path) : 0;
}

static int copy_content(int in, int out) {
    if (ioctl(out, FICLONE, in) == 0)
        return 0;
    for (;;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, SSIZE_MAX & ~(size_t)0xfff, 0);
        if (n == 0)
            break;
        if (n < 0) {
            if (errno == EINTR)
                continue;
            if (errno == ENOSPC || errno == EIO || errno == EDQUOT)
                return -errno;
            break;
        }
    }
    /* copy_file_range refuses some file systems and says nothing of files such as /proc's: the
     * plain loop copies what is left, starting where both offsets stand. */
    char buffer[65536];
    for (;;) {
        ssize_t n = read(in, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        int rc = sb_write_all(out, buffer, (size_t)n);
        if (rc < 0)
            return rc;
    }
}

int sb_copy_file(const char *from, const char *to, struct sb_error *err) {
    SB_AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (in < 0)
        return sb_error_errno(err, -errno, "%s", from);
    struct stat st;
    if (fstat(in, &st) < 0)
        return sb_error_errno(err, -errno, "%s", from);
    SB_AUTO_FREE char *temporary = sb_format("%s.%ld.tmp", to, (long)getpid());
    if (!temporary)
        return sb_error_errno(err, -ENOMEM, "%s", to);
    int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.st_mode & 0777);
    if (out < 0)
        return sb_error_errno(err, -errno, "%s", to);
    int rc = copy_content(in, out);
    if (rc == 0 && fchmod(out, st.st_mode & 07777) < 0)
        rc = -errno;
    if (close(out) < 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(temporary, to) < 0)
        rc = -errno;
    if (rc < 0) {
        unlink(temporary);
        return sb_error_errno(err, rc, "copying %s to %s", from, to);
    }
    return 0;
}

int sb_move_file(const char *from, const char *to, struct sb_error *err) {
    if (rename(from, to) == 0)
        return 0;
    if (errno != EXDEV)
        return sb_error_errno(err, -errno, "moving %s to %s", from, to);
    int rc = sb_copy_file(from, to, err);
    if (rc == 0 && unlink(from) < 0)
        rc = sb_error_errno(err, -errno, "%s", from);
    return rc;
}

char *sb_path_join(const char *a, const char *b) {
    if (b[0] == '/' || !a[0])
        return strdup(b);
    return sb_format(a[strlen(a) - 1] == '/' ? "%s%s" : "%s/%s", a, b);
}

char *sb_program_path(void) {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n < 0)
        return NULL;
    path[n] = '\0';
    return strdup(path);
}

char *sb_find_beside_program(const char *const *folders, const char *name) {
    SB_AUTO_FREE char *program = sb_program_path();
    char *slash = program ? strrchr(program, '/') : NULL;
    if (!slash)
        return NULL;
    *slash = '\0';
    for (; *folders; folders++) {
        SB_AUTO_FREE char *path = sb_format("%s/%s/%s", program, *folders, name);
        if (path && access(path, R_OK) == 0)
            return realpath(path, NULL);
    }
    return NULL;
}
