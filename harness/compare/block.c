/* Stage 5, compare: unpacks blocks, one loop a type. See compare/block.h. */
#if defined(__GNUC__) && !defined(__clang__)
/* Neither flag changes a result: traps and errno are not used here. */
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif
#include "compare/block.h"

#include "compare/element.h"

#define UNPACK(name, bits_type, order, value)                                                      \
    SB_CLONES static void unpack_##name(struct sb_block *block, const void *a, const void *b,      \
                                        unsigned n) {                                              \
        const char *next_a = a, *next_b = b;                                                       \
        for (unsigned i = 0; i < n; i++) {                                                         \
            bits_type p, q;                                                                        \
            memcpy(&p, next_a + i * sizeof p, sizeof p);                                           \
            memcpy(&q, next_b + i * sizeof q, sizeof q);                                           \
            block->x[i] = sb_value_##value(p);                                                     \
            block->y[i] = sb_value_##value(q);                                                     \
            bits_type u = sb_ordered_##order##_##bits_type(p);                                     \
            bits_type v = sb_ordered_##order##_##bits_type(q);                                     \
            bits_type ulp = (bits_type)(u > v ? u - v : v - u);                                    \
            block->ulp[i] = ulp;                                                                   \
        }                                                                                          \
    }

SB_ELEMENTS(UNPACK)

typedef void unpack_function(struct sb_block *block, const void *a, const void *b, unsigned n);

#define ENTRY(name, bits_type, order, value) [name] = unpack_##name,
static unpack_function *const unpack_functions[SB_N_DTYPES] = {SB_ELEMENTS(ENTRY)};

/* The seed keeps zeros from hashing to zero, where they would not count. */
#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t hash_bits(uint64_t bits) {
    return sb_mix(bits + HASH_SEED);
}

#define SUM_HASHES(bits_type)                                                                      \
    SB_CLONES static uint64_t sum_hashes_##bits_type(const void *a, const void *b) {               \
        uint64_t sum = 0;                                                                          \
        for (unsigned i = 0; i < SB_BLOCK; i++) {                                                  \
            bits_type p, q;                                                                        \
            memcpy(&p, (const char *)a + i * sizeof p, sizeof p);                                  \
            memcpy(&q, (const char *)b + i * sizeof q, sizeof q);                                  \
            sum += hash_bits(p) - hash_bits(q);                                                    \
        }                                                                                          \
        return sum;                                                                                \
    }

SUM_HASHES(uint8_t)
SUM_HASHES(uint16_t)
SUM_HASHES(uint32_t)
SUM_HASHES(uint64_t)

static inline uint64_t hash_pair(const void *element) {
    uint64_t parts[2];
    memcpy(parts, element, sizeof parts);
    return hash_bits(parts[0] + sb_mix(parts[1] + 1));
}

static uint64_t sum_hashes_pair(const void *a, const void *b) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < SB_BLOCK; i++)
        sum += hash_pair((const char *)a + 16 * i) - hash_pair((const char *)b + 16 * i);
    return sum;
}

static uint64_t sum_hashes(const void *a, const void *b, size_t n_bytes) {
    switch (n_bytes) {
    case 1:
        return sum_hashes_uint8_t(a, b);
    case 2:
        return sum_hashes_uint16_t(a, b);
    case 4:
        return sum_hashes_uint32_t(a, b);
    case 8:
        return sum_hashes_uint64_t(a, b);
    default:
        return sum_hashes_pair(a, b);
    }
}

uint64_t sb_element_hash(const void *element, size_t n_bytes) {
    uint64_t bits = 0;
    if (n_bytes == SB_LARGEST_ELEMENT)
        return hash_pair(element);
    memcpy(&bits, element, n_bytes);
    return hash_bits(bits);
}

SB_CLONES static void measure_floats(struct sb_block *block) {
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        block->gap[i] = fabs(block->x[i] - block->y[i]);
        block->size[i] = fabs(block->y[i]);
    }
}

/* The difference of two 64-bit integers is exact as their distance, not as a difference of doubles.
 */
SB_CLONES static void measure_integers(struct sb_block *block) {
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        block->gap[i] = (double)block->ulp[i];
        block->size[i] = fabs(block->y[i]);
    }
}

static void measure_complex(struct sb_block *block) {
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        const double *x = &block->x[2 * i], *y = &block->y[2 * i];
        block->gap[i] = hypot(x[0] - y[0], x[1] - y[1]);
        block->size[i] = hypot(y[0], y[1]);
        const uint64_t *parts = &block->ulp[2 * i];
        block->ulp[i] = parts[0] > parts[1] ? parts[0] : parts[1];
    }
}

void sb_block_unpack(struct sb_block *block, enum sb_dtype dtype, const void *a, const void *b) {
    unsigned n_parts = sb_resolutions[dtype].n_parts;
    unpack_functions[dtype](block, a, b, n_parts * SB_BLOCK);
    if (n_parts == 2)
        measure_complex(block);
    else if (sb_resolutions[dtype].is_float)
        measure_floats(block);
    else
        measure_integers(block);
    block->multiset = sum_hashes(a, b, sb_dtype_size(dtype));
}
