/* cli: a job's runs as evidence for stage 6. See cli/evidence.h. */
#include "cli/evidence.h"

#include "base/cleanup.h"
#include "base/cpus.h"
#include "cli/digesting.h"
#include "cli/unsupported.h"

#include <errno.h>
#include <string.h>

static int by_id(const void *a, const void *b) {
    return strcmp((*(const struct sb_run *const *)a)->id, (*(const struct sb_run *const *)b)->id);
}

/* The group of the reference cell's first good run comes first, then each by its first run. */
static int find_groups(struct sb_job_evidence *evidence) {
    size_t group;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < evidence->n_runs && !evidence->groups.names.n; i++) {
        const struct sb_run *run = evidence->runs[i];
        if (run->status == SB_STATUS_OK && run->cell == 0)
            rc = sb_groups_find(&evidence->groups, run->fingerprint, &group);
    }
    for (size_t i = 0; rc == 0 && i < evidence->n_runs; i++) {
        const struct sb_run *run = evidence->runs[i];
        evidence->trials[i] = (struct sb_trial){.cell = run->cell, .group = -1};
        evidence->trial_run[i] = i;
        if (run->status != SB_STATUS_OK)
            continue;
        rc = sb_groups_find(&evidence->groups, run->fingerprint, &group);
        if (rc == 0)
            evidence->trials[i].group = (int)group;
    }
    return rc;
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
        evidence->implies[i] = axis->implies;
        evidence->levels[i] = axis->n_levels ? (const char *const *)axis->levels : no_level;
        evidence->n_levels[i] = axis->n_levels ? (unsigned)axis->n_levels : 1;
    }
    for (size_t c = 0; c < plan->n_cells; c++)
        evidence->cells[c] = plan->cells[c].level;
    return 0;
}

int sb_job_evidence_make(const struct sb_plan *plan, size_t job, const struct sb_run *runs,
                         size_t n_runs, uint64_t seed, char **left_out,
                         struct sb_job_evidence *evidence, struct sb_error *err) {
    const struct sb_job_plan *job_plan = &plan->jobs[job];
    *evidence = (struct sb_job_evidence){.plan = job_plan};
    evidence->runs = calloc(n_runs + 1, sizeof *evidence->runs);
    evidence->room = n_runs + 1;
    evidence->trials = calloc(evidence->room, sizeof *evidence->trials);
    evidence->trial_run = calloc(evidence->room, sizeof *evidence->trial_run);
    evidence->axes = calloc(job_plan->n_axes + 1, sizeof *evidence->axes);
    evidence->levels = calloc(job_plan->n_axes + 1, sizeof *evidence->levels);
    evidence->n_levels = calloc(job_plan->n_axes + 1, sizeof *evidence->n_levels);
    evidence->cells = calloc(job_plan->n_cells + 1, sizeof *evidence->cells);
    evidence->implies = calloc(job_plan->n_axes + 1, sizeof *evidence->implies);
    int rc = evidence->runs && evidence->trials && evidence->trial_run && evidence->axes &&
                     evidence->levels && evidence->n_levels && evidence->cells && evidence->implies
                 ? 0
                 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < n_runs; i++) {
        if (runs[i].job == job && (runs[i].status != SB_STATUS_INTERRUPTED || runs[i].lost))
            evidence->runs[evidence->n_runs++] = &runs[i];
    }
    if (rc == 0 && left_out)
        rc = sb_unsupported_leave_out(job_plan, evidence->runs, &evidence->n_runs, left_out);
    if (rc == 0) {
        qsort(evidence->runs, evidence->n_runs, sizeof *evidence->runs, by_id);
        rc = find_groups(evidence);
    }
    if (rc < 0) {
        sb_job_evidence_clear(evidence);
        return sb_error_errno(err, rc, "job '%s'", job_plan->job->id);
    }
    fill_axes(evidence);
    evidence->evidence = (struct sb_evidence){
        .n_axes = job_plan->n_axes,
        .axes = evidence->axes,
        .levels = evidence->levels,
        .n_levels = evidence->n_levels,
        .n_cells = job_plan->n_cells,
        .cells = evidence->cells,
        .fractional = job_plan->fractional,
        .implies = evidence->implies,
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
    free(evidence->implies);
    sb_groups_clear(&evidence->groups);
    *evidence = (struct sb_job_evidence){0};
}

void sb_group_comparisons_open(const struct sb_job_evidence *evidence, struct sb_folder *folder,
                               struct sb_group_comparisons *comparisons) {
    *comparisons = (struct sb_group_comparisons){.evidence = evidence, .folder = folder};
}

static int compare_groups(struct sb_group_comparisons *comparisons, size_t a, size_t b,
                          struct sb_comparison *comparison, struct sb_error *err) {
    const struct sb_job *job = comparisons->evidence->plan->job;
    const size_t sides[2] = {a, b};
    struct sb_strings_pair files[2] = {{0}};
    struct sb_weights_files weights[2] = {{0}};
    int rc = 0;
    for (int side = 0; side < 2 && rc == 0; side++) {
        rc = sb_store_find(comparisons->folder,
                           comparisons->evidence->groups.names.items[sides[side]], &files[side],
                           err);
        if (rc == -ENOENT && comparisons->partial) {
            if (!comparisons->lacking)
                comparisons->first_lacking = sides[side];
            comparisons->lacking = true;
        }
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
                                               .n_include = job->n_include,
                                               .threads =
                                                   sb_count_allowed_cpus()}; /* no run is on */
    if (rc == 0)
        rc = sb_compare_files(&weights[1], &weights[0], &options, &job->tolerance, comparison, err);
    for (int side = 0; side < 2; side++) {
        sb_digesting_prefixes_free(weights[side].prefixes, weights[side].n);
        sb_strings_pair_clear(&files[side]);
    }
    return rc;
}

static struct sb_compared_pair *find_pair(struct sb_compared_pair *pairs, size_t room, size_t a,
                                          size_t b) {
    uint64_t key = (uint64_t)a << 32 | (uint32_t)b;
    size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (room - 1);
    while (pairs[at].comparison && (pairs[at].a != a || pairs[at].b != b))
        at = (at + 1) & (room - 1);
    return &pairs[at];
}

/* The table is at most half full; what it points to stays where it is. */
static bool make_room(struct sb_group_comparisons *comparisons) {
    if (2 * comparisons->n_pairs < comparisons->room)
        return true;
    size_t room = comparisons->room ? 2 * comparisons->room : 64;
    struct sb_compared_pair *pairs = calloc(room, sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t i = 0; i < comparisons->room; i++) {
        const struct sb_compared_pair *pair = &comparisons->pairs[i];
        if (pair->comparison)
            *find_pair(pairs, room, pair->a, pair->b) = *pair;
    }
    free(comparisons->pairs);
    comparisons->pairs = pairs;
    comparisons->room = room;
    return true;
}

const struct sb_comparison *sb_group_comparison(struct sb_group_comparisons *comparisons, size_t a,
                                                size_t b) {
    struct sb_error err = {0};
    comparisons->pair_lacking = false;
    if (a >= comparisons->evidence->n_saved || b >= comparisons->evidence->n_saved)
        return NULL;
    struct sb_compared_pair *pair =
        make_room(comparisons) ? find_pair(comparisons->pairs, comparisons->room, a, b) : NULL;
    int rc = 0;
    if (pair && !pair->comparison) {
        struct sb_comparison *comparison = calloc(1, sizeof *comparison);
        if (comparison) {
            *pair = (struct sb_compared_pair){.a = a, .b = b, .comparison = comparison};
            comparisons->n_pairs++;
            rc = compare_groups(comparisons, a, b, comparison, &err);
            pair->lacking = rc == -ENOENT && comparisons->partial;
        }
    }
    if (!pair || !pair->comparison)
        rc = sb_error_errno(&err, -ENOMEM, "comparing weights");
    comparisons->pair_lacking = pair && pair->lacking;
    if (comparisons->pair_lacking)
        return NULL;
    if (rc < 0 && !comparisons->problem.text[0])
        comparisons->problem = err;
    return rc == 0 && pair->comparison->n_tensors ? pair->comparison : NULL;
}

bool sb_groups_within_tolerance(void *context, int group_a, int group_b) {
    struct sb_group_comparisons *comparisons = context;
    const struct sb_comparison *comparison =
        sb_group_comparison(comparisons, (size_t)group_b, (size_t)group_a);
    if (comparisons->pair_lacking)
        return comparisons->assumed;
    return comparison && comparison->grade <= SB_GRADE_ROUNDING;
}

void sb_group_comparisons_clear(struct sb_group_comparisons *comparisons) {
    for (size_t i = 0; i < comparisons->room; i++) {
        if (comparisons->pairs[i].comparison)
            sb_comparison_clear(comparisons->pairs[i].comparison);
        free(comparisons->pairs[i].comparison);
    }
    free(comparisons->pairs);
    *comparisons = (struct sb_group_comparisons){0};
}
