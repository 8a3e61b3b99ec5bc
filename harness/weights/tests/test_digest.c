/* weights: digests, fingerprints and sums against values that other programs computed. */
#include "weights/digest.h"

#include "base/cleanup.h"
#include "tests/testing.h"
#include "weights/element.h"
#include "weights/tensors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* By `xxhsum -H2` and `sha256sum`. */
#define EMPTY_XXH3 "99aa06d3014798d86001c324468d497f"
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define BIG_XXH3 "d9e155dd16e141d00c056f6fcc340974"
#define BIG_SHA256 "d96bab6a55ee326ba206dd4a85a6e95e14360d7fabbf448f03e689c24382b7d0"

enum { BIG = 100000 };

static unsigned char *big_bytes(void) {
    unsigned char *bytes = malloc(BIG);
    ck_assert_ptr_nonnull(bytes);
    for (unsigned i = 0; i < BIG; i++)
        bytes[i] = (unsigned char)(i * 7 + 3);
    return bytes;
}

static void expect_digest(enum sb_digest_kind kind, const void *bytes, size_t n, size_t piece,
                          const char *expected) {
    struct sb_digest *digest = sb_digest_new(kind);
    char text[SB_DIGEST_TEXT];
    ck_assert_ptr_nonnull(digest);
    for (int again = 0; again < 2; again++) { /* a digest serves for one tensor after another */
        for (size_t at = 0; at < n; at += piece)
            sb_digest_add(digest, (const char *)bytes + at, n - at < piece ? n - at : piece);
        ck_assert_int_eq(sb_digest_finish(digest, text), 0);
        ck_assert_str_eq(text, expected);
    }
    sb_digest_free(digest);
}

START_TEST(digests_are_those_of_xxhsum_and_sha256sum)
{
    SB_AUTO_FREE unsigned char *bytes = big_bytes();
    expect_digest(SB_DIGEST_XXH3, bytes, 0, 1, EMPTY_XXH3);
    expect_digest(SB_DIGEST_SHA256, bytes, 0, 1, EMPTY_SHA256);
    static const size_t pieces[] = {1, 7, 64, 241, 1024, 65536, BIG};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        expect_digest(SB_DIGEST_XXH3, bytes, BIG, pieces[i], BIG_XXH3);
        expect_digest(SB_DIGEST_SHA256, bytes, BIG, pieces[i], BIG_SHA256);
    }
}
END_TEST

/* The fingerprint of three tensors, given in another order than that of their names. */
static void fingerprint_three(enum sb_digest_kind kind, struct sb_fingerprint *fingerprint) {
    static const uint64_t two_three[] = {2, 3}, three[] = {3};
    static const int32_t integers[] = {0, 1, 2, 3, 4, 5};
    static const float floats[] = {1.5f, -2.25f, 1e10f};
    static const unsigned char scalar = 7;
    const struct sb_tensor tensors[] = {
        {"s", SB_DTYPE_U8, 0, NULL, &scalar},
        {"b/i", SB_DTYPE_I32, 2, two_three, integers},
        {"a", SB_DTYPE_F32, 1, three, floats},
    };
    struct sb_error err = {0};
    ck_assert_msg(sb_tensors_fingerprint(tensors, 3, kind, fingerprint, &err) == 0, "%s", err.text);
}

START_TEST(a_fingerprint_is_that_of_its_lines_in_name_order)
{
    struct sb_fingerprint fingerprint = {0};
    fingerprint_three(SB_DIGEST_XXH3, &fingerprint);
    ck_assert_str_eq(fingerprint.text, "xxh3:3383b8ce159778787d4e791d66fc789d");
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "a");
    ck_assert_str_eq(fingerprint.tensors[0].digest, "0ed10f50209592eaf3b1a1bee19bc328");
    ck_assert_str_eq(fingerprint.tensors[1].digest, "80d4f075dd52f924953f55f86e7d5e23");
    ck_assert(fingerprint.sum == (1.5 - 2.25 + 1e10f) + 15 + 7);
    sb_fingerprint_clear(&fingerprint);
    fingerprint_three(SB_DIGEST_SHA256, &fingerprint);
    ck_assert_str_eq(fingerprint.text,
                     "sha256:e06a1c4d82db47b2fe7637c9c4bbd97fdcf647167769d4a65f6a7dfc4c5b84f5");
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

static void fingerprint_one(const char *name, enum sb_dtype dtype, uint64_t n, const void *data,
                            struct sb_fingerprint *fingerprint) {
    const struct sb_tensor tensor = {name, dtype, 1, &n, data};
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, fingerprint, NULL), 0);
}

START_TEST(every_bit_shape_name_and_type_changes_the_fingerprint)
{
    static const float zero[2] = {0.0f, 1.0f}, minus[2] = {-0.0f, 1.0f};
    static const uint64_t column[] = {2, 1};
    struct sb_fingerprint prints[5] = {0};
    fingerprint_one("w", SB_DTYPE_F32, 2, zero, &prints[0]);
    fingerprint_one("w", SB_DTYPE_F32, 2, minus, &prints[1]);
    fingerprint_one("w", SB_DTYPE_I32, 2, zero, &prints[2]);
    fingerprint_one("v", SB_DTYPE_F32, 2, zero, &prints[3]);
    const struct sb_tensor tensor = {"w", SB_DTYPE_F32, 2, column, zero};
    ck_assert_int_eq(sb_tensors_fingerprint(&tensor, 1, SB_DIGEST_XXH3, &prints[4], NULL), 0);
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(prints[i].text, prints[j].text);
    }
    for (int i = 0; i < 5; i++)
        sb_fingerprint_clear(&prints[i]);
}
END_TEST

enum { N_AWKWARD = 45 };

/* Values whose sum is another in every other order of additions that comes to mind. */
static void awkward_values(double values[N_AWKWARD]) {
    for (int i = 0, r = 1; i < N_AWKWARD; i++) {
        r = r * 31 % 1009;
        values[i] = (r & 1 ? -1.0 : 1.0) * r / 7.0 * (r % 5 == 0 ? 1e6 : 1.0);
    }
}

START_TEST(sums_are_added_in_eight_lanes_then_pairwise)
{
    static const double expected = 0x1.fcda8d2249249p+28; /* by Python */
    double values[N_AWKWARD];
    struct sb_sum sum;
    awkward_values(values);
    for (unsigned piece = 1; piece <= N_AWKWARD; piece++) {
        sb_sum_begin(&sum, SB_DTYPE_F64);
        for (unsigned at = 0; at < N_AWKWARD; at += piece)
            sb_sum_add(&sum, values + at, N_AWKWARD - at < piece ? N_AWKWARD - at : piece);
        ck_assert_msg(sb_sum_total(&sum) == expected, "pieces of %u: %a", piece,
                      sb_sum_total(&sum));
    }
}
END_TEST

START_TEST(f32_and_its_copy_in_f64_have_one_sum)
{
    float narrow[1003];
    double wide[1003];
    struct sb_sum a, b;
    for (int i = 0; i < 1003; i++)
        wide[i] = narrow[i] = (float)(i * 0.37 - 100) * (i % 7 ? 1.0f : 1e20f);
    sb_sum_begin(&a, SB_DTYPE_F32);
    sb_sum_begin(&b, SB_DTYPE_F64);
    for (int at = 0; at < 1003; at += 59) {
        sb_sum_add(&a, narrow + at, 59);
        sb_sum_add(&b, wide + at, 59);
    }
    ck_assert(sb_sum_total(&a) == sb_sum_total(&b));
}
END_TEST

START_TEST(bool_counts_and_complex_sums_its_real_part)
{
    static const unsigned char booleans[] = {1, 0, 1, 1};
    static const float complex_[] = {1.0f, 100.0f, 2.0f, -50.0f};
    struct sb_sum sum;
    sb_sum_begin(&sum, SB_DTYPE_BOOL);
    sb_sum_add(&sum, booleans, 4);
    ck_assert(sb_sum_total(&sum) == 3);
    sb_sum_begin(&sum, SB_DTYPE_C64);
    sb_sum_add(&sum, complex_, 2);
    ck_assert(sb_sum_total(&sum) == 3);
}
END_TEST

/* The values of all bit patterns of a small float, NaN as 0, as one digest that NumPy (for f16 and
 * bf16) or Python's arithmetic (for the others) computed too. */
static void expect_values(enum sb_dtype dtype, unsigned n, unsigned n_nan,
                          const char *digest_text) {
    struct sb_digest *digest = sb_digest_new(SB_DIGEST_XXH3);
    char text[SB_DIGEST_TEXT];
    unsigned found_nan = 0;
    for (unsigned i = 0; i < n; i++) {
        uint16_t bits = (uint16_t)i; /* little-endian: the low byte comes first */
        double value = sb_element_double(dtype, &bits);
        ck_assert_int_eq(isnan(value), sb_element_is_nan(dtype, &bits));
        ck_assert_int_eq(value == 0, sb_element_is_zero(dtype, &bits));
        found_nan += isnan(value) != 0;
        value = isnan(value) ? 0.0 : value;
        sb_digest_add(digest, &value, sizeof value);
    }
    ck_assert_int_eq(sb_digest_finish(digest, text), 0);
    ck_assert_uint_eq(found_nan, n_nan);
    ck_assert_str_eq(text, digest_text);
    sb_digest_free(digest);
}

START_TEST(every_small_float_has_its_exact_value)
{
    expect_values(SB_DTYPE_F16, 65536, 2046, "79dfde20caf70ab25e573777dcb27050");
    expect_values(SB_DTYPE_BF16, 65536, 254, "23e5e94e272c8f7ba424ca5daaea5d23");
    expect_values(SB_DTYPE_F8_E4M3, 256, 2, "36659e9e5472c8d366db78c8b67a0b91");
    expect_values(SB_DTYPE_F8_E5M2, 256, 6, "89a82d53d5d966f569987493f77c9edf");
}
END_TEST

START_TEST(all_zero_and_all_nan_are_noticed)
{
    static const float zeros[] = {0.0f, -0.0f, 0.0f}, one[] = {0, 0, 1};
    const float nans[] = {NAN, -NAN, NAN}, mixed[] = {NAN, 0, NAN};
    static const struct {
        bool zero, nan;
    } expected[] = {{true, false}, {false, false}, {false, true}, {false, false}};
    const float *const values[] = {zeros, one, nans, mixed};
    for (int i = 0; i < 4; i++) {
        struct sb_fingerprint fingerprint = {0};
        fingerprint_one("w", SB_DTYPE_F32, 3, values[i], &fingerprint);
        ck_assert_int_eq(fingerprint.all_zero, expected[i].zero);
        ck_assert_int_eq(fingerprint.all_nan, expected[i].nan);
        sb_fingerprint_clear(&fingerprint);
    }
}
END_TEST

START_TEST(names_are_escaped_and_nothing_else)
{
    struct sb_fingerprint fingerprint = {0};
    fingerprint_one("a\tb\\c.d/\xc3\xa9\x7f", SB_DTYPE_U8, 1, "x", &fingerprint);
    ck_assert_str_eq(fingerprint.tensors[0].info.name, "a\\x09b\\x5cc.d/\xc3\xa9\x7f");
    sb_fingerprint_clear(&fingerprint);
}
END_TEST

START_TEST(impossible_tensors_are_errors)
{
    static const uint64_t huge[] = {UINT64_C(1) << 40, UINT64_C(1) << 40};
    const struct sb_tensor overflow = {"w", SB_DTYPE_F32, 2, huge, ""};
    const struct sb_tensor twice[] = {{"w", SB_DTYPE_U8, 0, NULL, "x"},
                                      {"w", SB_DTYPE_U8, 0, NULL, "x"}};
    struct sb_fingerprint fingerprint = {0};
    struct sb_error err = {0};
    ck_assert_int_eq(sb_tensors_fingerprint(&overflow, 1, SB_DIGEST_XXH3, &fingerprint, &err),
                     -EBADMSG);
    ck_assert_int_eq(sb_tensors_fingerprint(twice, 2, SB_DIGEST_XXH3, &fingerprint, &err),
                     -EBADMSG);
    ck_assert_int_eq(sb_tensors_fingerprint(NULL, 0, SB_DIGEST_XXH3, &fingerprint, &err), -ENODATA);
    ck_assert_ptr_null(fingerprint.tensors);
}
END_TEST

SB_TEST_MAIN("weights-digest", digests_are_those_of_xxhsum_and_sha256sum,
             a_fingerprint_is_that_of_its_lines_in_name_order,
             every_bit_shape_name_and_type_changes_the_fingerprint,
             sums_are_added_in_eight_lanes_then_pairwise, f32_and_its_copy_in_f64_have_one_sum,
             bool_counts_and_complex_sums_its_real_part, every_small_float_has_its_exact_value,
             all_zero_and_all_nan_are_noticed, names_are_escaped_and_nothing_else,
             impossible_tensors_are_errors)
