/* cli: what is said while runs are under way. See cli/progress.h. */
#include "cli/progress.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "report/display.h"

#include <stdio.h>
#include <string.h>

void sb_progress_begin(struct sb_progress *progress, const struct sb_plan *plan, bool quiet,
                       bool verbose) {
    const char *terminal = getenv("TERM");
    bool rewritable = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
    *progress = (struct sb_progress){.plan = plan,
                                     .live = rewritable && !quiet,
                                     .verbose = verbose,
                                     .quiet = quiet,
                                     .began = sb_monotonic()};
}

void sb_progress_more(struct sb_progress *progress, size_t job, size_t runs) {
    progress->planned += runs;
    progress->job = job;
}

void sb_progress_started(struct sb_progress *progress, size_t job) {
    progress->started++;
    progress->job = job;
    sb_progress_show(progress);
}

void sb_progress_waiting(struct sb_progress *progress, const char *text) {
    snprintf(progress->waiting, sizeof progress->waiting, "%s", text ? text : "");
}

void sb_progress_clear(const struct sb_progress *progress) {
    if (progress->live)
        fputs("\r\033[K", stderr);
}

void sb_progress_finished(struct sb_progress *progress, const struct sb_run *run) {
    if (run->status == SB_STATUS_INTERRUPTED)
        return; /* it neither ended nor failed: --resume does it again */
    progress->done++;
    progress->failed += run->status != SB_STATUS_OK;
    progress->wall_s += run->wall_s;
    if (progress->verbose) {
        const struct sb_job_plan *job = &progress->plan->jobs[run->job];
        SB_AUTO_TEXT struct sb_text line = {0};
        sb_text_printf(&line, "%s  %-12s %s ", run->id, sb_status_names[run->status], job->job->id);
        for (size_t i = 0; i < job->n_axes; i++) {
            if (job->axes[i].n_levels)
                sb_text_printf(&line, " %s=%s", job->axes[i].name,
                               job->axes[i].levels[job->cells[run->cell].level[i]]);
        }
        const char *said = run->message ? run->message : "";
        sb_text_printf(&line, "  %s", run->fingerprint ? run->fingerprint : said);
        if (run->fingerprint)
            sb_text_printf(&line, "  sum %.17g", run->sum);
        sb_text_printf(&line, "  %.2f s", run->wall_s);
        SB_AUTO_FREE char *printable = line.data ? sb_text_printable(line.data) : NULL;
        sb_progress_clear(progress);
        fprintf(stderr, "%s\n", printable ? printable : run->id);
    }
    sb_progress_show(progress);
}

static void print_duration(double seconds) {
    if (seconds < 90)
        fprintf(stderr, "%.0f s", seconds);
    else if (seconds < 5400)
        fprintf(stderr, "%.0f min", seconds / 60);
    else
        fprintf(stderr, "%.1f h", seconds / 3600);
}

/* Said once, of a job without a timeout of which nothing was seen for long. */
static void hint_at_timeout(struct sb_progress *progress) {
    enum { LONG_S = 60 };
    const struct sb_job *job = progress->plan->jobs[progress->job].job;
    if (progress->quiet || progress->hinted || progress->done || !progress->started ||
        job->timeout_s > 0 || sb_monotonic() - progress->began < LONG_S)
        return;
    progress->hinted = true;
    sb_progress_clear(progress);
    fputs(
        "samebits: no run has ended in a minute; should they hang: --timeout 10m ends each that "
        "takes longer\n",
        stderr);
}

void sb_progress_show(struct sb_progress *progress) {
    hint_at_timeout(progress);
    if (!progress->live)
        return;
    sb_progress_clear(progress);
    fprintf(stderr, "  %zu of %zu runs", progress->done, progress->planned);
    if (progress->failed)
        fprintf(stderr, ", %zu failed", progress->failed);
    if (progress->waiting[0])
        fprintf(stderr, ", %s", progress->waiting);
    if (sb_interrupted) {
        fputs(", interrupted: ending those that are under way", stderr);
    } else if (progress->done) {
        double elapsed = sb_monotonic() - progress->began;
        size_t left = progress->planned > progress->done ? progress->planned - progress->done : 0;
        fputs(", about ", stderr);
        print_duration(elapsed / (double)progress->done * (double)left);
        fputs(" left", stderr);
    }
    SB_AUTO_FREE char *id = sb_text_printable(progress->plan->jobs[progress->job].job->id);
    fprintf(stderr, "  %.40s", id ? id : "");
    fflush(stderr);
}

void sb_progress_end(struct sb_progress *progress) {
    sb_progress_clear(progress);
    fflush(stderr);
    progress->live = false;
}
