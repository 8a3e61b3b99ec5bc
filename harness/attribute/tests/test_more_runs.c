/* How many further runs are asked for, and when no more. */
#include "attribute/tests/sample.h"
#include "attribute/tests/world.h"

/* "0 1 1": runs asked of each cell. */
static char *asked(const char *axes, const char *const *bits, struct sb_repeats repeats) {
    struct sample *sample = sample_make(axes, SB_DESIGN_FULL, bits);
    unsigned more[64];
    struct sb_error err = {0};
    struct sb_text text = {0};
    ck_assert_msg(sb_more_runs(&sample->evidence, &repeats, more, &err) == 0, "%s", err.text);
    for (size_t c = 0; c < sample->evidence.n_cells; c++)
        sb_text_printf(&text, "%s%u", c ? " " : "", more[c]);
    sample_free(sample);
    return sb_text_take(&text);
}

struct asking {
    const char *axes;
    const char *const *bits;
    struct sb_repeats repeats;
    const char *more;
};

static void check_asked(const struct asking *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char *more = asked(cases[i].axes, cases[i].bits, cases[i].repeats);
        ck_assert_msg(strcmp(more, cases[i].more) == 0, "case %zu: %s, not %s", i, more,
                      cases[i].more);
        free(more);
    }
}

#define CHECK_ASKED(...)                                                                           \
    check_asked((const struct asking[]){__VA_ARGS__},                                              \
                sizeof(const struct asking[]){__VA_ARGS__} / sizeof(struct asking))
#define THREE                                                                                      \
    { .min = 3 }
#define EXACT                                                                                      \
    { .min = 3, .exact = true }

START_TEST(the_minimum_comes_first_and_failed_runs_count)
{
    CHECK_ASKED({"t=1,2", NULL, THREE, "3 3"}, {"t=1,2", BITS("ab", "a"), THREE, "1 2"},
                {"t=1,2", BITS("a-", "--"), THREE, "1 1"},
                {"t=1,2", BITS("a--", "---"), THREE, "0 0"}, {"t=1,2", NULL, EXACT, "3 3"});
}
END_TEST

START_TEST(what_always_crashes_is_not_asked_again)
{
    CHECK_ASKED({"t=1,2", BITS("---", "---"), THREE, "0 0"},
                {"t=1,2", BITS("---", "---"), {.min = 3, .max = 50, .stop_diverged = true}, "0 0"});
    /* beside a race, a cell that fails as often as not is let be */
    char *more = asked("t=1,2,4", BITS("aba", "a--", "---"), (struct sb_repeats)THREE);
    ck_assert_str_eq(more + 1, " 0 0");
    free(more);
}
END_TEST

START_TEST(exact_repeats_are_exact)
{
    CHECK_ASKED({"t=1,2", BITS("aaa", "bbb"), EXACT, "0 0"},
                {"t=1,2", BITS("aaa", "aba"), EXACT, "0 0"});
}
END_TEST

START_TEST(bits_that_agree_need_no_more)
{ CHECK_ASKED({"t=1,2", BITS("aaa", "aaa"), THREE, "0 0"}, {"t=1,2", BITS("a", "a"), {1}, "0 0"}); }
END_TEST

START_TEST(an_effect_is_run_until_it_is_no_luck)
{
    CHECK_ASKED({"t=1,2", BITS("aaa", "bbb"), THREE, "2 2"},
                {"t=1,2", BITS("aaaaa", "bbbbb"), THREE, "0 0"},
                {"t=1,2", BITS("a", "b"), {1}, "4 4"},
                {"t=1,2 h=0,1", BITS("aaa", "aaa", "bbb", "bbb"), THREE, "0 0 0 0"},
                /* only where the axis matters: isa=x */
                {"i=x,y t=1,2", BITS("aaa", "bbb", "ccc", "ccc"), THREE, "2 2 0 0"});
}
END_TEST

/* The permutation test is content with four of each and with three of nine, but in every 16th, or
 * 8th, job so a coin's toss at one level gives that. */
START_TEST(an_effect_is_run_until_a_race_would_have_shown)
{
    CHECK_ASKED({"t=1,2", BITS("aaaa", "bbbb"), THREE, "1 1"},
                {"t=1,2,4", BITS("aaa", "aaa", "bbb"), THREE, "0 0 2"},
                {"t=1,2,4", BITS("aaa", "aaa", "bbbbb"), THREE, "0 0 0"},
                /* two lots, each with three runs that would have had to agree */
                {"t=1,2 h=0,1", BITS("aaa", "bbb", "ccc", "ddd"), THREE, "0 0 0 0"});
}
END_TEST

START_TEST(what_the_maximum_cannot_prove_is_not_tried)
{
    CHECK_ASKED({"t=1,2", BITS("aaa", "bbb"), {.min = 3, .max = 3}, "0 0"},
                {"t=1,2", BITS("aaa", "bbb"), {.min = 3, .max = 4}, "1 1"},
                {"t=1,2", BITS("aaaa", "bbbb"), {.min = 3, .max = 4}, "0 0"});
}
END_TEST

START_TEST(beside_an_unstable_cell_the_others_run_on)
{
    char *more = asked("t=1,2", BITS("aaa", "abc"), (struct sb_repeats)THREE);
    ck_assert_int_ge(more[0], '1');
    free(more);
    /* where all are unstable there is nothing to doubt */
    CHECK_ASKED({"t=1,2", BITS("aba", "abc"), THREE, "0 0"}, {"", BITS("aba"), THREE, "0"});
}
END_TEST

START_TEST(stop_diverged_goes_on_while_nothing_diverges)
{
#define STOP {.min = 3, .max = 8, .stop_diverged = true}
    CHECK_ASKED({"t=1,2", BITS("aaa", "aaa"), STOP, "1 1"},
                {"t=1,2", BITS("aaaa", "aaaa"), STOP, "2 2"},
                {"t=1,2", BITS("aaaaaa", "aaaaaa"), STOP, "2 2"},
                {"t=1,2", BITS("aaaaaaaa", "aaaaaaaa"), STOP, "0 0"},
                /* an axis' effect is no divergence of repeats */
                {"t=1,2", BITS("aaaa", "bbbb"), STOP, "2 2"}, {"t=1", BITS("aaab"), STOP, "0"});
}
END_TEST

/* Mean repeats of a cell over some worlds of two cells. */
static double mean_repeats(struct world_kind kind) {
    size_t runs = 0, cells = 0;
    kind.design = SB_DESIGN_FULL;
    kind.least_axes = kind.most_axes = 1;
    kind.most_levels = 2;
    kind.repeats.min = 3;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct world *world = world_make(&kind, seed);
        world_play(world);
        for (size_t c = 0; c < world->n_cells; c++) {
            size_t of_cell = 0;
            for (size_t i = 0; i < world->n_trials; i++)
                of_cell += world->trials[i].cell == c;
            ck_assert_uint_le(of_cell, SB_REPEATS_MAX);
            ck_assert_uint_ge(of_cell, 3);
        }
        runs += world->n_trials;
        cells += world->n_cells;
        world_free(world);
    }
    return (double)runs / (double)cells;
}

START_TEST(runs_are_not_wasted)
{
    /* all bits different in one cell of two: a handful; a coin's toss: some more */
    ck_assert_double_le(
        mean_repeats((struct world_kind){.race = RACE_EVERY_RUN_DIFFERS, .where = RACE_AT_LEVELS}),
        8);
    ck_assert_double_le(mean_repeats((struct world_kind){
                            .race = RACE_TWO_OUTCOMES, .where = RACE_AT_LEVELS, .other = 0.5}),
                        16);
    ck_assert_double_le(mean_repeats((struct world_kind){.most_causes = 1}), 4);
}
END_TEST

START_TEST(a_job_that_sometimes_crashes_ends)
{
    mean_repeats((struct world_kind){
        .race = RACE_TWO_OUTCOMES, .where = RACE_EVERYWHERE, .other = 0.05, .failing = 0.4});
}
END_TEST

SB_TEST_MAIN("attribute-more-runs", the_minimum_comes_first_and_failed_runs_count,
             what_always_crashes_is_not_asked_again, exact_repeats_are_exact,
             bits_that_agree_need_no_more, an_effect_is_run_until_it_is_no_luck,
             an_effect_is_run_until_a_race_would_have_shown,
             what_the_maximum_cannot_prove_is_not_tried, beside_an_unstable_cell_the_others_run_on,
             stop_diverged_goes_on_while_nothing_diverges, runs_are_not_wasted,
             a_job_that_sometimes_crashes_ends)
