/* Stage 4, weights: LevelDB's tables. See weights/table.h.
 *
 * At the end a footer of 48 bytes: two handles (offset and size of a block, as varints; the second
 * is that of the index), padding, a number. A block is pairs, then the places at which they begin
 * anew, then their count; behind it a byte that says how it is compressed, and a checksum. A pair
 * is three varints and bytes: how much of the key before it shares, how much is new, the value's
 * length. In the index, values are handles of blocks. */
#include "weights/table.h"

#include "base/cleanup.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC UINT64_C(0xdb4775248b80fb57)

enum { FOOTER_BYTES = 48, TRAILER_BYTES = 5, MOST_BLOCK = 64 << 20, MOST_KEY = 65535 };

#if defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
enum { UNCHECKED = 1 }; /* no fuzzer guesses a checksum */
#else
enum { UNCHECKED = 0 };
#endif

struct handle {
    uint64_t offset, size;
};

struct block {
    char *data;
    size_t n; /* of its pairs */
};

static int damaged(const char *what, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "the table is damaged: %s", what);
}

/* CRC-32C (Castagnoli), a bit at a time: an index has few bytes. */
static uint32_t crc32c(const char *data, size_t n) {
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

/* Checksums of what contains checksums would be weak: they are stored rotated, with a number added.
 */
static uint32_t unmask(uint32_t masked) {
    uint32_t rotated = masked - UINT32_C(0xa282ead8);
    return rotated >> 17 | rotated << 15;
}

static bool get_varint(const char **at, const char *end, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = (unsigned char)*(*at)++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool get_handle(const char **at, const char *end, struct handle *handle) {
    return get_varint(at, end, &handle->offset) && get_varint(at, end, &handle->size);
}

/* data is malloc'd and the caller's. */
static int load_block(const struct sb_bytes *bytes, struct handle handle, struct block *block,
                      struct sb_error *err) {
    uint32_t n_restarts, checksum;
    if (handle.size > MOST_BLOCK || handle.size < sizeof n_restarts || handle.offset > bytes->n ||
        bytes->n - handle.offset < handle.size + TRAILER_BYTES)
        return damaged("a block lies outside the file", err);
    size_t size = (size_t)handle.size;
    SB_AUTO_FREE char *data = malloc(size + TRAILER_BYTES);
    int r = data ? sb_bytes_read(bytes, data, size + TRAILER_BYTES, handle.offset) : -ENOMEM;
    if (r < 0)
        return sb_error_errno(err, r, "the table");
    memcpy(&checksum, data + size + 1, sizeof checksum);
    if (!UNCHECKED && unmask(le32toh(checksum)) != crc32c(data, size + 1))
        return damaged("the checksum of a block is wrong", err);
    if (data[size] != 0)
        return damaged("a block is compressed, which TensorFlow does not do", err);
    memcpy(&n_restarts, data + size - sizeof n_restarts, sizeof n_restarts);
    n_restarts = le32toh(n_restarts);
    if (n_restarts > (size - sizeof n_restarts) / sizeof n_restarts)
        return damaged("a block is shorter than its list of places", err);
    block->n = size - sizeof n_restarts - n_restarts * sizeof n_restarts;
    block->data = sb_steal_pointer(&data);
    return 0;
}

struct key {
    char bytes[MOST_KEY + 1];
    size_t n;
    bool any;
};

/* The key that is `shared` bytes of the last and n from `more` on; it must come after the last. */
static bool next_key(struct key *key, uint64_t shared, const char *more, uint64_t n) {
    if (shared > key->n || n > MOST_KEY - shared)
        return false;
    size_t rest = key->n - (size_t)shared, least = rest < n ? rest : (size_t)n;
    int order = memcmp(key->bytes + shared, more, least);
    bool after = !key->any || order < 0 || (order == 0 && rest < n);
    memcpy(key->bytes + shared, more, (size_t)n);
    key->n = (size_t)(shared + n);
    key->any = true;
    return after;
}

/* Keys go on from block to block. */
static int read_block(const struct sb_bytes *bytes, struct handle handle, struct key *key,
                      sb_table_pair *pair, void *context, struct sb_error *err) {
    struct block block = {0};
    int r = load_block(bytes, handle, &block, err);
    if (r < 0)
        return r;
    SB_AUTO_FREE char *data = block.data;
    const char *at = data, *end = data + block.n;
    bool first = true;
    while (r == 0 && at < end) {
        uint64_t shared, n_key, n_value;
        if (!get_varint(&at, end, &shared) || !get_varint(&at, end, &n_key) ||
            !get_varint(&at, end, &n_value) || n_key > (uint64_t)(end - at) ||
            n_value > (uint64_t)(end - at) - n_key)
            return damaged("a pair is longer than its block", err);
        if (first && shared)
            return damaged("a block's first key shares what is before it", err);
        if (first) /* a whole key, to be compared with the last of the block before */
            shared = 0;
        if (!next_key(key, shared, at, n_key))
            return damaged("its keys are not sorted", err);
        at += n_key;
        r = pair(context, key->bytes, key->n,
                 (struct sb_bytes){.fd = -1, .memory = at, .n = n_value}, err);
        at += n_value;
        first = false;
    }
    return r;
}

/* ---- The whole table ---------------------------------------------------------------------------
 */

struct table {
    const struct sb_bytes *bytes;
    sb_table_pair *pair;
    void *context;
    struct key *key;
    uint64_t end; /* of the last block: they follow one another */
};

/* A pair of the index: a handle, which is the value. */
static int follow(void *context, const char *key, size_t n_key, struct sb_bytes value,
                  struct sb_error *err) {
    (void)key, (void)n_key;
    struct table *table = context;
    struct handle handle;
    const char *at = value.memory;
    if (!get_handle(&at, at + value.n, &handle))
        return damaged("the index has no place of a block", err);
    if (handle.offset < table->end)
        return damaged("two blocks lie on one another", err);
    table->end = handle.offset + handle.size;
    return read_block(table->bytes, handle, table->key, table->pair, table->context, err);
}

int sb_table_read(const struct sb_bytes *bytes, sb_table_pair *pair, void *context,
                  struct sb_error *err) {
    char footer[FOOTER_BYTES];
    uint64_t magic;
    struct handle unused, index;
    const char *at = footer;
    if (bytes->n < FOOTER_BYTES ||
        sb_bytes_read(bytes, footer, FOOTER_BYTES, bytes->n - FOOTER_BYTES) < 0)
        return damaged("it is too short", err);
    memcpy(&magic, footer + FOOTER_BYTES - sizeof magic, sizeof magic);
    if (le64toh(magic) != MAGIC)
        return damaged("it does not end as a table does", err);
    const char *end = footer + FOOTER_BYTES - sizeof magic;
    if (!get_handle(&at, end, &unused) || !get_handle(&at, end, &index))
        return damaged("its end says nothing", err);
    SB_AUTO_FREE struct key *keys = calloc(2, sizeof *keys); /* the index's, the blocks' */
    if (!keys)
        return sb_error_errno(err, -ENOMEM, "the table");
    struct table table = {bytes, pair, context, &keys[1], 0};
    return read_block(bytes, index, &keys[0], follow, &table, err);
}
