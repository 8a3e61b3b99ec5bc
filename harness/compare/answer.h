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

/* The tensors in the order in which they were put, not finished. -EBADMSG where the bytes are no
 * answer, -ENOMEM; nothing is set then. */
int sb_answer_get(const struct sb_text *answer, struct sb_comparison *comparison);

#endif
