/* cli: plan.json: what a result was begun with, so that rerun and --resume know it. */
#ifndef SB_CLI_KEPT_PLAN_H
#define SB_CLI_KEPT_PLAN_H

#include "cli/request.h"

/* plan.json: the command line, the suite's text, the folder it was given in, the digests of inputs
 * (a new reference; NULL: unknown), and the plan, by which a resumed run is known to be the same.
 * New reference. */
json_t *sb_kept_plan_json(const struct sb_request *request, int argc, char **argv,
                          const struct sb_plan *plan, json_t *inputs);
/* Does the plan in `kept` (from plan.json) equal this one? -EINVAL naming the first job that
 * differs, and in what. */
int sb_kept_plan_same_jobs(const json_t *kept, const json_t *now, struct sb_error *err);
/* The same of what holds for all jobs: order of runs, shard, contents of inputs. */
int sb_kept_plan_same_conditions(const json_t *kept, const json_t *now, struct sb_error *err);

#endif
