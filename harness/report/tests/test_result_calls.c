/* What kernel jobs add to result.json: calls, claims, accuracy, and the cost of a call. */
#include "report/tests/result_fixture.h"

/* A run's worker said this. It is kept to the end of the test's process, in sight of a leak
 * checker. */
static void says(struct sb_run *run, const char *report) {
    static json_t *said[64];
    static size_t n;
    ck_assert_uint_lt(n, sizeof said / sizeof *said);
    said[n] = run->seen.worker = json_loads(report, 0, NULL);
    ck_assert_ptr_nonnull(said[n++]);
}

static const char claims_much[] =
    "{\"claim\": {\"algorithm\": \"algo_1\", \"claim\": "
    "\"deterministic\", \"note\": null}}";

static void mark_unstable(struct fixture *f, size_t cell) {
    static sb_mask cells[1];
    cells[0] = (sb_mask)1 << cell;
    f->analysis.verdict = SB_VERDICT_NONDETERMINISTIC;
    f->analysis.unstable_cells = cells;
}

START_TEST(a_command_has_none_of_it)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.calls", "null");
    is(result, "jobs.0.claims", "[]");
    is(result, "jobs.0.accuracy", "null");
}
END_TEST

START_TEST(a_claim_that_holds_is_listed_once)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < f.n_runs; i++)
        says(&f.runs[i], claims_much);
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.claims",
       "[{\"algorithm\":\"algo_1\",\"claim\":\"deterministic\",\"note\":null,\"run\":\"r00001\","
       "\"measured\":\"same\",\"contradicted\":false}]");
}
END_TEST

START_TEST(a_claim_of_a_run_in_an_unstable_cell_is_contradicted)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    mark_unstable(&f, 2);
    says(&f.runs[0], claims_much); /* of a stable cell */
    SB_AUTO_JSON json_t *stable = build(&f);
    is(stable, "jobs.0.claims.0.contradicted", "false");
    says(&f.runs[6], claims_much); /* of cell 2 */
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.claims.0.measured", "\"differs\"");
    is(result, "jobs.0.claims.0.contradicted", "true");
}
END_TEST

START_TEST(a_claim_of_nondeterminism_is_never_contradicted)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    mark_unstable(&f, 0);
    says(&f.runs[0],
         "{\"claim\": {\"algorithm\": \"a\", \"claim\": \"nondeterministic\", \"note\": \"n\"}}");
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.claims.0.measured", "\"differs\"");
    is(result, "jobs.0.claims.0.contradicted", "false");
}
END_TEST

START_TEST(calls_that_differ_within_a_process_contradict_too)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    says(&f.runs[3],
         "{\"calls\": {\"n\": 10, \"distinct\": 3, \"seconds\": 0.1}, \"claim\": "
         "{\"algorithm\": \"a\", \"claim\": \"deterministic\", \"note\": null}}");
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.calls", "{\"n\":10,\"distinct\":3,\"differ_in\":[\"r00004\"]}");
    is(result, "jobs.0.claims.0.contradicted", "true");
}
END_TEST

START_TEST(the_worst_error_is_told_with_what_rounding_allows)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    f.runs[1].accuracy = 1e-7;
    f.runs[5].accuracy = 1e-3;
    says(&f.runs[5], "{\"accuracy\": {\"max_rel_vs_f64\": 0.001, \"tolerance\": 0.0001}}");
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.accuracy",
       "{\"max_rel_vs_f64\":0.001,\"tolerance\":0.0001,\"run\":\"r00006\",\"inaccurate\":true}");
}
END_TEST

/* Cells 0 and 2 have the flag off, 1 and 3 on; every process takes a second. */
START_TEST(the_cost_is_that_of_calls_where_they_were_timed)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (size_t i = 0; i < f.n_runs; i++)
        says(&f.runs[i], i % 2 ? "{\"calls\": {\"n\": 3, \"distinct\": 1, \"seconds\": 0.003}}"
                               : "{\"calls\": {\"n\": 3, \"distinct\": 1, \"seconds\": 0.002}}");
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.cost", "{\"deterministic\":1.5}");
    for (size_t i = 0; i < f.n_runs; i++)
        says(&f.runs[i], "{\"deterministic\": \"no switch\"}");
    SB_AUTO_JSON json_t *none = build(&f);
    is(none, "jobs.0.cost", "{}");
}
END_TEST

/* A job may time its training by itself; unless every run did, processes are what is compared. */
START_TEST(the_cost_is_that_of_what_a_job_timed_itself)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    json_t *said[] = {json_pack("{s:f}", "seconds", 0.5), json_pack("{s:i}", "seconds", 1),
                      json_pack("{s:s}", "seconds", "1")};
    for (size_t i = 0; i < f.n_runs; i++) {
        f.runs[i].wall_s = 10;
        f.runs[i].seen.experiment = said[i % 2];
    }
    SB_AUTO_JSON json_t *result = build(&f);
    is(result, "jobs.0.cost", "{\"deterministic\":2.0}");
    f.runs[3].seen.experiment = said[2];
    SB_AUTO_JSON json_t *text = build(&f);
    is(text, "jobs.0.cost", "{\"deterministic\":1.0}");
    f.runs[3].seen.experiment = NULL;
    SB_AUTO_JSON json_t *missing = build(&f);
    is(missing, "jobs.0.cost", "{\"deterministic\":1.0}");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        json_decref(said[i]);
}
END_TEST

SB_TEST_MAIN("report-calls", a_command_has_none_of_it, a_claim_that_holds_is_listed_once,
             a_claim_of_a_run_in_an_unstable_cell_is_contradicted,
             a_claim_of_nondeterminism_is_never_contradicted,
             calls_that_differ_within_a_process_contradict_too,
             the_worst_error_is_told_with_what_rounding_allows,
             the_cost_is_that_of_calls_where_they_were_timed,
             the_cost_is_that_of_what_a_job_timed_itself)
