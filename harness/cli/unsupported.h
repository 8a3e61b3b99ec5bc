/* cli: runs to which a backend said that it cannot do this here, such as an element type at an
 * instruction set: no divergence, and where others of the job ended well, no failure either. */
#ifndef SB_CLI_UNSUPPORTED_H
#define SB_CLI_UNSUPPORTED_H

#include <samebits/matrix.h>
#include <samebits/run.h>

/* What a backend said to a run; NULL: nothing, or it was done all the same. Borrowed. */
const char *sb_run_unsupported(const struct sb_run *run);

/* Takes the runs of cells in which every run was unsupported out of a job's runs, whose order
 * stays, unless no run of the job ended well. *sentence, which says so, is malloc'd; NULL: all
 * stay. */
int sb_unsupported_leave_out(const struct sb_job_plan *plan, const struct sb_run **runs,
                             size_t *n_runs, char **sentence);

#endif
