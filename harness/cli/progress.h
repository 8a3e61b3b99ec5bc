/* cli: what is said while runs are under way. */
#ifndef SB_CLI_PROGRESS_H
#define SB_CLI_PROGRESS_H

#include <samebits/matrix.h>
#include <samebits/run.h>

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* One line on a terminal's stderr, rewritten in place and removed before anything else is printed;
 * nothing elsewhere, or with `verbose` a line for every run. */
struct sb_progress {
    const struct sb_plan *plan;
    bool live;                             /* stderr is a terminal that can rewrite a line */
    bool verbose;                          /* a line for every finished run */
    bool quiet, hinted;                    /* nothing is said; of runs that may hang it was */
    size_t planned, started, done, failed; /* runs; planned grows as evidence is asked for */
    double wall_s;                         /* of the finished runs, added up */
    double began;                          /* monotonic seconds */
    size_t job;
    char waiting[64]; /* for what, beside the runs */
};

void sb_progress_begin(struct sb_progress *progress, const struct sb_plan *plan, bool quiet,
                       bool verbose);
void sb_progress_more(struct sb_progress *progress, size_t job, size_t runs);
void sb_progress_started(struct sb_progress *progress, size_t job);
void sb_progress_finished(struct sb_progress *progress, const struct sb_run *run);
/* NULL: for nothing beside the runs that are under way. */
void sb_progress_waiting(struct sb_progress *progress, const char *text);
void sb_progress_clear(const struct sb_progress *progress); /* before another line is printed */
void sb_progress_show(struct sb_progress *progress);
void sb_progress_end(struct sb_progress *progress);

#endif
