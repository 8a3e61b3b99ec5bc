/* Groups of runs and comparisons of groups, counting the work: it grows as the runs do. */
#include "base/cleanup.h"
#include "cli/digesting.h"
#include "cli/evidence.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t n_compared_texts, n_compared_weights;
static bool weights_are_gone;

static int counting_strcmp(const char *a, const char *b) {
    n_compared_texts++;
    return strcmp(a, b);
}

static int no_files(const struct sb_folder *folder, const char *fingerprint,
                    struct sb_strings_pair *files, struct sb_error *err) {
    (void)folder, (void)files;
    return weights_are_gone ? sb_error_errno(err, -ENOENT, "%s", fingerprint) : 0;
}

/* What is compared has one tensor, and differs within rounding. */
static int count_comparison(const struct sb_weights_files *a, const struct sb_weights_files *b,
                            const struct sb_weights_options *options,
                            const struct sb_tolerance *tolerance, struct sb_comparison *comparison,
                            struct sb_error *err) {
    (void)a, (void)b, (void)options, (void)tolerance, (void)err;
    n_compared_weights++;
    const struct sb_tensor_difference difference = {.info = {.name = (char *)"w"},
                                                    .state = SB_TENSOR_DIFFERS};
    sb_comparison_add(comparison, &difference);
    comparison->n_different = 1;
    comparison->grade = SB_GRADE_ROUNDING;
    return 0;
}

#define strcmp counting_strcmp
#define sb_store_find no_files
#define sb_compare_files count_comparison
#include "cli/evidence.c"
#undef strcmp

/* A job of two cells without axes; run i has the fingerprint i % distinct. */
struct world {
    struct sb_job job;
    struct sb_cell cells[2];
    struct sb_job_plan plan;
    struct sb_plan whole;
    struct sb_run *runs;
    char (*texts)[48];
    struct sb_job_evidence evidence;
    struct sb_group_comparisons comparisons;
};

static void make_world(struct world *world, size_t runs, size_t distinct, size_t first_of_cell_0) {
    static char name[] = "job";
    *world = (struct world){.job = {.name = name, .id = name}};
    world->plan = (struct sb_job_plan){.job = &world->job, .cells = world->cells, .n_cells = 2};
    world->whole = (struct sb_plan){.jobs = &world->plan, .n_jobs = 1};
    world->runs = calloc(runs, sizeof *world->runs);
    world->texts = calloc(distinct, sizeof *world->texts);
    for (size_t i = 0; i < runs; i++) {
        struct sb_run *run = &world->runs[i];
        snprintf(run->id, sizeof run->id, "r%06u", (unsigned)i % 1000000);
        snprintf(world->texts[i % distinct], sizeof *world->texts, "xxh3:%032zx", i % distinct);
        run->cell = i < first_of_cell_0;
        run->fingerprint = world->texts[i % distinct];
    }
    struct sb_error err = {0};
    n_compared_texts = n_compared_weights = 0;
    ck_assert_msg(sb_job_evidence_make(&world->whole, 0, world->runs, runs, 0, NULL,
                                       &world->evidence, &err) == 0,
                  "%s", err.text);
    sb_group_comparisons_open(&world->evidence, NULL, &world->comparisons);
}

static void clear_world(struct world *world) {
    sb_group_comparisons_clear(&world->comparisons);
    sb_job_evidence_clear(&world->evidence);
    free(world->runs);
    free(world->texts);
}

START_TEST(runs_with_the_same_bits_are_one_group_and_the_reference_cell_has_the_first)
{
    struct world world;
    make_world(&world, 10, 3, 4); /* run 4, the first of cell 0, has fingerprint 1 */
    const struct sb_job_evidence *evidence = &world.evidence;
    static const size_t order[] = {1, 0, 2};
    static const int groups[] = {1, 0, 2};
    ck_assert_uint_eq(evidence->groups.names.n, 3);
    for (size_t g = 0; g < 3; g++)
        ck_assert_str_eq(evidence->groups.names.items[g], world.texts[order[g]]);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(evidence->trials[i].group, groups[i % 3]);
    clear_world(&world);
}
END_TEST

START_TEST(failed_runs_are_of_no_group_and_interrupted_ones_no_evidence)
{
    struct world world;
    make_world(&world, 6, 2, 0);
    sb_job_evidence_clear(&world.evidence);
    world.runs[0].status = SB_STATUS_CRASHED;
    world.runs[3].status = SB_STATUS_INTERRUPTED;
    ck_assert_int_eq(
        sb_job_evidence_make(&world.whole, 0, world.runs, 6, 0, NULL, &world.evidence, NULL), 0);
    ck_assert_uint_eq(world.evidence.n_runs, 5);
    ck_assert_int_eq(world.evidence.trials[0].group, -1);
    ck_assert_str_eq(world.evidence.groups.names.items[0], world.texts[1]);
    ck_assert_uint_eq(world.evidence.groups.names.n, 2);
    clear_world(&world);
}
END_TEST

/* Sorting by id takes n log n comparisons of texts, and finding groups about two a run. */
START_TEST(finding_groups_takes_work_in_proportion_to_the_runs)
{
    struct world world;
    size_t distinct[] = {1, 7, 20000};
    for (size_t i = 0; i < 3; i++) {
        make_world(&world, 20000, distinct[i], 0);
        size_t some = n_compared_texts;
        clear_world(&world);
        make_world(&world, 40000, 2 * distinct[i], 0);
        ck_assert_uint_eq(world.evidence.groups.names.n, 2 * distinct[i]);
        ck_assert_msg(n_compared_texts < 5 * some / 2, "%zu, then %zu", some, n_compared_texts);
        clear_world(&world);
    }
}
END_TEST

START_TEST(each_pair_of_groups_is_compared_once)
{
    struct world world;
    make_world(&world, 2000, 2000, 0);
    const struct sb_comparison *kept[1000];
    for (int pass = 0; pass < 2; pass++) {
        for (size_t g = 1; g < 1000; g++) {
            const struct sb_comparison *one = sb_group_comparison(&world.comparisons, 0, g);
            ck_assert_ptr_nonnull(one);
            ck_assert(pass == 0 || one == kept[g]); /* it stays where it was */
            kept[g] = one;
        }
    }
    ck_assert_uint_eq(n_compared_weights, 999);
    ck_assert(sb_groups_within_tolerance(&world.comparisons, 5, 0));
    ck_assert_uint_eq(n_compared_weights, 999);
    ck_assert(sb_groups_within_tolerance(&world.comparisons, 5, 3));
    ck_assert_uint_eq(n_compared_weights, 1000);
    ck_assert_uint_eq(world.comparisons.n_pairs, 1000);
    ck_assert_uint_le(world.comparisons.room, 4096);
    clear_world(&world);
}
END_TEST

START_TEST(weights_that_are_gone_are_no_comparison_and_named)
{
    struct world world;
    make_world(&world, 3, 3, 0);
    weights_are_gone = true;
    for (int pass = 0; pass < 2; pass++)
        ck_assert_ptr_null(sb_group_comparison(&world.comparisons, 0, 1));
    ck_assert(!sb_groups_within_tolerance(&world.comparisons, 2, 0));
    weights_are_gone = false;
    ck_assert_ptr_nonnull(strstr(world.comparisons.problem.text, world.texts[0]));
    clear_world(&world);
}
END_TEST

SB_TEST_MAIN("cli-evidence",
             runs_with_the_same_bits_are_one_group_and_the_reference_cell_has_the_first,
             failed_runs_are_of_no_group_and_interrupted_ones_no_evidence,
             finding_groups_takes_work_in_proportion_to_the_runs,
             each_pair_of_groups_is_compared_once,
             weights_that_are_gone_are_no_comparison_and_named)
