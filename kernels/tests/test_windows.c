/* kernels: convolution and pooling in `ref` under strides, paddings and dilations, at sizes where
 * threads share the work; ties, NaNs, and what is refused. */
#include "kernels/problem.h"
#include "tests/testing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct sb_engine *ref(unsigned threads) {
    struct sb_engine *engine;
    struct sb_engine_options options = {.threads = threads};
    ck_assert_int_eq(sb_engine_open(sb_backend_find("ref"), &options, &engine, NULL), 0);
    return engine;
}

static int try_make(const char *name, enum sb_dtype dtype, const size_t *shape,
                    const double *attributes, struct sb_problem *problem, struct sb_error *err) {
    const struct sb_operation *operation = sb_operation_find(name);
    struct sb_problem_options options = {.dtype = dtype,
                                         .shape = shape,
                                         .n_shape = strlen(operation->sizes),
                                         .attributes = attributes,
                                         .seed = 7};
    return sb_problem_make(operation, &options, problem, err);
}

static void make(const char *name, enum sb_dtype dtype, const size_t *shape,
                 const double *attributes, struct sb_problem *problem) {
    struct sb_error err = {0};
    ck_assert_msg(try_make(name, dtype, shape, attributes, problem, &err) == 0, "%s", err.text);
}

static void run(struct sb_problem *problem, unsigned threads) {
    struct sb_engine *engine = ref(threads);
    struct sb_error err = {0};
    ck_assert_msg(sb_engine_call(engine, &problem->call, &err) == 0, "%s", err.text);
    sb_engine_close(engine);
}

/* Against the oracle, and at 1 to 4 threads the same bits; the last operand is the output. */
static void check(const char *name, enum sb_dtype dtype, const size_t *shape,
                  const double *attributes) {
    struct sb_problem problem;
    make(name, dtype, shape, attributes, &problem);
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    size_t out = 0;
    while (problem.call.operation->operands[out + 1].name)
        out++;
    size_t bytes = sb_call_elements(&problem.call, out) * sb_dtype_size(dtype);
    void *first = malloc(bytes);
    for (unsigned threads = 1; threads <= 4; threads++) {
        memset(problem.call.operand[out], 0xff, bytes);
        run(&problem, threads);
        if (threads == 1)
            memcpy(first, problem.call.operand[out], bytes);
        ck_assert_msg(memcmp(first, problem.call.operand[out], bytes) == 0,
                      "%s, %s: other bits with %u threads", name, sb_dtype_names[dtype], threads);
    }
    double error = sb_problem_error(&problem), tolerance = sb_problem_tolerance(&problem);
    ck_assert_msg(error <= tolerance, "%s, %s, %g %g %g: %g > %g", name, sb_dtype_names[dtype],
                  attributes[0], attributes[1], attributes[2], error, tolerance);
    free(first);
    sb_problem_clear(&problem);
}

/* n c h w k r s, then stride, padding, dilation. The larger ones are worth several threads, more
 * windows than are laid out at a time, and more channels than one of them takes. */
static const struct {
    size_t shape[7];
    double attributes[3];
} convolutions[] = {
    {{3, 40, 19, 17, 24, 3, 3}, {1, 1, 1}}, {{2, 3, 40, 33, 70, 5, 4}, {2, 2, 1}},
    {{5, 7, 12, 12, 9, 3, 3}, {1, 2, 2}},   {{1, 2, 16, 9, 3, 2, 3}, {3, 0, 2}},
    {{4, 16, 14, 14, 32, 1, 1}, {1, 0, 1}}, {{2, 3, 7, 7, 4, 1, 1}, {2, 1, 1}},
    {{1, 1, 5, 5, 1, 5, 5}, {1, 0, 1}},     {{2, 5, 3, 2, 4, 3, 3}, {1, 4, 1}},
};
enum { CONVOLUTIONS = sizeof convolutions / sizeof *convolutions };

START_TEST(convolutions_agree_with_their_oracles_at_every_thread_count)
{
    static const char *const names[] = {"conv2d", "conv2d_gradient_data", "conv2d_gradient_filter"};
    for (size_t i = 0; i < CONVOLUTIONS; i++) {
        for (size_t o = 0; o < 3; o++) {
            check(names[o], SB_DTYPE_F32, convolutions[i].shape, convolutions[i].attributes);
            check(names[o], SB_DTYPE_F64, convolutions[i].shape, convolutions[i].attributes);
        }
    }
}
END_TEST

/* Σ y·dy, where it is a product of three, and the sum of the magnitudes. */
static long double sum_of_products(const double *a, const double *b, size_t n, long double *scale) {
    long double sum = 0;
    *scale = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (long double)a[i] * b[i];
        *scale += fabsl((long double)a[i] * b[i]);
    }
    return sum;
}

/* conv2d is linear in x and in w: ⟨y, dy⟩ = ⟨x, dx⟩ = ⟨w, dw⟩, whatever the oracles say. */
START_TEST(gradients_of_convolutions_are_their_adjoints)
{
    for (size_t i = 0; i < CONVOLUTIONS; i++) {
        struct sb_problem forward, data, filter;
        const double *attributes = convolutions[i].attributes;
        make("conv2d", SB_DTYPE_F64, convolutions[i].shape, attributes, &forward);
        make("conv2d_gradient_data", SB_DTYPE_F64, convolutions[i].shape, attributes, &data);
        make("conv2d_gradient_filter", SB_DTYPE_F64, convolutions[i].shape, attributes, &filter);
        size_t nx = sb_call_elements(&forward.call, 0), nw = sb_call_elements(&forward.call, 1),
               ny = sb_call_elements(&forward.call, 2);
        memcpy(data.call.operand[0], forward.call.operand[1], nw * sizeof(double));
        memcpy(filter.call.operand[0], forward.call.operand[0], nx * sizeof(double));
        memcpy(filter.call.operand[1], data.call.operand[1], ny * sizeof(double));
        run(&forward, 2);
        run(&data, 2);
        run(&filter, 2);
        long double scale[3];
        long double y = sum_of_products(forward.call.operand[2], data.call.operand[1], ny, scale),
                    x = sum_of_products(forward.call.operand[0], data.call.operand[2], nx,
                                        scale + 1),
                    w = sum_of_products(forward.call.operand[1], filter.call.operand[2], nw,
                                        scale + 2);
        ck_assert(fabsl(y - x) <= 1e-12L * (scale[0] + scale[1]));
        ck_assert(fabsl(y - w) <= 1e-12L * (scale[0] + scale[2]));
        sb_problem_clear(&forward);
        sb_problem_clear(&data);
        sb_problem_clear(&filter);
    }
}
END_TEST

/* One element by the loop that everyone writes, c, r, s ascending. */
static float naive(const struct sb_call *call, size_t n, size_t k, size_t p, size_t q) {
    size_t channels = call->size[1], h = call->size[2], w = call->size[3], r = call->size[5],
           s = call->size[6];
    const float *x = call->operand[0], *filters = call->operand[1];
    volatile float sum = 0, product;
    for (size_t i = 0; i < channels * r * s; i++) {
        size_t c = i / (r * s);
        double y = (double)p * call->attribute[0] + (double)(i / s % r) * call->attribute[2] -
                   call->attribute[1],
               z = (double)q * call->attribute[0] + (double)(i % s) * call->attribute[2] -
                   call->attribute[1];
        if (y < 0 || z < 0 || y >= (double)h || z >= (double)w)
            continue;
        product = x[((n * channels + c) * h + (size_t)y) * w + (size_t)z] *
                  filters[k * channels * r * s + i];
        sum = sum + product;
    }
    return sum;
}

START_TEST(a_convolution_has_the_bits_of_the_naive_loop)
{
    for (size_t i = 0; i < CONVOLUTIONS; i++) {
        struct sb_problem problem;
        make("conv2d", SB_DTYPE_F32, convolutions[i].shape, convolutions[i].attributes, &problem);
        run(&problem, 3);
        const float *y = problem.call.operand[2];
        size_t filters = problem.call.size[4], p = problem.call.size[7], q = problem.call.size[8];
        for (size_t e = 0; e < sb_call_elements(&problem.call, 2); e += 13) {
            float wanted = naive(&problem.call, e / (filters * p * q), e / (p * q) % filters,
                                 e / q % p, e % q);
            ck_assert_mem_eq(&y[e], &wanted, sizeof wanted);
        }
        sb_problem_clear(&problem);
    }
}
END_TEST

START_TEST(pools_agree_with_their_oracles_at_every_thread_count)
{
    static const char *const names[] = {"max_pool", "max_pool_gradient", "average_pool",
                                        "average_pool_gradient"};
    static const struct {
        size_t shape[6];
        double attributes[3];
    } pools[] = {{{4, 20, 23, 22, 3, 3}, {2, 1, 0}}, {{4, 20, 23, 22, 3, 3}, {1, 2, 1}},
                 {{2, 3, 9, 8, 2, 2}, {2, 0, 0}},    {{2, 3, 9, 8, 2, 4}, {3, 1, 1}},
                 {{1, 1, 4, 4, 4, 4}, {1, 3, 0}},    {{1, 2, 1, 1, 1, 1}, {1, 0, 0}}};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++) {
        for (size_t o = 0; o < 4; o++) {
            check(names[o], SB_DTYPE_F32, pools[i].shape, pools[i].attributes);
            check(names[o], SB_DTYPE_F64, pools[i].shape, pools[i].attributes);
        }
    }
}
END_TEST

/* A 3 × 3 image of sevens, windows of 2 × 2, one apart: every window has four largest. */
START_TEST(of_equal_elements_the_first_in_the_window_takes_the_gradient)
{
    static const size_t shape[] = {1, 1, 3, 3, 2, 2};
    static const double bare[] = {1, 0}, padded[] = {1, 1};
    static const float in_place[] = {1, 2, 0, 3, 4, 0, 0, 0, 0},
                       by_padding[] = {1 + 2 + 5 + 6, 3 + 7, 4 + 8, 9 + 10, 11, 12,
                                       13 + 14,       15,    16};
    for (int i = 0; i < 2; i++) {
        struct sb_problem problem;
        make("max_pool_gradient", SB_DTYPE_F32, shape, i ? padded : bare, &problem);
        for (int e = 0; e < 9; e++)
            ((float *)problem.call.operand[0])[e] = 7;
        for (size_t e = 0; e < sb_call_elements(&problem.call, 2); e++)
            ((float *)problem.call.operand[2])[e] = (float)(e + 1);
        ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
        run(&problem, 1);
        ck_assert_mem_eq(problem.call.operand[3], i ? by_padding : in_place, sizeof in_place);
        ck_assert(sb_problem_error(&problem) == 0);
        sb_problem_clear(&problem);
    }
}
END_TEST

START_TEST(a_nan_is_the_largest)
{
    static const size_t shape[] = {1, 1, 3, 3, 2, 2};
    static const double bare[] = {1, 0};
    struct sb_problem problem;
    make("max_pool", SB_DTYPE_F64, shape, bare, &problem);
    double *x = problem.call.operand[0], *y = problem.call.operand[1];
    for (int i = 0; i < 9; i++)
        x[i] = i;
    x[4] = (double)NAN;
    ck_assert_int_eq(sb_problem_expect(&problem, NULL), 0);
    run(&problem, 1);
    for (int i = 0; i < 4; i++)
        ck_assert(isnan(y[i]));
    ck_assert(sb_problem_error(&problem) == 0);
    x[4] = -1;
    run(&problem, 1);
    ck_assert(y[0] == 3 && y[1] == 5 && y[2] == 7 && y[3] == 8);
    sb_problem_clear(&problem);
}
END_TEST

/* The corner window of 2 × 2 has one element of the image; dividing by four or by one. */
START_TEST(a_mean_is_over_the_padding_too_if_asked)
{
    static const size_t shape[] = {1, 1, 2, 2, 2, 2};
    for (int included = 0; included < 2; included++) {
        const double attributes[] = {1, 1, included};
        struct sb_problem problem;
        make("average_pool", SB_DTYPE_F64, shape, attributes, &problem);
        double *x = problem.call.operand[0], *y = problem.call.operand[1];
        for (int i = 0; i < 4; i++)
            x[i] = 4 + 4 * i;
        run(&problem, 1);
        ck_assert_uint_eq(problem.call.size[6], 3);
        ck_assert(y[0] == (included ? 1 : 4) && y[1] == (included ? 3 : 6) && y[4] == 10);
        sb_problem_clear(&problem);
    }
}
END_TEST

START_TEST(windows_that_do_not_fit_are_refused)
{
    static const struct {
        const char *name;
        size_t shape[7];
        double attributes[3];
        const char *why;
    } wrong[] = {
        {"conv2d", {1, 1, 5, 5, 1, 6, 1}, {1, 0, 1}, "a window of 6 is larger than h, 5"},
        {"conv2d", {1, 1, 5, 5, 1, 1, 3}, {1, 0, 3}, "a window of 7 is larger than w, 5"},
        {"conv2d_gradient_data", {1, 1, 5, 5, 1, 2, 2}, {1.5, 0, 1}, "stride is 1.5"},
        {"conv2d_gradient_filter", {1, 1, 5, 5, 1, 2, 2}, {1, 0, 0}, "dilation is 0"},
        {"max_pool", {1, 1, 5, 5, 3, 2}, {1, 2}, "a padding of 2 is not less than the window"},
        {"average_pool", {1, 1, 5, 5, 2, 2}, {0, 0}, "stride is 0"},
        {"average_pool_gradient", {1, 1, 5, 5, 6, 2}, {1, 0}, "a window of 6 is larger than h"},
        {"max_pool_gradient", {1, 1, 5, 5, 2, 2}, {1, -1}, "padding is -1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct sb_problem problem;
        struct sb_error err = {0};
        ck_assert_int_eq(try_make(wrong[i].name, SB_DTYPE_F32, wrong[i].shape, wrong[i].attributes,
                                  &problem, &err),
                         -EINVAL);
        ck_assert_msg(strstr(err.text, wrong[i].why) != NULL, "%s", err.text);
    }
}
END_TEST

SB_TEST_MAIN("kernels-windows", convolutions_agree_with_their_oracles_at_every_thread_count,
             gradients_of_convolutions_are_their_adjoints,
             a_convolution_has_the_bits_of_the_naive_loop,
             pools_agree_with_their_oracles_at_every_thread_count,
             of_equal_elements_the_first_in_the_window_takes_the_gradient, a_nan_is_the_largest,
             a_mean_is_over_the_padding_too_if_asked, windows_that_do_not_fit_are_refused)
