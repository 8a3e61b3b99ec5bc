/* kernels, train: datasets and iterators, and those kinds that need no threads. See dataset.h. */
#include "kernels/train/dataset_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int sb_dataset_make(const struct sb_dataset_kind *kind, struct sb_dataset *input,
                    struct sb_dataset **dataset, struct sb_error *err) {
    struct sb_dataset *made = calloc(1, sizeof *made);
    if (!made) {
        sb_dataset_free(input);
        return sb_error_errno(err, -ENOMEM, "dataset");
    }
    made->kind = kind;
    made->input = input;
    if (input) {
        made->item_size = input->item_size;
        made->max_items = input->max_items;
    }
    *dataset = made;
    return 0;
}

void sb_dataset_free(struct sb_dataset *dataset) {
    while (dataset) {
        struct sb_dataset *input = dataset->input;
        free(dataset);
        dataset = input;
    }
}

size_t sb_dataset_item_size(const struct sb_dataset *dataset) {
    return dataset->item_size;
}

size_t sb_dataset_max_items(const struct sb_dataset *dataset) {
    return dataset->max_items;
}

int sb_iterator_open(struct sb_dataset *dataset, struct sb_iterator **iterator,
                     struct sb_error *err) {
    struct sb_iterator *opened = calloc(1, sizeof *opened);
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "dataset");
    opened->dataset = dataset;
    int rc = 0;
    if (dataset->kind->opens_input)
        rc = sb_iterator_open(dataset->input, &opened->input, err);
    if (rc == 0)
        rc = dataset->kind->open(opened, err);
    if (rc < 0) {
        sb_iterator_close(opened->input);
        free(opened);
        return rc;
    }
    *iterator = opened;
    return 0;
}

int sb_iterator_next(struct sb_iterator *iterator, void *items, size_t *n, struct sb_error *err) {
    return iterator->dataset->kind->next(iterator, items, n, err);
}

void sb_iterator_close(struct sb_iterator *iterator) {
    if (!iterator)
        return;
    iterator->dataset->kind->close(iterator);
    sb_iterator_close(iterator->input);
    free(iterator);
}

static void close_state(struct sb_iterator *iterator) {
    free(iterator->state);
}

/* ---- range ----------------------------------------------------------------------------------- */

static int open_counter(struct sb_iterator *iterator, struct sb_error *err) {
    iterator->state = calloc(1, sizeof(uint64_t));
    return iterator->state ? 0 : sb_error_errno(err, -ENOMEM, "dataset");
}

static int next_of_range(struct sb_iterator *iterator, void *items, size_t *n,
                         struct sb_error *err) {
    (void)err;
    uint64_t *at = iterator->state;
    if (*at == iterator->dataset->count)
        return 0;
    memcpy(items, at, sizeof *at);
    ++*at;
    *n = 1;
    return 1;
}

int sb_dataset_range(uint64_t n, struct sb_dataset **dataset, struct sb_error *err) {
    static const struct sb_dataset_kind kind = {false, open_counter, next_of_range, close_state};
    int rc = sb_dataset_make(&kind, NULL, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->count = n;
    (*dataset)->item_size = sizeof(uint64_t);
    (*dataset)->max_items = 1;
    return 0;
}

/* ---- shuffle --------------------------------------------------------------------------------- */

struct shuffle {
    struct sb_stream stream;
    size_t held; /* elements in the buffer */
    bool ended;
    size_t *items; /* of each element: [buffer] */
    unsigned char data[];
};

static int open_shuffle(struct sb_iterator *iterator, struct sb_error *err) {
    struct sb_dataset *dataset = iterator->dataset;
    size_t element = dataset->item_size * dataset->max_items, buffer = dataset->count, bytes;
    if (__builtin_mul_overflow(buffer, element, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(struct shuffle), &bytes))
        return sb_error_set(err, -ENOMEM, "shuffle: a buffer of %zu elements is too large", buffer);
    struct shuffle *shuffle = calloc(1, bytes);
    size_t *items = calloc(buffer, sizeof *items);
    if (!shuffle || !items) {
        free(shuffle);
        free(items);
        return sb_error_errno(err, -ENOMEM, "shuffle");
    }
    shuffle->items = items;
    uint64_t iteration = atomic_fetch_add(&dataset->iterations, 1);
    /* The n-th iteration is shuffled by a stream of its own, whose seeds are the n-th numbers of
     * the dataset's. */
    struct sb_stream of_dataset = dataset->seeds;
    of_dataset.position = dataset->flag ? iteration : 0;
    uint64_t global = sb_stream_u64(&of_dataset);
    shuffle->stream = sb_stream_make(global, sb_stream_u64(&of_dataset));
    iterator->state = shuffle;
    return 0;
}

static int next_of_shuffle(struct sb_iterator *iterator, void *items, size_t *n,
                           struct sb_error *err) {
    struct shuffle *shuffle = iterator->state;
    size_t element = iterator->dataset->item_size * iterator->dataset->max_items;
    while (!shuffle->ended && shuffle->held < iterator->dataset->count) {
        int rc = sb_iterator_next(iterator->input, shuffle->data + shuffle->held * element,
                                  &shuffle->items[shuffle->held], err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            shuffle->ended = true;
        else
            shuffle->held++;
    }
    if (shuffle->held == 0)
        return 0;
    size_t drawn = (size_t)sb_stream_below(&shuffle->stream, shuffle->held);
    size_t last = --shuffle->held;
    *n = shuffle->items[drawn];
    memcpy(items, shuffle->data + drawn * element, *n * iterator->dataset->item_size);
    memmove(shuffle->data + drawn * element, shuffle->data + last * element, element);
    shuffle->items[drawn] = shuffle->items[last];
    return 1;
}

static void close_shuffle(struct sb_iterator *iterator) {
    struct shuffle *shuffle = iterator->state;
    free(shuffle->items);
    free(shuffle);
}

int sb_dataset_shuffle(struct sb_dataset *input, size_t buffer_size, struct sb_stream seeds,
                       bool reshuffle, struct sb_dataset **dataset, struct sb_error *err) {
    static const struct sb_dataset_kind kind = {true, open_shuffle, next_of_shuffle, close_shuffle};
    int rc = sb_dataset_make(&kind, input, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->count = buffer_size;
    (*dataset)->seeds = seeds;
    (*dataset)->flag = reshuffle;
    return 0;
}

/* ---- batch ----------------------------------------------------------------------------------- */

static int open_nothing(struct sb_iterator *iterator, struct sb_error *err) {
    (void)iterator, (void)err;
    return 0;
}

static int next_of_batch(struct sb_iterator *iterator, void *items, size_t *n,
                         struct sb_error *err) {
    const struct sb_dataset *dataset = iterator->dataset;
    uint64_t elements = 0;
    size_t filled = 0;
    for (; elements < dataset->count; elements++) {
        size_t more;
        int rc = sb_iterator_next(iterator->input, (char *)items + filled * dataset->item_size,
                                  &more, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
        filled += more;
    }
    if (elements == 0 || (elements < dataset->count && dataset->flag))
        return 0;
    *n = filled;
    return 1;
}

int sb_dataset_batch(struct sb_dataset *input, size_t size, bool drop_remainder,
                     struct sb_dataset **dataset, struct sb_error *err) {
    static const struct sb_dataset_kind kind = {true, open_nothing, next_of_batch, close_state};
    int rc = sb_dataset_make(&kind, input, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->count = size;
    (*dataset)->max_items *= size;
    (*dataset)->flag = drop_remainder;
    return 0;
}

/* ---- repeat ---------------------------------------------------------------------------------- */

/* The state counts iterations that ended. */
static int next_of_repeat(struct sb_iterator *iterator, void *items, size_t *n,
                          struct sb_error *err) {
    struct sb_dataset *dataset = iterator->dataset;
    uint64_t *ended = iterator->state;
    bool fresh = false;
    while (dataset->repeats < 0 || *ended < (uint64_t)dataset->repeats) {
        if (!iterator->input) {
            int rc = sb_iterator_open(dataset->input, &iterator->input, err);
            if (rc < 0)
                return rc;
            fresh = true;
        }
        int rc = sb_iterator_next(iterator->input, items, n, err);
        if (rc != 0)
            return rc;
        sb_iterator_close(iterator->input);
        iterator->input = NULL;
        ++*ended;
        if (fresh) /* an empty input repeats to nothing, for ever too */
            return 0;
    }
    return 0;
}

int sb_dataset_repeat(struct sb_dataset *input, int64_t count, struct sb_dataset **dataset,
                      struct sb_error *err) {
    static const struct sb_dataset_kind kind = {false, open_counter, next_of_repeat, close_state};
    int rc = sb_dataset_make(&kind, input, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->repeats = count;
    return 0;
}
