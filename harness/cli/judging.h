/* cli: from the runs of a plan to what result.json says of its jobs: as `run` had them, or as
 * `merge` read them. */
#ifndef SB_CLI_JUDGING_H
#define SB_CLI_JUDGING_H

#include <samebits/report.h>
#include <samebits/run.h>

struct sb_judging {
    const struct sb_plan *plan;
    struct sb_folder *folder; /* of the weights and the traces */
    const struct sb_run *runs;
    size_t n_runs;
    uint64_t seed;
    char *const *skipped; /* [n_jobs]: why a job did not run, or NULL */
    bool stopped;         /* by --stop-after */
    bool partial;         /* weights and traces may be lacking, which is no error */
    /* Of a job of which no run came to an end. */
    const char *(*why_no_runs)(const void *context, size_t job);
    const void *context;
};

struct sb_judged; /* what the results of jobs borrow from */

/* Both arrays have n_jobs entries; free them with sb_judged_free, on failure too. */
int sb_judge(const struct sb_judging *judging, struct sb_judged **judged,
             struct sb_job_result **jobs, struct sb_error *err);
/* Has a job's inputs have changed; takes the sentence. */
void sb_judged_spoil(struct sb_judged *judged, struct sb_job_result *jobs, size_t job,
                     char *changed);
void sb_judged_free(struct sb_judged *judged, struct sb_job_result *jobs, size_t n);

#endif
