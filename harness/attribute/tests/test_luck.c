/* The chances that verdicts rest on, against counting every case. */
#include "attribute/luck.h"
#include "attribute/tests/sample.h"

enum { MOST_RUNS = 9 };

struct deal {
    unsigned left[4]; /* runs of each group that are not dealt yet */
    const struct sb_block *blocks;
    size_t n_blocks;
    size_t all, pure;
};

/* Deals out every different row of runs. */
static void deal_on(struct deal *deal, size_t block, unsigned dealt, int first, bool pure) {
    if (block == deal->n_blocks) {
        deal->all++;
        deal->pure += pure;
        return;
    }
    if (dealt == deal->blocks[block].runs) {
        deal_on(deal, block + 1, 0, -1, pure);
        return;
    }
    for (int group = 0; group < 4; group++) {
        if (!deal->left[group])
            continue;
        deal->left[group]--;
        deal_on(deal, block, dealt + 1, dealt ? first : group, pure && (!dealt || group == first));
        deal->left[group]++;
    }
}

START_TEST(the_permutation_test_counts_what_dealing_out_every_way_counts)
{
    static const struct {
        struct sb_block blocks[5];
        size_t n;
    } cases[] = {
        {{{0, 3}, {1, 3}}, 2},
        {{{0, 4}, {1, 4}}, 2},
        {{{0, 1}, {1, 3}}, 2},
        {{{0, 2}, {0, 2}, {1, 2}, {1, 2}}, 4},
        {{{0, 2}, {1, 2}, {0, 2}, {2, 2}}, 4},
        {{{0, 1}, {0, 2}, {1, 3}, {1, 1}}, 4},
        {{{0, 1}, {0, 2}, {1, 3}, {2, 1}, {2, 2}}, 5},
        {{{0, 4}, {1, 2}, {1, 2}, {2, 1}}, 4},
        {{{3, 1}, {2, 1}, {1, 1}, {0, 1}, {0, 5}}, 5},
        {{{0, 3}, {0, 3}}, 2},
        {{{0, 3}, {1, 0}}, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deal deal = {.blocks = cases[i].blocks, .n_blocks = cases[i].n};
        for (size_t b = 0; b < cases[i].n; b++)
            deal.left[cases[i].blocks[b].group] += cases[i].blocks[b].runs;
        deal_on(&deal, 0, 0, -1, true);
        ck_assert_double_eq_tol(exp(sb_deal_log_chance(cases[i].blocks, cases[i].n)),
                                (double)deal.pure / (double)deal.all, 1e-10);
    }
}
END_TEST

START_TEST(many_sizes_of_cells_still_give_a_chance)
{
    struct sb_block blocks[60];
    for (unsigned i = 0; i < 60; i++)
        blocks[i] = (struct sb_block){(int)(i % 7), 1 + i % 13};
    double chance = sb_deal_log_chance(blocks, 60);
    ck_assert(chance < log(1e-6) && chance > log(1e-300));
}
END_TEST

START_TEST(an_axis_beside_another_is_tested_within_the_levels_of_that)
{
    /* t: 3 and 3 runs at each h, twice: (2/20)²; the same for h */
    struct sample *sample =
        sample_make("t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaa", "bbb", "ccc", "ddd"));
    SB_AUTO_VIEW struct sb_view view;
    ck_assert_int_eq(sb_view_make(&sample->evidence, &view, NULL), 0);
    ck_assert_double_eq_tol(sb_axis_p(&view, NULL, 3, 0), 0.01, 1e-12);
    ck_assert_double_eq_tol(sb_dependence_p(&view, NULL, 3), 0.01, 1e-12);
    const unsigned ahead[] = {4, 4, 4, 4};
    ck_assert_double_eq_tol(sb_dependence_p(&view, ahead, 3), 4.0 / 70 / 70, 1e-12);
    sample_free(sample);
}
END_TEST

START_TEST(cells_that_ran_once_are_no_proof_however_many_they_are)
{
    /* t explains all eight runs, and 2 of 70 ways to deal them out do; but of eight cells of one
     * run each, some function of the axes explains anything */
    struct sample *sample = sample_make("t=1,2 h=0,1 d=0,1", SB_DESIGN_FULL,
                                        BITS("a", "a", "a", "a", "b", "b", "b", "b"));
    SB_AUTO_VIEW struct sb_view view;
    ck_assert_int_eq(sb_view_make(&sample->evidence, &view, NULL), 0);
    ck_assert_double_eq_tol(sb_dependence_p(&view, NULL, 1), 1, 1e-12);
    sample_free(sample);
}
END_TEST

START_TEST(agreement_beside_a_race_is_luck_until_it_ran_often_enough)
{
    ck_assert_double_eq_tol(sb_agreement_luck(3, 3, 2), 10.0 / 20, 1e-12); /* C(5,3) of C(6,3) */
    ck_assert_double_eq_tol(sb_agreement_luck(4, 10, 5), 126.0 / 1001, 1e-12);
    ck_assert_double_eq_tol(sb_agreement_luck(7, 6, 6), 1, 1e-12); /* nothing ever disagreed */
    for (unsigned repeats = 1; repeats < 50; repeats++)
        ck_assert_double_lt(sb_agreement_luck(repeats + 1, 12, 7),
                            sb_agreement_luck(repeats, 12, 7));
}
END_TEST

START_TEST(a_mismatch_that_gave_a_race_away_says_nothing_of_its_rate)
{
    /* one mismatch in 30: without it none, and agreement is all luck */
    struct sample *sample =
        sample_make("t=1,2", SB_DESIGN_FULL,
                    BITS("aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    SB_AUTO_VIEW struct sb_view view;
    ck_assert_int_eq(sb_view_make(&sample->evidence, &view, NULL), 0);
    ck_assert_double_ge(sb_stable_luck(&view), 1);
    sample_free(sample);
}
END_TEST

START_TEST(the_bound_beside_a_pass_is_the_stated_one)
{
    ck_assert(isnan(sb_mismatch_rate_95(0)));
    ck_assert_double_eq_tol(sb_mismatch_rate_95(5), 0.45, 0.005);
    ck_assert_double_eq_tol(sb_mismatch_rate_95(20), 0.14, 0.005);
    ck_assert_double_eq_tol(sb_mismatch_rate_95(59), 0.05, 0.001);
}
END_TEST

SB_TEST_MAIN("attribute-luck", the_permutation_test_counts_what_dealing_out_every_way_counts,
             many_sizes_of_cells_still_give_a_chance,
             an_axis_beside_another_is_tested_within_the_levels_of_that,
             cells_that_ran_once_are_no_proof_however_many_they_are,
             agreement_beside_a_race_is_luck_until_it_ran_often_enough,
             a_mismatch_that_gave_a_race_away_says_nothing_of_its_rate,
             the_bound_beside_a_pass_is_the_stated_one)
