/* Stage 4, weights: the table of element types, and elements as exact doubles. */
#include "weights/element.h"

#include <math.h>
#include <string.h>

const char *const sb_dtype_names[SB_N_DTYPES] = {
    [SB_DTYPE_BOOL] = "bool", [SB_DTYPE_I8] = "i8",           [SB_DTYPE_I16] = "i16",
    [SB_DTYPE_I32] = "i32",   [SB_DTYPE_I64] = "i64",         [SB_DTYPE_U8] = "u8",
    [SB_DTYPE_U16] = "u16",   [SB_DTYPE_U32] = "u32",         [SB_DTYPE_U64] = "u64",
    [SB_DTYPE_F16] = "f16",   [SB_DTYPE_BF16] = "bf16",       [SB_DTYPE_F32] = "f32",
    [SB_DTYPE_F64] = "f64",   [SB_DTYPE_F8_E4M3] = "f8_e4m3", [SB_DTYPE_F8_E5M2] = "f8_e5m2",
    [SB_DTYPE_C64] = "c64",   [SB_DTYPE_C128] = "c128",
};

size_t sb_dtype_size(enum sb_dtype dtype) {
    static const unsigned char sizes[SB_N_DTYPES] = {
        [SB_DTYPE_BOOL] = 1,  [SB_DTYPE_I8] = 1,      [SB_DTYPE_I16] = 2,     [SB_DTYPE_I32] = 4,
        [SB_DTYPE_I64] = 8,   [SB_DTYPE_U8] = 1,      [SB_DTYPE_U16] = 2,     [SB_DTYPE_U32] = 4,
        [SB_DTYPE_U64] = 8,   [SB_DTYPE_F16] = 2,     [SB_DTYPE_BF16] = 2,    [SB_DTYPE_F32] = 4,
        [SB_DTYPE_F64] = 8,   [SB_DTYPE_F8_E4M3] = 1, [SB_DTYPE_F8_E5M2] = 1, [SB_DTYPE_C64] = 8,
        [SB_DTYPE_C128] = 16,
    };
    return sizes[dtype];
}

size_t sb_dtype_part_size(enum sb_dtype dtype) {
    return sb_dtype_is_complex(dtype) ? sb_dtype_size(dtype) / 2 : sb_dtype_size(dtype);
}

bool sb_dtype_is_complex(enum sb_dtype dtype) {
    return dtype == SB_DTYPE_C64 || dtype == SB_DTYPE_C128;
}

bool sb_dtype_is_float(enum sb_dtype dtype) {
    return dtype >= SB_DTYPE_F16;
}

static double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The value of a small float: sign, exponent and mantissa bits from the top, IEEE subnormals, and
 * an all-ones exponent for infinity and NaN. Every such value is a double. */
static double small_float(unsigned bits, unsigned exponent_bits, unsigned mantissa_bits) {
    unsigned mantissa = bits & ((1u << mantissa_bits) - 1);
    unsigned top = (1u << exponent_bits) - 1;
    unsigned exponent = (bits >> mantissa_bits) & top;
    int bias = (int)(top >> 1);
    double value;
    if (exponent == top)
        value = mantissa ? (double)NAN : HUGE_VAL;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - bias - (int)mantissa_bits);
    else
        value = double_of_bits((uint64_t)((int)exponent - bias + 1023) << 52 |
                               (uint64_t)mantissa << (52 - mantissa_bits));
    return bits >> (exponent_bits + mantissa_bits) & 1 ? -value : value;
}

/* e4m3 is the "fn" variant of the OCP 8-bit format: no infinity, and one NaN a sign (0x7f, 0xff).
 */
static double e4m3(unsigned bits) {
    if ((bits & 0x7f) == 0x7f)
        return (double)NAN;
    if ((bits & 0x78) == 0x78) { /* an exponent of all ones is a number here: 256 … 448 */
        double value = ldexp(8 + (bits & 7), 8 - 3);
        return bits & 0x80 ? -value : value;
    }
    return small_float(bits, 4, 3);
}

#define LOAD(type)                                                                                 \
    ({                                                                                             \
        type loaded_;                                                                              \
        memcpy(&loaded_, element, sizeof loaded_);                                                 \
        loaded_;                                                                                   \
    })

double sb_element_double(enum sb_dtype dtype, const void *element) {
    switch (dtype) {
    case SB_DTYPE_BOOL:
        return LOAD(uint8_t) != 0;
    case SB_DTYPE_I8:
        return LOAD(int8_t);
    case SB_DTYPE_I16:
        return LOAD(int16_t);
    case SB_DTYPE_I32:
        return LOAD(int32_t);
    case SB_DTYPE_I64:
        return (double)LOAD(int64_t);
    case SB_DTYPE_U8:
        return LOAD(uint8_t);
    case SB_DTYPE_U16:
        return LOAD(uint16_t);
    case SB_DTYPE_U32:
        return LOAD(uint32_t);
    case SB_DTYPE_U64:
        return (double)LOAD(uint64_t);
    case SB_DTYPE_F16:
        return small_float(LOAD(uint16_t), 5, 10);
    case SB_DTYPE_BF16: {
        uint32_t bits = (uint32_t)LOAD(uint16_t) << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    case SB_DTYPE_F32:
    case SB_DTYPE_C64:
        return LOAD(float);
    case SB_DTYPE_F64:
    case SB_DTYPE_C128:
        return LOAD(double);
    case SB_DTYPE_F8_E4M3:
        return e4m3(LOAD(uint8_t));
    case SB_DTYPE_F8_E5M2:
        return small_float(LOAD(uint8_t), 5, 2);
    case SB_N_DTYPES:
        break;
    }
    return 0;
}

bool sb_element_is_zero(enum sb_dtype dtype, const void *element) {
    if (sb_element_double(dtype, element) != 0)
        return false;
    const char *imaginary = (const char *)element + sb_dtype_part_size(dtype);
    return !sb_dtype_is_complex(dtype) || sb_element_double(dtype, imaginary) == 0;
}

bool sb_element_is_nan(enum sb_dtype dtype, const void *element) {
    if (isnan(sb_element_double(dtype, element)))
        return true;
    const char *imaginary = (const char *)element + sb_dtype_part_size(dtype);
    return sb_dtype_is_complex(dtype) && isnan(sb_element_double(dtype, imaginary));
}
