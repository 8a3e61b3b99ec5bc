/* Stage 5, compare: one tensor's tally, made of those of ranges of its elements.
 *
 * The ranges are the same however elements arrive and whoever tallies them, so every way gives the
 * same bits. */
#ifndef SB_COMPARE_RANGES_H
#define SB_COMPARE_RANGES_H

#include "compare/tally.h"
#include "weights/stream.h"

enum { SB_RANGE = 256 * SB_BLOCK }; /* elements */

/* From pieces of any length, one after the other. */
struct sb_measure {
    struct sb_tally total, current;
};
void sb_measure_begin(struct sb_measure *measure, enum sb_dtype dtype,
                      const struct sb_tolerance *tolerance);
void sb_measure_add(struct sb_measure *measure, const void *a, const void *b, uint64_t n);
const struct sb_tally *sb_measure_end(struct sb_measure *measure); /* lent */

/* Elements of one side that lie where they can be read in any order. */
struct sb_lying {
    struct sb_bytes bytes;
    bool big_endian;
    uint64_t offset;
};

/* From both sides' files, by so many threads at most. NULL without memory. */
struct sb_ranges;
struct sb_ranges *sb_ranges_new(unsigned threads, const struct sb_tolerance *tolerance);
/* The tally of a whole tensor. The errors of reading, of several that of the first element. */
int sb_ranges_tally(struct sb_ranges *ranges, const struct sb_tensor_info *info,
                    const struct sb_lying *a, const struct sb_lying *b, struct sb_tally *tally,
                    struct sb_error *err);
void sb_ranges_free(struct sb_ranges *ranges); /* may be NULL */

#endif
