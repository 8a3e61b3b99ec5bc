/* Stage 5, compare: puts a comparison's tensors in order and sums them up. */
#ifndef SB_COMPARE_COMPARISON_H
#define SB_COMPARE_COMPARISON_H

#include <samebits/compare.h>

/* Sorts the tensors worst first and sets n_different, grade and shape from them. */
void sb_comparison_finish(struct sb_comparison *comparison);

#endif
