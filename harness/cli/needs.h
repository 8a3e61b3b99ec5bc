/* cli: jobs that cannot run here, since what they need is not there. */
#ifndef SB_CLI_NEEDS_H
#define SB_CLI_NEEDS_H

#include <samebits/matrix.h>

/* Runs the `needs` of every job, each command once, in the job's folder and without output. Of the
 * jobs whose command does not end well skipped[i] becomes why, malloc'd: "needs python3 -c …: ends
 * with 1; ci/install-deps --frameworks installs it". Others' are left alone. 0 or -ENOMEM. */
int sb_needs_check(const struct sb_plan *plan, char **skipped);

#endif
