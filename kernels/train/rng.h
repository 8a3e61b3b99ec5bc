/* kernels, train: random numbers by counter, so that a stream is a pure function of its two seeds
 * and a position.
 *
 * Philox 4×32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.
 */
#ifndef SB_KERNELS_RNG_H
#define SB_KERNELS_RNG_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void sb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* One stream of 2^66 words. The global seed is Philox's key, the operation seed the upper half of
 * its counter: no two pairs share a stream, and the same pair is the same stream wherever it is
 * made. */
struct sb_stream {
    uint64_t global, operation, position; /* position: of the next block of four words */
    uint32_t words[4];
    unsigned left; /* words not yet given out */
};

/* TensorFlow's two-level seeding (tf.random.set_seed), of one program:
 *   both set:             the pair (global, operation)
 *   only the operation's: the pair (SB_DEFAULT_GLOBAL_SEED, operation)
 *   only the global:      the pair (global, 2^63 + n) for the n-th stream made so, from 0: another
 * stream for each, the same ones in the same program. As in TensorFlow, making one more shifts the
 * later ones neither:              both from the operating system's entropy */
struct sb_seeds {
    bool given;
    uint64_t global;
    uint64_t made; /* streams made from the global seed alone */
};

#define SB_DEFAULT_GLOBAL_SEED UINT64_C(87654321) /* TensorFlow's */
#define SB_OPERATION_SEED_MAX (UINT64_MAX >> 1)   /* the rest is for streams without one */

/* `operation`: NULL: not set. Fails only where the system has no entropy to give. */
int sb_seeds_stream(struct sb_seeds *seeds, const uint64_t *operation, struct sb_stream *stream,
                    struct sb_error *err);
struct sb_stream sb_stream_make(uint64_t global, uint64_t operation);

uint32_t sb_stream_u32(struct sb_stream *stream);
uint64_t sb_stream_u64(struct sb_stream *stream);
uint64_t sb_stream_below(struct sb_stream *stream, uint64_t bound); /* unbiased; bound ≥ 1 */
double sb_stream_uniform(struct sb_stream *stream);                 /* [0, 1), 53 bits */
/* Standard normal by Box and Muller, one of a pair each (the other is not kept). */
double sb_stream_normal(struct sb_stream *stream);

/* n numbers rounded to float: uniform in [low, high), or normal. */
void sb_stream_fill_uniform(struct sb_stream *stream, float low, float high, float *out, size_t n);
void sb_stream_fill_normal(struct sb_stream *stream, float *out, size_t n);

#endif
