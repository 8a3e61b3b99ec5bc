/* Stage 7: one entry of jobs[] (DESIGN section 7). Every key of it is always there. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static json_t *unstable_json(struct sb_making *making, const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    if (!analysis || analysis->verdict != SB_VERDICT_NONDETERMINISTIC || !analysis->unstable_known)
        return json_null();
    json_t *when = sb_new(making, json_object());
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        if (analysis->unstable_axes >> i & 1)
            sb_put_named(making, when, axis->name,
                         sb_level_names(making, axis, analysis->unstable_levels[i]));
    }
    return when;
}

static json_t *condition_json(struct sb_making *making, const struct sb_job_plan *plan,
                              const struct sb_condition *condition) {
    const struct sb_job_axis *when = &plan->axes[condition->when];
    json_t *levels = sb_new(making, json_object());
    sb_put_named(making, levels, when->name, sb_level_names(making, when, condition->levels));
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "axis", sb_json_string(plan->axes[condition->axis].name));
    sb_put(making, json, "when", levels);
    return json;
}

/* One explanation is `depends_on`; `explanations` lists several. */
static void put_findings(struct sb_making *making, json_t *entry, const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    bool judged = analysis && analysis->verdict != SB_VERDICT_ERROR;
    bool known = judged && analysis->depends_known;
    json_t *explanations = sb_new(making, json_array());
    for (size_t i = 0; judged && !known && i < analysis->n_explanations; i++)
        sb_push(making, explanations, sb_axis_names(making, job->plan, analysis->explanations[i]));
    json_t *conditions = sb_new(making, json_array());
    for (size_t i = 0; analysis && i < analysis->n_conditions; i++)
        sb_push(making, conditions, condition_json(making, job->plan, &analysis->conditions[i]));
    sb_put(making, entry, "depends_on",
           known ? sb_axis_names(making, job->plan, analysis->depends_on) : json_null());
    sb_put(making, entry, "explanations", explanations);
    sb_put(making, entry, "conditions", conditions);
    sb_put(making, entry, "unstable_when", unstable_json(making, job));
    if (analysis && analysis->scope_cells_run)
        sb_put(making, entry, "scope", json_string("cells run"));
}

static json_t *confidence_json(struct sb_making *making, const struct sb_analysis *analysis) {
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "replays", json_integer(analysis ? analysis->replays : 0));
    sb_put(making, json, "max_mismatch_rate_95",
           sb_json_real(analysis ? analysis->max_mismatch_rate_95 : NAN));
    sb_put(making, json, "dependence_p", sb_json_real(analysis ? analysis->dependence_p : NAN));
    return json;
}

/* ---- Magnitude --------------------------------------------------------------------------------
 */

static json_t *index_json(struct sb_making *making, const struct sb_tensor_info *info,
                          const uint64_t *index) {
    return sb_new(making, sb_json_counts(index, info->rank));
}

/* The comparison with the worst grade, and of those the one with most ULP; NULL when nothing
 * differs, or nothing could be compared. */
static const struct sb_comparison *worst_comparison(const struct sb_job_result *job) {
    const struct sb_comparison *worst = NULL;
    for (size_t i = 1; job->comparisons && i < job->n_groups; i++) {
        const struct sb_comparison *one = &job->comparisons[i];
        if (!one->n_tensors)
            continue;
        if (!worst || one->grade > worst->grade ||
            (one->grade == worst->grade && one->tensors[0].max_ulp > worst->tensors[0].max_ulp))
            worst = one;
    }
    return worst;
}

/* Group g stands as side a of its comparison, the reference as side b. */
static const char *state_text(const struct sb_tensor_difference *tensor) {
    switch (tensor->state) {
    case SB_TENSOR_ONLY_A:
        return "not in the reference";
    case SB_TENSOR_ONLY_B:
        return "only in the reference";
    case SB_TENSOR_CHANGED_TYPE:
        return tensor->changed ? tensor->changed : "of another type or shape";
    default:
        return NULL;
    }
}

static json_t *worst_json(struct sb_making *making, const struct sb_comparison *comparison) {
    if (!comparison || !comparison->n_different)
        return json_null();
    struct sb_tensor_difference spread, *tensor = &spread;
    sb_comparison_tensor(comparison, 0, tensor);
    const char *state = state_text(tensor);
    json_t *worst = sb_new(making, json_object());
    sb_put(making, worst, "tensor", sb_json_string(tensor->info.name));
    sb_put(making, worst, "index",
           state ? json_null() : index_json(making, &tensor->info, tensor->first));
    sb_put(making, worst, "worst_index",
           state ? json_null() : index_json(making, &tensor->info, tensor->worst));
    sb_put(making, worst, "max_abs", state ? json_null() : sb_json_real(tensor->max_abs));
    sb_put(making, worst, "max_rel", state ? json_null() : sb_json_real(tensor->max_rel));
    sb_put(making, worst, "max_ulp", state ? json_null() : sb_json_real(tensor->max_ulp));
    sb_put(making, worst, "share", state ? json_null() : sb_json_real(tensor->share));
    sb_put(making, worst, "ulp_histogram",
           state ? json_null() : sb_json_histogram(tensor->ulp_histogram, SB_ULP_BUCKETS));
    sb_put(making, worst, "shape_of_difference", json_string(sb_shape_names[tensor->shape]));
    if (state)
        sb_put(making, worst, "difference", sb_json_string(state));
    return worst;
}

/* Of axes that had a run that ended well at each level: of others it is too early to speak. */
static void push_limits_of_axes(struct sb_making *making, const struct sb_job_result *job,
                                json_t *limits) {
    SB_AUTO_FREE const struct sb_observation **seen = calloc(job->n_runs + 1, sizeof *seen);
    size_t n = 0;
    making->failed |= !seen;
    for (size_t i = 0; seen && i < job->n_runs; i++) {
        if (job->runs[i]->status == SB_STATUS_OK)
            seen[n++] = &job->runs[i]->seen;
    }
    for (size_t i = 0; seen && i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        bool known = axis->n_levels > 1 && sb_levels_had(job, i) == sb_all_levels(axis);
        const char *limit =
            known && axis->axis && axis->axis->limit ? axis->axis->limit(seen, n) : NULL;
        if (limit)
            sb_push(making, limits, json_string(limit));
    }
}

/* Sentences on what was left out, so that nobody takes what is said here for all there is. */
static json_t *limits_json(struct sb_making *making, const struct sb_job_result *job,
                           size_t compared) {
    json_t *limits = sb_new(making, json_array());
    if (compared && compared + 1 < job->n_groups) {
        SB_AUTO_FREE char *text = sb_format(
            "%zu of the %zu other results were compared with the reference: the largest "
            "difference may be larger",
            compared, job->n_groups - 1);
        sb_push(making, limits, sb_json_string(text));
        making->failed |= !text;
    }
    size_t planned = job->plan->n_cells * job->plan->job->repeats.min;
    if (job->stopped && job->n_runs < planned) {
        SB_AUTO_FREE char *text = sb_format(
            "stopped after the first difference, as asked: %zu of %zu runs", job->n_runs, planned);
        sb_push(making, limits, sb_json_string(text));
        making->failed |= !text;
    }
    if (job->left_out)
        sb_push(making, limits, sb_json_string(job->left_out));
    if (job->lacking)
        sb_push(making, limits, sb_json_string(job->lacking));
    if (job->requirements_limit)
        sb_push(making, limits, sb_json_string(job->requirements_limit));
    push_limits_of_axes(making, job, limits);
    return limits;
}

static void put_magnitude(struct sb_making *making, json_t *entry,
                          const struct sb_job_result *job) {
    size_t compared = 0;
    for (size_t i = 1; job->comparisons && i < job->n_groups; i++)
        compared += job->comparisons[i].n_tensors > 0;
    const struct sb_comparison *worst = worst_comparison(job);
    const char *grade = worst                ? sb_grade_names[worst->grade]
                        : job->n_groups == 1 ? "identical"
                                             : NULL;
    sb_put(making, entry, "grade", grade ? json_string(grade) : json_null());
    sb_put(making, entry, "worst", worst_json(making, worst));
    sb_put(making, entry, "growth", sb_growth_json(making, worst));
    sb_put(making, entry, "compared", json_integer((json_int_t)compared));
    sb_put(making, entry, "limits", limits_json(making, job, compared));
}

static json_t *witness_json(struct sb_making *making, const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    if (!analysis || analysis->witness_a == SIZE_MAX || analysis->witness_b == SIZE_MAX)
        return json_null();
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "a", sb_json_string(job->runs[job->trial_run[analysis->witness_a]]->id));
    sb_put(making, json, "b", sb_json_string(job->runs[job->trial_run[analysis->witness_b]]->id));
    sb_put(making, json, "differs_in", sb_axis_names(making, job->plan, analysis->witness_axes));
    return json;
}

/* ---- Groups -----------------------------------------------------------------------------------
 */

/* Group entries by fingerprint, so that runs find theirs in one pass. */
static json_t *groups_json(struct sb_making *making, const struct sb_job_result *job) {
    json_t *groups = sb_new(making, json_array());
    SB_AUTO_JSON json_t *by_fingerprint = sb_new(making, json_object());
    for (size_t g = 0; g < job->n_groups; g++) {
        json_t *group = sb_new(making, json_object());
        sb_put(making, group, "fingerprint", sb_json_string(job->groups[g]));
        sb_put(making, group, "sum", json_null());
        sb_put(making, group, "runs", json_array());
        sb_put(making, by_fingerprint, job->groups[g], json_incref(group));
        sb_push(making, groups, group);
    }
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status != SB_STATUS_OK || !run->fingerprint)
            continue;
        json_t *group = json_object_get(by_fingerprint, run->fingerprint);
        json_t *runs = json_object_get(group, "runs");
        if (!runs)
            continue;
        if (!json_array_size(runs))
            sb_put(making, group, "sum", sb_json_real(run->sum));
        sb_push(making, runs, sb_json_string(run->id));
    }
    return groups;
}

/* ---- The entry --------------------------------------------------------------------------------
 */

static json_t *shape_json(struct sb_making *making, const struct sb_job *job) {
    if (!job->shape)
        return json_null();
    json_t *shape = sb_new(making, json_array());
    for (size_t i = 0; i < job->n_shape; i++)
        sb_push(making, shape, json_integer((json_int_t)job->shape[i]));
    return shape;
}

static void put_identity(struct sb_making *making, json_t *entry, const struct sb_job *job) {
    sb_put(making, entry, "name", sb_json_string(job->name));
    sb_put(making, entry, "id", sb_json_string(job->id));
    sb_put(making, entry, "kind", json_string(sb_job_kind_names[job->kind]));
    sb_put(making, entry, "kernel", sb_json_string(job->subject));
    sb_put(making, entry, "backend", sb_json_string(job->backend));
    sb_put(making, entry, "dtype", sb_json_string(job->dtype));
    sb_put(making, entry, "algorithm", sb_json_string(job->algorithm));
    sb_put(making, entry, "shape", shape_json(making, job));
}

json_t *sb_job_json(struct sb_making *making, const struct sb_job_result *job,
                    enum sb_outcome *outcome) {
    const struct sb_analysis *analysis = job->analysis;
    enum sb_verdict verdict = job->skipped ? SB_VERDICT_SKIPPED
                              : analysis   ? analysis->verdict
                                           : SB_VERDICT_ERROR;
    bool all_inert;
    json_t *axes = sb_axes_json(making, job, &all_inert);
    SB_AUTO_TEXT struct sb_text reason = {0};
    *outcome = sb_job_outcome(job, all_inert, &reason);
    making->failed |= reason.failed;
    json_t *entry = sb_new(making, json_object());
    put_identity(making, entry, job->plan->job);
    sb_put(making, entry, "outcome", json_string(sb_outcome_names[*outcome]));
    sb_put(making, entry, "reason", sb_json_string(reason.length ? reason.data : NULL));
    sb_put(making, entry, "verdict", json_string(sb_verdict_names[verdict]));
    put_findings(making, entry, job);
    sb_put(making, entry, "axes", axes);
    sb_put(making, entry, "runs", json_integer((json_int_t)job->n_runs));
    sb_put(making, entry, "failed", json_integer((json_int_t)sb_count_failed(job)));
    sb_put(making, entry, "missing", sb_missing_json(making, job));
    sb_put(making, entry, "distinct", json_integer((json_int_t)job->n_groups));
    sb_put(making, entry, "confidence", confidence_json(making, analysis));
    put_magnitude(making, entry, job);
    sb_put(making, entry, "witness", witness_json(making, job));
    sb_put(making, entry, "culprit", sb_culprit_json(making, job));
    sb_put(making, entry, "trace", sb_trace_json(making, job));
    sb_put(making, entry, "accuracy", sb_accuracy_json(making, job));
    sb_put(making, entry, "calls", sb_calls_json(making, job));
    sb_put(making, entry, "claims", sb_claims_json(making, job));
    sb_put_cost(making, entry, job);
    sb_put(making, entry, "groups", groups_json(making, job));
    sb_put(making, entry, "inputs_changed", sb_json_string(job->inputs_changed));
    sb_put(making, entry, "asked", sb_asked_json(making, job->plan));
    return entry;
}
