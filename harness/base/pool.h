/* Threads that work on small items beside the thread that finds them. */
#ifndef SB_BASE_POOL_H
#define SB_BASE_POOL_H

#include <stddef.h>

enum { SB_POOL_MOST_WORKERS = 16 };

struct sb_pool;

/* Works on one item. `worker` counts from 0, which is the thread that owns the pool, to
 * SB_POOL_MOST_WORKERS - 1: what is kept for each of them needs no lock. */
typedef void sb_pool_work(void *context, unsigned worker, const void *item);

/* For so many workers, the owner among them; with fewer, where threads cannot be had, all is done
 * the same. Threads start with the first item. NULL without memory. */
struct sb_pool *sb_pool_new(unsigned workers, size_t item_bytes, sb_pool_work *work, void *context);
/* Has a copy of the item worked on, at once or later. The owner alone calls this. */
void sb_pool_put(struct sb_pool *pool, const void *item);
/* Returns when everything was worked on. */
void sb_pool_wait(struct sb_pool *pool);
/* One lock for whatever the work of several items shares. */
void sb_pool_lock(struct sb_pool *pool);
void sb_pool_unlock(struct sb_pool *pool);
/* Items that nobody has begun are dropped. May be NULL. */
void sb_pool_free(struct sb_pool *pool);

#endif
