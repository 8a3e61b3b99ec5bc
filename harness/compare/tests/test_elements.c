/* compare: distances, tolerances and counts, element by element. */
#include "compare/tally.h"
#include "compare/tests/slow.h"
#include "tests/testing.h"

#include <samebits/compare.h>

static const struct sb_tolerance defaults = {-1, -1, -1};

static struct sb_tensor_info info_of(enum sb_dtype dtype, uint64_t n) {
    return (struct sb_tensor_info){
        .name = (char *)"t", .dtype = dtype, .rank = 1, .dims = {n}, .n_elements = n};
}

static struct sb_tensor_difference compare(enum sb_dtype dtype, const void *a, const void *b,
                                           uint64_t n, struct sb_tolerance tolerance) {
    struct sb_tensor_info info = info_of(dtype, n);
    struct sb_tensor_difference difference;
    sb_compare_elements(&info, a, b, &tolerance, &difference);
    return difference;
}

/* ---- Distance ----------------------------------------------------------------------------------
 */

static double ulp_bits(enum sb_dtype dtype, uint64_t a, uint64_t b) {
    double there = sb_ulp_distance(dtype, &a, &b), back = sb_ulp_distance(dtype, &b, &a);
    ck_assert(there == back);
    return there;
}

START_TEST(neighbours_are_one_ulp_apart_at_the_extremes)
{
    const struct {
        enum sb_dtype dtype;
        uint64_t a, b;
        double ulp;
    } known[] = {
        {SB_DTYPE_F32, 0x3f800000, 0x3f800001, 1},
        {SB_DTYPE_F32, 0x3f800000, 0x3f7fffff, 1}, /* across a power of two */
        {SB_DTYPE_F32, 0x00000000, 0x80000000, 1}, /* +0 and -0 */
        {SB_DTYPE_F32, 0x00000001, 0x80000001, 3},
        {SB_DTYPE_F32, 0x007fffff, 0x00800000, 1}, /* largest subnormal, smallest normal */
        {SB_DTYPE_F32, 0x7f7fffff, 0xff7fffff, 4278190079.0},
        {SB_DTYPE_F32, 0x7f7fffff, 0x7f800000, INFINITY}, /* largest number and infinity */
        {SB_DTYPE_F32, 0x7f800000, 0xff800000, INFINITY},
        {SB_DTYPE_F32, 0x7f800000, 0x7f800000, 0},
        {SB_DTYPE_F32, 0x7fc00000, 0x3f800000, INFINITY},
        {SB_DTYPE_F32, 0x7fc00000, 0x7f800000, INFINITY},
        {SB_DTYPE_F32, 0x7fc00000, 0x7fc00000, 0},
        {SB_DTYPE_F32, 0x7fc00000, 0x7fc00005, 5}, /* NaN payloads */
        {SB_DTYPE_F64, 0x3ff0000000000000, 0x3ff0000000000001, 1},
        {SB_DTYPE_F64, 0x0000000000000000, 0x8000000000000000, 1},
        {SB_DTYPE_F64, 0x7fefffffffffffff, 0xffefffffffffffff, 0x1.ffcp63},
        {SB_DTYPE_F64, 0x7fefffffffffffff, 0x7ff0000000000000, INFINITY},
        {SB_DTYPE_F64, 0x7ff8000000000000, 0x7ff8000000000001, 1},
        {SB_DTYPE_BF16, 0x3f80, 0x3f81, 1},
        {SB_DTYPE_BF16, 0x7f7f, 0x7f80, INFINITY},
        {SB_DTYPE_BF16, 0x7fc0, 0x7f80, INFINITY},
        {SB_DTYPE_F8_E4M3, 0x7e, 0xfe, 253}, /* 448 and -448: there is no infinity */
        {SB_DTYPE_F8_E4M3, 0x7e, 0x7f, INFINITY},
        {SB_DTYPE_F8_E4M3, 0x78, 0x77, 1}, /* 256 and 240 */
        {SB_DTYPE_F8_E5M2, 0x7b, 0x7c, INFINITY},
        {SB_DTYPE_I8, 0x80, 0x7f, 255},
        {SB_DTYPE_U8, 0x00, 0xff, 255},
        {SB_DTYPE_I16, 0xffff, 0x0001, 2},
        {SB_DTYPE_I32, 0x80000000, 0x7fffffff, 4294967295.0},
        {SB_DTYPE_I64, 0x8000000000000000, 0x7fffffffffffffff, 0x1p64},
        {SB_DTYPE_U64, 0, 0xffffffffffffffff, 0x1p64},
        {SB_DTYPE_U64, 0xfffffffffffffffe, 0xffffffffffffffff, 1},
        {SB_DTYPE_BOOL, 0, 1, 1},
        {SB_DTYPE_BOOL, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ck_assert_msg(ulp_bits(known[i].dtype, known[i].a, known[i].b) == known[i].ulp,
                      "%s %lx %lx: %g", sb_dtype_names[known[i].dtype], (long)known[i].a,
                      (long)known[i].b, ulp_bits(known[i].dtype, known[i].a, known[i].b));
}
END_TEST

START_TEST(a_complex_distance_is_the_larger_of_its_parts)
{
    float a[2] = {1, 1}, b[2] = {nextafterf(1, 2), 1};
    ck_assert(sb_ulp_distance(SB_DTYPE_C64, a, b) == 1);
    b[1] = nextafterf(nextafterf(1, 0), 0);
    ck_assert(sb_ulp_distance(SB_DTYPE_C64, a, b) == 2);
    b[1] = NAN;
    ck_assert(isinf(sb_ulp_distance(SB_DTYPE_C64, a, b)));
    double c[2] = {0.0, 3}, d[2] = {-0.0, 3};
    ck_assert(sb_ulp_distance(SB_DTYPE_C128, c, d) == 1);
}
END_TEST

struct ranked {
    double value;
    bool negative;
    uint16_t bits;
};

static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (int)y->negative - (int)x->negative; /* -0 before +0 */
}

/* The slow definition: how many numbers of the type lie between. */
static void check_by_ranks(enum sb_dtype dtype, unsigned n_bits, unsigned step) {
    enum { MOST = 1 << 16 };
    static struct ranked numbers[MOST];
    static int32_t rank[MOST];
    unsigned n = 0, all = 1u << n_bits;
    for (unsigned bits = 0; bits < all; bits++) {
        double value = sb_element_double(dtype, &(uint16_t){(uint16_t)bits});
        rank[bits] = -1;
        if (isfinite(value))
            numbers[n++] = (struct ranked){value, bits >> (n_bits - 1), (uint16_t)bits};
    }
    qsort(numbers, n, sizeof *numbers, by_rank);
    for (unsigned i = 0; i < n; i++)
        rank[numbers[i].bits] = (int32_t)i;
    for (unsigned a = 0; a < all; a++) {
        for (unsigned b = a % step; b < all; b += step) {
            double value_a = sb_element_double(dtype, &(uint16_t){(uint16_t)a});
            double value_b = sb_element_double(dtype, &(uint16_t){(uint16_t)b});
            double want = abs(rank[a] - rank[b]);
            if (a == b)
                want = 0;
            else if (isnan(value_a) && isnan(value_b))
                continue;
            else if (rank[a] < 0 || rank[b] < 0)
                want = INFINITY;
            double got = sb_ulp_distance(dtype, &(uint16_t){(uint16_t)a}, &(uint16_t){(uint16_t)b});
            if (got != want)
                ck_abort_msg("%s %x %x: %g, not %g", sb_dtype_names[dtype], a, b, got, want);
        }
    }
}

START_TEST(distances_count_the_numbers_between)
{
    check_by_ranks(SB_DTYPE_F8_E4M3, 8, 1);
    check_by_ranks(SB_DTYPE_F8_E5M2, 8, 1);
    check_by_ranks(SB_DTYPE_F16, 16, 1009);
    check_by_ranks(SB_DTYPE_BF16, 16, 1009);
}
END_TEST

/* Every number of the type against its neighbour, through the block loops. */
START_TEST(blocks_measure_every_half_precision_number_as_single_elements)
{
    const enum sb_dtype dtypes[] = {SB_DTYPE_F16, SB_DTYPE_BF16};
    static uint16_t a[1 << 16], b[1 << 16];
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned shift = 1; shift < 40000; shift += 7919) {
            for (unsigned i = 0; i < 1 << 16; i++) {
                a[i] = (uint16_t)i;
                b[i] = (uint16_t)(i + shift);
            }
            for (unsigned i = 0; i < 1 << 16; i++) {
                struct sb_tensor_difference one = compare(dtypes[k], &a[i], &b[i], 1, defaults);
                double ulp = sb_ulp_distance(dtypes[k], &a[i], &b[i]);
                double gap = slow_gap(dtypes[k], &a[i], &b[i]);
                ck_assert_msg(one.max_ulp == ulp && one.max_abs == gap, "%s %x: %g %g",
                              sb_dtype_names[dtypes[k]], i, one.max_ulp, one.max_abs);
            }
        }
    }
}
END_TEST

/* ---- Counts ------------------------------------------------------------------------------------
 */

START_TEST(equal_tensors_are_identical)
{
    float a[1000];
    for (int i = 0; i < 1000; i++)
        a[i] = i % 7 ? (float)i : NAN; /* the same NaN is the same */
    struct sb_tensor_difference same = compare(SB_DTYPE_F32, a, a, 1000, defaults);
    ck_assert_int_eq(same.state, SB_TENSOR_SAME);
    ck_assert_int_eq(same.grade, SB_GRADE_IDENTICAL);
    ck_assert_int_eq(same.shape, SB_SHAPE_NONE);
    ck_assert_uint_eq(same.n_different, 0);
    ck_assert_uint_eq(same.ulp_histogram[0], 1000);
    ck_assert(same.within && same.share == 0 && same.max_ulp == 0);
}
END_TEST

START_TEST(tensors_without_elements_are_identical)
{
    struct sb_tensor_info info = {.dtype = SB_DTYPE_F32, .rank = 2, .dims = {0, 3}};
    struct sb_tensor_difference same;
    sb_compare_elements(&info, NULL, NULL, &defaults, &same);
    ck_assert_int_eq(same.state, SB_TENSOR_SAME);
    ck_assert(same.share == 0);
}
END_TEST

START_TEST(indices_are_those_of_the_shape)
{
    struct sb_tensor_info info = {
        .dtype = SB_DTYPE_F64, .rank = 3, .dims = {5, 7, 11}, .n_elements = 385};
    double a[385], b[385];
    for (int i = 0; i < 385; i++)
        a[i] = b[i] = i;
    b[1 * 77 + 2 * 11 + 3] += 1;
    b[4 * 77 + 6 * 11 + 10] += 5;
    struct sb_tensor_difference difference;
    sb_compare_elements(&info, a, b, &defaults, &difference);
    ck_assert_uint_eq(difference.n_different, 2);
    ck_assert_uint_eq(difference.first[0], 1);
    ck_assert_uint_eq(difference.first[1], 2);
    ck_assert_uint_eq(difference.first[2], 3);
    ck_assert_uint_eq(difference.worst[0], 4);
    ck_assert_uint_eq(difference.worst[1], 6);
    ck_assert_uint_eq(difference.worst[2], 10);
    ck_assert(difference.max_abs == 5 && difference.share == 2.0 / 385);
}
END_TEST

START_TEST(the_histogram_counts_by_powers_of_two)
{
    float a[8], b[8];
    const uint32_t ulps[8] = {0, 1, 2, 3, 4, 7, 8, 1 << 20};
    for (int i = 0; i < 8; i++) {
        uint32_t bits;
        a[i] = 1;
        memcpy(&bits, &a[i], 4);
        bits += ulps[i];
        memcpy(&b[i], &bits, 4);
    }
    struct sb_tensor_difference difference = compare(SB_DTYPE_F32, a, b, 8, defaults);
    const uint64_t want[] = {1, 1, 2, 2, 1};
    for (int i = 0; i < 5; i++)
        ck_assert_uint_eq(difference.ulp_histogram[i], want[i]);
    ck_assert_uint_eq(difference.ulp_histogram[21], 1);
    ck_assert(difference.max_ulp == 1 << 20);
}
END_TEST

START_TEST(sixty_four_bit_integers_keep_their_last_digits)
{
    int64_t a[2] = {INT64_MAX, INT64_MIN}, b[2] = {INT64_MAX - 1, INT64_MIN};
    struct sb_tensor_difference difference = compare(SB_DTYPE_I64, a, b, 2, defaults);
    ck_assert(difference.max_abs == 1 && difference.max_ulp == 1 && !difference.within);
    ck_assert_uint_eq(difference.n_different, 1);
}
END_TEST

START_TEST(relative_differences_are_infinite_against_zero)
{
    double a[2] = {1e-300, -0.0}, b[2] = {0, 0.0};
    ck_assert(isinf(compare(SB_DTYPE_F64, a, b, 2, defaults).max_rel));
    ck_assert(compare(SB_DTYPE_F64, a + 1, b + 1, 1, defaults).max_rel == 0);
}
END_TEST

START_TEST(what_is_not_finite_is_infinitely_far)
{
    float a[600], b[600];
    for (int i = 0; i < 600; i++)
        a[i] = b[i] = 1;
    b[10] = 2;
    a[300] = NAN;
    b[599] = INFINITY;
    struct sb_tensor_difference difference = compare(SB_DTYPE_F32, a, b, 600, defaults);
    ck_assert(isinf(difference.max_abs) && isinf(difference.max_rel) && isinf(difference.max_ulp));
    ck_assert_uint_eq(difference.first[0], 10);
    ck_assert_uint_eq(difference.worst[0], 300);
    ck_assert_uint_eq(difference.n_different, 3);
    ck_assert_uint_eq(difference.ulp_histogram[64], 2);
}
END_TEST

/* ---- Tolerance ---------------------------------------------------------------------------------
 */

static bool within(double a, double b, double rtol, double atol) {
    struct sb_tensor_difference difference =
        compare(SB_DTYPE_F64, &a, &b, 1, (struct sb_tolerance){rtol, atol, -1});
    ck_assert_int_eq(difference.grade == SB_GRADE_ROUNDING, difference.within);
    return difference.within;
}

START_TEST(the_tolerance_includes_its_bound)
{
    ck_assert(within(1.25, 1, 0, 0.25));
    ck_assert(!within(1.25, 1, 0, nextafter(0.25, 0)));
    ck_assert(within(1.25, 1, 0.25, 0));
    ck_assert(within(1, 1.25, 0.2, 0) == (0.25 <= 0.2 * 1.25)); /* relative to b */
    ck_assert(within(10, 8, 0.125, 1));
    ck_assert(!within(nextafter(10, 11), 8, 0.125, 1));
    ck_assert(within(0.0, -0.0, 0, 0)); /* other bits, and no difference */
}
END_TEST

START_TEST(not_finite_is_never_within)
{
    ck_assert(!within(NAN, 1, 1e9, 1e9));
    ck_assert(!within(1, NAN, 1e9, 1e9));
    ck_assert(!within(NAN, -NAN, 1e9, 1e9)); /* other bits */
    ck_assert(!within(INFINITY, 1, 1e9, 1e9));
    ck_assert(!within(INFINITY, -INFINITY, 1e9, 1e9));
    ck_assert(!within(INFINITY, 1, 1, INFINITY));
    const uint32_t nan[2] = {0x7fc00000, 0x7fc00001};
    const struct sb_tolerance ulps = {-1, -1, 10};
    ck_assert(!compare(SB_DTYPE_F32, &nan[0], &nan[1], 1, ulps).within);
}
END_TEST

START_TEST(a_tolerance_in_ulp_replaces_the_others)
{
    const float a = 1, b = nextafterf(nextafterf(1, 2), 2);
    ck_assert(compare(SB_DTYPE_F32, &a, &b, 1, (struct sb_tolerance){0, 0, 2}).within);
    ck_assert(!compare(SB_DTYPE_F32, &a, &b, 1, (struct sb_tolerance){1, 1, 1}).within);
}
END_TEST

START_TEST(each_type_has_its_default_tolerance)
{
    double rtol, atol;
    sb_tolerance_default(SB_DTYPE_F32, &rtol, &atol);
    ck_assert(rtol == 1.3e-6 && atol == 1e-5);
    sb_tolerance_default(SB_DTYPE_F16, &rtol, &atol);
    ck_assert(rtol == 1e-3 && atol == 1e-5);
    sb_tolerance_default(SB_DTYPE_BF16, &rtol, &atol);
    ck_assert(rtol == 1.6e-2 && atol == 1e-5);
    sb_tolerance_default(SB_DTYPE_F64, &rtol, &atol);
    ck_assert(rtol == 1e-7 && atol == 1e-7);
    sb_tolerance_default(SB_DTYPE_I32, &rtol, &atol);
    ck_assert(rtol == 0 && atol == 0);
    const float a = 1000, b = 1000.001f;
    ck_assert(compare(SB_DTYPE_F32, &a, &b, 1, defaults).within);
    const float c = 1000.01f;
    ck_assert(!compare(SB_DTYPE_F32, &a, &c, 1, defaults).within);
}
END_TEST

/* ---- Against the slow definitions --------------------------------------------------------------
 */

enum { MOST_ELEMENTS = 3000 };

/* Random bits hold everything: subnormals, infinities, NaN. */
static void fill(enum sb_dtype dtype, uint64_t *random, unsigned char *a, unsigned char *b,
                 uint64_t n) {
    size_t size = sb_dtype_size(dtype);
    uint64_t kind = next_random(random) % 4;
    for (uint64_t i = 0; i < n * size; i++) {
        a[i] = (unsigned char)(next_random(random) & (dtype == SB_DTYPE_BOOL ? 1 : 0xff));
        if (kind == 3 && i % size == size - 1)
            a[i] &= 0x3f; /* mostly finite */
    }
    memcpy(b, a, n * size);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t what = next_random(random) % (kind == 0 ? 2000 : 4);
        unsigned char *element = b + i * size;
        if (what == 0)
            element[next_random(random) % size] ^=
                (unsigned char)(dtype == SB_DTYPE_BOOL ? 1 : 1 << next_random(random) % 8);
        else if (what == 1 && dtype != SB_DTYPE_BOOL)
            element[0] ^= 1;
        else if (what == 2 && kind == 2)
            memset(element, 0, size);
    }
}

static void check_against_slow(enum sb_dtype dtype, const void *a, const void *b, uint64_t n,
                               struct sb_tolerance tolerance) {
    struct slow want = slow_compare(dtype, a, b, n, tolerance);
    struct sb_tensor_difference got = compare(dtype, a, b, n, tolerance);
    const char *name = sb_dtype_names[dtype];
    ck_assert_msg(got.n_different == want.n_different, "%s n_different", name);
    ck_assert_msg(got.max_abs == want.max_abs, "%s max_abs %g, not %g", name, got.max_abs,
                  want.max_abs);
    ck_assert_msg(got.max_rel == want.max_rel, "%s max_rel %g, not %g", name, got.max_rel,
                  want.max_rel);
    ck_assert_msg(got.max_ulp == want.max_ulp, "%s max_ulp %g, not %g", name, got.max_ulp,
                  want.max_ulp);
    ck_assert_msg(got.within == want.within, "%s within %d", name, got.within);
    for (unsigned i = 0; i < SB_ULP_BUCKETS; i++)
        ck_assert_msg(got.ulp_histogram[i] == want.histogram[i], "%s bucket %u", name, i);
    if (want.n_different) {
        ck_assert_msg(got.first[0] == want.first, "%s first", name);
        ck_assert_msg(got.worst[0] == want.worst, "%s worst %lu, not %lu", name, (long)got.worst[0],
                      (long)want.worst);
    }
}

START_TEST(random_tensors_compare_as_by_the_slow_definitions)
{
    static unsigned char a[MOST_ELEMENTS * 16 + 1], b[MOST_ELEMENTS * 16 + 3];
    const struct sb_tolerance tolerances[] = {{-1, -1, -1}, {0, 0, -1},        {0.5, 1, -1},
                                              {-1, -1, 4},  {1e30, 1e300, -1}, {-1, -1, 1e19}};
    uint64_t random = 1;
    for (int round = 0; round < 40; round++) {
        for (enum sb_dtype dtype = 0; dtype < SB_N_DTYPES; dtype++) {
            uint64_t n = next_random(&random) % MOST_ELEMENTS + 1;
            unsigned at = round & 1; /* unaligned as well */
            fill(dtype, &random, a + at, b + 3 * at, n);
            check_against_slow(dtype, a + at, b + 3 * at, n, tolerances[round % 6]);
        }
    }
}
END_TEST

/* All but the padding and what is staged. */
static bool same_tally(const struct sb_tally *a, const struct sb_tally *b) {
    return a->n == b->n && a->n_different == b->n_different && a->n_signs == b->n_signs &&
           a->n_broken == b->n_broken && a->n_outside == b->n_outside &&
           a->n_steady == b->n_steady && a->first == b->first && a->worst == b->worst &&
           a->max_abs == b->max_abs && a->max_rel == b->max_rel && a->max_ulp == b->max_ulp &&
           a->infinite_ulp == b->infinite_ulp && a->max_a == b->max_a && a->max_b == b->max_b &&
           a->multiset == b->multiset && a->ratio.alive == b->ratio.alive &&
           a->offset.alive == b->offset.alive && a->moments.n == b->moments.n &&
           memcmp(a->histogram, b->histogram, sizeof a->histogram) == 0;
}

static bool same_bits(const struct sb_moments *a, const struct sb_moments *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

START_TEST(pieces_of_any_size_give_the_same_bits)
{
    static unsigned char a[MOST_ELEMENTS * 16], b[MOST_ELEMENTS * 16];
    uint64_t random = 2;
    for (int round = 0; round < 20; round++) {
        for (enum sb_dtype dtype = 0; dtype < SB_N_DTYPES; dtype++) {
            size_t size = sb_dtype_size(dtype);
            uint64_t n = next_random(&random) % MOST_ELEMENTS + 1;
            fill(dtype, &random, a, b, n);
            struct sb_tally whole, pieces;
            sb_tally_begin(&whole, dtype, &defaults, 0);
            sb_tally_add(&whole, a, b, n);
            sb_tally_end(&whole);
            sb_tally_begin(&pieces, dtype, &defaults, 0);
            for (uint64_t done = 0; done < n;) {
                uint64_t piece = next_random(&random) % (round % 2 ? 5 : 900) + 1;
                piece = piece < n - done ? piece : n - done;
                sb_tally_add(&pieces, a + done * size, b + done * size, piece);
                done += piece;
            }
            sb_tally_end(&pieces);
            ck_assert_msg(same_tally(&whole, &pieces), "%s", sb_dtype_names[dtype]);
            ck_assert(same_bits(&whole.moments, &pieces.moments));
        }
    }
}
END_TEST

START_TEST(ranges_merge_to_the_whole)
{
    static unsigned char a[MOST_ELEMENTS * 16], b[MOST_ELEMENTS * 16];
    uint64_t random = 3;
    for (int round = 0; round < 20; round++) {
        for (enum sb_dtype dtype = 0; dtype < SB_N_DTYPES; dtype++) {
            size_t size = sb_dtype_size(dtype);
            uint64_t n = next_random(&random) % 2000 + 513, half = 512;
            fill(dtype, &random, a, b, n);
            struct sb_tally whole, left, right;
            sb_tally_begin(&whole, dtype, &defaults, 0);
            sb_tally_add(&whole, a, b, n);
            sb_tally_end(&whole);
            sb_tally_begin(&left, dtype, &defaults, 0);
            sb_tally_add(&left, a, b, half);
            sb_tally_end(&left);
            sb_tally_begin(&right, dtype, &defaults, half);
            sb_tally_add(&right, a + half * size, b + half * size, n - half);
            sb_tally_end(&right);
            sb_tally_merge(&left, &right);
            left.n_steady = whole.n_steady; /* ends with the ratio, which a range keeps longer */
            ck_assert_msg(same_tally(&whole, &left), "%s", sb_dtype_names[dtype]);
        }
    }
}
END_TEST

SB_TEST_MAIN("compare-elements", neighbours_are_one_ulp_apart_at_the_extremes,
             a_complex_distance_is_the_larger_of_its_parts, distances_count_the_numbers_between,
             blocks_measure_every_half_precision_number_as_single_elements,
             equal_tensors_are_identical, tensors_without_elements_are_identical,
             indices_are_those_of_the_shape, the_histogram_counts_by_powers_of_two,
             sixty_four_bit_integers_keep_their_last_digits,
             relative_differences_are_infinite_against_zero, what_is_not_finite_is_infinitely_far,
             the_tolerance_includes_its_bound, not_finite_is_never_within,
             a_tolerance_in_ulp_replaces_the_others, each_type_has_its_default_tolerance,
             random_tensors_compare_as_by_the_slow_definitions,
             pieces_of_any_size_give_the_same_bits, ranges_merge_to_the_whole)
