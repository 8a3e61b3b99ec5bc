/* Stage 5, compare: one block of element pairs, unpacked for the loops that all types share. */
#ifndef SB_COMPARE_BLOCK_H
#define SB_COMPARE_BLOCK_H

#include "base/sanitizer.h"
#include "compare/tally.h"

/* For loops over a whole block, whose constant length lets compilers turn them into vector code.
 * avx2 brings no fused multiply-add with it: every machine computes the same bits. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(SB_ADDRESS_SANITIZER) && !defined(SB_THREAD_SANITIZER)
#define SB_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SB_CLONES
#endif

struct sb_block {
    double x[2 * SB_BLOCK], y[2 * SB_BLOCK]; /* values of a and b; parts of complex ones in turn */
    uint64_t ulp[2 * SB_BLOCK];              /* ordered-integer distances; 0: the same bits */
    double gap[SB_BLOCK];                    /* |a - b| */
    double size[SB_BLOCK];                   /* |b| */
    uint64_t multiset;                       /* this block's share of sb_tally.multiset */
};

/* Fills a block from SB_BLOCK elements of each side. Complex elements keep their parts in x and y;
 * ulp holds one distance an element, the larger of the parts'. */
void sb_block_unpack(struct sb_block *block, enum sb_dtype dtype, const void *a, const void *b);

/* A hash of an element's bits of n_bytes 1, 2, 4, 8 or 16, for sums that know no order. */
uint64_t sb_element_hash(const void *element, size_t n_bytes);

/* Finalizer of splitmix64 (Steele, Lea, Flood 2014): a bijection in which every bit depends on all.
 */
static inline uint64_t sb_mix(uint64_t bits) {
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

#endif
