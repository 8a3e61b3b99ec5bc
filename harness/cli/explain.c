/* cli: what the parts of an explanation share. See cli/explain.h. */
#include "cli/explain.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

void sb_explanation_clear(struct sb_explanation *explanation) {
    json_decref(explanation->causes);
    free(explanation->open_question);
}

const char *sb_explain_level(const struct sb_job_plan *plan, size_t cell, size_t axis) {
    const struct sb_job_axis *found = &plan->axes[axis];
    return found->n_levels ? found->levels[plan->cells[cell].level[axis]] : NULL;
}

int sb_explain_hold(const struct sb_job_plan *plan, size_t cell, struct sb_knobs *knobs) {
    int rc = 0;
    for (size_t i = 0; i < plan->n_axes && rc == 0; i++) {
        const char *level = sb_explain_level(plan, cell, i);
        if (level)
            rc = sb_knobs_add(knobs, plan->axes[i].name, level, NULL);
    }
    return rc;
}

struct sb_cell_runs sb_explain_cell_runs(const struct sb_run *runs, size_t n, size_t job,
                                         size_t cell) {
    struct sb_cell_runs found = {0};
    for (size_t i = 0; i < n; i++) {
        if (runs[i].job != job || runs[i].cell != cell)
            continue;
        if (runs[i].status != SB_STATUS_OK || !runs[i].fingerprint) {
            found.failed++;
            continue;
        }
        bool met = false;
        for (size_t k = 0; k < i && !met; k++)
            met = runs[k].job == job && runs[k].cell == cell && runs[k].fingerprint &&
                  strcmp(runs[k].fingerprint, runs[i].fingerprint) == 0;
        found.good++;
        found.distinct += !met;
        if (!found.fingerprint)
            found.fingerprint = runs[i].fingerprint;
    }
    return found;
}

struct sb_cell_runs sb_explain_runs_at(const struct sb_experiment *experiment, uint64_t others) {
    return sb_explain_cell_runs(experiment->result.runs, experiment->result.n_runs, 0,
                                sb_experiment_cell(experiment, others));
}

uint64_t sb_explain_varied(const struct sb_knobs *knobs) {
    for (size_t i = 0; i < knobs->n; i++) {
        if (knobs->items[i].levels[1])
            return UINT64_C(1) << i;
    }
    return 0;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Asks for so many runs of each cell, once. */
struct each_cell {
    unsigned runs;
    bool asked;
    size_t n_cells;
};

static int ask_each_cell(void *context, const struct sb_run *runs, size_t n, unsigned *more,
                         struct sb_error *err) {
    struct each_cell *each = context;
    (void)runs, (void)n, (void)err;
    for (size_t c = 0; c < each->n_cells && !each->asked; c++)
        more[c] = each->runs;
    each->asked = true;
    return 0;
}

int sb_explain_run_cells(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                         enum sb_design design, const struct sb_instead *instead, unsigned runs,
                         bool traced, struct sb_experiment *experiment, struct sb_error *err) {
    int rc = sb_experiment_open(explanation->restored, explanation->job, knobs, design, instead,
                                explanation->folder, explanation->bounds, experiment, err);
    if (rc < 0)
        return rc;
    experiment->trace = traced;
    struct each_cell each = {.runs = runs, .n_cells = experiment->plan->jobs[0].n_cells};
    rc = sb_experiment_run(experiment, &explanation->restored->request, ask_each_cell, &each, err);
    explanation->unfinished |= experiment->result.n_runs < each.n_cells * runs;
    return rc;
}

static int ask_until_two_differ(void *context, const struct sb_run *runs, size_t n, unsigned *more,
                                struct sb_error *err) {
    enum { MOST_RUNS = 8 };
    (void)context, (void)err;
    struct sb_cell_runs found = sb_explain_cell_runs(runs, n, 0, 0);
    if (found.distinct < 2 && found.good + found.failed < MOST_RUNS)
        more[0] = 2;
    return 0;
}

int sb_explain_run_until_two_differ(struct sb_explanation *explanation, const struct sb_knobs *held,
                                    const struct sb_instead *instead, bool traced,
                                    struct sb_experiment *experiment, struct sb_error *err) {
    int rc = sb_experiment_open(explanation->restored, explanation->job, held, SB_DESIGN_FULL,
                                instead, explanation->folder, explanation->bounds, experiment, err);
    if (rc < 0)
        return rc;
    experiment->trace = traced;
    rc = sb_experiment_run(experiment, &explanation->restored->request, ask_until_two_differ, NULL,
                           err);
    explanation->unfinished |= experiment->result.interrupted;
    return rc;
}

bool sb_explain_can_trace(const struct sb_explanation *explanation) {
    const struct sb_restored *restored = explanation->restored;
    return restored->plan->jobs[explanation->job].job->kind != SB_JOB_COMMAND ||
           restored->machine->probe;
}

json_t *sb_explain_runs_json(const struct sb_cell_runs *runs, const char *setting) {
    return json_pack("{s:o, s:i, s:i, s:i}", "setting", sb_json_string(setting), "runs",
                     (int)runs->good, "distinct", (int)runs->distinct, "failed", (int)runs->failed);
}

json_t *sb_explain_cause(const char *source, bool confirmed, json_t *evidence, char *fix,
                         json_t *alternatives) {
    SB_AUTO_FREE char *owned = fix;
    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "source", sb_json_string(source), "status",
                     confirmed ? "confirmed" : "suspected", "evidence", evidence, "fix",
                     sb_json_string(owned), "alternatives", alternatives);
}
