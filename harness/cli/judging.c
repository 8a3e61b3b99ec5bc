/* cli: from the runs of a plan to what result.json says of its jobs. See cli/judging.h. */
#include "cli/judging.h"

#include "base/cleanup.h"
#include "cli/culprit.h"
#include "cli/evidence.h"
#include "cli/unsupported.h"

#include <errno.h>
#include <string.h>

/* What is kept of one job between its analysis and result.json. */
struct sb_judged {
    struct sb_job_evidence evidence;
    struct sb_analysis analysis;
    struct sb_group_comparisons comparisons;
    struct sb_comparison
        *against_reference; /* [n groups]: shallow copies of what `comparisons` owns */
    char *requirements_reason, *requirements_limit;
    char *spoiled, *lacking, *left_out;
    struct sb_traced_witness traced;
};

static void judged_clear(struct sb_judged *judged) {
    sb_group_comparisons_clear(&judged->comparisons);
    sb_analysis_clear(&judged->analysis);
    sb_job_evidence_clear(&judged->evidence);
    free(judged->against_reference);
    free(judged->requirements_reason);
    free(judged->requirements_limit);
    free(judged->spoiled);
    free(judged->lacking);
    free(judged->left_out);
    sb_traced_witness_clear(&judged->traced);
}

void sb_judged_free(struct sb_judged *judged, struct sb_job_result *jobs, size_t n) {
    for (size_t i = 0; judged && i < n; i++)
        judged_clear(&judged[i]);
    free(judged);
    free(jobs);
}

/* What a backend said to every run of a job: that it cannot do this. NULL: not to every one. */
static const char *unsupported(const struct sb_job_evidence *evidence) {
    const char *why = NULL;
    for (size_t i = 0; i < evidence->n_runs; i++) {
        why = sb_run_unsupported(evidence->runs[i]);
        if (!why)
            return NULL;
    }
    return why;
}

static int compare_with_reference(struct sb_judged *judged, struct sb_job_result *result,
                                  struct sb_error *err) {
    size_t n = judged->evidence.groups.names.n;
    judged->against_reference = calloc(n + 1, sizeof *judged->against_reference);
    if (!judged->against_reference)
        return sb_error_errno(err, -ENOMEM, "comparing weights");
    for (size_t i = 1; i < n && i <= SB_MOST_COMPARED; i++) {
        const struct sb_comparison *one = sb_group_comparison(&judged->comparisons, 0, i);
        if (one)
            judged->against_reference[i] = *one;
    }
    result->groups = (const char *const *)judged->evidence.groups.names.items;
    result->n_groups = n;
    result->comparisons = judged->against_reference;
    return 0;
}

static bool judge_requirements(struct sb_judged *judged, const struct sb_job *job) {
    free(judged->requirements_reason);
    free(judged->requirements_limit);
    judged->requirements_reason = judged->requirements_limit = NULL;
    return sb_requirements_met(&judged->evidence.evidence, job, sb_groups_within_tolerance,
                               &judged->comparisons, &judged->requirements_reason,
                               &judged->requirements_limit);
}

/* Pairs of which weights are lacking are taken to be within tolerance, and then not to be: a
 * requirement that is met in the one case alone cannot be judged. */
static void require(struct sb_judged *judged, const struct sb_job *job,
                    struct sb_job_result *result) {
    judged->comparisons.assumed = true;
    result->requirements_met = judge_requirements(judged, job);
    if (result->requirements_met && judged->comparisons.lacking) {
        judged->comparisons.assumed = false;
        if (!judge_requirements(judged, job)) {
            free(judged->requirements_reason);
            judged->requirements_reason = NULL;
            judged->spoiled = sb_format(
                "whether differences are rounding cannot be judged: "
                "weights are lacking");
        }
    }
    result->requirements_reason = judged->requirements_reason;
    result->requirements_limit = judged->requirements_limit;
}

static void say_problems(struct sb_judged *judged, struct sb_job_result *result) {
    const struct sb_group_comparisons *comparisons = &judged->comparisons;
    if (comparisons->lacking)
        judged->lacking = sb_format(
            "the weights of %s are not there: how large some differences "
            "are is not known",
            judged->evidence.groups.names.items[comparisons->first_lacking]);
    result->lacking = judged->lacking;
    if (comparisons->problem.text[0]) {
        free(judged->spoiled);
        judged->spoiled = sb_format("weights could not be compared: %s", comparisons->problem.text);
    }
    result->spoiled = judged->spoiled;
}

static int judge_job(const struct sb_judging *judging, size_t job, struct sb_judged *judged,
                     struct sb_job_result *result, struct sb_error *err) {
    const struct sb_job_plan *plan = &judging->plan->jobs[job];
    *result = (struct sb_job_result){
        .plan = plan, .skipped = judging->skipped[job], .requirements_met = true};
    int rc = sb_job_evidence_make(judging->plan, job, judging->runs, judging->n_runs, judging->seed,
                                  &judged->left_out, &judged->evidence, err);
    if (rc < 0)
        return rc;
    const struct sb_job_evidence *evidence = &judged->evidence;
    result->runs = evidence->runs;
    result->n_runs = evidence->n_runs;
    result->stopped = judging->stopped;
    result->left_out = judged->left_out;
    if (!evidence->n_runs) {
        if (!result->skipped)
            result->skipped = judging->why_no_runs(judging->context, job);
        return 0;
    }
    if (!result->skipped)
        result->skipped = unsupported(evidence);
    rc = sb_analyse(&evidence->evidence, &judged->analysis, err);
    if (rc < 0)
        return rc;
    sb_group_comparisons_open(evidence, judging->folder, &judged->comparisons);
    judged->comparisons.partial = judging->partial;
    result->analysis = &judged->analysis;
    result->trial_run = evidence->trial_run;
    rc = compare_with_reference(judged, result, err);
    if (rc < 0)
        return rc;
    require(judged, plan->job, result);
    sb_traced_witness_read(judging->folder, result, &judged->traced);
    say_problems(judged, result);
    return 0;
}

int sb_judge(const struct sb_judging *judging, struct sb_judged **judged,
             struct sb_job_result **jobs, struct sb_error *err) {
    size_t n = judging->plan->n_jobs;
    *judged = calloc(n + 1, sizeof **judged);
    *jobs = calloc(n + 1, sizeof **jobs);
    int rc = *judged && *jobs ? 0 : sb_error_errno(err, -ENOMEM, "result.json");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = judge_job(judging, i, &(*judged)[i], &(*jobs)[i], err);
    return rc;
}

void sb_judged_spoil(struct sb_judged *judged, struct sb_job_result *jobs, size_t job,
                     char *changed) {
    free(judged[job].spoiled);
    jobs[job].spoiled = jobs[job].inputs_changed = judged[job].spoiled = changed;
}
