/* cli: results of one suite joined into one: every part is a pure function of the set of results,
 * so that neither their order nor a result given twice shows in what comes of them. */
#ifndef SB_CLI_MERGE_H
#define SB_CLI_MERGE_H

#include <samebits/report.h>
#include <samebits/run.h>

#include "cli/marks.h"

/* A level of an axis of the suite for runs of a machine that could not vary it. */
#define SB_LEVEL_AS_IS "(as is)"

struct sb_merge_input {
    const char *given; /* as it was named; borrowed */
    char *folder;      /* of its weights and logs */
    json_t *result;
    json_t *machines; /* of its manifest */
};

struct sb_merge_job {
    const json_t *entry; /* of the first input that has the job; borrowed */
    size_t input;
    json_t *axes;  /* of the suite: {"name", "written", "in_command", "unavailable": sorted reasons,
                      "levels": [{"level", "from"}] of all machines, in order} */
    json_t *skips; /* reasons not to run it, of inputs that have no run of it; sorted */
    json_t *changed; /* what is said of changed inputs; sorted */
};

/* Where a run was found. */
struct sb_merge_source {
    size_t input;
    const char *id; /* its id there; borrowed */
};

struct sb_merge_run {
    size_t input, job, machine;
    const char *origin;       /* its id in the result that it was made in; borrowed */
    const char *there;        /* its id in the input; borrowed */
    json_t *run;              /* of the input, its lists named by their keys; borrowed */
    size_t source, n_sources; /* all inputs that have it, in `sources` */
    char id[16];
};

/* Zero-initialise; free with sb_merge_clear. */
struct sb_merge {
    struct sb_merge_input *inputs;
    size_t n_inputs;
    unsigned marks;   /* 1 << sb_mark of those that may become axes */
    json_t *machines; /* [{"host", "cpu", "gpu"}], sorted */
    json_t *lists;    /* of all runs, by key */
    struct sb_merge_job *jobs;
    size_t n_jobs;
    struct sb_merge_run *runs; /* once each, in order of ids */
    size_t n_runs;
    struct sb_merge_source *sources;
    struct sb_suite *suite;
    struct sb_plan *plan;
    struct sb_run *made; /* n_runs, of the plan */
};

void sb_merge_clear(struct sb_merge *merge);

/* Reads a result, checks what later steps rest on, and has `lists` hold its runs' lists. */
int sb_merge_read(const char *given, json_t *lists, struct sb_merge_input *input,
                  struct sb_error *err);

/* Are the inputs of one suite? Fills machines and jobs. -EINVAL naming two inputs and what differs.
 */
int sb_merge_find_machines(struct sb_merge *merge, struct sb_error *err);
int sb_merge_check_conditions(const struct sb_merge *merge, struct sb_error *err);
int sb_merge_same_job(const struct sb_merge *merge, const struct sb_merge_job *job, size_t input,
                      const json_t *entry, struct sb_error *err);
int sb_merge_find_jobs(struct sb_merge *merge, struct sb_error *err);
/* Index into `machines` of an input's own machine number, or of its only one. */
int sb_merge_machine_of(const struct sb_merge *merge, const struct sb_merge_input *input,
                        const json_t *run, size_t *machine, struct sb_error *err);
/* The text of a mark of a machine, as a level. */
const char *sb_merge_mark_text(const struct sb_merge *merge, size_t machine, enum sb_mark mark);

/* Fills runs. -EINVAL where two inputs say different things of one run. */
int sb_merge_find_runs(struct sb_merge *merge, struct sb_error *err);

/* Fills suite and plan: the axes of the suite, then those of the machines; and `made`. */
int sb_merge_plan(struct sb_merge *merge, struct sb_error *err);
/* The runs of the plan, read from their documents. */
int sb_merge_make_runs(struct sb_merge *merge, struct sb_error *err);
/* Axes of a job's plan that are the suite's; the rest are the machines'. */
size_t sb_merge_suite_axes(const struct sb_merge *merge, size_t job);

/* What the inputs' manifests agree on, with "machines" and all different manifests as "sources".
 * New reference, or NULL without memory. */
json_t *sb_merge_manifest(const struct sb_merge *merge);

/* The document, judged with the weights that `folder` has. New reference. */
int sb_merge_result(const struct sb_merge *merge, struct sb_folder *folder, json_t **result,
                    struct sb_error *err);

/* Copies weights, logs and traces; and keeps a plan and a journal for rerun and explain, where an
 * input has a plan. */
int sb_merge_copy(const struct sb_merge *merge, struct sb_folder *folder, struct sb_error *err);
int sb_merge_keep_plan(const struct sb_merge *merge, struct sb_folder *folder,
                       struct sb_error *err);

/* ---- Helpers --------------------------------------------------------------------------------- */

/* Adds a text to a sorted array of different ones. 0 or -ENOMEM. */
int sb_merge_add_text(json_t *sorted, const char *text);
/* The first in byte order of what the results have under a key: of times, which are of one form
 * (ISO 8601 in UTC), the earliest. */
const char *sb_merge_first(const struct sb_merge *merge, const char *key);
enum { SB_MERGE_SHOWN = 80 }; /* bytes of a value in a message */

#endif
