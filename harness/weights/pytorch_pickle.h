/* Stage 4, weights: the tensors that a pickle of torch.save speaks of. */
#ifndef SB_WEIGHTS_PYTORCH_PICKLE_H
#define SB_WEIGHTS_PYTORCH_PICKLE_H

#include "weights/pickle.h"

#include <samebits/weights.h>

/* One tensor: a view of a storage, which is a member of the archive. */
struct sb_pytorch_tensor {
    struct sb_tensor_info info;    /* owns its name */
    const char *key;               /* of the storage: member "<root>/data/<key>"; borrowed */
    uint64_t offset;               /* of the first element, in elements */
    uint64_t strides[SB_MAX_RANK]; /* in elements */
    const char *ignored;           /* why it is none that can be read (sparse, quantised); NULL */
};

struct sb_pytorch_tensors {
    struct sb_pytorch_tensor *items; /* in byte order of their names */
    size_t n, room;
};

/* Names are the keys on the way to a tensor, joined by '/', places in lists by number. What is no
 * tensor is passed over, with its name to sink->ignored. -EBADMSG: damaged, or tensors that are
 * inside of an object of another class, which is named. */
int sb_pytorch_tensors_find(const struct sb_pickle_tree *tree, struct sb_tensor_sink *sink,
                            struct sb_pytorch_tensors *tensors, struct sb_error *err);
void sb_pytorch_tensors_clear(struct sb_pytorch_tensors *tensors);

#endif
