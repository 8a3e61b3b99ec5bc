/* kernels: backend `openmp`: what is combined by arrival shows it, what is combined by a fixed
 * order does not; and the mechanism of modules, of which it is one. */
#include "kernels/module.h"
#include "kernels/problem.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sb_engine *engine_of(unsigned threads, bool deterministic) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {threads, deterministic};
    setenv("OMP_WAIT_POLICY", "passive", 1); /* there are more threads than CPUs: let them sleep */
    int rc = sb_engine_open(sb_backend_find("openmp"), &options, &engine, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return engine;
}

/* Problem sizes at which a race has room to show, in the order of sums[]. */
static const struct {
    const char *operation;
    size_t shape[SB_MAX_SIZES];
} sums[] = {
    {"sum", {20000}},
    {"dot", {20000}},
    {"mean", {3, 5000}},
    {"gradient_norm", {20000}},
    {"bias_gradient", {3000, 17}},
    {"cross_entropy", {700, 10}},
    {"layernorm_gradient", {500, 33}},
    {"embedding_gradient", {3000, 5, 16}},
    {"conv2d_gradient_filter", {8, 2, 6, 6, 3, 3, 3}},
    {"attention_gradient", {1, 2, 48, 8}},
    {"allreduce", {8, 5000}},
};
enum { N_SUMS = sizeof sums / sizeof *sums };

static void make_of(size_t s, uint64_t seed, struct sb_problem *problem) {
    const struct sb_operation *operation = sb_operation_find(sums[s].operation);
    struct sb_error err = {0};
    struct sb_problem_options options = {.dtype = SB_DTYPE_F32,
                                         .shape = sums[s].shape,
                                         .n_shape = strlen(operation->sizes),
                                         .seed = seed};
    ck_assert_msg(sb_problem_make(operation, &options, problem, &err) == 0, "%s", err.text);
}

static void make(size_t s, struct sb_problem *problem) {
    make_of(s, 5, problem);
}

static size_t output_bytes(const struct sb_call *call, size_t o) {
    bool is_output = call->operation->operands[o].role != SB_ROLE_IN;
    return is_output ? sb_call_elements(call, o) * sizeof(float) : 0;
}

/* Calls until one differs from the first, at most `calls`; 0: none did. */
static size_t first_difference(struct sb_engine *engine, const struct sb_call *call, size_t calls) {
    void *first[SB_MAX_OPERANDS] = {0};
    size_t found = 0;
    for (size_t i = 0; i < calls && !found; i++) {
        struct sb_error err = {0};
        ck_assert_msg(sb_engine_call(engine, call, &err) == 0, "%s", err.text);
        for (size_t o = 0; call->operation->operands[o].name; o++) {
            size_t bytes = output_bytes(call, o);
            if (bytes && i == 0) {
                first[o] = malloc(bytes);
                memcpy(first[o], call->operand[o], bytes);
            } else if (bytes && memcmp(first[o], call->operand[o], bytes) != 0) {
                found = i;
            }
        }
    }
    for (size_t o = 0; o < SB_MAX_OPERANDS; o++)
        free(first[o]);
    return found;
}

/* Most orders of a few parts give the same bits, and a root halves what differs: of some inputs
 * only a rare order shows. So several are tried. */
static bool shows_its_order(struct sb_engine *engine, size_t s) {
    enum { SEEDS = 40, CALLS = 2000 };
    bool differs = false;
    for (uint64_t seed = 1; seed <= SEEDS && !differs; seed++) {
        struct sb_problem problem;
        make_of(s, seed, &problem);
        differs = first_difference(engine, &problem.call, CALLS) > 0;
        sb_problem_clear(&problem);
    }
    return differs;
}

START_TEST(sums_in_order_of_arrival_differ_from_call_to_call)
{
    struct sb_engine *engine = engine_of(8, false);
    for (size_t s = 0; s < N_SUMS; s++)
        ck_assert_msg(shows_its_order(engine, s), "%s never differs", sums[s].operation);
    sb_engine_close(engine);
}
END_TEST

START_TEST(deterministic_sums_have_the_same_bits_in_1000_calls)
{
    struct sb_engine *engine = engine_of(4, true);
    for (size_t s = 0; s < N_SUMS; s++) {
        struct sb_problem problem;
        make(s, &problem);
        ck_assert_msg(first_difference(engine, &problem.call, 1000) == 0, "%s differs",
                      sums[s].operation);
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}
END_TEST

START_TEST(the_fixed_tree_has_the_same_bits_at_every_number_of_threads)
{
    for (size_t s = 0; s < N_SUMS; s++) {
        struct sb_problem problem, alone;
        make(s, &problem);
        make(s, &alone);
        for (unsigned threads = 1; threads <= 5; threads++) {
            struct sb_engine *engine = engine_of(threads, true);
            struct sb_problem *target = threads == 1 ? &alone : &problem;
            ck_assert_int_eq(sb_engine_call(engine, &target->call, NULL), 0);
            for (size_t o = 0; target->call.operation->operands[o].name && threads > 1; o++) {
                ck_assert_msg(memcmp(problem.call.operand[o], alone.call.operand[o],
                                     output_bytes(&alone.call, o)) == 0,
                              "%s at %u threads", sums[s].operation, threads);
            }
            sb_engine_close(engine);
        }
        sb_problem_clear(&problem);
        sb_problem_clear(&alone);
    }
}
END_TEST

START_TEST(an_algorithm_overrides_the_switch_and_says_so)
{
    struct sb_engine *engine = engine_of(4, false);
    struct sb_problem problem;
    struct sb_call_report report = {0};
    make(0, &problem);
    problem.call.report = &report;
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
    ck_assert_str_eq(report.algorithm, "arrival");
    ck_assert_int_eq(report.claim, SB_CLAIM_NONDETERMINISTIC);
    problem.call.algorithm = "tree";
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
    ck_assert_str_eq(report.algorithm, "tree");
    ck_assert_int_eq(report.claim, SB_CLAIM_DETERMINISTIC);
    struct sb_error err = {0};
    problem.call.algorithm = "ring"; /* is for collectives */
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "(choices: arrival tree)"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

/* Both are fixed, and right; they are not the same order. */
START_TEST(ring_and_tree_differ_but_each_is_always_the_same)
{
    struct sb_engine *engine = engine_of(2, false);
    struct sb_problem problem;
    make(N_SUMS - 1, &problem);
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    size_t bytes = output_bytes(&problem.call, 1);
    void *tree = malloc(bytes);
    problem.call.algorithm = "tree";
    ck_assert_uint_eq(first_difference(engine, &problem.call, 100), 0);
    memcpy(tree, problem.call.operand[1], bytes);
    problem.call.algorithm = "ring";
    ck_assert_uint_eq(first_difference(engine, &problem.call, 100), 0);
    ck_assert_double_le(sb_problem_error(&problem), sb_problem_tolerance(&problem));
    ck_assert_mem_ne(tree, problem.call.operand[1], bytes);
    free(tree);
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

START_TEST(an_index_out_of_range_is_an_error)
{
    struct sb_engine *engine = engine_of(2, false);
    for (size_t s = 5; s < 8; s += 2) { /* labels of cross_entropy, indices of embedding_gradient */
        struct sb_problem problem;
        make(s, &problem);
        size_t o = s == 5 ? 1 : 0;
        ((int32_t *)problem.call.operand[o])[3] = -1;
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), -EDOM);
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}
END_TEST

/* ---- Modules --------------------------------------------------------------------------------- */

static bool is_loaded(const char *library) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4096];
    bool found = false;
    while (maps && fgets(line, sizeof line, maps))
        found |= strstr(line, library) != NULL;
    if (maps)
        fclose(maps);
    return found;
}

START_TEST(openmp_comes_into_the_process_with_the_engine_only)
{
    ck_assert(!is_loaded("samebits-backend-openmp.so"));
    ck_assert(sb_backend_find("openmp")->module);
    ck_assert_ptr_nonnull(sb_backend_kernel(sb_backend_find("openmp"), "sum", SB_DTYPE_F32));
    ck_assert(!is_loaded("samebits-backend-openmp.so"));
    sb_engine_close(engine_of(2, false));
    ck_assert(is_loaded("samebits-backend-openmp.so"));
}
END_TEST

START_TEST(a_module_has_the_kernels_that_the_program_lists)
{
    const struct sb_backend *module = NULL, *listed = sb_backend_find("openmp");
    struct sb_error err = {0};
    ck_assert_msg(sb_module_load("openmp", &module, &err) == 0, "%s", err.text);
    size_t n = 0;
    for (; listed->kernels[n].operation; n++) {
        const struct sb_kernel *in = &module->kernels[n], *of = &listed->kernels[n];
        ck_assert_str_eq(in->operation, of->operation);
        ck_assert_ptr_nonnull(sb_operation_find(of->operation));
        ck_assert(in->run && !of->run);
        ck_assert(in->dtypes == of->dtypes && in->widened == of->widened);
        for (size_t i = 0; of->algorithms && of->algorithms[i]; i++)
            ck_assert_str_eq(in->algorithms[i], of->algorithms[i]);
    }
    ck_assert_ptr_null(module->kernels[n].operation);
}
END_TEST

START_TEST(a_module_is_looked_for_by_name_in_absolute_folders)
{
    char *path = NULL;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_module_find("openmp", &path, &err), 0);
    ck_assert(path[0] == '/' && strstr(path, "/samebits-backend-openmp.so"));
    free(path);
    ck_assert_int_eq(sb_module_find("nowhere", &path, &err), -ENOENT);
    ck_assert_int_eq(sb_module_find("../openmp", &path, &err), -ENOENT);
    setenv("SAMEBITS_BACKEND_PATH", "/nowhere:build", 1);
    ck_assert_int_eq(sb_module_find("openmp", &path, &err), -EINVAL);
    ck_assert_str_eq(err.text, "SAMEBITS_BACKEND_PATH: 'build' is not absolute");
}
END_TEST

static void is_refused(const char *name, int code, const char *why) {
    const struct sb_backend *backend = NULL;
    struct sb_error err = {0};
    setenv("SAMEBITS_BACKEND_PATH", getenv("SAMEBITS_TEST_MODULES"), 1);
    ck_assert_int_eq(sb_backend_load(name, &backend, &err), code);
    ck_assert_ptr_null(backend);
    ck_assert_msg(strstr(err.text, why) != NULL, "%s", err.text);
}

START_TEST(what_is_no_backend_of_this_version_is_refused)
{
    is_refused("old", -ENOTSUP, "made for version 2 of the interface, not 3");
    is_refused("misnamed", -ENOTSUP, "calls itself 'another'");
    is_refused("empty", -ENOENT, "exports no sb_backend_empty");
    is_refused("none", -EINVAL, "unknown backend 'none'");
}
END_TEST

START_TEST(modules_on_the_path_are_listed_once_and_in_order)
{
    char both[4096];
    const char *folder = getenv("SAMEBITS_TEST_MODULES");
    snprintf(both, sizeof both, "%s:/nowhere:%s", folder, folder);
    setenv("SAMEBITS_BACKEND_PATH", both, 1);
    char **names = sb_module_names();
    size_t n = 0;
    for (; names[n]; n++)
        ck_assert(n == 0 || strcmp(names[n - 1], names[n]) < 0);
    ck_assert_uint_ge(n, 3);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}
END_TEST

SB_TEST_MAIN("kernels-openmp", sums_in_order_of_arrival_differ_from_call_to_call,
             deterministic_sums_have_the_same_bits_in_1000_calls,
             the_fixed_tree_has_the_same_bits_at_every_number_of_threads,
             an_algorithm_overrides_the_switch_and_says_so,
             ring_and_tree_differ_but_each_is_always_the_same, an_index_out_of_range_is_an_error,
             openmp_comes_into_the_process_with_the_engine_only,
             a_module_has_the_kernels_that_the_program_lists,
             a_module_is_looked_for_by_name_in_absolute_folders,
             what_is_no_backend_of_this_version_is_refused,
             modules_on_the_path_are_listed_once_and_in_order)
