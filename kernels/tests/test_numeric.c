/* kernels: exp, log, tanh, erf and sine against the C library's long double, in units in the last
 * place. */
#include "kernels/numeric.h"
#include "kernels/train/rng.h"
#include "tests/testing.h"

#include <float.h>
#include <math.h>

static double ulps(double got, long double wanted) {
    if ((long double)got == wanted)
        return 0;
    int exponent;
    frexpl(wanted, &exponent);
    if (exponent < DBL_MIN_EXP)
        exponent = DBL_MIN_EXP;
    return (double)(fabsl((long double)got - wanted) / ldexpl(1, exponent - DBL_MANT_DIG));
}

START_TEST(exp_is_within_two_ulp)
{
    struct sb_stream stream = sb_stream_make(1, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double scale = i % 2 ? 700 : 1;
        double x = (sb_stream_uniform(&stream) * 2 - 1) * scale;
        worst = fmax(worst, ulps(sb_exp(x), expl(x)));
    }
    ck_assert_double_lt(worst, 2);
}
END_TEST

START_TEST(log_is_within_two_ulp)
{
    struct sb_stream stream = sb_stream_make(2, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double u = sb_stream_uniform(&stream);
        double x = i % 3 == 0   ? u + 0x1p-60
                   : i % 3 == 1 ? ldexp(u + 0.5, (int)(u * 2000) - 1000)
                                : 1 + (u - 0.5) / 64;
        worst = fmax(worst, ulps(sb_log(x), logl(x)));
    }
    ck_assert_double_lt(worst, 2);
}
END_TEST

/* Over both signs, tiny numbers, and both sides of where the method changes. */
static double spread(struct sb_stream *stream, int i) {
    static const double scales[] = {6.5, 0.6, 2.1, 0x1p-30};
    return (sb_stream_uniform(stream) * 2 - 1) * scales[i % 4];
}

START_TEST(tanh_is_within_three_ulp)
{
    struct sb_stream stream = sb_stream_make(4, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = spread(&stream, i);
        worst = fmax(worst, ulps(sb_tanh(x), tanhl(x)));
    }
    ck_assert_double_lt(worst, 3);
}
END_TEST

START_TEST(erf_is_within_five_ulp)
{
    struct sb_stream stream = sb_stream_make(5, 0);
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        double x = spread(&stream, i);
        worst = fmax(worst, ulps(sb_erf(x), erfl(x)));
    }
    ck_assert_double_lt(worst, 5);
}
END_TEST

START_TEST(sine_and_cosine_are_within_one_rounding)
{
    struct sb_stream stream = sb_stream_make(3, 0);
    const long double turn = 6.283185307179586476925286766559L;
    for (int i = 0; i < 200000; i++) {
        double u = i < 64 ? i / 64.0 : sb_stream_uniform(&stream), sine, cosine;
        sb_sincos_turns(u, &sine, &cosine);
        ck_assert_double_lt((double)fabsl(sine - sinl(turn * u)), 0x1p-52);
        ck_assert_double_lt((double)fabsl(cosine - cosl(turn * u)), 0x1p-52);
    }
}
END_TEST

START_TEST(special_values_are_as_in_the_standard)
{
    ck_assert_double_eq(sb_exp(0), 1);
    ck_assert_double_eq(sb_exp(-INFINITY), 0);
    ck_assert_double_eq(sb_exp(-800), 0);
    ck_assert(isinf(sb_exp(INFINITY)) && isinf(sb_exp(710)));
    ck_assert(isnan(sb_exp(NAN)) && isnan(sb_log(NAN)) && isnan(sb_log(-1)));
    ck_assert_double_eq(sb_log(1), 0);
    ck_assert(isinf(sb_log(0)) && sb_log(0) < 0);
    ck_assert(isinf(sb_log(INFINITY)));
    ck_assert_double_eq_tol(sb_log(0x1p-1074), -744.4400719213812, 1e-12); /* least subnormal */
    ck_assert(sb_exp(-745) > 0);
    ck_assert(sb_tanh(INFINITY) == 1 && sb_tanh(-INFINITY) == -1 && sb_tanh(40) == 1);
    ck_assert(sb_erf(INFINITY) == 1 && sb_erf(-INFINITY) == -1 && sb_erf(7) == 1);
    ck_assert(isnan(sb_tanh(NAN)) && isnan(sb_erf(NAN)));
    ck_assert(signbit(sb_tanh(-0.0)) && signbit(sb_erf(-0.0)));
    ck_assert_double_eq(sb_tanh(0x1p-1070), 0x1p-1070);
    ck_assert_double_eq(sb_erf(-1.25), -sb_erf(1.25));
    ck_assert(!isinf(sb_exp(709.78)));
}
END_TEST

/* Bits on one machine are the bits on every machine: fixed IEEE operations, no library. */
START_TEST(bits_are_the_ones_written_here)
{
    double sine, cosine;
    sb_sincos_turns(0.3, &sine, &cosine);
    ck_assert_double_eq(sb_exp(1), 0x1.5bf0a8b14576ap+1);
    ck_assert_double_eq(sb_log(3), 0x1.193ea7aad030ap+0);
    ck_assert_double_eq(sb_exp(-0.7), 0x1.fc80db9dd5542p-2);
    ck_assert_double_eq(sb_tanh(0.3), 0x1.2a4dda7d914fap-2);
    ck_assert_double_eq(sb_tanh(-1.7), -0x1.deedf00d3e7f5p-1);
    ck_assert_double_eq(sb_erf(0.7), 0x1.5b08c21171646p-1);
    ck_assert_double_eq(sb_erf(-2.3), -0x1.ff6a295bcd35cp-1);
    ck_assert_double_eq(sine, 0x1.e6f0e134455p-1);
    ck_assert_double_eq(cosine, -0x1.3c6ef372fe94ep-2);
}
END_TEST

SB_TEST_MAIN("kernels-numeric", exp_is_within_two_ulp, log_is_within_two_ulp,
             tanh_is_within_three_ulp, erf_is_within_five_ulp,
             sine_and_cosine_are_within_one_rounding, special_values_are_as_in_the_standard,
             bits_are_the_ones_written_here)
