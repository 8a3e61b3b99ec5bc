/* kernels: attention in `ref` over more queries than it takes at a time, by threads, and causal. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { B = 2, H = 3, S = 150, D = 20 };

static void make(const char *name, enum sb_dtype dtype, bool causal, struct sb_problem *problem) {
    static const size_t shape[] = {B, H, S, D};
    const double attributes[] = {causal};
    struct sb_problem_options options = {
        .dtype = dtype, .shape = shape, .n_shape = 4, .attributes = attributes, .seed = 7};
    struct sb_error err = {0};
    int rc = sb_problem_make(sb_operation_find(name), &options, problem, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
}

static void run(struct sb_problem *problem, unsigned threads) {
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = threads};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &engine, NULL), 0);
    struct sb_error err = {0};
    ck_assert_msg(sb_engine_call(engine, &problem->call, &err) == 0, "%s", err.text);
    sb_engine_close(engine);
}

static void check(const char *name, enum sb_dtype dtype, bool causal) {
    struct sb_problem problem, more;
    make(name, dtype, causal, &problem);
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    run(&problem, 1);
    double error = sb_problem_error(&problem), tolerance = sb_problem_tolerance(&problem);
    ck_assert_msg(error <= tolerance, "%s, %s, causal %d: %g > %g", name, sb_dtype_names[dtype],
                  causal, error, tolerance);
    for (unsigned threads = 2; threads <= 4; threads++) {
        make(name, dtype, causal, &more);
        run(&more, threads);
        for (size_t o = 0; more.call.operation->operands[o].name; o++)
            ck_assert_mem_eq(problem.call.operand[o], more.call.operand[o],
                             sb_call_elements(&more.call, o) * sb_dtype_size(dtype));
        sb_problem_clear(&more);
    }
    sb_problem_clear(&problem);
}

START_TEST(attention_agrees_with_its_oracle_at_every_thread_count)
{
    for (int causal = 0; causal < 2; causal++) {
        check("attention", SB_DTYPE_F32, causal);
        check("attention", SB_DTYPE_F64, causal);
        check("attention_gradient", SB_DTYPE_F32, causal);
        check("attention_gradient", SB_DTYPE_F64, causal);
    }
}
END_TEST

START_TEST(causal_attention_does_not_see_what_comes_later)
{
    enum { CUT = 70 };
    struct sb_problem problem, other;
    make("attention", SB_DTYPE_F32, true, &problem);
    make("attention", SB_DTYPE_F32, true, &other);
    for (size_t o = 1; o < 3; o++) {
        float *head = (float *)other.call.operand[o] + S * D; /* the second */
        for (size_t i = CUT * D; i < S * D; i++)
            head[i] = -3 * head[i] + 1;
    }
    run(&problem, 1);
    run(&other, 1);
    const float *a = (const float *)problem.call.operand[3] + S * D,
                *b = (const float *)other.call.operand[3] + S * D;
    ck_assert_mem_eq(a, b, CUT * D * sizeof *a);
    for (size_t i = CUT; i < S; i++)
        ck_assert_mem_ne(a + i * D, b + i * D, D * sizeof *a);
    sb_problem_clear(&problem);
    sb_problem_clear(&other);
}
END_TEST

/* The first query sees one key: its weight is 1, and the sum's log the score. */
START_TEST(the_first_causal_query_gives_the_first_value)
{
    struct sb_problem problem;
    make("attention", SB_DTYPE_F64, true, &problem);
    run(&problem, 1);
    const double *q = problem.call.operand[0], *k = problem.call.operand[1];
    double score = 0;
    for (size_t e = 0; e < D; e++)
        score += q[e] * k[e];
    ck_assert_mem_eq(problem.call.operand[3], problem.call.operand[2], D * sizeof(double));
    ck_assert_double_eq_tol(((double *)problem.call.operand[4])[0], score / sqrt(D), 1e-12);
    sb_problem_clear(&problem);
}
END_TEST

/* Scores beyond what an exponential can hold. */
START_TEST(large_scores_do_not_overflow)
{
    struct sb_problem problem;
    make("attention", SB_DTYPE_F32, false, &problem);
    float *q = problem.call.operand[0];
    for (size_t i = 0; i < (size_t)B * H * S * D; i++)
        q[i] *= 1000;
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    run(&problem, 2);
    ck_assert_double_le(sb_problem_error(&problem), sb_problem_tolerance(&problem));
    sb_problem_clear(&problem);
}
END_TEST

SB_TEST_MAIN("kernels-attention", attention_agrees_with_its_oracle_at_every_thread_count,
             causal_attention_does_not_see_what_comes_later,
             the_first_causal_query_gives_the_first_value, large_scores_do_not_overflow)
