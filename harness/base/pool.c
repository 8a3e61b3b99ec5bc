/* Threads that work on small items. See base/pool.h.
 *
 * The owner puts items into a queue as long as there are threads; where that is full, it works on
 * one itself. So it is never far ahead, and without threads everything is done in its turn. */
#include "base/pool.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { STACK_BYTES = 1 << 20 };

struct thread {
    struct sb_pool *pool;
    unsigned worker;
    pthread_t id;
};

struct sb_pool {
    sb_pool_work *work;
    void *context;
    size_t item_bytes, slot_bytes; /* slots are aligned for any type */
    unsigned wanted, n;            /* threads to start, and started */
    struct thread threads[SB_POOL_MOST_WORKERS];
    pthread_mutex_t lock, shared;
    pthread_cond_t more, less; /* something was queued; something was done */
    size_t n_queued, n_working;
    bool ending;
    /* [SB_POOL_MOST_WORKERS] items, and one for each worker to work on */
    _Alignas(max_align_t) char queue[];
};

static char *slot(struct sb_pool *pool, size_t i) {
    return pool->queue + i * pool->slot_bytes;
}

/* Under the lock, which is given up for the work. false: nothing was queued. */
static bool work_on_queued(struct sb_pool *pool, unsigned worker) {
    if (!pool->n_queued)
        return false;
    char *item = slot(pool, SB_POOL_MOST_WORKERS + worker);
    memcpy(item, slot(pool, 0), pool->item_bytes);
    pool->n_queued--;
    memmove(slot(pool, 0), slot(pool, 1), pool->n_queued * pool->slot_bytes);
    pool->n_working++;
    pthread_mutex_unlock(&pool->lock);
    pool->work(pool->context, worker, item);
    pthread_mutex_lock(&pool->lock);
    pool->n_working--;
    pthread_cond_signal(&pool->less);
    return true;
}

static void *thread_main(void *context) {
    const struct thread *thread = context;
    struct sb_pool *pool = thread->pool;
    pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        if (!work_on_queued(pool, thread->worker))
            pthread_cond_wait(&pool->more, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void start(struct sb_pool *pool) {
    pthread_attr_t attributes;
    mallopt(M_ARENA_MAX, 1); /* one for each thread would take 64 MiB of address space */
    if (pthread_attr_init(&attributes) != 0) {
        pool->wanted = 0;
        return;
    }
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    for (; pool->n < pool->wanted; pool->n++) {
        struct thread *thread = &pool->threads[pool->n];
        *thread = (struct thread){.pool = pool, .worker = pool->n + 1};
        if (pthread_create(&thread->id, &attributes, thread_main, thread) != 0)
            break;
    }
    pool->wanted = pool->n;
    pthread_attr_destroy(&attributes);
}

struct sb_pool *sb_pool_new(unsigned workers, size_t item_bytes, sb_pool_work *work,
                            void *context) {
    const size_t alignment = _Alignof(max_align_t);
    size_t slot_bytes = (item_bytes + alignment - 1) / alignment * alignment;
    struct sb_pool *pool = calloc(1, sizeof *pool + (size_t)2 * SB_POOL_MOST_WORKERS * slot_bytes);
    if (!pool)
        return NULL;
    pool->work = work;
    pool->context = context;
    pool->item_bytes = item_bytes;
    pool->slot_bytes = slot_bytes;
    pool->wanted = workers < SB_POOL_MOST_WORKERS ? workers : SB_POOL_MOST_WORKERS;
    pool->wanted -= pool->wanted > 0;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->shared, NULL);
    pthread_cond_init(&pool->more, NULL);
    pthread_cond_init(&pool->less, NULL);
    return pool;
}

void sb_pool_put(struct sb_pool *pool, const void *item) {
    if (!pool->n && pool->wanted)
        start(pool);
    pthread_mutex_lock(&pool->lock);
    bool queued = pool->n_queued < pool->n;
    if (queued) {
        memcpy(slot(pool, pool->n_queued++), item, pool->item_bytes);
        pthread_cond_signal(&pool->more);
    }
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        pool->work(pool->context, 0, item);
}

void sb_pool_wait(struct sb_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    while (work_on_queued(pool, 0))
        continue;
    while (pool->n_working)
        pthread_cond_wait(&pool->less, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void sb_pool_lock(struct sb_pool *pool) {
    pthread_mutex_lock(&pool->shared);
}

void sb_pool_unlock(struct sb_pool *pool) {
    pthread_mutex_unlock(&pool->shared);
}

void sb_pool_free(struct sb_pool *pool) {
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    pool->n_queued = 0;
    pthread_cond_broadcast(&pool->more);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n; i++)
        pthread_join(pool->threads[i].id, NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_mutex_destroy(&pool->shared);
    pthread_cond_destroy(&pool->more);
    pthread_cond_destroy(&pool->less);
    free(pool);
}
