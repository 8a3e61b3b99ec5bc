/* Stage 7: what of a work tree differs from its commit, as one digest. See report/git_changes.h. */
#include "report/git_changes.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "weights/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct tree {
    char *root;
    const struct timespec *since;
    uint64_t left; /* bytes that may still be read */
    struct sb_digest *digest;
    char *unknown; /* why there is no digest */
};

static void tree_clear(struct tree *tree) {
    free(tree->root);
    free(tree->unknown);
    sb_digest_free(tree->digest);
}

/* The nearest folder above that has a .git, which in a linked work tree is a file; or NULL. */
static char *find_root(const char *directory) {
    SB_AUTO_FREE char *folder = realpath(directory, NULL);
    for (char *slash; folder && *folder; *slash = '\0') {
        SB_AUTO_FREE char *path = sb_path_join(folder, ".git");
        if (path && access(path, F_OK) == 0)
            return sb_steal_pointer(&folder);
        slash = strrchr(folder, '/');
    }
    return NULL;
}

static bool is_later(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static void unknown(struct tree *tree, const char *path, const char *why) {
    if (!tree->unknown)
        tree->unknown = sb_format("not hashed: %s %s", path, why);
}

static void add_file(struct tree *tree, const char *path, const char *full) {
    char digest[SB_DIGEST_TEXT];
    struct stat st;
    SB_AUTO_FD int fd = open(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        unknown(tree, path, "cannot be read");
        return;
    }
    int rc = sb_digest_file(fd, &tree->left, digest);
    if (rc < 0)
        unknown(tree, path, rc == -EFBIG ? "is too large" : "cannot be read");
    /* A run that works in this very folder may have begun to write what it will put back. */
    else if (fstat(fd, &st) < 0 || is_later(&st.st_mtim, tree->since))
        unknown(tree, path, "was written meanwhile");
    else
        sb_digest_add(tree->digest, digest, strlen(digest));
}

/* A run that works in this very folder may have moved the file away until it ends. */
static void add_removed(struct tree *tree, const char *path, const char *full) {
    SB_AUTO_FREE char *folder = strndup(full, (size_t)(strrchr(full, '/') - full));
    struct stat st;
    if (folder && stat(folder, &st) == 0 && is_later(&st.st_mtim, tree->since))
        unknown(tree, path, "was removed meanwhile");
}

static void add_link(struct tree *tree, const char *path, const char *full) {
    char target[PATH_MAX];
    ssize_t n = readlink(full, target, sizeof target);
    if (n < 0)
        unknown(tree, path, "cannot be read");
    else
        sb_digest_add(tree->digest, target, (size_t)n);
}

/* Field n, from 0, of a record, or NULL; the last one may hold spaces. */
static const char *field(const char *record, int n) {
    for (; record && n > 0; n--) {
        record = strchr(record, ' ');
        record += record != NULL;
    }
    return record;
}

static void add_record(struct tree *tree, const char *record) {
    enum { MODE = 7 }; /* bytes of a mode and the space behind it */
    /* Of git-status(1), version 2: which fields are the mode in the work tree, and the path. */
    static const struct {
        char kind;
        int mode, path;
    } kinds[] = {{'1', 5, 8}, {'u', 6, 10}};
    static const struct {
        const char *mode;
        void (*add)(struct tree *tree, const char *path, const char *full);
    } modes[] = {{"100644 ", add_file},
                 {"100755 ", add_file},
                 {"120000 ", add_link},
                 {"000000 ", add_removed}};
    const char *mode = NULL, *path = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (record[0] == kinds[i].kind) {
            mode = field(record, kinds[i].mode);
            path = field(record, kinds[i].path);
        }
    }
    SB_AUTO_FREE char *full = path ? sb_path_join(tree->root, path) : NULL;
    if (!full) {
        unknown(tree, "git", "says what is not understood");
        return;
    }
    sb_digest_add(tree->digest, path, strlen(path) + 1);
    sb_digest_add(tree->digest, mode, MODE);
    bool known = false;
    for (size_t i = 0; i < sizeof modes / sizeof *modes && !known; i++) {
        known = strncmp(mode, modes[i].mode, MODE) == 0;
        if (known)
            modes[i].add(tree, path, full);
    }
    if (!known)
        unknown(tree, path, "is no file");
    sb_digest_add(tree->digest, "", 1);
}

char *sb_git_changes(const char *directory, const struct sb_strings *records,
                     const struct timespec *since) {
    SB_CLEANUP(tree_clear)
    struct tree tree = {.root = find_root(directory),
                        .since = since,
                        .left = SB_MOST_HASHED,
                        .digest = sb_digest_new(SB_DIGEST_XXH3)};
    char digest[SB_DIGEST_TEXT];
    if (!tree.digest)
        return NULL;
    if (!tree.root)
        unknown(&tree, directory, "lies in no work tree");
    for (size_t i = 0; i < records->n && !tree.unknown; i++)
        add_record(&tree, records->items[i]);
    if (tree.unknown)
        return sb_steal_pointer(&tree.unknown);
    return sb_digest_finish(tree.digest, digest) == 0 ? sb_format("xxh3:%s", digest) : NULL;
}

bool sb_is_digest(const char *text) {
    static const char prefix[] = "xxh3:";
    size_t n = sizeof prefix - 1;
    return text && strncmp(text, prefix, n) == 0 && strlen(text) == n + 32 &&
           strspn(text + n, "0123456789abcdef") == 32;
}

const char *sb_git_changes_of(const json_t *git) {
    const json_t *changes = json_object_get(git, "changes");
    if (json_is_null(changes) && json_is_false(json_object_get(git, "dirty")))
        return "none";
    return sb_is_digest(json_string_value(changes)) ? json_string_value(changes) : NULL;
}
