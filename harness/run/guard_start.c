/* Stage 3: a guard starts a run: its layer, its log, its process. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* Which namespaces the run needs beyond those of the guard. */
static int namespaces(const struct sb_sandbox *sandbox, const struct sb_run_request *request) {
    bool mounts = sandbox->kind->mount_namespace || request->alias || request->pid_frozen;
    int flags = mounts ? CLONE_NEWNS : 0;
    return request->hostname ? flags | CLONE_NEWUTS : flags;
}

static int open_view(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)pid);
    return open(path, O_RDONLY | O_CLOEXEC);
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
    if (rc == 0 && run->request.load)
        rc = sb_load_start(launch.cpus ? launch.cpus : guard->area.home,
                           launch.cpus ? launch.cpus_size : guard->area.home_size, &run->load, err);
    if (rc == 0)
        rc = sb_launch_start(&launch, &guard->area, &run->main, err);
    if (rc == -EPERM && launch.namespaces && !guard->sandbox->user_namespace &&
        !guard->sandbox->kind->mount_namespace && (run->main > 0 || run->request.pid_frozen)) {
        /* In place, and an axis asks for a namespace that only a user namespace allows. */
        if (run->main > 0)
            waitpid(run->main, NULL, 0);
        run->main = 0;
        launch.namespaces |= CLONE_NEWUSER;
        launch.map_user = true;
        rc = sb_launch_start(&launch, &guard->area, &run->main, err);
    }
    if (rc == 0 && launch.namespaces & CLONE_NEWNS)
        run->view = open_view(run->main);
    sb_launch_clear(&launch);
    return rc;
}

/* The folder that the run will have as TMPDIR. */
static const char *tmp_of(const struct sb_guard_life *guard, const struct sb_guarded *run) {
    return guard->sandbox->kind->mount_namespace ? run->layer.tmp : guard->sandbox->tmp;
}

static int prepare_trace(const struct sb_guard_life *guard, struct sb_guarded *run,
                         struct sb_error *err) {
    if (run->request.log_folder < 0)
        return 0;
    run->traces = sb_trace_folder_make(tmp_of(guard, run), err);
    if (run->traces < 0)
        return run->traces;
    run->traces_to = fcntl(run->request.log_folder, F_DUPFD_CLOEXEC, 0);
    return run->traces_to < 0 ? sb_error_errno(err, -errno, "a trace") : 0;
}

int sb_guarded_begin(struct sb_guard_life *guard, struct sb_guarded *run, struct sb_error *err) {
    run->layer.serial = run->request.serial; /* names the copy that replaces the directory */
    int rc = sb_guard_layer_make(guard, &run->layer, err);
    run->layer.serial = run->request.serial;
    run->layer.alias = run->request.alias;
    run->layer.start = run->request.start;
    if (rc == 0 && run->request.alias)
        rc = sb_make_folders(run->request.alias, 0700, err);
    if (rc == 0 && run->request.probed) {
        run->probe = sb_probe_record_make(tmp_of(guard, run), err);
        rc = run->probe < 0 ? run->probe : 0;
    }
    if (rc == 0 && run->request.trace)
        rc = prepare_trace(guard, run, err);
    if (rc == 0)
        rc = launch(guard, run, err);
    return rc;
}
