/* kernels, train: what one kind of dataset is made of. */
#ifndef SB_KERNELS_DATASET_INTERNAL_H
#define SB_KERNELS_DATASET_INTERNAL_H

#include "kernels/train/dataset.h"

#include <stdatomic.h>

/* One kind of dataset: how an iteration begins, goes on and ends. `state` is the kind's own. */
struct sb_dataset_kind {
    bool opens_input; /* the iterator's input is opened before `open` and closed after `close` */
    int (*open)(struct sb_iterator *iterator, struct sb_error *err);
    int (*next)(struct sb_iterator *iterator, void *items, size_t *n, struct sb_error *err);
    void (*close)(struct sb_iterator *iterator);
};

struct sb_dataset {
    const struct sb_dataset_kind *kind;
    struct sb_dataset *input;
    size_t item_size, max_items;
    uint64_t count; /* range: elements; shuffle, prefetch: buffer; batch: size */
    int64_t repeats;
    bool flag; /* shuffle: reshuffle; batch: drop the remainder; map: deterministic */
    struct sb_stream seeds;
    atomic_uint_least64_t iterations; /* begun so far */
    unsigned threads;
    sb_map_function *function;
    void *context;
};

struct sb_iterator {
    struct sb_dataset *dataset;
    struct sb_iterator *input;
    void *state;
};

/* A dataset of a kind over an input, with the input's sizes of items. Frees the input on failure.
 */
int sb_dataset_make(const struct sb_dataset_kind *kind, struct sb_dataset *input,
                    struct sb_dataset **dataset, struct sb_error *err);

#endif
