/* check: elements and differences, as a message has them. */
#include "check/wording.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static void says(enum sb_dtype dtype, const void *a, const void *b, const char *expected) {
    struct sb_text text = {0};
    sb_check_print_pair(&text, dtype, a, b);
    ck_assert_str_eq(text.data, expected);
    sb_text_clear(&text);
}

START_TEST(elements_are_written_with_the_digits_they_need)
{
    float f[] = {1.25f, nextafterf(1.25f, 2), 0.1f, -0.0f, 0.0f, INFINITY, 1e-45f, -3.4028235e38f};
    says(SB_DTYPE_F32, &f[0], &f[1], "1.25 and 1.2500001 are 1 ulp apart");
    says(SB_DTYPE_F32, &f[3], &f[4], "-0 and 0 are 1 ulp apart");
    says(SB_DTYPE_F32, &f[2], &f[5], "0.1 and inf differ");
    says(SB_DTYPE_F32, &f[6], &f[4], "1e-45 and 0 are 1 ulp apart");
    says(SB_DTYPE_F32, &f[7], &f[7],
         "-3.4028235e+38 (0xff7fffff) and -3.4028235e+38 (0xff7fffff) "
         "are 0 ulp apart");
    double d[] = {0.1, 0.1 + 0x1p-56};
    says(SB_DTYPE_F64, &d[0], &d[1], "0.1 and 0.10000000000000002 are 1 ulp apart");
    uint16_t half[] = {0x3c00, 0x3c01};
    says(SB_DTYPE_F16, &half[0], &half[1], "1 and 1.0009766 are 1 ulp apart");
    says(SB_DTYPE_BF16, &half[0], &half[1], "0.0078125 and 0.007873535 are 1 ulp apart");
    uint8_t small[] = {0x38, 0x7f};
    says(SB_DTYPE_F8_E4M3, &small[0], &small[1], "1 and nan differ");
}
END_TEST

START_TEST(bits_stand_beside_what_reads_alike)
{
    uint32_t nan[] = {0x7fc00000, 0x7fc00005};
    says(SB_DTYPE_F32, &nan[0], &nan[1], "nan (0x7fc00000) and nan (0x7fc00005) are 5 ulp apart");
    struct {
        uint64_t real, imaginary;
    } c[] = {{0, 0x7ff8000000000001}, {0, 0x7ff8000000000002}};
    says(SB_DTYPE_C128, &c[0], &c[1],
         "0+nani (0x0000000000000000 0x7ff8000000000001) and 0+nani (0x0000000000000000 "
         "0x7ff8000000000002) are 1 ulp apart");
}
END_TEST

START_TEST(integers_are_apart_in_no_unit)
{
    int8_t i8[] = {-128, 127};
    says(SB_DTYPE_I8, &i8[0], &i8[1], "-128 and 127 are 255 apart");
    int64_t i64[] = {INT64_MIN, 0};
    says(SB_DTYPE_I64, &i64[0], &i64[1], "-9223372036854775808 and 0 are 9.22e+18 apart");
    uint64_t u64 = UINT64_MAX, next = UINT64_MAX - 1;
    says(SB_DTYPE_U64, &u64, &next, "18446744073709551615 and 18446744073709551614 are 1 apart");
    uint8_t truth[] = {0, 1};
    says(SB_DTYPE_BOOL, &truth[0], &truth[1], "0 and 1 differ");
    float complex_[][2] = {{1.5f, -2}, {1.5f, -2.5f}};
    says(SB_DTYPE_C64, complex_[0], complex_[1], "1.5-2i and 1.5-2.5i are 2097152 ulp apart");
}
END_TEST

START_TEST(the_first_element_outside_the_tolerance_is_named)
{
    enum { N = 1000 };
    static float a[N], b[N];
    for (unsigned i = 0; i < N; i++) {
        a[i] = 1;
        b[i] = i == 900 || i == 701 ? 1 + 0x1p-20f : i % 3 ? 1 : nextafterf(1, 2);
    }
    struct sb_output x = {.info = {(char *)"loss\n", SB_DTYPE_F32, 2, {10, 100}, N},
                          .n_bytes = sizeof a,
                          .elements = a};
    struct sb_output y = x;
    y.elements = b;
    struct sb_tolerance one_ulp = {-1, -1, 1};
    struct sb_text text = {0};
    ck_assert_int_eq(sb_check_compare(&x, &y, &one_ulp, "run 2 against run 1", &text), 1);
    ck_assert_str_eq(text.data,
                     "loss\\x0a[7,1]: 1 and 1.000001 are 8 ulp apart (run 2 against run "
                     "1); 335 of 1000 elements differ, at most 8 ulp");
    sb_text_clear(&text);
    one_ulp.ulp = 8;
    ck_assert_int_eq(sb_check_compare(&x, &y, &one_ulp, "", &text), 0);
    ck_assert_ptr_null(text.data);
    ck_assert_int_eq(sb_check_compare(&x, &y, NULL, "", &text), 1);
    ck_assert_ptr_nonnull(strstr(text.data, "[0,0]: 1 and 1.0000001 are 1 ulp apart"));
    sb_text_clear(&text);
}
END_TEST

SB_TEST_MAIN("check-wording", elements_are_written_with_the_digits_they_need,
             bits_stand_beside_what_reads_alike, integers_are_apart_in_no_unit,
             the_first_element_outside_the_tolerance_is_named)
