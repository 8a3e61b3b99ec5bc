/* Stage 3, inside run/: what a sandbox knows, and what each way of isolating a run's working
 * directory does at each step. The samebits process opens a sandbox; its guards (process.h), forked
 * from it, carry the steps out, so that they go on and clean up when samebits is killed. */
#ifndef SB_RUN_SANDBOX_H
#define SB_RUN_SANDBOX_H

#include "base/text.h"
#include "run/cgroup.h"

#include <samebits/run.h>

#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

struct sb_guard;
struct sb_launch;
struct sb_layer;

/* How a run gets its view of the working directory. */
struct sb_view_kind {
    enum sb_isolation mode;
    const char *name;
    bool mount_namespace;
    bool alone; /* one run at a time */
    /* The guard itself enters the view, in its mount namespace, before the run is there, and the
     * run's namespace is a copy. */
    bool ahead;
    bool folders_late; /* the layer's folders are made when there is something to put there */
    /* In the guard, each NULL where there is nothing to do. open: once, before the first run;
     * before: makes the layer of one run; enter: in the child between fork and exec, where nothing
     * may be allocated (or in the guard, see `ahead`), 0 or a negative errno with launch->step set;
     * after: when nothing of the
     * run is alive any more; close: before the guard ends, in whatever state the last run is. */
    int (*open)(struct sb_sandbox *sandbox, struct sb_error *err);
    int (*before)(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err);
    int (*enter)(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                 struct sb_launch *launch);
    int (*after)(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err);
    void (*close)(struct sb_sandbox *sandbox);
};

extern const struct sb_view_kind sb_view_overlay;
extern const struct sb_view_kind sb_view_copy;
extern const struct sb_view_kind sb_view_exchange; /* copy without a mount namespace */
extern const struct sb_view_kind sb_view_inplace;

/* ---- Listings: what a tree holds, to tell later what was written ------------------------------
 */

struct sb_entry {
    char *path; /* below the root of the listing */
    struct stat st;
    char *target; /* of a symbolic link, else NULL */
};

struct sb_listing {
    struct sb_entry *entries; /* a folder comes right before what is in it */
    size_t n, capacity;
};

/* Everything below `root` but `skip` (relative paths: mounts, the hidden folder) and what cannot be
 * read. */
int sb_listing_make(const char *root, const struct sb_strings *skip, struct sb_listing *listing,
                    struct sb_error *err);
void sb_listing_clear(struct sb_listing *listing);
struct sb_entry *sb_listing_find(const struct sb_listing *listing, const char *path);

enum sb_change { SB_CHANGE_CREATED, SB_CHANGE_MODIFIED, SB_CHANGE_METADATA, SB_CHANGE_DELETED };

/* Calls `each` for every difference, in the listings' order. Entries that are not on that side are
 * NULL. MODIFIED: another inode, kind, size or modification time; METADATA: only mode, owner or
 * change time. */
int sb_listing_compare(struct sb_listing *before, struct sb_listing *now,
                       int (*each)(void *context, enum sb_change change, struct sb_entry *before,
                                   struct sb_entry *now),
                       void *context);

/* Did a run that began at `since` write the file `now`, which is not as it was (`old`, NULL: was
 * not there)? A file that merely moved here from another place counts as old; one whose times alone
 * were set anew cannot be told from one rewritten with equal content, and counts as written. */
bool sb_listing_wrote(const struct sb_listing *before, const struct sb_entry *old,
                      const struct sb_entry *now, struct timespec since);

/* ---- Copies of trees --------------------------------------------------------------------------
 */

struct sb_copy_options {
    const struct sb_strings *skip;    /* relative paths that are made as empty folders or files */
    bool (*cancelled)(void *context); /* asked between files; may be NULL */
    void *context;
    bool tolerant;  /* leave out what cannot be read */
    uint64_t limit; /* -EFBIG beyond so many bytes; 0: none */
};

/* Copies what is below `from` into the new folder `to`: modes, times, links, holes; owners where
 * possible. Sockets and devices are left out. An unreadable file is an error that names it. */
int sb_tree_copy(const char *from, const char *to, const struct sb_copy_options *options,
                 struct sb_error *err);
/* One entry that is no folder. */
int sb_tree_copy_entry(const char *from, const char *to, const struct stat *st,
                       struct sb_error *err);
/* Mode, owner (where possible) and times of `st` for `path`. */
void sb_tree_set_metadata(const char *path, const struct stat *st);

/* ---- Folders that nobody touched (sandbox_untouched.c) ----------------------------------------
 */

/* An empty folder as it was noted: all of it that a later user could tell. */
struct sb_untouched {
    struct stat st;
    uint64_t attributes; /* hash of extended attributes and inode flags */
};

/* Of a folder that is known to be empty. 0 or a negative errno. */
int sb_untouched_note(const char *path, struct sb_untouched *noted);
/* Is it still empty, and like it was noted? Times of access and change may differ. */
bool sb_untouched_still(const char *path, const struct sb_untouched *noted);

/* ---- The sandbox ------------------------------------------------------------------------------
 */

/* What one run has for itself. Made and removed by the guard. */
struct sb_layer {
    uint64_t serial;
    char *root;            /* the folder of all below */
    char *files;           /* what the run wrote stands below it after the end */
    char *tmp, *mask;      /* what is mounted over TMPDIR and over the hidden folder */
    const char *alias;     /* where the working directory is mounted too (path axis), or NULL */
    const char *start;     /* where the run starts */
    struct timespec since; /* before the start; of the coarse clock of file times for overlay */
    struct sb_listing listing;
    struct sb_strings written; /* relative to `files`, sorted */
    struct sb_text notes;      /* for the run's message */
    /* Of a view that was entered ahead. */
    bool used;                    /* a run has had it */
    double entered;               /* monotonic seconds */
    struct stat lower;            /* of the working directory at that time */
    struct sb_untouched fresh[3]; /* files, tmp, mask */
};

struct sb_sandbox {
    const struct sb_view_kind *kind;
    char *directory;             /* canonical */
    char *hidden;                /* relative to it, or NULL */
    struct sb_strings submounts; /* topmost mounts below it, relative */
    struct sb_strings skip;      /* submounts and hidden */
    bool user_namespace;         /* guards enter one first */
    bool layers_in_namespace;    /* `layers` is a tmpfs that each guard mounts for itself */
    char *layers;                /* folder of guards' folders, only of this sandbox */
    int layers_lock;             /* held while it is in use: what is unlocked is left over */
    char *base;                  /* one path for every samebits of this user in this directory */
    char *tmp;                   /* TMPDIR of every run, below `base` */
    int base_lock;
    unsigned overlay_variant; /* index of the mount options that worked */
    struct sb_cgroup cgroup;
    char cookie[24]; /* value of SAMEBITS_COOKIE, the same in every run */
    struct sb_strings shared;
    char *empty_log; /* path of the log that runs which print nothing have in common, or NULL */
    struct sb_guard **guards;
    size_t n_guards;
    uint64_t serial; /* of the last run */
    /* In a guard only. */
    char *guard_folder; /* <layers>/<guard> */
    uint64_t n_layers;  /* made by this guard */
    int lower;          /* overlay: the working directory itself, under every view of it; -1 */
    bool (*cancelled)(void *context);
    void *cancelled_context;
    struct sb_listing pristine; /* inplace: as everything was when the sandbox was opened */
    struct stat pristine_root;
    char *backup; /* inplace: copies of all files; NULL: too large */
    char *stash;  /* exchange: folder beside the working directory */
    int stash_lock;
};

/* sandbox_layers.c: private folders and their locks. */
int sb_layers_open(struct sb_sandbox *sandbox, bool overlay, struct sb_error *err);
int sb_layers_open_tmp(struct sb_sandbox *sandbox, struct sb_error *err);
void sb_layers_close(struct sb_sandbox *sandbox);
int sb_layer_make(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err);
void sb_layer_remove(struct sb_layer *layer);
/* Is there nothing of a run in the layer, so that another one would find it as this one did? */
int sb_layer_note(const struct sb_sandbox *sandbox, struct sb_layer *layer);
bool sb_layer_untouched(const struct sb_sandbox *sandbox, const struct sb_layer *layer);
/* Empties a layer that nobody uses. False: it is not as it was when it was made. */
bool sb_layer_renew(const struct sb_sandbox *sandbox, struct sb_layer *layer);
void sb_layer_clear(struct sb_layer *layer);
/* Is `path` the folder `folder` or below it? Both canonical. */
/* Opens and locks a folder (flock's LOCK_EX or LOCK_SH) without waiting: a descriptor,
 * -EWOULDBLOCK, or -ESTALE when it was removed or replaced meanwhile. */
int sb_lock_folder(const char *path, int how);
bool sb_path_below(const char *path, const char *folder);
uint64_t sb_path_hash(const char *path);

/* Which mounts of a view stand. */
struct sb_covered {
    bool directory, tmp;
};

/* sandbox_mounts.c: mounts below a folder, and the mounts that a run's view is made of. */
int sb_mounts_below(const char *directory, struct sb_strings *relative, struct sb_error *err);
/* Decodes \040 and the like in place. */
void sb_mounts_unescape(char *path);
/* In the child: a private mount namespace with `cover` mounted over the working directory, then
 * everything else that a view has. */
int sb_mounts_enter(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                    struct sb_launch *launch,
                    int (*cover)(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                                 struct sb_launch *launch));
/* Takes the mounts of a view out of this namespace: those who have copies keep them. */
void sb_mounts_leave(const struct sb_sandbox *sandbox, struct sb_covered *covered);
/* In the child, in a fresh mount namespace: the working directory at layer->alias too. */
int sb_mounts_alias(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                    struct sb_launch *launch);
/* In the guard: a mount namespace of its own, with a tmpfs for layers where that is asked for. */
int sb_mounts_guard(struct sb_sandbox *sandbox, struct sb_error *err);
/* A view is entered, and a forked child of the guard writes, renames and mounts in it. */
int sb_mounts_try(struct sb_sandbox *sandbox, struct sb_error *err);

/* sandbox_copy.c: the copy of one run, and what differs in it after the end. */
int sb_copy_make(struct sb_sandbox *sandbox, struct sb_layer *layer, const char *from,
                 struct sb_error *err);
int sb_copy_compare(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err);

/* sandbox_overlay.c */
unsigned sb_overlay_variants(void);

/* left_over.c: `base` is the folder that all users of a working directory share. */
void sb_left_over_note(const char *base, const struct sb_cgroup *cgroup);
/* Kills what is left of runs whose samebits and guards were killed. */
void sb_left_over_end(const char *base, const char *cookie);

/* sandbox_exchange.c: undoes an exchange that a killed samebits left behind. */
int sb_exchange_recover(const char *directory, struct sb_error *err);

#endif
