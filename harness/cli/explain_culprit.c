/* cli: the call by which runs part, and whether it is that call: made again by itself, in fresh
 * processes, from the inputs that it had. See cli/explain.h. */
#include "cli/explain.h"

#include "attribute/divergence.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/saved_call.h"
#include "report/result.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 3 }; /* of a call, in each of two cells */

/* ---- What traces show -------------------------------------------------------------------------
 */

static const struct sb_run *traced_run(const struct sb_experiment *experiment, const char *unlike) {
    for (size_t i = 0; i < experiment->result.n_runs; i++) {
        const struct sb_run *run = &experiment->result.runs[i];
        if (run->fingerprint && run->seen.trace &&
            (!unlike || strcmp(run->fingerprint, unlike) != 0))
            return run;
    }
    return NULL;
}

char *sb_explain_log_file(const struct sb_experiment *experiment, const struct sb_run *run,
                          const char *ending) {
    SB_AUTO_FREE char *name = sb_format("logs/%s.%s", run->id, ending);
    return name ? sb_folder_file(experiment->folder, name) : NULL;
}

bool sb_parting_find(const struct sb_experiment *experiment, struct sb_parting *parting) {
    *parting = (struct sb_parting){.a = traced_run(experiment, NULL)};
    parting->b = parting->a ? traced_run(experiment, parting->a->fingerprint) : NULL;
    SB_AUTO_FREE char *path_a =
        parting->b ? sb_explain_log_file(experiment, parting->a, "trace") : NULL;
    SB_AUTO_FREE char *path_b =
        parting->b ? sb_explain_log_file(experiment, parting->b, "trace") : NULL;
    return path_a && path_b && sb_divergence_find(path_a, path_b, &parting->divergence, NULL) == 0;
}

void sb_parting_clear(struct sb_parting *parting) {
    sb_divergence_clear(&parting->divergence);
}

json_t *sb_explain_share(const struct sb_experiment *experiment) {
    double least = INFINITY;
    for (size_t i = 0; i < experiment->result.n_runs; i++) {
        const json_t *share = json_object_get(experiment->result.runs[i].seen.trace, "cpu_share");
        if (json_is_number(share))
            least = fmin(least, json_number_value(share));
    }
    return isfinite(least) ? json_real(least) : json_null();
}

/* ---- The call, kept ---------------------------------------------------------------------------
 */

/* Points of a program's own and what Python's helper notes are no calls, and a reduction of MPI or
 * NCCL is made by several processes together. */
static bool can_be_kept(const struct sb_explanation *explanation,
                        const struct sb_divergent_call *call) {
    bool built_in = explanation->restored->plan->jobs[explanation->job].job->kind != SB_JOB_COMMAND;
    return built_in || (strstr(call->backend, ".so") && strncmp(call->kernel, "MPI_", 4) != 0 &&
                        strncmp(call->kernel, "nccl", 4) != 0);
}

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

/* One run more, which keeps the call. *path: where, malloc'd; NULL: it did not come again. */
static int keep_call(struct sb_explanation *explanation, const struct sb_experiment *traced,
                     const struct sb_parting *parting, char **path, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    SB_AUTO_FREE char *name = name_of(&parting->divergence.culprit);
    struct sb_experiment keeping = {.plan = NULL};
    *path = NULL;
    int rc = name ? hold_cell(traced, parting->a, SB_SAVED_CALL_VARIABLE, name, &knobs) : -ENOMEM;
    rc = rc < 0 ? sb_error_errno(err, rc, "axes")
                : sb_explain_run_cells(explanation, &knobs, SB_DESIGN_FULL, NULL, 1, true, &keeping,
                                       err);
    if (rc == 0 && keeping.result.n_runs) {
        *path = sb_explain_log_file(&keeping, &keeping.result.runs[0], "call");
        if (*path && access(*path, R_OK) < 0) {
            free(*path);
            *path = NULL;
        }
    }
    sb_experiment_close(&keeping);
    return rc;
}

static json_t *frames_json(const struct sb_saved_call *call) {
    json_t *frames = json_array();
    for (const char *at = call->frames; *at;) {
        size_t n = strcspn(at, "\n");
        SB_AUTO_FREE char *line = strndup(at, n);
        json_array_append_new(frames, sb_json_string(line));
        at += n + (at[n] == '\n');
    }
    return frames;
}

/* ---- The call, made again ---------------------------------------------------------------------
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
static bool evaluate(const struct sb_experiment *replay, bool axis, json_t *culprit) {
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
    json_object_set_new(culprit, "replay", evidence);
    if (!axis)
        return a.distinct > 1;
    return a.distinct == 1 && b.distinct == 1 && a.good == RUNS && b.good == RUNS &&
           strcmp(a.fingerprint, b.fingerprint) != 0;
}

/* In the folder where the call lies, so that every isolation shows it. */
static int make_again(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                      const char *path, json_t *culprit, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs own = {0};
    bool axis = sb_explain_varied(knobs) != 0;
    if (knobs_of_replay(knobs, &own) < 0)
        return sb_error_errno(err, -ENOMEM, "axes");
    const char *slash = strrchr(path, '/');
    SB_AUTO_FREE char *folder = strndup(path, (size_t)(slash - path));
    SB_AUTO_FREE char *file = strdup(slash + 1), *program = sb_program_path();
    if (axis != (sb_explain_varied(&own) != 0) || !folder || !file || !program ||
        strpbrk(program, "{}"))
        return 0;
    char worker[] = "worker", replay[] = "replay", to[] = "{weights}", weights[] = "outputs.h5";
    char *command[] = {program, worker, replay, file, to, NULL};
    struct sb_where where[] = {{0}, {0}, {0}, {0}, {0}};
    const struct sb_instead instead = {command, 5, where, weights, folder};
    struct sb_experiment made = {.plan = NULL};
    int rc = axis ? sb_explain_run_cells(explanation, &own, SB_DESIGN_FULL, &instead, RUNS, false,
                                         &made, err)
                  : sb_explain_run_until_two_differ(explanation, &own, &instead, false, &made, err);
    if (rc == 0 && !explanation->unfinished && evaluate(&made, axis, culprit))
        json_object_set_new(culprit, "status", json_string("confirmed"));
    sb_experiment_close(&made);
    return rc;
}

/* ---- The call, by ref -------------------------------------------------------------------------
 */

static bool all_ended_well(const struct sb_experiment *experiment) {
    for (size_t i = 0; i < experiment->result.n_runs; i++) {
        if (!experiment->result.runs[i].fingerprint)
            return false;
    }
    return experiment->result.n_runs > 1;
}

/* That nothing is left to differ is the other way to confirm a call, but not of a race: few runs of
 * one agree by luck too. */
static void say_replaced(const struct sb_experiment *made, bool axis, json_t *culprit) {
    struct sb_parting next;
    bool parts = sb_parting_find(made, &next), vanishes = !next.b;
    json_t *call = parts && next.divergence.culprit.seq
                       ? sb_divergent_call_json(&next.divergence.culprit)
                       : json_null();
    json_object_set_new(culprit, "on_ref",
                        json_pack("{s:i, s:b, s:o}", "runs", (int)made->result.n_runs, "vanishes",
                                  vanishes, "next", call));
    if (vanishes && axis)
        json_object_set_new(culprit, "status", json_string("confirmed"));
    if (parts)
        sb_parting_clear(&next);
}

/* Of built-in jobs: the same runs, in which `ref` computes that call anew. Do they agree now, or
 * which call is the first then? */
static int replace(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                   const struct sb_parting *parting, json_t *culprit, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs own = {0};
    SB_AUTO_FREE char *number =
        sb_format("%llu", (unsigned long long)parting->divergence.culprit.call);
    struct sb_experiment made = {.plan = NULL};
    int rc = number ? 0 : -ENOMEM;
    for (size_t i = 0; i < knobs->n && rc == 0; i++)
        rc = sb_knobs_add(&own, knobs->items[i].axis, knobs->items[i].levels[0],
                          knobs->items[i].levels[1]);
    if (rc == 0)
        rc = sb_knobs_add(&own, "env:SAMEBITS_REPLACE_CALL", number, NULL);
    if (rc < 0)
        return sb_error_errno(err, rc, "axes");
    bool axis = sb_explain_varied(knobs) != 0;
    rc = axis ? sb_explain_run_cells(explanation, &own, SB_DESIGN_FULL, NULL, 1, true, &made, err)
              : sb_explain_run_until_two_differ(explanation, &own, NULL, true, &made, err);
    if (rc == 0 && !explanation->unfinished && all_ended_well(&made))
        say_replaced(&made, axis, culprit);
    sb_experiment_close(&made);
    return rc;
}

/* ---- All of it --------------------------------------------------------------------------------
 */

int sb_explain_confirm(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                       const struct sb_experiment *traced, const struct sb_parting *parting,
                       json_t *culprit, struct sb_error *err) {
    SB_AUTO_FREE char *path = NULL;
    if (explanation->unfinished || !can_be_kept(explanation, &parting->divergence.culprit))
        return 0;
    int rc = keep_call(explanation, traced, parting, &path, err);
    if (rc < 0 || !path || explanation->unfinished)
        return rc;
    SB_AUTO_FREE struct sb_saved_call *head = malloc(sizeof *head);
    if (!head)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    /* One that was too large, or cut off by a full disk, confirms nothing and is no error. */
    if (sb_saved_call_read_head(path, head, NULL) < 0)
        return 0;
    if (*head->frames)
        json_object_set_new(culprit, "frames", frames_json(head));
    if (!head->n_operands) /* they were on a device, where no call is made again */
        return 0;
    rc = make_again(explanation, knobs, path, culprit, err);
    if (rc == 0 && *head->backend && !explanation->unfinished)
        rc = replace(explanation, knobs, parting, culprit, err);
    return rc;
}

void sb_explain_traced(json_t *cause, const struct sb_experiment *traced, const char *by) {
    json_t *seen = json_object_get(cause, "traced");
    if (!seen) {
        seen = json_object();
        json_object_set_new(cause, "traced", seen);
    }
    json_object_set_new(seen, "cpu_share", sb_explain_share(traced));
    json_object_set_new(seen, "by", json_string(by));
}

int sb_explain_culprit(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                       const struct sb_experiment *traced, json_t *cause, struct sb_error *err) {
    struct sb_parting parting;
    if (!traced->trace)
        return 0;
    bool parts = sb_parting_find(traced, &parting);
    bool blamed = parts && parting.divergence.culprit.seq;
    json_t *culprit = blamed ? sb_divergent_call_json(&parting.divergence.culprit) : NULL;
    json_object_set_new(cause, "culprit", culprit ? culprit : json_null());
    sb_explain_traced(cause, traced, "calls between libraries");
    int rc = culprit ? sb_explain_confirm(explanation, knobs, traced, &parting, culprit, err) : 0;
    if (parts)
        sb_parting_clear(&parting);
    return rc;
}
