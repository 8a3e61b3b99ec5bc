/* Tests of result.json: a job of constructed plans, runs and analyses, and looking at what comes of
 * it. */
#ifndef SB_REPORT_TESTS_RESULT_FIXTURE_H
#define SB_REPORT_TESTS_RESULT_FIXTURE_H

#include "base/cleanup.h"
#include "report/result.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Literals stand for texts that their structs own elsewhere; nothing here writes to them. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

/* ---- A job to build from ----------------------------------------------------------------------
 */

/* Axes of the tests are observed through what runs say of their host name, and folder. */
static inline char *observe_hostname(const char *name, const char *level,
                                     const struct sb_observation *seen) {
    (void)name, (void)level;
    return seen->hostname ? strdup(seen->hostname) : NULL;
}

static inline char *observe_cwd(const char *name, const char *level,
                                const struct sb_observation *seen) {
    (void)name, (void)level;
    return seen->cwd ? strdup(seen->cwd) : NULL;
}

static const struct sb_axis by_hostname = {.name = "first", .observe = observe_hostname};
static const struct sb_axis by_cwd = {.name = "second", .observe = observe_cwd};
static const struct sb_axis unseen = {.name = "third"};

enum { MOST_RUNS = 64, MOST_CELLS = 16 };

/* Two axes of two levels, full design: cell c has levels c / 2 and c % 2. */
struct fixture {
    struct sb_job job;
    struct sb_suite suite;
    struct sb_job_axis axes[3];
    unsigned levels[MOST_CELLS][3];
    struct sb_cell cells[MOST_CELLS];
    struct sb_job_plan plan;
    struct sb_plan whole;
    struct sb_run runs[MOST_RUNS];
    const struct sb_run *run_pointers[MOST_RUNS];
    size_t trial_run[MOST_RUNS];
    size_t n_runs;
    struct sb_axis_finding findings[3];
    sb_mask classes[3][4], unstable_levels[3], explanations[4];
    struct sb_condition conditions[2];
    struct sb_analysis analysis;
    const char *groups[8];
    struct sb_job_result result;
    struct sb_result_input input;
};

static char *levels_of_first[] = {"1", "2", NULL};
static char *levels_of_second[] = {"off", "on", NULL};
static const char *const fingerprints[] = {"xxh3:aa", "xxh3:bb", "xxh3:cc"};

static inline void begin(struct fixture *f) {
    memset(f, 0, sizeof *f);
    f->job = (struct sb_job){.name = "job", .id = "job/ref", .kind = SB_JOB_COMMAND};
    f->suite = (struct sb_suite){.path = "suites/a.yaml", .jobs = &f->job, .n_jobs = 1};
    f->axes[0] = (struct sb_job_axis){.axis = &by_hostname,
                                      .name = "threads",
                                      .levels = levels_of_first,
                                      .n_levels = 2,
                                      .written = levels_of_first,
                                      .n_written = 2};
    f->axes[1] = (struct sb_job_axis){.axis = &by_cwd,
                                      .name = "deterministic",
                                      .levels = levels_of_second,
                                      .n_levels = 2,
                                      .written = levels_of_second,
                                      .n_written = 2};
    for (unsigned c = 0; c < MOST_CELLS; c++) {
        f->levels[c][0] = c / 2 % 2;
        f->levels[c][1] = c % 2;
        f->cells[c].level = f->levels[c];
    }
    f->plan = (struct sb_job_plan){
        .job = &f->job, .axes = f->axes, .n_axes = 2, .cells = f->cells, .n_cells = 4};
    f->whole = (struct sb_plan){.suite = &f->suite, .jobs = &f->plan, .n_jobs = 1};
    for (int i = 0; i < 3; i++) {
        f->findings[i] =
            (struct sb_axis_finding){.classes = f->classes[i], .n_classes = 1, .compared = true};
        f->classes[i][0] = 3;
    }
    f->analysis = (struct sb_analysis){.verdict = SB_VERDICT_BITWISE,
                                       .depends_known = true,
                                       .explanations = f->explanations,
                                       .n_explanations = 1,
                                       .conditions = f->conditions,
                                       .unstable_levels = f->unstable_levels,
                                       .axes = f->findings,
                                       .n_axes = 2,
                                       .replays = 8,
                                       .max_mismatch_rate_95 = 0.31,
                                       .dependence_p = NAN,
                                       .witness_a = SIZE_MAX,
                                       .witness_b = SIZE_MAX};
    f->groups[0] = fingerprints[0];
    f->result = (struct sb_job_result){.plan = &f->plan,
                                       .analysis = &f->analysis,
                                       .runs = f->run_pointers,
                                       .trial_run = f->trial_run,
                                       .groups = f->groups,
                                       .n_groups = 1,
                                       .requirements_met = true};
    f->input = (struct sb_result_input){.suite = &f->suite,
                                        .plan = &f->whole,
                                        .jobs = &f->result,
                                        .n_jobs = 1,
                                        .runs = f->runs,
                                        .isolation = SB_ISOLATE_OVERLAY,
                                        .started = "2024-02-29T12:00:00Z",
                                        .elapsed_s = 1.5};
}

static inline struct sb_run *add_run(struct fixture *f, size_t cell, int group) {
    struct sb_run *run = &f->runs[f->n_runs];
    snprintf(run->id, sizeof run->id, "r%05zu", f->n_runs + 1);
    run->cell = cell;
    run->repeat = 1;
    run->status = group < 0 ? SB_STATUS_CRASHED : SB_STATUS_OK;
    run->exit_code = group < 0 ? 1 : 0;
    run->fingerprint = group < 0 ? NULL : (char *)fingerprints[group];
    run->sum = 2.5 + group;
    run->accuracy = NAN;
    run->wall_s = 1;
    run->seen.n_samples = 1;
    run->seen.hostname = levels_of_first[f->levels[cell][0]];
    run->seen.cwd = levels_of_second[f->levels[cell][1]];
    f->run_pointers[f->n_runs] = run;
    f->trial_run[f->n_runs] = f->n_runs;
    f->n_runs++;
    f->result.n_runs = f->input.n_runs = f->n_runs;
    return run;
}

static inline void add_full_design(struct fixture *f) {
    for (size_t i = 0; i < 8; i++)
        add_run(f, i % 4, 0);
}

static inline json_t *build(const struct fixture *f) {
    json_t *result = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_result_build(&f->input, &result, &err) == 0, "%s", err.text);
    return result;
}

/* ---- Looking at it ----------------------------------------------------------------------------
 */

static const json_t *at(const json_t *json, const char *path) {
    SB_AUTO_FREE char *copy = strdup(path);
    char *rest = copy;
    for (char *part; json && (part = strsep(&rest, "."));)
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
    return json;
}

/* The value at the path as JSON text is `expected`. */
static inline void is(const json_t *result, const char *path, const char *expected) {
    const json_t *value = at(result, path);
    SB_AUTO_FREE char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    ck_assert_msg(text && strcmp(text, expected) == 0, "%s is %s, not %s", path,
                  text ? text : "not there", expected);
}

static inline void reason_holds(const json_t *result, const char *part) {
    const char *reason = json_string_value(at(result, "jobs.0.reason"));
    ck_assert_msg(reason && strstr(reason, part), "reason: %s, without: %s",
                  reason ? reason : "null", part);
}

static inline void ends(const json_t *result, const char *job, const char *outcome, int code) {
    ck_assert_str_eq(json_string_value(at(result, "jobs.0.outcome")), job);
    ck_assert_str_eq(json_string_value(at(result, "outcome")), outcome);
    ck_assert_int_eq(json_integer_value(at(result, "exit_code")), code);
}

#endif
