/* Stage 5, compare: a comparison as bytes, from the child that makes it to the parent. What comes
 * from the child is not trusted. */
#ifndef SB_COMPARE_ANSWER_H
#define SB_COMPARE_ANSWER_H

#include <samebits/compare.h>

#include "base/text.h"

void sb_answer_put_tensor(struct sb_text *answer, const struct sb_tensor_difference *difference);
void sb_answer_put_axis(struct sb_text *answer, uint64_t index, int axis);
/* Without it, an answer is not whole. */
void sb_answer_put_end(struct sb_text *answer);

/* What was put since the last time, as a block with its length before it: what can be sent.
 * `answer` is empty after it. Sets block->failed where memory is short. */
void sb_answer_block(struct sb_text *answer, struct sb_text *block);

/* Takes the whole blocks at the front of `received` into the comparison, which is not finished, in
 * the order in which they were put. 1: more must come; 0: that was all of it; -EBADMSG where the
 * bytes are no answer, -ENOMEM. */
int sb_answer_take(struct sb_text *received, struct sb_comparison *comparison);

#endif
