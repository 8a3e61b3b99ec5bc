/* compare: the shape of a difference, and permutations. Each shape is planted and found. */
#include "compare/tests/slow.h"
#include "tests/testing.h"

#include <samebits/compare.h>

enum { N = 4096 };

static struct sb_tensor_difference compare(struct sb_tensor_info *info, const void *a,
                                           const void *b) {
    const struct sb_tolerance defaults = {-1, -1, -1};
    struct sb_tensor_difference difference;
    info->n_elements = 1;
    for (unsigned i = 0; i < info->rank; i++)
        info->n_elements *= info->dims[i];
    sb_compare_elements(info, a, b, &defaults, &difference);
    return difference;
}

static struct sb_tensor_difference compare_f32(const float *a, const float *b, uint64_t n) {
    struct sb_tensor_info info = {.dtype = SB_DTYPE_F32, .rank = 1, .dims = {n}};
    return compare(&info, a, b);
}

#define assert_is(difference, grade_, shape_)                                                      \
    do {                                                                                           \
        struct sb_tensor_difference difference_ = (difference);                                    \
        ck_assert_str_eq(sb_grade_names[difference_.grade], sb_grade_names[grade_]);               \
        ck_assert_str_eq(sb_shape_names[difference_.shape], sb_shape_names[shape_]);               \
    } while (0)

/* Weights of the usual kind, and a copy. */
static void fill(float *a, float *b, uint64_t n, uint64_t seed) {
    for (uint64_t i = 0; i < n; i++)
        a[i] = b[i] = (float)(next_uniform(&seed) + next_uniform(&seed));
}

static float steps(float value, int n) {
    for (; n; n += n < 0 ? 1 : -1)
        value = nextafterf(value, n < 0 ? -INFINITY : INFINITY);
    return value;
}

START_TEST(scattered_ulps_are_rounding)
{
    static float a[N], b[N];
    uint64_t random = 5;
    fill(a, b, N, 1);
    for (int i = 0; i < N; i++)
        b[i] = steps(b[i], (int)(next_random(&random) % 5) - 2);
    assert_is(compare_f32(a, b, N), SB_GRADE_ROUNDING, SB_SHAPE_ROUNDING);
    /* beyond the tolerance, and still a few ULP */
    for (int i = 0; i < N; i++)
        a[i] *= 100, b[i] = steps(a[i], (int)(next_random(&random) % 31) - 15);
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_ROUNDING);
}
END_TEST

START_TEST(cancelled_sums_are_rounding_of_their_terms)
{
    static float a[N], b[N];
    fill(a, b, N, 2);
    for (int i = 0; i < N; i++) {
        a[i] *= 1000;
        b[i] = a[i] + 0.0005f * (i % 3 - 1);
    }
    a[7] = 1e-5f, b[7] = 1e-4f; /* 28 million ULP */
    struct sb_tensor_difference difference = compare_f32(a, b, N);
    ck_assert(difference.max_ulp > 1e6);
    assert_is(difference, SB_GRADE_DIVERGENT, SB_SHAPE_ROUNDING);
}
END_TEST

START_TEST(signs_of_zero_and_payloads_are_told_apart_from_values)
{
    static float a[N], b[N];
    fill(a, b, N, 3);
    a[5] = 0.0f, b[5] = -0.0f;
    assert_is(compare_f32(a, b, N), SB_GRADE_ROUNDING, SB_SHAPE_SIGN);
    uint32_t nan[2] = {0x7fc00000, 0x7fc00123};
    memcpy(&a[9], &nan[0], 4);
    memcpy(&b[9], &nan[1], 4);
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_SIGN);
    b[10] = a[10] + 1;
    ck_assert_int_ne(compare_f32(a, b, N).shape, SB_SHAPE_SIGN);
}
END_TEST

START_TEST(one_factor_is_found)
{
    static float a[N], b[N];
    fill(a, b, N, 4);
    for (int i = 0; i < N; i++)
        a[i] = b[i] * 0.9f;
    a[3] = b[3] = 0; /* zeros have any factor */
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
    for (int i = 0; i < N; i++)
        a[i] = b[i] * -1024;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
    a[100] = b[100]; /* one that does not follow */
    ck_assert_int_ne(compare_f32(a, b, N).shape, SB_SHAPE_SCALE);
    a[100] = b[100] * -1020;
    ck_assert_int_ne(compare_f32(a, b, N).shape, SB_SHAPE_SCALE);
}
END_TEST

START_TEST(one_factor_is_found_among_zeros_and_in_integers)
{
    static float a[N], b[N];
    static int32_t c[N], d[N];
    for (int i = 0; i < N; i++) {
        b[i] = i < N / 2 ? 0 : (float)i; /* whole blocks of zeros */
        a[i] = 3 * b[i];
        d[i] = i - 7;
        c[i] = 3 * d[i];
    }
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
    struct sb_tensor_info info = {.dtype = SB_DTYPE_I32, .rank = 1, .dims = {N}};
    assert_is(compare(&info, c, d), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
}
END_TEST

START_TEST(one_offset_is_found)
{
    static float a[N], b[N];
    fill(a, b, N, 5);
    for (int i = 0; i < N; i++)
        a[i] = b[i] + 0.125f;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
    a[N - 1] = b[N - 1];
    ck_assert_int_ne(compare_f32(a, b, N).shape, SB_SHAPE_SCALE);
    a[N - 1] = b[N - 1] + 0.1251f;
    ck_assert_int_ne(compare_f32(a, b, N).shape, SB_SHAPE_SCALE);
    static uint64_t c[300], d[300];
    for (int i = 0; i < 300; i++)
        c[i] = (d[i] = (uint64_t)i * i) + 1000;
    struct sb_tensor_info info = {.dtype = SB_DTYPE_U64, .rank = 1, .dims = {300}};
    assert_is(compare(&info, c, d), SB_GRADE_DIVERGENT, SB_SHAPE_SCALE);
}
END_TEST

START_TEST(other_random_numbers_are_unrelated)
{
    static float a[N], b[N];
    const uint64_t sizes[] = {16, 32, 100, 1000, N};
    unsigned missed = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        fill(a, a, N, 2 * seed);
        fill(b, b, N, 2 * seed + 1);
        for (int i = 0; i < 5; i++) {
            struct sb_tensor_difference difference = compare_f32(a, b, sizes[i]);
            ck_assert_int_eq(difference.grade, SB_GRADE_DIVERGENT);
            missed += difference.shape != SB_SHAPE_UNRELATED;
        }
    }
    /* two standard deviations and a little more: 1 in 20 would be right by chance */
    ck_assert_msg(missed < 50, "%u of 1000", missed);
    for (int i = 0; i < N; i++) /* offsets and sizes do not relate numbers */
        a[i] = 1 + a[i] * 1e-3f, b[i] = 1 + b[i] * 1e-3f;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_UNRELATED);
}
END_TEST

START_TEST(a_grown_difference_is_related)
{
    static float a[N], b[N];
    uint64_t random = 9;
    fill(a, b, N, 6);
    for (int i = 0; i < N; i++)
        b[i] += 0.2f * (float)next_uniform(&random);
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
    for (uint64_t seed = 0; seed < 300; seed++) {
        fill(a, b, 20, seed);
        for (int i = 0; i < 20; i++)
            b[i] += 0.2f * (float)next_uniform(&random);
        assert_is(compare_f32(a, b, 20), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
    }
    /* most are the same: whatever stands in the rest, it is no other seed */
    fill(a, b, N, 7);
    for (int i = 0; i < N; i += 8)
        b[i] = (float)next_uniform(&random);
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
}
END_TEST

START_TEST(few_elements_are_no_evidence)
{
    const float a[3] = {1, 2, 0.5f}, b[3] = {3, -7, 0.1f};
    for (uint64_t n = 1; n <= 3; n++)
        assert_is(compare_f32(a, b, n), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
    const int64_t steps_a = 10, steps_b = 20;
    struct sb_tensor_info info = {.dtype = SB_DTYPE_I64};
    assert_is(compare(&info, &steps_a, &steps_b), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
}
END_TEST

START_TEST(nan_infinite_and_absurd_values_are_garbage)
{
    static float a[N], b[N];
    uint64_t random = 10;
    fill(a, b, N, 8);
    a[77] = NAN;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_GARBAGE);
    assert_is(compare_f32(b, a, N), SB_GRADE_DIVERGENT, SB_SHAPE_GARBAGE);
    a[77] = -INFINITY;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_GARBAGE);
    fill(a, b, N, 8);
    for (int i = 100; i < 200; i++) {
        uint32_t bits = (uint32_t)next_random(&random) & 0xbfffffff; /* finite */
        memcpy(&a[i], &bits, 4);
    }
    a[150] = 3e31f;
    assert_is(compare_f32(a, b, N), SB_GRADE_DIVERGENT, SB_SHAPE_GARBAGE);
    a[151] = b[150] = INFINITY, b[151] = -INFINITY, a[150] = NAN;
    ck_assert_int_eq(compare_f32(a + 150, b + 150, 2).shape, SB_SHAPE_GROWN); /* on both sides */
}
END_TEST

/* ---- Permutations ------------------------------------------------------------------------------
 */

enum { ROWS = 13, COLUMNS = 17, DEPTH = 11 };

static void shuffle(unsigned *order, unsigned n, uint64_t *random) {
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    for (unsigned i = n; i-- > 1;) {
        unsigned j = (unsigned)(next_random(random) % (i + 1)), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* b is a with its slices along one axis in another order. */
static void permute(size_t size, unsigned axis, const char *a, char *b, uint64_t *random) {
    const unsigned dims[3] = {ROWS, COLUMNS, DEPTH};
    unsigned order[COLUMNS];
    shuffle(order, dims[axis], random);
    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned j = 0; j < COLUMNS; j++) {
            for (unsigned k = 0; k < DEPTH; k++) {
                unsigned from[3] = {i, j, k};
                from[axis] = order[from[axis]];
                memcpy(b + ((i * COLUMNS + j) * DEPTH + k) * size,
                       a + ((from[0] * COLUMNS + from[1]) * DEPTH + from[2]) * size, size);
            }
        }
    }
}

START_TEST(a_permuted_axis_is_named)
{
    static char a[ROWS * COLUMNS * DEPTH * 16], b[sizeof a];
    uint64_t random = 11;
    const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_F64,  SB_DTYPE_BF16,   SB_DTYPE_U8,
                                    SB_DTYPE_I64, SB_DTYPE_C128, SB_DTYPE_F8_E4M3};
    for (unsigned i = 0; i < sizeof a; i++)
        a[i] = (char)(next_random(&random) & 0x3f);
    for (unsigned k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
        for (unsigned axis = 0; axis < 3; axis++) {
            struct sb_tensor_info info = {
                .dtype = dtypes[k], .rank = 3, .dims = {ROWS, COLUMNS, DEPTH}};
            permute(sb_dtype_size(dtypes[k]), axis, a, b, &random);
            struct sb_tensor_difference difference = compare(&info, a, b);
            assert_is(difference, SB_GRADE_PERMUTATION, SB_SHAPE_PERMUTATION);
            ck_assert_int_eq(difference.permuted_axis, (int)axis);
            b[0] ^= 1;
            difference = compare(&info, a, b);
            ck_assert_int_ne(difference.grade, SB_GRADE_PERMUTATION);
            ck_assert_int_eq(difference.permuted_axis, -1);
        }
    }
}
END_TEST

START_TEST(a_permutation_along_no_axis_is_one_still)
{
    static float a[N], b[N];
    unsigned order[N];
    uint64_t random = 12;
    fill(a, a, N, 12);
    shuffle(order, N, &random);
    for (int i = 0; i < N; i++)
        b[i] = a[order[i]];
    struct sb_tensor_info info = {.dtype = SB_DTYPE_F32, .rank = 2, .dims = {64, N / 64}};
    struct sb_tensor_difference difference = compare(&info, a, b);
    assert_is(difference, SB_GRADE_PERMUTATION, SB_SHAPE_PERMUTATION);
    ck_assert_int_eq(difference.permuted_axis, -1);
    info = (struct sb_tensor_info){.dtype = SB_DTYPE_F32, .rank = 3, .dims = {1, N, 1}};
    ck_assert_int_eq(compare(&info, a, b).permuted_axis, 1); /* the only axis there is */
}
END_TEST

START_TEST(two_swapped_elements_are_a_permutation_and_one_changed_is_none)
{
    float a[2] = {1, 2}, b[2] = {2, 1};
    assert_is(compare_f32(a, b, 2), SB_GRADE_PERMUTATION, SB_SHAPE_PERMUTATION);
    b[0] = 2, b[1] = 2;
    assert_is(compare_f32(a, b, 2), SB_GRADE_DIVERGENT, SB_SHAPE_GROWN);
    ck_assert_int_ne(compare_f32(a, b, 1).grade, SB_GRADE_PERMUTATION);
    a[0] = 0.0f, b[0] = -0.0f, b[1] = 3; /* zeros must not vanish from the sums */
    ck_assert_int_ne(compare_f32(a, b, 2).grade, SB_GRADE_PERMUTATION);
}
END_TEST

START_TEST(other_multiplicities_are_no_permutation)
{
    /* the same sum and the same set of values, but not as often */
    uint8_t a[4] = {1, 2, 2, 3}, b[4] = {3, 1, 3, 1};
    struct sb_tensor_info info = {.dtype = SB_DTYPE_U8, .rank = 1, .dims = {4}};
    ck_assert_int_eq(compare(&info, a, b).grade, SB_GRADE_DIVERGENT);
}
END_TEST

START_TEST(a_permutation_within_the_tolerance_is_rounding)
{
    const float a[2] = {1, 1.0000001f}, b[2] = {1.0000001f, 1};
    assert_is(compare_f32(a, b, 2), SB_GRADE_ROUNDING, SB_SHAPE_ROUNDING);
}
END_TEST

/* Sums that cancel, or a seed's: at that size nobody can tell. */
START_TEST(many_ulp_within_the_tolerance_are_not_called_the_order_of_a_reduction)
{
    static float a[N], b[N];
    uint64_t random = 8;
    for (int i = 0; i < N; i++)
        a[i] = (float)next_uniform(&random) * 1e-7F, b[i] = (float)next_uniform(&random) * 1e-7F;
    struct sb_tensor_difference difference = compare_f32(a, b, N);
    assert_is(difference, SB_GRADE_ROUNDING, SB_SHAPE_ROUNDING);
    const char *text = sb_shape_text(difference.shape, difference.grade, difference.max_ulp);
    ck_assert_ptr_nonnull(strstr(text, "many ulp"));
    text = sb_shape_text(SB_SHAPE_ROUNDING, SB_GRADE_ROUNDING, 3);
    ck_assert_ptr_nonnull(strstr(text, "order of a reduction"));
}
END_TEST

START_TEST(every_grade_and_shape_has_a_name)
{
    for (int grade = SB_GRADE_IDENTICAL; grade <= SB_GRADE_DIVERGENT; grade++)
        ck_assert_ptr_nonnull(sb_grade_names[grade]);
    for (int shape = SB_SHAPE_NONE; shape <= SB_SHAPE_GROWN; shape++) {
        ck_assert_ptr_nonnull(sb_shape_names[shape]);
        ck_assert_ptr_nonnull(sb_shape_text(shape, SB_GRADE_DIVERGENT, 1));
    }
}
END_TEST

SB_TEST_MAIN("compare-shapes", scattered_ulps_are_rounding,
             cancelled_sums_are_rounding_of_their_terms,
             signs_of_zero_and_payloads_are_told_apart_from_values, one_factor_is_found,
             one_factor_is_found_among_zeros_and_in_integers, one_offset_is_found,
             other_random_numbers_are_unrelated, a_grown_difference_is_related,
             few_elements_are_no_evidence, nan_infinite_and_absurd_values_are_garbage,
             a_permuted_axis_is_named, a_permutation_along_no_axis_is_one_still,
             two_swapped_elements_are_a_permutation_and_one_changed_is_none,
             other_multiplicities_are_no_permutation,
             a_permutation_within_the_tolerance_is_rounding,
             many_ulp_within_the_tolerance_are_not_called_the_order_of_a_reduction,
             every_grade_and_shape_has_a_name)
