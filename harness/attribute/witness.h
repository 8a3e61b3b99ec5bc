/* Stage 6, private: two runs with different bits that differ in as few axes as possible. */
#ifndef SB_ATTRIBUTE_WITNESS_H
#define SB_ATTRIBUTE_WITNESS_H

#include "attribute/view.h"

/* Indices of trials a < b, the lowest of all pairs that differ in as few axes; both SIZE_MAX where
 * no two runs differ. *axes: in which they differ, 0 for one cell. 0 or -ENOMEM. */
int sb_witness_find(const struct sb_view *view, size_t *a, size_t *b, sb_mask *axes);

#endif
