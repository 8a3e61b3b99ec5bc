/* Stage 5, compare: two sets of files tensor by tensor, in one pass and in bounded memory. */
#ifndef SB_COMPARE_MERGE_H
#define SB_COMPARE_MERGE_H

#include "weights/reading.h"

#include <samebits/compare.h>

struct sb_merge {
    const struct sb_weights_file *const
        *files[2]; /* of sides a and b, in order of their prefixes */
    size_t n_files[2];
    const struct sb_weights_options *options; /* may be NULL */
    struct sb_tolerance tolerance;
    void *context;
    /* Once a tensor, in the order of prefix and name. The difference and what it points to are
     * lent. */
    int (*tensor)(void *context, const struct sb_tensor_difference *difference,
                  struct sb_error *err);
    /* Later, of the tensor that came `index`th (from 0): the axis along which it is permuted. */
    int (*axis)(void *context, uint64_t index, int axis, struct sb_error *err);
};

/* Reads all files once, and those with permuted tensors a second time. -ENODATA naming a side's
 * first file where that side has no tensor. */
int sb_merge_run(const struct sb_merge *merge, struct sb_error *err);

#endif
