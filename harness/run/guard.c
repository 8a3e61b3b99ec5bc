/* Stage 3: a guard's life: it takes a run, starts it, watches it, ends it with all that it started,
 * says how it ended, and waits for the next. */
#include "run/guard.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

static const double unseen_s = 0.03, unhurried_s = 0.01; /* see is_quiet */

/* So long after a run the next one is not coming at once. */
enum { IDLE_NS = 1000000 };

/* ---- Messages ---------------------------------------------------------------------------------
 */

static void start(struct sb_guard_life *guard, const char *message, size_t length) {
    struct sb_guarded *run = calloc(1, sizeof *run);
    if (!run || guard->run) {
        free(run);
        guard->orphaned = true; /* cannot go on: samebits sees the end of the socket */
        return;
    }
    guard->run = run;
    run->view = run->probe = run->traces = run->traces_to = -1;
    run->log.from = run->log.to = run->log.folder = run->request.log_folder = -1;
    run->how = SB_ENDED_EXIT;
    struct sb_error err = {0};
    int rc = sb_run_request_unpack(message, length, &run->request);
    run->request.log_folder = sb_steal_fd(&guard->received);
    guard->followed = run->request.followed;
    rc = rc < 0 ? sb_error_errno(&err, rc, "a request") : sb_guarded_begin(guard, run, &err);
    if (rc < 0) {
        sb_guarded_not_started(guard, &err, rc);
        return;
    }
    run->started = sb_monotonic();
    sb_watch_start(&run->watch, run->main, run->started);
}

/* Between two samples of a run there is time for other things, but not in its first moments: a
 * short one has no others to be seen in. */
static bool is_quiet(const struct sb_guard_life *guard) {
    if (!guard->run)
        return true;
    double now = sb_monotonic();
    return now - guard->run->watch.started > unseen_s && guard->run->watch.next - now > unhurried_s;
}

/* Where short runs follow one another it waits, but not for ever. */
static bool may_tidy(const struct sb_guard_life *guard) {
    enum { MOST_RUBBISH = 512 };
    bool anything = guard->rubbish.n || guard->left_view >= 0;
    return guard->rubbish.n > MOST_RUBBISH || (anything && is_quiet(guard));
}

/* Not for nobody. */
static bool may_prepare(const struct sb_guard_life *guard) {
    return guard->sandbox->kind->ahead && guard->followed && is_quiet(guard);
}

static void handle_message(struct sb_guard_life *guard, enum sb_message kind, size_t length) {
    const char *message = guard->in.data;
    switch (kind) {
    case SB_MESSAGE_START:
        start(guard, message, length);
        break;
    case SB_MESSAGE_INTERRUPT:
        if (guard->run && guard->run->request.serial == sb_message_serial(message, length))
            sb_guarded_interrupt(guard->run);
        break;
    case SB_MESSAGE_STOP:
        guard->orphaned = true;
        break;
    case SB_MESSAGE_FREE:
        sb_guard_forget(guard, sb_message_serial(message, length));
        break;
    default:
        guard->orphaned = true;
    }
}

static void listen_to_samebits(struct sb_guard_life *guard) {
    ssize_t n = sb_message_receive(guard->socket, &guard->in, &guard->received, false);
    if (n == -EAGAIN)
        return;
    if (n <= 0)
        guard->orphaned = guard->bereft = true;
    enum sb_message kind;
    size_t length;
    int rc;
    while (!guard->orphaned && (rc = sb_message_next(&guard->in, &kind, &length)) != -EAGAIN) {
        if (rc < 0) {
            guard->orphaned = true;
            break;
        }
        handle_message(guard, kind, length);
        sb_message_drop(&guard->in, length);
    }
}

static void listen_to_signals(struct sb_guard_life *guard) {
    struct signalfd_siginfo info[8];
    while (read(guard->signals, info, sizeof info) > 0)
        ;
    if (getppid() != guard->parent)
        guard->orphaned = guard->bereft = true;
}

static void wait_for_something(struct sb_guard_life *guard) {
    struct pollfd fds[] = {
        {.fd = guard->socket, .events = POLLIN},
        {.fd = guard->signals, .events = POLLIN},
        {.fd = guard->run ? guard->run->log.from : -1, .events = POLLIN},
        {.fd = guard->run && guard->run->raw ? guard->run->raw->listener : -1, .events = POLLIN}};
    enum { N = sizeof fds / sizeof *fds };
    struct timespec timeout = {0};
    if (may_prepare(guard))
        sb_guard_prepare(guard, NULL); /* what is wrong is said when a run needs it */
    if (guard->run) {
        double wait = sb_guarded_deadline(guard->run) - sb_monotonic();
        if (wait > 0) {
            timeout.tv_sec = (time_t)wait;
            timeout.tv_nsec = (long)((wait - (double)timeout.tv_sec) * 1e9);
        }
    }
    int n = 0;
    if (may_tidy(guard)) {
        const struct timespec moment = {.tv_nsec = guard->run ? 0 : IDLE_NS};
        n = ppoll(fds, N, &moment, NULL);
        if (n == 0)
            sb_guard_tidy(guard);
    }
    if (n == 0)
        n = ppoll(fds, N, guard->run ? &timeout : NULL, NULL);
    if (n <= 0)
        return;
    if (fds[3].revents)
        sb_raw_serve(guard->run->raw);
    if (fds[1].revents)
        listen_to_signals(guard);
    if (fds[2].revents && !sb_log_drain(&guard->run->log)) {
        sb_cleanup_fd(&guard->run->log.from); /* the run closed its output, and goes on */
        guard->run->log.from = -1;
    }
    if (fds[0].revents)
        listen_to_samebits(guard);
}

static void watch_run(struct sb_guard_life *guard) {
    struct sb_guarded *run = guard->run;
    double now = sb_monotonic();
    sb_guarded_advance(guard, run, now);
    if (run->phase == SB_PHASE_DONE) {
        sb_guarded_finish(guard);
    } else if (now >= run->watch.next) {
        if (run->phase == SB_PHASE_RUNNING) {
            sb_watch_sample(&run->watch);
            sb_guarded_take_turns(run, now);
        } else
            run->watch.next = now + SB_GUARD_SETTLE_S;
    }
}

/* samebits is gone, or needs no more runs. */
static void give_up(struct sb_guard_life *guard) {
    if (guard->run) {
        struct sb_guarded *run = guard->run;
        run->how = SB_ENDED_INTERRUPTED;
        double hopeless = sb_monotonic() + SB_GUARD_HOPELESS_S;
        for (sb_reap_kill(); !sb_guarded_reap(guard, run) && sb_monotonic() < hopeless;
             sb_reap_kill())
            usleep((useconds_t)(SB_GUARD_KILL_AGAIN_S * 1e6));
        sb_guarded_finish(guard);
    }
    if (guard->sandbox->kind->close)
        guard->sandbox->kind->close(guard->sandbox);
    sb_remove_tree(guard->sandbox->guard_folder, NULL);
    if (guard->bereft) {
        sb_cgroup_leave(&guard->sandbox->cgroup);
        sb_layers_close(guard->sandbox);
    }
}

_Noreturn void sb_guard_main(struct sb_sandbox *sandbox, int socket, unsigned index, pid_t parent) {
    struct sb_guard_life guard = {.sandbox = sandbox,
                                  .socket = socket,
                                  .parent = parent,
                                  .received = -1,
                                  .left_view = -1,
                                  .followed = true};
    struct sb_ready ready = {0};
    struct sb_error err = {0};
    int rc = sb_guard_set_up(&guard, index, &err);
    ready.code = rc;
    ready.error = rc < 0 ? err.text : NULL;
    ready.overlay_variant = sandbox->overlay_variant;
    ready.notes = sandbox->shared;
    SB_AUTO_TEXT struct sb_text out = {0};
    sb_ready_pack(&ready, &out);
    guard.orphaned = sb_message_send(socket, &out, -1) < 0 || rc < 0;
    while (!guard.orphaned) {
        if (guard.run)
            watch_run(&guard);
        if (!guard.orphaned)
            wait_for_something(&guard);
    }
    give_up(&guard);
    _exit(0);
}
