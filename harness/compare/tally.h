/* Stage 5, compare: everything that one pass over two tensors' elements finds out, in pieces.
 *
 * Elements are taken up in blocks of a fixed size counted from the tensor's beginning, so that the
 * pieces in which they come change no bit of the outcome. */
#ifndef SB_COMPARE_TALLY_H
#define SB_COMPARE_TALLY_H

#include <samebits/compare.h>

enum {
    SB_BLOCK = 256, /* elements: a block's working arrays stay in the first-level cache */
    SB_LARGEST_ELEMENT = 16,
};

/* Means and central second moments of the pairs (a, b). */
struct sb_moments {
    double n, mean_a, mean_b, aa, bb, ab;
};

/* Smallest and largest of a quantity; `alive` while they are near enough to each other for one
 * number to explain all of them. */
struct sb_spread {
    bool alive;
    double least, most;
};

struct sb_tally {
    enum sb_dtype dtype;
    struct sb_tolerance tolerance; /* defaults filled in */
    uint64_t start;                /* index of the first element taken up here */
    uint64_t n;                    /* elements taken up */
    uint64_t n_different;
    uint64_t n_signs;   /* of the different: +0 against -0, or two NaN */
    uint64_t n_broken;  /* of the different: finite on one side alone */
    uint64_t n_outside; /* 0: all within the tolerance */
    uint64_t n_steady;  /* elements that `ratio` was taken from */
    uint64_t first, worst;
    double max_abs, max_rel;
    uint64_t max_ulp;
    bool infinite_ulp;
    uint64_t histogram[SB_ULP_BUCKETS];
    double max_a, max_b; /* largest magnitudes among the different that are finite on both sides */
    uint64_t multiset;   /* sum of a's element hashes less sum of b's, modulo 2^64: 0 where the
                            same bits stand on both sides in whatever order */
    struct sb_spread ratio;    /* (a - b) / b */
    struct sb_spread offset;   /* a - b */
    struct sb_moments moments; /* of the different that are finite on both sides */
    unsigned n_staged;         /* elements of an unfinished block */
    unsigned char staged_a[SB_BLOCK * SB_LARGEST_ELEMENT];
    unsigned char staged_b[SB_BLOCK * SB_LARGEST_ELEMENT];
};

/* `start` must be a multiple of SB_BLOCK. */
void sb_tally_begin(struct sb_tally *tally, enum sb_dtype dtype,
                    const struct sb_tolerance *tolerance, uint64_t start);
/* The next n elements of both sides, of any alignment. */
void sb_tally_add(struct sb_tally *tally, const void *a, const void *b, uint64_t n);
/* Takes up what is staged; nothing may be added after it. */
void sb_tally_end(struct sb_tally *tally);
/* Joins an ended tally of the elements right behind `tally`'s. For ranges that were tallied at the
 * same time: the outcome is the same for the same ranges, whoever finished first. */
void sb_tally_merge(struct sb_tally *tally, const struct sb_tally *next);

/* Correlation of the differing pairs; NAN where a side is constant. */
double sb_tally_correlation(const struct sb_tally *tally);

#endif
