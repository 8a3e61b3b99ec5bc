/* Stage 5, compare: tallies of ranges. See compare/ranges.h. */
#include "compare/ranges.h"

#include "base/cleanup.h"
#include "base/pool.h"

#include <errno.h>
#include <stdlib.h>

/* ---- One after the other ----------------------------------------------------------------------
 */

static void join(struct sb_tally *total, const struct sb_tally *next) {
    if (next->start == 0)
        *total = *next;
    else if (next->n)
        sb_tally_merge(total, next);
}

void sb_measure_begin(struct sb_measure *measure, enum sb_dtype dtype,
                      const struct sb_tolerance *tolerance) {
    sb_tally_begin(&measure->current, dtype, tolerance, 0);
}

static void end_current(struct sb_measure *measure) {
    sb_tally_end(&measure->current);
    join(&measure->total, &measure->current);
}

void sb_measure_add(struct sb_measure *measure, const void *a, const void *b, uint64_t n) {
    struct sb_tally *current = &measure->current;
    const char *next_a = a, *next_b = b;
    size_t size = sb_dtype_size(current->dtype);
    while (n) {
        uint64_t taken = current->n + current->n_staged;
        if (taken == SB_RANGE) {
            end_current(measure);
            const struct sb_tolerance tolerance = current->tolerance;
            sb_tally_begin(current, current->dtype, &tolerance, current->start + SB_RANGE);
            taken = 0;
        }
        uint64_t piece = n < SB_RANGE - taken ? n : SB_RANGE - taken;
        sb_tally_add(current, next_a, next_b, piece);
        next_a += piece * size;
        next_b += piece * size;
        n -= piece;
    }
}

const struct sb_tally *sb_measure_end(struct sb_measure *measure) {
    end_current(measure);
    return &measure->total;
}

/* ---- Several at once ---------------------------------------------------------------------------
 */

enum { PIECE_BYTES = 128 << 10, WINDOW = 64 };

struct ranges_slot {
    struct sb_tally tally;
    int rc;
    struct sb_error err;
};

struct worker {
    char pieces[2][PIECE_BYTES];
};

struct sb_ranges {
    struct sb_pool *pool;
    struct sb_tolerance tolerance;
    const struct sb_tensor_info *info; /* of the tensor under way */
    const struct sb_lying *sides[2];
    uint64_t first; /* range in slots[0] */
    struct worker *workers[SB_POOL_MOST_WORKERS];
    struct ranges_slot slots[WINDOW];
};

static int read_piece(const struct sb_ranges *ranges, unsigned side, uint64_t at, uint64_t n,
                      char *piece, struct sb_error *err) {
    const struct sb_lying *lying = ranges->sides[side];
    size_t size = sb_dtype_size(ranges->info->dtype);
    int rc = sb_bytes_read(&lying->bytes, piece, n * size, lying->offset + at * size);
    if (rc < 0)
        return sb_error_errno(err, rc, "'%s'", ranges->info->name);
    return sb_elements_normalise(ranges->info, lying->big_endian, piece, n, err);
}

static int tally_range(const struct sb_ranges *ranges, struct worker *worker, uint64_t at,
                       uint64_t end, struct sb_tally *tally, struct sb_error *err) {
    uint64_t most = PIECE_BYTES / sb_dtype_size(ranges->info->dtype);
    int rc = 0;
    sb_tally_begin(tally, ranges->info->dtype, &ranges->tolerance, at);
    while (rc == 0 && at < end) {
        uint64_t n = end - at < most ? end - at : most;
        for (unsigned side = 0; side < 2 && rc == 0; side++)
            rc = read_piece(ranges, side, at, n, worker->pieces[side], err);
        if (rc == 0)
            sb_tally_add(tally, worker->pieces[0], worker->pieces[1], n);
        at += n;
    }
    sb_tally_end(tally);
    return rc;
}

static void work(void *context, unsigned number, const void *item) {
    struct sb_ranges *ranges = context;
    uint64_t range = *(const uint64_t *)item, at = range * SB_RANGE;
    uint64_t left = ranges->info->n_elements - at;
    struct ranges_slot *slot = &ranges->slots[range - ranges->first];
    struct worker **worker = &ranges->workers[number];
    if (!*worker)
        *worker = malloc(sizeof **worker);
    slot->rc = *worker ? tally_range(ranges, *worker, at, at + (left < SB_RANGE ? left : SB_RANGE),
                                     &slot->tally, &slot->err)
                       : sb_error_errno(&slot->err, -ENOMEM, "'%s'", ranges->info->name);
}

struct sb_ranges *sb_ranges_new(unsigned threads, const struct sb_tolerance *tolerance) {
    SB_AUTO_FREE struct sb_ranges *ranges = calloc(1, sizeof *ranges);
    if (!ranges)
        return NULL;
    ranges->tolerance = *tolerance;
    ranges->pool = sb_pool_new(threads, sizeof(uint64_t), work, ranges);
    return ranges->pool ? sb_steal_pointer(&ranges) : NULL;
}

int sb_ranges_tally(struct sb_ranges *ranges, const struct sb_tensor_info *info,
                    const struct sb_lying *a, const struct sb_lying *b, struct sb_tally *tally,
                    struct sb_error *err) {
    ranges->info = info;
    ranges->sides[0] = a;
    ranges->sides[1] = b;
    uint64_t n = info->n_elements / SB_RANGE + (info->n_elements % SB_RANGE != 0);
    sb_tally_begin(tally, info->dtype, &ranges->tolerance, 0);
    sb_tally_end(tally);
    for (ranges->first = 0; ranges->first < n; ranges->first += WINDOW) {
        uint64_t end = n - ranges->first < WINDOW ? n : ranges->first + WINDOW;
        for (uint64_t range = ranges->first; range < end; range++) {
            if (n == 1) /* not worth waking anybody */
                work(ranges, 0, &range);
            else
                sb_pool_put(ranges->pool, &range);
        }
        sb_pool_wait(ranges->pool);
        for (uint64_t i = 0; i < end - ranges->first; i++) {
            const struct ranges_slot *slot = &ranges->slots[i];
            if (slot->rc < 0)
                return sb_error_set(err, slot->rc, "%s", slot->err.text);
            join(tally, &slot->tally);
        }
    }
    return 0;
}

void sb_ranges_free(struct sb_ranges *ranges) {
    if (!ranges)
        return;
    sb_pool_free(ranges->pool);
    for (size_t i = 0; i < SB_POOL_MOST_WORKERS; i++)
        free(ranges->workers[i]);
    free(ranges);
}
