/* Verdict, dependence, classes, conditions, instability and witness on small sets with known
 * answers. */
#include "attribute/tests/sample.h"

struct verdict_case {
    const char *axes;
    enum sb_design design;
    const char *const *bits;
    const char *verdict;
};

static void check_verdicts(const struct verdict_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct sample *sample = sample_make(cases[i].axes, cases[i].design, cases[i].bits);
        struct sb_analysis analysis = analyse(&sample->evidence);
        char *text = text_of_verdict(&sample->evidence, &analysis);
        ck_assert_msg(strcmp(text, cases[i].verdict) == 0, "case %zu: %s, not %s (%s)", i, text,
                      cases[i].verdict, analysis.reason ? analysis.reason : "no reason");
        free(text);
        sb_analysis_clear(&analysis);
        sample_free(sample);
    }
}

#define CHECK_VERDICTS(...)                                                                        \
    check_verdicts((const struct verdict_case[]){__VA_ARGS__},                                     \
                   sizeof(const struct verdict_case[]){__VA_ARGS__} / sizeof(struct verdict_case))

START_TEST(all_runs_alike_are_bitwise)
{
    CHECK_VERDICTS(
        {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaa", "aaa", "aaa", "aaa"), "bitwise on nothing"},
        {"", SB_DESIGN_FULL, BITS("aa"), "bitwise on nothing"},
        {"t=1", SB_DESIGN_FULL, BITS("aaa"), "bitwise on nothing"});
}
END_TEST

START_TEST(bits_that_follow_an_axis_are_config_dependent_on_it)
{
    CHECK_VERDICTS(
        {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaa", "aaa", "bbb", "bbb"), "config-dependent on t"},
        {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaa", "bbb", "aaa", "bbb"), "config-dependent on h"},
        {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaaaa", "bbbbb", "ccccc", "ddddd"),
         "config-dependent on t,h"},
        /* the exclusive or of both: neither matters by itself in the mean */
        {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaaaa", "bbbbb", "bbbbb", "aaaaa"),
         "config-dependent on t,h"},
        {"t=1,2,4", SB_DESIGN_FULL, BITS("aaaa", "aaaa", "bbbb"), "config-dependent on t"});
}
END_TEST

START_TEST(one_at_a_time_designs_name_the_axis)
{
    CHECK_VERDICTS(
        {"t=1,2 h=0,1 d=off,on", SB_DESIGN_ONE_AT_A_TIME, BITS("aaa", "bbb", "aaa", "aaa"),
         "config-dependent on t"},
        {"t=1,2 h=0,1", SB_DESIGN_ONE_AT_A_TIME, BITS("aaaa", "bbbb", "cccc"),
         "config-dependent on t,h"},
        /* without the reference cell nothing tells which of the two axes it is */
        {"t=1,2 h=0,1", SB_DESIGN_ONE_AT_A_TIME, BITS("---", "bbb", "aaa"), "inconclusive on t|h"});
}
END_TEST

START_TEST(pairwise_designs_may_leave_several_explanations)
{
    /* cells 000 011 101 110, in an order of the design's own: bits follow the first axis, and no
     * other explanation than it is minimal but the pair of the others */
    struct sample *sample = sample_make("a=0,1 b=0,1 c=0,1", SB_DESIGN_PAIRWISE, NULL);
    ck_assert_uint_eq(sample->evidence.n_cells, 4);
    for (size_t repeat = 0; repeat < 4; repeat++) {
        for (size_t c = 0; c < 4; c++)
            sample->trials[sample->evidence.n_trials++] =
                (struct sb_trial){c, (int)sample->cells[c][0]};
    }
    struct sb_analysis analysis = analyse(&sample->evidence);
    char *text = text_of_verdict(&sample->evidence, &analysis);
    ck_assert_str_eq(text, "inconclusive on a|b,c");
    ck_assert(!analysis.depends_known && !analysis.axes[0].has_effect);
    ck_assert_msg(strstr(analysis.reason, "a, or of b and c"), "%s", analysis.reason);
    free(text);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(repeats_that_differ_are_nondeterministic_under_the_fewest_axes)
{
    CHECK_VERDICTS({"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "aaa", "abc", "aaa"),
                    "nondeterministic on nothing when t=2 d=off"},
                   {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "aaa", "abc", "aab"),
                    "nondeterministic on nothing when t=2"},
                   {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aba", "baa", "abc", "aab"),
                    "nondeterministic on nothing always"},
                   {"t=1,2,4 d=off,on", SB_DESIGN_FULL,
                    BITS("aaa", "aaa", "abc", "aaa", "aba", "aaa"),
                    "nondeterministic on nothing when t=2,4 d=off"},
                   {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aab", "aaa", "aaa", "aba"),
                    "nondeterministic on nothing when unclear"},
                   {"", SB_DESIGN_FULL, BITS("aab"), "nondeterministic on nothing always"});
}
END_TEST

START_TEST(several_conditions_of_instability_are_listed_not_chosen)
{
    struct sample *sample =
        sample_make("t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "---", "---", "aba"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert(!analysis.unstable_known);
    ck_assert_msg(strstr(analysis.reason, "t is 2, or when d is on"), "%s", analysis.reason);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(a_cell_that_ran_once_is_no_evidence_for_stability)
{
    /* (1, on) ran once: that t=2 d=off is the condition and not d=off cannot rest on it */
    CHECK_VERDICTS({"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "a--", "aba", "aa-"),
                    "nondeterministic on nothing when t=2 d=off"},
                   {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "b--", "aba", "aba"),
                    "nondeterministic on nothing when t=2"});
    /* but other bits in its one run are bits that differ, while no cell is unstable */
    struct sample *sample = sample_make("t=1,2", SB_DESIGN_FULL, BITS("aaa", "b--"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert_int_eq(analysis.verdict, SB_VERDICT_INCONCLUSIVE);
    ck_assert(analysis.depends_known && analysis.depends_on == 1);
    ck_assert_double_eq_tol(analysis.dependence_p, 0.25, 1e-12);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(stable_cells_of_an_unstable_job_have_a_dependence_too)
{
    CHECK_VERDICTS(
        {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaaa", "bbbb", "xyza", "bbbb"),
         "nondeterministic on d when t=2 d=off"},
        {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaaa", "aaaa", "xyza", "bbbb"),
         "nondeterministic on t when t=2 d=off"},
        /* an unstable cell is no evidence: nothing else differs */
        {"t=1,2", SB_DESIGN_FULL, BITS("aaaa", "bcde"), "nondeterministic on nothing when t=2"});
}
END_TEST

START_TEST(an_unstable_cell_shows_no_effect)
{
    struct sample *sample = sample_make("t=1,2", SB_DESIGN_FULL, BITS("aaaaaa", "bcdefg"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert(!analysis.axes[0].has_effect);
    ck_assert_uint_eq(analysis.axes[0].n_classes, 2);
    ck_assert(!analysis.axes[0].compared);
    ck_assert_ptr_null(analysis.reason);
    ck_assert(isnan(analysis.max_mismatch_rate_95));
    ck_assert_uint_eq(analysis.unstable_cells[0], 2);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(failed_runs_are_no_divergence)
{
    CHECK_VERDICTS({"t=1,2", SB_DESIGN_FULL, BITS("a-a", "-aa"), "bitwise on nothing"},
                   {"t=1,2", SB_DESIGN_FULL, BITS("aaa", "---"), "bitwise on nothing"},
                   {"t=1,2", SB_DESIGN_FULL, BITS("---", "---"), "error on nothing"},
                   {"t=1,2", SB_DESIGN_FULL, NULL, "skipped on nothing"});
}
END_TEST

START_TEST(nothing_that_ran_twice_is_inconclusive)
{
    CHECK_VERDICTS({"t=1,2", SB_DESIGN_FULL, BITS("a", "a"), "inconclusive on nothing"},
                   {"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("a", "a", "b", "b"), "inconclusive on t"});
}
END_TEST

START_TEST(degenerate_weights_are_inconclusive_with_their_reason)
{
    struct sample *sample = sample_make("t=1,2", SB_DESIGN_FULL, BITS("aaa", "aaa"));
    sample->evidence.degenerate = true;
    sample->evidence.degenerate_reason = "all weights are zero";
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert_int_eq(analysis.verdict, SB_VERDICT_INCONCLUSIVE);
    ck_assert_str_eq(analysis.reason, "all weights are zero");
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(too_few_repeats_for_an_effect_are_inconclusive)
{
    CHECK_VERDICTS({"t=1,2", SB_DESIGN_FULL, BITS("aaa", "bbb"), "inconclusive on t"},
                   {"t=1,2", SB_DESIGN_FULL, BITS("aaaa", "bbbb"), "config-dependent on t"});
}
END_TEST

START_TEST(p_and_the_bound_are_the_documented_numbers)
{
    struct sample *sample =
        sample_make("t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaa", "aaa", "bbb", "bbb"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert_double_eq_tol(analysis.dependence_p, 2.0 / 924, 1e-12); /* 2 of 12! / (6! 6!) */
    ck_assert_uint_eq(analysis.replays, 8);
    ck_assert_double_eq_tol(analysis.max_mismatch_rate_95, 1 - pow(0.05, 1.0 / 8), 1e-12);
    ck_assert_uint_eq(analysis.distinct, 2);
    ck_assert_uint_eq(analysis.runs, 12);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(none_in_part_of_the_cells_says_so)
{
    const struct {
        enum sb_design design;
        const char *const *bits;
        bool scope;
    } cases[] = {
        {SB_DESIGN_FULL, BITS("aaa", "aaa", "aaa", "aaa"), false},
        {SB_DESIGN_FULL, BITS("aaa", "aaa", "aaa", "---"), true},
        {SB_DESIGN_ONE_AT_A_TIME, BITS("aaa", "aaa", "aaa"), true},
        {SB_DESIGN_ONE_AT_A_TIME, BITS("aaaa", "bbbb", "aaaa"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *sample = sample_make("t=1,2 h=0,1", cases[i].design, cases[i].bits);
        struct sb_analysis analysis = analyse(&sample->evidence);
        ck_assert_msg(analysis.scope_cells_run == cases[i].scope, "case %zu", i);
        sb_analysis_clear(&analysis);
        sample_free(sample);
    }
}
END_TEST

START_TEST(classes_join_levels_that_agree_wherever_they_meet)
{
    const struct {
        const char *axes;
        const char *const *bits;
        const char *first;
    } cases[] = {
        {"t=1,2,4", BITS("aaaa", "aaaa", "bbbb"), "1,2|4"},
        {"t=1,2,4", BITS("aaaa", "bbbb", "aaaa"), "1,4|2"},
        {"t=1,2,4", BITS("aaaa", "abab", "aaaa"), "1,4|2"},
        {"t=1,2", BITS("aaaa", "abab"), "1|2"}, /* not compared */
        {"t=1", BITS("aaaa"), "1"},
        /* agree at h=0, differ at h=1 */
        {"t=1,2 h=0,1", BITS("aaaa", "bbbb", "aaaa", "cccc"), "1|2"},
        /* 1 and 4 meet nowhere; each meets 2 */
        {"t=1,2,4 h=0,1", BITS("aaaa", "abab", "aaaa", "aaaa", "abab", "aaaa"), "1,2|4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *sample = sample_make(cases[i].axes, SB_DESIGN_FULL, cases[i].bits);
        struct sb_analysis analysis = analyse(&sample->evidence);
        char *text = text_of_classes(&sample->evidence, &analysis, 0);
        ck_assert_msg(strcmp(text, cases[i].first) == 0, "case %zu: %s", i, text);
        free(text);
        sb_analysis_clear(&analysis);
        sample_free(sample);
    }
}
END_TEST

START_TEST(an_axis_that_matters_at_one_level_of_another_has_a_condition)
{
    /* threads matter with isa=haswell, and not with isa=skylake; isa matters at every count */
    struct sample *sample = sample_make("isa=haswell,skylake threads=1,2", SB_DESIGN_FULL,
                                        BITS("aaaaa", "bbbbb", "ccccc", "ccccc"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    char *text = text_of_verdict(&sample->evidence, &analysis);
    ck_assert_str_eq(text, "config-dependent on isa,threads");
    ck_assert_uint_eq(analysis.n_conditions, 1);
    ck_assert_uint_eq(analysis.conditions[0].axis, 1);
    ck_assert_uint_eq(analysis.conditions[0].when, 0);
    ck_assert_uint_eq(analysis.conditions[0].levels, 1);
    free(text);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(what_was_not_compared_makes_no_condition)
{
    /* threads at isa=skylake is unstable: whether it matters there is not known */
    struct sample *sample = sample_make("isa=haswell,skylake threads=1,2", SB_DESIGN_FULL,
                                        BITS("aaaaa", "bbbbb", "ccccc", "cdcdc"));
    struct sb_analysis analysis = analyse(&sample->evidence);
    ck_assert_uint_eq(analysis.n_conditions, 0);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}
END_TEST

START_TEST(the_witness_differs_in_as_few_axes_as_possible)
{
    const struct {
        enum sb_design design;
        const char *const *bits;
        size_t a, b;
        sb_mask axes;
    } cases[] = {
        {SB_DESIGN_FULL, BITS("aaa", "aaa", "bbb", "bbb"), 0, 2, 1},
        {SB_DESIGN_FULL, BITS("aaa", "bbb", "aaa", "bbb"), 0, 1, 2},
        {SB_DESIGN_FULL, BITS("aaa", "bbb", "aaa", "baa"), 3, 7, 0},
        {SB_DESIGN_FULL, BITS("-aa", "---", "---", "bbb"), 3, 4, 3},
        {SB_DESIGN_FULL, BITS("aaa", "aaa", "aaa", "aaa"), SIZE_MAX, SIZE_MAX, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sample *sample = sample_make("t=1,2 h=0,1", cases[i].design, cases[i].bits);
        struct sb_analysis analysis = analyse(&sample->evidence);
        ck_assert_msg(analysis.witness_a == cases[i].a && analysis.witness_b == cases[i].b &&
                          analysis.witness_axes == cases[i].axes,
                      "case %zu: %zu %zu", i, analysis.witness_a, analysis.witness_b);
        sb_analysis_clear(&analysis);
        sample_free(sample);
    }
}
END_TEST

START_TEST(evidence_out_of_range_is_refused)
{
    struct sample *sample = sample_make("t=1,2", SB_DESIGN_FULL, BITS("aaa", "aaa"));
    struct sb_analysis analysis;
    struct sb_error err = {0};
    sample->trials[1].cell = 2;
    ck_assert_int_lt(sb_analyse(&sample->evidence, &analysis, &err), 0);
    sample->trials[1].cell = 0;
    sample->rows[1] = 2;
    ck_assert_int_lt(sb_analyse(&sample->evidence, &analysis, &err), 0);
    sample->rows[1] = 0; /* now both cells are the same one */
    sample->trials[1].group = 1;
    sample->trials[0].cell = 1;
    ck_assert_int_eq(sb_analyse(&sample->evidence, &analysis, &err), 0);
    sb_analysis_clear(&analysis);
    for (size_t i = 0; i < sample->evidence.n_trials; i++)
        sample->trials[i].group = (int)sample->trials[i].cell;
    ck_assert_int_lt(sb_analyse(&sample->evidence, &analysis, &err), 0);
    ck_assert_msg(strstr(err.text, "one combination"), "%s", err.text);
    sample_free(sample);
}
END_TEST

/* Cells (host, cpu) of machines: what the bits of each are, and what is made of them. */
static void check_machines(const char *const *machines, size_t n, const char *bits,
                           const uint64_t *implies, const char *verdict) {
    struct sample *sample = sample_make("host=a,b,c cpu=x,y", SB_DESIGN_FULL, NULL);
    unsigned rows[3][2];
    const unsigned *cells[3];
    for (size_t i = 0; i < n; i++) {
        rows[i][0] = (unsigned)(machines[i][0] - 'a');
        rows[i][1] = (unsigned)(machines[i][1] - 'x');
        cells[i] = rows[i];
        for (size_t repeat = 0; repeat < 5; repeat++)
            sample->trials[sample->evidence.n_trials++] = (struct sb_trial){i, bits[i] - 'a'};
    }
    sample->evidence.cells = cells;
    sample->evidence.n_cells = n;
    sample->evidence.fractional = true;
    sample->evidence.implies = implies;
    struct sb_analysis analysis = analyse(&sample->evidence);
    char *text = text_of_verdict(&sample->evidence, &analysis);
    ck_assert_str_eq(text, verdict);
    free(text);
    sb_analysis_clear(&analysis);
    sample_free(sample);
}

START_TEST(what_implies_an_explanation_and_more_is_none)
{
    static const char *const machines[] = {"ax", "bx", "cy"}, *const alone[] = {"ax", "by"};
    static const uint64_t host_implies_cpu[] = {2, 0}, each_other[] = {2, 1};
    check_machines(machines, 3, "aab", NULL, "inconclusive on host|cpu");
    check_machines(machines, 3, "aab", host_implies_cpu, "config-dependent on cpu");
    check_machines(machines, 3, "abb", host_implies_cpu, "config-dependent on host");
    check_machines(machines, 3, "aaa", host_implies_cpu, "bitwise on nothing");
    check_machines(alone, 2, "ab", each_other, "inconclusive on host|cpu");
}
END_TEST

SB_TEST_MAIN("attribute-verdict", all_runs_alike_are_bitwise,
             bits_that_follow_an_axis_are_config_dependent_on_it,
             one_at_a_time_designs_name_the_axis, pairwise_designs_may_leave_several_explanations,
             repeats_that_differ_are_nondeterministic_under_the_fewest_axes,
             several_conditions_of_instability_are_listed_not_chosen,
             a_cell_that_ran_once_is_no_evidence_for_stability,
             stable_cells_of_an_unstable_job_have_a_dependence_too,
             an_unstable_cell_shows_no_effect, failed_runs_are_no_divergence,
             nothing_that_ran_twice_is_inconclusive,
             degenerate_weights_are_inconclusive_with_their_reason,
             too_few_repeats_for_an_effect_are_inconclusive,
             p_and_the_bound_are_the_documented_numbers, none_in_part_of_the_cells_says_so,
             classes_join_levels_that_agree_wherever_they_meet,
             an_axis_that_matters_at_one_level_of_another_has_a_condition,
             what_was_not_compared_makes_no_condition,
             the_witness_differs_in_as_few_axes_as_possible,
             what_implies_an_explanation_and_more_is_none, evidence_out_of_range_is_refused)
