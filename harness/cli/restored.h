/* cli: a result that was made before, with the request and the plan it was made by. */
#ifndef SB_CLI_RESTORED_H
#define SB_CLI_RESTORED_H

#include "cli/request.h"

#include <samebits/run.h>

/* Zero-initialise; free with sb_restored_clear, in any state. */
struct sb_restored {
    struct sb_folder *folder;
    json_t *plan_json;   /* plan.json */
    struct sb_run *runs; /* of the journal, in order of ids */
    size_t n_runs;
    struct sb_strings argv;
    struct sb_request request;
    bool parsed;
    struct sb_suite *suite;
    struct sb_machine *machine;
    struct sb_machine *planned_for; /* where runs were done elsewhere: what the plan was made of */
    struct sb_plan *plan;           /* to be carried out on this machine as it is now */
    json_t *identity;               /* what its jobs are made of now; NULL: not asked */
};

/* Opens the result's folder, for reading only, and reads its plan and its runs. */
int sb_restored_open(const char *path, struct sb_restored *restored, struct sb_error *err);

/* Makes the plan again from the request as it was given, in the folder that it was given in, which
 * becomes the current one. -EINVAL where it is no longer the same plan, naming the first job that
 * differs and in what. */
int sb_restored_plan(struct sb_restored *restored, struct sb_error *err);

/* Fills identity, of a result whose plan was made. */
int sb_restored_identity(struct sb_restored *restored, struct sb_error *err);

void sb_restored_clear(struct sb_restored *restored);

#endif
