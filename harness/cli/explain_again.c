/* cli: what was kept of a run, made again in fresh processes. See cli/explain_again.h. */
#include "cli/explain_again.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/saved_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 3 }; /* in each of two cells */

/* ---- Kept -------------------------------------------------------------------------------------
 */

/* "sgemm:0123…" */
static char *name_of(const struct sb_divergent_call *call) {
    char digest[2 * sizeof call->in + 1];
    sb_hex(call->in, sizeof call->in, digest);
    return sb_format("%s:%s", call->kernel, digest);
}

/* The cell that a run was of, with one more variable. */
static int hold_cell(const struct sb_experiment *traced, const struct sb_run *run,
                     const char *variable, const char *value, struct sb_knobs *knobs) {
    int rc = sb_explain_hold(&traced->plan->jobs[0], run->cell, knobs);
    SB_AUTO_FREE char *axis = sb_format("env:%s", variable);
    return rc < 0 ? rc : axis ? sb_knobs_add(knobs, axis, value, NULL) : -ENOMEM;
}

int sb_explain_keep(struct sb_explanation *explanation, const struct sb_experiment *traced,
                    const struct sb_parting *parting, const char *ending, char **path,
                    struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    SB_AUTO_FREE char *name = name_of(&parting->divergence.culprit);
    struct sb_experiment keeping = {.plan = NULL};
    *path = NULL;
    int rc = name ? hold_cell(traced, parting->a, SB_SAVED_CALL_VARIABLE, name, &knobs) : -ENOMEM;
    rc = rc < 0 ? sb_error_errno(err, rc, "axes")
                : sb_explain_run_cells(explanation, &knobs, SB_DESIGN_FULL, NULL, 1, true, &keeping,
                                       err);
    if (rc == 0 && keeping.result.n_runs) {
        *path = sb_explain_log_file(&keeping, &keeping.result.runs[0], ending);
        if (*path && access(*path, R_OK) < 0) {
            free(*path);
            *path = NULL;
        }
    }
    sb_experiment_close(&keeping);
    return rc;
}

/* ---- Made again -------------------------------------------------------------------------------
 */

/* Those knobs that mean something to the process that makes the call. */
static int knobs_of_replay(const struct sb_knobs *from, struct sb_knobs *to) {
    int rc = 0;
    for (size_t i = 0; i < from->n && rc == 0; i++) {
        const struct sb_knob *knob = &from->items[i];
        const struct sb_axis *axis = sb_axis_find(knob->axis);
        if (axis && !axis->planned && (!axis->kinds || axis->kinds & 1u << SB_JOB_COMMAND))
            rc = sb_knobs_add(to, knob->axis, knob->levels[0], knob->levels[1]);
    }
    return rc;
}

/* "threads=2": what is varied, at its first or its other level. */
static char *level_text(const struct sb_job *job, bool other) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < job->n_axes; i++) {
        const struct sb_suite_axis *axis = &job->axes[i];
        if (axis->n_levels > 1)
            sb_text_printf(&text, "%s%s=%s", text.length ? " " : "", axis->name,
                           axis->levels[other]);
    }
    return text.length ? sb_text_take(&text) : strdup("as it was");
}

/* Of an axis: equal runs at each level, and others at the other one. Of a race: runs that differ.
 */
static bool evaluate(const struct sb_experiment *replay, bool axis, unsigned calls,
                     json_t *culprit) {
    uint64_t other = 0;
    for (size_t i = 0; i < replay->job.n_axes; i++)
        other |= (uint64_t)(replay->job.axes[i].n_levels > 1) << i;
    struct sb_cell_runs a = sb_explain_runs_at(replay, 0), b = sb_explain_runs_at(replay, other);
    SB_AUTO_FREE char *text_a = level_text(&replay->job, false);
    SB_AUTO_FREE char *text_b = level_text(&replay->job, true);
    json_t *evidence = json_object();
    json_object_set_new(evidence, axis ? "without" : "runs", sb_explain_runs_json(&a, text_a));
    if (axis)
        json_object_set_new(evidence, "with", sb_explain_runs_json(&b, text_b));
    json_object_set_new(evidence, "calls", json_integer(calls));
    json_object_set_new(culprit, "replay", evidence);
    if (!axis)
        return a.distinct > 1;
    return a.distinct == 1 && b.distinct == 1 && a.good == RUNS && b.good == RUNS &&
           strcmp(a.fingerprint, b.fingerprint) != 0;
}

int sb_explain_make_again(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                          const struct sb_again *again, json_t *culprit, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs own = {0};
    bool axis = sb_explain_varied(knobs) != 0;
    if (knobs_of_replay(knobs, &own) < 0)
        return sb_error_errno(err, -ENOMEM, "axes");
    SB_AUTO_FREE char *folder =
        strndup(again->path, (size_t)(strrchr(again->path, '/') - again->path));
    if (axis != (sb_explain_varied(&own) != 0) || !folder)
        return 0;
    struct sb_where where[SB_AGAIN_WORDS] = {{0}};
    const struct sb_instead instead = {again->command, again->n_command, where, again->weights,
                                       folder};
    struct sb_experiment made = {.plan = NULL};
    int rc = axis ? sb_explain_run_cells(explanation, &own, SB_DESIGN_FULL, &instead, RUNS, false,
                                         &made, err)
                  : sb_explain_run_until_two_differ(explanation, &own, &instead, false, &made, err);
    if (rc == 0 && !explanation->unfinished && evaluate(&made, axis, again->calls, culprit))
        json_object_set_new(culprit, "status", json_string("confirmed"));
    sb_experiment_close(&made);
    return rc;
}
