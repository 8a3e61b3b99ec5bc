/* Stage 5, compare: along which axis were a tensor's slices permuted? Needs a pass of its own. */
#ifndef SB_COMPARE_SLICES_H
#define SB_COMPARE_SLICES_H

#include <samebits/compare.h>

/* Sums of element hashes, one a slice, axis and side. An element's hash takes in where it stands
 * within its slice, but not which slice that is. */
struct sb_slices {
    const struct sb_tensor_info *info;
    size_t element_bytes;
    unsigned n_axes; /* that are looked at: longer than 1, and not too long */
    unsigned axes[SB_MAX_RANK];
    uint64_t stride[SB_MAX_RANK]; /* of these: elements between neighbours */
    uint64_t *sums[2][SB_MAX_RANK];
    uint64_t *memory;
    uint64_t place; /* of the next element */
};

/* info is borrowed. -ENOMEM. */
int sb_slices_begin(struct sb_slices *slices, const struct sb_tensor_info *info);
void sb_slices_add(struct sb_slices *slices, const void *a, const void *b, uint64_t n);
/* The first axis along which both sides have the same slices in whatever order, or -1. */
int sb_slices_axis(struct sb_slices *slices);
void sb_slices_clear(struct sb_slices *slices);

#endif
