/* Stage 3: what a folder holds before and after a run, and so what the run wrote. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes of paths with `/` before all others, so that a folder is followed by what is in it. */
static int compare_paths(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    unsigned left = *a == '/' ? 1 : *a ? (unsigned char)*a + 1u : 0;
    unsigned right = *b == '/' ? 1 : *b ? (unsigned char)*b + 1u : 0;
    return left < right ? -1 : left > right;
}

static int compare_entries(const void *a, const void *b) {
    const struct sb_entry *left = a, *right = b;
    return compare_paths(left->path, right->path);
}

static int add_entry(struct sb_listing *listing, char *path, const struct stat *st, char *target) {
    if (listing->n == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
        struct sb_entry *entries = reallocarray(listing->entries, capacity, sizeof *entries);
        if (!entries) {
            free(path);
            free(target);
            return -ENOMEM;
        }
        listing->entries = entries;
        listing->capacity = capacity;
    }
    listing->entries[listing->n++] = (struct sb_entry){.path = path, .st = *st, .target = target};
    return 0;
}

static char *read_target(int folder, const char *name) {
    char target[PATH_MAX];
    ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
    if (n < 0)
        return NULL;
    target[n] = '\0';
    return strdup(target);
}

/* Takes over `fd`. Folders that cannot be opened are listed without their content: the run, which
 * has the same uid, cannot see into them either. */
static int list_folder(int fd, const char *prefix, const struct sb_strings *skip,
                       struct sb_listing *listing) {
    SB_AUTO_DIR DIR *folder = fdopendir(fd);
    if (!folder) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    for (struct dirent *found; errno = 0, (found = readdir(folder));) {
        const char *name = found->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        SB_AUTO_FREE char *path = *prefix ? sb_format("%s/%s", prefix, name) : strdup(name);
        if (!path)
            return -ENOMEM;
        if (skip && sb_strings_contain(skip, path))
            continue;
        struct stat st;
        if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue; /* gone meanwhile */
        char *target = S_ISLNK(st.st_mode) ? read_target(fd, name) : NULL;
        int rc = add_entry(listing, strdup(path), &st, target);
        if (rc == 0 && !listing->entries[listing->n - 1].path)
            rc = -ENOMEM;
        if (rc == 0 && S_ISDIR(st.st_mode)) {
            int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (below >= 0)
                rc = list_folder(below, path, skip, listing);
        }
        if (rc < 0)
            return rc;
    }
    return -errno;
}

int sb_listing_make(const char *root, const struct sb_strings *skip, struct sb_listing *listing,
                    struct sb_error *err) {
    struct sb_listing made = {0};
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sb_error_errno(err, -errno, "%s", root);
    int rc = list_folder(fd, "", skip, &made);
    if (rc < 0) {
        sb_listing_clear(&made);
        return sb_error_errno(err, rc, "listing %s", root);
    }
    if (made.n)
        qsort(made.entries, made.n, sizeof *made.entries, compare_entries);
    *listing = made;
    return 0;
}

void sb_listing_clear(struct sb_listing *listing) {
    for (size_t i = 0; i < listing->n; i++) {
        free(listing->entries[i].path);
        free(listing->entries[i].target);
    }
    free(listing->entries);
    *listing = (struct sb_listing){0};
}

struct sb_entry *sb_listing_find(const struct sb_listing *listing, const char *path) {
    struct sb_entry wanted = {.path = (char *)path};
    return listing->n
               ? bsearch(&wanted, listing->entries, listing->n, sizeof wanted, compare_entries)
               : NULL;
}

static bool same_time(struct timespec a, struct timespec b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* A folder's size and modification time follow from what is in it, which is listed itself. */
static bool modified(const struct sb_entry *a, const struct sb_entry *b) {
    if ((a->st.st_mode & S_IFMT) != (b->st.st_mode & S_IFMT))
        return true;
    if (S_ISDIR(a->st.st_mode))
        return false;
    return a->st.st_ino != b->st.st_ino || a->st.st_dev != b->st.st_dev ||
           a->st.st_size != b->st.st_size || !same_time(a->st.st_mtim, b->st.st_mtim) ||
           (a->target && b->target && strcmp(a->target, b->target) != 0);
}

static bool metadata_differs(const struct sb_entry *a, const struct sb_entry *b) {
    return a->st.st_mode != b->st.st_mode || a->st.st_uid != b->st.st_uid ||
           a->st.st_gid != b->st.st_gid || !same_time(a->st.st_mtim, b->st.st_mtim) ||
           !same_time(a->st.st_ctim, b->st.st_ctim);
}

int sb_listing_compare(struct sb_listing *before, struct sb_listing *now,
                       int (*each)(void *context, enum sb_change change, struct sb_entry *before,
                                   struct sb_entry *now),
                       void *context) {
    size_t i = 0, j = 0;
    while (i < before->n || j < now->n) {
        struct sb_entry *old = i < before->n ? &before->entries[i] : NULL;
        struct sb_entry *new = j < now->n ? &now->entries[j] : NULL;
        int order = !old ? 1 : !new ? -1 : compare_paths(old->path, new->path);
        int rc = 0;
        if (order < 0) {
            rc = each(context, SB_CHANGE_DELETED, old, NULL);
        } else if (order > 0) {
            rc = each(context, SB_CHANGE_CREATED, NULL, new);
        } else if (modified(old, new)) {
            rc = each(context, SB_CHANGE_MODIFIED, old, new);
        } else if (metadata_differs(old, new)) {
            rc = each(context, SB_CHANGE_METADATA, old, new);
        }
        if (rc < 0)
            return rc;
        i += order <= 0;
        j += order >= 0;
    }
    return 0;
}

bool sb_listing_wrote(const struct sb_listing *before, const struct sb_entry *old,
                      const struct sb_entry *now, struct timespec since) {
    const struct timespec *at = &now->st.st_mtim;
    if (!S_ISREG(now->st.st_mode))
        return false;
    if (old && old->st.st_ino == now->st.st_ino && old->st.st_dev == now->st.st_dev)
        return !same_time(old->st.st_mtim, now->st.st_mtim) || old->st.st_size != now->st.st_size;
    if (at->tv_sec > since.tv_sec || (at->tv_sec == since.tv_sec && at->tv_nsec >= since.tv_nsec))
        return true;
    for (size_t i = 0; i < before->n; i++) {
        const struct stat *st = &before->entries[i].st;
        if (st->st_ino == now->st.st_ino && st->st_dev == now->st.st_dev && S_ISREG(st->st_mode) &&
            st->st_size == now->st.st_size && same_time(st->st_mtim, now->st.st_mtim))
            return false;
    }
    return true;
}
