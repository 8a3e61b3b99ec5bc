/* Stage 4, weights: tensors hashed by several threads. See weights/hashing.h. */
#include "weights/hashing.h"

#include "base/cleanup.h"
#include "base/pool.h"

#include <errno.h>
#include <stdlib.h>

/* What one worker needs. */
struct hasher {
    struct sb_hashing hashing;
    struct sb_stream stream;
    struct sb_tensor_sink sink;
};

struct sb_hashers {
    struct sb_pool *pool;
    enum sb_digest_kind kind;
    void (*done)(void *context, size_t tensor, const struct sb_hashed *hashed);
    void *context;
    struct hasher *hashers[SB_POOL_MOST_WORKERS]; /* made by the worker that needs it */
    int rc;                                       /* of the first tensor that failed */
    size_t failed;
    struct sb_error err;
};

static int add(void *context, const void *elements, uint64_t n, struct sb_error *err) {
    (void)err;
    sb_hashing_add(context, elements, n);
    return 0;
}

static struct hasher *hasher_of(struct sb_hashers *hashers, unsigned worker) {
    if (hashers->hashers[worker])
        return hashers->hashers[worker];
    SB_AUTO_FREE struct hasher *hasher = calloc(1, sizeof *hasher);
    if (!hasher || sb_hashing_open(&hasher->hashing, hashers->kind) < 0)
        return NULL;
    hasher->sink = (struct sb_tensor_sink){.context = &hasher->hashing, .data = add};
    hasher->stream.sink = &hasher->sink;
    return hashers->hashers[worker] = sb_steal_pointer(&hasher);
}

static int hash(struct hasher *hasher, const struct sb_range *range, struct sb_hashed *hashed,
                struct sb_error *err) {
    hasher->stream.bytes = range->bytes;
    sb_hashing_begin(&hasher->hashing, range->info.dtype);
    int rc =
        sb_stream_contiguous(&hasher->stream, &range->info, range->big_endian, range->offset, err);
    int ended = sb_hashing_end(&hasher->hashing, hashed);
    if (rc == 0 && ended < 0)
        rc = sb_error_set(err, ended, "'%s': the digest failed", range->info.name);
    return rc;
}

static void work(void *context, unsigned worker, const void *item) {
    struct sb_hashers *hashers = context;
    const struct sb_range *range = item;
    struct hasher *hasher = hasher_of(hashers, worker);
    struct sb_error err = {{0}};
    struct sb_hashed hashed;
    int rc = hasher ? hash(hasher, range, &hashed, &err)
                    : sb_error_errno(&err, -ENOMEM, "'%s'", range->info.name);
    sb_pool_lock(hashers->pool);
    if (rc == 0) {
        hashers->done(hashers->context, range->tensor, &hashed);
    } else if (hashers->rc == 0 || range->tensor < hashers->failed) {
        hashers->rc = rc;
        hashers->failed = range->tensor;
        hashers->err = err;
    }
    sb_pool_unlock(hashers->pool);
}

int sb_hashers_new(enum sb_digest_kind kind, unsigned threads,
                   void (*done)(void *context, size_t tensor, const struct sb_hashed *hashed),
                   void *context, struct sb_hashers **hashers) {
    struct sb_hashers *made = calloc(1, sizeof *made);
    if (made) {
        *made = (struct sb_hashers){.kind = kind, .done = done, .context = context};
        made->pool = sb_pool_new(threads, sizeof(struct sb_range), work, made);
    }
    if (!made || !made->pool) {
        free(made);
        return -ENOMEM;
    }
    *hashers = made;
    return 0;
}

static int outcome(struct sb_hashers *hashers, struct sb_error *err) {
    sb_pool_lock(hashers->pool);
    int rc = hashers->rc < 0 ? sb_error_set(err, hashers->rc, "%s", hashers->err.text) : 0;
    sb_pool_unlock(hashers->pool);
    return rc;
}

int sb_hashers_put(struct sb_hashers *hashers, const struct sb_range *range, struct sb_error *err) {
    if (outcome(hashers, NULL) < 0)
        return sb_hashers_wait(hashers, err); /* one before it may fail yet */
    sb_pool_put(hashers->pool, range);
    return 0;
}

int sb_hashers_wait(struct sb_hashers *hashers, struct sb_error *err) {
    sb_pool_wait(hashers->pool);
    return outcome(hashers, err);
}

void sb_hashers_lock(struct sb_hashers *hashers) {
    sb_pool_lock(hashers->pool);
}

void sb_hashers_unlock(struct sb_hashers *hashers) {
    sb_pool_unlock(hashers->pool);
}

void sb_hashers_free(struct sb_hashers *hashers) {
    if (!hashers)
        return;
    sb_pool_free(hashers->pool);
    for (size_t i = 0; i < SB_POOL_MOST_WORKERS; i++) {
        if (!hashers->hashers[i])
            continue;
        sb_hashing_close(&hashers->hashers[i]->hashing);
        sb_stream_clear(&hashers->hashers[i]->stream);
        free(hashers->hashers[i]);
    }
    free(hashers);
}
