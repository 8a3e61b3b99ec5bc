/* Stage 3: copies of whole trees, for the copy mode and for putting back what a run changed. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* First copy of each file that has several names. */
struct linked {
    dev_t device;
    ino_t inode;
    char *to;
};

struct copying {
    const struct sb_copy_options *options;
    struct linked *linked;
    size_t n_linked;
    uint64_t bytes;
};

void sb_tree_set_metadata(const char *path, const struct stat *st) {
    struct timespec times[2] = {st->st_atim, st->st_mtim};
    struct stat now;
    if (lstat(path, &now) == 0 && (now.st_uid != st->st_uid || now.st_gid != st->st_gid) &&
        lchown(path, st->st_uid, st->st_gid) < 0 && errno != EPERM) {
        /* An owner that cannot be given, in a user namespace for example, stays ours. */
    }
    if (!S_ISLNK(st->st_mode))
        chmod(path, st->st_mode & 07777);
    utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

/* Copies the pieces that hold data and leaves the holes between them. */
static int copy_pieces(int in, int out, off_t size) {
    for (off_t at = 0; at < size;) {
        off_t data = lseek(in, at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -errno;
        off_t hole = lseek(in, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        off_t from = data, to = data;
        while (from < hole) {
            ssize_t n = copy_file_range(in, &from, out, &to, (size_t)(hole - from), 0);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return -errno;
            if (n == 0)
                break;
        }
        at = hole;
    }
    return 0;
}

/* -EOPNOTSUPP: the file systems cannot do it, copy it whole. */
static int copy_sparse(const char *from, const char *to, const struct stat *st) {
    SB_AUTO_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return -errno;
    SB_AUTO_FD int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0)
        return -errno;
    int rc = ftruncate(out, st->st_size) < 0 ? -errno : copy_pieces(in, out, st->st_size);
    if (rc < 0) {
        unlink(to);
        if (rc == -EXDEV || rc == -EINVAL || rc == -ENOSYS)
            rc = -EOPNOTSUPP;
    }
    return rc;
}

static int copy_link(const char *from, const char *to, const struct stat *st) {
    SB_AUTO_FREE char *target = calloc(1, (size_t)st->st_size + 4097);
    if (!target)
        return -ENOMEM;
    if (readlink(from, target, (size_t)st->st_size + 4096) < 0)
        return -errno;
    return symlink(target, to) < 0 ? -errno : 0;
}

int sb_tree_copy_entry(const char *from, const char *to, const struct stat *st,
                       struct sb_error *err) {
    int rc = 0;
    if (S_ISREG(st->st_mode)) {
        rc = -EOPNOTSUPP;
        if ((uint64_t)st->st_blocks * 512 + 4096 < (uint64_t)st->st_size)
            rc = copy_sparse(from, to, st);
        if (rc == -EOPNOTSUPP) {
            rc = sb_copy_file(from, to, err);
            if (rc < 0)
                return rc;
        }
    } else if (S_ISLNK(st->st_mode)) {
        rc = copy_link(from, to, st);
    } else if (S_ISFIFO(st->st_mode)) {
        rc = mkfifo(to, 0600) < 0 ? -errno : 0;
    } else {
        return 0; /* a socket without its server, or a device, is of no use to a run */
    }
    if (rc < 0)
        return sb_error_errno(err, rc, "copying %s to %s", from, to);
    sb_tree_set_metadata(to, st);
    return 0;
}

/* 1: linked to an earlier copy; 0: is to be copied. */
static int link_again(struct copying *copying, const char *to, const struct stat *st) {
    if (!S_ISREG(st->st_mode) || st->st_nlink < 2)
        return 0;
    for (size_t i = 0; i < copying->n_linked; i++)
        if (copying->linked[i].inode == st->st_ino && copying->linked[i].device == st->st_dev)
            return link(copying->linked[i].to, to) == 0;
    struct linked *linked =
        reallocarray(copying->linked, copying->n_linked + 1, sizeof *copying->linked);
    if (!linked)
        return -ENOMEM;
    copying->linked = linked;
    char *name = strdup(to);
    if (!name)
        return -ENOMEM;
    linked[copying->n_linked++] =
        (struct linked){.device = st->st_dev, .inode = st->st_ino, .to = name};
    return 0;
}

static bool cancelled(const struct copying *copying) {
    return copying->options->cancelled && copying->options->cancelled(copying->options->context);
}

static int copy_folder(struct copying *copying, const char *from, const char *to,
                       const char *relative, const struct stat *st, struct sb_error *err);

static int copy_any(struct copying *copying, const char *from, const char *to, const char *relative,
                    struct sb_error *err) {
    struct stat st;
    if (cancelled(copying))
        return sb_error_set(err, -EINTR, "copying %s: interrupted", from);
    if (lstat(from, &st) < 0)
        return errno == ENOENT ? 0 : sb_error_errno(err, -errno, "%s", from);
    bool skipped = copying->options->skip && sb_strings_contain(copying->options->skip, relative);
    if (skipped && !S_ISDIR(st.st_mode)) {
        int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st.st_mode & 0777);
        return fd < 0 || close(fd) < 0 ? sb_error_errno(err, -errno, "%s", to) : 0;
    }
    if (skipped) {
        if (mkdir(to, 0700) < 0)
            return sb_error_errno(err, -errno, "%s", to);
        sb_tree_set_metadata(to, &st);
        return 0;
    }
    int rc;
    if (S_ISDIR(st.st_mode)) {
        rc = copy_folder(copying, from, to, relative, &st, err);
    } else {
        copying->bytes += (uint64_t)st.st_size;
        if (copying->options->limit && copying->bytes > copying->options->limit)
            return sb_error_set(err, -EFBIG, "more than %llu MiB",
                                (unsigned long long)(copying->options->limit >> 20));
        rc = link_again(copying, to, &st);
        if (rc == 0)
            rc = sb_tree_copy_entry(from, to, &st, err);
    }
    if ((rc == -EACCES || rc == -EPERM) && copying->options->tolerant)
        rc = 0;
    return rc < 0 ? rc : 0;
}

static int copy_folder(struct copying *copying, const char *from, const char *to,
                       const char *relative, const struct stat *st, struct sb_error *err) {
    SB_AUTO_DIR DIR *folder = opendir(from);
    if (!folder)
        return sb_error_errno(err, -errno, "%s", from);
    if (mkdir(to, 0700) < 0 && errno != EEXIST)
        return sb_error_errno(err, -errno, "%s", to);
    for (struct dirent *found; (found = readdir(folder));) {
        const char *name = found->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        SB_AUTO_FREE char *source = sb_format("%s/%s", from, name);
        SB_AUTO_FREE char *copy = sb_format("%s/%s", to, name);
        SB_AUTO_FREE char *below = *relative ? sb_format("%s/%s", relative, name) : strdup(name);
        if (!source || !copy || !below)
            return sb_error_errno(err, -ENOMEM, "%s", from);
        int rc = copy_any(copying, source, copy, below, err);
        if (rc < 0)
            return rc;
    }
    sb_tree_set_metadata(to, st); /* last: filling it changes its times */
    return 0;
}

int sb_tree_copy(const char *from, const char *to, const struct sb_copy_options *options,
                 struct sb_error *err) {
    struct copying copying = {.options = options};
    struct stat st;
    int rc = stat(from, &st) < 0 ? sb_error_errno(err, -errno, "%s", from)
                                 : copy_folder(&copying, from, to, "", &st, err);
    for (size_t i = 0; i < copying.n_linked; i++)
        free(copying.linked[i].to);
    free(copying.linked);
    return rc;
}
