/* cli: the traces of a job's witness, compared. */
#ifndef SB_CLI_CULPRIT_H
#define SB_CLI_CULPRIT_H

#include "attribute/divergence.h"

#include <samebits/report.h>

struct sb_traced_witness {
    struct sb_divergence divergence;
    bool found;    /* both witnesses were traced, and their traces read */
    char *problem; /* why they could not be read, or NULL */
};

/* `job`'s runs, analysis and trial_run are set; its divergence and no_divergence are set here, as
 * what *witness owns. */
void sb_traced_witness_read(const struct sb_folder *folder, struct sb_job_result *job,
                            struct sb_traced_witness *witness);
void sb_traced_witness_clear(struct sb_traced_witness *witness);

#endif
