/* Stage 3: a guard says how a run ended. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/guard.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void describe(struct sb_guarded *run, struct sb_reply *reply, struct sb_text *notes) {
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

static char *seen_hostname(const struct sb_guarded *run) {
    char name[256] = "";
    if (run->request.hostname)
        return strdup(run->request.hostname);
    return gethostname(name, sizeof name - 1) == 0 ? strdup(name) : NULL;
}

/* As samebits reads the path: through the guard where only the guard's namespace has it. */
static char *readable(const struct sb_guard_life *guard, const char *path) {
    if (!path || !guard->sandbox->layers_in_namespace)
        return path ? strdup(path) : NULL;
    return sb_format("/proc/%d/root%s", (int)getpid(), path);
}

static void send_reply(struct sb_guard_life *guard, struct sb_reply *reply) {
    SB_AUTO_TEXT struct sb_text out = {0};
    sb_reply_pack(reply, &out);
    sb_message_send(guard->socket, &out, -1);
}

static void free_run(struct sb_guard_life *guard) {
    struct sb_guarded *run = sb_steal_pointer(&guard->run);
    sb_load_stop(run->load);
    sb_raw_end(run->raw);
    sb_watch_clear(&run->watch);
    sb_text_clear(&run->names);
    sb_cleanup_fd(&run->probe);
    sb_cleanup_fd(&run->traces);
    sb_cleanup_fd(&run->traces_to);
    free(run->told.pids);
    sb_guard_hold_view(guard, &run->view);
    sb_guard_remember(guard, &run->layer);
    sb_run_request_clear(&run->request);
    free(run);
}

static void gather_trace(struct sb_guarded *run, json_t **trace, struct sb_text *notes) {
    int rc = sb_trace_gather(run->traces, run->traces_to, run->request.trace, run->cpu_s, trace);
    if (rc < 0)
        note(notes, "its trace could not be kept: %s", strerror(-rc));
}

void sb_guarded_finish(struct sb_guard_life *guard) {
    struct sb_guarded *run = guard->run;
    struct sb_reply reply = {.serial = run->request.serial};
    SB_AUTO_TEXT struct sb_text notes = {0};
    struct sb_error err = {0};
    sb_load_stop(sb_steal_pointer(&run->load));
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
    reply.end.seen = run->watch.seen;
    run->watch.seen = (struct sb_observation){0};
    if (run->traces >= 0)
        gather_trace(run, &reply.end.seen.trace, &notes);
    reply.end.message = notes.length ? sb_text_take(&notes) : NULL;
    if (reply.end.seen.n_samples)
        reply.end.seen.hostname = seen_hostname(run);
    if (run->probe >= 0)
        reply.end.seen.probe = sb_probe_record_read(run->probe, &reply.end.seen, run->raw);
    reply.printed = run->log.printed;
    reply.written = run->layer.written;
    run->layer.written = (struct sb_strings){0};
    if (run->unkillable || !sb_guard_keep_view(guard, &run->layer))
        reply.files = readable(guard, run->layer.files);
    sb_strings_sort(&reply.written);
    if (!guard->orphaned)
        send_reply(guard, &reply);
    sb_reply_clear(&reply);
    free_run(guard);
}

void sb_guarded_not_started(struct sb_guard_life *guard, const struct sb_error *err, int code) {
    struct sb_guarded *run = guard->run;
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
