/* The search for causes, on generated programs whose minimal cures are known. */
#include "attribute/search.h"
#include "matrix/random.h"
#include "tests/testing.h"

#include <errno.h>
#include <string.h>

enum { SOURCES = 8, SCHEDULE = 1 << (SOURCES - 1), ALL = (1 << SOURCES) - 1, PARTS = 3 };

/* A program: parts that vary from run to run, each until one of its sources is frozen. */
struct world {
    size_t n_parts;
    sb_mask stills[PARTS];  /* any one of these frozen stills the part */
    double rate[PARTS];     /* of runs in which the part is unlike its usual self */
    unsigned values[PARTS]; /* that it then may take */
    sb_mask fatal;          /* freezing any of these makes runs fail */
    uint64_t random;
    struct sb_sample asked[1 << SOURCES];
    unsigned counts[1 << SOURCES][64]; /* of each result that was seen */
    uint64_t results[1 << SOURCES][64];
    unsigned runs, limit;
    bool lazy; /* answers what it knows, and does the runs between two searches */
    sb_mask wanted;
    unsigned wanted_runs;
};

static uint64_t one_run(struct world *world, sb_mask frozen) {
    uint64_t result = 0;
    for (size_t i = 0; i < world->n_parts; i++) {
        uint64_t value = 0;
        double u = (double)sb_random_below(&world->random, 1000000) / 1e6;
        if (!(frozen & world->stills[i]) && u < world->rate[i])
            value = 1 + sb_random_below(&world->random, world->values[i]);
        result = result * 1000003 + value;
    }
    return result;
}

static void do_runs(struct world *world, sb_mask frozen, unsigned wanted) {
    struct sb_sample *sample = &world->asked[frozen];
    while (sample->runs + sample->failed < wanted) {
        world->runs++;
        if (frozen & world->fatal) {
            sample->failed++;
            continue;
        }
        uint64_t result = one_run(world, frozen);
        unsigned i = 0;
        while (i < sample->distinct && world->results[frozen][i] != result)
            i++;
        if (i == 64)
            continue;
        world->results[frozen][i] = result;
        if (i == sample->distinct)
            sample->distinct++;
        if (++world->counts[frozen][i] > sample->largest)
            sample->largest = world->counts[frozen][i];
        sample->runs++;
    }
}

static int ask(void *context, sb_mask frozen, unsigned wanted, struct sb_sample *sample) {
    struct world *world = context;
    const struct sb_sample *known = &world->asked[frozen];
    ck_assert_uint_eq(frozen & ~(sb_mask)ALL, 0);
    if (known->runs + known->failed < wanted) {
        if (world->runs + wanted - known->runs - known->failed > world->limit)
            return -ECANCELED;
        if (world->lazy) {
            world->wanted = frozen;
            world->wanted_runs = wanted;
            return -EAGAIN;
        }
        do_runs(world, frozen, wanted);
    }
    *sample = *known;
    return 0;
}

static struct sb_search make_search(struct world *world) {
    return (struct sb_search){.sources = ALL,
                              .likely = ALL,
                              .blunt = SCHEDULE,
                              .luck = 0.002,
                              .most = 60,
                              .confirm = 20,
                              .ask = ask,
                              .context = world};
}

static bool still(const struct world *world, sb_mask frozen) {
    for (size_t i = 0; i < world->n_parts; i++) {
        if (!(frozen & world->stills[i]))
            return false;
    }
    return true;
}

static bool still_minimally(const struct world *world, sb_mask frozen) {
    for (sb_mask rest = frozen; rest; rest &= rest - 1) {
        if (still(world, frozen & ~(rest & -rest)))
            return false;
    }
    return still(world, frozen);
}

/* Are exactly the minimal cures found? */
static bool right(const struct world *world, const struct sb_findings *findings) {
    size_t n = 0, found = 0;
    for (sb_mask set = 1; set <= ALL; set++)
        n += still_minimally(world, set);
    for (size_t i = 0; i < findings->n_cures; i++)
        found += still_minimally(world, findings->cures[i].frozen);
    return findings->found == SB_FOUND_CURES && found == findings->n_cures &&
           (found == n || found == SB_SEARCH_CURES);
}

static void make_world(struct world *world, uint64_t seed, double least_rate) {
    *world = (struct world){.random = seed, .limit = 100000};
    world->n_parts = 1 + (size_t)sb_random_below(&world->random, PARTS);
    for (size_t i = 0; i < world->n_parts; i++) {
        world->stills[i] = 1u << sb_random_below(&world->random, SOURCES);
        if (sb_random_below(&world->random, 3) == 0)
            world->stills[i] |= 1u << sb_random_below(&world->random, SOURCES);
        bool often = sb_random_below(&world->random, 2);
        double u = (double)sb_random_below(&world->random, 1000) / 1000;
        world->rate[i] = often ? 1 : least_rate + (0.5 - least_rate) * u;
        world->values[i] = often ? 1000000 : 1 + (unsigned)sb_random_below(&world->random, 3);
    }
}

START_TEST(every_minimal_cure_of_generated_programs_is_found)
{
    const struct {
        double least_rate;
        unsigned most_wrong; /* of 1000: measured 0 and 7, and some more */
    } kinds[] = {{0.3, 3}, {0.1, 15}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        unsigned wrong = 0, runs = 0;
        for (uint64_t seed = 1; seed <= 1000; seed++) {
            struct world world;
            struct sb_findings findings;
            make_world(&world, seed * 7919, kinds[k].least_rate);
            struct sb_search search = make_search(&world);
            ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
            wrong += !right(&world, &findings);
            runs += world.runs;
        }
        printf("rates from %.1f: %u of 1000 wrong, %u runs each\n", kinds[k].least_rate, wrong,
               runs / 1000);
        ck_assert_uint_le(wrong, kinds[k].most_wrong);
    }
}
END_TEST

START_TEST(a_search_that_waits_for_its_runs_finds_the_same)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct world world, other;
        struct sb_findings findings, later;
        make_world(&world, seed, 0.2);
        other = world;
        struct sb_search search = make_search(&world);
        ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
        other.lazy = true;
        search.context = &other;
        int rc, rounds = 0;
        while ((rc = sb_search_causes(&search, &later)) == -EAGAIN && rounds++ < 10000)
            do_runs(&other, other.wanted, other.wanted_runs);
        ck_assert_int_eq(rc, 0);
        ck_assert_uint_eq(later.n_cures, findings.n_cures);
        for (size_t i = 0; i < later.n_cures; i++)
            ck_assert_uint_eq(later.cures[i].frozen, findings.cures[i].frozen);
    }
}
END_TEST

START_TEST(a_seed_that_hides_a_rare_race_is_not_the_only_cause)
{
    struct world world = {.n_parts = 2,
                          .stills = {1, SCHEDULE},
                          .rate = {1, 0.2},
                          .values = {1000000, 1},
                          .random = 3,
                          .limit = 10000};
    struct sb_findings findings;
    struct sb_search search = make_search(&world);
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert_uint_eq(findings.n_cures, 1);
    ck_assert_uint_eq(findings.cures[0].frozen, 1 | SCHEDULE);
    ck_assert_uint_gt(findings.cures[0].with.runs, 10);
    ck_assert_uint_gt(findings.cures[0].without.distinct, 1);
}
END_TEST

START_TEST(the_cure_nearest_to_the_programs_fault_comes_first)
{
    struct world world = {.n_parts = 1,
                          .stills = {1 << 4 | 1 << 6 | SCHEDULE},
                          .rate = {1},
                          .values = {1000},
                          .random = 5,
                          .limit = 10000};
    struct sb_findings findings;
    struct sb_search search = make_search(&world);
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert(findings.complete);
    ck_assert_uint_eq(findings.n_cures, 3);
    ck_assert_uint_eq(findings.cures[0].frozen, 1 << 4);
    ck_assert_uint_eq(findings.cures[1].frozen, 1 << 6);
    ck_assert_uint_eq(findings.cures[2].frozen, SCHEDULE);
    ck_assert(findings.cures[0].luck < 0.002);
}
END_TEST

START_TEST(what_nothing_stills_has_no_cure)
{
    struct world world = {.n_parts = 1, .rate = {0.5}, .values = {1}, .random = 9, .limit = 10000};
    struct sb_findings findings;
    struct sb_search search = make_search(&world);
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert_int_eq(findings.found, SB_FOUND_NO_CURE);
    ck_assert_uint_eq(findings.n_cures, 0);
    world.n_parts = 0; /* and of what does not vary nothing is found */
    memset(world.asked, 0, sizeof world.asked);
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert_int_eq(findings.found, SB_FOUND_NOTHING);
}
END_TEST

START_TEST(runs_that_fail_are_no_cure)
{
    struct world world = {.n_parts = 1,
                          .stills = {1 | 1 << 4},
                          .rate = {1},
                          .values = {1000},
                          .fatal = 1,
                          .random = 11,
                          .limit = 10000};
    struct sb_findings findings;
    struct sb_search search = make_search(&world);
    search.sources &= ~(sb_mask)1;
    search.likely &= ~(sb_mask)1;
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert_uint_eq(findings.cures[0].frozen, 1 << 4);
    search = make_search(&world); /* everything frozen fails: one by one, then */
    ck_assert_int_eq(sb_search_causes(&search, &findings), 0);
    ck_assert_uint_eq(findings.n_cures, 1);
    ck_assert_uint_eq(findings.cures[0].frozen, 1 << 4);
}
END_TEST

START_TEST(a_search_cut_short_says_what_it_has_and_that_it_is_not_all)
{
    struct world world = {.n_parts = 1, .stills = {2}, .rate = {1}, .values = {1000}, .random = 13};
    struct sb_findings findings;
    struct sb_search search = make_search(&world);
    unsigned with_cause = 0;
    for (world.limit = 0; world.limit < 150; world.limit++) {
        int rc = sb_search_causes(&search, &findings);
        ck_assert(rc == 0 || rc == -ECANCELED);
        ck_assert(findings.complete == (rc == 0 && findings.found == SB_FOUND_CURES));
        if (rc < 0 && findings.n_cures) {
            with_cause++;
            ck_assert_uint_eq(findings.cures[0].frozen, 2);
        }
    }
    ck_assert(findings.complete);
    ck_assert_uint_gt(with_cause, 0);
}
END_TEST

START_TEST(runs_that_agree_by_chance_are_bounded)
{
    ck_assert_uint_eq(sb_search_runs(0.5, 0.01), 8);  /* 0.5^7 = 0.0078 */
    ck_assert_uint_eq(sb_search_runs(0.9, 0.01), 45); /* 0.9^44 = 0.0097 */
    ck_assert_uint_eq(sb_search_runs(0.1, 0.01), 5);
}
END_TEST

SB_TEST_MAIN("attribute-search", every_minimal_cure_of_generated_programs_is_found,
             a_search_that_waits_for_its_runs_finds_the_same,
             a_seed_that_hides_a_rare_race_is_not_the_only_cause,
             the_cure_nearest_to_the_programs_fault_comes_first, what_nothing_stills_has_no_cure,
             runs_that_fail_are_no_cure, a_search_cut_short_says_what_it_has_and_that_it_is_not_all,
             runs_that_agree_by_chance_are_bounded)
