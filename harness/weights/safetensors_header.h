/* Stage 4, weights: what a safetensors file has. https://github.com/huggingface/safetensors#format
 */
#ifndef SB_WEIGHTS_SAFETENSORS_HEADER_H
#define SB_WEIGHTS_SAFETENSORS_HEADER_H

#include "weights/entries.h"

enum {
    SB_SAFETENSORS_MOST_HEADER = 100000000
}; /* the reference implementation's limit, in bytes */

/* Lists its tensors, in no order, in a list that is empty: where in the file each lies. -EBADMSG
 * where they leave holes, or anything else is wrong. */
int sb_safetensors_list(const struct sb_bytes *bytes, struct sb_entries *entries,
                        struct sb_error *err);

#endif
