/* Outcomes of jobs and the exit code of all, controls among them. */
#include "report/tests/result_fixture.h"

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

/* crashes: one letter a run, which is its message; '-' has none. */
static void failures_read(const char *crashes, const char *reason) {
    static char messages[26][8];
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    for (const char *c = crashes; *c; c++) {
        if (*c != '-')
            snprintf(messages[*c - 'a'], sizeof messages[0], "exit %c", *c);
        add_run(&f, 0, -1)->message = *c == '-' ? NULL : messages[*c - 'a'];
    }
    SB_AUTO_JSON json_t *result = build(&f);
    ck_assert_str_eq(json_string_value(at(result, "jobs.0.reason")), reason);
}

START_TEST(runs_that_failed_alike_share_the_words)
{
    failures_read("aa", "2 of 10 runs failed: r00009, r00010 crashed (exit a)");
    failures_read("aaaaa",
                  "5 of 13 runs failed: r00009, r00010, r00011, … (5 runs) crashed "
                  "(exit a)");
    failures_read("aba-",
                  "4 of 12 runs failed: r00009, r00011 crashed (exit a), r00010 crashed "
                  "(exit b), r00012 crashed");
    failures_read("abcdea",
                  "6 of 14 runs failed: r00009, r00014 crashed (exit a), r00010 crashed "
                  "(exit b), r00011 crashed (exit c), and 2 in other ways");
}
END_TEST

/* Equal messages of runs that ended in different ways are not one failure. */
START_TEST(the_same_message_of_another_end_is_another_failure)
{
    struct fixture f;
    begin(&f);
    add_full_design(&f);
    add_run(&f, 0, -1)->message = "after 5 s";
    struct sb_run *run = add_run(&f, 0, -1);
    run->message = "after 5 s";
    run->status = SB_STATUS_TIMEOUT;
    SB_AUTO_JSON json_t *result = build(&f);
    reason_holds(result, "r00009 crashed (after 5 s), r00010 timeout (after 5 s)");
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

START_TEST(an_interrupted_job_is_as_required_only_where_more_runs_change_nothing)
{
    static const struct {
        enum sb_expect expect;
        enum sb_verdict verdict;
        bool met;
        const char *outcome;
    } cases[] = {
        {SB_EXPECT_NOTHING, SB_VERDICT_BITWISE, true, "error"},
        {SB_EXPECT_NOTHING, SB_VERDICT_NONDETERMINISTIC, false, "fail"},
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_BITWISE, true, "error"},
        {SB_EXPECT_NONDETERMINISTIC, SB_VERDICT_NONDETERMINISTIC, true, "xfail"},
        {SB_EXPECT_BITWISE, SB_VERDICT_BITWISE, true, "error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        add_full_design(&f);
        f.input.interrupted = f.result.unfinished = true;
        f.job.expect = cases[i].expect;
        f.analysis.verdict = cases[i].verdict;
        f.result.requirements_met = cases[i].met;
        SB_AUTO_JSON json_t *result = build(&f);
        ends(result, cases[i].outcome, "error", 130);
    }
}
END_TEST

START_TEST(cells_without_a_run_that_ended_well_are_counted_and_named)
{
    static const struct {
        const char *cells; /* of runs; capitals ended well */
        bool unfinished;
        const char *missing;
    } cases[] = {
        {"ABCDabcd", false, "null"},
        {"ABcd", false, "{\"cells\":2,\"of\":4,\"levels\":{\"threads\":[\"2\"]}}"},
        {"Abcd", false,
         "{\"cells\":3,\"of\":4,\"levels\":{\"threads\":[\"2\"],\"deterministic\":[\"on\"]}}"},
        {"AbCD", false, "{\"cells\":1,\"of\":4,\"levels\":{}}"},
        {"AB", false, "null"}, /* the rest is another shard's */
        {"AB", true, "{\"cells\":2,\"of\":4,\"levels\":{\"threads\":[\"2\"]}}"},
        {"abcd", false, "null"}, /* then there is no verdict to qualify */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        for (const char *c = cases[i].cells; *c; c++)
            add_run(&f, (size_t)((*c | 0x20) - 'a'), *c < 'a' ? 0 : -1);
        f.result.unfinished = cases[i].unfinished;
        SB_AUTO_JSON json_t *result = build(&f);
        is(result, "jobs.0.missing", cases[i].missing);
    }
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

START_TEST(a_control_that_must_not_diverge_fails_where_it_does)
{
    static const struct {
        enum sb_verdict verdict;
        const char *outcome;
        int code;
    } cases[] = {{SB_VERDICT_BITWISE, "pass", 0},
                 {SB_VERDICT_CONFIG_DEPENDENT, "fail", 1},
                 {SB_VERDICT_NONDETERMINISTIC, "fail", 1},
                 {SB_VERDICT_INCONCLUSIVE, "error", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        begin(&f);
        add_full_design(&f);
        f.job.expect = SB_EXPECT_BITWISE;
        f.analysis.verdict = cases[i].verdict;
        f.result.requirements_met = true; /* threads: ignore */
        SB_AUTO_JSON json_t *result = build(&f);
        ends(result, cases[i].outcome, cases[i].outcome, cases[i].code);
        if (cases[i].code == 1)
            reason_holds(result, "expected to be bitwise, and is not");
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

SB_TEST_MAIN("report-outcome", a_job_that_meets_its_requirements_passes,
             a_divergence_that_is_not_allowed_fails,
             a_failed_run_is_an_error_and_wins_over_a_divergence,
             runs_that_failed_alike_share_the_words,
             the_same_message_of_another_end_is_another_failure,
             too_little_evidence_is_an_error_whatever_is_required, inputs_that_changed_are_an_error,
             a_skipped_job_alone_is_77, an_interruption_is_130_whatever_was_found,
             an_interrupted_job_is_as_required_only_where_more_runs_change_nothing,
             cells_without_a_run_that_ended_well_are_counted_and_named,
             two_wins_over_one_and_one_over_77, a_control_that_must_not_diverge_fails_where_it_does,
             controls_fire_or_are_not_demonstrated_and_neither_fails,
             a_control_that_could_show_nothing_is_an_error)
