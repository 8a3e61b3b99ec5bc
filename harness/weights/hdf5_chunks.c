/* Stage 4, weights: chunks decompressed by several threads. See weights/hdf5_chunks.h. */
#include "weights/hdf5_chunks.h"

#include "base/cleanup.h"
#include "base/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    MOST_CHUNK_BYTES = 4 << 20,
    BUFFERS_BYTES = 24 << 20, /* of all workers */
    MOST_CHUNKS = 2048,       /* libhdf5 looks through all of them to find one */
    WORTH_THREADS = 1 << 20,  /* bytes of a dataset */
};

/* Where a chunk lies in the file, and in the dataset. */
struct chunk {
    uint64_t address, n_bytes;
    hsize_t origin[SB_MAX_RANK];
};

/* What one worker needs. */
struct worker {
    char *stored, *raw, *ordered; /* as in the file; decompressed; and unshuffled */
    size_t room;                  /* of `stored` */
};

struct sb_hdf5_chunks {
    const struct sb_hdf5_library *h5;
    const struct sb_bytes *bytes;
    const struct sb_tensor_info *info;
    hid_t dataset;
    bool shuffled;
    size_t element_bytes, chunk_bytes;
    hsize_t dims[SB_MAX_RANK]; /* of a chunk */
    struct sb_pool *pool;
    struct worker workers[SB_POOL_MOST_WORKERS];
    /* Of the block under way. */
    const hsize_t *start, *count;
    char *elements;
    int rc; /* of any chunk */
};

/* ---- Workers ----------------------------------------------------------------------------------
 */

/* The filter puts the first bytes of all elements before their second ones, and so on. */
static void unshuffle(const char *shuffled, char *elements, size_t n, size_t element_bytes) {
    for (size_t k = 0; k < element_bytes; k++) {
        for (size_t i = 0; i < n; i++)
            elements[i * element_bytes + k] = shuffled[k * n + i];
    }
}

static int reserve(const struct sb_hdf5_chunks *chunks, struct worker *worker, size_t n) {
    if (!worker->raw)
        worker->raw = malloc(chunks->chunk_bytes);
    if (!worker->ordered && chunks->shuffled)
        worker->ordered = malloc(chunks->chunk_bytes);
    if (n > worker->room) {
        free(worker->stored);
        worker->stored = malloc(n);
        worker->room = worker->stored ? n : 0;
    }
    return worker->raw && worker->stored && (worker->ordered || !chunks->shuffled) ? 0 : -ENOMEM;
}

/* The chunk's elements, in memory of the worker. */
static int decompress(const struct sb_hdf5_chunks *chunks, struct worker *worker,
                      const struct chunk *chunk, const char **elements) {
    int rc = reserve(chunks, worker, chunk->n_bytes);
    if (rc == 0)
        rc = sb_bytes_read(chunks->bytes, worker->stored, chunk->n_bytes, chunk->address);
    if (rc < 0)
        return rc;
    uLongf n = chunks->chunk_bytes;
    int inflated =
        uncompress((Bytef *)worker->raw, &n, (const Bytef *)worker->stored, (uLong)chunk->n_bytes);
    if (inflated != Z_OK || n != chunks->chunk_bytes)
        return inflated == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
    *elements = worker->raw;
    if (chunks->shuffled) {
        unshuffle(worker->raw, worker->ordered, n / chunks->element_bytes, chunks->element_bytes);
        *elements = worker->ordered;
    }
    return 0;
}

/* Copies what chunk and block have in common, row by row of the last axis. */
static void place(const struct sb_hdf5_chunks *chunks, const hsize_t *origin,
                  const char *elements) {
    unsigned rank = chunks->info->rank, last = rank - 1;
    hsize_t low[SB_MAX_RANK], high[SB_MAX_RANK], at[SB_MAX_RANK];
    for (unsigned d = 0; d < rank; d++) {
        hsize_t chunk_end = origin[d] + chunks->dims[d],
                block_end = chunks->start[d] + chunks->count[d];
        low[d] = at[d] = origin[d] > chunks->start[d] ? origin[d] : chunks->start[d];
        high[d] = chunk_end < block_end ? chunk_end : block_end;
    }
    size_t row_bytes = (size_t)(high[last] - low[last]) * chunks->element_bytes;
    for (;;) {
        uint64_t from = 0, to = 0;
        for (unsigned d = 0; d < rank; d++) {
            from = from * chunks->dims[d] + (at[d] - origin[d]);
            to = to * chunks->count[d] + (at[d] - chunks->start[d]);
        }
        memcpy(chunks->elements + to * chunks->element_bytes,
               elements + from * chunks->element_bytes, row_bytes);
        unsigned d = last;
        while (d > 0 && ++at[d - 1] == high[d - 1]) {
            at[d - 1] = low[d - 1];
            d--;
        }
        if (d == 0)
            return;
    }
}

static void work(void *context, unsigned number, const void *item) {
    struct sb_hdf5_chunks *chunks = context;
    const struct chunk *chunk = item;
    const char *elements = NULL;
    int rc = decompress(chunks, &chunks->workers[number], chunk, &elements);
    if (rc == 0) {
        place(chunks, chunk->origin, elements);
        return;
    }
    sb_pool_lock(chunks->pool);
    if (chunks->rc != -ENOMEM)
        chunks->rc = rc;
    sb_pool_unlock(chunks->pool);
}

/* ---- The owner --------------------------------------------------------------------------------
 */

/* Are the filters deflate, or shuffle and then deflate? */
static bool known_filters(struct sb_hdf5_chunks *chunks, hid_t properties) {
    int n = chunks->h5->H5Pget_nfilters(properties);
    H5Z_filter_t filters[2] = {H5Z_FILTER_NONE, H5Z_FILTER_NONE};
    if (n < 1 || n > 2)
        return false;
    for (int i = 0; i < n; i++) {
        unsigned flags, config, values[4];
        size_t n_values = sizeof values / sizeof *values;
        filters[i] = chunks->h5->H5Pget_filter2(properties, (unsigned)i, &flags, &n_values, values,
                                                0, NULL, &config);
    }
    chunks->shuffled = n == 2;
    return filters[n - 1] == H5Z_FILTER_DEFLATE && (n == 1 || filters[0] == H5Z_FILTER_SHUFFLE);
}

/* Behind a user block places are counted otherwise by every version. */
static bool has_user_block(const struct sb_bytes *bytes) {
    char signature[4];
    return sb_bytes_read(bytes, signature, sizeof signature, 0) < 0 ||
           memcmp(signature, "\x89HDF", sizeof signature) != 0;
}

static bool usable_sizes(struct sb_hdf5_chunks *chunks, hid_t properties) {
    const struct sb_tensor_info *info = chunks->info;
    uint64_t n_bytes = chunks->element_bytes, n_chunks = 1;
    if (info->rank == 0 || info->n_elements == 0 ||
        chunks->h5->H5Pget_chunk(properties, SB_MAX_RANK, chunks->dims) != (int)info->rank)
        return false;
    for (unsigned d = 0; d < info->rank; d++) {
        if (chunks->dims[d] == 0 || chunks->dims[d] > MOST_CHUNK_BYTES / n_bytes)
            return false;
        n_bytes *= chunks->dims[d];
        n_chunks *= (info->dims[d] - 1) / chunks->dims[d] + 1;
        if (n_chunks > MOST_CHUNKS)
            return false;
    }
    chunks->chunk_bytes = n_bytes;
    return true;
}

int sb_hdf5_chunks_open(const struct sb_hdf5_library *h5, const struct sb_bytes *bytes,
                        hid_t dataset, hid_t properties, const struct sb_tensor_info *info,
                        unsigned threads, struct sb_hdf5_chunks **chunks) {
    *chunks = NULL;
    if (!h5->get_chunk_info)
        return 0;
    SB_AUTO_FREE struct sb_hdf5_chunks *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->h5 = h5;
    made->bytes = bytes;
    made->info = info;
    made->dataset = dataset;
    made->element_bytes = sb_dtype_size(info->dtype);
    if (!known_filters(made, properties) || !usable_sizes(made, properties) ||
        has_user_block(bytes))
        return 0;
    size_t most = BUFFERS_BYTES / (3 * made->chunk_bytes);
    if (info->n_elements * made->element_bytes < WORTH_THREADS)
        most = 1;
    made->pool =
        sb_pool_new(threads < most ? threads : (unsigned)most, sizeof(struct chunk), work, made);
    if (!made->pool)
        return -ENOMEM;
    *chunks = sb_steal_pointer(&made);
    return 0;
}

/* To the next chunk that has a part in the block. False after the last. */
static bool next_chunk(const struct sb_hdf5_chunks *chunks, hsize_t *origin) {
    for (unsigned d = chunks->info->rank; d-- > 0;) {
        origin[d] += chunks->dims[d];
        if (origin[d] < chunks->start[d] + chunks->count[d])
            return true;
        origin[d] = chunks->start[d] - chunks->start[d] % chunks->dims[d];
    }
    return false;
}

/* 1, or 0 where libhdf5 has to read it. */
static int find_chunk(const struct sb_hdf5_chunks *chunks, struct chunk *chunk) {
    unsigned mask = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t n_bytes = 0;
    bool found =
        chunks->h5->get_chunk_info(chunks->dataset, chunk->origin, &mask, &address, &n_bytes) >= 0;
    if (!found)
        chunks->h5->H5Eclear2(H5E_DEFAULT);
    chunk->address = address;
    chunk->n_bytes = n_bytes;
    /* Deflate makes nothing much larger than it was: what is, is not worth its memory. */
    return found && mask == 0 && address != HADDR_UNDEF && n_bytes > 0 &&
           n_bytes <= 2 * (uint64_t)MOST_CHUNK_BYTES;
}

int sb_hdf5_chunks_read(struct sb_hdf5_chunks *chunks, const hsize_t *start, const hsize_t *count,
                        char *elements, struct sb_error *err) {
    struct chunk chunk = {0};
    bool more = true;
    int known = 1;
    chunks->start = start;
    chunks->count = count;
    chunks->elements = elements;
    chunks->rc = 0;
    for (unsigned d = 0; d < chunks->info->rank; d++)
        chunk.origin[d] = start[d] - start[d] % chunks->dims[d];
    while (more && (known = find_chunk(chunks, &chunk)) == 1) {
        sb_pool_put(chunks->pool, &chunk);
        more = next_chunk(chunks, chunk.origin);
    }
    sb_pool_wait(chunks->pool);
    if (chunks->rc == -ENOMEM)
        return sb_error_errno(err, -ENOMEM, "'%s'", chunks->info->name);
    return chunks->rc < 0 ? 0 : known;
}

void sb_hdf5_chunks_close(struct sb_hdf5_chunks *chunks) {
    if (!chunks)
        return;
    sb_pool_free(chunks->pool);
    for (size_t i = 0; i < SB_POOL_MOST_WORKERS; i++) {
        free(chunks->workers[i].stored);
        free(chunks->workers[i].raw);
        free(chunks->workers[i].ordered);
    }
    free(chunks);
}
