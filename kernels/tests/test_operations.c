/* kernels: every operation on every backend against its float64 oracle, and the bits of `ref`. */
#include "kernels/backends/ref_gemm.h"
#include "kernels/problem.h"
#include "kernels/train/train.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sb_engine *engine_of(const char *name, unsigned threads) {
    struct sb_engine *engine = NULL;
    struct sb_error err = {0};
    struct sb_engine_options options = {.threads = threads};
    int rc = sb_engine_open(sb_backend_find(name), &options, &engine, &err);
    ck_assert_msg(rc == 0 || rc == -ENOENT, "%s", err.text);
    return engine;
}

static void make(const char *name, enum sb_dtype dtype, const size_t *shape,
                 const double *attributes, struct sb_problem *problem) {
    const struct sb_operation *operation = sb_operation_find(name);
    struct sb_error err = {0};
    struct sb_problem_options options = {dtype, shape, strlen(operation->sizes), attributes, 3, 0};
    int rc = sb_problem_make(operation, &options, problem, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
}

/* LeakSanitizer crashes where it looks into the thread-local memory of libraries that were loaded
 * late (OpenMP's); what only such memory points to then looks lost. */
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) {
    return "use_tls=0:print_suppressions=0";
}
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:_dlerror_run\nleak:libgomp.so\nleak:libdnnl.so\n";
}

/* Sizes that are no multiple of anything, and one. */
static const size_t some_sizes[][3] = {{67, 35, 129}, {1, 1, 1}, {3, 130, 17}};
static const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_F64, SB_DTYPE_F16, SB_DTYPE_BF16};

static void agrees(struct sb_engine *engine, const struct sb_operation *operation,
                   enum sb_dtype dtype, const size_t *shape) {
    struct sb_problem problem;
    struct sb_error err = {0};
    make(operation->name, dtype, shape, NULL, &problem);
    ck_assert_int_eq(sb_problem_expect(&problem, &err), 0);
    int rc = sb_engine_call(engine, &problem.call, &err);
    if (rc == -ENOTSUP && dtype == SB_DTYPE_BF16) { /* which not every CPU has */
        sb_problem_clear(&problem);
        return;
    }
    ck_assert_msg(rc == 0, "%s", err.text);
    double error = sb_problem_error(&problem), tolerance = sb_problem_tolerance(&problem);
    ck_assert_msg(error <= tolerance, "%s on %s, %s: %g > %g", operation->name,
                  sb_engine_backend(engine)->name, sb_dtype_names[dtype], error, tolerance);
    sb_problem_clear(&problem);
}

static void all_agree(const char *backend) {
    if (sb_backend_find(backend)->planned)
        return;
    struct sb_engine *engine = engine_of(backend, 2);
    for (size_t i = 0; engine && sb_operations[i]; i++) {
        const struct sb_operation *operation = sb_operations[i];
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes && !operation->planned; d++) {
            if (!sb_backend_kernel(sb_engine_backend(engine), operation->name, dtypes[d]))
                continue;
            if (operation->odd[0])
                agrees(engine, operation, dtypes[d], operation->odd);
            for (size_t s = 0; !operation->odd[0] && s < sizeof some_sizes / sizeof *some_sizes;
                 s++)
                agrees(engine, operation, dtypes[d], some_sizes[s]);
        }
    }
    sb_engine_close(engine);
}

START_TEST(ref_agrees_with_every_oracle)
{ all_agree("ref"); }
END_TEST

START_TEST(openblas_agrees_with_every_oracle)
{ all_agree("openblas"); }
END_TEST

START_TEST(openmp_agrees_with_every_oracle)
{ all_agree("openmp"); }
END_TEST

START_TEST(blis_agrees_with_every_oracle)
{ all_agree("blis"); }
END_TEST

START_TEST(onednn_agrees_with_every_oracle)
{ all_agree("onednn"); }
END_TEST

START_TEST(onednn3_agrees_with_every_oracle)
{ all_agree("onednn3"); }
END_TEST

/* Other attributes than an operation's own, on every backend that is here. */
START_TEST(attributes_are_obeyed_on_every_backend)
{
    static const struct {
        const char *operation;
        double attributes[SB_MAX_ATTRIBUTES];
    } cases[] = {
        {"conv2d", {2, 0, 2}},
        {"conv2d_gradient_data", {2, 0, 2}},
        {"conv2d_gradient_filter", {3, 2, 1}},
        {"max_pool", {1, 0}},
        {"max_pool_gradient", {1, 0}},
        {"average_pool", {1, 1, 1}},
        {"average_pool_gradient", {1, 1, 1}},
        {"gelu", {1}},
        {"gelu_gradient", {1}},
        {"gradient_norm", {1e9}},
        {"attention", {1}},
    };
    for (size_t b = 0; sb_backends[b]; b++) {
        struct sb_engine *engine =
            sb_backends[b]->planned ? NULL : engine_of(sb_backends[b]->name, 2);
        for (size_t i = 0; engine && i < sizeof cases / sizeof *cases; i++) {
            const struct sb_operation *operation = sb_operation_find(cases[i].operation);
            struct sb_problem problem;
            struct sb_error err = {0};
            if (!sb_backend_kernel(sb_backends[b], operation->name, SB_DTYPE_F32))
                continue;
            make(operation->name, SB_DTYPE_F32,
                 operation->odd[0] ? operation->odd : (const size_t[]){997}, cases[i].attributes,
                 &problem);
            ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
            ck_assert_msg(sb_engine_call(engine, &problem.call, &err) == 0, "%s", err.text);
            ck_assert_msg(sb_problem_error(&problem) <= sb_problem_tolerance(&problem),
                          "%s on %s: %g", operation->name, sb_backends[b]->name,
                          sb_problem_error(&problem));
            sb_problem_clear(&problem);
        }
        sb_engine_close(engine);
    }
}
END_TEST

/* Or a training whose gradients are no numbers would go on as if it had clipped them. */
START_TEST(a_norm_that_is_no_number_leaves_none_on_any_backend)
{
    for (size_t b = 0; sb_backends[b]; b++) {
        struct sb_engine *engine =
            sb_backends[b]->planned ? NULL : engine_of(sb_backends[b]->name, 2);
        if (!engine || !sb_backend_kernel(sb_backends[b], "gradient_norm", SB_DTYPE_F32)) {
            sb_engine_close(engine);
            continue;
        }
        struct sb_problem problem;
        make("gradient_norm", SB_DTYPE_F32, (const size_t[]){997}, NULL, &problem);
        ((float *)problem.call.operand[0])[500] = NAN;
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
        for (size_t o = 1; o <= 2; o++)
            ck_assert_msg(isnan(*(float *)problem.call.operand[o]), "%s, result %zu",
                          sb_backends[b]->name, o);
        sb_problem_clear(&problem);
        sb_engine_close(engine);
    }
}
END_TEST

/* The detector detects: one element beyond what rounding allows, and a NaN. */
START_TEST(a_planted_error_is_beyond_the_tolerance)
{
    struct sb_engine *engine = engine_of("ref", 1);
    for (size_t d = 0; d < 2; d++) {
        struct sb_problem problem;
        make("gemm", dtypes[d], some_sizes[0], NULL, &problem);
        ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
        ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
        float *f32 = problem.call.operand[2];
        double *f64 = problem.call.operand[2];
        double nudge = 2 * sb_problem_tolerance(&problem) * problem.scale[2][77];
        if (d == 0)
            f32[77] += (float)nudge;
        else
            f64[77] += nudge;
        ck_assert_double_gt(sb_problem_error(&problem), sb_problem_tolerance(&problem));
        if (d == 0)
            f32[77] = NAN;
        else
            f64[77] = NAN;
        ck_assert(isinf(sb_problem_error(&problem)));
        sb_problem_clear(&problem);
    }
    sb_engine_close(engine);
}
END_TEST

START_TEST(transposed_operands_are_multiplied_as_such)
{
    for (size_t b = 0; sb_backends[b]; b++) {
        struct sb_engine *engine =
            sb_backends[b]->planned ? NULL : engine_of(sb_backends[b]->name, 2);
        for (int form = 0; engine && form < 8; form++) {
            struct sb_problem problem;
            const double attributes[SB_MAX_ATTRIBUTES] = {form & 1, form >> 1 & 1};
            if (!sb_backend_kernel(sb_backends[b], "gemm", dtypes[form >> 2]))
                continue;
            make("gemm", dtypes[form >> 2], some_sizes[0], attributes, &problem);
            ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
            ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
            ck_assert_double_le(sb_problem_error(&problem), sb_problem_tolerance(&problem));
            sb_problem_clear(&problem);
        }
        sb_engine_close(engine);
    }
}
END_TEST

/* The loop that everyone writes, in the order that ref promises. */
static void naive(const struct sb_call *call, void *out) {
    size_t m = call->size[0], n = call->size[1], k = call->size[2];
    bool ta = call->attribute[0] != 0, tb = call->attribute[1] != 0;
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            volatile float sum = 0, product;
            volatile double wide_sum = 0, wide_product;
            for (size_t p = 0; p < k; p++) {
                double a = sb_call_value(call, 0, ta ? p * m + i : i * k + p);
                double b = sb_call_value(call, 1, tb ? j * k + p : p * n + j);
                product = (float)a * (float)b;
                sum = sum + product;
                wide_product = a * b;
                wide_sum = wide_sum + wide_product;
            }
            if (call->dtype == SB_DTYPE_F32)
                ((float *)out)[i * n + j] = sum;
            else
                ((double *)out)[i * n + j] = wide_sum;
        }
    }
}

static void has_naive_bits(const struct sb_problem *problem) {
    const struct sb_call *call = &problem->call;
    size_t bytes = sb_call_elements(call, 2) * sb_dtype_size(call->dtype);
    void *wanted = malloc(bytes), *got = malloc(bytes);
    naive(call, wanted);
    for (const struct sb_ref_path *path = sb_ref_paths; path->name; path++) {
        for (unsigned threads = 1; threads <= 4 && path->usable(); threads++) {
            memset(got, 0xff, bytes);
            int rc = sb_ref_gemm(path, threads, call->dtype, call->attribute[0] != 0,
                                 call->attribute[1] != 0, call->size[0], call->size[1],
                                 call->size[2], call->operand[0], call->operand[1], got, NULL);
            ck_assert_int_eq(rc, 0);
            ck_assert_msg(memcmp(got, wanted, bytes) == 0, "%s, %u threads, %zux%zux%zu",
                          path->name, threads, call->size[0], call->size[1], call->size[2]);
        }
    }
    free(wanted);
    free(got);
}

START_TEST(ref_gemm_has_the_bits_of_the_naive_loop_on_every_path_and_thread_count)
{
    static const size_t shapes[][3] = {{1, 1, 1},    {5, 3, 2},     {16, 8, 4},
                                       {97, 65, 33}, {7, 530, 9},   {120, 40, 300},
                                       {3, 1000, 5}, {70, 70, 520}, {200, 150, 80}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (int form = 0; form < 8; form++) {
            struct sb_problem problem;
            const double attributes[SB_MAX_ATTRIBUTES] = {form & 1, form >> 1 & 1};
            make("gemm", dtypes[form >> 2], shapes[s], attributes, &problem);
            has_naive_bits(&problem);
            sb_problem_clear(&problem);
        }
    }
}
END_TEST

/* 1 + 2^-12 squared is 1 + 2^-11 + 2^-24: rounded before 1 + 2^-11 is taken away, the last term is
 * lost; fused, it would stay. */
START_TEST(ref_fuses_no_multiplication_with_an_addition)
{
    enum { N = 64 };
    static float a[N * 2], b[2 * N], c[N * N];
    for (int i = 0; i < N; i++) {
        a[2 * i] = -1;
        b[i] = 1 + 0x1p-11f;
        a[2 * i + 1] = b[N + i] = 1 + 0x1p-12f;
    }
    for (const struct sb_ref_path *path = sb_ref_paths; path->name; path++) {
        if (!path->usable())
            continue;
        int rc = sb_ref_gemm(path, 1, SB_DTYPE_F32, false, false, N, N, 2, a, b, c, NULL);
        ck_assert_int_eq(rc, 0);
        for (int i = 0; i < N * N; i++)
            ck_assert(c[i] == 0);
    }
}
END_TEST

START_TEST(a_row_has_the_same_bits_in_any_batch)
{
    struct sb_problem problem;
    make("gemm", SB_DTYPE_F32, (const size_t[]){64, 48, 200}, NULL, &problem);
    const struct sb_ref_path *path = sb_ref_path_here();
    const float *a = problem.call.operand[0], *b = problem.call.operand[1];
    float all[64 * 48], alone[48];
    int rc = sb_ref_gemm(path, 3, SB_DTYPE_F32, false, false, 64, 48, 200, a, b, all, NULL);
    for (size_t row = 0; row < 64 && rc == 0; row += 9) {
        rc = sb_ref_gemm(path, 1, SB_DTYPE_F32, false, false, 1, 48, 200, a + row * 200, b, alone,
                         NULL);
        ck_assert_mem_eq(alone, all + row * 48, sizeof alone);
    }
    ck_assert_int_eq(rc, 0);
    sb_problem_clear(&problem);
}
END_TEST

START_TEST(inputs_are_a_function_of_the_seed)
{
    struct sb_problem a, b, c;
    const struct sb_operation *gemm = sb_operation_find("gemm");
    const size_t shape[] = {20, 30, 40}, bytes = 20 * 40 * sizeof(float);
    const struct sb_problem_options seed_1 = {SB_DTYPE_F32, shape, 3, NULL, 1, 0},
                                    seed_2 = {SB_DTYPE_F32, shape, 3, NULL, 2, 0};
    ck_assert_int_eq(sb_problem_make(gemm, &seed_1, &a, NULL), 0);
    ck_assert_int_eq(sb_problem_make(gemm, &seed_1, &b, NULL), 0);
    ck_assert_int_eq(sb_problem_make(gemm, &seed_2, &c, NULL), 0);
    ck_assert_mem_eq(a.call.operand[0], b.call.operand[0], bytes);
    ck_assert_mem_ne(a.call.operand[0], c.call.operand[0], bytes);
    /* Wide: signs and exponents vary, so that the order of a sum can show. */
    bool negative = false, large = false, small = false;
    for (size_t i = 0; i < 20 * 40; i++) {
        double x = sb_call_value(&a.call, 0, i);
        negative |= x < 0;
        large |= fabs(x) > 64;
        small |= fabs(x) < 1.0 / 64;
    }
    ck_assert(negative && large && small);
    sb_problem_clear(&a);
    sb_problem_clear(&b);
    sb_problem_clear(&c);
}
END_TEST

START_TEST(what_is_not_in_this_build_is_known_by_name)
{
    static const char *const names[] = {"openmp", "blis", "onednn", "onednn3", "cublas",
                                        "cudnn",  "cuda", "nccl",   "chaos"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct sb_backend *backend = sb_backend_find(names[i]);
        ck_assert_ptr_nonnull(backend);
        if (!backend->planned)
            continue;
        char *gap = sb_backend_gap(backend, sb_operation_find("gemm"), SB_DTYPE_F32), wanted[64];
        snprintf(wanted, sizeof wanted, "backend '%s': not built (", names[i]);
        ck_assert_int_eq(strncmp(gap, wanted, strlen(wanted)), 0);
        free(gap);
        struct sb_engine *engine;
        struct sb_error err = {0};
        struct sb_engine_options options = {.threads = 1};
        ck_assert_int_eq(sb_engine_open(backend, &options, &engine, &err), -ENOTSUP);
        ck_assert_int_eq(strncmp(err.text, wanted, strlen(wanted)), 0);
    }
    ck_assert_ptr_null(sb_backend_find("cudann"));
}
END_TEST

START_TEST(every_gap_has_a_reason_and_every_kernel_none)
{
    for (size_t b = 0; sb_backends[b]; b++) {
        for (size_t o = 0; sb_operations[o]; o++) {
            for (enum sb_dtype dtype = 0; dtype < SB_N_DTYPES; dtype++) {
                char *gap = sb_backend_gap(sb_backends[b], sb_operations[o], dtype);
                bool has = sb_backend_kernel(sb_backends[b], sb_operations[o]->name, dtype);
                ck_assert(has == !gap);
                /* Of the types that kernels know, in parentheses why. */
                for (size_t d = 0; gap && d < sizeof dtypes / sizeof *dtypes; d++)
                    ck_assert_msg(dtypes[d] != dtype || strchr(gap, '('), "%s", gap);
                free(gap);
            }
        }
    }
}
END_TEST

/* A reason is for operations that there are, and is given for these alone. */
START_TEST(a_gap_of_its_own_kind_has_its_own_reason)
{
    for (size_t b = 0; sb_backends[b]; b++) {
        for (const struct sb_missing *m = sb_backends[b]->missing; m && m->operations; m++) {
            char names[256];
            snprintf(names, sizeof names, "%s", m->operations);
            for (char *rest = names, *name; (name = strsep(&rest, " "));) {
                const struct sb_operation *operation = sb_operation_find(name);
                ck_assert_msg(operation, "%s: no operation '%s'", sb_backends[b]->name, name);
                char *gap = sb_backend_gap(sb_backends[b], operation, SB_DTYPE_F32);
                ck_assert(!gap || strstr(gap, m->why));
                free(gap);
            }
        }
    }
    char *gap =
        sb_backend_gap(sb_backend_find("openblas"), sb_operation_find("relu"), SB_DTYPE_F32);
    ck_assert_ptr_nonnull(strstr(gap, sb_backend_find("openblas")->gaps));
    free(gap);
}
END_TEST

static int check(const char *operation, enum sb_dtype dtype, const size_t *shape, size_t n,
                 struct sb_error *err) {
    struct sb_problem_options options = {.dtype = dtype, .shape = shape, .n_shape = n};
    return sb_problem_check(sb_operation_find(operation), &options, err);
}

START_TEST(a_wrong_shape_is_refused)
{
    struct sb_error err = {0};
    const size_t two[] = {1, 2}, zero[] = {1, 0, 2}, large[] = {SIZE_MAX, SIZE_MAX, 2},
                 many[] = {1 << 20, 1, 1 << 20};
    ck_assert_int_eq(check("gemm", SB_DTYPE_F32, two, 2, &err), -EINVAL);
    ck_assert_str_eq(err.text, "kernel 'gemm' takes 3 sizes (mnk), not 2");
    ck_assert_int_eq(check("gemm", SB_DTYPE_F32, zero, 3, &err), -EINVAL);
    ck_assert_int_eq(check("gemm", SB_DTYPE_F32, large, 3, &err), -EINVAL);
    ck_assert_int_eq(check("gemm", SB_DTYPE_F32, many, 3, &err), -EINVAL);
    ck_assert_int_eq(check("gemm", SB_DTYPE_I32, NULL, 0, &err), -EINVAL);
    ck_assert_int_eq(check("gemm", SB_DTYPE_F64, NULL, 0, &err), 0);
    ck_assert_int_eq(check("gemm", SB_DTYPE_BF16, NULL, 0, &err), 0);
}
END_TEST

START_TEST(rows_alone_are_the_rows_of_the_whole)
{
    struct sb_problem whole, part;
    make("gemm", SB_DTYPE_F32, (const size_t[]){7, 5, 3}, NULL, &whole);
    ck_assert_int_eq(sb_problem_rows(&whole, 4, 2, &part, NULL), 0);
    ck_assert_uint_eq(part.call.size[0], 2);
    ck_assert_mem_eq(part.call.operand[0], (float *)whole.call.operand[0] + 4 * 3, 2 * 3 * 4);
    ck_assert_mem_eq(part.call.operand[1], whole.call.operand[1], 3 * 5 * 4);
    sb_problem_clear(&part);
    sb_problem_clear(&whole);
    make("dot", SB_DTYPE_F32, (const size_t[]){7}, NULL, &whole);
    ck_assert_int_eq(sb_problem_rows(&whole, 0, 1, &part, NULL), -ENOTSUP);
    sb_problem_clear(&whole);
}
END_TEST

START_TEST(operands_can_be_moved_off_their_boundary)
{
    struct sb_problem_options options = {.dtype = SB_DTYPE_F32, .offset = 3};
    struct sb_problem moved, aligned;
    const struct sb_operation *dot = sb_operation_find("dot");
    ck_assert_int_eq(sb_problem_make(dot, &options, &moved, NULL), 0);
    options.offset = 0;
    ck_assert_int_eq(sb_problem_make(dot, &options, &aligned, NULL), 0);
    for (size_t o = 0; o < 3; o++) {
        ck_assert_uint_eq((uintptr_t)moved.call.operand[o] % 64, 12);
        ck_assert_uint_eq((uintptr_t)aligned.call.operand[o] % 64, 0);
    }
    ck_assert_mem_eq(moved.call.operand[0], aligned.call.operand[0], 4 * moved.call.size[0]);
    sb_problem_clear(&moved);
    sb_problem_clear(&aligned);
}
END_TEST

START_TEST(an_algorithm_that_a_kernel_has_not_is_not_supported)
{
    struct sb_engine *engine = engine_of("ref", 1);
    struct sb_problem problem;
    struct sb_error err = {0};
    make("dot", SB_DTYPE_F32, (const size_t[]){7}, NULL, &problem);
    problem.call.algorithm = "backwards";
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -ENOTSUP);
    ck_assert_ptr_nonnull(strstr(err.text, "no algorithm 'backwards' (choices: none)"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

/* A backend of one's own: a table, and a function. What it lacks is ref's. */
static int unload_calls;

static int write_twos(void *state, const struct sb_call *call, struct sb_error *err) {
    (void)state, (void)err;
    for (size_t i = 0; i < call->size[0] * call->size[1]; i++)
        ((float *)call->operand[2])[i] = 2;
    return 0;
}

static int load_nothing(void **state, struct sb_error *err) {
    (void)err;
    *state = NULL;
    return 0;
}

static void unload_nothing(void *state) {
    (void)state;
    unload_calls++;
}

START_TEST(a_backend_is_one_table_and_ref_fills_its_gaps)
{
    static const struct sb_kernel kernels[] = {{"gemm", SB_BIT(SB_DTYPE_F32), write_twos}, {NULL}};
    static const struct sb_backend two = {.api = SB_BACKEND_API,
                                          .name = "two",
                                          .summary = "writes 2",
                                          .kernels = kernels,
                                          .load = load_nothing,
                                          .unload = unload_nothing};
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = 1};
    ck_assert_int_eq(sb_engine_open(&two, &options, &engine, NULL), 0);
    struct sb_problem problem;
    make("gemm", SB_DTYPE_F32, some_sizes[0], NULL, &problem);
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, NULL), 0);
    ck_assert(((float *)problem.call.operand[2])[5] == 2);
    ck_assert_double_gt(sb_problem_error(&problem), sb_problem_tolerance(&problem));
    sb_problem_clear(&problem);
    agrees(engine, sb_operation_find("gemm"), SB_DTYPE_F64, some_sizes[0]);
    agrees(engine, sb_operation_find("sum"), SB_DTYPE_F32, some_sizes[0]);
    sb_engine_close(engine);
    ck_assert_int_eq(unload_calls, 1);
}
END_TEST

START_TEST(a_backend_of_another_interface_is_refused)
{
    static const struct sb_backend old = {
        .api = SB_BACKEND_API + 1, .name = "old", .load = load_nothing};
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = 1};
    ck_assert_int_eq(sb_engine_open(&old, &options, &engine, NULL), -ENOTSUP);
}
END_TEST

START_TEST(a_label_out_of_range_is_an_error)
{
    struct sb_engine *engine = engine_of("ref", 1);
    struct sb_problem problem;
    make("cross_entropy", SB_DTYPE_F32, (const size_t[]){4, 3}, NULL, &problem);
    ((int32_t *)problem.call.operand[1])[2] = 3;
    struct sb_error err = {0};
    ck_assert_int_eq(sb_engine_call(engine, &problem.call, &err), -EDOM);
    ck_assert_ptr_nonnull(strstr(err.text, "label 3"));
    sb_problem_clear(&problem);
    sb_engine_close(engine);
}
END_TEST

START_TEST(openblas_reports_what_it_is)
{
    struct sb_engine *engine = engine_of("openblas", 1);
    struct sb_backend_facts facts;
    if (!engine) {
        sb_test_skip("needs openblas: the library");
        return;
    }
    sb_engine_describe(engine, &facts);
    ck_assert_ptr_nonnull(strstr(facts.library, "openblas"));
    ck_assert(facts.version[0] >= '0' && facts.version[0] <= '9');
    ck_assert_uint_gt(strlen(facts.core), 0);
    ck_assert_uint_eq(facts.threads, 1);
    sb_engine_close(engine);
}
END_TEST

SB_TEST_MAIN("kernels-operations", ref_agrees_with_every_oracle, openblas_agrees_with_every_oracle,
             openmp_agrees_with_every_oracle, blis_agrees_with_every_oracle,
             onednn_agrees_with_every_oracle, onednn3_agrees_with_every_oracle,
             attributes_are_obeyed_on_every_backend,
             a_norm_that_is_no_number_leaves_none_on_any_backend,
             a_planted_error_is_beyond_the_tolerance, transposed_operands_are_multiplied_as_such,
             ref_gemm_has_the_bits_of_the_naive_loop_on_every_path_and_thread_count,
             ref_fuses_no_multiplication_with_an_addition, a_row_has_the_same_bits_in_any_batch,
             inputs_are_a_function_of_the_seed, what_is_not_in_this_build_is_known_by_name,
             every_gap_has_a_reason_and_every_kernel_none, a_gap_of_its_own_kind_has_its_own_reason,
             a_wrong_shape_is_refused, rows_alone_are_the_rows_of_the_whole,
             operands_can_be_moved_off_their_boundary,
             an_algorithm_that_a_kernel_has_not_is_not_supported,
             a_backend_is_one_table_and_ref_fills_its_gaps,
             a_backend_of_another_interface_is_refused, a_label_out_of_range_is_an_error,
             openblas_reports_what_it_is)
