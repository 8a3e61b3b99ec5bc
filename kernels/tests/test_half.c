/* kernels: conversions of f16 and bf16. */
#include "kernels/half.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

START_TEST(every_16_bit_value_survives_a_round_trip)
{
    for (unsigned bits = 0; bits <= 0xffff; bits++) {
        double f16 = sb_f16_value((uint16_t)bits), bf16 = sb_bf16_value((uint16_t)bits);
        if (isnan(f16))
            ck_assert_uint_eq(sb_f16_round(f16) & 0x7e00, 0x7e00);
        else
            ck_assert_uint_eq(sb_f16_round(f16), bits);
        if (isnan(bf16))
            ck_assert_uint_eq(sb_bf16_round(bf16) & 0x7fc0, 0x7fc0);
        else
            ck_assert_uint_eq(sb_bf16_round(bf16), bits);
    }
}
END_TEST

/* bfloat16 is the upper half of a binary32, so the machine itself says what its bits mean. */
START_TEST(bf16_is_the_upper_half_of_f32)
{
    for (uint32_t bits = 0; bits <= 0xffff; bits++) {
        uint32_t wide = bits << 16;
        float value;
        memcpy(&value, &wide, sizeof value);
        if (!isnan(value))
            ck_assert(sb_bf16_value((uint16_t)bits) == (double)value);
    }
}
END_TEST

/* Between every two neighbours: below the middle the lower, above it the upper, on it the even. */
START_TEST(rounding_is_to_nearest_with_ties_to_even)
{
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        double low = sb_f16_value(bits), high = sb_f16_value((uint16_t)(bits + 1));
        double middle = low + (high - low) / 2;
        ck_assert_uint_eq(sb_f16_round(middle), bits % 2 ? bits + 1u : bits);
        ck_assert_uint_eq(sb_f16_round(nextafter(middle, low)), bits);
        ck_assert_uint_eq(sb_f16_round(nextafter(middle, high)), bits + 1u);
        ck_assert_uint_eq(sb_f16_round(-middle), 0x8000u | (bits % 2 ? bits + 1u : bits));
    }
}
END_TEST

START_TEST(the_ends_of_the_range_are_where_they_belong)
{
    ck_assert_uint_eq(sb_f16_round(65519.99), 0x7bff);
    ck_assert_uint_eq(sb_f16_round(65520), 0x7c00);
    ck_assert_uint_eq(sb_f16_round(-1e300), 0xfc00);
    ck_assert_uint_eq(sb_f16_round(0x1p-25), 0);
    ck_assert_uint_eq(sb_f16_round(0x1.8p-24), 2);
    ck_assert_uint_eq(sb_f16_round(-0.0), 0x8000);
    ck_assert_uint_eq(sb_bf16_round(1), 0x3f80);
    ck_assert_uint_eq(sb_bf16_round(0x1.ffp127), 0x7f80);
    ck_assert_uint_eq(sb_bf16_round(0x1.feffp127), 0x7f7f);
}
END_TEST

SB_TEST_MAIN("kernels-half", every_16_bit_value_survives_a_round_trip,
             bf16_is_the_upper_half_of_f32, rounding_is_to_nearest_with_ties_to_even,
             the_ends_of_the_range_are_where_they_belong)
