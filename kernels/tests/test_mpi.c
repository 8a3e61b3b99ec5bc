/* kernels: backend `mpi`: an allreduce of processes that mpirun starts. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sb_engine *engine_of_mpi(void) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {.threads = 1};
    int rc = sb_engine_open(sb_backend_find("mpi"), &options, &engine, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return engine;
}

static void make(enum sb_dtype dtype, size_t ranks, struct sb_problem *problem) {
    struct sb_error err = {0};
    struct sb_problem_options options = {
        .dtype = dtype, .shape = (const size_t[]){ranks, 997}, .n_shape = 2, .seed = 4};
    int rc = sb_problem_make(sb_operation_find("allreduce"), &options, problem, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_eq(sb_problem_expect(problem, NULL), 0);
}

static void is_right(enum sb_dtype dtype, size_t ranks, const char *algorithm) {
    struct sb_engine *engine = engine_of_mpi();
    struct sb_problem problem;
    struct sb_error err = {0};
    make(dtype, ranks, &problem);
    problem.call.algorithm = algorithm;
    ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
    ck_assert_double_le(sb_problem_error(&problem), sb_problem_tolerance(&problem));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}

START_TEST(ranks_add_up_their_vectors)
{
    is_right(SB_DTYPE_F32, 3, NULL);
    is_right(SB_DTYPE_F64, 2, "ring");
    is_right(SB_DTYPE_BF16, 1, NULL);
}
END_TEST

/* Four ranks: a ring adds each piece in an order of its own, doubling adds pairs. */
START_TEST(the_algorithm_asked_for_is_used)
{
    static const char *const algorithms[] = {"ring", "recursive_doubling"};
    struct sb_engine *engine = engine_of_mpi();
    struct sb_problem problem[2];
    struct sb_call_report report = {0};
    for (int i = 0; i < 2; i++) {
        make(SB_DTYPE_F32, 4, &problem[i]);
        problem[i].call.algorithm = algorithms[i];
        problem[i].call.report = &report;
        ck_assert_int_eq(sb_engine_call(engine, &problem[i].call, NULL), 0);
        ck_assert_str_eq(report.algorithm, algorithms[i]);
    }
    ck_assert_mem_ne(problem[0].call.operand[1], problem[1].call.operand[1], 997 * sizeof(float));
    for (int i = 0; i < 2; i++)
        sb_problem_clear(&problem[i]);
    sb_engine_close(engine);
}
END_TEST

START_TEST(more_ranks_than_a_machine_bears_are_not_supported)
{
    struct sb_engine *engine = engine_of_mpi();
    struct sb_problem problem;
    struct sb_error err = {0};
    make(SB_DTYPE_F32, 65, &problem);
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

/* No mpirun, or one that fails, is an error with its name, not a wrong sum. */
START_TEST(an_mpirun_that_is_missing_or_fails_is_said)
{
    struct sb_engine *engine = engine_of_mpi();
    struct sb_problem problem;
    struct sb_error err = {0};
    make(SB_DTYPE_F32, 2, &problem);
    setenv("OMPI_MCA_coll", "none_such", 1);
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "mpirun ended with exit code"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
    setenv("PATH", "/nowhere", 1);
    struct sb_engine_options options = {.threads = 1};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("mpi"), &options, &engine, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "install openmpi-bin"));
}
END_TEST

SB_TEST_MAIN("kernels-mpi", ranks_add_up_their_vectors, the_algorithm_asked_for_is_used,
             more_ranks_than_a_machine_bears_are_not_supported,
             an_mpirun_that_is_missing_or_fails_is_said)
