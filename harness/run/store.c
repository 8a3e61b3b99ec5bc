/* Stage 3: the weights store: one copy of the weights files for every distinct fingerprint, in
 * DIR/weights/<fingerprint, its colon a dash>/<path below the run's directory>. Where some of them
 * were read as parts of others alone, the file PARTS beside them lists those, each path ending with
 * a NUL. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define STORE "weights"
#define PARTS ".samebits-parts"

enum { MOST_LISTED = 1 << 26 };

/* Path of a fingerprint's folder, malloc'd, or NULL with *rc. Fingerprints can come out of a
 * journal, so nothing but "<kind>:<hex>" is taken. */
static char *entry_path(const struct sb_folder *folder, const char *fingerprint,
                        struct sb_error *err, int *rc) {
    const char *colon = strchr(fingerprint, ':');
    size_t n_kind = colon ? (size_t)(colon - fingerprint) : 0;
    if (!n_kind || !colon[1] || strlen(fingerprint) > 255 ||
        strspn(fingerprint, "abcdefghijklmnopqrstuvwxyz0123456789") != n_kind ||
        strspn(colon + 1, "0123456789abcdef") != strlen(colon + 1)) {
        *rc = sb_error_set(err, -EINVAL, "'%s' is no fingerprint", fingerprint);
        return NULL;
    }
    char *path =
        sb_format("%s/" STORE "/%.*s-%s", folder->path, (int)n_kind, fingerprint, colon + 1);
    if (!path)
        *rc = sb_error_errno(err, -ENOMEM, "%s", folder->path);
    return path;
}

/* Names come from a run, which may call its files anything: only what stays below is taken. */
static bool stays_below(const char *relative) {
    for (const char *part = relative; part;) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        part = part[n] ? part + n + 1 : NULL;
    }
    return true;
}

static int make_parents(const char *path, struct sb_error *err) {
    SB_AUTO_FREE char *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    if (!slash)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    *slash = '\0';
    return sb_make_folders(parent, 0777, err);
}

/* Moves or copies one file of a run to `to`, which lies in a fresh folder of ours. */
static int keep_file(const char *from, const char *to, bool move, struct sb_error *err) {
    struct stat st;
    if (lstat(from, &st) < 0)
        return sb_error_errno(err, -errno, "%s", from);
    if (!S_ISREG(st.st_mode))
        return sb_error_set(err, -EINVAL, "%s: is no regular file", from);
    int rc = make_parents(to, err);
    if (rc < 0)
        return rc;
    /* A file with a second name could be changed through it later. */
    bool moved = move && st.st_nlink == 1 && rename(from, to) == 0;
    if (!moved && (rc = sb_copy_file(from, to, err)) < 0)
        return rc;
    if (chmod(to, (st.st_mode & 0777) | 0600) < 0)
        return sb_error_errno(err, -errno, "%s", to);
    return 0;
}

/* The name of a temporary folder until it is renamed: what is left of it then goes. */
static void cleanup_tree(char **path) {
    if (*path)
        (void)sb_remove_tree(*path, NULL);
    free(*path);
}

static int fill_entry(const char *path, const struct sb_strings_pair *files, bool move,
                      struct sb_error *err) {
    int rc = sb_make_folders(path, 0777, err);
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        if (!stays_below(files->relative[i]))
            return sb_error_set(err, -EINVAL, "'%s': leads out of the run's directory",
                                files->relative[i]);
        if (strcmp(files->relative[i], PARTS) == 0)
            return sb_error_set(err, -EINVAL, "'%s': is a name that samebits needs for itself",
                                PARTS);
        SB_AUTO_FREE char *to = sb_path_join(path, files->relative[i]);
        rc = to ? keep_file(files->absolute[i], to, move, err)
                : sb_error_errno(err, -ENOMEM, "%s", path);
    }
    return rc;
}

static int fill_parts(const char *path, const struct sb_strings_pair *parts, bool move,
                      struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text list = {0};
    SB_AUTO_FREE char *to = sb_path_join(path, PARTS);
    for (size_t i = 0; i < parts->n; i++)
        sb_text_add(&list, parts->relative[i], strlen(parts->relative[i]) + 1);
    if (!to || list.failed)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    int rc = fill_entry(path, parts, move, err);
    return rc < 0 ? rc : sb_file_write(to, list.data, list.length, err);
}

static char *temporary_path(struct sb_folder *folder) {
    struct utsname host; /* processes of several machines may keep weights in one folder */
    uname(&host);
    return sb_format("%s/" STORE "/.new-%s-%ld-%u", folder->path, host.nodename, (long)getpid(),
                     folder->temporaries++);
}

/* Takes the temporary folder's name where it is no longer one. */
static int put_in_place(char **temporary, const char *entry, struct sb_error *err) {
    if (rename(*temporary, entry) == 0) {
        free(sb_steal_pointer(temporary));
        return 0;
    }
    /* Another one came first: it holds the same bits. */
    if (errno == EEXIST || errno == ENOTEMPTY)
        return 0;
    return sb_error_errno(err, -errno, "%s", entry);
}

int sb_store_keep(struct sb_folder *folder, const char *fingerprint,
                  const struct sb_strings_pair *files, const struct sb_strings_pair *parts,
                  bool move, struct sb_error *err) {
    int rc = 0;
    SB_AUTO_FREE char *entry = entry_path(folder, fingerprint, err, &rc);
    if (!entry)
        return rc;
    if (access(entry, F_OK) == 0)
        return 0;
    if (files->n == 0)
        return sb_error_set(err, -EINVAL, "%s: no files to keep", fingerprint);
    SB_CLEANUP(cleanup_tree) char *temporary = temporary_path(folder);
    if (!temporary)
        return sb_error_errno(err, -ENOMEM, "%s", entry);
    rc = sb_remove_tree(temporary, err);
    if (rc < 0 || (rc = fill_entry(temporary, files, move, err)) < 0 ||
        (parts->n && (rc = fill_parts(temporary, parts, move, err)) < 0))
        return rc;
    return put_in_place(&temporary, entry, err);
}

bool sb_store_has(const struct sb_folder *folder, const char *fingerprint) {
    int rc = 0;
    SB_AUTO_FREE char *entry = entry_path(folder, fingerprint, NULL, &rc);
    return entry && access(entry, F_OK) == 0;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static int list_files(const char *path, const char *prefix, struct sb_strings *found) {
    SB_AUTO_DIR DIR *folder = opendir(path);
    if (!folder)
        return -errno;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        SB_AUTO_FREE char *file = sb_path_join(path, entry->d_name);
        SB_AUTO_FREE char *relative = sb_path_join(prefix, entry->d_name);
        struct stat st;
        if (!file || !relative)
            return -ENOMEM;
        if (lstat(file, &st) < 0)
            return -errno;
        int rc = 0;
        if (S_ISDIR(st.st_mode))
            rc = list_files(file, relative, found);
        else if (S_ISREG(st.st_mode))
            rc = sb_strings_take(found, sb_steal_pointer(&relative));
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Takes those out that are listed as parts, and the list. */
static int drop_parts(const char *entry, struct sb_strings *names) {
    SB_AUTO_FREE char *path = sb_path_join(entry, PARTS);
    SB_AUTO_FREE char *list = NULL;
    size_t n_list = 0, kept = 0;
    if (!path)
        return -ENOMEM;
    if (access(path, F_OK) < 0)
        return 0;
    int rc = sb_file_read(path, MOST_LISTED, &list, &n_list, NULL);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < names->n; i++) {
        bool part = strcmp(names->items[i], PARTS) == 0;
        for (size_t at = 0; at < n_list && !part; at += strlen(list + at) + 1)
            part = strcmp(names->items[i], list + at) == 0;
        if (part)
            free(names->items[i]);
        else
            names->items[kept++] = names->items[i];
    }
    names->n = kept;
    return 0;
}

/* The pair of paths for relative names, which it takes. */
static int make_pair(const char *entry, struct sb_strings *names, struct sb_strings_pair *files) {
    struct sb_strings_pair pair = {.absolute = calloc(names->n + 1, sizeof(char *)),
                                   .relative = calloc(names->n + 1, sizeof(char *))};
    bool whole = pair.absolute && pair.relative;
    for (; whole && pair.n < names->n; pair.n++) {
        pair.absolute[pair.n] = sb_path_join(entry, names->items[pair.n]);
        pair.relative[pair.n] = sb_steal_pointer(&names->items[pair.n]);
        whole = pair.absolute[pair.n] != NULL;
    }
    if (!whole) {
        sb_strings_pair_clear(&pair);
        return -ENOMEM;
    }
    *files = pair;
    return 0;
}

int sb_store_find(const struct sb_folder *folder, const char *fingerprint,
                  struct sb_strings_pair *files, struct sb_error *err) {
    int rc = 0;
    SB_AUTO_FREE char *entry = entry_path(folder, fingerprint, err, &rc);
    if (!entry)
        return rc;
    SB_AUTO_STRINGS struct sb_strings names = {0};
    rc = list_files(entry, "", &names);
    if (rc == 0)
        rc = drop_parts(entry, &names);
    if (rc == 0 && names.n == 0)
        rc = -ENOENT;
    if (rc == 0) {
        sb_strings_sort(&names);
        rc = make_pair(entry, &names, files);
    }
    return rc < 0 ? sb_error_errno(err, rc, "%s", entry) : 0;
}

/* ---- Copying ---------------------------------------------------------------------------------
 */

static int copy_entry(const char *from, const char *to, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings names = {0};
    int rc = list_files(from, "", &names);
    if (rc == 0 && names.n == 0)
        rc = -ENOENT;
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", from);
    for (size_t i = 0; i < names.n; i++) {
        SB_AUTO_FREE char *source = sb_path_join(from, names.items[i]);
        SB_AUTO_FREE char *target = sb_path_join(to, names.items[i]);
        rc = source && target ? keep_file(source, target, false, err)
                              : sb_error_errno(err, -ENOMEM, "%s", to);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int sb_store_copy(struct sb_folder *folder, const struct sb_folder *from, const char *fingerprint,
                  struct sb_error *err) {
    int rc = 0;
    SB_AUTO_FREE char *entry = entry_path(folder, fingerprint, err, &rc);
    SB_AUTO_FREE char *source = entry ? entry_path(from, fingerprint, err, &rc) : NULL;
    if (!entry || !source)
        return rc;
    if (access(entry, F_OK) == 0)
        return 0;
    SB_CLEANUP(cleanup_tree) char *temporary = temporary_path(folder);
    if (!temporary)
        return sb_error_errno(err, -ENOMEM, "%s", entry);
    rc = sb_remove_tree(temporary, err);
    if (rc == 0)
        rc = copy_entry(source, temporary, err);
    return rc == 0 ? put_in_place(&temporary, entry, err) : rc;
}
