/* kernels: backend `nccl` on a stand-in of NCCL, with several devices: sums, algorithms, what it
 * refuses; and that the stand-in itself is strict. */
#include "kernels/backends/gpu_nccl.h"
#include "kernels/problem.h"
#include "tests/testing.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *standin(const char *name) {
    void *library = dlopen("libcudart.so." SB_CUDA_MAJOR, RTLD_NOW | RTLD_NOLOAD);
    ck_assert_ptr_nonnull(library);
    void *function = dlsym(library, name);
    ck_assert_msg(function != NULL, "%s: no stand-in is loaded", name);
    return function;
}

static unsigned alive(void) {
    unsigned (*count)(void) = (unsigned (*)(void))standin("sb_standin_alive");
    return count();
}

static void refused(const char *what) {
    const char *(*last)(void) = (const char *(*)(void))standin("sb_standin_refusal");
    const char *said = last();
    ck_assert_msg(*what ? strstr(said, what) != NULL : !*said, "refused: '%s', wanted: '%s'", said,
                  what);
}

static struct sb_engine *engine_of(const char *devices) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {.threads = 1};
    setenv("SAMEBITS_STANDIN_DEVICES", devices, 1);
    int rc = sb_engine_open(sb_backend_find("nccl"), &options, &engine, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return engine;
}

static void make(enum sb_dtype dtype, size_t ranks, size_t offset, struct sb_problem *problem) {
    const size_t shape[] = {ranks, 997};
    struct sb_problem_options options = {dtype, shape, 2, NULL, 3, offset};
    ck_assert_int_eq(sb_problem_make(sb_operation_find("allreduce"), &options, problem, NULL), 0);
    ck_assert_int_eq(sb_problem_expect(problem, NULL), 0);
}

START_TEST(ranks_add_up_their_vectors_by_every_algorithm)
{
    static const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_F64, SB_DTYPE_F16, SB_DTYPE_BF16};
    static const char *const algorithms[] = {NULL, "ring", "tree"};
    struct sb_engine *engine = engine_of("9");
    for (int i = 0; i < 4 * 3 * 4; i++) {
        static const size_t ranks[] = {9, 1, 2, 5};
        struct sb_problem problem;
        struct sb_call_report report = {0};
        struct sb_error err = {0};
        make(dtypes[i % 4], ranks[i / 12], (size_t)i % 3, &problem);
        problem.call.algorithm = algorithms[i / 4 % 3];
        problem.call.report = &report;
        ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
        refused("");
        ck_assert(sb_problem_error(&problem) <= sb_problem_tolerance(&problem));
        ck_assert_str_eq(report.algorithm,
                         algorithms[i / 4 % 3] ? problem.call.algorithm : "default");
        ck_assert_int_eq(report.claim, SB_CLAIM_NONE);
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
    ck_assert_uint_eq(alive(), 0);
}
END_TEST

/* The same ranks, another order: so the algorithm arrives at NCCL, and the environment is as it
 * was. */
START_TEST(the_algorithm_asked_for_is_used)
{
    static const char *const algorithms[] = {"ring", "tree", NULL};
    struct sb_engine *engine = engine_of("8");
    struct sb_problem problem[3];
    setenv("NCCL_ALGO", "Tree", 1);
    for (int i = 0; i < 3; i++) {
        make(SB_DTYPE_F32, 8, 0, &problem[i]);
        problem[i].call.algorithm = algorithms[i];
        ck_assert_int_eq(sb_engine_call(engine, &problem[i].call, NULL), 0);
        ck_assert_str_eq(getenv("NCCL_ALGO"), "Tree");
    }
    const size_t bytes = 997 * sizeof(float);
    ck_assert_mem_ne(problem[0].call.operand[1], problem[1].call.operand[1], bytes);
    ck_assert_mem_eq(problem[2].call.operand[1], problem[1].call.operand[1], bytes);
    unsetenv("NCCL_ALGO");
    ck_assert_int_eq(sb_engine_call(engine, &problem[0].call, NULL), 0);
    ck_assert_ptr_null(getenv("NCCL_ALGO"));
    for (int i = 0; i < 3; i++)
        sb_problem_clear(&problem[i]);
    sb_engine_close(engine);
}
END_TEST

START_TEST(what_this_machine_has_not_is_not_supported)
{
    struct sb_engine *engine = engine_of("1");
    struct sb_problem problem;
    struct sb_error err = {0};
    make(SB_DTYPE_F32, 4, 0, &problem);
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    ck_assert_str_eq(err.text,
                     "backend 'nccl': allreduce: 4 ranks need as many CUDA devices; there is 1");
    sb_problem_clear(&problem);
    make(SB_DTYPE_F32, 1, 0, &problem);
    problem.call.algorithm = "nvls";
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "algorithm 'nvls': invalid usage"));
    problem.call.algorithm = NULL; /* and it goes on */
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), 0);
    sb_problem_clear(&problem);
    sb_engine_close(engine);
    ck_assert_uint_eq(alive(), 0);
}
END_TEST

START_TEST(a_rank_that_receives_other_bits_is_an_error)
{
    struct sb_engine *engine = engine_of("3");
    struct sb_problem problem;
    struct sb_error err = {0};
    make(SB_DTYPE_F32, 3, 0, &problem);
    setenv("SAMEBITS_STANDIN_LIES", "1", 1);
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -EIO);
    ck_assert_ptr_nonnull(strstr(err.text, "rank 1 received another result than rank 0"));
    unsetenv("SAMEBITS_STANDIN_LIES");
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), 0);
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

START_TEST(it_says_what_it_is)
{
    struct sb_engine *engine = engine_of("3");
    struct sb_backend_facts facts = {0};
    sb_engine_describe(engine, &facts);
    ck_assert_ptr_nonnull(strstr(facts.core, "stand-in"));
    ck_assert_ptr_nonnull(strstr(facts.config, "3 devices"));
    ck_assert_int_eq(strncmp(facts.version, "2.", 2), 0);
    sb_engine_close(engine);
    setenv("SAMEBITS_STANDIN_DEVICES", "0", 1);
    struct sb_engine_options options = {.threads = 1};
    struct sb_error err = {0};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("nccl"), &options, &engine, &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "no CUDA device"));
}
END_TEST

/* ---- The stand-in ---------------------------------------------------------------------------- */

static struct sb_gpu gpu;
static struct sb_nccl_functions nccl;
static ncclComm_t both[2];
static cudaStream_t stream[2];
static float *x[2], *y[2]; /* 4 numbers each, on devices 0 and 1 */

static void setup(void) {
    static const char *const names[] = {SB_NCCL_FUNCTIONS(SB_GPU_NAME) NULL};
    struct sb_error err = {0};
    setenv("SAMEBITS_STANDIN_DEVICES", "2", 1);
    int rc = sb_gpu_open(&gpu, &err);
    if (rc == 0)
        rc = sb_gpu_library("libnccl.so.2", names, &nccl, sizeof nccl, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    for (int r = 0; r < 2; r++) {
        gpu.cuda.cudaSetDevice(r);
        gpu.cuda.cudaStreamCreateWithFlags(&stream[r], cudaStreamNonBlocking);
        gpu.cuda.cudaMalloc((void **)&x[r], 16);
        gpu.cuda.cudaMalloc((void **)&y[r], 16);
    }
    ck_assert_int_eq(nccl.ncclCommInitAll(both, 2, NULL), ncclSuccess);
}

static ncclResult_t ask(int r, const void *from, void *to, size_t n, cudaStream_t on) {
    return nccl.ncclAllReduce(from, to, n, ncclFloat32, ncclSum, both[r], on);
}

START_TEST(a_good_collective_is_not_refused)
{
    nccl.ncclGroupStart();
    for (int r = 0; r < 2; r++)
        ck_assert_int_eq(ask(r, x[r], y[r], 4, stream[r]), ncclSuccess);
    ck_assert_int_eq(nccl.ncclGroupEnd(), ncclSuccess);
    for (int r = 0; r < 2; r++)
        gpu.cuda.cudaStreamSynchronize(stream[r]);
    refused("");
}
END_TEST

START_TEST(a_rank_alone_is_refused)
{
    ck_assert_int_ne(ask(0, x[0], y[0], 4, stream[0]), ncclSuccess);
    refused("rank 1 of 2 is not in the group");
    nccl.ncclGroupStart();
    ck_assert_int_eq(ask(1, x[1], y[1], 4, stream[1]), ncclSuccess);
    ck_assert_int_ne(nccl.ncclGroupEnd(), ncclSuccess);
    refused("rank 0 of 2 is not in the group");
    ck_assert_int_ne(nccl.ncclGroupEnd(), ncclSuccess);
    refused("no group is open");
}
END_TEST

START_TEST(ranks_that_disagree_are_refused)
{
    nccl.ncclGroupStart();
    ask(0, x[0], y[0], 4, stream[0]);
    ask(1, x[1], y[1], 3, stream[1]);
    ck_assert_int_ne(nccl.ncclGroupEnd(), ncclSuccess);
    refused("rank 1 has another count or type");
}
END_TEST

START_TEST(what_lies_elsewhere_is_refused)
{
    float host[4] = {0};
    nccl.ncclGroupStart();
    ck_assert_int_ne(ask(0, host, y[0], 4, stream[0]), ncclSuccess);
    refused("the vector is no pointer to device memory");
    ck_assert_int_ne(ask(0, x[0], y[0], 5, stream[0]), ncclSuccess);
    refused("the vector needs 20 bytes, 16 are allocated behind it");
    ck_assert_int_ne(ask(0, x[0], y[1], 4, stream[0]), ncclSuccess);
    refused("the result is on device 1, the communicator on 0");
    ck_assert_int_ne(ask(1, x[1], y[1], 4, stream[0]), ncclSuccess);
    refused("the stream is on device 0, the communicator on 1");
    nccl.ncclGroupEnd();
    nccl.ncclCommDestroy(both[0]);
    ck_assert_int_ne(ask(0, x[0], y[0], 4, stream[0]), ncclSuccess);
    refused("no live NCCL communicator");
    ck_assert_int_ne(nccl.ncclCommInitAll(both, 3, NULL), ncclSuccess);
    refused("3 ranks on 2 devices");
    ck_assert_int_ne(gpu.cuda.cudaSetDevice(2), cudaSuccess);
    refused("device 2 of 2");
}
END_TEST

int main(void) {
    const TTest *const backend[] = {
        ranks_add_up_their_vectors_by_every_algorithm, the_algorithm_asked_for_is_used,
        what_this_machine_has_not_is_not_supported, a_rank_that_receives_other_bits_is_an_error,
        it_says_what_it_is};
    const TTest *const strict[] = {a_good_collective_is_not_refused, a_rank_alone_is_refused,
                                   ranks_that_disagree_are_refused, what_lies_elsewhere_is_refused};
    Suite *suite = suite_create("kernels-nccl");
    for (size_t i = 0; i < 9; i++) {
        const TTest *test = i < 5 ? backend[i] : strict[i - 5];
        TCase *one = tcase_create(test->name);
        if (i >= 5)
            tcase_add_checked_fixture(one, setup, NULL);
        tcase_add_test(one, test);
        suite_add_tcase(suite, one);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
