/* cli: the call by which runs part, and whether it is that call: made again by itself, in fresh
 * processes, from the inputs that it had. See cli/explain.h. */
#include "cli/explain_again.h"

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

static json_t *frames_json(const struct sb_saved_call *call) {
    json_t *frames = json_array();
    const char *at = call->frames;
    for (char *line; (line = sb_text_next_line(&at)); free(line))
        json_array_append_new(frames, sb_json_string(line));
    return frames;
}

/* ---- The call, made again ---------------------------------------------------------------------
 */

static int make_again(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                      const char *path, json_t *culprit, struct sb_error *err) {
    SB_AUTO_FREE char *file = strdup(strrchr(path, '/') + 1), *program = sb_program_path();
    if (!file || !program || strpbrk(program, "{}"))
        return 0;
    char worker[] = "worker", replay[] = "replay", to[] = "{weights}", weights[] = "outputs.h5";
    char *command[] = {program, worker, replay, file, to, NULL};
    const struct sb_again again = {path, command, 5, weights, 1};
    return sb_explain_make_again(explanation, knobs, &again, culprit, err);
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
    int rc = sb_explain_keep(explanation, traced, parting, "call", &path, err);
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
