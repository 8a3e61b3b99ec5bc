/* Minimal hitting sets, against trying every set. */
#include "attribute/hitting.h"
#include "matrix/random.h"
#include "tests/testing.h"

enum { AXES = 10 };

static bool hits_all(const struct sb_masks *edges, sb_mask set) {
    for (size_t i = 0; i < edges->n; i++) {
        if ((edges->sets[i] & set) == 0)
            return false;
    }
    return true;
}

/* Does a set hit all edges, and none without one of its axes? */
static bool hits_minimally(const struct sb_masks *edges, sb_mask set) {
    for (sb_mask rest = set; rest; rest &= rest - 1) {
        if (hits_all(edges, set & ~(rest & -rest)))
            return false;
    }
    return hits_all(edges, set);
}

START_TEST(every_minimal_set_is_found_once_in_order)
{
    uint64_t random = 7;
    for (size_t round = 0; round < 300; round++) {
        SB_AUTO_MASKS struct sb_masks edges = {0}, found = {0};
        size_t n = (size_t)sb_random_below(&random, 12), expected = 0;
        for (size_t i = 0; i < n; i++)
            sb_masks_add(&edges, 1 + sb_random_below(&random, (1 << AXES) - 1));
        for (sb_mask set = 0; set < 1 << AXES; set++)
            expected += hits_minimally(&edges, set);
        if (round % 2)
            sb_masks_minimise(&edges);
        bool complete;
        ck_assert_int_eq(sb_hitting_sets(&edges, SB_MAX_AXES, 10000, &found, &complete), 0);
        ck_assert(complete);
        ck_assert_uint_eq(found.n, expected);
        for (size_t i = 0; i < found.n; i++) {
            ck_assert(hits_minimally(&edges, found.sets[i]));
            ck_assert(i == 0 || found.sets[i] != found.sets[i - 1]);
            ck_assert(i == 0 || __builtin_popcountll(found.sets[i]) >=
                                    __builtin_popcountll(found.sets[i - 1]));
        }
    }
}
END_TEST

START_TEST(an_edge_without_axes_cannot_be_hit)
{
    SB_AUTO_MASKS struct sb_masks edges = {0}, found = {0};
    bool complete;
    sb_masks_add(&edges, 0);
    sb_masks_add(&edges, 3);
    ck_assert_int_eq(sb_hitting_sets(&edges, SB_MAX_AXES, 10, &found, &complete), 0);
    ck_assert(complete && found.n == 0);
}
END_TEST

START_TEST(small_sets_alone_can_be_asked_for)
{
    SB_AUTO_MASKS struct sb_masks edges = {0}, found = {0};
    bool complete;
    sb_masks_add(&edges, 1 | 2); /* {0} hits both, {1, 2} too */
    sb_masks_add(&edges, 1 | 4);
    ck_assert_int_eq(sb_hitting_sets(&edges, 1, 10, &found, &complete), 0);
    ck_assert(complete && found.n == 1 && found.sets[0] == 1);
}
END_TEST

START_TEST(too_many_sets_are_given_up_and_said_so)
{
    SB_AUTO_MASKS struct sb_masks edges = {0}, found = {0};
    bool complete;
    for (unsigned i = 0; i < 32; i++) /* 2^32 minimal sets */
        sb_masks_add(&edges, (sb_mask)3 << 2 * i);
    ck_assert_int_eq(sb_hitting_sets(&edges, SB_MAX_AXES, 64, &found, &complete), 0);
    ck_assert(!complete);
    ck_assert_uint_eq(found.n, 64);
}
END_TEST

SB_TEST_MAIN("attribute-hitting", every_minimal_set_is_found_once_in_order,
             an_edge_without_axes_cannot_be_hit, small_sets_alone_can_be_asked_for,
             too_many_sets_are_given_up_and_said_so)
