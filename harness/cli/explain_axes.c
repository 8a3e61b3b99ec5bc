/* cli: axes that the bits depend on, shown in fresh runs. See cli/explain.h. */
#include "cli/explain.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fresh runs at each level. */
enum { RUNS = 3, ABLATION_RUNS = 2 };

/* Two stable cells that differ in one axis alone, and in their bits. */
struct pair {
    size_t a, b;
};

static bool differ_in_alone(const struct sb_job_plan *plan, size_t a, size_t b, size_t axis) {
    for (size_t i = 0; i < plan->n_axes; i++) {
        if ((plan->cells[a].level[i] != plan->cells[b].level[i]) != (i == axis))
            return false;
    }
    return true;
}

static bool find_pair(const struct sb_explanation *explanation, size_t axis, struct pair *pair) {
    const struct sb_restored *restored = explanation->restored;
    const struct sb_job_plan *plan = &restored->plan->jobs[explanation->job];
    SB_AUTO_FREE struct sb_cell_runs *cells = calloc(plan->n_cells + 1, sizeof *cells);
    if (!cells)
        return false;
    for (size_t c = 0; c < plan->n_cells; c++)
        cells[c] = sb_explain_cell_runs(restored->runs, restored->n_runs, explanation->job, c);
    for (size_t a = 0; a < plan->n_cells; a++) {
        for (size_t b = a + 1; b < plan->n_cells && cells[a].distinct == 1; b++) {
            if (cells[b].distinct != 1 || strcmp(cells[a].fingerprint, cells[b].fingerprint) == 0 ||
                !differ_in_alone(plan, a, b, axis))
                continue;
            *pair = (struct pair){a, b};
            return true;
        }
    }
    return false;
}

/* ---- The deterministic flag's settings -------------------------------------------------------
 */

static int add_settings(struct sb_knobs *knobs) {
    int rc = 0;
    for (const struct sb_variable *v = sb_deterministic_variables; v->name && rc == 0; v++) {
        SB_AUTO_FREE char *axis = sb_format("env:%s", v->name);
        if (!axis)
            return -ENOMEM;
        if (!sb_knobs_find(knobs, axis))
            rc = sb_knobs_add(knobs, axis, "<unset>", v->value);
    }
    return rc;
}

/* Which single setting of the flag gives the bits that the whole flag gives: "NAME=VALUE",
 * malloc'd; NULL: none, or it is not known. */
static char *ablate(struct sb_explanation *explanation, size_t off_cell, const char *on_bits,
                    struct sb_error *err) {
    const struct sb_job_plan *plan = &explanation->restored->plan->jobs[explanation->job];
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    struct sb_experiment experiment = {.plan = NULL};
    char *found = NULL;
    int rc = sb_explain_hold(plan, off_cell, &knobs);
    size_t n_held = knobs.n;
    if (rc == 0)
        rc = add_settings(&knobs);
    rc = rc < 0 ? sb_error_errno(err, rc, "settings")
                : sb_explain_run_cells(explanation, &knobs, SB_DESIGN_ONE_AT_A_TIME, NULL,
                                       ABLATION_RUNS, false, &experiment, err);
    for (size_t i = n_held; rc == 0 && i < knobs.n && !found; i++) {
        struct sb_cell_runs runs = sb_explain_runs_at(&experiment, UINT64_C(1) << i);
        if (runs.distinct == 1 && runs.good == ABLATION_RUNS &&
            strcmp(runs.fingerprint, on_bits) == 0)
            found =
                sb_format("%s=%s", knobs.items[i].axis + strlen("env:"), knobs.items[i].levels[1]);
    }
    sb_experiment_close(&experiment);
    return found;
}

/* ---- One axis --------------------------------------------------------------------------------
 */

/* Adds to what is open, of which each axis may leave something. */
static int leave_open(struct sb_explanation *explanation, char *text) {
    char *before = explanation->open_question;
    explanation->open_question = before && text ? sb_format("%s; %s", before, text) : text;
    if (before && text) {
        free(before);
        free(text);
    }
    return explanation->open_question ? 0 : -ENOMEM;
}

/* The result says that the bits depend on it. Where fresh runs fail, or agree at both levels, that
 * is no cause of anything now. */
static char *contradiction(const struct sb_cell_runs *a, const struct sb_cell_runs *b,
                           const char *text_a, const char *text_b) {
    if (a->good < RUNS || b->good < RUNS)
        return sb_format("runs with %s fail now (samebits rerun shows how)",
                         a->good < RUNS ? text_a : text_b);
    if (strcmp(a->fingerprint, b->fingerprint) == 0)
        return sb_format("runs with %s and with %s agree now, where they differed in the result",
                         text_a, text_b);
    return NULL;
}

/* "hash_seed=0" or, of a placeholder, the same. malloc'd. */
static char *level_text(const struct sb_job_plan *plan, size_t axis, size_t cell) {
    return sb_format("%s=%s", plan->axes[axis].name, sb_explain_level(plan, cell, axis));
}

/* The runs of both cells agree among themselves. */
static int add_axis_cause(struct sb_explanation *explanation, size_t axis, const struct pair *pair,
                          const struct sb_knobs *knobs, const struct sb_experiment *experiment,
                          struct sb_error *err) {
    const struct sb_job_plan *plan = &explanation->restored->plan->jobs[explanation->job];
    const char *name = plan->axes[axis].name;
    struct sb_cell_runs a = sb_explain_runs_at(experiment, 0),
                        b = sb_explain_runs_at(experiment, sb_explain_varied(knobs));
    SB_AUTO_FREE char *text_a = level_text(plan, axis, pair->a);
    SB_AUTO_FREE char *text_b = level_text(plan, axis, pair->b);
    if (!text_a || !text_b || !experiment->result.n_runs)
        return text_a && text_b ? 0 : sb_error_errno(err, -ENOMEM, "axis %s", name);
    char *not_now = contradiction(&a, &b, text_a, text_b);
    if (not_now)
        return leave_open(explanation, not_now);
    json_t *evidence = json_pack("{s:o, s:o, s:b}", "without", sb_explain_runs_json(&a, text_a),
                                 "with", sb_explain_runs_json(&b, text_b), "differ", true);
    char *fix = sb_explain_fix(name, &experiment->result.runs[0].seen, false);
    if (strcmp(name, "deterministic") == 0) {
        bool a_is_off = strcmp(sb_explain_level(plan, pair->a, axis), "off") == 0;
        SB_AUTO_FREE char *setting = ablate(explanation, a_is_off ? pair->a : pair->b,
                                            a_is_off ? b.fingerprint : a.fingerprint, err);
        json_object_set_new(evidence, "setting", sb_json_string(setting));
        if (setting) {
            char *longer = sb_format("%s; %s alone does it", fix ? fix : "", setting);
            free(fix);
            fix = longer;
        }
    }
    json_t *cause = sb_explain_cause(name, true, evidence, fix, json_array());
    if (!cause || json_array_append_new(explanation->causes, cause) < 0)
        return sb_error_errno(err, -ENOMEM, "axis %s", name);
    bool answered;
    int rc = sb_explain_culprit(explanation, knobs, experiment, cause, err);
    if (rc == 0)
        rc = sb_explain_operations(explanation, knobs, experiment, cause, &answered, err);
    return rc < 0 ? rc : sb_explain_asked(explanation, knobs, experiment, cause, err);
}

/* *unstable: a cell whose fresh runs differ among themselves, by which no axis is to blame. */
static int explain_axis(struct sb_explanation *explanation, size_t axis, size_t *unstable,
                        struct sb_error *err) {
    const struct sb_job_plan *plan = &explanation->restored->plan->jobs[explanation->job];
    struct pair pair;
    if (!find_pair(explanation, axis, &pair)) {
        json_array_append_new(
            explanation->causes,
            sb_explain_cause(plan->axes[axis].name, false, json_null(),
                             sb_explain_fix(plan->axes[axis].name,
                                            &(struct sb_observation){.n_samples = 0}, false),
                             json_array()));
        return 0;
    }
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    struct sb_experiment experiment = {.plan = NULL};
    int rc = sb_explain_hold(plan, pair.a, &knobs);
    if (rc == 0 && sb_knobs_find(&knobs, plan->axes[axis].name))
        sb_knobs_find(&knobs, plan->axes[axis].name)->levels[1] =
            sb_explain_level(plan, pair.b, axis);
    rc = rc < 0 ? sb_error_errno(err, rc, "axes")
                : sb_explain_run_cells(explanation, &knobs, SB_DESIGN_FULL, NULL, RUNS,
                                       sb_explain_can_trace(explanation), &experiment, err);
    if (rc == 0 && sb_explain_runs_at(&experiment, 0).distinct > 1)
        *unstable = pair.a;
    else if (rc == 0 && sb_explain_runs_at(&experiment, sb_explain_varied(&knobs)).distinct > 1)
        *unstable = pair.b;
    else if (rc == 0 && !explanation->unfinished)
        rc = add_axis_cause(explanation, axis, &pair, &knobs, &experiment, err);
    sb_experiment_close(&experiment);
    return rc;
}

int sb_explain_axes(struct sb_explanation *explanation, struct sb_error *err) {
    const struct sb_job_plan *plan = &explanation->restored->plan->jobs[explanation->job];
    size_t i, unstable = SIZE_MAX;
    json_t *name;
    json_array_foreach(json_object_get(explanation->said, "depends_on"), i, name) {
        const char *wanted = json_string_value(name);
        bool known = false;
        for (size_t axis = 0; wanted && axis < plan->n_axes && !explanation->unfinished; axis++) {
            known |= strcmp(plan->axes[axis].name, wanted) == 0;
            int rc = strcmp(plan->axes[axis].name, wanted) == 0
                         ? explain_axis(explanation, axis, &unstable, err)
                         : 0;
            if (rc < 0)
                return rc;
            /* In the result its runs agreed by luck. */
            if (unstable != SIZE_MAX)
                return sb_explain_repeats_of(explanation, unstable, err);
        }
        /* An axis of a merged result. */
        if (wanted && !known && !explanation->unfinished && !explanation->open_question)
            explanation->open_question = sb_format(
                "the bits depend on %s, which tells machines apart: no run on this one shows why",
                wanted);
    }
    return 0;
}
