/* compare: however a tensor's elements arrive, and whoever tallies them, the outcome's bits are the
 * same. */
#include "compare/ranges.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "compare/answer.h"
#include "compare/diagnosis.h"
#include "tests/testing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More ranges than are tallied at once, and a tail that fills no block. */
enum { ELEMENTS = 70 * SB_RANGE + 1000 };

static const struct sb_tolerance defaults;

struct pair {
    struct sb_tensor_info info;
    char *a, *b;
    size_t n_bytes;
};

/* Elements that differ here and there, and in some stretches all. */
static void pair_new(struct pair *pair, enum sb_dtype dtype, uint64_t n) {
    static char name[] = "w";
    size_t size = sb_dtype_size(dtype);
    *pair = (struct pair){
        .info = {.name = name, .dtype = dtype, .rank = 1, .dims = {n}, .n_elements = n},
        .n_bytes = n * size};
    pair->a = malloc(pair->n_bytes);
    pair->b = malloc(pair->n_bytes);
    ck_assert(pair->a && pair->b);
    uint64_t state = 88172645463325252u; /* xorshift64 */
    for (size_t i = 0; i < pair->n_bytes; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        bool differs = state >> 60 == 0 || i / size / SB_RANGE % 5 == 3;
        pair->a[i] = (char)(dtype == SB_DTYPE_BOOL ? state & 1 : state >> 8);
        pair->b[i] = (char)(differs ? pair->a[i] ^ 1 : pair->a[i]);
    }
}

static void pair_clear(struct pair *pair) {
    free(pair->a);
    free(pair->b);
}

static void expect_answer(const struct sb_tally *tally, const struct pair *pair,
                          const struct sb_text *expected) {
    struct sb_tensor_difference difference;
    SB_AUTO_TEXT struct sb_text answer = {0};
    sb_diagnose(tally, &pair->info, &difference);
    sb_answer_put_tensor(&answer, &difference);
    ck_assert_uint_eq(answer.length, expected->length);
    ck_assert_msg(memcmp(answer.data, expected->data, answer.length) == 0, "%s",
                  sb_dtype_names[pair->info.dtype]);
}

static struct sb_lying lying(const char *memory, size_t n, bool big_endian) {
    return (struct sb_lying){.bytes = {.fd = -1, .memory = memory, .n = n},
                             .big_endian = big_endian};
}

static void tally_with(unsigned threads, const struct pair *pair, const struct sb_lying *b,
                       const struct sb_text *expected) {
    const struct sb_lying a = lying(pair->a, pair->n_bytes, false);
    struct sb_ranges *ranges = sb_ranges_new(threads, &defaults);
    struct sb_error err = {{0}};
    struct sb_tally tally;
    ck_assert_ptr_nonnull(ranges);
    for (int again = 0; again < 2; again++) {
        ck_assert_msg(sb_ranges_tally(ranges, &pair->info, &a, b, &tally, &err) == 0, "%s",
                      err.text);
        expect_answer(&tally, pair, expected);
    }
    sb_ranges_free(ranges);
}

static void expect_the_same(enum sb_dtype dtype, uint64_t n) {
    static const uint64_t pieces[] = {ELEMENTS, 1000, SB_RANGE + 1, 255};
    struct pair pair;
    struct sb_tensor_difference difference;
    SB_AUTO_TEXT struct sb_text expected = {0};
    pair_new(&pair, dtype, n);
    size_t size = sb_dtype_size(dtype);
    sb_compare_elements(&pair.info, pair.a, pair.b, &defaults, &difference);
    difference.permuted_axis = -1;
    sb_answer_put_tensor(&expected, &difference);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct sb_measure measure;
        sb_measure_begin(&measure, dtype, &defaults);
        for (uint64_t at = 0; at < n; at += pieces[i])
            sb_measure_add(&measure, pair.a + at * size, pair.b + at * size,
                           n - at < pieces[i] ? n - at : pieces[i]);
        expect_answer(sb_measure_end(&measure), &pair, &expected);
    }
    const struct sb_lying b = lying(pair.b, pair.n_bytes, false);
    for (unsigned threads = 0; threads <= 5; threads += threads ? 2 : 1)
        tally_with(threads, &pair, &b, &expected);
    pair_clear(&pair);
}

START_TEST(ranges_are_the_same_whoever_tallies_them)
{
    static const enum sb_dtype dtypes[] = {SB_DTYPE_F32, SB_DTYPE_BF16, SB_DTYPE_BOOL,
                                           SB_DTYPE_F64};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        expect_the_same(dtypes[i], ELEMENTS);
    static const uint64_t lengths[] = {0, 1, SB_RANGE - 1, SB_RANGE, SB_RANGE + 1, 3 * SB_RANGE};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        expect_the_same(SB_DTYPE_C64, lengths[i]);
}
END_TEST

START_TEST(a_side_of_the_other_byte_order_is_turned)
{
    struct pair pair;
    struct sb_tensor_difference difference;
    SB_AUTO_TEXT struct sb_text expected = {0};
    pair_new(&pair, SB_DTYPE_F32, 3 * SB_RANGE);
    sb_compare_elements(&pair.info, pair.a, pair.b, &defaults, &difference);
    sb_answer_put_tensor(&expected, &difference);
    for (size_t i = 0; i < pair.n_bytes; i += 4) {
        const char kept[4] = {pair.b[i + 3], pair.b[i + 2], pair.b[i + 1], pair.b[i]};
        memcpy(pair.b + i, kept, 4);
    }
    const struct sb_lying b = lying(pair.b, pair.n_bytes, true);
    tally_with(3, &pair, &b, &expected);
    pair_clear(&pair);
}
END_TEST

START_TEST(of_several_errors_the_first_element_s_is_told)
{
    struct pair pair;
    pair_new(&pair, SB_DTYPE_BOOL, ELEMENTS);
    pair.b[5 * SB_RANGE + 17] = 2;
    pair.a[9 * SB_RANGE] = 3;
    pair.b[69 * SB_RANGE] = 4;
    const struct sb_lying a = lying(pair.a, pair.n_bytes, false),
                          b = lying(pair.b, pair.n_bytes, false),
                          shorter = lying(pair.b, pair.n_bytes - 1, false);
    struct sb_ranges *ranges = sb_ranges_new(4, &defaults);
    struct sb_tally tally;
    for (int i = 0; i < 20; i++) {
        struct sb_error err = {{0}};
        ck_assert_int_eq(sb_ranges_tally(ranges, &pair.info, &a, &b, &tally, &err), -EBADMSG);
        ck_assert_msg(strstr(err.text, "'w' is bool and has an element 2") != NULL, "%s", err.text);
    }
    pair.b[5 * SB_RANGE + 17] = pair.a[9 * SB_RANGE] = pair.b[69 * SB_RANGE] = 1;
    ck_assert_int_eq(sb_ranges_tally(ranges, &pair.info, &a, &b, &tally, NULL), 0);
    ck_assert_int_eq(sb_ranges_tally(ranges, &pair.info, &a, &shorter, &tally, NULL), -EBADMSG);
    sb_ranges_free(ranges);
    pair_clear(&pair);
}
END_TEST

SB_TEST_MAIN("compare-ranges", ranges_are_the_same_whoever_tallies_them,
             a_side_of_the_other_byte_order_is_turned,
             of_several_errors_the_first_element_s_is_told)
