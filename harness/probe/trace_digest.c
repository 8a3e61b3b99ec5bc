/* The trace: digests of operands. Compiled once for every instruction set that pays, each under
 * another name; the hash is compiled in, so that its symbols meet nobody else's. */
#include "probe/trace.h"

#ifndef SB_TRACE_DIGEST_NAME /* in the program, for replays */
#define SB_TRACE_DIGEST_NAME sb_trace_digest_plain
#endif

#include <string.h>
#include <sys/mman.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { GATHERED = 4096, LONG_RUN = 256, ROOM = 1 << 20 };

/* Of a column, the rows that count. */
static void span(const struct sb_operand *operand, uint64_t column, uint64_t *from, uint64_t *to) {
    uint64_t rows = operand->rows;
    *from = 0;
    *to = rows;
    switch (operand->part) {
    case SB_UPPER:
        *to = column + 1 < rows ? column + 1 : rows;
        break;
    case SB_STRICTLY_UPPER:
        *to = column < rows ? column : rows;
        break;
    case SB_LOWER:
        *from = column < rows ? column : rows;
        break;
    case SB_STRICTLY_LOWER:
        *from = column + 1 < rows ? column + 1 : rows;
        break;
    case SB_WHOLE:
        break;
    }
}

/* `n` columns, the first of which is the operand's column `first`. */
static void digest_columns(const struct sb_operand *operand, const char *at, uint64_t stride,
                           uint64_t first, uint64_t n, size_t element, XXH3_state_t *state) {
    unsigned char gathered[GATHERED];
    size_t used = 0;
    for (uint64_t column = 0; column < n; column++) {
        uint64_t from, to;
        span(operand, first + column, &from, &to);
        const char *run = at + (column * stride + from) * element;
        size_t length = (to - from) * element;
        if (used && (length >= LONG_RUN || used + length > sizeof gathered)) {
            XXH3_128bits_update(state, gathered, used);
            used = 0;
        }
        if (length >= LONG_RUN) {
            XXH3_128bits_update(state, run, length);
        } else {
            memcpy(gathered + used, run, length);
            used += length;
        }
    }
    XXH3_128bits_update(state, gathered, used);
}

/* What has no gaps is one column. */
static struct sb_operand flat(const struct sb_operand *operand) {
    struct sb_operand result = *operand;
    if (result.part != SB_WHOLE)
        return result;
    if (result.stride == result.rows || result.columns == 1) {
        result.rows = result.stride = result.rows * result.columns;
        result.columns = 1;
    }
    if (result.columns == 1 && result.block_stride == result.rows && !result.listed) {
        result.rows = result.stride = result.rows * (result.blocks ? result.blocks : 1);
        result.blocks = 1;
    }
    return result;
}

/* ---- Memory that is not the process's own: as much at a time as there is room for -------------
 */

struct far {
    const struct sb_memory *memory;
    char *room;
};

static bool digest_long_column(const struct far *far, const char *at, size_t n,
                               XXH3_state_t *state) {
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < ROOM ? n - done : ROOM;
        if (!far->memory->copy(far->memory, far->room, at + done, piece, piece, 1))
            return false;
        XXH3_128bits_update(state, far->room, piece);
    }
    return true;
}

static bool digest_far(const struct far *far, const struct sb_operand *operand, const char *at,
                       size_t element, XXH3_state_t *state) {
    size_t run = operand->rows * element, pitch = operand->stride * element;
    uint64_t most = run ? ROOM / run : 0, columns = run ? operand->columns : 0;
    for (uint64_t column = 0, n; column < columns; column += n) {
        n = columns - column < most ? columns - column : most ? most : 1;
        uint64_t from, to;
        span(operand, column, &from, &to);
        bool read = most ? far->memory->copy(far->memory, far->room, at + column * pitch, run,
                                             n > 1 ? pitch : run, n)
                         : digest_long_column(far, at + column * pitch + from * element,
                                              (to - from) * element, state);
        if (!read)
            return false;
        if (most)
            digest_columns(operand, far->room, operand->rows, column, n, element, state);
    }
    return true;
}

/* ---- Operands ---------------------------------------------------------------------------------
 */

static bool digest_blocks(const struct far *far, const struct sb_operand *operand, size_t element,
                          XXH3_state_t *state) {
    uint64_t n = operand->blocks ? operand->blocks : 1;
    bool read = true;
    for (uint64_t i = 0; i < n && read; i++) {
        const char *at = operand->at;
        if (operand->listed)
            read = far->memory->copy(far->memory, &at, (const char *const *)operand->at + i,
                                     sizeof at, sizeof at, 1);
        else
            at += i * operand->block_stride * element;
        if (far->memory)
            read = read && digest_far(far, operand, at, element, state);
        else
            digest_columns(operand, at, operand->stride, 0, operand->columns, element, state);
    }
    return read;
}

static bool digest_operand(const struct far *far, const struct sb_operand *given, size_t element,
                           XXH128_hash_t *hash) {
    struct sb_operand operand = flat(given);
    XXH3_state_t state;
    if (!far->memory && operand.part == SB_WHOLE && operand.columns == 1 && operand.blocks < 2) {
        *hash = XXH3_128bits(operand.at, operand.rows * element);
        return true;
    }
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    if (!digest_blocks(far, &operand, element, &state))
        return false;
    *hash = XXH3_128bits_digest(&state);
    return true;
}

static bool digest_operands(const struct sb_traced *call, const struct far *far, bool written,
                            unsigned char *parts, size_t used, uint8_t digest[16]) {
    for (unsigned i = 0; i < call->n_operands; i++) {
        const struct sb_operand *operand = &call->operands[i];
        XXH128_canonical_t part;
        XXH128_hash_t hash;
        if (!(written ? operand->written : operand->read))
            continue;
        if (!digest_operand(far, operand, operand->element ? operand->element : call->element,
                            &hash))
            return false;
        XXH128_canonicalFromHash(&part, hash);
        memcpy(parts + used, part.digest, sizeof part.digest);
        used += sizeof part.digest;
    }
    XXH128_canonical_t whole;
    XXH128_canonicalFromHash(&whole, XXH3_128bits(parts, used));
    memcpy(digest, whole.digest, sizeof whole.digest);
    return true;
}

bool SB_TRACE_DIGEST_NAME(const struct sb_traced *call, bool written, const void *bytes, size_t n,
                          uint8_t digest[16]) {
    unsigned char parts[SB_TRACED_OPTIONS + SB_TRACED_OPERANDS * sizeof(XXH128_canonical_t)];
    size_t used = n < SB_TRACED_OPTIONS ? n : SB_TRACED_OPTIONS;
    struct far far = {NULL, NULL};
    if (used)
        memcpy(parts, bytes, used);
    if (!call->memory.copy)
        return digest_operands(call, &far, written, parts, used, digest);
    /* Not of the program's heap, and of it only what is used is ever there. */
    far.room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (far.room == MAP_FAILED)
        return false;
    far.memory = &call->memory;
    bool read = digest_operands(call, &far, written, parts, used, digest);
    munmap(far.room, ROOM);
    return read;
}
