/* Keys of the contract, magnitude, cost and observations in result.json, and memory that runs out.
 */
#include "report/tests/result_fixture.h"

/* ---- The contract -----------------------------------------------------------------------------
 */

static void has_keys(const json_t *json, const char *const *keys) {
    for (; *keys; keys++)
        ck_assert_msg(json_object_get(json, *keys), "no '%s'", *keys);
}

/* The list that a run names. */
static const json_t *list_of(const json_t *result, const char *path) {
    const json_t *named = at(result, path);
    const char *key = json_string_value(named);
    return key ? json_object_get(at(result, "lists"), key) : named;
}

static void list_is(const json_t *result, const char *path, const char *expected) {
    SB_AUTO_FREE char *text = json_dumps(list_of(result, path), JSON_COMPACT);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
}

static const char *const job_keys[] = {
    "name",    "kind",     "kernel",     "backend",      "dtype",      "shape",         "outcome",
    "reason",  "verdict",  "depends_on", "explanations", "conditions", "unstable_when", "axes",
    "runs",    "failed",   "distinct",   "confidence",   "grade",      "worst",         "witness",
    "culprit", "accuracy", "cost",       "groups",       "compared",   "limits",        NULL};
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
    is(result, "jobs.0.accuracy.max_rel_vs_f64", "3e-7");
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

/* ---- Magnitude --------------------------------------------------------------------------------
 */

/* A comparison of one tensor that differs. */
static struct sb_comparison compared(const struct sb_tensor_difference *tensor,
                                     enum sb_grade grade) {
    struct sb_comparison comparison = {.n_different = 1, .grade = grade};
    ck_assert_int_eq(sb_comparison_add(&comparison, tensor), 0);
    return comparison;
}

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
                                         .ulp_histogram = {30, 7, 3},
                                         .shape = SB_SHAPE_UNRELATED};
    struct sb_comparison comparisons[3] = {{.n_tensors = 0},
                                           compared(&small, SB_GRADE_ROUNDING),
                                           compared(&large, SB_GRADE_DIVERGENT)};
    f.groups[1] = fingerprints[1];
    f.groups[2] = fingerprints[2];
    f.result.n_groups = 3;
    f.result.comparisons = comparisons;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.grade", "\"divergent\"");
    is(result, "jobs.0.worst",
       "{\"tensor\":\"b\",\"index\":[1,2],\"worst_index\":[3,4],\"max_abs\":0.5,"
       "\"max_rel\":\"inf\",\"max_ulp\":3.0,\"share\":0.25,\"ulp_histogram\":[30,7,3],"
       "\"shape_of_difference\":\"unrelated\"}");
    large.state = SB_TENSOR_ONLY_B;
    sb_comparison_clear(&comparisons[2]);
    comparisons[2] = compared(&large, SB_GRADE_DIVERGENT);
    SB_AUTO_JSON json_t *missing = build(&f);
    has_keys(at(missing, "jobs.0.worst"), worst_keys);
    is(missing, "jobs.0.worst.difference", "\"only in the reference\"");
    is(missing, "jobs.0.worst.index", "null");
    is(missing, "jobs.0.compared", "2");
    is(missing, "jobs.0.limits", "[]");
    f.result.comparisons = NULL; /* weights that could not be read again */
    SB_AUTO_JSON json_t *unknown = build(&f);
    is(unknown, "jobs.0.grade", "null");
    is(unknown, "jobs.0.worst", "null");
    sb_comparison_clear(&comparisons[1]);
    sb_comparison_clear(&comparisons[2]);
}
END_TEST

START_TEST(what_was_left_out_is_said)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    struct sb_tensor_difference tensor = {.info = {.name = "a"}, .state = SB_TENSOR_DIFFERS};
    struct sb_comparison comparisons[3] = {
        {.n_tensors = 0}, compared(&tensor, SB_GRADE_IDENTICAL), {.n_tensors = 0}};
    f.groups[1] = fingerprints[1];
    f.groups[2] = fingerprints[2];
    f.result.n_groups = 3;
    f.result.comparisons = comparisons;
    f.result.requirements_limit = "repeats: not all";
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.compared", "1");
    is(result, "jobs.0.limits",
       "[\"1 of the 2 other results were compared with the reference: the largest difference may "
       "be "
       "larger\",\"repeats: not all\"]");
    sb_comparison_clear(&comparisons[1]);
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
    begin(&f);
    for (size_t i = 0; i < 9; i++) /* 5, 10 and 15 seconds: logarithms deviate by 0.568 */
        add_run(&f, i % 3, 0)->wall_s = i % 3 == 0 ? 5.0 * (double)(1 + i / 3) : 12;
    SB_AUTO_JSON json_t *spread = build(&f);
    is(spread, "jobs.0.cost", "{\"deterministic\":1.2}");
    const json_t *job = json_array_get(json_object_get(spread, "jobs"), 0);
    const json_t *sd = json_object_get(json_object_get(job, "cost_sd"), "deterministic");
    double expected = 1.2 * sqrt((log(2) * log(2) + log(1.5) * log(1.5)) / 2);
    ck_assert_double_eq_tol(json_number_value(sd), expected, 1e-9);
    f.axes[1].name = "other";
    SB_AUTO_JSON json_t *none = build(&f);
    is(none, "jobs.0.cost", "{}");
    is(none, "jobs.0.cost_sd", "{}");
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
    list_is(result, "runs.1.observed.libraries",
            "[{\"path\":\"/usr/lib/libopenblasp-r0.3.21.so\",\"version\":\"0.3.21\"},"
            "{\"path\":\"/usr/lib/libx.so\",\"version\":null}]");
    list_is(result, "runs.1.observed.processes",
            "[{\"exe\":\"/usr/bin/python3.11\",\"argv\":[\"python3\",\"a\\\\xff.py\"],"
            "\"environment\":[\"OMP_NUM_THREADS=2\"]}]");
    list_is(result, "runs.2.observed.libraries", "[]");
    ck_assert(json_is_array(at(result, "runs.1.observed.libraries"))); /* few runs say all */
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

/* ---- Many runs --------------------------------------------------------------------------------
 */

START_TEST(a_hundred_thousand_runs_with_as_many_results_are_built)
{
    enum { MANY = 100000 };
    struct fixture f;
    char(*texts)[48] = calloc(MANY, sizeof *texts);
    struct sb_run *runs = calloc(MANY, sizeof *runs);
    const struct sb_run **pointers = calloc(MANY, sizeof *pointers);
    const char **groups = calloc(MANY, sizeof *groups);
    char *libraries[] = {"/usr/lib/libc.so.6", "/usr/lib/libm.so.6", "/usr/lib/libz.so.1.2", NULL};
    begin(&f);
    for (size_t i = 0; i < MANY; i++) {
        runs[i] = *add_run(&f, i % 4, 0);
        f.n_runs = 0;
        snprintf(runs[i].id, sizeof runs[i].id, "r%06zu", i + 1);
        snprintf(texts[i], sizeof texts[i], "xxh3:%032zx", i);
        runs[i].fingerprint = texts[i];
        runs[i].seen.libraries = libraries;
        runs[i].seen.n_libraries = 3;
        pointers[i] = &runs[i];
        groups[i] = texts[i];
    }
    f.result.runs = pointers;
    f.result.groups = groups;
    f.input.runs = runs;
    f.result.n_runs = f.result.n_groups = f.input.n_runs = MANY;
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.groups.99999.runs", "[\"r100000\"]");
    is(result, "runs.99999.id", "\"r100000\"");
    ck_assert(json_is_string(at(result, "runs.99999.observed.libraries")));
    ck_assert_uint_eq(json_array_size(list_of(result, "runs.99999.observed.libraries")), 3);
    ck_assert_uint_eq(json_object_size(at(result, "lists")),
                      3); /* libraries, no processes, and what arrived: nothing */
    free(texts), free(runs), free(pointers), free(groups);
}
END_TEST

SB_TEST_MAIN("report-result", every_key_of_the_contract_is_there_whatever_happened,
             a_kernel_job_names_operation_backend_dtype_and_shape, a_run_says_how_it_ended,
             the_worst_of_all_groups_is_named, what_was_left_out_is_said,
             the_cost_of_the_flag_compares_runs_that_differ_in_it_alone,
             what_a_run_had_is_told_without_secrets,
             memory_that_runs_out_is_an_error_and_never_a_shorter_document,
             a_hundred_thousand_runs_with_as_many_results_are_built)
