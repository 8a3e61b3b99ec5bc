/* cli: why the bits of one job of a result differ. */
#ifndef SB_CLI_EXPLAIN_H
#define SB_CLI_EXPLAIN_H

#include "attribute/divergence.h"
#include "cli/experiment.h"

struct sb_explanation {
    const struct sb_restored *restored;
    size_t job;         /* in the plan */
    const json_t *said; /* its entry in result.json */
    const char *folder; /* for experiments */
    struct sb_search_bounds *bounds;
    json_t *causes;      /* array, as `samebits explain --json` has them */
    char *open_question; /* what could not be explained, and why; NULL: nothing */
    bool unfinished;     /* a bound was reached, or a signal came */
};

/* Of a nondeterministic job: what makes runs of one cell differ. */
int sb_explain_repeats(struct sb_explanation *explanation, struct sb_error *err);
/* The same of this cell. It takes the place of what was said before. */
int sb_explain_repeats_of(struct sb_explanation *explanation, size_t cell, struct sb_error *err);

/* Of each axis that the result says the bits depend on: that they do, in fresh runs; of the axis
 * deterministic, by which single setting. */
int sb_explain_axes(struct sb_explanation *explanation, struct sb_error *err);

void sb_explanation_clear(struct sb_explanation *explanation);

/* Level of an axis in a cell of the restored plan; NULL where the cell does not vary it. */
const char *sb_explain_level(const struct sb_job_plan *plan, size_t cell, size_t axis);
/* Every axis of the cell, held at its level. */
int sb_explain_hold(const struct sb_job_plan *plan, size_t cell, struct sb_knobs *knobs);

/* What the runs of one cell of an experiment gave. */
struct sb_cell_runs {
    unsigned good, failed, distinct;
    const char *fingerprint; /* the first, borrowed; NULL: none */
};
struct sb_cell_runs sb_explain_cell_runs(const struct sb_run *runs, size_t n, size_t job,
                                         size_t cell);

/* The same of an experiment's cell, by its knobs (sb_experiment_cell). */
struct sb_cell_runs sb_explain_runs_at(const struct sb_experiment *experiment, uint64_t others);

/* So many runs of each cell of an experiment, which is opened here. `instead`: see
 * cli/experiment.h, or NULL. */
int sb_explain_run_cells(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                         enum sb_design design, const struct sb_instead *instead, unsigned runs,
                         bool traced, struct sb_experiment *experiment, struct sb_error *err);
/* Runs of the one cell where the knobs are held, until two of them differ, and at most eight. */
int sb_explain_run_until_two_differ(struct sb_explanation *explanation, const struct sb_knobs *held,
                                    const struct sb_instead *instead, bool traced,
                                    struct sb_experiment *experiment, struct sb_error *err);

/* Can runs of the job be traced here? */
bool sb_explain_can_trace(const struct sb_explanation *explanation);

/* Adds to a cause what the traces of these runs show: "culprit", the call by which two runs part
 * that differ in their bits, as that of a job in result.json, or null; and "traced":
 * {"cpu_share", "by"}, how much of the least seen run's CPU time lies in calls that a trace sees,
 * and which those are. A culprit that can be is made again in processes of their own, and has then
 * "frames", who called it, "replay" and, of built-in jobs, "on_ref"; its status is "confirmed"
 * where the call alone gives other bits from equal inputs. `knobs` are those of the runs. Nothing
 * where runs were not traced. */
int sb_explain_culprit(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                       const struct sb_experiment *traced, json_t *cause, struct sb_error *err);

/* The same by the operations of a Python framework, as runs with the helper in them trace them
 * (cli/explain_operations.c). `plain` are runs of the question without it: of an axis, two cells
 * that were traced; of a race, any. Where they show more, "culprit" and "traced" are theirs
 * (*answered), and "growth" is how the difference grows over steps, as in result.json; where they
 * could not be made or used, "traced" has a "note" that says why. */
int sb_explain_operations(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                          const struct sb_experiment *plain, json_t *cause, bool *answered,
                          struct sb_error *err);

/* Two traced runs that differ, and where. */
struct sb_parting {
    const struct sb_run *a, *b;
    struct sb_divergence divergence; /* culprit.seq 0: no call is to blame */
};
/* False where no two runs differ, or their traces cannot be read. */
bool sb_parting_find(const struct sb_experiment *experiment, struct sb_parting *parting);
void sb_parting_clear(struct sb_parting *parting);
/* Makes the parting's culprit again, if that can be, and adds to its JSON what came of it. */
int sb_explain_confirm(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                       const struct sb_experiment *traced, const struct sb_parting *parting,
                       json_t *culprit, struct sb_error *err);
/* Puts "traced" of these runs. */
void sb_explain_traced(json_t *cause, const struct sb_experiment *traced, const char *by);
/* The smallest share of any run; JSON null where it is not known. */
json_t *sb_explain_share(const struct sb_experiment *experiment);
/* logs/r00001.ENDING of an experiment, malloc'd. */
char *sb_explain_log_file(const struct sb_experiment *experiment, const struct sb_run *run,
                          const char *ending);
/* The first knob of two levels, as a bit of sb_experiment_cell; 0: none. */
uint64_t sb_explain_varied(const struct sb_knobs *knobs);

/* Of a source that programs ask for, how one more run asks: the cause's "asked" is an array of
 * {"call", "frames"}, innermost first, where the program's own folder calls or, failing that,
 * wherever it is asked for; nothing where that is not seen. The knobs are held at their first
 * levels; `others` are runs of before. */
int sb_explain_asked(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                     const struct sb_experiment *others, json_t *cause, struct sb_error *err);

/* Programs of a run of which system calls are all that was frozen: an array, borrowed, or NULL. */
const json_t *sb_explain_raw_programs(const struct sb_observation *seen);
/* Sources (by their axes) that nothing in any run asked for, bit i for sources[i]. 0 until runs say
 * so, and where some of what they ask for cannot be seen. */
uint32_t sb_explain_idle(const char *const *sources, unsigned n_sources, const struct sb_run *runs,
                         size_t n);

/* {"runs": 6, "distinct": 1, "setting": "entropy frozen"} */
json_t *sb_explain_runs_json(const struct sb_cell_runs *runs, const char *setting);
json_t *sb_explain_cause(const char *source, bool confirmed, json_t *evidence, char *fix,
                         json_t *alternatives);

/* What the run had loaded, by a part of a library's name; and whether any of it was Python. */
bool sb_explain_has_library(const struct sb_observation *seen, const char *part);
bool sb_explain_is_python(const struct sb_observation *seen);

/* How this source is mended, as a sentence, malloc'd; by what a run of the job was seen to use.
 * `flag_cures`: of races, that the deterministic flag does. */
char *sb_explain_fix(const char *source, const struct sb_observation *seen, bool flag_cures);

#endif
