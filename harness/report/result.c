/* Stage 7: result.json, built from what the earlier stages found (DESIGN section 7). */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "report/result.h"
#include "samebits-config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Outcomes of a job, and what the whole result becomes of them: the last that occurs wins. */
enum outcome {
    OUTCOME_XFAIL,
    OUTCOME_XPASS,
    OUTCOME_PASS,
    OUTCOME_SKIPPED,
    OUTCOME_FAIL,
    OUTCOME_ERROR
};

static const char *const outcome_names[] = {"xfail", "xpass", "pass", "skipped", "fail", "error"};

static json_t *level_names(const struct sb_job_axis *axis, sb_mask levels) {
    json_t *names = json_array();
    for (size_t i = 0; i < axis->n_levels; i++) {
        if (levels >> i & 1)
            json_array_append_new(names, sb_json_string(axis->levels[i]));
    }
    return names;
}

static json_t *axis_names(const struct sb_job_plan *plan, sb_mask axes) {
    json_t *names = json_array();
    for (size_t i = 0; i < plan->n_axes; i++) {
        if (axes >> i & 1)
            json_array_append_new(names, sb_json_string(plan->axes[i].name));
    }
    return names;
}

/* The observed levels beside the levels, "unknown" where none of a level's runs could be seen;
 * *known when that is never so, *alike when all are proven to be one. */
static json_t *observed_levels(const struct sb_job_result *job, size_t axis, bool *known,
                               bool *alike) {
    const struct sb_job_axis *job_axis = &job->plan->axes[axis];
    SB_AUTO_FREE struct sb_axis_sight *sights = calloc(job->n_runs + 1, sizeof *sights);
    SB_AUTO_FREE char **texts = calloc(job_axis->n_levels + 1, sizeof *texts);
    size_t n = 0;
    *known = *alike = false;
    if (!sights || !texts)
        return NULL;
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK)
            sights[n++] = (struct sb_axis_sight){.level = job->plan->cells[run->cell].level[axis],
                                                 .seen = &run->seen};
    }
    if (sb_axis_observed(job_axis, sights, n, texts, alike) < 0)
        return NULL;
    json_t *observed = json_array();
    *known = true;
    for (size_t level = 0; level < job_axis->n_levels; level++) {
        *known &= texts[level] != NULL;
        json_array_append_new(observed, sb_json_string(texts[level] ? texts[level] : "unknown"));
        free(texts[level]);
    }
    return observed;
}

static const char *axis_effect(const struct sb_job_result *job, size_t axis, bool known,
                               bool alike) {
    const struct sb_job_axis *job_axis = &job->plan->axes[axis];
    const struct sb_axis_finding *finding = job->analysis ? &job->analysis->axes[axis] : NULL;
    if (job_axis->n_levels < 2)
        return "fixed";
    if (finding && finding->has_effect)
        return "bits";
    if (!job->analysis || (finding && finding->n_classes > 1))
        return "unknown"; /* bits differ between levels, but several axes may be the cause */
    if (alike)
        return "inert";
    if (!known || !finding->n_classes)
        return "unknown";
    return "none";
}

static json_t *axes_json(const struct sb_job_result *job, bool *all_inert) {
    json_t *axes = json_array();
    size_t n_varied = 0, n_inert = 0;
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        bool known, alike;
        json_t *observed = observed_levels(job, i, &known, &alike);
        const char *effect = axis_effect(job, i, known, alike);
        json_t *classes = json_array();
        for (size_t c = 0; job->analysis && c < job->analysis->axes[i].n_classes; c++)
            json_array_append_new(classes, level_names(axis, job->analysis->axes[i].classes[c]));
        json_t *levels = json_array();
        for (size_t k = 0; k < axis->n_levels; k++)
            json_array_append_new(levels, sb_json_string(axis->levels[k]));
        json_t *entry =
            json_pack("{s:o, s:o, s:o, s:o, s:s}", "name", sb_json_string(axis->name), "levels",
                      levels, "observed", observed, "classes", classes, "effect", effect);
        if (axis->unavailable)
            json_object_set_new(entry, "unavailable", sb_json_string(axis->unavailable));
        json_array_append_new(axes, entry);
        n_varied += axis->n_written > 1;
        n_inert += axis->n_written > 1 && (axis->n_levels < 2 || strcmp(effect, "inert") == 0);
    }
    *all_inert = n_varied && n_inert == n_varied;
    return axes;
}

static size_t count_failed(const struct sb_job_result *job) {
    size_t n = 0;
    for (size_t i = 0; i < job->n_runs; i++)
        n += job->runs[i]->status != SB_STATUS_OK;
    return n;
}

/* "2 of 12 runs failed: r00003 crashed (exit 1), …" for the reason. */
static char *failures_text(const struct sb_job_result *job, size_t failed) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, "%zu of %zu runs failed:", failed, job->n_runs);
    size_t shown = 0;
    for (size_t i = 0; i < job->n_runs && shown < 3; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK)
            continue;
        sb_text_printf(&text, "%s %s %s", shown++ ? "," : "", run->id,
                       sb_status_names[run->status]);
        if (run->message)
            sb_text_printf(&text, " (%s)", run->message);
    }
    if (failed > shown)
        sb_text_puts(&text, ", …");
    return sb_text_take(&text);
}

static bool control_fired(const struct sb_job *job, const struct sb_analysis *analysis) {
    if (job->expect == SB_EXPECT_NONDETERMINISTIC)
        return analysis->verdict == SB_VERDICT_NONDETERMINISTIC;
    return analysis->verdict == SB_VERDICT_CONFIG_DEPENDENT ||
           (analysis->verdict == SB_VERDICT_NONDETERMINISTIC && analysis->depends_known &&
            analysis->depends_on);
}

/* Adds a sentence to a reason. */
static void add_reason(struct sb_text *reason, const char *sentence) {
    if (sentence && *sentence)
        sb_text_printf(reason, "%s%s", reason->length ? "; " : "", sentence);
}

static enum outcome job_outcome(const struct sb_job_result *job, bool all_inert,
                                struct sb_text *reason) {
    const struct sb_job *suite_job = job->plan->job;
    const struct sb_analysis *analysis = job->analysis;
    if (job->skipped) {
        add_reason(reason, job->skipped);
        return OUTCOME_SKIPPED;
    }
    size_t failed = count_failed(job);
    if (failed) {
        SB_AUTO_FREE char *failures = failures_text(job, failed);
        add_reason(reason, failures);
    }
    if (analysis)
        add_reason(reason, analysis->reason);
    add_reason(reason, job->spoiled);
    if (failed || job->spoiled || !analysis || analysis->verdict == SB_VERDICT_ERROR)
        return OUTCOME_ERROR;
    if (suite_job->expect != SB_EXPECT_NOTHING) {
        if (control_fired(suite_job, analysis))
            return OUTCOME_XFAIL;
        add_reason(reason, "expected to diverge, and did not: not demonstrated here");
        return OUTCOME_XPASS;
    }
    if (!job->requirements_met) {
        add_reason(reason, job->requirements_reason);
        return analysis->verdict == SB_VERDICT_INCONCLUSIVE ? OUTCOME_ERROR : OUTCOME_FAIL;
    }
    if (analysis->verdict == SB_VERDICT_INCONCLUSIVE)
        return OUTCOME_ERROR;
    if (all_inert) {
        add_reason(reason, "nothing was varied: every axis is inert or unavailable here");
        return OUTCOME_SKIPPED;
    }
    return OUTCOME_PASS;
}

static json_t *unstable_json(const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    if (!analysis || analysis->verdict != SB_VERDICT_NONDETERMINISTIC || !analysis->unstable_known)
        return json_null();
    json_t *when = json_object();
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        if (analysis->unstable_axes >> i & 1)
            json_object_set_new(when, job->plan->axes[i].name,
                                level_names(&job->plan->axes[i], analysis->unstable_levels[i]));
    }
    return when;
}

static void set_findings(json_t *entry, const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    json_t *explanations = json_array(), *conditions = json_array();
    for (size_t i = 0; analysis && i < analysis->n_explanations; i++)
        json_array_append_new(explanations, axis_names(job->plan, analysis->explanations[i]));
    for (size_t i = 0; analysis && i < analysis->n_conditions; i++) {
        const struct sb_condition *condition = &analysis->conditions[i];
        const struct sb_job_axis *when = &job->plan->axes[condition->when];
        json_t *levels = json_object();
        json_object_set_new(levels, when->name, level_names(when, condition->levels));
        json_array_append_new(conditions,
                              json_pack("{s:o, s:o}", "axis",
                                        sb_json_string(job->plan->axes[condition->axis].name),
                                        "when", levels));
    }
    bool known = analysis && analysis->depends_known;
    json_object_set_new(entry, "depends_on",
                        known ? axis_names(job->plan, analysis->depends_on) : json_null());
    json_object_set_new(entry, "explanations", explanations);
    json_object_set_new(entry, "conditions", conditions);
    json_object_set_new(entry, "unstable_when", unstable_json(job));
    if (analysis && analysis->scope_cells_run)
        json_object_set_new(entry, "scope", json_string("cells run"));
}

static json_t *confidence_json(const struct sb_analysis *analysis) {
    return json_pack("{s:i, s:o, s:o}", "replays", analysis ? (int)analysis->replays : 0,
                     "max_mismatch_rate_95",
                     sb_json_real(analysis ? analysis->max_mismatch_rate_95 : NAN), "dependence_p",
                     sb_json_real(analysis ? analysis->dependence_p : NAN));
}

static json_t *index_json(const struct sb_tensor_info *info, const uint64_t *index) {
    json_t *json = json_array();
    for (unsigned i = 0; i < info->rank; i++)
        json_array_append_new(json, json_integer((json_int_t)index[i]));
    return json;
}

/* The comparison with the worst grade, and of those the one with most ULP; NULL when nothing
 * differs. */
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

static json_t *worst_json(const struct sb_comparison *comparison) {
    if (!comparison || !comparison->n_different)
        return json_null();
    const struct sb_tensor_difference *tensor = &comparison->tensors[0];
    json_t *worst = json_pack("{s:o, s:o}", "tensor", sb_json_string(tensor->info.name),
                              "shape_of_difference", json_string(sb_shape_names[tensor->shape]));
    if (tensor->state == SB_TENSOR_DIFFERS) {
        json_object_set_new(worst, "index", index_json(&tensor->info, tensor->first));
        json_object_set_new(worst, "max_abs", sb_json_real(tensor->max_abs));
        json_object_set_new(worst, "max_rel", sb_json_real(tensor->max_rel));
        json_object_set_new(worst, "max_ulp", sb_json_real(tensor->max_ulp));
        json_object_set_new(worst, "share", sb_json_real(tensor->share));
    } else {
        static const char *const states[] = {[SB_TENSOR_ONLY_A] = "not in the reference",
                                             [SB_TENSOR_ONLY_B] = "only in the reference"};
        const char *what =
            tensor->state == SB_TENSOR_CHANGED_TYPE ? tensor->changed : states[tensor->state];
        json_object_set_new(worst, "difference", sb_json_string(what));
    }
    return worst;
}

static void set_magnitude(json_t *entry, const struct sb_job_result *job) {
    const struct sb_comparison *worst = worst_comparison(job);
    const char *grade = worst                ? sb_grade_names[worst->grade]
                        : job->n_groups == 1 ? "identical"
                                             : NULL;
    json_object_set_new(entry, "grade", grade ? json_string(grade) : json_null());
    json_object_set_new(entry, "worst", worst_json(worst));
}

static json_t *witness_json(const struct sb_job_result *job) {
    const struct sb_analysis *analysis = job->analysis;
    if (!analysis || analysis->witness_a == SIZE_MAX)
        return json_null();
    const struct sb_run *a = job->runs[job->trial_run[analysis->witness_a]];
    const struct sb_run *b = job->runs[job->trial_run[analysis->witness_b]];
    return json_pack("{s:s, s:s, s:o}", "a", a->id, "b", b->id, "differs_in",
                     axis_names(job->plan, analysis->witness_axes));
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median wall time of the runs with this level of an axis; NAN without any. */
static double median_wall(const struct sb_job_result *job, size_t axis, unsigned level) {
    SB_AUTO_FREE double *times = calloc(job->n_runs + 1, sizeof *times);
    size_t n = 0;
    for (size_t i = 0; times && i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK && job->plan->cells[run->cell].level[axis] == level)
            times[n++] = run->wall_s;
    }
    if (!n)
        return NAN;
    qsort(times, n, sizeof *times, compare_doubles);
    return n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
}

static json_t *cost_json(const struct sb_job_result *job) {
    json_t *cost = json_object();
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        if (strcmp(axis->name, "deterministic") != 0)
            continue;
        double on = NAN, off = NAN;
        for (unsigned level = 0; level < axis->n_levels; level++) {
            bool is_on = strcmp(axis->levels[level], "on") == 0;
            *(is_on ? &on : &off) = median_wall(job, i, level);
        }
        if (on > 0 && off > 0)
            json_object_set_new(cost, "deterministic", sb_json_real(on / off));
    }
    return cost;
}

static json_t *accuracy_json(const struct sb_job_result *job) {
    double worst = NAN;
    for (size_t i = 0; i < job->n_runs; i++) {
        double accuracy = job->runs[i]->accuracy;
        if (!isnan(accuracy) && !(worst >= accuracy))
            worst = accuracy;
    }
    return isnan(worst) ? json_null() : json_pack("{s:o}", "max_rel_vs_f64", sb_json_real(worst));
}

static json_t *groups_json(const struct sb_job_result *job) {
    json_t *groups = json_array();
    for (size_t g = 0; g < job->n_groups; g++) {
        json_t *runs = json_array();
        double sum = NAN;
        for (size_t i = 0; i < job->n_runs; i++) {
            const struct sb_run *run = job->runs[i];
            if (run->fingerprint && strcmp(run->fingerprint, job->groups[g]) == 0) {
                json_array_append_new(runs, json_string(run->id));
                sum = run->sum;
            }
        }
        json_array_append_new(groups, json_pack("{s:s, s:o, s:o}", "fingerprint", job->groups[g],
                                                "sum", sb_json_real(sum), "runs", runs));
    }
    return groups;
}

static json_t *shape_json(const struct sb_job *job) {
    if (!job->shape)
        return json_null();
    json_t *shape = json_array();
    for (size_t i = 0; i < job->n_shape; i++)
        json_array_append_new(shape, json_integer((json_int_t)job->shape[i]));
    return shape;
}

static json_t *job_json(const struct sb_job_result *job, enum outcome *outcome) {
    const struct sb_job *suite_job = job->plan->job;
    const struct sb_analysis *analysis = job->analysis;
    bool all_inert;
    json_t *axes = axes_json(job, &all_inert);
    SB_AUTO_TEXT struct sb_text reason = {0};
    *outcome = job_outcome(job, all_inert, &reason);
    enum sb_verdict verdict = job->skipped ? SB_VERDICT_SKIPPED
                              : analysis   ? analysis->verdict
                                           : SB_VERDICT_ERROR;
    json_t *entry = json_pack(
        "{s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:o, s:s}", "name",
        sb_json_string(suite_job->name), "id", sb_json_string(suite_job->id), "kind",
        sb_job_kind_names[suite_job->kind], "kernel", sb_json_string(suite_job->subject), "backend",
        sb_json_string(suite_job->backend), "dtype", sb_json_string(suite_job->dtype), "shape",
        shape_json(suite_job), "outcome", outcome_names[*outcome], "reason",
        sb_json_string(reason.length ? reason.data : NULL), "verdict", sb_verdict_names[verdict]);
    set_findings(entry, job);
    json_object_set_new(entry, "axes", axes);
    json_object_set_new(entry, "runs", json_integer((json_int_t)job->n_runs));
    json_object_set_new(entry, "failed", json_integer((json_int_t)count_failed(job)));
    json_object_set_new(entry, "distinct", json_integer((json_int_t)job->n_groups));
    json_object_set_new(entry, "confidence", confidence_json(analysis));
    set_magnitude(entry, job);
    json_object_set_new(entry, "witness", witness_json(job));
    json_object_set_new(entry, "culprit", json_null());
    json_object_set_new(entry, "accuracy", accuracy_json(job));
    json_object_set_new(entry, "cost", cost_json(job));
    json_object_set_new(entry, "groups", groups_json(job));
    return entry;
}

static json_t *cell_json(const struct sb_job_plan *plan, const struct sb_cell *cell) {
    json_t *json = json_object();
    for (size_t i = 0; i < plan->n_axes; i++) {
        if (plan->axes[i].n_levels)
            json_object_set_new(json, plan->axes[i].name,
                                sb_json_string(plan->axes[i].levels[cell->level[i]]));
    }
    return json;
}

static json_t *run_json(const struct sb_result_input *input, const struct sb_run *run) {
    const struct sb_job_plan *plan = &input->plan->jobs[run->job];
    json_t *json = json_pack(
        "{s:s, s:o, s:o, s:o, s:i, s:s}", "id", run->id, "job", sb_json_string(plan->job->name),
        "job_id", sb_json_string(plan->job->id), "cell", cell_json(plan, &plan->cells[run->cell]),
        "repeat", (int)run->repeat, "status", sb_status_names[run->status]);
    json_object_set_new(json, "message", sb_json_string(run->message));
    json_object_set_new(json, "exit",
                        run->exit_code >= 0 ? json_integer(run->exit_code) : json_null());
    json_object_set_new(json, "signal", run->signal ? json_integer(run->signal) : json_null());
    json_object_set_new(json, "fingerprint", sb_json_string(run->fingerprint));
    json_object_set_new(json, "sum", run->fingerprint ? sb_json_real(run->sum) : json_null());
    json_object_set_new(json, "wall_s", sb_json_real(run->wall_s));
    json_object_set_new(json, "cpu_s", sb_json_real(run->cpu_s));
    json_object_set_new(json, "max_rss_kb", json_integer(run->max_rss_kb));
    json_object_set_new(json, "observed", sb_observed_json(plan, run));
    SB_AUTO_FREE char *log = sb_format("logs/%s.log", run->id);
    json_object_set_new(json, "log", sb_json_string(log));
    return json;
}

/* DESIGN section 3: 1 wins over 77, 2 wins over 1. */
static int exit_code(const struct sb_result_input *input, const bool *seen) {
    if (input->interrupted)
        return 130;
    if (seen[OUTCOME_ERROR])
        return 2;
    if (seen[OUTCOME_FAIL])
        return 1;
    bool tested = seen[OUTCOME_PASS] || seen[OUTCOME_XFAIL] || seen[OUTCOME_XPASS];
    return tested ? 0 : 77;
}

int sb_result_build(const struct sb_result_input *input, json_t **result, struct sb_error *err) {
    bool seen[sizeof outcome_names / sizeof *outcome_names] = {false};
    SB_AUTO_JSON json_t *jobs = json_array();
    for (size_t i = 0; i < input->n_jobs; i++) {
        enum outcome outcome;
        json_array_append_new(jobs, job_json(&input->jobs[i], &outcome));
        seen[outcome] = true;
    }
    SB_AUTO_JSON json_t *runs = json_array();
    for (size_t i = 0; i < input->n_runs; i++)
        json_array_append_new(runs, run_json(input, &input->runs[i]));
    if (json_array_size(jobs) != input->n_jobs || json_array_size(runs) != input->n_runs)
        return sb_error_errno(err, -ENOMEM, "result.json");
    int code = exit_code(input, seen);
    const char *outcome = code == 0    ? "pass"
                          : code == 1  ? "fail"
                          : code == 77 ? "skipped"
                                       : "error";
    *result = json_pack(
        "{s:s, s:{s:s, s:s}, s:o, s:s, s:f, s:s, s:i, s:{s:s, s:o}, s:O?, s:O, s:O}", "schema",
        "samebits.result/1", "tool", "version", SB_VERSION, "git_commit", SB_GIT_COMMIT, "suite",
        sb_json_string(input->suite->path), "started", input->started, "elapsed_s",
        input->elapsed_s, "outcome", outcome, "exit_code", code, "isolation", "mode",
        sb_isolation_names[input->isolation], "shared", sb_json_strings(input->shared), "manifest",
        input->manifest, "jobs", jobs, "runs", runs);
    return *result ? 0 : sb_error_errno(err, -ENOMEM, "result.json");
}

int sb_result_load(const char *path, json_t **result, struct sb_error *err) {
    SB_AUTO_FREE char *inside = sb_path_join(path, "result.json");
    if (!inside)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    const char *file = access(inside, F_OK) == 0 ? inside : path;
    SB_AUTO_FREE char *text = NULL;
    size_t n;
    int rc = sb_file_read(file, (size_t)4 << 30, &text, &n, err);
    if (rc == -EISDIR)
        return sb_error_set(err, -ENOENT,
                            "%s: holds no result.json (a run that was interrupted? try --resume)",
                            path);
    if (rc < 0)
        return rc;
    json_error_t problem;
    SB_AUTO_JSON json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return sb_error_set(err, -EINVAL, "%s:%d:%d: %s", file, problem.line, problem.column,
                            problem.text);
    const char *schema = json_string_value(json_object_get(json, "schema"));
    if (!schema || strcmp(schema, "samebits.result/1") != 0)
        return sb_error_set(
            err, -EINVAL, "%s: schema '%s' is not one that this samebits reads (samebits.result/1)",
            file, schema ? schema : "none");
    *result = sb_steal_pointer(&json);
    return 0;
}
