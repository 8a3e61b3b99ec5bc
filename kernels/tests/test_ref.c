/* kernels: what backend `ref` promises of every operation: bits that depend neither on threads nor
 * on the other rows of a batch; and each operation under its switches. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <errno.h>
#include <string.h>

static const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_F64, SB_DTYPE_BF16};

static struct sb_engine *ref(unsigned threads) {
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = threads};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &engine, NULL), 0);
    return engine;
}

static void make(const struct sb_operation *operation, enum sb_dtype dtype,
                 const double *attributes, struct sb_problem *problem) {
    static const size_t shape[] = {37, 13, 29};
    struct sb_problem_options options = {.dtype = dtype,
                                         .shape = operation->odd[0] ? operation->odd : shape,
                                         .n_shape = strlen(operation->sizes),
                                         .attributes = attributes,
                                         .seed = 11};
    struct sb_error err = {0};
    ck_assert_msg(sb_problem_make(operation, &options, problem, &err) == 0, "%s", err.text);
}

static void run(struct sb_engine *engine, struct sb_problem *problem) {
    struct sb_error err = {0};
    ck_assert_msg(sb_engine_call(engine, &problem->call, &err) == 0, "%s", err.text);
}

/* Of outputs that have the letter among their dims; 0: of all. */
static void same_bits(const struct sb_problem *a, const struct sb_problem *b, char letter,
                      const char *what) {
    const struct sb_operation *operation = a->call.operation;
    for (size_t o = 0; operation->operands[o].name; o++) {
        const struct sb_operand *operand = &operation->operands[o];
        if (operand->role == SB_ROLE_IN || (letter && !strchr(operand->dims, letter)))
            continue;
        size_t bytes = sb_call_elements(&a->call, o) * sb_dtype_size(sb_call_dtype(&a->call, o));
        ck_assert_msg(memcmp(a->call.operand[o], b->call.operand[o], bytes) == 0, "%s, %s, %s: %s",
                      operation->name, sb_dtype_names[a->call.dtype], operand->name, what);
    }
}

static void for_each(void (*check)(const struct sb_operation *, enum sb_dtype)) {
    for (size_t o = 0; sb_operations[o]; o++) {
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
            if (sb_backend_kernel(sb_backend_find("ref"), sb_operations[o]->name, dtypes[d]))
                check(sb_operations[o], dtypes[d]);
        }
    }
}

static void check_threads(const struct sb_operation *operation, enum sb_dtype dtype) {
    struct sb_problem first = {0};
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct sb_engine *engine = ref(threads);
        struct sb_problem problem;
        make(operation, dtype, NULL, &problem);
        run(engine, &problem);
        sb_engine_close(engine);
        if (threads == 1) {
            first = problem;
            continue;
        }
        same_bits(&first, &problem, 0, "other bits with more threads");
        sb_problem_clear(&problem);
    }
    sb_problem_clear(&first);
}

START_TEST(every_operation_has_the_same_bits_at_one_to_four_threads)
{ for_each(check_threads); }
END_TEST

static void check_rows(const struct sb_operation *operation, enum sb_dtype dtype) {
    if (!operation->row)
        return;
    struct sb_engine *one = ref(1), *two = ref(2);
    struct sb_problem whole;
    make(operation, dtype, NULL, &whole);
    size_t rows = sb_call_size(&whole.call, operation->row);
    const struct {
        size_t first, n;
    } cuts[] = {{0, 1}, {rows - 1, 1}, {rows / 2, 1}, {rows / 3, rows / 2}};
    enum { CUTS = sizeof cuts / sizeof *cuts };
    struct sb_problem parts[CUTS], wanted;
    for (size_t i = 0; i < CUTS; i++)
        ck_assert_int_eq(sb_problem_rows(&whole, cuts[i].first, cuts[i].n, &parts[i], NULL), 0);
    run(two, &whole);
    for (size_t i = 0; i < CUTS; i++) {
        ck_assert_int_eq(sb_problem_rows(&whole, cuts[i].first, cuts[i].n, &wanted, NULL), 0);
        run(one, &parts[i]);
        same_bits(&wanted, &parts[i], operation->row, "other bits alone");
        sb_problem_clear(&wanted);
        sb_problem_clear(&parts[i]);
    }
    sb_problem_clear(&whole);
    sb_engine_close(one);
    sb_engine_close(two);
}

START_TEST(every_row_has_the_same_bits_alone_and_in_a_batch)
{ for_each(check_rows); }
END_TEST

/* The check of rows checks: cut one row off, it would fail. */
START_TEST(the_check_of_rows_tells_rows_apart)
{
    struct sb_engine *engine = ref(1);
    struct sb_problem whole, part;
    make(sb_operation_find("softmax"), SB_DTYPE_F64, NULL, &whole);
    ck_assert_int_eq(sb_problem_rows(&whole, 3, 1, &part, NULL), 0);
    run(engine, &whole);
    run(engine, &part);
    size_t c = whole.call.size[1] * sizeof(double);
    ck_assert_mem_eq((char *)whole.call.operand[1] + 3 * c, part.call.operand[1], c);
    ck_assert_mem_ne((char *)whole.call.operand[1] + 2 * c, part.call.operand[1], c);
    sb_problem_clear(&whole);
    sb_problem_clear(&part);
    sb_engine_close(engine);
}
END_TEST

static void check_switches(const struct sb_operation *operation, enum sb_dtype dtype) {
    struct sb_engine *engine = ref(2);
    for (size_t a = 0; operation->attributes[a].name; a++) {
        double attributes[SB_MAX_ATTRIBUTES] = {0};
        for (size_t i = 0; operation->attributes[i].name; i++)
            attributes[i] = operation->attributes[i].value;
        if (attributes[a] != 0 || operation->attributes[a].min != 0 ||
            operation->attributes[a].max != 1)
            continue;
        attributes[a] = 1;
        struct sb_problem problem;
        make(operation, dtype, attributes, &problem);
        ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
        run(engine, &problem);
        double error = sb_problem_error(&problem), tolerance = sb_problem_tolerance(&problem);
        ck_assert_msg(error <= tolerance, "%s, %s, %s on: %g > %g", operation->name,
                      sb_dtype_names[dtype], operation->attributes[a].name, error, tolerance);
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}

START_TEST(every_operation_agrees_with_its_oracle_under_each_switch)
{ for_each(check_switches); }
END_TEST

START_TEST(dropout_drops_the_share_asked_for_and_another_seed_other_elements)
{
    enum { N = 100000 };
    const struct sb_operation *dropout = sb_operation_find("dropout");
    struct sb_engine *engine = ref(1);
    struct sb_problem problems[2];
    for (size_t i = 0; i < 2; i++) {
        const double attributes[SB_MAX_ATTRIBUTES] = {0.25, (double)(i + 1)};
        struct sb_problem_options options = {.dtype = SB_DTYPE_F32,
                                             .shape = (const size_t[]){N},
                                             .n_shape = 1,
                                             .attributes = attributes};
        ck_assert_int_eq(sb_problem_make(dropout, &options, &problems[i], NULL), 0);
        run(engine, &problems[i]);
    }
    const float *a = problems[0].call.operand[2], *b = problems[1].call.operand[2];
    size_t kept = 0, both = 0;
    for (size_t i = 0; i < N; i++) {
        kept += a[i] != 0;
        both += a[i] != 0 && b[i] != 0;
    }
    /* Five standard deviations, √(N·p·(1 - p)). */
    ck_assert_double_eq_tol((double)kept, 0.75 * N, 5 * 137);
    ck_assert_double_eq_tol((double)both, 0.5625 * N, 5 * 157);
    for (size_t i = 0; i < 2; i++)
        sb_problem_clear(&problems[i]);
    sb_engine_close(engine);
}
END_TEST

START_TEST(an_index_out_of_range_is_an_error)
{
    struct sb_engine *engine = ref(1);
    const char *const names[] = {"embedding", "embedding_gradient"};
    for (size_t i = 0; i < 2; i++) {
        struct sb_problem problem;
        struct sb_error err = {0};
        make(sb_operation_find(names[i]), SB_DTYPE_F32, NULL, &problem);
        ((int32_t *)problem.call.operand[1 - i])[5] = i ? -1 : 13;
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -EDOM);
        ck_assert_ptr_nonnull(strstr(err.text, i ? "index -1" : "index 13"));
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}
END_TEST

/* Where tanh or erf is ±1 a product of ∞ and 0 would be no number. */
START_TEST(gelu_of_large_numbers_is_a_number)
{
    static const double x[] = {1e200, -1e200, 40, -40};
    struct sb_engine *engine = ref(1);
    for (int form = 0; form < 2; form++) {
        const double attributes[SB_MAX_ATTRIBUTES] = {form}, dy[] = {2, 2, 2, 2};
        double y[4], dx[4];
        for (size_t i = 0; i < 2; i++) {
            struct sb_problem problem;
            struct sb_problem_options options = {.dtype = SB_DTYPE_F64,
                                                 .shape = (const size_t[]){4},
                                                 .n_shape = 1,
                                                 .attributes = attributes};
            const struct sb_operation *operation = sb_operation_find(i ? "gelu_gradient" : "gelu");
            ck_assert_int_eq(sb_problem_make(operation, &options, &problem, NULL), 0);
            memcpy(problem.call.operand[0], x, sizeof x);
            if (i)
                memcpy(problem.call.operand[1], dy, sizeof dy);
            run(engine, &problem);
            memcpy(i ? dx : y, problem.call.operand[i + 1], sizeof y);
            sb_problem_clear(&problem);
        }
        ck_assert(y[0] == 1e200 && y[1] == 0 && y[2] == 40 && y[3] == 0);
        ck_assert(dx[0] == 2 && dx[1] == 0 && dx[2] == 2 && dx[3] == 0);
    }
    sb_engine_close(engine);
}
END_TEST

SB_TEST_MAIN("kernels-ref", every_operation_has_the_same_bits_at_one_to_four_threads,
             every_row_has_the_same_bits_alone_and_in_a_batch, the_check_of_rows_tells_rows_apart,
             every_operation_agrees_with_its_oracle_under_each_switch,
             dropout_drops_the_share_asked_for_and_another_seed_other_elements,
             an_index_out_of_range_is_an_error, gelu_of_large_numbers_is_a_number)
