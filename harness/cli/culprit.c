/* cli: the traces of a job's witness, compared. See cli/culprit.h. */
#include "cli/culprit.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static char *trace_of(const struct sb_folder *folder, const struct sb_run *run) {
    SB_AUTO_FREE char *name = sb_format("logs/%s.trace", run->id);
    return name ? sb_folder_file(folder, name) : NULL;
}

void sb_traced_witness_read(const struct sb_folder *folder, struct sb_job_result *job,
                            struct sb_traced_witness *witness) {
    const struct sb_analysis *analysis = job->analysis;
    struct sb_error err = {0};
    if (!analysis || analysis->witness_a == SIZE_MAX || analysis->witness_b == SIZE_MAX)
        return;
    const struct sb_run *a = job->runs[job->trial_run[analysis->witness_a]];
    const struct sb_run *b = job->runs[job->trial_run[analysis->witness_b]];
    if (!a->seen.trace || !b->seen.trace)
        return;
    SB_AUTO_FREE char *path_a = trace_of(folder, a), *path_b = trace_of(folder, b);
    if (path_a && path_b && (access(path_a, F_OK) < 0 || access(path_b, F_OK) < 0)) {
        job->no_divergence = witness->problem =
            sb_format("the trace of %s is not there", access(path_a, F_OK) < 0 ? a->id : b->id);
        return;
    }
    int rc = path_a && path_b ? sb_divergence_find(path_a, path_b, &witness->divergence, &err)
                              : sb_error_errno(&err, -ENOMEM, "traces");
    witness->found = rc == 0;
    if (rc == 0)
        job->divergence = &witness->divergence;
    else
        job->no_divergence = witness->problem =
            sb_format("the traces could not be compared: %s", err.text);
}

void sb_traced_witness_clear(struct sb_traced_witness *witness) {
    if (witness->found)
        sb_divergence_clear(&witness->divergence);
    free(witness->problem);
}
