/* matrix: designs and the order of runs. */
#include "base/cleanup.h"
#include "matrix/random.h"
#include "tests/testing.h"

#include <samebits/matrix.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static unsigned *design(enum sb_design kind, const unsigned *n_levels, size_t n_axes, size_t *n) {
    unsigned *levels = NULL;
    struct sb_error err = {0};
    ck_assert_msg(sb_design_cells(kind, n_levels, n_axes, &levels, n, &err) == 0, "%s", err.text);
    for (size_t a = 0; a < n_axes; a++)
        ck_assert_uint_eq(levels[a], 0);
    for (size_t i = 0; i < *n * n_axes; i++)
        ck_assert_uint_lt(levels[i], n_levels[i % n_axes]);
    return levels;
}

/* Pairs of levels that no cell holds. */
static size_t uncovered(const unsigned *cells, size_t n, const unsigned *n_levels, size_t n_axes) {
    size_t missing = 0;
    for (size_t a = 0; a < n_axes; a++) {
        for (size_t b = a + 1; b < n_axes; b++) {
            bool held[SB_MAX_LEVELS][SB_MAX_LEVELS] = {{false}};
            for (size_t c = 0; c < n; c++)
                held[cells[c * n_axes + a]][cells[c * n_axes + b]] = true;
            for (unsigned x = 0; x < n_levels[a]; x++) {
                for (unsigned y = 0; y < n_levels[b]; y++)
                    missing += !held[x][y];
            }
        }
    }
    return missing;
}

static size_t pairwise_size(const unsigned *n_levels, size_t n_axes) {
    size_t n;
    SB_AUTO_FREE unsigned *cells = design(SB_DESIGN_PAIRWISE, n_levels, n_axes, &n);
    ck_assert_uint_eq(uncovered(cells, n, n_levels, n_axes), 0);
    return n;
}

START_TEST(full_is_every_combination_once_with_the_last_axis_fastest)
{
    const unsigned n_levels[] = {2, 3};
    const unsigned expected[] = {0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2};
    size_t n;
    SB_AUTO_FREE unsigned *cells = design(SB_DESIGN_FULL, n_levels, 2, &n);
    ck_assert_uint_eq(n, 6);
    ck_assert_mem_eq(cells, expected, sizeof expected);
}
END_TEST

START_TEST(one_at_a_time_leaves_the_reference_in_one_axis_only)
{
    const unsigned n_levels[] = {2, 1, 3};
    const unsigned expected[] = {0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 2};
    size_t n;
    SB_AUTO_FREE unsigned *cells = design(SB_DESIGN_ONE_AT_A_TIME, n_levels, 3, &n);
    ck_assert_uint_eq(n, 4);
    ck_assert_mem_eq(cells, expected, sizeof expected);
}
END_TEST

START_TEST(no_axis_and_one_axis_work_in_every_design)
{
    const unsigned five[] = {5};
    for (int kind = SB_DESIGN_FULL; kind <= SB_DESIGN_PAIRWISE; kind++) {
        size_t n;
        free(design((enum sb_design)kind, NULL, 0, &n));
        ck_assert_uint_eq(n, 1);
        free(design((enum sb_design)kind, five, 1, &n));
        ck_assert_uint_eq(n, 5);
    }
}
END_TEST

START_TEST(a_full_design_that_is_too_large_is_refused_with_a_way_out)
{
    unsigned n_levels[20];
    for (int i = 0; i < 20; i++)
        n_levels[i] = 2;
    unsigned *levels = NULL;
    size_t n = 7;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_design_cells(SB_DESIGN_FULL, n_levels, 20, &levels, &n, &err), -E2BIG);
    ck_assert_ptr_nonnull(strstr(err.text, "1000000"));
    ck_assert_ptr_nonnull(strstr(err.text, "pairwise"));
    ck_assert_ptr_null(levels);
    ck_assert_uint_eq(n, 7);
    n_levels[0] = 1; /* 2^19 cells are within the limit */
    ck_assert_int_eq(sb_design_cells(SB_DESIGN_FULL, n_levels, 20, &levels, &n, &err), 0);
    ck_assert_uint_eq(n, 1u << 19);
    free(levels);
}
END_TEST

START_TEST(too_many_axes_or_levels_are_refused)
{
    unsigned n_levels[SB_MAX_AXES + 1];
    for (int i = 0; i <= SB_MAX_AXES; i++)
        n_levels[i] = 1;
    unsigned *levels = NULL;
    size_t n;
    struct sb_error err = {0};
    ck_assert_int_lt(sb_design_cells(SB_DESIGN_FULL, n_levels, SB_MAX_AXES + 1, &levels, &n, &err),
                     0);
    n_levels[0] = SB_MAX_LEVELS + 1;
    ck_assert_int_lt(sb_design_cells(SB_DESIGN_PAIRWISE, n_levels, 2, &levels, &n, &err), 0);
    n_levels[0] = 0;
    ck_assert_int_lt(sb_design_cells(SB_DESIGN_FULL, n_levels, 2, &levels, &n, &err), 0);
}
END_TEST

/* The best sizes known are those of the covering array tables (Colbourn) and of orthogonal arrays.
 */
START_TEST(pairwise_is_near_the_smallest_that_is_known)
{
    static const struct {
        unsigned n_levels[16];
        size_t n_axes, best, accepted;
    } known[] = {
        {{2, 2, 2}, 3, 4, 4},
        {{3, 3, 3, 3}, 4, 9, 9},
        {{2, 2, 2, 2, 2, 2, 2, 2, 2, 2}, 10, 6, 7},
        {{3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}, 13, 15, 17},
        {{4, 4, 4, 4, 4}, 5, 16, 17},
        {{5, 3, 3, 2}, 4, 15, 15},
        {{10, 10, 2, 2, 3}, 5, 100, 100},
        {{6, 4, 2, 2, 2}, 5, 24, 24},
        {{2, 2, 3}, 3, 6, 6},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = pairwise_size(known[i].n_levels, known[i].n_axes);
        ck_assert_uint_ge(n, known[i].best);
        ck_assert_msg(n <= known[i].accepted, "shape %zu has %zu cells", i, n);
    }
}
END_TEST

START_TEST(pairwise_covers_every_pair_of_random_shapes)
{
    uint64_t random = 1;
    for (int shape = 0; shape < 300; shape++) {
        unsigned n_levels[9];
        size_t n_axes = 2 + (size_t)sb_random_below(&random, 8);
        size_t all = 1;
        for (size_t a = 0; a < n_axes; a++)
            all *= n_levels[a] = 1 + (unsigned)sb_random_below(&random, 5);
        ck_assert_uint_le(pairwise_size(n_levels, n_axes), all);
    }
}
END_TEST

START_TEST(pairwise_grows_to_many_axes_and_levels)
{
    unsigned n_levels[SB_MAX_AXES];
    for (int i = 0; i < SB_MAX_AXES; i++)
        n_levels[i] = 2 + (unsigned)i % 3;
    ck_assert_uint_le(pairwise_size(n_levels, SB_MAX_AXES), 48);
    n_levels[0] = n_levels[1] = SB_MAX_LEVELS;
    ck_assert_uint_le(pairwise_size(n_levels, 4), SB_MAX_LEVELS * SB_MAX_LEVELS);
}
END_TEST

START_TEST(pairwise_is_the_same_each_time)
{
    const unsigned n_levels[] = {3, 2, 4, 2, 3};
    size_t n, again;
    SB_AUTO_FREE unsigned *a = design(SB_DESIGN_PAIRWISE, n_levels, 5, &n);
    SB_AUTO_FREE unsigned *b = design(SB_DESIGN_PAIRWISE, n_levels, 5, &again);
    ck_assert_uint_eq(n, again);
    ck_assert_mem_eq(a, b, n * 5 * sizeof *a);
}
END_TEST

START_TEST(the_check_of_coverage_finds_a_missing_pair)
{
    const unsigned n_levels[] = {2, 2, 2};
    const unsigned cells[] = {0, 0, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1};
    ck_assert_uint_eq(uncovered(cells, 4, n_levels, 3), 2);
}
END_TEST

START_TEST(a_round_has_every_run_that_is_due_and_the_reference_first)
{
    const unsigned counts[] = {3, 2, 0, 4};
    size_t order[9], seen[4] = {0};
    sb_order_runs(counts, 4, true, 42, order);
    for (int i = 0; i < 9; i++) {
        ck_assert_uint_lt(order[i], 4);
        seen[order[i]]++;
        ck_assert(order[i] != 0 || i < 3);
    }
    for (int c = 0; c < 4; c++)
        ck_assert_uint_eq(seen[c], counts[c]);
}
END_TEST

START_TEST(the_seed_decides_the_order_and_nothing_else_does)
{
    const unsigned counts[] = {4, 4, 4, 4};
    const size_t expected[] = {3, 3, 2, 1, 2, 2, 3, 1, 3, 2, 1, 1};
    size_t a[16], b[16];
    sb_order_runs(counts, 4, true, 7, a);
    sb_order_runs(counts, 4, true, 7, b);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_mem_eq(a + 4, expected, sizeof expected);
    sb_order_runs(counts, 4, true, 8, b);
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

START_TEST(runs_are_shuffled_evenly)
{
    const unsigned counts[] = {1, 1, 1, 1};
    unsigned first[4] = {0};
    for (uint64_t seed = 0; seed < 4000; seed++) {
        size_t order[4];
        sb_order_runs(counts, 4, false, seed, order);
        first[order[0]]++;
    }
    for (int c = 0; c < 4; c++) { /* five standard deviations of 1000 */
        ck_assert_uint_gt(first[c], 860);
        ck_assert_uint_lt(first[c], 1140);
    }
}
END_TEST

SB_TEST_MAIN("matrix-design", full_is_every_combination_once_with_the_last_axis_fastest,
             one_at_a_time_leaves_the_reference_in_one_axis_only,
             no_axis_and_one_axis_work_in_every_design,
             a_full_design_that_is_too_large_is_refused_with_a_way_out,
             too_many_axes_or_levels_are_refused, pairwise_is_near_the_smallest_that_is_known,
             pairwise_covers_every_pair_of_random_shapes, pairwise_grows_to_many_axes_and_levels,
             pairwise_is_the_same_each_time, the_check_of_coverage_finds_a_missing_pair,
             a_round_has_every_run_that_is_due_and_the_reference_first,
             the_seed_decides_the_order_and_nothing_else_does, runs_are_shuffled_evenly)
