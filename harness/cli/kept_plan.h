/* cli: plan.json: what a result was begun with, so that rerun and --resume know it. */
#ifndef SB_CLI_KEPT_PLAN_H
#define SB_CLI_KEPT_PLAN_H

#include "cli/request.h"

#include <samebits/run.h>

/* plan.json: the command line, the suite's text, the folder it was given in, what the jobs
 * are made of (cli/identity.h; NULL: not said), and the plan, by which a resumed run is known to be
 * the same. New reference. */
json_t *sb_kept_plan_json(const struct sb_request *request, int argc, char **argv,
                          const struct sb_plan *plan, const json_t *identity);
/* Does the plan in `kept` (from plan.json) equal this one? -EINVAL naming the first job that
 * differs, and in what. */
int sb_kept_plan_same_jobs(const json_t *kept, const json_t *now, struct sb_error *err);
/* The same of what holds for all jobs: order of runs, shard, program, inputs and tree. */
int sb_kept_plan_same_conditions(const json_t *kept, const json_t *now, struct sb_error *err);

/* Adds the state of the tree to a folder's plan.json that has none: it is known only while the
 * first runs are under way. */
int sb_kept_plan_note_tree(const struct sb_folder *folder, json_t *git, struct sb_error *err);

#endif
