/* kernels: see numeric.h. Built with -ffp-contract=off: a fused multiply-add would change bits. */
#include "kernels/numeric.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

_Static_assert(FLT_EVAL_METHOD == 0, "x87 keeps excess precision: build with -msse2 -mfpmath=sse");
_Static_assert(sizeof(double) == 8 && DBL_MANT_DIG == 53, "IEEE binary64 is needed");

/* ln 2 in two parts; the first has 33 bits, so that its product with an exponent is exact. */
static const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* 2^k for k in [-1022, 1023]. */
static double power_of_two(int k) {
    return from_bits((uint64_t)(k + 1023) << 52);
}

/* x = k·ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor series to r^13 (the next term is below
 * 2^-57). */
double sb_exp(double x) {
    if (x != x)
        return x;
    if (x > 709.79)
        return (double)INFINITY;
    if (x < -745.14)
        return 0.0;
    static const double factors[] = {
        1.0 / 6227020800.0, 1.0 / 479001600.0, 1.0 / 39916800.0, 1.0 / 3628800.0,
        1.0 / 362880.0,     1.0 / 40320.0,     1.0 / 5040.0,     1.0 / 720.0,
        1.0 / 120.0,        1.0 / 24.0,        1.0 / 6.0,        0.5,
    };
    int k = (int)(x * 0x1.71547652b82fep0 + (x < 0 ? -0.5 : 0.5));
    double high = x - k * ln2_high, low = k * ln2_low;
    double r = high - low;
    double sum = factors[0];
    for (unsigned i = 1; i < sizeof factors / sizeof *factors; i++)
        sum = sum * r + factors[i];
    /* What r lost to rounding is added last, where it matters least. */
    double lost = (high - r) - low;
    double value = 1.0 + (r + (sum * (r * r) + lost));
    int half = k / 2; /* in two steps: 2^k itself may not be representable */
    return value * power_of_two(half) * power_of_two(k - half);
}

/* x = 2^k·m with m in [√½, √2); ln m = 2·atanh(s) with s = (m - 1) / (m + 1), |s| ≤ 0.172, by its
 * series to s^23. */
double sb_log(double x) {
    if (x != x || x < 0)
        return (double)NAN;
    if (x == 0)
        return -(double)INFINITY;
    if (x > DBL_MAX)
        return x;
    int k = 0;
    if (x < DBL_MIN) {
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits = to_bits(x);
    k += (int)(bits >> 52) - 1023;
    double m = from_bits((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);
    if (m > 0x1.6a09e667f3bcdp0) {
        m *= 0.5;
        k++;
    }
    double f = m - 1.0;
    double s = f / (2.0 + f);
    double square = s * s, sum = 1.0 / 23.0;
    for (int divisor = 21; divisor >= 3; divisor -= 2)
        sum = sum * square + 1.0 / divisor;
    /* 2s = f - s·f, so that the rounding of s does not touch the leading term. */
    double tail = 2.0 * s * square * sum - s * f;
    return k * ln2_high + (f + (tail + k * ln2_low));
}

/* tanh x = e / (e + 2) with e = e^(2x) - 1: near 0 by its series to the 20th power (the next term
 * is below 2^-62 of the first), so that nothing cancels. */
double sb_tanh(double x) {
    double far = x < 0 ? -x : x, share;
    if (x != x || far == 0)
        return x;
    if (far < 0.55) {
        double r = 2.0 * far, sum = 1.0;
        for (int divisor = 20; divisor >= 2; divisor--)
            sum = 1.0 + r * sum / divisor;
        share = r * sum / (r * sum + 2.0);
    } else {
        share = far > 20.0 ? 1.0 : 1.0 - 2.0 / (sb_exp(2.0 * far) + 1.0);
    }
    return x < 0 ? -share : share;
}

/* e^(-x²), with what is lost when x² is rounded: of the upper half of x the square is exact. */
static double exp_minus_square(double x) {
    double upper = from_bits(to_bits(x) & ~(uint64_t)0x7ffffff);
    return sb_exp(-upper * upper) * sb_exp((upper - x) * (upper + x));
}

/* Near 0, erf x = 2/√π·e^(-x²)·Σ 2^n·x^(2n+1) / (1·3·…·(2n+1)), whose terms are all positive
 * (Abramowitz and Stegun, 7.1.6); beyond 1.25, 1 - erfc x by the continued fraction 7.1.14, where
 * erfc is below 0.08 and its errors count as little. */
double sb_erf(double x) {
    double far = x < 0 ? -x : x, share;
    if (x != x || far == 0)
        return x;
    if (far < 1.25) {
        double twice = 2.0 * far * far, sum = 1.0;
        for (int divisor = far < 0.5 ? 27 : 59; divisor >= 3; divisor -= 2)
            sum = 1.0 + twice * sum / divisor;
        share = 0x1.20dd750429b6dp0 * far * (sum * exp_minus_square(far));
    } else if (far < 6.0) {
        double fraction = far;
        for (int n = far < 2.0 ? 120 : 60; n >= 1; n--)
            fraction = far + 0.5 * n / fraction;
        share = 1.0 - 0x1.20dd750429b6dp-1 * exp_minus_square(far) / fraction;
    } else {
        share = 1.0;
    }
    return x < 0 ? -share : share;
}

void sb_sincos_turns(double turns, double *sine, double *cosine) {
    int quarter = (int)(turns * 4.0 + 0.5);
    double a = (turns - quarter * 0.25) * 0x1.921fb54442d18p+2; /* |a| ≤ π/4 */
    double square = a * a;
    double s = 1.0, c = 1.0;
    for (int i = 17; i >= 3; i -= 2)
        s = 1.0 - square * s / (double)(i * (i - 1));
    for (int i = 18; i >= 2; i -= 2)
        c = 1.0 - square * c / (double)(i * (i - 1));
    s *= a;
    switch (quarter & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
        break;
    }
}

double sb_sqrt(double x) {
    return sqrt(x);
}
