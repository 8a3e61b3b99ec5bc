/* Stage 3: copy without a mount namespace: a copy takes the place of the working directory while a
 * run is under way, by one atomic exchange of names, and the original comes back by another. A note
 * beside it tells the next samebits to do that where this one was killed. Which of the two folders
 * stands where is always read from their inodes, never remembered. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char note_name[] = "exchange";

/* What the note holds. */
struct note {
    uint64_t original; /* inode of the working directory */
    uint64_t hidden;   /* inode of the hidden folder, 0: none */
    char *other;       /* path of the folder to exchange with */
    char *hidden_path; /* below the working directory */
};

static void clear_note(struct note *note) {
    free(note->other);
    free(note->hidden_path);
}

static uint64_t inode_of(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

/* "<parent>/.samebits-<hash>" holds the note, "….<serial>" beside it are copies: in the same
 * folder, since a folder that is not writable can be renamed but not moved to another. */
static char *stash_path(const char *directory) {
    SB_AUTO_FREE char *copy = strdup(directory);
    if (!copy)
        return NULL;
    return sb_format("%s/.samebits-%016" PRIx64, strcmp(dirname(copy), "/") ? copy : "",
                     sb_path_hash(directory));
}

static int write_note(const char *stash, const struct note *note, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_path_join(stash, note_name);
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, "%" PRIu64 " %" PRIu64 " %zu %zu\n%s%s", note->original, note->hidden,
                   strlen(note->other), strlen(note->hidden_path), note->other, note->hidden_path);
    if (!path || text.failed)
        return sb_error_errno(err, -ENOMEM, "%s", stash);
    int rc = sb_file_write(path, text.data, text.length, err);
    SB_AUTO_FD int folder = rc < 0 ? -1 : open(stash, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        fsync(folder);
    return rc;
}

static int read_note(const char *stash, struct note *note, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_path_join(stash, note_name);
    SB_AUTO_FREE char *data = NULL;
    size_t n = 0, other = 0, hidden = 0;
    int used = 0;
    int rc = path ? sb_file_read(path, 1 << 20, &data, &n, err) : -ENOMEM;
    if (rc < 0)
        return rc;
    if (sscanf(data, "%" SCNu64 " %" SCNu64 " %zu %zu%n", &note->original, &note->hidden, &other,
               &hidden, &used) != 4 ||
        data[used] != '\n' || (size_t)used + 1 + other + hidden != n)
        return sb_error_set(err, -EBADMSG,
                            "%s is damaged: if the folder beside it holds your files, exchange the "
                            "two by hand and remove it",
                            path);
    note->other = strndup(data + used + 1, other);
    note->hidden_path = strndup(data + used + 1 + other, hidden);
    return note->other && note->hidden_path ? 0 : sb_error_errno(err, -ENOMEM, "%s", path);
}

static int exchange(const char *a, const char *b, struct sb_error *err) {
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
        return sb_error_errno(err, -errno, "exchanging %s and %s", a, b);
    return 0;
}

/* Moves the hidden folder, which samebits itself writes to, to the tree that stands at the working
 * directory's path. What the copy has there instead is an empty folder. */
static int carry_hidden(const struct note *note, const char *from, const char *to,
                        struct sb_error *err) {
    if (!note->hidden)
        return 0;
    SB_AUTO_FREE char *source = sb_path_join(from, note->hidden_path);
    SB_AUTO_FREE char *target = sb_path_join(to, note->hidden_path);
    if (!source || !target)
        return sb_error_errno(err, -ENOMEM, "%s", from);
    if (inode_of(source) != note->hidden)
        return 0;
    if (rename(source, target) == 0 || exchange(source, target, NULL) == 0)
        return 0;
    /* A run that removed its parent folder. */
    SB_AUTO_FREE char *parent = strdup(target);
    if (parent && sb_make_folders(dirname(parent), 0755, NULL) == 0 && rename(source, target) == 0)
        return 0;
    return sb_error_errno(err, -errno, "moving %s to %s", source, target);
}

/* Brings the original back if it is away, and removes the note. */
static int undo(const char *stash, const char *directory, const struct note *note,
                struct sb_error *err) {
    int rc = 0;
    if (inode_of(directory) != note->original) {
        if (inode_of(note->other) != note->original)
            return sb_error_set(err, -ENOTRECOVERABLE,
                                "the folder that belongs at %s is at neither %s nor %s", directory,
                                directory, note->other);
        rc = carry_hidden(note, directory, note->other, err);
        if (rc == 0)
            rc = inode_of(directory)                  ? exchange(directory, note->other, err)
                 : rename(note->other, directory) < 0 ? -errno
                                                      : 0;
        if (rc < 0)
            return sb_error_prefix(err, rc, "bringing back %s", directory);
    } else {
        /* Killed between the two moves of the way there or back. */
        rc = carry_hidden(note, note->other, directory, err);
    }
    SB_AUTO_FREE char *path = sb_path_join(stash, note_name);
    if (rc == 0 && (!path || (unlink(path) < 0 && errno != ENOENT)))
        rc = sb_error_errno(err, -errno, "%s", stash);
    return rc;
}

/* "<prefix>.<digits>" and nothing else. */
static bool is_copy(const char *name, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(name, prefix, n) == 0 && name[n] == '.' && name[n + 1] &&
           strspn(name + n + 1, "0123456789") == strlen(name + n + 1);
}

/* Copies of runs, once the original is back where it belongs. */
static void remove_copies(const char *stash, uint64_t original) {
    SB_AUTO_FREE char *parent = strdup(stash), *base = strdup(stash);
    if (!parent || !base || !original)
        return;
    const char *prefix = basename(base), *where = dirname(parent);
    SB_AUTO_DIR DIR *folder = opendir(where);
    for (struct dirent *found; folder && (found = readdir(folder));) {
        SB_AUTO_FREE char *path = sb_path_join(where, found->d_name);
        if (path && is_copy(found->d_name, prefix) && inode_of(path) != original)
            sb_remove_tree(path, NULL);
    }
}

int sb_exchange_recover(const char *directory, struct sb_error *err) {
    SB_AUTO_FREE char *stash = stash_path(directory);
    struct note note = {0};
    struct stat st;
    if (!stash)
        return sb_error_errno(err, -ENOMEM, "%s", directory);
    if (lstat(stash, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return 0;
    SB_AUTO_FD int lock = sb_lock_folder(stash, LOCK_EX);
    if (lock < 0)
        return sb_error_set(err, -EBUSY, "another samebits works in %s", directory);
    SB_AUTO_FREE char *path = sb_path_join(stash, note_name);
    int rc = path && access(path, F_OK) == 0 ? read_note(stash, &note, err) : 1;
    if (rc == 0)
        rc = undo(stash, directory, &note, err);
    clear_note(&note);
    if (rc < 0)
        return rc;
    remove_copies(stash, inode_of(directory));
    return sb_remove_tree(stash, err);
}

static int exchange_open(struct sb_sandbox *sandbox, struct sb_error *err) {
    sandbox->stash = stash_path(sandbox->directory);
    if (!sandbox->stash)
        return sb_error_errno(err, -ENOMEM, "%s", sandbox->directory);
    if (mkdir(sandbox->stash, 0700) < 0)
        return sb_error_errno(err, -errno, "no mount namespace can be had, and %s", sandbox->stash);
    sandbox->stash_lock = sb_lock_folder(sandbox->stash, LOCK_EX);
    if (sandbox->stash_lock < 0)
        return sb_error_set(err, -EBUSY, "another samebits works in %s", sandbox->directory);
    /* Is the folder movable at all? A mount point is not. */
    SB_AUTO_FREE char *try = sb_format("%s.0", sandbox->stash);
    if (!try || mkdir(try, 0700) < 0)
        return sb_error_errno(err, -errno, "%s", sandbox->stash);
    uint64_t original = inode_of(sandbox->directory);
    struct note note = {.original = original, .other = try, .hidden_path = (char *)""};
    int rc = sandbox->submounts.n
                 ? sb_error_set(err, -EBUSY,
                                "%s/%s is a mount, and without a mount namespace it would not "
                                "move with the folder",
                                sandbox->directory, sandbox->submounts.items[0])
                 : write_note(sandbox->stash, &note, err);
    if (rc == 0)
        rc = exchange(sandbox->directory, try, err);
    int undone = undo(sandbox->stash, sandbox->directory, &note, rc < 0 ? NULL : err);
    rmdir(try);
    return rc < 0 ? rc : undone;
}

static char *hidden_of(const struct sb_sandbox *sandbox) {
    return sandbox->hidden ? sandbox->hidden : (char *)"";
}

static int exchange_before(struct sb_sandbox *sandbox, struct sb_layer *layer,
                           struct sb_error *err) {
    /* The copy must lie where names can be exchanged. */
    char *files = sb_format("%s.%llu", sandbox->stash, (unsigned long long)layer->serial);
    if (!files)
        return sb_error_errno(err, -ENOMEM, "%s", sandbox->stash);
    free(layer->files);
    layer->files = files;
    int rc = sb_copy_make(sandbox, layer, sandbox->directory, err);
    if (rc < 0)
        return rc;
    struct note note = {.original = inode_of(sandbox->directory),
                        .other = files,
                        .hidden_path = hidden_of(sandbox)};
    if (sandbox->hidden) {
        SB_AUTO_FREE char *hidden = sb_path_join(sandbox->directory, sandbox->hidden);
        note.hidden = hidden ? inode_of(hidden) : 0;
    }
    rc = write_note(sandbox->stash, &note, err);
    if (rc == 0)
        rc = exchange(sandbox->directory, files, err);
    if (rc == 0)
        rc = carry_hidden(&note, files, sandbox->directory, err);
    return rc;
}

static int bring_back(struct sb_sandbox *sandbox, struct sb_error *err) {
    struct note note = {0};
    SB_AUTO_FREE char *path = sb_path_join(sandbox->stash, note_name);
    if (!path || access(path, F_OK) < 0)
        return 0;
    int rc = read_note(sandbox->stash, &note, err);
    if (rc == 0)
        rc = undo(sandbox->stash, sandbox->directory, &note, err);
    clear_note(&note);
    return rc;
}

static int exchange_after(struct sb_sandbox *sandbox, struct sb_layer *layer,
                          struct sb_error *err) {
    int rc = bring_back(sandbox, err);
    if (rc == 0)
        return sb_copy_compare(sandbox, layer, err);
    /* The user's own folder may still stand where the copy belongs: it is no longer the layer's, so
     * that nothing removes it. The note stays. */
    free(layer->files);
    layer->files = sb_path_join(layer->root, "files");
    return rc;
}

static void exchange_close(struct sb_sandbox *sandbox) {
    if (!sandbox->stash || bring_back(sandbox, NULL) < 0)
        return; /* the note stays, and the next samebits tries again */
    remove_copies(sandbox->stash, inode_of(sandbox->directory));
    sb_remove_tree(sandbox->stash, NULL);
    free(sb_steal_pointer(&sandbox->stash));
    sb_cleanup_fd(&sandbox->stash_lock);
    sandbox->stash_lock = -1;
}

const struct sb_view_kind sb_view_exchange = {
    .mode = SB_ISOLATE_COPY,
    .name = "copy (in the folder's place)",
    .alone = true,
    .open = exchange_open,
    .before = exchange_before,
    .after = exchange_after,
    .close = exchange_close,
};
