/* Stage 5, compare: single elements: their order, their value, and what their type can resolve. */
#ifndef SB_COMPARE_ELEMENT_H
#define SB_COMPARE_ELEMENT_H

#include <samebits/weights.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* What a type can tell apart. Of complex types: of one part. */
struct sb_resolution {
    unsigned char n_parts; /* 2 for complex types */
    bool is_float;
    double epsilon;    /* 1's distance to the next number; 0 for integers and bool */
    double min_normal; /* below it floats lose relative precision; 0 for integers and bool */
    double rtol, atol; /* defaults: torch.testing.assert_close's table */
};

extern const struct sb_resolution sb_resolutions[SB_N_DTYPES];

/* Bits as an unsigned integer in the order of the values they stand for, so that neighbours are 1
 * apart and +0 follows -0. */
#define SB_ORDERED(bits_type)                                                                      \
    static inline bits_type sb_ordered_float_##bits_type(bits_type bits) {                         \
        const bits_type sign = (bits_type)((bits_type)1 << (8 * sizeof bits - 1));                 \
        return (bits_type)(bits & sign ? (bits_type)~bits : (bits_type)(bits | sign));             \
    }                                                                                              \
    static inline bits_type sb_ordered_signed_##bits_type(bits_type bits) {                        \
        return (bits_type)(bits ^ (bits_type)((bits_type)1 << (8 * sizeof bits - 1)));             \
    }                                                                                              \
    static inline bits_type sb_ordered_unsigned_##bits_type(bits_type bits) {                      \
        return bits;                                                                               \
    }

SB_ORDERED(uint8_t)
SB_ORDERED(uint16_t)
SB_ORDERED(uint32_t)
SB_ORDERED(uint64_t)
#undef SB_ORDERED

static inline double sb_double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint64_t sb_bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A small float without branches: its exponent and mantissa stand in a double's fields, off by a
 * factor that a multiplication with a power of two makes good, exactly and for subnormals too. */
static inline double sb_small_float(uint64_t magnitude, bool negative, unsigned mantissa_bits,
                                    double factor, uint64_t infinity) {
    double value = sb_double_of_bits(magnitude << (52 - mantissa_bits)) * factor;
    uint64_t bits = sb_bits_of_double(value);
    bits |= magnitude >= infinity ? UINT64_C(0x7ff) << 52 : 0;
    bits |= magnitude > infinity ? UINT64_C(1) << 51 : 0;
    return sb_double_of_bits(bits | (uint64_t)negative << 63);
}

static inline double sb_value_f16(uint16_t bits) {
    return sb_small_float(bits & 0x7fff, bits >> 15, 10, 0x1p1008, 0x7c00);
}

static inline double sb_value_f32(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline double sb_value_bf16(uint16_t bits) {
    return sb_value_f32((uint32_t)bits << 16);
}

/* OCP's e4m3fn: no infinities, 0x7f is its one NaN. */
static inline double sb_value_f8_e4m3(uint8_t bits) {
    double value = sb_small_float(bits & 0x7f, bits >> 7, 3, 0x1p1016, 0x80);
    return (bits & 0x7f) == 0x7f ? (double)NAN : value;
}

static inline double sb_value_f8_e5m2(uint8_t bits) {
    return sb_small_float(bits & 0x7f, bits >> 7, 2, 0x1p1008, 0x7c);
}

#define sb_value_f64(bits) sb_double_of_bits(bits)
#define sb_value_u8(bits) ((double)(bits))
#define sb_value_u16(bits) ((double)(bits))
#define sb_value_u32(bits) ((double)(bits))
#define sb_value_u64(bits) ((double)(bits))
#define sb_value_i8(bits) ((double)(int8_t)(bits))
#define sb_value_i16(bits) ((double)(int16_t)(bits))
#define sb_value_i32(bits) ((double)(int32_t)(bits))
#define sb_value_i64(bits) ((double)(int64_t)(bits))

/* Every type: dtype, bits of one part, order, value. */
#define SB_ELEMENTS(X)                                                                             \
    X(SB_DTYPE_BOOL, uint8_t, unsigned, u8)                                                        \
    X(SB_DTYPE_I8, uint8_t, signed, i8)                                                            \
    X(SB_DTYPE_I16, uint16_t, signed, i16)                                                         \
    X(SB_DTYPE_I32, uint32_t, signed, i32)                                                         \
    X(SB_DTYPE_I64, uint64_t, signed, i64)                                                         \
    X(SB_DTYPE_U8, uint8_t, unsigned, u8)                                                          \
    X(SB_DTYPE_U16, uint16_t, unsigned, u16)                                                       \
    X(SB_DTYPE_U32, uint32_t, unsigned, u32)                                                       \
    X(SB_DTYPE_U64, uint64_t, unsigned, u64)                                                       \
    X(SB_DTYPE_F16, uint16_t, float, f16)                                                          \
    X(SB_DTYPE_BF16, uint16_t, float, bf16)                                                        \
    X(SB_DTYPE_F32, uint32_t, float, f32)                                                          \
    X(SB_DTYPE_F64, uint64_t, float, f64)                                                          \
    X(SB_DTYPE_F8_E4M3, uint8_t, float, f8_e4m3)                                                   \
    X(SB_DTYPE_F8_E5M2, uint8_t, float, f8_e5m2)                                                   \
    X(SB_DTYPE_C64, uint32_t, float, f32)                                                          \
    X(SB_DTYPE_C128, uint64_t, float, f64)

#endif
