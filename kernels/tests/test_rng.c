/* kernels, train: random numbers. */
#include "kernels/train/rng.h"
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Random123, tests/kat_vectors (https://github.com/DEShawResearch/random123): counter, key, result.
 */
START_TEST(philox_gives_the_published_answers)
{
    static const uint32_t vectors[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        sb_philox(vectors[i], vectors[i] + 4, out);
        ck_assert_mem_eq(out, vectors[i] + 6, sizeof out);
    }
}
END_TEST

START_TEST(a_stream_is_philox_by_position)
{
    struct sb_stream stream = sb_stream_make(0x299f31d0a4093822, 0x0370734413198a2e);
    stream.position = 0x85a308d3243f6a88;
    ck_assert_uint_eq(sb_stream_u32(&stream), 0xd16cfe09);
    ck_assert_uint_eq(sb_stream_u32(&stream), 0x94fdcceb);
}
END_TEST

static uint64_t first(struct sb_seeds *seeds, const uint64_t *operation) {
    struct sb_stream stream;
    ck_assert_int_eq(sb_seeds_stream(seeds, operation, &stream, NULL), 0);
    return sb_stream_u64(&stream);
}

START_TEST(the_same_pair_is_the_same_stream_wherever_it_is_made)
{
    struct sb_seeds a = {.given = true, .global = 42}, b = {.given = true, .global = 42};
    const uint64_t operation = 7;
    first(&b, NULL);
    first(&b, &(uint64_t){8});
    ck_assert_uint_eq(first(&a, &operation), first(&b, &operation));
    ck_assert_uint_eq(first(&a, &operation), first(&a, &operation));
}
END_TEST

START_TEST(another_global_or_operation_seed_is_another_stream)
{
    struct sb_seeds a = {.given = true, .global = 42}, b = {.given = true, .global = 43};
    ck_assert_uint_ne(first(&a, &(uint64_t){7}), first(&b, &(uint64_t){7}));
    ck_assert_uint_ne(first(&a, &(uint64_t){7}), first(&a, &(uint64_t){8}));
    /* No pair is confused with its mirror, or with another of the same sum. */
    struct sb_seeds seven = {.given = true, .global = 7};
    ck_assert_uint_ne(first(&a, &(uint64_t){7}), first(&seven, &(uint64_t){42}));
    ck_assert_uint_ne(first(&a, &(uint64_t){8}), first(&b, &(uint64_t){7}));
}
END_TEST

START_TEST(a_global_seed_alone_numbers_its_streams)
{
    struct sb_seeds a = {.given = true, .global = 42}, again = {.given = true, .global = 42};
    uint64_t one = first(&a, NULL), two = first(&a, NULL);
    ck_assert_uint_ne(one, two);
    ck_assert_uint_eq(first(&again, NULL), one);
    ck_assert_uint_eq(first(&again, NULL), two);
    for (uint64_t operation = 0; operation < 100; operation++)
        ck_assert_uint_ne(first(&a, &operation), one);
}
END_TEST

START_TEST(an_operation_seed_alone_meets_the_default_global_seed)
{
    struct sb_seeds none = {0}, standard = {.given = true, .global = SB_DEFAULT_GLOBAL_SEED};
    ck_assert_uint_eq(first(&none, &(uint64_t){5}), first(&none, &(uint64_t){5}));
    ck_assert_uint_eq(first(&none, &(uint64_t){5}), first(&standard, &(uint64_t){5}));
}
END_TEST

START_TEST(without_seeds_no_two_streams_agree)
{
    struct sb_seeds none = {0};
    uint64_t one = first(&none, NULL), two = first(&none, NULL);
    ck_assert_uint_ne(one, two);
}
END_TEST

START_TEST(uniform_numbers_fill_their_interval)
{
    enum { N = 100000 };
    float *numbers = malloc(N * sizeof *numbers);
    struct sb_stream stream = sb_stream_make(1, 2);
    sb_stream_fill_uniform(&stream, -2, 6, numbers, N);
    double sum = 0, squares = 0;
    unsigned tenth[10] = {0};
    for (int i = 0; i < N; i++) {
        ck_assert(numbers[i] >= -2 && numbers[i] < 6);
        sum += numbers[i];
        squares += (double)numbers[i] * numbers[i];
        tenth[(int)((numbers[i] + 2) / 0.8)]++;
    }
    /* Five standard deviations. */
    ck_assert_double_eq_tol(sum / N, 2, 5 * 8 / sqrt(12.0 * N));
    ck_assert_double_eq_tol(squares / N - 4, 64 / 12.0, 0.2);
    for (int i = 0; i < 10; i++)
        ck_assert_double_eq_tol(tenth[i], N / 10.0, 5 * sqrt(N * 0.09));
    free(numbers);
}
END_TEST

START_TEST(normal_numbers_have_the_moments_and_tails_of_one)
{
    enum { N = 200000 };
    struct sb_stream stream = sb_stream_make(3, 4);
    double sum[5] = {0};
    int beyond_two = 0;
    for (int i = 0; i < N; i++) {
        double x = sb_stream_normal(&stream);
        for (int power = 1; power <= 4; power++)
            sum[power] += pow(x, power) / N;
        beyond_two += fabs(x) > 2;
    }
    ck_assert_double_eq_tol(sum[1], 0, 5 / sqrt(N));
    ck_assert_double_eq_tol(sum[2], 1, 5 * sqrt(2.0 / N));
    ck_assert_double_eq_tol(sum[3], 0, 5 * sqrt(15.0 / N));
    ck_assert_double_eq_tol(sum[4], 3, 5 * sqrt(96.0 / N));
    ck_assert_double_eq_tol(beyond_two / (double)N, 0.0455, 0.0025);
}
END_TEST

START_TEST(bounded_numbers_are_unbiased)
{
    struct sb_stream stream = sb_stream_make(5, 6);
    unsigned count[3] = {0};
    for (int i = 0; i < 30000; i++)
        count[sb_stream_below(&stream, 3)]++;
    for (int i = 0; i < 3; i++)
        ck_assert_double_eq_tol(count[i], 10000, 5 * sqrt(30000 * 2.0 / 9));
    /* 3·2^62: a plain remainder would give numbers below 2^62 twice as often as the others. */
    uint64_t bound = UINT64_C(3) << 62;
    unsigned low = 0;
    for (int i = 0; i < 30000; i++)
        low += sb_stream_below(&stream, bound) < bound / 3;
    ck_assert_double_eq_tol(low, 10000, 5 * sqrt(30000 * 2.0 / 9));
    ck_assert_uint_eq(sb_stream_below(&stream, 1), 0);
}
END_TEST

SB_TEST_MAIN("kernels-rng", philox_gives_the_published_answers, a_stream_is_philox_by_position,
             the_same_pair_is_the_same_stream_wherever_it_is_made,
             another_global_or_operation_seed_is_another_stream,
             a_global_seed_alone_numbers_its_streams,
             an_operation_seed_alone_meets_the_default_global_seed,
             without_seeds_no_two_streams_agree, uniform_numbers_fill_their_interval,
             normal_numbers_have_the_moments_and_tails_of_one, bounded_numbers_are_unbiased)
