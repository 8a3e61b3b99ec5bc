/* Stage 3: a guard starts a run: its layer, its log, its process. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Where its raw system calls cannot be had the run goes on without, and its result says so. */
static int prepare_raw(struct sb_guard_life *guard, struct sb_guarded *run, int sockets[2],
                       struct sb_error *err) {
    run->raw = calloc(1, sizeof *run->raw);
    if (!run->raw)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    run->raw->listener = -1;
    run->raw->frozen = run->request.raw;
    if (!guard->raw_tried)
        guard->raw_refused = sb_raw_filter_try();
    guard->raw_tried = true;
    int rc = guard->raw_refused;
    if (rc == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        rc = -errno;
    if (rc < 0)
        run->raw->refused = sb_format("seccomp: %s", strerror(-rc));
    else
        sb_raw_filter_make(run->request.raw, &run->raw->filter);
    return 0;
}

/* The child has sent it before its exec. */
static void take_listener(struct sb_raw *raw, int socket, int refused) {
    SB_AUTO_TEXT struct sb_text ignored = {0};
    if (raw->refused)
        return;
    ssize_t n = sb_message_receive(socket, &ignored, &raw->listener, false);
    if (raw->listener < 0)
        raw->refused = sb_format("seccomp: %s", strerror(refused ? refused : (int)-n));
}

static int launch(struct sb_guard_life *guard, struct sb_guarded *run, struct sb_error *err) {
    struct sb_launch launch = {.sandbox = guard->sandbox,
                               .layer = &run->layer,
                               .request = &run->request,
                               .null = 0,
                               .output = -1,
                               .namespaces = namespaces(guard->sandbox, &run->request)};
    SB_AUTO_FD int output = -1;
    int sockets[2] = {-1, -1};
    int rc = sb_launch_prepare(&launch, err);
    if (rc == 0 && run->request.raw)
        rc = prepare_raw(guard, run, sockets, err);
    launch.raw = sockets[1] >= 0 ? &run->raw->filter : NULL;
    launch.raw_socket = sockets[1];
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
    if (rc == 0 && run->raw)
        take_listener(run->raw, sockets[0], guard->area.told->raw_refused);
    sb_cleanup_fd(&sockets[0]);
    sb_cleanup_fd(&sockets[1]);
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
