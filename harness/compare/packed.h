/* Stage 5, compare: what was found out about a tensor, in as few bytes as it needs: weights have up
 * to millions of them. */
#ifndef SB_COMPARE_PACKED_H
#define SB_COMPARE_PACKED_H

#include <samebits/compare.h>

/* Packs a copy, name and `changed` included. 0 or -ENOMEM. Freed by sb_packed_clear. */
int sb_packed_make(const struct sb_tensor_difference *difference,
                   struct sb_packed_difference *packed);
void sb_packed_clear(struct sb_packed_difference *packed);

const char *sb_packed_name(const struct sb_packed_difference *packed);

/* Spreads it out again. Name and `changed` are borrowed from `packed`. */
void sb_packed_spread(const struct sb_packed_difference *packed,
                      struct sb_tensor_difference *difference);

#endif
