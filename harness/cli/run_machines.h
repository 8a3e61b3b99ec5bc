/* cli: the machines that runs of one result were done on. */
#ifndef SB_CLI_RUN_MACHINES_H
#define SB_CLI_RUN_MACHINES_H

#include <samebits/run.h>

/* Where runs were done elsewhere: manifest.machines of a result, and `machine` of each run as an
 * index into it, as merged results have them. -ENOMEM or 0. */
int sb_run_machines_add(const struct sb_run *runs, size_t n_runs, json_t *result,
                        struct sb_error *err);

#endif
