/* kernels: the GPU backends on stand-ins of CUDA's libraries: every operation, dtype and algorithm
 * against the oracles, what they say of themselves, and that nothing is left behind. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef SB_HAVE_CUDNN
static const char *const backends[] = {"cublas", "cuda", "cudnn"};
#else
static const char *const backends[] = {"cublas", "cuda"};
#endif
enum { N_BACKENDS = sizeof backends / sizeof *backends };

static struct sb_engine *engine_of(const char *name, bool deterministic) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {.threads = 1, .deterministic = deterministic};
    int rc = sb_engine_open(sb_backend_find(name), &options, &engine, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return engine;
}

/* A function of the stand-ins, which must be what was loaded. */
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

static const char *refusal(void) {
    const char *(*last)(void) = (const char *(*)(void))standin("sb_standin_refusal");
    return last();
}

static void make(const char *name, enum sb_dtype dtype, const size_t *shape,
                 const double *attributes, size_t offset, struct sb_problem *problem) {
    const struct sb_operation *operation = sb_operation_find(name);
    struct sb_error err = {0};
    struct sb_problem_options options = {dtype,      shape, strlen(operation->sizes),
                                         attributes, 3,     offset};
    int rc = sb_problem_make(operation, &options, problem, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_eq(sb_problem_expect(problem, NULL), 0);
}

/* 0, or -ENOTSUP where the library cannot do it; all else fails. The report must name what ran. */
static int agrees(struct sb_engine *engine, const char *name, enum sb_dtype dtype,
                  const size_t *shape, const double *attributes, const char *algorithm,
                  struct sb_call_report *report) {
    struct sb_problem problem;
    struct sb_error err = {0};
    *report = (struct sb_call_report){0};
    for (size_t offset = 0; offset < 4; offset += 3) {
        make(name, dtype, shape, attributes, offset, &problem);
        problem.call.algorithm = algorithm;
        problem.call.report = report;
        int rc = sb_engine_call(engine, &problem.call, &err);
        const char *refused = refusal();
        double error = sb_problem_error(&problem), tolerance = sb_problem_tolerance(&problem);
        sb_problem_clear(&problem);
        if (rc == -ENOTSUP && algorithm && !*refused)
            return rc;
        ck_assert_msg(rc == 0 && !*refused, "%s, %s, %s: %s %s", name, sb_dtype_names[dtype],
                      algorithm ? algorithm : "default", err.text, refused);
        ck_assert_msg(error <= tolerance, "%s, %s, %s: %g > %g", name, sb_dtype_names[dtype],
                      algorithm ? algorithm : "default", error, tolerance);
    }
    ck_assert_msg(*report->algorithm && *report->note, "%s says nothing", name);
    if (algorithm)
        ck_assert_str_eq(report->algorithm, algorithm);
    return 0;
}

static const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_F64, SB_DTYPE_F16, SB_DTYPE_BF16};
static const size_t some_sizes[][3] = {{67, 35, 129}, {1, 1, 1}, {3, 130, 17}};

/* Number of algorithms (the default included) that did one operation. */
static int all_algorithms(struct sb_engine *engine, const struct sb_kernel *kernel,
                          enum sb_dtype dtype) {
    static const char *const none[] = {NULL};
    const struct sb_operation *operation = sb_operation_find(kernel->operation);
    struct sb_call_report report;
    int done = 0;
    for (const char *const *name = kernel->algorithms ? kernel->algorithms : none;; name++) {
        for (size_t s = 0; s < (operation->odd[0] ? 1 : 3); s++)
            done += agrees(engine, kernel->operation, dtype,
                           operation->odd[0] ? operation->odd : some_sizes[s], NULL, *name,
                           &report) == 0;
        if (!*name)
            return done;
    }
}

START_TEST(every_operation_agrees_with_its_oracle_by_every_algorithm)
{
    struct sb_engine *engine = engine_of(backends[_i / 2], _i % 2);
    const struct sb_backend *backend = sb_engine_backend(engine);
    for (const struct sb_kernel *k = backend->kernels; k->operation; k++) {
        if (sb_operation_find(k->operation)->planned)
            continue;
        for (size_t d = 0; d < 4; d++) {
            if ((k->dtypes | k->widened) & SB_BIT(dtypes[d]))
                ck_assert_int_gt(all_algorithms(engine, k, dtypes[d]), 0);
        }
    }
    sb_engine_close(engine);
    ck_assert_uint_eq(alive(), 0);
}
END_TEST

START_TEST(transposed_operands_are_multiplied_as_such)
{
    static const char *const algorithms[] = {"gemmex", "tf32", "streams",
                                             "lt_0",   "lt_1", "lt_splitk_inplace"};
    struct sb_engine *engine = engine_of("cublas", false);
    struct sb_call_report report;
    for (int form = 0; form < 4; form++) {
        const double attributes[SB_MAX_ATTRIBUTES] = {form & 1, form >> 1};
        for (size_t a = 0; a < sizeof algorithms / sizeof *algorithms; a++)
            ck_assert_int_eq(agrees(engine, "gemm", SB_DTYPE_F32, some_sizes[0], attributes,
                                    algorithms[a], &report),
                             0);
    }
    sb_engine_close(engine);
}
END_TEST

START_TEST(a_stand_in_is_never_called_a_gpu)
{
    for (size_t b = 0; b < N_BACKENDS; b++) {
        struct sb_engine *engine = engine_of(backends[b], false);
        struct sb_backend_facts facts;
        sb_engine_describe(engine, &facts);
        ck_assert_ptr_nonnull(strstr(facts.core, "stand-in"));
        sb_engine_close(engine);
    }
}
END_TEST

START_TEST(without_a_device_there_is_no_backend)
{
    setenv("SAMEBITS_STANDIN_DEVICES", "0", 1);
    for (size_t b = 0; b < N_BACKENDS; b++) {
        struct sb_engine *engine = NULL;
        struct sb_error err = {0};
        struct sb_engine_options options = {.threads = 1};
        int rc = sb_engine_open(sb_backend_find(backends[b]), &options, &engine, &err);
        ck_assert_int_eq(rc, -ENOENT);
        ck_assert_ptr_nonnull(strstr(err.text, "no CUDA device"));
    }
    ck_assert_uint_eq(alive(), 0);
}
END_TEST

/* How many distinct results n calls of one engine give. */
static int distinct(const char *backend, const char *operation, const size_t *shape,
                    const char *algorithm, enum sb_claim claim, int n) {
    enum { MOST = 8192 };
    static unsigned char first[MOST];
    struct sb_engine *engine = engine_of(backend, false);
    int others = 0;
    for (int i = 0; i < n; i++) {
        struct sb_problem problem;
        struct sb_call_report report = {0};
        struct sb_error err = {0};
        make(operation, SB_DTYPE_F32, shape, NULL, 0, &problem);
        problem.call.algorithm = algorithm;
        problem.call.report = &report;
        ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
        ck_assert_int_eq(report.claim, claim);
        size_t o = 0;
        while (problem.call.operation->operands[o].role == SB_ROLE_IN)
            o++;
        size_t bytes = sb_call_elements(&problem.call, o) * sizeof(float);
        ck_assert_uint_le(bytes, MOST);
        if (i == 0)
            memcpy(first, problem.call.operand[o], bytes);
        others += memcmp(first, problem.call.operand[o], bytes) != 0;
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
    return 1 + others;
}

/* Twins: what adds in the order of arrival changes from call to call, and says so; its twin does
 * neither. */
START_TEST(atomics_change_and_their_twins_do_not)
{
    static const struct {
        const char *backend, *operation, *atomic, *twin;
        size_t shape[7];
    } twins[] = {
        {"cuda", "sum", "atomic", "tree", {5000}},
        {"cuda", "dot", "atomic", "tree", {5000}},
        {"cuda", "bias_gradient", "atomic", "tree", {300, 5}},
        {"cuda", "embedding_gradient", "atomic", "sorted", {300, 4, 8}},
        {"cublas", "symv", "atomics", "no_atomics", {65}},
#ifdef SB_HAVE_CUDNN
        {"cudnn", "conv2d_gradient_data", "algo_0", "algo_1", {2, 3, 9, 8, 5, 3, 3}},
        {"cudnn", "conv2d_gradient_filter", "algo_0", "algo_1", {2, 3, 9, 8, 5, 3, 3}},
        {"cudnn", "conv2d_gradient_filter", "algo_3", "algo_1", {2, 3, 9, 8, 5, 3, 3}},
        {"cudnn", "max_pool_gradient", "max", "max_deterministic", {2, 3, 13, 11, 3, 3}},
#endif
    };
    for (size_t t = 0; t < sizeof twins / sizeof *twins; t++) {
        ck_assert_int_gt(distinct(twins[t].backend, twins[t].operation, twins[t].shape,
                                  twins[t].atomic, SB_CLAIM_NONDETERMINISTIC, 12),
                         1);
        ck_assert_int_eq(distinct(twins[t].backend, twins[t].operation, twins[t].shape,
                                  twins[t].twin, SB_CLAIM_DETERMINISTIC, 4),
                         1);
    }
}
END_TEST

START_TEST(deterministic_takes_the_twin)
{
    static const struct {
        const char *backend, *operation, *off, *on;
    } choices[] = {
        {"cuda", "sum", "atomic", "tree"},
        {"cuda", "embedding_gradient", "atomic", "sorted"},
        {"cublas", "symv", "atomics", "no_atomics"},
#ifdef SB_HAVE_CUDNN
        {"cudnn", "conv2d_gradient_data", "algo_0", "algo_1"},
        {"cudnn", "conv2d_gradient_filter", "algo_0", "algo_1"},
        {"cudnn", "max_pool_gradient", "max", "max_deterministic"},
#endif
    };
    for (size_t c = 0; c < 2 * sizeof choices / sizeof *choices; c++) {
        const struct sb_operation *operation = sb_operation_find(choices[c / 2].operation);
        struct sb_engine *engine = engine_of(choices[c / 2].backend, c % 2);
        struct sb_call_report report;
        ck_assert_int_eq(agrees(engine, operation->name, SB_DTYPE_F32,
                                operation->odd[0] ? operation->odd : some_sizes[0], NULL, NULL,
                                &report),
                         0);
        ck_assert_str_eq(report.algorithm, c % 2 ? choices[c / 2].on : choices[c / 2].off);
        sb_engine_close(engine);
    }
}
END_TEST

#ifdef SB_HAVE_CUDNN
/* Of CTC the losses are the first output; what atomics show in is the gradient. */
START_TEST(the_gradient_of_ctc_changes_unless_deterministic)
{
    static const size_t shape[] = {40, 2, 4, 15};
    struct sb_engine *engine = engine_of("cudnn", false);
    for (int fixed = 0; fixed < 2; fixed++) {
        float first[40 * 2 * 4];
        int others = 0;
        for (int i = 0; i < 8; i++) {
            struct sb_problem problem;
            struct sb_error err = {0};
            make("ctc_loss", SB_DTYPE_F32, shape, NULL, 0, &problem);
            problem.call.algorithm = fixed ? "deterministic" : "non_deterministic";
            ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
            if (i == 0)
                memcpy(first, problem.call.operand[3], sizeof first);
            others += memcmp(first, problem.call.operand[3], sizeof first) != 0;
            sb_problem_clear(&problem);
        }
        ck_assert_int_eq(others > 0, !fixed);
    }
    sb_engine_close(engine);
}
END_TEST
#endif

START_TEST(streams_share_a_handle_unless_deterministic)
{
    for (int on = 0; on < 2; on++) {
        struct sb_engine *engine = engine_of("cublas", on);
        unsigned before = alive();
        struct sb_call_report report;
        agrees(engine, "gemm", SB_DTYPE_F32, some_sizes[0], NULL, "streams", &report);
        ck_assert_int_eq(report.claim, on ? SB_CLAIM_DETERMINISTIC : SB_CLAIM_NONE);
        /* 4 streams and 5 events, and 3 operands; with deterministic 4 handles and workspaces. */
        ck_assert_uint_eq(alive() - before, on ? 9 + 3 + 8 : 9 + 3);
        sb_engine_close(engine);
    }
}
END_TEST

START_TEST(a_proposal_that_there_is_not_is_not_supported)
{
    struct sb_engine *engine = engine_of("cublas", false);
    struct sb_problem problem;
    struct sb_error err = {0};
    make("gemm", SB_DTYPE_F32, some_sizes[0], NULL, 0, &problem);
    problem.call.algorithm = "lt_7";
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "cublasLt proposes 3 algorithms"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

/* What is not to be had is skipped, with the library's word on it: an engine, and an algorithm. */
#ifdef SB_HAVE_CUDNN
START_TEST(what_cudnn_does_not_support_is_not_supported)
{
    static const struct {
        const char *algorithm, *why;
    } cases[] = {{"engine_2", "the engine: CUDNN_STATUS_NOT_SUPPORTED"},
                 {"engine_3", "cuDNN has 3 engines"},
                 {"winograd", "algorithm 'winograd': CUDNN_STATUS_NOT_SUPPORTED"},
                 {"direct", "algorithm 'direct': CUDNN_STATUS_NOT_SUPPORTED"}};
    struct sb_engine *engine = engine_of("cudnn", false);
    unsigned before = alive();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct sb_problem problem;
        struct sb_error err = {0};
        make("conv2d", SB_DTYPE_F32, (const size_t[]){2, 3, 9, 8, 5, 5, 3}, NULL, 0, &problem);
        problem.call.algorithm = cases[c].algorithm;
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
        ck_assert_msg(strstr(err.text, cases[c].why) != NULL, "%s", err.text);
        sb_problem_clear(&problem);
    }
    ck_assert_uint_eq(alive() - before, 3); /* the operands' memory, which is kept; no descriptor */
    sb_engine_close(engine);
}
END_TEST

/* Stride, padding and dilation reach cuDNN as they are meant, in every direction. */
START_TEST(windows_are_those_that_were_asked_for)
{
    static const char *const operations[] = {"conv2d", "conv2d_gradient_data",
                                             "conv2d_gradient_filter"};
    static const double windows[][SB_MAX_ATTRIBUTES] = {{2, 0, 1}, {1, 2, 2}, {3, 1, 1}};
    static const size_t shape[] = {2, 3, 11, 9, 4, 3, 2};
    struct sb_engine *engine = engine_of("cudnn", false);
    struct sb_call_report report;
    for (size_t i = 0; i < 9; i++) {
        static const char *const algorithms[] = {NULL, "engine_0"};
        for (size_t a = 0; a < 2; a++)
            ck_assert_int_eq(agrees(engine, operations[i % 3], SB_DTYPE_F32, shape, windows[i / 3],
                                    algorithms[a], &report),
                             0);
    }
    sb_engine_close(engine);
}
END_TEST
/* Of the graph interface's engines the first does not support it: without an algorithm named, the
 * next is taken. */
START_TEST(gelu_is_of_the_kind_asked_for_by_the_first_engine_that_has_it)
{
    static const char *const operations[] = {"gelu", "gelu_gradient"};
    struct sb_engine *engine = engine_of("cudnn", false);
    for (size_t i = 0; i < 4; i++) {
        struct sb_call_report report = {0};
        const double tanh[] = {i % 2};
        ck_assert_int_eq(agrees(engine, operations[i / 2], SB_DTYPE_F32, (const size_t[]){997},
                                tanh, NULL, &report),
                         0);
        ck_assert_str_eq(report.algorithm, "engine_1");
        ck_assert_int_eq(agrees(engine, operations[i / 2], SB_DTYPE_F32, (const size_t[]){997},
                                tanh, "engine_0", &report),
                         -ENOTSUP);
    }
    sb_engine_close(engine);
}
END_TEST
#endif

START_TEST(cublaslt_says_how_it_splits)
{
    static const struct {
        const char *algorithm, *note;
        size_t workspace;
    } cases[] = {{"lt_0", "split-K 1, reduction none", 0},
                 {"lt_1", "split-K 2, reduction compute", 67 * 35 * 4 * 2},
                 {"lt_splitk_inplace", "split-K 4, reduction inplace", 1024},
                 {"lt_splitk_output", "split-K 4, reduction output", 67 * 35 * 4 * 4}};
    struct sb_engine *engine = engine_of("cublas", false);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct sb_call_report report;
        agrees(engine, "gemm", SB_DTYPE_F32, some_sizes[0], NULL, cases[c].algorithm, &report);
        ck_assert_msg(strstr(report.note, cases[c].note) != NULL, "%s", report.note);
        ck_assert_uint_eq(report.workspace, cases[c].workspace);
    }
    sb_engine_close(engine);
}
END_TEST

START_TEST(an_index_out_of_range_is_an_error)
{
    struct sb_engine *engine = engine_of("cuda", false);
    struct sb_problem problem;
    struct sb_error err = {0};
    make("embedding_gradient", SB_DTYPE_F32, (const size_t[]){4, 3, 2}, NULL, 0, &problem);
    ((int32_t *)problem.call.operand[0])[2] = 3;
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -EDOM);
    ck_assert_ptr_nonnull(strstr(err.text, "index 3"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("kernels-gpu");
    TCase *all = tcase_create("oracles");
    tcase_add_loop_test(all, every_operation_agrees_with_its_oracle_by_every_algorithm, 0,
                        2 * N_BACKENDS);
    suite_add_tcase(suite, all);
    const TTest *const tests[] = {transposed_operands_are_multiplied_as_such,
                                  a_stand_in_is_never_called_a_gpu,
                                  without_a_device_there_is_no_backend,
                                  atomics_change_and_their_twins_do_not,
                                  deterministic_takes_the_twin,
                                  streams_share_a_handle_unless_deterministic,
                                  a_proposal_that_there_is_not_is_not_supported,
#ifdef SB_HAVE_CUDNN
                                  what_cudnn_does_not_support_is_not_supported,
                                  windows_are_those_that_were_asked_for,
                                  gelu_is_of_the_kind_asked_for_by_the_first_engine_that_has_it,
                                  the_gradient_of_ctc_changes_unless_deterministic,
#endif
                                  cublaslt_says_how_it_splits,
                                  an_index_out_of_range_is_an_error};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *one = tcase_create(tests[i]->name);
        tcase_add_test(one, tests[i]);
        suite_add_tcase(suite, one);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
