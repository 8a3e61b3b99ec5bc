/* cli: a job's runs as evidence for stage 6. See cli/evidence.h. */
#include "cli/evidence.h"

#include "base/cleanup.h"
#include "cli/digesting.h"

#include <errno.h>
#include <string.h>

static int by_id(const void *a, const void *b) {
    return strcmp((*(const struct sb_run *const *)a)->id, (*(const struct sb_run *const *)b)->id);
}

static size_t group_index(const struct sb_strings *groups, const char *fingerprint) {
    for (size_t i = 0; i < groups->n; i++) {
        if (strcmp(groups->items[i], fingerprint) == 0)
            return i;
    }
    return groups->n;
}

/* The group of the reference cell's first good run comes first, then each by its first run. */
static int find_groups(struct sb_job_evidence *evidence) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < evidence->n_runs; i++) {
            const struct sb_run *run = evidence->runs[i];
            if (run->status != SB_STATUS_OK || (pass == 0 && run->cell != 0))
                continue;
            if (group_index(&evidence->groups, run->fingerprint) == evidence->groups.n &&
                sb_strings_add(&evidence->groups, run->fingerprint) < 0)
                return -ENOMEM;
            if (pass == 0)
                break;
        }
    }
    return 0;
}

static void find_degenerate(struct sb_job_evidence *evidence) {
    bool zero = true, nan = true, untrained = true;
    size_t n = 0;
    for (size_t i = 0; i < evidence->n_runs; i++) {
        const struct sb_run *run = evidence->runs[i];
        if (run->status != SB_STATUS_OK)
            continue;
        n++;
        zero &= run->all_zero;
        nan &= run->all_nan;
        untrained &= run->untrained;
    }
    const char *reason = zero        ? "all weights are zero"
                         : nan       ? "all weights are NaN"
                         : untrained ? "the weights equal their initial values: nothing was trained"
                                     : NULL;
    evidence->evidence.degenerate = n && reason;
    evidence->evidence.degenerate_reason = reason;
}

static int fill_axes(struct sb_job_evidence *evidence) {
    static const char *const no_level[] = {""};
    const struct sb_job_plan *plan = evidence->plan;
    for (size_t i = 0; i < plan->n_axes; i++) {
        const struct sb_job_axis *axis = &plan->axes[i];
        evidence->axes[i] = axis->name;
        evidence->levels[i] = axis->n_levels ? (const char *const *)axis->levels : no_level;
        evidence->n_levels[i] = axis->n_levels ? (unsigned)axis->n_levels : 1;
    }
    for (size_t c = 0; c < plan->n_cells; c++)
        evidence->cells[c] = plan->cells[c].level;
    return 0;
}

int sb_job_evidence_make(const struct sb_plan *plan, size_t job, const struct sb_run *runs,
                         size_t n_runs, uint64_t seed, struct sb_job_evidence *evidence,
                         struct sb_error *err) {
    const struct sb_job_plan *job_plan = &plan->jobs[job];
    *evidence = (struct sb_job_evidence){.plan = job_plan};
    evidence->runs = calloc(n_runs + 1, sizeof *evidence->runs);
    evidence->trials = calloc(n_runs + 1, sizeof *evidence->trials);
    evidence->trial_run = calloc(n_runs + 1, sizeof *evidence->trial_run);
    evidence->axes = calloc(job_plan->n_axes + 1, sizeof *evidence->axes);
    evidence->levels = calloc(job_plan->n_axes + 1, sizeof *evidence->levels);
    evidence->n_levels = calloc(job_plan->n_axes + 1, sizeof *evidence->n_levels);
    evidence->cells = calloc(job_plan->n_cells + 1, sizeof *evidence->cells);
    int rc = evidence->runs && evidence->trials && evidence->trial_run && evidence->axes &&
                     evidence->levels && evidence->n_levels && evidence->cells
                 ? 0
                 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n_runs; i++) {
        if (runs[i].job == job && runs[i].status != SB_STATUS_INTERRUPTED)
            evidence->runs[evidence->n_runs++] = &runs[i];
    }
    if (rc == 0) {
        qsort(evidence->runs, evidence->n_runs, sizeof *evidence->runs, by_id);
        rc = find_groups(evidence);
    }
    if (rc < 0) {
        sb_job_evidence_clear(evidence);
        return sb_error_errno(err, rc, "job '%s'", job_plan->job->id);
    }
    fill_axes(evidence);
    for (size_t i = 0; i < evidence->n_runs; i++) {
        const struct sb_run *run = evidence->runs[i];
        bool good = run->status == SB_STATUS_OK;
        evidence->trials[i] = (struct sb_trial){
            .cell = run->cell,
            .group = good ? (int)group_index(&evidence->groups, run->fingerprint) : -1};
        evidence->trial_run[i] = i;
    }
    evidence->evidence = (struct sb_evidence){
        .n_axes = job_plan->n_axes,
        .axes = evidence->axes,
        .levels = evidence->levels,
        .n_levels = evidence->n_levels,
        .n_cells = job_plan->n_cells,
        .cells = evidence->cells,
        .fractional = job_plan->fractional,
        .trials = evidence->trials,
        .n_trials = evidence->n_runs,
        .seed = seed,
    };
    find_degenerate(evidence);
    if (sb_job_evidence_add_calls(evidence) == 0)
        return 0;
    sb_job_evidence_clear(evidence);
    return sb_error_errno(err, -ENOMEM, "job '%s'", job_plan->job->id);
}

void sb_job_evidence_clear(struct sb_job_evidence *evidence) {
    free(evidence->runs);
    free(evidence->trials);
    free(evidence->trial_run);
    free(evidence->axes);
    free(evidence->levels);
    free(evidence->n_levels);
    free(evidence->cells);
    sb_strings_clear(&evidence->groups);
    *evidence = (struct sb_job_evidence){0};
}

int sb_group_comparisons_open(const struct sb_job_evidence *evidence, struct sb_folder *folder,
                              struct sb_group_comparisons *comparisons, struct sb_error *err) {
    size_t n = evidence->groups.n;
    *comparisons = (struct sb_group_comparisons){.evidence = evidence, .folder = folder};
    comparisons->pairs = calloc(n * n + 1, sizeof *comparisons->pairs);
    comparisons->made = calloc(n * n + 1, sizeof *comparisons->made);
    if (comparisons->pairs && comparisons->made)
        return 0;
    sb_group_comparisons_clear(comparisons);
    return sb_error_errno(err, -ENOMEM, "comparing weights");
}

static int compare_groups(struct sb_group_comparisons *comparisons, size_t a, size_t b,
                          struct sb_comparison *comparison, struct sb_error *err) {
    const struct sb_job *job = comparisons->evidence->plan->job;
    const size_t sides[2] = {a, b};
    struct sb_strings_pair files[2] = {{0}};
    struct sb_weights_files weights[2] = {{0}};
    int rc = 0;
    for (int side = 0; side < 2 && rc == 0; side++) {
        rc = sb_store_find(comparisons->folder, comparisons->evidence->groups.items[sides[side]],
                           &files[side], err);
        if (rc < 0)
            break;
        weights[side] = (struct sb_weights_files){
            .paths = files[side].absolute,
            .prefixes = sb_digesting_prefixes(files[side].relative, files[side].n),
            .n = files[side].n,
        };
    }
    const struct sb_weights_options options = {.exclude = job->exclude,
                                               .n_exclude = job->n_exclude,
                                               .include = job->include,
                                               .n_include = job->n_include};
    if (rc == 0)
        rc = sb_compare_files(&weights[1], &weights[0], &options, &job->tolerance, comparison, err);
    for (int side = 0; side < 2; side++) {
        sb_digesting_prefixes_free(weights[side].prefixes, weights[side].n);
        sb_strings_pair_clear(&files[side]);
    }
    return rc;
}

const struct sb_comparison *sb_group_comparison(struct sb_group_comparisons *comparisons, size_t a,
                                                size_t b) {
    size_t n = comparisons->evidence->groups.n, i = a * n + b;
    if (a >= comparisons->evidence->n_saved || b >= comparisons->evidence->n_saved)
        return NULL;
    if (!comparisons->made[i]) {
        struct sb_error err = {0};
        comparisons->made[i] = true;
        if (compare_groups(comparisons, a, b, &comparisons->pairs[i], &err) < 0 &&
            !comparisons->problem.text[0])
            comparisons->problem = err;
    }
    return comparisons->pairs[i].n_tensors ? &comparisons->pairs[i] : NULL;
}

bool sb_groups_within_tolerance(void *context, int group_a, int group_b) {
    const struct sb_comparison *comparison =
        sb_group_comparison(context, (size_t)group_b, (size_t)group_a);
    return comparison && comparison->grade <= SB_GRADE_ROUNDING;
}

void sb_group_comparisons_clear(struct sb_group_comparisons *comparisons) {
    size_t n = comparisons->evidence ? comparisons->evidence->groups.n : 0;
    for (size_t i = 0; comparisons->pairs && i < n * n; i++)
        sb_comparison_clear(&comparisons->pairs[i]);
    free(comparisons->pairs);
    free(comparisons->made);
    *comparisons = (struct sb_group_comparisons){0};
}
