/* Requirements: what is held against them, and what is not. */
#include "attribute/tests/sample.h"

#include <limits.h>

/* Groups whose letters are neighbours are within tolerance; counts the questions. */
static bool neighbours(void *context, int a, int b) {
    ++*(unsigned *)context;
    ck_assert_int_gt(a, b);
    return a - b == 1;
}

struct requirement_case {
    const char *axes;
    enum sb_design design;
    const char *const *bits;
    const char *require; /* "t=bitwise h=ignore" */
    const char *reason;  /* NULL: met */
};

static void parse_requirements(const char *text, struct sb_requirement *require, size_t *n) {
    char *copy = strdup(text), *rest = copy, *word;
    *n = 0;
    while ((word = strsep(&rest, " "))) {
        char *need = strchr(word, '=');
        if (!need)
            continue;
        *need++ = '\0';
        require[*n].axis = strdup(word);
        for (int i = 0; sb_need_names[i]; i++) {
            if (strcmp(sb_need_names[i], need) == 0)
                require[*n].need = (enum sb_need)i;
        }
        ++*n;
    }
    free(copy);
}

static unsigned check_requirement(const struct requirement_case *one, size_t number) {
    struct sample *sample = sample_make(one->axes, one->design, one->bits);
    struct sb_requirement require[8] = {0};
    struct sb_job job = {.require = require};
    parse_requirements(one->require, require, &job.n_require);
    unsigned questions = 0;
    char *reason = NULL;
    char *limit = NULL;
    bool met =
        sb_requirements_met(&sample->evidence, &job, neighbours, &questions, &reason, &limit);
    ck_assert_ptr_null(limit);
    ck_assert_msg(met == !one->reason, "case %zu: %s", number, reason ? reason : "met");
    ck_assert(met == !reason);
    if (!met)
        ck_assert_str_eq(reason, one->reason);
    free(reason);
    for (size_t i = 0; i < job.n_require; i++)
        free(require[i].axis);
    sample_free(sample);
    return questions;
}

#define CHECK_REQUIREMENTS(...)                                                                    \
    do {                                                                                           \
        const struct requirement_case cases_[] = {__VA_ARGS__};                                    \
        for (size_t i_ = 0; i_ < sizeof cases_ / sizeof *cases_; i_++)                             \
            check_requirement(&cases_[i_], i_);                                                    \
    } while (0)

START_TEST(equal_bits_meet_everything)
{
    const struct requirement_case one = {"t=1,2 h=0,1", SB_DESIGN_FULL,
                                         BITS("aaa", "aaa", "aaa", "aaa"), "t=bitwise", NULL};
    ck_assert_uint_eq(check_requirement(&one, 0), 0);
}
END_TEST

START_TEST(each_axis_is_judged_by_its_own_need)
{
    CHECK_REQUIREMENTS(
        {"threads=1,2", SB_DESIGN_FULL, BITS("aaaa", "bbbb"), "threads=bitwise",
         "threads: 1 and 2 differ"},
        {"threads=1,2", SB_DESIGN_FULL, BITS("aaaa", "bbbb"), "threads=rounding", NULL},
        {"threads=1,2", SB_DESIGN_FULL, BITS("aaaa", "cccc"), "threads=rounding",
         "threads: 1 and 2 differ beyond rounding"},
        {"threads=1,2", SB_DESIGN_FULL, BITS("aaaa", "cccc"), "threads=ignore", NULL},
        /* nobody said: rounding over threads, bitwise over hash_seed */
        {"threads=1,2", SB_DESIGN_FULL, BITS("aaaa", "bbbb"), "", NULL},
        {"hash_seed=0,1", SB_DESIGN_FULL, BITS("aaaa", "bbbb"), "", "hash_seed: 0 and 1 differ"},
        {"threads=1,2 hash_seed=0,1", SB_DESIGN_FULL, BITS("aaaa", "bbbb", "cccc", "dddd"), "",
         "threads: 1 and 2 differ beyond rounding at hash_seed=0; hash_seed: 0 and 1 differ at "
         "threads=1"},
        /* any two levels, not only against the first */
        {"threads=1,2,4", SB_DESIGN_FULL, BITS("bbbb", "aaaa", "cccc"), "",
         "threads: 2 and 4 differ beyond rounding"});
}
END_TEST

START_TEST(pairs_that_differ_in_more_than_one_axis_are_not_held_against_it)
{
    /* t rounds, h is free to do as it likes: a to d is h's */
    CHECK_REQUIREMENTS({"t=1,2 h=0,1", SB_DESIGN_FULL, BITS("aaaa", "dddd", "bbbb", "eeee"),
                        "t=rounding h=ignore", NULL});
}
END_TEST

START_TEST(repeats_are_judged_within_the_cell)
{
    CHECK_REQUIREMENTS(
        {"t=1,2 d=off,on", SB_DESIGN_FULL, BITS("aaa", "aaa", "abc", "aaa"), "",
         "repeats: cell t=2 d=off gave 3 different results in 3 runs"},
        {"", SB_DESIGN_FULL, BITS("ab-a"), "", "repeats: 2 different results in 3 runs"},
        {"t=1,2", SB_DESIGN_FULL, BITS("aba", "aab"), "",
         "repeats: cell t=1 gave 2 different results in 3 runs (and 1 more cell)"},
        {"t=1,2", SB_DESIGN_FULL, BITS("aaa", "aba"), "repeats=rounding", NULL},
        {"t=1,2", SB_DESIGN_FULL, BITS("aaa", "abc"), "repeats=rounding",
         "repeats: cell t=2 gave 3 different results in 3 runs, beyond rounding"},
        {"t=1,2", SB_DESIGN_FULL, BITS("aaa", "axz"), "repeats=ignore", NULL});
}
END_TEST

START_TEST(an_unstable_cell_is_not_blamed_on_an_axis)
{
    CHECK_REQUIREMENTS(
        {"h=0,1", SB_DESIGN_FULL, BITS("aaa", "bcb"), "repeats=ignore h=bitwise", NULL},
        {"h=0,1", SB_DESIGN_FULL, BITS("aaa", "bcb"), "",
         "repeats: cell h=1 gave 2 different results in 3 runs"});
}
END_TEST

START_TEST(fractional_designs_are_judged_too)
{
    /* pairwise cells never differ in one axis alone; the bits follow `a`, so the others are as good
     * as equal */
    struct sample *sample = sample_make("a=0,1,2 b=0,1,2", SB_DESIGN_PAIRWISE, NULL);
    for (size_t repeat = 0; repeat < 4; repeat++) {
        for (size_t c = 0; c < sample->evidence.n_cells; c++)
            sample->trials[sample->evidence.n_trials++] =
                (struct sb_trial){c, 3 * (int)sample->cells[c][0]};
    }
    struct sb_job job = {0};
    unsigned questions = 0;
    char *reason = NULL, *limit = NULL;
    ck_assert(
        !sb_requirements_met(&sample->evidence, &job, neighbours, &questions, &reason, &limit));
    ck_assert_str_eq(reason, "a: 0 and 1 differ");
    free(reason);
    sample_free(sample);
}
END_TEST

/* Groups beyond `context` are far from the others; counts the questions. */
struct far {
    int from;
    unsigned questions;
};

static bool not_far(void *context, int a, int b) {
    struct far *far = context;
    far->questions++;
    return a < far->from && b < far->from;
}

/* Questions asked of one cell whose runs all have other bits. */
static unsigned ask_one_cell(size_t runs, int from, bool *met, char **limit) {
    struct sb_trial *trials = calloc(runs, sizeof *trials);
    const unsigned *cells[] = {NULL};
    struct sb_requirement require = {.axis = (char[]){"repeats"}, .need = SB_NEED_ROUNDING};
    struct sb_job job = {.require = &require, .n_require = 1};
    struct far far = {.from = from};
    for (size_t i = 0; i < runs; i++)
        trials[i].group = (int)i;
    struct sb_evidence evidence = {
        .n_cells = 1, .cells = cells, .trials = trials, .n_trials = runs};
    char *reason = NULL;
    *met = sb_requirements_met(&evidence, &job, not_far, &far, &reason, limit);
    free(reason);
    free(trials);
    return far.questions;
}

START_TEST(runs_that_all_differ_are_judged_in_proportion_to_their_number)
{
    bool met;
    char *limit;
    unsigned once = ask_one_cell(5000, INT_MAX, &met, &limit);
    ck_assert(met);
    ck_assert_str_eq(limit,
                     "repeats: of 5000 results of one cell, 32 were judged two by two, and "
                     "the others against the first");
    free(limit);
    unsigned twice = ask_one_cell(10000, INT_MAX, &met, &limit);
    free(limit);
    ck_assert_uint_eq(twice - once, 5000);
    ck_assert_uint_eq(ask_one_cell(32, INT_MAX, &met, &limit), 32 * 31 / 2);
    ck_assert_ptr_null(limit);
    /* one that is far from the first is found, however late it comes */
    ask_one_cell(5000, 4999, &met, &limit);
    ck_assert(!met);
    ck_assert_ptr_null(limit);
}
END_TEST

SB_TEST_MAIN("attribute-requirements", equal_bits_meet_everything,
             each_axis_is_judged_by_its_own_need,
             pairs_that_differ_in_more_than_one_axis_are_not_held_against_it,
             repeats_are_judged_within_the_cell, an_unstable_cell_is_not_blamed_on_an_axis,
             fractional_designs_are_judged_too,
             runs_that_all_differ_are_judged_in_proportion_to_their_number)
