/* Stage 3: a guard starts a run: its layer, its log, its process. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/guard.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>

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

/* Which namespaces the run needs beyond those of the guard. */
static int namespaces(const struct sb_sandbox *sandbox, const struct sb_run_request *request) {
    int flags = sandbox->kind->mount_namespace || request->alias ? CLONE_NEWNS : 0;
    return request->hostname ? flags | CLONE_NEWUTS : flags;
}

static int launch(struct sb_guard_life *guard, struct sb_guarded *run, struct sb_error *err) {
    struct sb_launch launch = {.sandbox = guard->sandbox,
                               .layer = &run->layer,
                               .request = &run->request,
                               .null = 0,
                               .output = -1,
                               .namespaces = namespaces(guard->sandbox, &run->request)};
    SB_AUTO_FD int output = -1;
    int rc = sb_launch_prepare(&launch, err);
    if (rc == 0)
        rc = sb_log_open(&run->log, sb_steal_fd(&run->request.log_folder), run->request.log,
                         run->request.log_limit, &output, err);
    launch.output = output;
    if (rc == 0)
        rc = sb_launch_start(&launch, &guard->area, &run->main, err);
    if (rc == -EPERM && launch.namespaces && !guard->sandbox->user_namespace &&
        !guard->sandbox->kind->mount_namespace && run->main > 0) {
        /* In place, and an axis asks for a namespace that only a user namespace allows. */
        waitpid(run->main, NULL, 0);
        run->main = 0;
        launch.namespaces |= CLONE_NEWUSER;
        launch.map_user = true;
        rc = sb_launch_start(&launch, &guard->area, &run->main, err);
    }
    sb_launch_clear(&launch);
    return rc;
}

/* ---- Views that stand before the run is there -------------------------------------------------
 */

/* A view that a run had is worn no longer than this: the kernel may not notice in it what somebody
 * changes in the working directory itself. */
static const double worn_s = 1;

void sb_guard_discard(struct sb_guard_life *guard, struct sb_layer *layer) {
    if (sb_layer_give_up(layer, &guard->rubbish) < 0)
        sb_layer_remove(layer);
    sb_layer_clear(layer);
}

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
    int rc = sb_layer_make(sandbox, &layer, err);
    if (rc == 0)
        rc = sandbox->kind->before(sandbox, &layer, err);
    if (rc == 0)
        rc = enter_view(guard, &layer, err);
    if (rc == 0 && (rc = sb_layer_note(sandbox, &layer)) < 0)
        sb_error_errno(err, rc, "%s", layer.root);
    if (rc < 0) {
        sb_mounts_leave(guard->sandbox, &guard->covered);
        sb_guard_discard(guard, &layer);
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
        sb_guard_discard(guard, &guard->next);
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

/* ---- The run ----------------------------------------------------------------------------------
 */

static int make_layer(struct sb_guard_life *guard, struct sb_layer *layer, struct sb_error *err) {
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

int sb_guarded_begin(struct sb_guard_life *guard, struct sb_guarded *run, struct sb_error *err) {
    run->layer.serial = run->request.serial; /* names the copy that replaces the directory */
    int rc = make_layer(guard, &run->layer, err);
    run->layer.serial = run->request.serial;
    run->layer.alias = run->request.alias;
    run->layer.start = run->request.start;
    if (rc == 0 && run->request.alias)
        rc = sb_make_folders(run->request.alias, 0700, err);
    if (rc == 0)
        rc = launch(guard, run, err);
    return rc;
}
