/* Stage 4, weights: opens files, finds out their formats and reads them. See weights/reading.h. */
#include "weights/reading.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "weights/beside.h"
#include "weights/tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Enough for an HDF5 file behind a user block of up to 64 KiB. */
enum { HEAD_BYTES = (64 << 10) + 8 };

static const struct sb_format *recognise(int fd, const char *path, struct sb_error *err) {
    SB_AUTO_FREE unsigned char *head = malloc(HEAD_BYTES);
    if (!head) {
        sb_error_errno(err, -ENOMEM, "%s", path);
        return NULL;
    }
    size_t n = 0;
    ssize_t got;
    while (n < HEAD_BYTES && (got = pread(fd, head + n, HEAD_BYTES - n, (off_t)n)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            sb_error_errno(err, -errno, "%s", path);
            return NULL;
        }
        n += (size_t)got;
    }
    for (size_t i = 0; sb_formats[i]; i++) {
        if (sb_formats[i]->recognise(head, n, path))
            return sb_formats[i];
    }
    if (n == 0) {
        sb_error_set(err, -EBADMSG, "%s: the file is empty", path);
        return NULL;
    }
    SB_AUTO_TEXT struct sb_text names = {0};
    for (size_t i = 0; sb_formats[i]; i++) {
        sb_text_printf(&names, " %s", sb_formats[i]->name);
    }
    sb_error_set(err, -EBADMSG, "%s: no known weights format (those that are read:%s)", path,
                 names.failed ? "" : names.data);
    return NULL;
}

const struct sb_format *sb_format_recognise(const char *path) {
    struct stat status;
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return NULL;
    return recognise(fd, path, NULL);
}

char *sb_weights_path(const char *path) {
    struct stat status;
    bool there = stat(path, &status) == 0;
    SB_AUTO_FREE char *named = there && S_ISDIR(status.st_mode)
                                   ? sb_format("%s/variables/variables.index", path)
                               : there ? strdup(path)
                                       : sb_format("%s.index", path);
    if (!named)
        return NULL;
    char *real = realpath(named, NULL);
    return real ? real : strdup(path);
}

static const char *kind_of_file(mode_t mode) {
    if (S_ISDIR(mode))
        return "a folder";
    if (S_ISFIFO(mode))
        return "a named pipe";
    if (S_ISSOCK(mode))
        return "a socket";
    if (S_ISLNK(mode))
        return "a symbolic link, which is not followed";
    return "a device";
}

/* Looks before it opens: opening a device can have effects of its own, and a FIFO may have a writer
 * that must not be woken. */
static int open_regular(const char *path, int *fd, struct stat *status, struct sb_error *err) {
    if (lstat(path, status) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if (!S_ISREG(status->st_mode))
        return sb_error_set(err, S_ISLNK(status->st_mode) ? -ELOOP : -EBADMSG,
                            "%s: it is %s, no weights file", path, kind_of_file(status->st_mode));
    SB_AUTO_FD int opened = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened < 0 || fstat(opened, status) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if (!S_ISREG(status->st_mode))
        return sb_error_set(err, -EBADMSG, "%s: it is %s, no weights file", path,
                            kind_of_file(status->st_mode));
    *fd = sb_steal_fd(&opened);
    return 0;
}

int sb_weights_file_open(const char *path, const char *prefix, struct sb_weights_file *file,
                         struct sb_error *err) {
    struct stat status;
    SB_AUTO_FD int fd = -1;
    int r = open_regular(path, &fd, &status, err);
    if (r < 0)
        return r;
    const struct sb_format *format = recognise(fd, path, err);
    if (!format)
        return -EBADMSG;
    *file = (struct sb_weights_file){.path = path,
                                     .prefix = prefix,
                                     .fd = sb_steal_fd(&fd),
                                     .n_bytes = (uint64_t)status.st_size,
                                     .format = format};
    r = sb_beside_open(path, format, &file->beside, &file->n_beside, &file->n_bytes, err);
    if (r < 0)
        sb_weights_file_close(file);
    return r;
}

void sb_weights_file_close(struct sb_weights_file *file) {
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    sb_beside_close(file->beside, file->n_beside);
    file->beside = NULL;
    file->n_beside = 0;
}

int sb_weights_file_read(const struct sb_weights_file *file,
                         const struct sb_weights_options *options, struct sb_tensor_sink *sink,
                         struct sb_error *err) {
    struct sb_filter filter = {
        .next = sink, .options = options, .prefix = file->prefix, .met = file->met};
    struct sb_tensor_sink filtered;
    sb_filter_sink(&filter, &filtered);
    if (file->reading)
        *file->reading = (uint32_t)file->index + 1;
    const struct sb_source source = {.path = file->path,
                                     .fd = file->fd,
                                     .beside = file->beside,
                                     .n_beside = file->n_beside,
                                     .recount = options && options->match_by_order};
    int r = file->format->read(&source, &filtered, err);
    return r < 0 ? sb_error_prefix(err, r, "%s", file->path) : 0;
}

static int by_prefix(const void *a, const void *b, void *context) {
    char *const *prefixes = context;
    return strcmp(prefixes[*(const size_t *)a], prefixes[*(const size_t *)b]);
}

void sb_weights_files_order(const struct sb_weights_files *files, size_t *order) {
    for (size_t i = 0; i < files->n; i++)
        order[i] = i;
    if (files->prefixes)
        qsort_r(order, files->n, sizeof *order, by_prefix, files->prefixes);
}

uint32_t sb_format_bit(const struct sb_format *format) {
    for (size_t i = 0; sb_formats[i] && i < 32; i++) {
        if (sb_formats[i] == format)
            return UINT32_C(1) << i;
    }
    return 0;
}

void sb_formats_prepare(uint32_t set) {
    for (size_t i = 0; sb_formats[i] && i < 32; i++) {
        if (sb_formats[i]->prepare && (set >> i & 1))
            sb_formats[i]->prepare(NULL);
    }
}
