/* Stage 3: runs in the working directory itself: what a run wrote is moved away after it, and what
 * it changed or removed is put back from copies that were made when the sandbox was opened. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders that hold more are not copied: what runs change there is not put back. */
static const uint64_t backup_limit = (uint64_t)1 << 30;

static int inplace_open(struct sb_sandbox *sandbox, struct sb_error *err) {
    const struct sb_copy_options options = {
        .skip = &sandbox->skip, .tolerant = true, .limit = backup_limit};
    SB_AUTO_FREE char *backup = sb_format("%s/backup", sandbox->guard_folder);
    struct sb_error why = {0};
    if (!backup)
        return sb_error_errno(err, -ENOMEM, "%s", sandbox->directory);
    if (stat(sandbox->directory, &sandbox->pristine_root) < 0)
        return sb_error_errno(err, -errno, "%s", sandbox->directory);
    int rc = sb_listing_make(sandbox->directory, &sandbox->skip, &sandbox->pristine, err);
    if (rc < 0)
        return rc;
    rc = sb_tree_copy(sandbox->directory, backup, &options, &why);
    if (rc == 0) {
        sandbox->backup = sb_steal_pointer(&backup);
        return 0;
    }
    sb_remove_tree(backup, NULL);
    SB_AUTO_FREE char *note =
        sb_format("%s (%s): files that a run changes or removes are not put back",
                  sandbox->directory, why.text);
    return note ? sb_strings_add(&sandbox->shared, note) : -ENOMEM;
}

/* What changed since the last run ended is the user's, and is kept as it is now. */
static int refresh(void *context, enum sb_change change, struct sb_entry *old,
                   struct sb_entry *now) {
    struct sb_sandbox *sandbox = context;
    (void)old;
    if (!sandbox->backup || change == SB_CHANGE_DELETED || change == SB_CHANGE_METADATA)
        return 0;
    SB_AUTO_FREE char *path = sb_path_join(sandbox->directory, now->path);
    SB_AUTO_FREE char *copy = sb_path_join(sandbox->backup, now->path);
    if (!path || !copy)
        return -ENOMEM;
    sb_remove_tree(copy, NULL);
    if (S_ISDIR(now->st.st_mode))
        mkdir(copy, 0700);
    else
        sb_tree_copy_entry(path, copy, &now->st, NULL);
    return 0;
}

static int inplace_before(struct sb_sandbox *sandbox, struct sb_layer *layer,
                          struct sb_error *err) {
    struct sb_listing now = {0};
    if (stat(sandbox->directory, &sandbox->pristine_root) < 0)
        return sb_error_errno(err, -errno, "%s", sandbox->directory);
    int rc = sb_listing_make(sandbox->directory, &sandbox->skip, &now, err);
    if (rc < 0)
        return rc;
    rc = sb_listing_compare(&sandbox->pristine, &now, refresh, sandbox);
    sb_listing_clear(&sandbox->pristine);
    sandbox->pristine = now;
    clock_gettime(CLOCK_REALTIME, &layer->since); /* later than every old file's time */
    return rc < 0 ? sb_error_errno(err, rc, "%s", sandbox->directory) : 0;
}

/* One comparison after a run. */
struct restoring {
    struct sb_sandbox *sandbox;
    struct sb_layer *layer;
    const char *moved; /* a created folder that was moved with all that is in it */
    size_t lost;       /* changed or removed and not put back */
    size_t stuck;      /* created and not moved away */
};

static int make_parents(const char *path) {
    SB_AUTO_FREE char *copy = strdup(path);
    return copy ? sb_make_folders(dirname(copy), 0700, NULL) : -ENOMEM;
}

/* A whole folder across file systems is copied, then removed. */
static int move(const char *from, const char *to, const struct stat *st) {
    int rc = make_parents(to);
    if (rc < 0)
        return rc;
    if (rename(from, to) == 0)
        return 0;
    if (errno != EXDEV)
        return -errno;
    if (!S_ISDIR(st->st_mode))
        return sb_move_file(from, to, NULL);
    rc = sb_tree_copy(from, to, &(struct sb_copy_options){.tolerant = true}, NULL);
    return rc < 0 ? rc : sb_remove_tree(from, NULL);
}

static int put_back(struct restoring *restoring, const struct sb_entry *entry, const char *path) {
    struct sb_sandbox *sandbox = restoring->sandbox;
    if (S_ISDIR(entry->st.st_mode)) {
        if (mkdir(path, 0700) < 0)
            return -errno;
        sb_tree_set_metadata(path, &entry->st);
    } else if (S_ISLNK(entry->st.st_mode)) {
        if (!entry->target || symlink(entry->target, path) < 0)
            return -EIO;
        sb_tree_set_metadata(path, &entry->st);
    } else if (!sandbox->backup) {
        return -ENOENT;
    } else {
        SB_AUTO_FREE char *copy = sb_path_join(sandbox->backup, entry->path);
        return copy ? sb_tree_copy_entry(copy, path, &entry->st, NULL) : -ENOMEM;
    }
    return 0;
}

/* Same size and times, but the inode was touched: was its content changed and its time set back? */
static bool same_content(const char *a, const char *b) {
    SB_AUTO_FILE FILE *left = fopen(a, "re"), *right = fopen(b, "re");
    char one[65536], two[65536];
    if (!left || !right)
        return true;
    for (;;) {
        size_t n = fread(one, 1, sizeof one, left), m = fread(two, 1, sizeof two, right);
        if (n != m || memcmp(one, two, n) != 0)
            return false;
        if (n == 0)
            return true;
    }
}

static int created(struct restoring *restoring, struct sb_entry *now, const char *path) {
    struct sb_layer *layer = restoring->layer;
    int rc = 0;
    if (sb_listing_wrote(&restoring->sandbox->pristine, NULL, now, layer->since))
        rc = sb_strings_add(&layer->written, now->path);
    if (rc < 0 || (restoring->moved && sb_path_below(now->path, restoring->moved)))
        return rc;
    SB_AUTO_FREE char *to = sb_path_join(layer->files, now->path);
    if (!to)
        return -ENOMEM;
    if (move(path, to, &now->st) < 0)
        restoring->stuck++;
    else if (S_ISDIR(now->st.st_mode))
        restoring->moved = now->path;
    return 0;
}

static int modified(struct restoring *restoring, struct sb_entry *old, struct sb_entry *now,
                    const char *path) {
    struct sb_layer *layer = restoring->layer;
    SB_AUTO_FREE char *to = sb_path_join(layer->files, now->path);
    if (!to)
        return -ENOMEM;
    if (sb_listing_wrote(&restoring->sandbox->pristine, old, now, layer->since) &&
        sb_strings_add(&layer->written, now->path) < 0)
        return -ENOMEM;
    bool restorable = restoring->sandbox->backup || !S_ISREG(old->st.st_mode);
    if (!restorable) { /* the run's version is all there is: copied, not moved */
        restoring->lost++;
        if (make_parents(to) == 0)
            sb_tree_copy_entry(path, to, &now->st, NULL);
        return 0;
    }
    if (move(path, to, &now->st) < 0 || put_back(restoring, old, path) < 0)
        restoring->lost++;
    else if (S_ISDIR(now->st.st_mode))
        restoring->moved = now->path;
    return 0;
}

static int metadata(struct restoring *restoring, struct sb_entry *old, struct sb_entry *now,
                    const char *path) {
    SB_AUTO_FREE char *copy =
        restoring->sandbox->backup ? sb_path_join(restoring->sandbox->backup, old->path) : NULL;
    if (S_ISREG(old->st.st_mode) && copy && !same_content(copy, path))
        return modified(restoring, old, now, path);
    sb_tree_set_metadata(path, &old->st);
    return 0;
}

static int restore(void *context, enum sb_change change, struct sb_entry *old,
                   struct sb_entry *now) {
    struct restoring *restoring = context;
    SB_AUTO_FREE char *path =
        sb_path_join(restoring->sandbox->directory, old ? old->path : now->path);
    if (!path)
        return -ENOMEM;
    switch (change) {
    case SB_CHANGE_CREATED:
        return created(restoring, now, path);
    case SB_CHANGE_MODIFIED:
        return modified(restoring, old, now, path);
    case SB_CHANGE_METADATA:
        return metadata(restoring, old, now, path);
    case SB_CHANGE_DELETED:
        if (put_back(restoring, old, path) < 0)
            restoring->lost++;
        return 0;
    }
    return 0;
}

static void restore_times(const char *path, const struct stat *wanted) {
    struct stat st;
    if (lstat(path, &st) < 0)
        return;
    if (st.st_mtim.tv_sec != wanted->st_mtim.tv_sec ||
        st.st_mtim.tv_nsec != wanted->st_mtim.tv_nsec || st.st_mode != wanted->st_mode)
        sb_tree_set_metadata(path, wanted);
}

/* Moving and putting back changed the times of folders. */
static void restore_folders(struct sb_sandbox *sandbox) {
    for (size_t i = sandbox->pristine.n; i-- > 0;) {
        const struct sb_entry *entry = &sandbox->pristine.entries[i];
        if (!S_ISDIR(entry->st.st_mode))
            continue;
        SB_AUTO_FREE char *path = sb_path_join(sandbox->directory, entry->path);
        if (path)
            restore_times(path, &entry->st);
    }
    restore_times(sandbox->directory, &sandbox->pristine_root);
}

static int inplace_after(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    struct sb_listing now = {0};
    struct restoring restoring = {.sandbox = sandbox, .layer = layer};
    restore_times(sandbox->directory, &sandbox->pristine_root);
    int rc = sb_listing_make(sandbox->directory, &sandbox->skip, &now, err);
    if (rc == 0)
        rc = sb_listing_compare(&sandbox->pristine, &now, restore, &restoring);
    restoring.moved = NULL;
    sb_listing_clear(&now);
    if (rc < 0)
        return rc;
    restore_folders(sandbox);
    if (restoring.lost)
        sb_text_printf(&layer->notes, "%schanged or removed %zu file%s that could not be put back",
                       layer->notes.length ? "; " : "", restoring.lost,
                       restoring.lost == 1 ? "" : "s");
    if (restoring.stuck)
        sb_text_printf(&layer->notes, "%sleft %zu file%s that could not be moved away",
                       layer->notes.length ? "; " : "", restoring.stuck,
                       restoring.stuck == 1 ? "" : "s");
    return 0;
}

const struct sb_view_kind sb_view_inplace = {
    .mode = SB_ISOLATE_INPLACE,
    .name = "inplace",
    .alone = true,
    .folders_late = true,
    .open = inplace_open,
    .before = inplace_before,
    .after = inplace_after,
};
