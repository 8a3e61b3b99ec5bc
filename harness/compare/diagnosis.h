/* Stage 5, compare: what a tally says: its grade, and the shape of the difference (DESIGN 4.5). */
#ifndef SB_COMPARE_DIAGNOSIS_H
#define SB_COMPARE_DIAGNOSIS_H

#include "compare/tally.h"

/* Fills `difference` from an ended tally over all of the tensor's elements. info is copied, and its
 * name stays the caller's. permuted_axis is left at -1 unless sb_only_axis knows it. */
void sb_diagnose(const struct sb_tally *tally, const struct sb_tensor_info *info,
                 struct sb_tensor_difference *difference);

/* The one axis that is longer than 1; -1 where there is none or several. */
int sb_only_axis(const struct sb_tensor_info *info);

#endif
