/* Stage 3: what a guard does with layers: it makes a run's, keeps them until they were read, uses
 * them again, and removes them. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "run/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* So many emptied layers are kept for further runs. */
enum { MOST_SPARE = 2 };

/* A view that a run had is worn no longer than this: the kernel may not notice in it what somebody
 * changes in the working directory itself. */
static const double worn_s = 1;

/* ---- Layers that runs have had ----------------------------------------------------------------
 */

/* Takes the layer over, or removes it where there is no memory. */
static void add(struct sb_layers *layers, struct sb_layer *layer) {
    struct sb_layer *items = reallocarray(layers->items, layers->n + 1, sizeof *items);
    if (!items) {
        sb_layer_remove(layer);
        sb_layer_clear(layer);
        return;
    }
    layers->items = items;
    items[layers->n++] = *layer;
    *layer = (struct sb_layer){0};
}

void sb_guard_remember(struct sb_guard_life *guard, struct sb_layer *layer) {
    layer->alias = layer->start = NULL; /* they were the request's */
    if (layer->root)
        add(&guard->ended, layer);
}

void sb_guard_forget(struct sb_guard_life *guard, uint64_t serial) {
    struct sb_layers *ended = &guard->ended;
    for (size_t i = 0; i < ended->n; i++) {
        if (ended->items[i].serial != serial)
            continue;
        add(&guard->rubbish, &ended->items[i]);
        ended->items[i] = ended->items[--ended->n];
        return;
    }
}

void sb_guard_leave_view(struct sb_guard_life *guard) {
    if (guard->left_view >= 0)
        close(guard->left_view);
    guard->left_view = -1;
}

void sb_guard_hold_view(struct sb_guard_life *guard, int *view) {
    sb_guard_leave_view(guard);
    guard->left_view = sb_steal_fd(view);
}

void sb_guard_tidy(struct sb_guard_life *guard) {
    struct sb_layers *rubbish = &guard->rubbish;
    sb_guard_leave_view(guard); /* an overlay's folders are not used again while it stands */
    if (!rubbish->n)
        return;
    struct sb_layer layer = rubbish->items[--rubbish->n];
    /* What covers the directory is the next run's view: nobody uses this one's any more. */
    bool renewable = guard->sandbox->kind->ahead && guard->next.root && !guard->n_hopeless;
    if (renewable && guard->spare.n < MOST_SPARE && sb_layer_renew(guard->sandbox, &layer)) {
        add(&guard->spare, &layer);
        return;
    }
    sb_layer_remove(&layer);
    sb_layer_clear(&layer);
}

/* ---- Views that stand before the run is there -------------------------------------------------
 */

static int enter_view(struct sb_guard_life *guard, struct sb_layer *layer, struct sb_error *err) {
    struct sb_launch launch = {.sandbox = guard->sandbox, .layer = layer};
    int rc = guard->sandbox->kind->enter(guard->sandbox, layer, &launch);
    guard->covered = launch.covered;
    return rc < 0 ? sb_launch_error(&launch, err) : 0;
}

int sb_guard_prepare(struct sb_guard_life *guard, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    struct sb_layer layer = {0};
    if (guard->next.root)
        return 0;
    sb_mounts_leave(guard->sandbox, &guard->covered);
    int rc = 0;
    if (guard->spare.n)
        layer = guard->spare.items[--guard->spare.n];
    else
        rc = sb_layer_make(sandbox, &layer, err);
    if (rc == 0)
        rc = sandbox->kind->before(sandbox, &layer, err);
    if (rc == 0)
        rc = enter_view(guard, &layer, err);
    if (rc == 0 && (rc = sb_layer_note(sandbox, &layer)) < 0)
        sb_error_errno(err, rc, "%s", layer.root);
    if (rc < 0) {
        sb_mounts_leave(guard->sandbox, &guard->covered);
        add(&guard->rubbish, &layer);
        return rc;
    }
    layer.entered = sb_monotonic();
    guard->next = layer;
    return 0;
}

/* Has the working directory another mode, owner or time than the view shows? */
static bool is_outdated(const struct sb_guard_life *guard) {
    const struct stat *then = &guard->next.lower;
    struct stat now;
    if (guard->next.used && sb_monotonic() - guard->next.entered > worn_s)
        return true;
    return fstat(guard->sandbox->lower, &now) < 0 || now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

static int take_view(struct sb_guard_life *guard, struct sb_layer *layer, struct sb_error *err) {
    if (guard->next.root && is_outdated(guard))
        add(&guard->rubbish, &guard->next);
    int rc = sb_guard_prepare(guard, err);
    if (rc < 0)
        return rc;
    *layer = guard->next;
    guard->next = (struct sb_layer){0};
    layer->used = true;
    clock_gettime(CLOCK_REALTIME_COARSE, &layer->since); /* the clock of file times */
    return 0;
}

bool sb_guard_keep_view(struct sb_guard_life *guard, struct sb_layer *layer) {
    if (!guard->sandbox->kind->ahead || guard->next.root || guard->n_hopeless || !layer->root ||
        !sb_layer_untouched(guard->sandbox, layer))
        return false;
    layer->alias = layer->start = NULL;
    guard->next = *layer;
    *layer = (struct sb_layer){0};
    return true;
}

/* ---- The run's layer --------------------------------------------------------------------------
 */

static int empty_tmp(const struct sb_sandbox *sandbox, struct sb_error *err) {
    SB_AUTO_DIR DIR *folder = opendir(sandbox->tmp);
    if (!folder)
        return sb_error_errno(err, -errno, "%s", sandbox->tmp);
    int rc = 0;
    for (struct dirent *found; rc == 0 && (found = readdir(folder));) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        SB_AUTO_FREE char *path = sb_path_join(sandbox->tmp, found->d_name);
        rc = path ? sb_remove_tree(path, err) : -ENOMEM;
    }
    return rc;
}

int sb_guard_layer_make(struct sb_guard_life *guard, struct sb_layer *layer, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    if (sandbox->kind->ahead)
        return take_view(guard, layer, err);
    int rc = sb_layer_make(sandbox, layer, err);
    if (rc == 0 && !sandbox->kind->mount_namespace)
        rc = empty_tmp(sandbox, err);
    if (rc == 0 && sandbox->kind->before)
        rc = sandbox->kind->before(sandbox, layer, err);
    return rc;
}
