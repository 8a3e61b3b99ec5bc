/* Effects of axes told apart, instability and explanations in result.json. */
#include "report/tests/result_fixture.h"

/* ---- Axes -------------------------------------------------------------------------------------
 */

/* Levels that were never compared are each a class. */
static void set_apart(struct fixture *f, size_t axis) {
    f->findings[axis].n_classes = 2;
    f->findings[axis].compared = false;
    f->classes[axis][0] = 1, f->classes[axis][1] = 2;
}

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
    set_apart(&f, 0); /* no stable cell to compare */
    set_apart(&f, 1);
    f.result.requirements_met = false;
    SB_AUTO_JSON json_t *result = build(&f);
    ends(result, "fail", "fail", 1);
    is(result, "jobs.0.axes.0.effect", "\"unknown\"");
    is(result, "jobs.0.axes.0.classes", "[[\"1\"],[\"2\"]]");
    is(result, "jobs.0.axes.0.compared", "false");
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
    set_apart(&f, 0);
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
    set_apart(&f, 0); /* never met under equal others */
    set_apart(&f, 1);
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
    set_apart(&f, 0);
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

SB_TEST_MAIN(
    "report-axes", an_axis_that_was_observed_and_changes_nothing_is_none,
    an_axis_that_decides_the_bits_is_bits, an_axis_whose_levels_were_provably_alike_is_inert,
    where_every_axis_is_inert_nothing_was_tested, a_divergence_beside_inert_axes_fails_all_the_same,
    an_axis_that_cannot_be_observed_is_unknown_and_never_inert,
    levels_that_were_not_compared_are_unknown,
    in_a_fractional_design_none_holds_for_the_cells_that_ran,
    an_axis_of_one_level_is_fixed_and_one_that_cannot_be_varied_says_why,
    a_job_that_only_repeats_is_tested, unstable_when_maps_axes_to_levels_or_is_empty_or_null,
    several_explanations_are_listed_and_none_is_chosen, an_effect_that_may_be_luck_is_unknown)
