/* kernels: see half.h. */
#include "kernels/half.h"

#include <math.h>

struct format {
    int fraction_bits, min_exponent, max_exponent; /* of normal numbers 1.f × 2^e */
};
static const struct format f16 = {10, -14, 15}, bf16 = {7, -126, 127};

static double value_of(const struct format *format, uint16_t bits) {
    int field = (bits & 0x7fff) >> format->fraction_bits;
    int fraction = bits & ((1 << format->fraction_bits) - 1);
    double magnitude;
    if (field == format->max_exponent + 1 - format->min_exponent + 1)
        magnitude = fraction ? (double)NAN : (double)INFINITY;
    else if (field == 0)
        magnitude = ldexp(fraction, format->min_exponent - format->fraction_bits);
    else
        magnitude = ldexp(fraction + (1 << format->fraction_bits),
                          field - 1 + format->min_exponent - format->fraction_bits);
    return bits & 0x8000 ? -magnitude : magnitude;
}

/* In units of the last place that the value has in the format: rint rounds those as IEEE does, and
 * what is rounded up to the next power of two carries into the exponent field by itself. */
static uint16_t round_to(const struct format *format, double value) {
    uint16_t sign = signbit(value) ? 0x8000 : 0;
    uint16_t infinite =
        (uint16_t)((format->max_exponent + 2 - format->min_exponent) << format->fraction_bits);
    if (isnan(value))
        return (uint16_t)(infinite | 1 << (format->fraction_bits - 1));
    int exponent = value == 0 || isinf(value) ? format->min_exponent : ilogb(value);
    if (isinf(value) || exponent > format->max_exponent)
        return sign | infinite;
    if (exponent < format->min_exponent)
        exponent = format->min_exponent;
    int units = (int)rint(ldexp(fabs(value), format->fraction_bits - exponent));
    return (uint16_t)(sign |
                      (units + ((exponent - format->min_exponent) << format->fraction_bits)));
}

double sb_f16_value(uint16_t bits) {
    return value_of(&f16, bits);
}

double sb_bf16_value(uint16_t bits) {
    return value_of(&bf16, bits);
}

uint16_t sb_f16_round(double value) {
    return round_to(&f16, value);
}

uint16_t sb_bf16_round(double value) {
    return round_to(&bf16, value);
}
