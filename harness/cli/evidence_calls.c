/* cli: calls within one process as evidence. A kernel whose calls differ there is as unstable as
 * one whose processes differ; each different result counts as one more run of the cell. */
#include "cli/evidence.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* Fingerprints of what calls after the first gave in this run, where they gave something else. */
static const json_t *others_of(const struct sb_run *run) {
    return json_object_get(json_object_get(run->seen.worker, "calls"), "others");
}

static int add_trial(struct sb_job_evidence *evidence, size_t run, size_t group) {
    size_t n = evidence->evidence.n_trials;
    if (n == evidence->room) {
        size_t room = 2 * n;
        struct sb_trial *trials = reallocarray(evidence->trials, room, sizeof *trials);
        if (trials)
            evidence->evidence.trials = evidence->trials = trials;
        size_t *trial_run = reallocarray(evidence->trial_run, room, sizeof *trial_run);
        if (trial_run)
            evidence->trial_run = trial_run;
        if (!trials || !trial_run)
            return -ENOMEM;
        evidence->room = room;
    }
    evidence->trials[n] = (struct sb_trial){.cell = evidence->runs[run]->cell, .group = (int)group};
    evidence->trial_run[n] = run;
    evidence->evidence.n_trials = n + 1;
    return 0;
}

int sb_job_evidence_add_calls(struct sb_job_evidence *evidence) {
    const struct sb_job *job = evidence->plan->job;
    evidence->n_saved = evidence->groups.names.n;
    /* The worker does not know which of its tensors count. */
    if (job->n_exclude || job->n_include)
        return 0;
    for (size_t i = 0; i < evidence->n_runs; i++) {
        const struct sb_run *run = evidence->runs[i];
        size_t k;
        json_t *other;
        if (run->status != SB_STATUS_OK)
            continue;
        json_array_foreach(others_of(run), k, other) {
            const char *fingerprint = json_string_value(other);
            size_t group;
            if (!fingerprint)
                continue;
            int rc = sb_groups_find(&evidence->groups, fingerprint, &group);
            if (rc == 0)
                rc = add_trial(evidence, i, group);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}
