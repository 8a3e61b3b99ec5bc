/* kernels, train: an input pipeline with the semantics of tf.data.
 *
 * A dataset describes a sequence of elements; an iterator walks it once, and several may walk one
 * dataset. An element is one item of a fixed size or, behind a batch, several. Each function takes
 * its input over, on failure too. */
#ifndef SB_KERNELS_DATASET_H
#define SB_KERNELS_DATASET_H

#include "kernels/train/rng.h"

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_dataset;
struct sb_iterator;

void sb_dataset_free(struct sb_dataset *dataset);
size_t sb_dataset_item_size(const struct sb_dataset *dataset);
size_t sb_dataset_max_items(const struct sb_dataset *dataset); /* of one element */

/* 0, 1, … n − 1 as uint64_t. */
int sb_dataset_range(uint64_t n, struct sb_dataset **dataset, struct sb_error *err);

/* Draws each element from a buffer of `buffer_size` items (≥ 1), whose place the next input takes:
 * a buffer of 1 keeps the order, one of the dataset's size gives every permutation. With
 * `reshuffle`, every iteration over the dataset has another order, the n-th always the same one;
 * without, all have the first's. */
int sb_dataset_shuffle(struct sb_dataset *input, size_t buffer_size, struct sb_stream seeds,
                       bool reshuffle, struct sb_dataset **dataset, struct sb_error *err);

int sb_dataset_batch(struct sb_dataset *input, size_t size, bool drop_remainder,
                     struct sb_dataset **dataset, struct sb_error *err);

/* `count` iterations of the input one after the other; negative: for ever. */
int sb_dataset_repeat(struct sb_dataset *input, int64_t count, struct sb_dataset **dataset,
                      struct sb_error *err);

/* function(context, input item, output item) on every item, by `threads` threads (from 1) at once.
 * Deterministic: in the order of the input; else in the order in which results arrive. */
typedef int sb_map_function(void *context, const void *in, void *out);
int sb_dataset_map(struct sb_dataset *input, size_t item_size, sb_map_function *function,
                   void *context, unsigned threads, bool deterministic, struct sb_dataset **dataset,
                   struct sb_error *err);

/* A thread that stays up to n elements ahead (n ≥ 1). Changes no order. */
int sb_dataset_prefetch(struct sb_dataset *input, size_t n, struct sb_dataset **dataset,
                        struct sb_error *err);

/* Begins one iteration. The dataset must outlive it. */
int sb_iterator_open(struct sb_dataset *dataset, struct sb_iterator **iterator,
                     struct sb_error *err);
/* 1: an element of *n items was written to `items` (room for sb_dataset_max_items); 0: the end. */
int sb_iterator_next(struct sb_iterator *iterator, void *items, size_t *n, struct sb_error *err);
void sb_iterator_close(struct sb_iterator *iterator);

#endif
