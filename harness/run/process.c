/* Stage 3: one run, seen from samebits: asking a guard for it, and hearing how it ended. */
#include "run/process.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Guards keep all deadlines; a caller that looks this often only guards against a lost wake-up. */
enum { LOOK_MS = 1000 };

struct sb_process {
    struct sb_sandbox *sandbox;
    struct sb_guard *guard;
    uint64_t serial;
    bool ended;
    char *files;
    struct sb_strings written;
    char *log; /* its path, or NULL */
};

/* ---- Guards -----------------------------------------------------------------------------------
 */

static int write_map(pid_t pid, const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Every id that exists here, to itself. Needs CAP_SETUID here; NULL where it cannot be read. */
static char *identity(const char *name) {
    SB_AUTO_FREE char *map = NULL;
    SB_AUTO_TEXT struct sb_text text = {0};
    SB_AUTO_FREE char *path = sb_format("/proc/self/%s", name);
    if (!path || sb_file_read(path, 1 << 16, &map, NULL, NULL) < 0)
        return NULL;
    unsigned long inside, count;
    int used;
    for (const char *at = map; sscanf(at, "%lu %*u %lu%n", &inside, &count, &used) == 2; at += used)
        sb_text_printf(&text, "%lu %lu %lu\n", inside, inside, count);
    return sb_text_take(&text);
}

static int map_ids(pid_t pid, const char *name, unsigned id) {
    char own[64];
    SB_AUTO_FREE char *all = identity(name);
    if (all && *all && write_map(pid, name, all) == 0)
        return 0;
    snprintf(own, sizeof own, "%u %u 1\n", id, id);
    return write_map(pid, name, own);
}

/* Uid and gid stay what they are. */
static int map_user(pid_t pid) {
    SB_AUTO_FREE char *all = identity("gid_map");
    if (!all || write_map(pid, "gid_map", all) < 0) {
        write_map(pid, "setgroups", "deny"); /* or an unprivileged map of groups is refused */
        int rc = map_ids(pid, "gid_map", getegid());
        if (rc < 0)
            return rc;
    }
    return map_ids(pid, "uid_map", geteuid());
}

/* The next message of a guard, which stays in guard->in. */
static int next_message(struct sb_guard *guard, enum sb_message *kind, size_t *length) {
    int rc;
    while ((rc = sb_message_next(&guard->in, kind, length)) == -EAGAIN) {
        ssize_t n = sb_message_receive(guard->socket, &guard->in, NULL, true);
        if (n <= 0)
            return n < 0 ? (int)n : -EPIPE;
    }
    return rc;
}

static int await_ready(struct sb_guard *guard, struct sb_ready *ready, struct sb_error *err) {
    enum sb_message kind;
    size_t length;
    int rc = next_message(guard, &kind, &length);
    if (rc == 0 && kind == SB_MESSAGE_MAP) {
        SB_AUTO_TEXT struct sb_text out = {0};
        sb_message_drop(&guard->in, length);
        sb_message_pack(SB_MESSAGE_MAP, map_user(guard->pid) == 0, &out);
        rc = sb_message_send(guard->socket, &out, -1);
        if (rc == 0)
            rc = next_message(guard, &kind, &length);
    }
    if (rc == 0)
        rc = kind == SB_MESSAGE_READY ? sb_ready_unpack(guard->in.data, length, ready) : -EBADMSG;
    if (rc < 0)
        return sb_error_errno(err, rc, "a guard of runs ended at once");
    sb_message_drop(&guard->in, length);
    return ready->error ? sb_error_set(err, ready->code, "%s", ready->error) : 0;
}

int sb_guard_await(struct sb_guard *guard, struct sb_ready *ready, struct sb_error *err) {
    struct sb_ready own = {0};
    if (guard->ready)
        return 0;
    int rc = await_ready(guard, &own, err);
    guard->ready = rc == 0;
    guard->dead = rc < 0;
    if (rc == 0 && ready)
        *ready = own;
    else
        sb_ready_clear(&own);
    return rc;
}

int sb_guard_start(struct sb_sandbox *sandbox, struct sb_guard **guard, struct sb_error *err) {
    int sockets[2];
    struct sb_guard *made = calloc(1, sizeof *made);
    struct sb_guard **guards =
        made ? reallocarray(sandbox->guards, sandbox->n_guards + 1, sizeof *guards) : NULL;
    if (!guards || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) {
        free(made);
        return sb_error_errno(err, guards ? -errno : -ENOMEM, "a guard of runs");
    }
    sandbox->guards = guards;
    made->index = (unsigned)sandbox->n_guards;
    made->socket = sockets[0];
    pid_t self = getpid();
    /* Orphans of a guard that is killed come to us. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    made->pid = sb_cgroup_fork(&sandbox->cgroup);
    if (made->pid == 0) {
        close(sockets[0]);
        setsid(); /* Ctrl-C is for samebits, which then tells us */
        sb_guard_main(sandbox, sockets[1], made->index, self);
    }
    int rc = made->pid < 0 ? sb_error_errno(err, -errno, "fork") : 0;
    close(sockets[1]);
    if (rc < 0) {
        sb_guard_stop(made);
        return rc;
    }
    sandbox->guards[sandbox->n_guards++] = made;
    *guard = made;
    return 0;
}

void sb_guard_dismiss(struct sb_guard *guard) {
    SB_AUTO_TEXT struct sb_text out = {0};
    if (guard->dismissed)
        return;
    sb_message_pack(SB_MESSAGE_STOP, 0, &out);
    sb_message_send(guard->socket, &out, -1);
    guard->dismissed = true;
}

void sb_guard_stop(struct sb_guard *guard) {
    if (!guard)
        return;
    sb_guard_dismiss(guard);
    close(guard->socket);
    while (guard->pid > 0 && waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    sb_text_clear(&guard->in);
    free(guard);
}

static int idle_guard(struct sb_sandbox *sandbox, struct sb_guard **guard, struct sb_error *err) {
    bool busy = false;
    struct sb_guard *idle = NULL;
    for (size_t i = 0; i < sandbox->n_guards && !idle; i++) {
        busy |= sandbox->guards[i]->process != NULL;
        if (!sandbox->guards[i]->process && !sandbox->guards[i]->dead)
            idle = sandbox->guards[i];
    }
    if (!idle && sandbox->kind->alone && busy)
        return sb_error_set(err, -EBUSY, "a run is under way in %s, and only one can be",
                            sandbox->directory);
    int rc = idle ? 0 : sb_guard_start(sandbox, &idle, err);
    if (rc == 0)
        rc = sb_guard_await(idle, NULL, err);
    if (rc == 0)
        *guard = idle;
    return rc;
}

/* The guard of a run that will soon start beside this one gets ready while this one starts. */
static void start_another_guard(struct sb_sandbox *sandbox, const struct sb_guard *taken) {
    struct sb_guard *another;
    for (size_t i = 0; i < sandbox->n_guards; i++) {
        const struct sb_guard *guard = sandbox->guards[i];
        if (!guard->dead && !guard->process && guard != taken)
            return;
    }
    if (!sandbox->kind->alone)
        sb_guard_start(sandbox, &another, NULL); /* what is wrong is said when a run needs it */
}

/* ---- Starting ---------------------------------------------------------------------------------
 */

/* The level of the path axis becomes part of a path. */
static int make_alias(const struct sb_sandbox *sandbox, const char *level, char **alias,
                      struct sb_error *err) {
    for (const char *at = level; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        size_t n = strcspn(at, "/");
        if (n == 0 || (n <= 2 && strspn(at, ".") >= n))
            return sb_error_set(err, -EINVAL, "path: '%s' cannot be a folder's name", level);
    }
    *alias = sb_format("%s/path/%s", sandbox->base, level);
    return *alias ? 0 : sb_error_errno(err, -ENOMEM, "path");
}

static int fill_request(struct sb_sandbox *sandbox, const struct sb_process_spec *spec,
                        struct sb_run_request *request, struct sb_error *err) {
    const struct sb_setup *setup = spec->setup;
    int rc = 0;
    *request = (struct sb_run_request){.serial = ++sandbox->serial,
                                       .log_limit = spec->log_limit,
                                       .timeout_s = spec->timeout_s,
                                       .grace_s = spec->grace_s,
                                       .followed = spec->followed,
                                       .aslr_given = setup->aslr_given,
                                       .aslr_on = setup->aslr_on,
                                       .pid_frozen = setup->pid_frozen,
                                       .schedule_frozen = setup->schedule_frozen,
                                       .load = setup->load,
                                       .log_folder = -1};
    if (setup->path && (rc = make_alias(sandbox, setup->path, &request->alias, err)) < 0)
        return rc;
    request->start = strdup(request->alias ? request->alias : sandbox->directory);
    request->hostname = setup->hostname ? strdup(setup->hostname) : NULL;
    if (!request->start || (setup->hostname && !request->hostname))
        rc = -ENOMEM;
    for (char *const *item = spec->command; rc == 0 && *item; item++)
        rc = sb_strings_add(&request->command, *item);
    for (char *const *item = setup->environment; rc == 0 && item && *item; item++)
        rc = sb_strings_add(&request->environment, *item);
    for (size_t i = 0; rc == 0 && spec->cpus && i < spec->n_cpus; i++)
        rc = sb_strings_take(&request->cpus, sb_format("%d", spec->cpus[i]));
    if (rc == 0 && spec->log_path) {
        const char *slash = strrchr(spec->log_path, '/');
        request->log = strdup(slash ? slash + 1 : spec->log_path);
        rc = request->log ? 0 : -ENOMEM;
    }
    if (rc == 0)
        rc = sb_environment_set(&request->environment, "PWD", request->start);
    if (rc == 0)
        rc = sb_environment_set(&request->environment, "TMPDIR", sandbox->tmp);
    if (rc == 0)
        rc = sb_environment_set(&request->environment, "SAMEBITS_COOKIE", sandbox->cookie);
    if (rc == 0 && setup->probe.library) {
        request->probed = true;
        request->raw = sb_probe_raw(&setup->probe);
        rc = sb_probe_preload(&setup->probe, setup->trace, sandbox->tmp, &request->environment);
    }
    if (rc == 0 && setup->trace && spec->trace) {
        request->trace = strdup(spec->trace);
        rc = request->trace ? sb_trace_environment(sandbox->tmp, &request->environment) : -ENOMEM;
    }
    return rc < 0 ? sb_error_errno(err, rc, "starting a run") : 0;
}

int sb_process_start(struct sb_sandbox *sandbox, const struct sb_process_spec *spec,
                     struct sb_process **process, struct sb_error *err) {
    struct sb_run_request request = {.log_folder = -1};
    struct sb_guard *guard = NULL;
    SB_AUTO_TEXT struct sb_text out = {0};
    SB_AUTO_FREE char *log = NULL;
    struct sb_process *made = NULL;
    int rc = fill_request(sandbox, spec, &request, err);
    if (rc == 0)
        rc = idle_guard(sandbox, &guard, err);
    if (rc == 0 && spec->beside)
        start_another_guard(sandbox, guard);
    if (rc == 0 && !(made = calloc(1, sizeof *made)))
        rc = sb_error_errno(err, -ENOMEM, "starting a run");
    if (rc == 0 && spec->log_path && !(log = strdup(spec->log_path)))
        rc = sb_error_errno(err, -ENOMEM, "starting a run");
    if (rc == 0 && log)
        rc = sb_log_begin(log, &request.log_folder, err);
    if (rc == 0) {
        sb_run_request_pack(&request, &out);
        rc = sb_message_send(guard->socket, &out, request.log_folder);
        if (rc < 0) {
            guard->dead = true;
            sb_error_errno(err, rc, "the guard of the run is gone");
        }
    }
    if (rc == 0) {
        *made = (struct sb_process){.sandbox = sandbox,
                                    .guard = guard,
                                    .serial = request.serial,
                                    .log = sb_steal_pointer(&log)};
        guard->process = made;
        *process = sb_steal_pointer(&made);
    }
    free(made);
    sb_run_request_clear(&request);
    return rc;
}

/* ---- While it runs ----------------------------------------------------------------------------
 */

int sb_process_fd(const struct sb_process *process) {
    return process->guard->socket;
}

int sb_process_wait_ms(const struct sb_process *process) {
    return process->ended ? 0 : LOOK_MS;
}

void sb_process_interrupt(struct sb_process *process) {
    SB_AUTO_TEXT struct sb_text out = {0};
    if (process->ended)
        return;
    sb_message_pack(SB_MESSAGE_INTERRUPT, process->serial, &out);
    sb_message_send(process->guard->socket, &out, -1);
}

/* A guard that was killed took its run's main process with it; what else there was came to us. */
static void mourn(struct sb_process *process, struct sb_process_end *end) {
    struct sb_sandbox *sandbox = process->sandbox;
    SB_AUTO_FREE pid_t *guards = calloc(sandbox->n_guards + 1, sizeof *guards);
    for (size_t i = 0; guards && i < sandbox->n_guards; i++)
        guards[i] = sandbox->guards[i]->pid;
    process->guard->dead = true;
    process->guard->process = NULL;
    process->ended = true;
    if (process->log)
        sb_log_leave_empty(process->log, &sandbox->empty_log); /* not where there is one */
    kill(process->guard->pid, SIGKILL);
    waitpid(process->guard->pid, NULL, 0);
    process->guard->pid = -1;
    if (guards)
        sb_reap_strays(sandbox->cookie, guards, sandbox->n_guards);
    *end = (struct sb_process_end){
        .how = SB_ENDED_SIGNAL,
        .exit_code = -1,
        .signal = SIGKILL,
        .message = strdup("the process that watched over this run was killed, and the run with it "
                          "(out of memory?)"),
    };
    sb_exchange_recover(sandbox->directory, NULL);
}

int sb_process_step(struct sb_process *process, struct sb_process_end *end, struct sb_error *err) {
    struct sb_guard *guard = process->guard;
    enum sb_message kind;
    size_t length;
    if (process->ended)
        return sb_error_set(err, -EINVAL, "the run has ended already");
    int rc;
    while ((rc = sb_message_next(&guard->in, &kind, &length)) == -EAGAIN) {
        ssize_t n = sb_message_receive(guard->socket, &guard->in, NULL, false);
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n <= 0) {
            mourn(process, end);
            return 0;
        }
    }
    struct sb_reply reply = {0};
    if (rc == 0)
        rc = kind == SB_MESSAGE_END ? sb_reply_unpack(guard->in.data, length, &reply) : -EBADMSG;
    if (rc < 0 || reply.serial != process->serial) {
        sb_reply_clear(&reply);
        mourn(process, end);
        return 0;
    }
    sb_message_drop(&guard->in, length);
    guard->process = NULL;
    process->ended = true;
    process->files = sb_steal_pointer(&reply.files);
    process->written = reply.written;
    if (process->log && !reply.printed)
        sb_log_leave_empty(process->log, &process->sandbox->empty_log);
    *end = reply.end;
    return 0;
}

/* ---- Afterwards -------------------------------------------------------------------------------
 */

int sb_process_written(struct sb_process *process, const char *glob,
                       struct sb_strings_pair *written, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings absolute = {0};
    SB_AUTO_STRINGS struct sb_strings relative = {0};
    for (size_t i = 0; process->files && i < process->written.n; i++) {
        const char *path = process->written.items[i];
        if (glob && !sb_glob_match(glob, path))
            continue;
        if (sb_strings_add(&relative, path) < 0 ||
            sb_strings_take(&absolute, sb_path_join(process->files, path)) < 0)
            return sb_error_errno(err, -ENOMEM, "files that a run wrote");
    }
    *written = (struct sb_strings_pair){
        .absolute = absolute.items, .relative = relative.items, .n = relative.n};
    absolute = relative = (struct sb_strings){0};
    return 0;
}

void sb_strings_pair_clear(struct sb_strings_pair *pair) {
    for (size_t i = 0; i < pair->n; i++) {
        free(pair->absolute[i]);
        free(pair->relative[i]);
    }
    free(pair->absolute);
    free(pair->relative);
    *pair = (struct sb_strings_pair){0};
}

void sb_process_end_clear(struct sb_process_end *end) {
    free(end->message);
    sb_observation_clear(&end->seen);
    *end = (struct sb_process_end){0};
}

/* A run that is still under way is ended first. */
static void end_now(struct sb_process *process) {
    struct sb_process_end end = {0};
    struct timespec moment = {.tv_nsec = 5000000};
    while (!process->ended) {
        sb_process_interrupt(process);
        if (sb_process_step(process, &end, NULL) == -EAGAIN)
            nanosleep(&moment, NULL);
    }
    sb_process_end_clear(&end);
}

void sb_process_free(struct sb_process *process) {
    if (!process)
        return;
    end_now(process);
    if (!process->guard->dead) {
        SB_AUTO_TEXT struct sb_text out = {0};
        sb_message_pack(SB_MESSAGE_FREE, process->serial, &out);
        sb_message_send(process->guard->socket, &out, -1);
    }
    free(process->files);
    free(process->log);
    sb_strings_clear(&process->written);
    free(process);
}
