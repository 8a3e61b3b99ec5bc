/* Generated result sets with known answers, run as the scheduler would: what is said of them is
 * what the definitions say, and false verdicts stay within the stated bounds.
 * `test_attribute_simulation --report [WORLDS]` prints the measured rates and the runs they took.
 */
#include "attribute/tests/oracle.h"
#include "attribute/tests/world.h"

#include <math.h>

#define REPORT "SAMEBITS_SIMULATE"
#define THREE                                                                                      \
    { .min = 3 }

/* Deterministic jobs: every answer is known, and must be given. */
static const struct world_kind deterministic[] = {
    {"function, full", SB_DESIGN_FULL, 1, 4, 3, 3, .repeats = THREE},
    {"function, one at a time", SB_DESIGN_ONE_AT_A_TIME, 1, 4, 3, 3, .repeats = THREE},
    {"function, pairwise", SB_DESIGN_PAIRWISE, 1, 4, 3, 3, .repeats = THREE},
};

/* Runs and cells that fail: what is left is judged by the definitions. */
static const struct world_kind damaged[] = {
    {"function, full, failures", SB_DESIGN_FULL, 1, 4, 3, 3, .failing = 0.1, .missing = 0.15,
     .repeats = THREE},
    {"function, one at a time, failures", SB_DESIGN_ONE_AT_A_TIME, 1, 4, 3, 3, .failing = 0.1,
     .missing = 0.15, .repeats = THREE},
    {"function, pairwise, failures", SB_DESIGN_PAIRWISE, 1, 4, 3, 3, .failing = 0.1,
     .missing = 0.15, .repeats = THREE},
    {"race 0.3 and failures", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.3, .failing = 0.1, .missing = 0.1, .repeats = THREE},
};

static const struct world_kind races[] = {
    {"race 0.5 everywhere", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_TWO_OUTCOMES, RACE_EVERYWHERE,
     .other = 0.5, .repeats = THREE},
    {"race 0.25 everywhere", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_TWO_OUTCOMES, RACE_EVERYWHERE,
     .other = 0.25, .repeats = THREE},
    {"race 0.1 everywhere", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_TWO_OUTCOMES, RACE_EVERYWHERE,
     .other = 0.1, .repeats = THREE},
    {"race, all different, everywhere", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_EVERY_RUN_DIFFERS,
     RACE_EVERYWHERE, .repeats = THREE},
    {"race 0.5 at levels", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.5, .repeats = THREE},
    {"race 0.25 at levels", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.25, .repeats = THREE},
    {"race 0.1 at levels", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.1, .repeats = THREE},
    {"race, all different, at levels", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_EVERY_RUN_DIFFERS,
     RACE_AT_LEVELS, .repeats = THREE},
    {"race 0.5 at levels, one at a time", SB_DESIGN_ONE_AT_A_TIME, 1, 4, 3, 2, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.5, .repeats = THREE},
    {"race 0.5 at levels, pairwise", SB_DESIGN_PAIRWISE, 2, 4, 3, 2, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.5, .repeats = THREE},
    {"race 0.1 at levels, one at a time", SB_DESIGN_ONE_AT_A_TIME, 1, 4, 3, 2, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.1, .repeats = THREE},
    {"race 0.1 at levels, pairwise", SB_DESIGN_PAIRWISE, 2, 4, 3, 2, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.1, .repeats = THREE},
    {"race 0.1 everywhere, 3..50 until diverged", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_TWO_OUTCOMES,
     RACE_EVERYWHERE, .other = 0.1, .repeats = {.min = 3, .max = 50, .stop_diverged = true}},
};

/* No axis has an effect, and a coin is tossed in some cells alone: whatever is called dependent is
 * a race in disguise. Few cells of few repeats are where that is easiest. */
static const struct world_kind disguised[] = {
    {"coin at one of two levels", SB_DESIGN_FULL, 1, 1, 2, 0, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.5, .repeats = THREE},
    {"coin at one of two levels, from two runs", SB_DESIGN_FULL, 1, 1, 2, 0, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.5, .repeats = {.min = 2}},
    {"coin at some of two or three levels", SB_DESIGN_FULL, 1, 1, 3, 0, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.5, .repeats = THREE},
    {"coin at levels of two axes", SB_DESIGN_FULL, 2, 2, 2, 0, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.5, .repeats = THREE},
    {"coin at levels, one at a time", SB_DESIGN_ONE_AT_A_TIME, 2, 2, 3, 0, RACE_TWO_OUTCOMES,
     RACE_AT_LEVELS, .other = 0.5, .repeats = THREE},
    {"coin at levels, pairwise", SB_DESIGN_PAIRWISE, 3, 3, 2, 0, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.5, .repeats = THREE},
};

static const struct world_kind mixed[] = {
    {"race 0.5 and 0.1 everywhere", SB_DESIGN_FULL, 1, 3, 2, 0, RACE_TWO_OUTCOMES, RACE_EVERYWHERE,
     .other = 0.5, .rare = 0.1, .repeats = THREE},
    {"race 0.5 and 0.1 at levels", SB_DESIGN_FULL, 1, 3, 3, 2, RACE_TWO_OUTCOMES, RACE_AT_LEVELS,
     .other = 0.5, .rare = 0.1, .repeats = THREE},
};

struct tally {
    size_t worlds, runs, least, rounds;
    size_t nondeterministic, config_dependent, bitwise, inconclusive;
    size_t unproven;              /* nondeterministic, and says that stability may be luck */
    size_t wrong_cells;           /* …without saying so, and a racy cell is taken for stable */
    size_t doubted_cells;         /* …saying so, and one is */
    size_t wrong_effect;          /* an effect of an axis that has none */
    size_t wrong_unstable_effect; /* the same, beside unstable cells */
    size_t wrong_bound;           /* more runs differ than the bound that was stated */
};

/* The axes that really have an effect: those of any explanation of the bits that cells have most of
 * the time, of all cells or of those that are really stable. */
static sb_mask true_effects(const struct world *world, bool racy) {
    struct oracle oracle = {0};
    struct sb_evidence evidence = world_evidence(world);
    sb_mask sets[64], effects = 0;
    oracle.evidence = &evidence;
    for (size_t c = 0; c < world->n_cells; c++) {
        oracle.stable[c] = (racy || !world->racy[c]) && !world->missing[c];
        oracle.group[c] = world->bits[c];
    }
    size_t n = oracle_explanations(&oracle, sets);
    for (size_t i = 0; i < n; i++)
        effects |= sets[i];
    return effects;
}

static void count(struct tally *tally, const struct world *world,
                  const struct sb_analysis *analysis) {
    sb_mask effects = true_effects(world, false) | true_effects(world, true);
    bool wrong_cells = false, wrong_effect = false;
    tally->worlds++;
    tally->runs += world->n_trials;
    tally->least += world->n_cells * world->kind->repeats.min;
    tally->rounds += world->rounds;
    tally->nondeterministic += analysis->verdict == SB_VERDICT_NONDETERMINISTIC;
    tally->config_dependent += analysis->verdict == SB_VERDICT_CONFIG_DEPENDENT;
    tally->bitwise += analysis->verdict == SB_VERDICT_BITWISE;
    tally->inconclusive += analysis->verdict == SB_VERDICT_INCONCLUSIVE;
    for (size_t c = 0; c < world->n_cells; c++)
        wrong_cells |= !world->missing[c] &&
                       world->racy[c] != (analysis->unstable_cells[c / 64] >> c % 64 & 1);
    for (size_t a = 0; a < world->n_axes; a++)
        wrong_effect |= analysis->axes[a].has_effect && !(effects >> a & 1);
    bool doubted = analysis->reason && strstr(analysis->reason, "by luck");
    bool unstable = analysis->verdict == SB_VERDICT_NONDETERMINISTIC;
    tally->unproven += unstable && doubted;
    tally->wrong_cells += unstable && wrong_cells && !doubted;
    tally->doubted_cells += unstable && wrong_cells && doubted;
    tally->wrong_effect += wrong_effect;
    tally->wrong_unstable_effect += wrong_effect && unstable;
    tally->wrong_bound += analysis->verdict == SB_VERDICT_BITWISE &&
                          world->kind->where == RACE_EVERYWHERE &&
                          world->kind->other >= analysis->max_mismatch_rate_95;
}

/* One world; the analysis is the caller's to clear. */
static struct world *play(const struct world_kind *kind, uint64_t seed,
                          struct sb_analysis *analysis) {
    struct world *world = world_make(kind, seed);
    world_play(world);
    struct sb_evidence evidence = world_evidence(world);
    struct sb_error err = {0};
    ck_assert_msg(sb_analyse(&evidence, analysis, &err) == 0, "%s", err.text);
    return world;
}

static struct tally play_many(const struct world_kind *kind, size_t worlds, bool check) {
    struct tally tally = {0};
    for (size_t i = 0; i < worlds; i++) {
        struct sb_analysis analysis;
        struct world *world = play(kind, 0x5eed0000 + i, &analysis);
        struct sb_evidence evidence = world_evidence(world);
        if (check)
            oracle_check(&evidence, &analysis);
        count(&tally, world, &analysis);
        sb_analysis_clear(&analysis);
        world_free(world);
    }
    return tally;
}

/* The verdict on a job whose runs never differ in a cell and never fail. */
static enum sb_verdict true_verdict(const struct sb_analysis *analysis) {
    if (analysis->n_explanations > 1)
        return SB_VERDICT_INCONCLUSIVE;
    return analysis->explanations[0] ? SB_VERDICT_CONFIG_DEPENDENT : SB_VERDICT_BITWISE;
}

START_TEST(deterministic_jobs_get_the_verdict_that_they_have)
{
    for (size_t k = 0; k < sizeof deterministic / sizeof *deterministic; k++) {
        for (size_t i = 0; i < 2500; i++) {
            struct sb_analysis analysis;
            struct world *world = play(&deterministic[k], i, &analysis);
            struct sb_evidence evidence = world_evidence(world);
            oracle_check(&evidence, &analysis);
            ck_assert_int_eq(analysis.verdict, true_verdict(&analysis));
            ck_assert(analysis.depends_known || analysis.reason);
            ck_assert(analysis.verdict != SB_VERDICT_CONFIG_DEPENDENT ||
                      analysis.dependence_p <= 0.05);
            ck_assert(analysis.verdict == SB_VERDICT_INCONCLUSIVE || !analysis.reason);
            for (size_t a = 0; a < world->n_axes; a++)
                ck_assert(analysis.axes[a].has_effect ==
                          (analysis.depends_known && (analysis.depends_on >> a & 1)));
            sb_analysis_clear(&analysis);
            world_free(world);
        }
    }
}
END_TEST

START_TEST(failed_runs_and_missing_cells_leave_what_the_rest_says)
{
    for (size_t k = 0; k < sizeof damaged / sizeof *damaged; k++) {
        struct tally tally = play_many(&damaged[k], 800, true);
        ck_assert_msg(damaged[k].where != RACE_NOWHERE || tally.nondeterministic == 0, "%s",
                      damaged[k].name);
    }
}
END_TEST

/* At most 5% of n, and what chance adds to that: three standard deviations. */
static size_t five_percent(size_t n) {
    return (size_t)(0.05 * (double)n + 3 * sqrt(0.05 * 0.95 * (double)n));
}

static void check_share(const char *kind, const char *what, size_t wrong, size_t of) {
    ck_assert_msg(wrong <= five_percent(of), "%s: %zu %s of %zu", kind, wrong, what, of);
}

START_TEST(races_are_not_mistaken_more_often_than_stated)
{
    enum { WORLDS = 1000 };
    for (size_t k = 0; k < sizeof races / sizeof *races; k++) {
        const struct world_kind *kind = &races[k];
        struct tally tally = play_many(kind, WORLDS, true);
        check_share(kind->name, "wrong about the unstable cells", tally.wrong_cells,
                    tally.nondeterministic);
        check_share(kind->name, "wrong effects beside them", tally.wrong_unstable_effect,
                    tally.nondeterministic);
        if (kind->where != RACE_EVERYWHERE)
            continue;
        check_share(kind->name, "above the bound", tally.wrong_bound, WORLDS);
        check_share(kind->name, "config-dependent", tally.config_dependent, WORLDS);
    }
}
END_TEST

/* Enough worlds to tell 5% from the 1/16 that four runs of each of two cells would give. */
START_TEST(a_coin_tossed_at_some_levels_is_rarely_called_an_effect)
{
    enum { WORLDS = 6000 };
    for (size_t k = 0; k < sizeof disguised / sizeof *disguised; k++) {
        struct tally tally = play_many(&disguised[k], WORLDS, false);
        check_share(disguised[k].name, "config-dependent", tally.config_dependent, WORLDS);
    }
}
END_TEST

/* Unstable cells at one rate say nothing of those at another: no bound is stated, but all that is
 * said of the runs holds. */
START_TEST(races_at_two_rates_are_judged_by_the_definitions)
{
    for (size_t k = 0; k < sizeof mixed / sizeof *mixed; k++)
        play_many(&mixed[k], 500, true);
}
END_TEST

/* The hardest exchangeable runs: just as many of both bits, dealt out to the cells by chance. */
START_TEST(runs_dealt_out_by_chance_are_rarely_called_dependent)
{
    static const struct {
        size_t axes;
        unsigned repeats;
    } cases[] = {{1, 2}, {1, 3}, {1, 4}, {2, 1}, {2, 2}, {3, 1}};
    enum { DEALS = 20000 };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct world_kind kind = {.design = SB_DESIGN_FULL,
                                  .least_axes = cases[k].axes,
                                  .most_axes = cases[k].axes,
                                  .most_levels = 2,
                                  .repeats = {.min = cases[k].repeats, .exact = true}};
        uint64_t seed = 1;
        struct world *world = world_make(&kind, seed);
        while (world->n_cells != (size_t)1 << cases[k].axes) { /* an axis had one level */
            world_free(world);
            world = world_make(&kind, ++seed);
        }
        world_play(world);
        size_t called = 0;
        for (size_t deal = 0; deal < DEALS; deal++) {
            for (size_t i = world->n_trials; i-- > 0;) {
                size_t with = (size_t)sb_random_below(&world->random, i + 1);
                world->trials[i].group = deal ? world->trials[i].group : (int)(i % 2);
                struct sb_trial moved = world->trials[i];
                world->trials[i].group = world->trials[with].group;
                world->trials[with].group = moved.group;
            }
            struct sb_evidence evidence = world_evidence(world);
            struct sb_analysis analysis;
            ck_assert_int_eq(sb_analyse(&evidence, &analysis, NULL), 0);
            for (size_t a = 0, any = 0; a < world->n_axes && !any; a++)
                called += any =
                    analysis.axes[a].has_effect && analysis.verdict == SB_VERDICT_CONFIG_DEPENDENT;
            sb_analysis_clear(&analysis);
        }
        ck_assert_msg(called <= five_percent(DEALS), "case %zu: %zu of %d", k, called, DEALS);
        world_free(world);
    }
}
END_TEST

static void report(const struct world_kind *kinds, size_t n, size_t worlds) {
    for (size_t k = 0; k < n; k++) {
        struct tally t = play_many(&kinds[k], worlds, false);
        double w = (double)worlds / 100;
        printf(
            "# %-42s %6.1f %6.1f %5.1f  %6.2f %6.2f %6.2f %6.2f  %6.2f %6.2f %6.2f %6.2f %6.2f\n",
            kinds[k].name, (double)t.least / (double)worlds, (double)t.runs / (double)worlds,
            (double)t.rounds / (double)worlds, (double)t.nondeterministic / w,
            (double)t.config_dependent / w, (double)t.bitwise / w, (double)t.inconclusive / w,
            (double)t.wrong_cells / w, (double)t.unproven / w, (double)t.doubted_cells / w,
            (double)t.wrong_effect / w, (double)t.wrong_bound / w);
        fflush(stdout);
    }
}

START_TEST(measured_rates)
{
    size_t worlds = strtoul(getenv(REPORT), NULL, 10);
    printf(
        "# %zu worlds each. runs: means of the minimum, of all, and rounds. verdicts, %%. then "
        "%%:\n"
        "# wrong: nondeterministic, and a racy cell is taken for stable, without a warning\n"
        "# doubt: nondeterministic, with the warning that stability may be luck; rightly: so\n"
        "# effect: an effect where there is none. bound: bitwise, and the bound is too low\n"
        "# %-42s %6s %6s %5s  %6s %6s %6s %6s  %6s %6s %6s %6s %6s\n",
        worlds, "", "least", "runs", "round", "nondet", "config", "bitw", "inconc", "wrong",
        "doubt", "rightly", "effect", "bound");
    report(deterministic, sizeof deterministic / sizeof *deterministic, worlds);
    report(damaged, sizeof damaged / sizeof *damaged, worlds);
    report(races, sizeof races / sizeof *races, worlds);
    report(disguised, sizeof disguised / sizeof *disguised, worlds);
    report(mixed, sizeof mixed / sizeof *mixed, worlds);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {
        deterministic_jobs_get_the_verdict_that_they_have,
        failed_runs_and_missing_cells_leave_what_the_rest_says,
        races_are_not_mistaken_more_often_than_stated,
        a_coin_tossed_at_some_levels_is_rarely_called_an_effect,
        races_at_two_rates_are_judged_by_the_definitions,
        runs_dealt_out_by_chance_are_rarely_called_dependent,
    };
    const TTest *const measured[] = {measured_rates};
    if (!getenv(REPORT))
        return sb_tests_run("attribute-simulation", tests, sizeof tests / sizeof *tests);
    setenv("CK_FORK", "no", 1); /* which is no time limit either */
    return sb_tests_run("attribute-simulation", measured, 1);
}
