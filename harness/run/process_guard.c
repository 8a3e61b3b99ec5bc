/* Stage 3: a guard's life: it takes a run, starts it, watches it, ends it with all that it started,
 * says how it ended, and waits for the next. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What outlives the main process gets a moment to end by itself: a helper that ends when its pipe
 * closes was not left behind. */
static const double settle_s = 0.1;
static const double unseen_s = 0.1, unhurried_s = 0.01; /* see may_remove_rubbish */
static const double term_again_s = 0.02, kill_again_s = 0.005, hopeless_s = 20;

enum phase {
    PHASE_RUNNING,
    PHASE_SETTLING,    /* the main process has ended, others have not */
    PHASE_TERMINATING, /* TERM was sent */
    PHASE_KILLING,
    PHASE_DONE,
};

/* So long after a run the next one is not coming at once. */
enum { IDLE_NS = 1000000 };

/* A run under way. */
struct run {
    struct sb_run_request request;
    struct sb_layer layer;
    struct sb_log log;
    struct sb_watch watch;
    enum phase phase;
    double started, deadline, hopeless;
    double next_signal; /* in the last two phases */
    pid_t main;
    bool main_ended, unkillable;
    double ended;
    int status;
    double cpu_s;
    long max_rss_kb;
    enum sb_ended how;
    struct sb_told told;  /* who got TERM */
    struct sb_text names; /* of them */
};

struct guard {
    struct sb_sandbox *sandbox;
    int socket, signals;
    pid_t parent;
    struct sb_launch_area area;
    struct sb_text in;
    int received;           /* descriptor that came with a message, -1: none */
    bool orphaned;          /* is to end */
    bool bereft;            /* since samebits was killed */
    struct run *run;        /* NULL: idle */
    struct sb_layer *ended; /* layers that are still to be read */
    size_t n_ended;
    struct sb_strings rubbish; /* folders of layers that nobody needs any more */
    pid_t *hopeless;           /* processes of earlier runs that no signal ends */
    size_t n_hopeless;
};

static void note(struct sb_text *notes, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct sb_text *notes, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sb_text_printf(notes, "%s%s", notes->length ? "; " : "", text);
}

/* ---- Starting ---------------------------------------------------------------------------------
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

/* Which namespaces the run needs beyond those of the guard. */
static int namespaces(const struct sb_sandbox *sandbox, const struct sb_run_request *request) {
    int flags = sandbox->kind->mount_namespace || request->alias ? CLONE_NEWNS : 0;
    return request->hostname ? flags | CLONE_NEWUTS : flags;
}

static int launch(struct guard *guard, struct run *run, struct sb_error *err) {
    struct sb_launch launch = {.sandbox = guard->sandbox,
                               .layer = &run->layer,
                               .request = &run->request,
                               .null = 0,
                               .output = -1,
                               .namespaces = namespaces(guard->sandbox, &run->request)};
    SB_AUTO_FD int output = -1;
    int rc = sb_launch_prepare(&launch, err);
    if (rc == 0)
        rc = sb_log_open(&run->log, sb_steal_fd(&run->request.log), run->request.log_limit, &output,
                         err);
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

static int begin(struct guard *guard, struct run *run, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    run->layer.serial = run->request.serial;
    run->layer.alias = run->request.alias;
    run->layer.start = run->request.start;
    int rc = sb_layer_make(sandbox, &run->layer, err);
    if (rc == 0 && !sandbox->kind->mount_namespace)
        rc = empty_tmp(sandbox, err);
    if (rc == 0 && run->request.alias)
        rc = sb_make_folders(run->request.alias, 0700, err);
    if (rc == 0 && sandbox->kind->before)
        rc = sandbox->kind->before(sandbox, &run->layer, err);
    if (rc == 0)
        rc = launch(guard, run, err);
    return rc;
}

/* ---- Ending -----------------------------------------------------------------------------------
 */

static void account(struct run *run, pid_t pid, int status, const struct rusage *usage) {
    run->cpu_s += (double)usage->ru_utime.tv_sec + (double)usage->ru_utime.tv_usec * 1e-6 +
                  (double)usage->ru_stime.tv_sec + (double)usage->ru_stime.tv_usec * 1e-6;
    if (usage->ru_maxrss > run->max_rss_kb)
        run->max_rss_kb = usage->ru_maxrss;
    if (pid == run->main) {
        run->main_ended = true;
        run->status = status;
        run->ended = sb_monotonic();
    }
}

static bool only_hopeless(const struct guard *guard) {
    SB_AUTO_FREE pid_t *pids = NULL;
    size_t n = 0, known = 0;
    if (!guard->n_hopeless || sb_reap_descendants(getpid(), &pids, &n) < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < guard->n_hopeless; j++)
            known += pids[i] == guard->hopeless[j];
    return known == n;
}

/* Collects what has ended; true when no process of the run is left. */
static bool reap(const struct guard *guard, struct run *run) {
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid > 0)
            account(run, pid, status, &usage);
        else if (pid < 0 && errno == EINTR)
            continue;
        else
            return pid < 0 || (run->main_ended && only_hopeless(guard));
    }
}

static void terminate(struct run *run, double now) {
    run->phase = PHASE_TERMINATING;
    run->deadline = now + run->request.grace_s;
    run->next_signal = now;
}

/* What is due at this moment. */
static void advance(struct guard *guard, struct run *run, double now) {
    bool gone = reap(guard, run);
    if (gone) {
        run->phase = PHASE_DONE;
        return;
    }
    if (run->phase == PHASE_RUNNING && run->main_ended) {
        run->phase = PHASE_SETTLING;
        run->deadline = now + settle_s;
    }
    if (run->phase == PHASE_RUNNING && run->request.timeout_s > 0 &&
        now >= run->started + run->request.timeout_s) {
        run->how = SB_ENDED_TIMEOUT;
        terminate(run, now);
    }
    if (run->phase == PHASE_SETTLING && now >= run->deadline)
        terminate(run, now);
    /* Who was being forked meanwhile is told in a later round. */
    if (run->phase == PHASE_TERMINATING && now >= run->next_signal) {
        sb_reap_terminate(&run->told, &run->names);
        run->next_signal = now + term_again_s;
    }
    if (run->phase == PHASE_TERMINATING && now >= run->deadline) {
        run->phase = PHASE_KILLING;
        run->hopeless = now + hopeless_s;
        run->next_signal = now;
    }
    if (run->phase == PHASE_KILLING && now >= run->next_signal) {
        sb_reap_kill();
        if (reap(guard, run)) {
            run->phase = PHASE_DONE;
        } else if (now >= run->hopeless) {
            run->phase = PHASE_DONE;
            run->unkillable = true;
            free(guard->hopeless);
            guard->hopeless = NULL;
            guard->n_hopeless = 0;
            sb_reap_descendants(getpid(), &guard->hopeless, &guard->n_hopeless);
        }
        run->next_signal = now + kill_again_s;
    }
}

static void interrupt(struct run *run) {
    double now = sb_monotonic();
    if (run->how != SB_ENDED_TIMEOUT && !run->main_ended)
        run->how = SB_ENDED_INTERRUPTED;
    if (run->phase == PHASE_RUNNING || run->phase == PHASE_SETTLING)
        terminate(run, now);
    else
        run->deadline = now; /* asked twice: no more grace */
}

static double next_deadline(const struct run *run) {
    double next = run->watch.next;
    if (run->phase == PHASE_RUNNING && run->request.timeout_s > 0)
        next = fmin(next, run->started + run->request.timeout_s);
    if (run->phase == PHASE_SETTLING || run->phase == PHASE_TERMINATING)
        next = fmin(next, run->deadline);
    if (run->phase == PHASE_TERMINATING || run->phase == PHASE_KILLING)
        next = fmin(next, run->next_signal);
    return next;
}

/* ---- Saying how it ended ----------------------------------------------------------------------
 */

static void describe(struct run *run, struct sb_reply *reply, struct sb_text *notes) {
    struct sb_process_end *end = &reply->end;
    end->how = run->how;
    end->exit_code = -1;
    if (run->main_ended && WIFEXITED(run->status))
        end->exit_code = WEXITSTATUS(run->status);
    if (run->main_ended && WIFSIGNALED(run->status))
        end->signal = WTERMSIG(run->status);
    if (run->how == SB_ENDED_EXIT && end->signal)
        end->how = SB_ENDED_SIGNAL;
    end->wall_s = (run->main_ended ? run->ended : sb_monotonic()) - run->started;
    end->cpu_s = run->cpu_s;
    end->max_rss_kb = run->max_rss_kb;
    if (run->told.n && run->how == SB_ENDED_EXIT)
        note(notes, "left %zu process%s behind, killed: %s", run->told.n,
             run->told.n == 1 ? "" : "es", run->names.length ? run->names.data : "?");
    if (run->unkillable)
        note(notes, "some of its processes cannot be killed");
    if (run->log.error)
        note(notes, "the log is not complete: %s", strerror(-run->log.error));
}

static char *seen_hostname(const struct run *run) {
    char name[256] = "";
    if (run->request.hostname)
        return strdup(run->request.hostname);
    return gethostname(name, sizeof name - 1) == 0 ? strdup(name) : NULL;
}

/* As samebits reads the path: through the guard where only the guard's namespace has it. */
static char *readable(const struct guard *guard, const char *path) {
    if (!path || !guard->sandbox->layers_in_namespace)
        return path ? strdup(path) : NULL;
    return sb_format("/proc/%d/root%s", (int)getpid(), path);
}

static void send_reply(struct guard *guard, struct sb_reply *reply) {
    SB_AUTO_TEXT struct sb_text out = {0};
    sb_reply_pack(reply, &out);
    sb_message_send(guard->socket, &out, -1);
}

static void remember_layer(struct guard *guard, struct sb_layer *layer) {
    struct sb_layer *ended = reallocarray(guard->ended, guard->n_ended + 1, sizeof *ended);
    if (!ended) {
        sb_layer_remove(layer);
        sb_layer_clear(layer);
        return;
    }
    guard->ended = ended;
    ended[guard->n_ended++] = *layer;
    *layer = (struct sb_layer){0};
}

static void free_run(struct guard *guard) {
    struct run *run = sb_steal_pointer(&guard->run);
    sb_watch_clear(&run->watch);
    sb_text_clear(&run->names);
    free(run->told.pids);
    remember_layer(guard, &run->layer);
    sb_run_request_clear(&run->request);
    free(run);
}

static void finish(struct guard *guard) {
    struct run *run = guard->run;
    struct sb_reply reply = {.serial = run->request.serial};
    SB_AUTO_TEXT struct sb_text notes = {0};
    struct sb_error err = {0};
    while (sb_log_drain(&run->log) && run->log.from >= 0) {
        struct pollfd more = {.fd = run->log.from, .events = POLLIN};
        if (poll(&more, 1, 0) <= 0)
            break;
    }
    sb_log_close(&run->log);
    describe(run, &reply, &notes);
    if (guard->sandbox->kind->after &&
        guard->sandbox->kind->after(guard->sandbox, &run->layer, &err) < 0)
        note(&notes, "%s", err.text);
    if (run->layer.notes.length)
        note(&notes, "%s", run->layer.notes.data);
    reply.end.message = notes.length ? sb_text_take(&notes) : NULL;
    reply.end.seen = run->watch.seen;
    run->watch.seen = (struct sb_observation){0};
    if (reply.end.seen.n_samples)
        reply.end.seen.hostname = seen_hostname(run);
    reply.files = readable(guard, run->layer.files);
    reply.written = run->layer.written;
    run->layer.written = (struct sb_strings){0};
    sb_strings_sort(&reply.written);
    if (!guard->orphaned)
        send_reply(guard, &reply);
    sb_reply_clear(&reply);
    free_run(guard);
}

static void not_started(struct guard *guard, const struct sb_error *err, int code) {
    struct run *run = guard->run;
    struct sb_reply reply = {.serial = run->request.serial};
    reply.end.how = code == -EINTR ? SB_ENDED_INTERRUPTED : SB_ENDED_NOT_STARTED;
    reply.end.exit_code = -1;
    reply.end.message = strdup(err->text);
    if (run->main > 0)
        waitpid(run->main, NULL, 0);
    sb_log_close(&run->log);
    if (guard->sandbox->kind->after && run->layer.files) {
        struct sb_error ignored = {0};
        guard->sandbox->kind->after(guard->sandbox, &run->layer, &ignored);
        sb_strings_clear(&run->layer.written);
    }
    send_reply(guard, &reply);
    sb_reply_clear(&reply);
    free_run(guard);
}

/* ---- Messages ---------------------------------------------------------------------------------
 */

static void start(struct guard *guard, const char *message, size_t length) {
    struct run *run = calloc(1, sizeof *run);
    if (!run || guard->run) {
        free(run);
        guard->orphaned = true; /* cannot go on: samebits sees the end of the socket */
        return;
    }
    guard->run = run;
    run->log.from = run->log.to = run->request.log = -1;
    run->how = SB_ENDED_EXIT;
    struct sb_error err = {0};
    int rc = sb_run_request_unpack(message, length, &run->request);
    run->request.log = sb_steal_fd(&guard->received);
    rc = rc < 0 ? sb_error_errno(&err, rc, "a request") : begin(guard, run, &err);
    if (rc < 0) {
        not_started(guard, &err, rc);
        return;
    }
    run->started = sb_monotonic();
    sb_watch_start(&run->watch, run->main, run->started);
}

static void free_layer(struct guard *guard, uint64_t serial) {
    for (size_t i = 0; i < guard->n_ended; i++) {
        if (guard->ended[i].serial != serial)
            continue;
        if (sb_layer_give_up(&guard->ended[i], &guard->rubbish) < 0)
            sb_layer_remove(&guard->ended[i]);
        sb_layer_clear(&guard->ended[i]);
        guard->ended[i] = guard->ended[--guard->n_ended];
        return;
    }
}

/* Removing takes as long as starting: it is done while a longer run is under way, or when none is
 * asked for. */
/* One folder, since each may take milliseconds in which nothing is observed. */
static void remove_rubbish(struct guard *guard) {
    char *folder = guard->rubbish.items[--guard->rubbish.n];
    guard->rubbish.items[guard->rubbish.n] = NULL;
    sb_remove_tree(folder, NULL);
    free(folder);
}

/* Never in the first moments of a run: a short one has no others to be seen in. Where short runs
 * follow one another it waits, but not for ever. */
static bool may_remove_rubbish(const struct guard *guard) {
    enum { MOST_RUBBISH = 512 };
    if (!guard->rubbish.n)
        return false;
    if (!guard->run || guard->rubbish.n > MOST_RUBBISH)
        return true;
    double now = sb_monotonic();
    return now - guard->run->watch.started > unseen_s && guard->run->watch.next - now > unhurried_s;
}

static void handle_message(struct guard *guard, enum sb_message kind, size_t length) {
    const char *message = guard->in.data;
    switch (kind) {
    case SB_MESSAGE_START:
        start(guard, message, length);
        break;
    case SB_MESSAGE_INTERRUPT:
        if (guard->run && guard->run->request.serial == sb_message_serial(message, length))
            interrupt(guard->run);
        break;
    case SB_MESSAGE_STOP:
        guard->orphaned = true;
        break;
    case SB_MESSAGE_FREE:
        free_layer(guard, sb_message_serial(message, length));
        break;
    default:
        guard->orphaned = true;
    }
}

static void listen_to_samebits(struct guard *guard) {
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

static void listen_to_signals(struct guard *guard) {
    struct signalfd_siginfo info[8];
    while (read(guard->signals, info, sizeof info) > 0)
        ;
    if (getppid() != guard->parent)
        guard->orphaned = guard->bereft = true;
}

static void wait_for_something(struct guard *guard) {
    struct pollfd fds[] = {{.fd = guard->socket, .events = POLLIN},
                           {.fd = guard->signals, .events = POLLIN},
                           {.fd = guard->run ? guard->run->log.from : -1, .events = POLLIN}};
    struct timespec timeout = {0};
    if (guard->run) {
        double wait = next_deadline(guard->run) - sb_monotonic();
        if (wait > 0) {
            timeout.tv_sec = (time_t)wait;
            timeout.tv_nsec = (long)((wait - (double)timeout.tv_sec) * 1e9);
        }
    }
    int n = 0;
    if (may_remove_rubbish(guard)) {
        const struct timespec moment = {.tv_nsec = guard->run ? 0 : IDLE_NS};
        n = ppoll(fds, 3, &moment, NULL);
        if (n == 0)
            remove_rubbish(guard);
    }
    if (n == 0)
        n = ppoll(fds, 3, guard->run ? &timeout : NULL, NULL);
    if (n <= 0)
        return;
    if (fds[1].revents)
        listen_to_signals(guard);
    if (fds[2].revents && !sb_log_drain(&guard->run->log)) {
        sb_cleanup_fd(&guard->run->log.from); /* the run closed its output, and goes on */
        guard->run->log.from = -1;
    }
    if (fds[0].revents)
        listen_to_samebits(guard);
}

static void watch_run(struct guard *guard) {
    struct run *run = guard->run;
    double now = sb_monotonic();
    advance(guard, run, now);
    if (run->phase == PHASE_DONE) {
        finish(guard);
    } else if (now >= run->watch.next) {
        if (run->phase == PHASE_RUNNING)
            sb_watch_sample(&run->watch, now);
        else
            run->watch.next = now + settle_s;
    }
}

/* samebits is gone, or needs no more runs. */
static void give_up(struct guard *guard) {
    if (guard->run) {
        struct run *run = guard->run;
        run->how = SB_ENDED_INTERRUPTED;
        double hopeless = sb_monotonic() + hopeless_s;
        for (sb_reap_kill(); !reap(guard, run) && sb_monotonic() < hopeless; sb_reap_kill())
            usleep((useconds_t)(kill_again_s * 1e6));
        finish(guard);
    }
    if (guard->sandbox->kind->close)
        guard->sandbox->kind->close(guard->sandbox);
    sb_remove_tree(guard->sandbox->guard_folder, NULL);
    if (guard->bereft)
        sb_layers_close(guard->sandbox);
}

/* ---- Becoming a guard -------------------------------------------------------------------------
 */

/* Every other descriptor of samebits is closed, above all its ends of other guards' sockets: they
 * would hide its death from them. The locks stay, so that nobody takes our folders for left over.
 */
static void keep_descriptors(const struct sb_sandbox *sandbox, int socket) {
    int kept[] = {socket, sandbox->layers_lock, sandbox->base_lock};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, 0);
        dup2(null, 1);
    }
    int from = 3;
    for (;;) {
        int next = -1;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (kept[i] >= from && (next < 0 || kept[i] < next))
                next = kept[i];
        unsigned last = next < 0 ? ~0U : (unsigned)next - 1;
        if ((unsigned)from <= last && close_range((unsigned)from, last, 0) < 0)
            for (int fd = from; fd <= (int)(last > 65535 ? 65535 : last); fd++)
                close(fd);
        if (next < 0)
            return;
        from = next + 1;
    }
}

static void set_up_signals(struct guard *guard) {
    /* An ignored SIGCHLD would reap behind our back. Not by sigaction(3): it refuses the two
     * signals that glibc keeps for its threads, and make(1), which starts us by posix_spawn(3),
     * hands them down ignored. All zeroes is SIG_DFL in the kernel's struct on every architecture.
     */
    static const unsigned long default_action[8];
    enum { KERNEL_SIGSET_BYTES = 8 };
    sigset_t all;
    for (int signal = 1; signal < NSIG; signal++)
        syscall(SYS_rt_sigaction, signal, default_action, NULL, KERNEL_SIGSET_BYTES);
    sigfillset(&all);
    for (size_t i = 0; i < 5; i++)
        sigdelset(&all, (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}[i]);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&all);
    sigaddset(&all, SIGCHLD);
    sigaddset(&all, SIGUSR1);
    guard->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_PDEATHSIG, SIGUSR1);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_NAME, "samebits-guard");
}

/* samebits writes the maps: from inside only one uid could be mapped. */
static int enter_user_namespace(struct guard *guard, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text out = {0};
    enum sb_message kind;
    size_t length;
    if (unshare(CLONE_NEWUSER) < 0)
        return sb_error_errno(err, -errno, "unshare a user namespace");
    sb_message_pack(SB_MESSAGE_MAP, 0, &out);
    int rc = sb_message_send(guard->socket, &out, -1);
    while (rc == 0 && sb_message_next(&guard->in, &kind, &length) == -EAGAIN)
        if (sb_message_receive(guard->socket, &guard->in, NULL, true) <= 0)
            rc = -EPIPE;
    if (rc < 0)
        return sb_error_errno(err, rc, "samebits is gone");
    bool mapped = sb_message_serial(guard->in.data, length) == 1;
    sb_message_drop(&guard->in, length);
    return mapped ? 0 : sb_error_set(err, -EPERM, "a user namespace cannot be given this uid");
}

static int try_view(struct sb_sandbox *sandbox, struct sb_error *err) {
    if (sandbox->kind != &sb_view_overlay)
        return sb_mounts_try(sandbox, err);
    int rc = -ENOTSUP;
    for (unsigned i = 0; i < sb_overlay_variants(); i++) {
        sandbox->overlay_variant = i;
        rc = sb_mounts_try(sandbox, err);
        if (rc == 0)
            return 0;
    }
    return rc;
}

static int set_up(struct guard *guard, unsigned index, struct sb_error *err) {
    struct sb_sandbox *sandbox = guard->sandbox;
    int rc = 0;
    sandbox->guard_folder = sb_format("%s/%u", sandbox->layers, index);
    if (!sandbox->guard_folder)
        return sb_error_errno(err, -ENOMEM, "a guard");
    rc = sb_launch_area_open(&guard->area, err);
    if (rc == 0 && sandbox->user_namespace)
        rc = enter_user_namespace(guard, err);
    if (rc == 0 && sandbox->kind->mount_namespace)
        rc = sb_mounts_guard(sandbox, err);
    if (rc == 0 && mkdir(sandbox->guard_folder, 0700) < 0)
        rc = sb_error_errno(err, -errno, "%s", sandbox->guard_folder);
    if (rc == 0 && sandbox->kind->open)
        rc = sandbox->kind->open(sandbox, err);
    if (rc == 0 && index == 0 && sandbox->kind->mount_namespace)
        rc = try_view(sandbox, err);
    return rc;
}

/* While a long copy is under way: did samebits go, or ask to stop? */
static bool is_cancelled(void *context) {
    struct guard *guard = context;
    ssize_t n = sb_message_receive(guard->socket, &guard->in, NULL, false);
    if (n <= 0 && n != -EAGAIN)
        guard->orphaned = guard->bereft = true;
    struct sb_text in = guard->in;
    enum sb_message kind;
    size_t length;
    while (!guard->orphaned && sb_message_next(&in, &kind, &length) == 0) {
        if (kind == SB_MESSAGE_INTERRUPT)
            return true;
        in.data += length;
        in.length -= length;
    }
    return guard->orphaned;
}

_Noreturn void sb_guard_main(struct sb_sandbox *sandbox, int socket, unsigned index, pid_t parent) {
    struct guard guard = {.sandbox = sandbox, .socket = socket, .parent = parent, .received = -1};
    struct sb_ready ready = {0};
    struct sb_error err = {0};
    sb_strings_clear(&sandbox->shared); /* what is added now is new */
    keep_descriptors(sandbox, socket);
    set_up_signals(&guard);
    sandbox->cancelled = is_cancelled;
    sandbox->cancelled_context = &guard;
    int rc = set_up(&guard, index, &err);
    if (chdir("/") < 0 && rc == 0) /* pin no folder of the user's */
        rc = sb_error_errno(&err, -errno, "chdir /");
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
