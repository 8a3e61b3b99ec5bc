/* kernels, train: the kinds of dataset that run threads, map and prefetch. See dataset.h. */
#include "kernels/train/dataset_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A slot of a window onto the sequence. */
enum slot_state { SLOT_FREE, SLOT_BUSY, SLOT_DONE };
struct slot {
    enum slot_state state;
    uint64_t
        number; /* BUSY: of the input; DONE: in the order in which elements are to be handed out */
    size_t items;
    unsigned char *in, *out;
};

/* Threads that fill slots, and a consumer that empties them in order of `number`. */
struct workers {
    pthread_mutex_t lock;  /* everything below */
    pthread_mutex_t input; /* one thread at a time reads the input; taken before `lock` */
    pthread_cond_t freed, done;
    struct sb_iterator *iterator;
    struct slot *slots;
    size_t n_slots;
    pthread_t *threads;
    unsigned n_threads;
    uint64_t read, arrived, given; /* elements */
    bool ended, stopping;
    int failed; /* a negative errno */
    struct sb_error err;
    unsigned char *memory;
};

static struct slot *find(struct workers *w, enum slot_state state, uint64_t number) {
    for (size_t i = 0; i < w->n_slots; i++) {
        if (w->slots[i].state == state && (state != SLOT_DONE || w->slots[i].number == number))
            return &w->slots[i];
    }
    return NULL;
}

/* Reads the next input into a free slot; NULL at the end. Numbers are given under the input's lock,
 * so that they follow its order. */
static struct slot *take(struct workers *w) {
    struct slot *slot = NULL;
    pthread_mutex_lock(&w->input);
    pthread_mutex_lock(&w->lock);
    while (!w->stopping && !w->ended && !(slot = find(w, SLOT_FREE, 0)))
        pthread_cond_wait(&w->freed, &w->lock);
    if (w->stopping || w->ended)
        slot = NULL;
    if (slot)
        slot->state = SLOT_BUSY;
    pthread_mutex_unlock(&w->lock);
    if (slot) {
        struct sb_error err = {0};
        int rc = sb_iterator_next(w->iterator->input, slot->in, &slot->items, &err);
        pthread_mutex_lock(&w->lock);
        if (rc == 1) {
            slot->number = w->read++;
        } else {
            slot->state = SLOT_FREE;
            slot = NULL;
            w->ended = true;
            if (rc < 0 && w->failed == 0) {
                w->failed = rc;
                w->err = err;
            }
            pthread_cond_broadcast(&w->freed);
            pthread_cond_broadcast(&w->done);
        }
        pthread_mutex_unlock(&w->lock);
    }
    pthread_mutex_unlock(&w->input);
    return slot;
}

static void *work(void *argument) {
    struct workers *w = argument;
    const struct sb_dataset *dataset = w->iterator->dataset;
    for (struct slot *slot; (slot = take(w));) {
        int rc = 0;
        for (size_t i = 0; dataset->function && rc == 0 && i < slot->items; i++)
            rc = dataset->function(dataset->context, slot->in + i * dataset->input->item_size,
                                   slot->out + i * dataset->item_size);
        pthread_mutex_lock(&w->lock);
        if (rc < 0 && w->failed == 0) {
            w->failed = rc;
            sb_error_errno(&w->err, rc, "map");
        }
        if (!dataset->flag)
            slot->number = w->arrived++;
        slot->state = SLOT_DONE;
        pthread_cond_signal(&w->done);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

static void close_workers(struct sb_iterator *iterator) {
    struct workers *w = iterator->state;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->freed);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->input);
    pthread_cond_destroy(&w->freed);
    pthread_cond_destroy(&w->done);
    free(w->threads);
    free(w->slots);
    free(w->memory);
    free(w);
}

/* Memory of the slots: input and output of each; one and the same where no function lies between.
 */
static int make_slots(struct workers *w, const struct sb_dataset *dataset) {
    size_t in = (dataset->input->item_size * dataset->input->max_items + 15) / 16 * 16;
    size_t out = dataset->function ? (dataset->item_size * dataset->max_items + 15) / 16 * 16 : 0;
    w->slots = calloc(w->n_slots, sizeof *w->slots);
    w->memory = calloc(w->n_slots, in + out);
    w->threads = calloc(dataset->threads, sizeof *w->threads);
    if (!w->slots || !w->memory || !w->threads)
        return -ENOMEM;
    for (size_t i = 0; i < w->n_slots; i++) {
        w->slots[i].in = w->memory + i * (in + out);
        w->slots[i].out = dataset->function ? w->slots[i].in + in : w->slots[i].in;
    }
    return 0;
}

static int open_workers(struct sb_iterator *iterator, struct sb_error *err) {
    const struct sb_dataset *dataset = iterator->dataset;
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return sb_error_errno(err, -ENOMEM, "dataset");
    w->iterator = iterator;
    w->n_slots = dataset->count;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->input, NULL);
    pthread_cond_init(&w->freed, NULL);
    pthread_cond_init(&w->done, NULL);
    iterator->state = w;
    int rc = make_slots(w, dataset);
    for (; rc == 0 && w->n_threads < dataset->threads; w->n_threads++) {
        rc = -pthread_create(&w->threads[w->n_threads], NULL, work, w);
        if (rc < 0)
            break;
    }
    if (rc < 0) {
        close_workers(iterator);
        return sb_error_errno(err, rc, "threads of the input pipeline");
    }
    return 0;
}

static int next_of_workers(struct sb_iterator *iterator, void *items, size_t *n,
                           struct sb_error *err) {
    struct workers *w = iterator->state;
    struct slot *slot = NULL;
    pthread_mutex_lock(&w->lock);
    /* Failed, or all that was read is handed out: nothing more can come. */
    while (w->failed == 0 && !(slot = find(w, SLOT_DONE, w->given)) &&
           !(w->ended && w->given == w->read))
        pthread_cond_wait(&w->done, &w->lock);
    int rc = w->failed;
    if (rc < 0) {
        if (err)
            *err = w->err;
    } else if (slot) {
        memcpy(items, slot->out, slot->items * iterator->dataset->item_size);
        *n = slot->items;
        slot->state = SLOT_FREE;
        w->given++;
        pthread_cond_signal(&w->freed);
        rc = 1;
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static const struct sb_dataset_kind workers = {true, open_workers, next_of_workers, close_workers};

int sb_dataset_map(struct sb_dataset *input, size_t item_size, sb_map_function *function,
                   void *context, unsigned threads, bool deterministic, struct sb_dataset **dataset,
                   struct sb_error *err) {
    int rc = sb_dataset_make(&workers, input, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->item_size = item_size;
    (*dataset)->function = function;
    (*dataset)->context = context;
    (*dataset)->threads = threads;
    (*dataset)->flag = deterministic;
    (*dataset)->count = 2 * (uint64_t)threads;
    return 0;
}

int sb_dataset_prefetch(struct sb_dataset *input, size_t n, struct sb_dataset **dataset,
                        struct sb_error *err) {
    int rc = sb_dataset_make(&workers, input, dataset, err);
    if (rc < 0)
        return rc;
    (*dataset)->threads = 1;
    (*dataset)->flag = true;
    (*dataset)->count = n;
    return 0;
}
