/* kernels: the 16-bit floating point types, as the bits that memory holds. */
#ifndef SB_KERNELS_HALF_H
#define SB_KERNELS_HALF_H

#include <stdint.h>

/* IEEE 754 binary16 and bfloat16 (the upper half of a binary32). Every value is exact in double.
 * Rounding is to nearest, ties to even, once; too large is infinite; a NaN becomes the quiet one.
 */
double sb_f16_value(uint16_t bits);
double sb_bf16_value(uint16_t bits);
uint16_t sb_f16_round(double value);
uint16_t sb_bf16_round(double value);

#endif
