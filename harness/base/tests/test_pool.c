/* base: every item is worked on once, by whomever. */
#include "base/pool.h"
#include "tests/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 5000 };

struct seen {
    atomic_uint times[ITEMS];
    atomic_bool working[SB_POOL_MOST_WORKERS];
    atomic_uint collisions, elsewhere;
    pthread_t owner;
};

static void note(void *context, unsigned worker, const void *item) {
    struct seen *seen = context;
    unsigned i;
    memcpy(&i, item, sizeof i);
    seen->collisions += atomic_exchange(&seen->working[worker], true);
    seen->collisions += (worker == 0) != (pthread_equal(pthread_self(), seen->owner) != 0);
    seen->elsewhere += worker != 0;
    seen->times[i]++;
    if (i % 64 == 0)
        usleep(100); /* so that others come in between */
    seen->working[worker] = false;
}

static void work_all(unsigned workers) {
    static struct seen seen;
    memset(&seen, 0, sizeof seen);
    seen.owner = pthread_self();
    struct sb_pool *pool = sb_pool_new(workers, sizeof(unsigned), note, &seen);
    ck_assert_ptr_nonnull(pool);
    for (unsigned i = 0; i < ITEMS; i++) {
        sb_pool_put(pool, &i);
        if (i == ITEMS / 2) {
            sb_pool_wait(pool);
            for (unsigned k = 0; k <= i; k++)
                ck_assert_uint_eq(seen.times[k], 1);
        }
    }
    sb_pool_wait(pool);
    for (unsigned i = 0; i < ITEMS; i++)
        ck_assert_uint_eq(seen.times[i], 1);
    ck_assert_uint_eq(seen.collisions, 0);
    if (workers < 2)
        ck_assert_uint_eq(seen.elsewhere, 0);
    sb_pool_free(pool);
}

START_TEST(every_item_is_worked_on_once)
{
    const unsigned workers[] = {0, 1, 2, 5, 1000};
    for (unsigned i = 0; i < sizeof workers / sizeof *workers; i++)
        work_all(workers[i]);
}
END_TEST

START_TEST(a_thread_works_while_the_owner_does_not)
{
    static struct seen seen;
    memset(&seen, 0, sizeof seen);
    seen.owner = pthread_self();
    struct sb_pool *pool = sb_pool_new(2, sizeof(unsigned), note, &seen);
    sb_pool_put(pool, &(unsigned){7});
    for (unsigned i = 0; i < 3000 && !seen.times[7]; i++)
        usleep(10000);
    ck_assert_uint_eq(seen.times[7], 1);
    ck_assert_uint_eq(seen.elsewhere, 1);
    sb_pool_free(pool);
    sb_pool_free(NULL);
}
END_TEST

SB_TEST_MAIN("base-pool", every_item_is_worked_on_once, a_thread_works_while_the_owner_does_not)
