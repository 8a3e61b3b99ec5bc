/* The trace: digests of operands. Compiled once for every instruction set that pays, each under
 * another name; the hash is compiled in, so that its symbols meet nobody else's. */
#include "probe/trace.h"

#ifndef SB_TRACE_DIGEST_NAME /* in the program, for replays */
#define SB_TRACE_DIGEST_NAME sb_trace_digest_plain
#endif

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { GATHERED = 4096, LONG_RUN = 256 };

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

static void digest_columns(const struct sb_operand *operand, size_t element, XXH3_state_t *state) {
    unsigned char gathered[GATHERED];
    size_t used = 0;
    for (uint64_t column = 0; column < operand->columns; column++) {
        uint64_t from, to;
        span(operand, column, &from, &to);
        const char *at = (const char *)operand->at + (column * operand->stride + from) * element;
        size_t n = (to - from) * element;
        if (used && (n >= LONG_RUN || used + n > sizeof gathered)) {
            XXH3_128bits_update(state, gathered, used);
            used = 0;
        }
        if (n >= LONG_RUN) {
            XXH3_128bits_update(state, at, n);
        } else {
            memcpy(gathered + used, at, n);
            used += n;
        }
    }
    XXH3_128bits_update(state, gathered, used);
}

static XXH128_hash_t digest_operand(const struct sb_operand *operand, size_t element) {
    bool dense = operand->stride == operand->rows || operand->columns == 1;
    if (operand->part == SB_WHOLE && dense)
        return XXH3_128bits(operand->at, operand->rows * operand->columns * element);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    digest_columns(operand, element, &state);
    return XXH3_128bits_digest(&state);
}

void SB_TRACE_DIGEST_NAME(const struct sb_traced *call, bool written, const void *bytes, size_t n,
                          uint8_t digest[16]) {
    unsigned char parts[SB_TRACED_OPTIONS + SB_TRACED_OPERANDS * sizeof(XXH128_canonical_t)];
    size_t used = n < SB_TRACED_OPTIONS ? n : SB_TRACED_OPTIONS;
    if (used)
        memcpy(parts, bytes, used);
    for (unsigned i = 0; i < call->n_operands; i++) {
        const struct sb_operand *operand = &call->operands[i];
        if (!(written ? operand->written : operand->read))
            continue;
        XXH128_canonical_t part;
        XXH128_canonicalFromHash(&part, digest_operand(operand, call->element));
        memcpy(parts + used, part.digest, sizeof part.digest);
        used += sizeof part.digest;
    }
    XXH128_canonical_t whole;
    XXH128_canonicalFromHash(&whole, XXH3_128bits(parts, used));
    memcpy(digest, whole.digest, sizeof whole.digest);
}
