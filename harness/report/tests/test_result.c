/* result.json from constructed plans, runs and analyses. */
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
static char *observe_hostname(const char *name, const char *level,
                              const struct sb_observation *seen) {
    (void)name, (void)level;
    return seen->hostname ? strdup(seen->hostname) : NULL;
}

static char *observe_cwd(const char *name, const char *level, const struct sb_observation *seen) {
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

static void begin(struct fixture *f) {
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
        f->findings[i] = (struct sb_axis_finding){.classes = f->classes[i], .n_classes = 1};
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

static struct sb_run *add_run(struct fixture *f, size_t cell, int group) {
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

static void add_full_design(struct fixture *f) {
    for (size_t i = 0; i < 8; i++)
        add_run(f, i % 4, 0);
}

static json_t *build(const struct fixture *f) {
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
static void is(const json_t *result, const char *path, const char *expected) {
    const json_t *value = at(result, path);
    SB_AUTO_FREE char *text =
        value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    ck_assert_msg(text && strcmp(text, expected) == 0, "%s is %s, not %s", path,
                  text ? text : "not there", expected);
}

static void reason_holds(const json_t *result, const char *part) {
    const char *reason = json_string_value(at(result, "jobs.0.reason"));
    ck_assert_msg(reason && strstr(reason, part), "reason: %s, without: %s",
                  reason ? reason : "null", part);
}

static void ends(const json_t *result, const char *job, const char *outcome, int code) {
    ck_assert_str_eq(json_string_value(at(result, "jobs.0.outcome")), job);
    ck_assert_str_eq(json_string_value(at(result, "outcome")), outcome);
    ck_assert_int_eq(json_integer_value(at(result, "exit_code")), code);
}

/* ---- The contract -----------------------------------------------------------------------------
 */

static void has_keys(const json_t *json, const char *const *keys) {
    for (; *keys; keys++)
        ck_assert_msg(json_object_get(json, *keys), "no '%s'", *keys);
}

static const char *const job_keys[] = {
    "name",    "kind",     "kernel",     "backend",      "dtype",      "shape",         "outcome",
    "reason",  "verdict",  "depends_on", "explanations", "conditions", "unstable_when", "axes",
    "runs",    "failed",   "distinct",   "confidence",   "grade",      "worst",         "witness",
    "culprit", "accuracy", "cost",       "groups",       NULL};
static const char *const run_keys[] = {"id",    "job",        "cell",        "repeat", "status",
                                       "exit",  "signal",     "fingerprint", "sum",    "wall_s",
                                       "cpu_s", "max_rss_kb", "observed",    "log",    NULL};
static const char *const top_keys[] = {"schema",    "tool",    "suite",     "started",
                                       "elapsed_s", "outcome", "exit_code", "isolation",
                                       "manifest",  "jobs",    "runs",      NULL};
static const char *const worst_keys[] = {"tensor",  "index", "max_abs", "max_rel",
                                         "max_ulp", "share", NULL};

START_TEST(every_key_of_the_contract_is_there_whatever_happened)
{
    struct fixture f;
    for (int what = 0; what < 4; what++) {
        begin(&f);
        add_run(&f, 0, what == 1 ? -1 : 0);
        if (what == 1)
            f.result.analysis = NULL;
        if (what == 2)
            f.result.skipped = "backend 'cublas': not built", f.result.analysis = NULL;
        if (what == 3)
            f.result.runs = NULL, f.result.n_runs = f.input.n_runs = f.input.n_jobs = 0;
        SB_AUTO_JSON json_t *result = build(&f);
        has_keys(result, top_keys);
        is(result, "schema", "\"samebits.result/1\"");
        is(result, "isolation", "{\"mode\":\"overlay\",\"shared\":[]}");
        if (what == 3)
            continue;
        has_keys(at(result, "jobs.0"), job_keys);
        has_keys(at(result, "runs.0"), run_keys);
        static const char *const confidence[] = {"replays", "max_mismatch_rate_95", "dependence_p",
                                                 NULL};
        has_keys(at(result, "jobs.0.confidence"), confidence);
        static const char *const axis[] = {"name", "levels", "observed", "classes", "effect", NULL};
        has_keys(at(result, "jobs.0.axes.0"), axis);
    }
}
END_TEST

START_TEST(a_kernel_job_names_operation_backend_dtype_and_shape)
{
    struct fixture f;
    size_t shape[] = {33, 1000, 77};
    begin(&f);
    add_full_design(&f);
    f.job.kind = SB_JOB_KERNEL;
    f.job.subject = "gemm";
    f.job.backend = "ref";
    f.job.dtype = "f32";
    f.job.shape = shape;
    f.job.n_shape = 3;
    f.runs[2].accuracy = 3e-7;
    f.runs[3].accuracy = 1e-7;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.kind", "\"kernel\"");
    is(result, "jobs.0.kernel", "\"gemm\"");
    is(result, "jobs.0.backend", "\"ref\"");
    is(result, "jobs.0.shape", "[33,1000,77]");
    is(result, "jobs.0.accuracy", "{\"max_rel_vs_f64\":3e-7}");
}
END_TEST

START_TEST(a_run_says_how_it_ended)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.runs[1].status = SB_STATUS_CRASHED;
    f.runs[1].exit_code = -1;
    f.runs[1].signal = 11;
    f.runs[1].fingerprint = NULL;
    f.runs[1].message = "\xff";
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "runs.0.cell", "{\"threads\":\"1\",\"deterministic\":\"off\"}");
    is(result, "runs.0.log", "\"logs/r00001.log\"");
    is(result, "runs.0.exit", "0");
    is(result, "runs.0.signal", "null");
    is(result, "runs.0.fingerprint", "\"xxh3:aa\"");
    is(result, "runs.1.status", "\"crashed\"");
    is(result, "runs.1.exit", "null");
    is(result, "runs.1.signal", "11");
    is(result, "runs.1.fingerprint", "null");
    is(result, "runs.1.sum", "null");
    is(result, "runs.1.message", "\"\\\\xff\"");
}
END_TEST

/* ---- Outcomes and exit codes ------------------------------------------------------------------
 */

START_TEST(a_job_that_meets_its_requirements_passes)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "pass", "pass", 0);
    is(result, "jobs.0.reason", "null");
    is(result, "jobs.0.grade", "\"identical\"");
    is(result, "jobs.0.worst", "null");
    is(result, "jobs.0.witness", "null");
    is(result, "jobs.0.depends_on", "[]");
    is(result, "jobs.0.explanations", "[]");
}
END_TEST

START_TEST(a_divergence_that_is_not_allowed_fails)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.analysis.verdict = SB_VERDICT_CONFIG_DEPENDENT;
    f.result.requirements_met = false;
    f.result.requirements_reason = "threads: 1 and 2 differ";
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "fail", "fail", 1);
    reason_holds(result, "threads: 1 and 2 differ");
}
END_TEST

START_TEST(a_failed_run_is_an_error_and_wins_over_a_divergence)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    add_run(&f, 0, -1)->message = "exit 1";
    f.result.requirements_met = false;
    f.result.requirements_reason = "repeats differ";
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "error", "error", 2);
    is(result, "jobs.0.failed", "1");
    is(result, "jobs.0.runs", "9");
    reason_holds(result, "1 of 9 runs failed: r00009 crashed (exit 1)");
    reason_holds(result, "repeats differ");
}
END_TEST

START_TEST(too_little_evidence_is_an_error_whatever_is_required)
{
    struct fixture f;
    for (int met = 0; met < 2; met++) {
        begin(&f);
        add_full_design(&f);
        f.analysis.verdict = SB_VERDICT_INCONCLUSIVE;
        f.analysis.reason = "no cell ran twice";
        f.result.requirements_met = met;
        SB_AUTO_JSON json_t *result = build(&f);
        ends(result, "error", "error", 2);
        is(result, "jobs.0.verdict", "\"inconclusive\"");
        reason_holds(result, "no cell ran twice");
    }
}
END_TEST

START_TEST(inputs_that_changed_are_an_error)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.result.spoiled = "data/x changed";
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "error", "error", 2);
    reason_holds(result, "data/x changed");
}
END_TEST

START_TEST(a_skipped_job_alone_is_77)
{
    struct fixture f;
    begin(&f);
    f.result.skipped = "backend 'cublas': not built";
    f.result.analysis = NULL;
    f.result.n_groups = 0;
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "skipped", "skipped", 77);
    is(result, "jobs.0.verdict", "\"skipped\"");
    is(result, "jobs.0.depends_on", "null");
    is(result, "jobs.0.grade", "null");
}
END_TEST

START_TEST(an_interruption_is_130_whatever_was_found)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.input.interrupted = true;
    f.result.requirements_met = false;
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "fail", "error", 130);
}
END_TEST

/* Outcomes of several jobs that make one exit code. */
START_TEST(two_wins_over_one_and_one_over_77)
{
    static const struct {
        const char *jobs; /* p: pass, f: fail, e: error, s: skipped, c: a control that fired */
        int code;
    } cases[] = {{"", 77},  {"s", 77}, {"ss", 77}, {"sp", 0}, {"sc", 0},    {"c", 0},
                 {"pf", 1}, {"sf", 1}, {"fe", 2},  {"ef", 2}, {"spfec", 2}, {"se", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct sb_job_result jobs[8];
        struct sb_job_plan plans[8];
        struct sb_job control;
        struct sb_analysis race;
        begin(&f);
        add_full_design(&f);
        control = f.job;
        control.expect = SB_EXPECT_NONDETERMINISTIC;
        race = f.analysis;
        race.verdict = SB_VERDICT_NONDETERMINISTIC;
        size_t n = strlen(cases[i].jobs);
        for (size_t k = 0; k < n; k++) {
            char kind = cases[i].jobs[k];
            plans[k] = f.plan;
            jobs[k] = f.result;
            jobs[k].plan = &plans[k];
            jobs[k].requirements_met = kind != 'f';
            jobs[k].spoiled = kind == 'e' ? "spoiled" : NULL;
            jobs[k].skipped = kind == 's' ? "skipped" : NULL;
            if (kind == 'c') {
                plans[k].job = &control;
                jobs[k].analysis = &race;
            }
        }
        f.input.jobs = jobs;
        f.input.n_jobs = n;
        SB_AUTO_JSON json_t *result = build(&f);
        ck_assert_msg(json_integer_value(at(result, "exit_code")) == cases[i].code, "%s",
                      cases[i].jobs);
    }
}
END_TEST

START_TEST(controls_fire_or_are_not_demonstrated_and_neither_fails)
{
    static const struct {
        enum sb_expect expect;
        enum sb_verdict verdict;
        sb_mask depends_on;
        const char *outcome;
    } cases[] = {
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_NONDETERMINISTIC, 0, "xfail"},
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_BITWISE, 0, "xpass"},
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_CONFIG_DEPENDENT, 1, "xpass"},
        {SB_EXPECT_CONFIG_DEPENDENT, SB_VERDICT_CONFIG_DEPENDENT, 1, "xfail"},
        {SB_EXPECT_CONFIG_DEPENDENT, SB_VERDICT_NONDETERMINISTIC, 1, "xfail"},
        {SB_EXPECT_CONFIG_DEPENDENT, SB_VERDICT_NONDETERMINISTIC, 0, "xpass"},
        {SB_EXPECT_CONFIG_DEPENDENT, SB_VERDICT_BITWISE, 0, "xpass"},
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_INCONCLUSIVE, 1, "xpass"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        add_full_design(&f);
        f.job.expect = cases[i].expect;
        f.analysis.verdict = cases[i].verdict;
        f.analysis.depends_on = cases[i].depends_on;
        f.groups[1] = fingerprints[1];
        f.result.n_groups = 2;
        f.result.requirements_met = false; /* what diverges as it must is not judged by them */
        SB_AUTO_JSON json_t *result = build(&f);
        ends(result, cases[i].outcome, "pass", 0);
        if (strcmp(cases[i].outcome, "xpass") == 0)
            reason_holds(result, "not demonstrated here");
    }
}
END_TEST

START_TEST(a_control_that_could_show_nothing_is_an_error)
{
    struct fixture f;
    for (int never_twice = 0; never_twice < 2; never_twice++) {
        begin(&f);
        add_full_design(&f);
        f.job.expect = SB_EXPECT_NONDETERMINISTIC;
        f.analysis.verdict = SB_VERDICT_INCONCLUSIVE;
        f.analysis.reason = "all weights are zero";
        if (never_twice)
            f.analysis.replays = 0, f.groups[1] = fingerprints[1], f.result.n_groups = 2;
        SB_AUTO_JSON json_t *result = build(&f);
        ends(result, "error", "error", 2);
    }
}
END_TEST

/* ---- Axes -------------------------------------------------------------------------------------
 */

START_TEST(an_axis_that_was_observed_and_changes_nothing_is_none)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0",
       "{\"name\":\"threads\",\"levels\":[\"1\",\"2\"],\"observed\":[\"1\",\"2\"],"
       "\"classes\":[[\"1\",\"2\"]],\"effect\":\"none\"}");
}
END_TEST

START_TEST(an_axis_that_decides_the_bits_is_bits)
{
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < 8; i++)
        add_run(&f, i % 4, i % 4 >= 2);
    f.groups[1] = fingerprints[1];
    f.result.n_groups = 2;
    f.analysis.verdict = SB_VERDICT_CONFIG_DEPENDENT;
    f.analysis.depends_on = 1;
    f.analysis.witness_a = 0;
    f.analysis.witness_b = 2;
    f.analysis.witness_axes = 1;
    f.findings[0].has_effect = true;
    f.findings[0].n_classes = 2;
    f.classes[0][0] = 1;
    f.classes[0][1] = 2;
    f.analysis.n_conditions = 1;
    f.conditions[0] = (struct sb_condition){.axis = 0, .when = 1, .levels = 2};
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"bits\"");
    is(result, "jobs.0.axes.0.classes", "[[\"1\"],[\"2\"]]");
    is(result, "jobs.0.axes.1.effect", "\"none\"");
    is(result, "jobs.0.depends_on", "[\"threads\"]");
    is(result, "jobs.0.explanations", "[]");
    is(result, "jobs.0.witness",
       "{\"a\":\"r00001\",\"b\":\"r00003\",\"differs_in\":[\"threads\"]}");
    is(result, "jobs.0.conditions",
       "[{\"axis\":\"threads\",\"when\":{\"deterministic\":[\"on\"]}}]");
    is(result, "jobs.0.groups",
       "[{\"fingerprint\":\"xxh3:aa\",\"sum\":2.5,\"runs\":[\"r00001\",\"r00002\",\"r00005\","
       "\"r00006\"]},{\"fingerprint\":\"xxh3:bb\",\"sum\":3.5,\"runs\":[\"r00003\",\"r00004\","
       "\"r00007\",\"r00008\"]}]");
}
END_TEST

START_TEST(an_axis_whose_levels_were_provably_alike_is_inert)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < f.n_runs; i++)
        f.runs[i].seen.hostname = "1";
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"inert\"");
    is(result, "jobs.0.axes.0.observed", "[\"1\",\"1\"]");
    is(result, "jobs.0.axes.1.effect", "\"none\"");
    ends(result, "pass", "pass", 0);
}
END_TEST

START_TEST(where_every_axis_is_inert_nothing_was_tested)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < f.n_runs; i++)
        f.runs[i].seen.hostname = f.runs[i].seen.cwd = "1";
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "skipped", "skipped", 77);
    is(result, "jobs.0.verdict", "\"bitwise\"");
    reason_holds(result, "every axis is inert");
}
END_TEST

START_TEST(a_divergence_beside_inert_axes_fails_all_the_same)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < f.n_runs; i++)
        f.runs[i].seen.hostname = f.runs[i].seen.cwd = "1";
    f.analysis.verdict = SB_VERDICT_NONDETERMINISTIC;
    f.analysis.depends_known = false;
    f.findings[0].n_classes = f.findings[1].n_classes = 0; /* no stable cell to compare */
    f.result.requirements_met = false;
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "fail", "fail", 1);
    is(result, "jobs.0.axes.0.effect", "\"unknown\"");
}
END_TEST

START_TEST(an_axis_that_cannot_be_observed_is_unknown_and_never_inert)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.runs[3].seen.hostname = NULL; /* one run of level 2: the other still tells */
    f.axes[1].axis = &unseen;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"none\"");
    is(result, "jobs.0.axes.1.effect", "\"unknown\"");
    is(result, "jobs.0.axes.1.observed", "[\"unknown\",\"unknown\"]");
}
END_TEST

START_TEST(levels_that_were_not_compared_are_unknown)
{
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < 4; i++)
        add_run(&f, i % 2, 0); /* threads=2 never ran */
    f.findings[0].n_classes = 0;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"unknown\"");
    is(result, "jobs.0.axes.0.observed", "[\"1\",\"unknown\"]");
    is(result, "jobs.0.axes.1.effect", "\"none\"");
}
END_TEST

START_TEST(in_a_fractional_design_none_holds_for_the_cells_that_ran)
{
    struct fixture f;
    begin(&f);
    add_run(&f, 0, 0), add_run(&f, 3, 0), add_run(&f, 0, 0), add_run(&f, 3, 0);
    f.plan.fractional = true;
    f.findings[0].n_classes = f.findings[1].n_classes = 0; /* never met under equal others */
    f.analysis.scope_cells_run = true;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.scope", "\"cells run\"");
    is(result, "jobs.0.axes.0.effect", "\"none\"");
    is(result, "jobs.0.axes.0.scope", "\"cells run\"");
}
END_TEST

START_TEST(an_axis_of_one_level_is_fixed_and_one_that_cannot_be_varied_says_why)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.axes[0].n_levels = 1;
    f.axes[0].n_written = 1;
    f.axes[1].n_levels = 0;
    f.axes[1].unavailable = "deterministic: not here";
    for (size_t i = 0; i < 4; i++)
        f.levels[i][0] = f.levels[i][1] = 0;
    f.classes[0][0] = f.classes[1][0] = 1;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"fixed\"");
    is(result, "jobs.0.axes.1.effect", "\"fixed\"");
    is(result, "jobs.0.axes.1.levels", "[]");
    is(result, "jobs.0.axes.1.classes", "[]");
    is(result, "jobs.0.axes.1.unavailable", "\"deterministic: not here\"");
    is(result, "runs.0.cell", "{\"threads\":\"1\"}");
    ends(result, "skipped", "skipped", 77); /* the one axis to be varied could not be */
}
END_TEST

START_TEST(a_job_that_only_repeats_is_tested)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (int i = 0; i < 2; i++)
        f.axes[i].n_levels = f.axes[i].n_written = 1, f.classes[i][0] = 1;
    for (size_t i = 0; i < 4; i++)
        f.levels[i][0] = f.levels[i][1] = 0;
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "pass", "pass", 0);
}
END_TEST

/* ---- Instability and explanations -------------------------------------------------------------
 */

START_TEST(unstable_when_maps_axes_to_levels_or_is_empty_or_null)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.analysis.verdict = SB_VERDICT_NONDETERMINISTIC;
    f.analysis.unstable_known = true;
    f.analysis.unstable_axes = 3;
    f.unstable_levels[0] = 2;
    f.unstable_levels[1] = 1;
    SB_AUTO_JSON json_t *two = build(&f);
    is(two, "jobs.0.unstable_when", "{\"threads\":[\"2\"],\"deterministic\":[\"off\"]}");
    f.analysis.unstable_axes = 0;
    SB_AUTO_JSON json_t *every = build(&f);
    is(every, "jobs.0.unstable_when", "{}");
    f.analysis.unstable_known = false;
    SB_AUTO_JSON json_t *none = build(&f);
    is(none, "jobs.0.unstable_when", "null");
    f.analysis.verdict = SB_VERDICT_BITWISE;
    f.analysis.unstable_known = true;
    SB_AUTO_JSON json_t *stable = build(&f);
    is(stable, "jobs.0.unstable_when", "null");
}
END_TEST

START_TEST(several_explanations_are_listed_and_none_is_chosen)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.analysis.verdict = SB_VERDICT_INCONCLUSIVE;
    f.analysis.depends_known = false;
    f.explanations[0] = 1;
    f.explanations[1] = 2;
    f.analysis.n_explanations = 2;
    f.findings[0].n_classes = 0;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.depends_on", "null");
    is(result, "jobs.0.explanations", "[[\"threads\"],[\"deterministic\"]]");
    is(result, "jobs.0.axes.0.effect", "\"unknown\"");
}
END_TEST

START_TEST(an_effect_that_may_be_luck_is_unknown)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.analysis.verdict = SB_VERDICT_INCONCLUSIVE;
    f.analysis.depends_on = 1;
    f.analysis.dependence_p = 0.3;
    f.findings[0].n_classes = 2;
    f.classes[0][0] = 1, f.classes[0][1] = 2;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.axes.0.effect", "\"unknown\"");
    is(result, "jobs.0.confidence",
       "{\"replays\":8,\"max_mismatch_rate_95\":0.31,\"dependence_p\":0.3}");
}
END_TEST

/* ---- Magnitude --------------------------------------------------------------------------------
 */

START_TEST(the_worst_of_all_groups_is_named)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    struct sb_tensor_difference small = {.info = {.name = "a", .rank = 1},
                                         .state = SB_TENSOR_DIFFERS,
                                         .max_ulp = 900,
                                         .grade = SB_GRADE_ROUNDING};
    struct sb_tensor_difference large = {.info = {.name = "b", .rank = 2},
                                         .state = SB_TENSOR_DIFFERS,
                                         .max_ulp = 3,
                                         .max_abs = 0.5,
                                         .max_rel = INFINITY,
                                         .share = 0.25,
                                         .first = {1, 2},
                                         .worst = {3, 4},
                                         .shape = SB_SHAPE_UNRELATED};
    struct sb_comparison comparisons[3] = {
        {.n_tensors = 0},
        {.tensors = &small, .n_tensors = 1, .n_different = 1, .grade = SB_GRADE_ROUNDING},
        {.tensors = &large, .n_tensors = 1, .n_different = 1, .grade = SB_GRADE_DIVERGENT}};
    f.groups[1] = fingerprints[1];
    f.groups[2] = fingerprints[2];
    f.result.n_groups = 3;
    f.result.comparisons = comparisons;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.grade", "\"divergent\"");
    is(result, "jobs.0.worst",
       "{\"tensor\":\"b\",\"index\":[1,2],\"worst_index\":[3,4],\"max_abs\":0.5,"
       "\"max_rel\":\"inf\",\"max_ulp\":3.0,\"share\":0.25,\"shape_of_difference\":\"unrelated\"}");
    large.state = SB_TENSOR_ONLY_B;
    SB_AUTO_JSON json_t *missing = build(&f);
    has_keys(at(missing, "jobs.0.worst"), worst_keys);
    is(missing, "jobs.0.worst.difference", "\"only in the reference\"");
    is(missing, "jobs.0.worst.index", "null");
    f.result.comparisons = NULL; /* weights that could not be read again */
    SB_AUTO_JSON json_t *unknown = build(&f);
    is(unknown, "jobs.0.grade", "null");
    is(unknown, "jobs.0.worst", "null");
}
END_TEST

START_TEST(the_cost_of_the_flag_compares_runs_that_differ_in_it_alone)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    /* threads=2 is ten times faster; the flag costs a fifth. */
    for (size_t i = 0; i < f.n_runs; i++)
        f.runs[i].wall_s = (f.runs[i].cell >= 2 ? 1 : 10) * (f.runs[i].cell % 2 ? 1.2 : 1);
    SB_AUTO_JSON json_t *full = build(&f);
    is(full, "jobs.0.cost", "{\"deterministic\":1.2}");
    begin(&f); /* one at a time: the pair at threads=1 counts, and threads=2 does not */
    for (size_t i = 0; i < 6; i++)
        add_run(&f, i % 3, 0)->wall_s = i % 3 == 0 ? 10 : i % 3 == 1 ? 12 : 1;
    SB_AUTO_JSON json_t *alone = build(&f);
    is(alone, "jobs.0.cost", "{\"deterministic\":1.2}");
    f.axes[1].name = "other";
    SB_AUTO_JSON json_t *none = build(&f);
    is(none, "jobs.0.cost", "{}");
}
END_TEST

/* ---- Observed ---------------------------------------------------------------------------------
 */

START_TEST(what_a_run_had_is_told_without_secrets)
{
    struct fixture f;
    char *libraries[] = {"/usr/lib/libopenblasp-r0.3.21.so", "/usr/lib/libx.so", NULL};
    char *arguments[] = {"python3", "a\xff.py", NULL};
    char *environment[] = {"OMP_NUM_THREADS=2", "AWS_SECRET_ACCESS_KEY=hunter2", "HOME=/root",
                           "TF_API_TOKEN=hunter2", NULL};
    struct sb_seen_process process = {
        .exe = "/usr/bin/python3.11", .arguments = arguments, .environment = environment};
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < 2; i++) {
        f.runs[i].seen.libraries = libraries;
        f.runs[i].seen.n_libraries = 2;
        f.runs[i].seen.processes = &process;
        f.runs[i].seen.n_processes = 1;
        f.runs[i].seen.n_cpus = 2;
    }
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "runs.1.observed.libraries",
       "[{\"path\":\"/usr/lib/libopenblasp-r0.3.21.so\",\"version\":\"0.3.21\"},"
       "{\"path\":\"/usr/lib/libx.so\",\"version\":null}]");
    is(result, "runs.1.observed.processes",
       "[{\"exe\":\"/usr/bin/python3.11\",\"argv\":[\"python3\",\"a\\\\xff.py\"],"
       "\"environment\":[\"OMP_NUM_THREADS=2\"]}]");
    is(result, "runs.2.observed.libraries", "[]");
    is(result, "runs.1.observed.cpus", "2");
    is(result, "runs.2.observed.cpus", "null");
    is(result, "runs.0.observed.axes", "{\"threads\":\"1\",\"deterministic\":\"off\"}");
}
END_TEST

/* ---- Memory -----------------------------------------------------------------------------------
 */

static long allocations_left;

static void *failing_malloc(size_t n) {
    return allocations_left-- > 0 ? malloc(n) : NULL;
}

START_TEST(memory_that_runs_out_is_an_error_and_never_a_shorter_document)
{
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < 8; i++)
        add_run(&f, i % 4, i % 4 >= 2);
    f.groups[1] = fingerprints[1];
    f.result.n_groups = 2;
    SB_AUTO_JSON json_t *whole = build(&f);
    json_set_alloc_funcs(failing_malloc, free);
    bool built = false;
    for (long n = 0; !built && n < 100000; n++) {
        json_t *result = NULL;
        allocations_left = n;
        int rc = sb_result_build(&f.input, &result, NULL);
        allocations_left = 1000000;
        ck_assert(rc == 0 || rc == -ENOMEM);
        ck_assert(rc != 0 || json_equal(result, whole));
        built = rc == 0;
        json_decref(result);
    }
    json_set_alloc_funcs(malloc, free);
    ck_assert(built);
}
END_TEST

SB_TEST_MAIN(
    "report-result", every_key_of_the_contract_is_there_whatever_happened,
    a_kernel_job_names_operation_backend_dtype_and_shape, a_run_says_how_it_ended,
    a_job_that_meets_its_requirements_passes, a_divergence_that_is_not_allowed_fails,
    a_failed_run_is_an_error_and_wins_over_a_divergence,
    too_little_evidence_is_an_error_whatever_is_required, inputs_that_changed_are_an_error,
    a_skipped_job_alone_is_77, an_interruption_is_130_whatever_was_found,
    two_wins_over_one_and_one_over_77, controls_fire_or_are_not_demonstrated_and_neither_fails,
    a_control_that_could_show_nothing_is_an_error,
    an_axis_that_was_observed_and_changes_nothing_is_none, an_axis_that_decides_the_bits_is_bits,
    an_axis_whose_levels_were_provably_alike_is_inert, where_every_axis_is_inert_nothing_was_tested,
    a_divergence_beside_inert_axes_fails_all_the_same,
    an_axis_that_cannot_be_observed_is_unknown_and_never_inert,
    levels_that_were_not_compared_are_unknown,
    in_a_fractional_design_none_holds_for_the_cells_that_ran,
    an_axis_of_one_level_is_fixed_and_one_that_cannot_be_varied_says_why,
    a_job_that_only_repeats_is_tested, unstable_when_maps_axes_to_levels_or_is_empty_or_null,
    several_explanations_are_listed_and_none_is_chosen, an_effect_that_may_be_luck_is_unknown,
    the_worst_of_all_groups_is_named, the_cost_of_the_flag_compares_runs_that_differ_in_it_alone,
    what_a_run_had_is_told_without_secrets,
    memory_that_runs_out_is_an_error_and_never_a_shorter_document)
