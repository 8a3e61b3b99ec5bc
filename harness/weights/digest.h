/* Stage 4, weights: digests of bytes and sums of elements, both fed piece by piece (DESIGN 6). */
#ifndef SB_WEIGHTS_DIGEST_H
#define SB_WEIGHTS_DIGEST_H

#include <samebits/weights.h>

/* A digest under way. _new returns NULL without memory, or without the library it needs. _finish
 * writes lower-case hex, XXH3 in its canonical form (high half first), and leaves the digest ready
 * for the next input. */
struct sb_digest;
struct sb_digest *sb_digest_new(enum sb_digest_kind kind);
void sb_digest_free(struct sb_digest *digest);
void sb_digest_add(struct sb_digest *digest, const void *bytes, size_t n);
int sb_digest_finish(struct sb_digest *digest, char text[SB_DIGEST_TEXT]);
/* Loads what digests of this kind need, before a sandbox closes. 0 or -ENOSYS. */
int sb_digest_prepare(enum sb_digest_kind kind, struct sb_error *err);

/* What is read at the most of files that nobody listed: a program, uncommitted changes. */
enum { SB_MOST_HASHED = 256 << 20 };

/* XXH3 of a file's bytes, from where `fd` stands to its end: of at most *left, which they are taken
 * from. -EFBIG where there are more. */
int sb_digest_file(int fd, uint64_t *left, char text[SB_DIGEST_TEXT]);

/* Sum of one tensor's elements: lane i of eight adds the elements i, i + 8, i + 16 …, each starting
 * at +0.0 and rounding every addition to float64; the lanes are then added as
 * ((l0 + l1) + (l2 + l3)) + ((l4 + l5) + (l6 + l7)). */
struct sb_sum {
    enum sb_dtype dtype;
    unsigned next; /* lane of the next element */
    double lanes[8];
    bool all_zero, all_nan; /* so far; both true at first */
};

void sb_sum_begin(struct sb_sum *sum, enum sb_dtype dtype);
void sb_sum_add(struct sb_sum *sum, const void *elements, uint64_t n);
double sb_sum_total(const struct sb_sum *sum);

#endif
