/* Stage 3: folders that a run left exactly as it found them, so that the next run may have them. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

/* More than file systems let one inode have in its own block, and no folder of ours has any. */
enum { ATTRIBUTES_BYTES = 4096 };

/* Names and values of the extended attributes; access control lists are among them. */
static int hash_attributes(int fd, XXH64_hash_t *hash) {
    char names[ATTRIBUTES_BYTES], value[ATTRIBUTES_BYTES];
    ssize_t n = flistxattr(fd, names, sizeof names);
    if (n < 0)
        return errno == ENOTSUP ? 0 : -errno;
    for (const char *name = names; name < names + n; name += strlen(name) + 1) {
        ssize_t size = fgetxattr(fd, name, value, sizeof value);
        if (size < 0)
            return -errno;
        *hash = XXH3_64bits_withSeed(name, strlen(name) + 1, *hash);
        *hash = XXH3_64bits_withSeed(value, (size_t)size, *hash);
    }
    return 0;
}

/* Flags and project of the inode, where the file system has any. */
static void hash_flags(int fd, XXH64_hash_t *hash) {
    struct fsxattr extended = {0};
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0)
        *hash = XXH3_64bits_withSeed(&flags, sizeof flags, *hash);
    if (ioctl(fd, FS_IOC_FSGETXATTR, &extended) == 0)
        *hash = XXH3_64bits_withSeed(&extended, sizeof extended, *hash);
}

static int look(int fd, struct sb_untouched *seen) {
    XXH64_hash_t hash = 0;
    if (fstat(fd, &seen->st) < 0)
        return -errno;
    int rc = hash_attributes(fd, &hash);
    hash_flags(fd, &hash);
    seen->attributes = hash;
    return rc;
}

static bool is_empty(DIR *folder) {
    for (struct dirent *found; errno = 0, (found = readdir(folder));)
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            return false;
    return errno == 0;
}

int sb_untouched_note(const char *path, struct sb_untouched *noted) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : look(fd, noted);
}

bool sb_untouched_still(const char *path, const struct sb_untouched *noted) {
    struct sb_untouched now;
    const struct stat *a = &noted->st, *b = &now.st;
    SB_AUTO_DIR DIR *folder = opendir(path);
    if (!folder || look(dirfd(folder), &now) < 0)
        return false;
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_nlink == b->st_nlink &&
           a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && noted->attributes == now.attributes &&
           is_empty(folder);
}
