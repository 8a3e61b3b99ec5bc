/* Stage 2, matrix: SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed
 * everywhere. */
#ifndef SB_MATRIX_RANDOM_H
#define SB_MATRIX_RANDOM_H

#include <stdint.h>

static inline uint64_t sb_random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Uniform in [0, n), n ≥ 1: values that would favour the low numbers are drawn again. */
static inline uint64_t sb_random_below(uint64_t *state, uint64_t n) {
    uint64_t reject = -n % n; /* 2^64 mod n */
    uint64_t value;
    do {
        value = sb_random_next(state);
    } while (value < reject);
    return value % n;
}

#endif
