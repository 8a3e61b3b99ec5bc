/* Stage 4, weights: files beside a weights file. See weights/beside.h. */
#include "weights/beside.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 4096 };

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* "" of a bare name, "a/" of "a/b". */
static size_t folder_length(const char *path) {
    return (size_t)(name_of(path) - path);
}

/* 1: opened; 0: it is nothing to be read. */
static int open_one(int folder, const char *name, struct sb_beside *opened) {
    struct stat status;
    SB_AUTO_FD int fd = -1;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
        return 0;
    fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    opened->name = strdup(name);
    if (!opened->name)
        return -ENOMEM;
    opened->n_bytes = (uint64_t)status.st_size;
    opened->fd = sb_steal_fd(&fd);
    return 1;
}

static int add(struct sb_beside **beside, size_t *n, const struct sb_beside *one) {
    struct sb_beside *grown = reallocarray(*beside, *n + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    *beside = grown;
    grown[(*n)++] = *one;
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct sb_beside *)a)->name, ((const struct sb_beside *)b)->name);
}

static int open_all(DIR *folder, const char *file, const struct sb_format *format,
                    struct sb_beside **beside, size_t *n) {
    for (struct dirent *found; (found = readdir(folder));) {
        struct sb_beside one;
        if (strcmp(found->d_name, file) == 0 ||
            format->beside(file, found->d_name) == SB_BESIDE_NOTHING)
            continue;
        if (*n == MOST_FILES)
            return 0; /* what is not among them is missed by who asks for it */
        int r = open_one(dirfd(folder), found->d_name, &one);
        if (r > 0 && (r = add(beside, n, &one)) < 0) {
            close(one.fd);
            free(one.name);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int sb_beside_open(const char *path, const struct sb_format *format, struct sb_beside **beside,
                   size_t *n, uint64_t *n_bytes, struct sb_error *err) {
    *beside = NULL;
    *n = 0;
    if (!format->beside)
        return 0;
    SB_AUTO_FREE char *name = sb_format("%.*s.", (int)folder_length(path), path);
    SB_AUTO_DIR DIR *folder = name ? opendir(name) : NULL;
    int r = !name ? -ENOMEM : !folder ? -errno : open_all(folder, name_of(path), format, beside, n);
    if (r < 0) {
        sb_beside_close(*beside, *n);
        *beside = NULL;
        *n = 0;
        return sb_error_errno(err, r, "%s: the files beside it", path);
    }
    if (*n)
        qsort(*beside, *n, sizeof **beside, by_name);
    for (size_t i = 0; i < *n; i++)
        *n_bytes += (*beside)[i].n_bytes;
    return 0;
}

void sb_beside_close(struct sb_beside *beside, size_t n) {
    for (size_t i = 0; i < n; i++) {
        close(beside[i].fd);
        free(beside[i].name);
    }
    free(beside);
}

const struct sb_beside *sb_beside_find(const struct sb_source *source, const char *name,
                                       struct sb_error *err) {
    const struct sb_beside wanted = {.name = (char *)name};
    struct sb_beside *found = source->n_beside ? bsearch(&wanted, source->beside, source->n_beside,
                                                         sizeof wanted, by_name)
                                               : NULL;
    if (!found && strchr(name, '/'))
        sb_error_set(err, -EBADMSG, "it needs '%s', which is no file of its own folder", name);
    else if (!found)
        sb_error_set(err, -EBADMSG, "it needs '%s', which does not lie beside it%s", name,
                     source->n_beside == MOST_FILES ? " (or is one of too many files there)" : "");
    if (found)
        found->asked = true;
    return found;
}

bool sb_beside_is_part(const char *file, const struct sb_format *format, const char *path) {
    size_t n = folder_length(file);
    return format->beside && folder_length(path) == n && strncmp(file, path, n) == 0 &&
           strcmp(file, path) != 0 &&
           format->beside(name_of(file), name_of(path)) == SB_BESIDE_PART;
}
