/* Stage 2, matrix: covering arrays of strength two: few cells that hold each pair of levels of
 * every two axes.
 *
 * Rows are first built one at a time, each for as many missing pairs as can be had (AETG: Cohen,
 * Dalal, Fredman, Patton 1997), several times over with other choices among equals. From the
 * smallest array one row after the other is then taken away, and the pairs that this uncovers are
 * sought in the rest by single changes (as in Cohen, Gibbons, Mugridge, Colbourn 2003), within a
 * fixed number of steps. Only whole numbers are used, so that all machines agree. */
#include "matrix/covering.h"
#include "base/cleanup.h"
#include "matrix/random.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUILD_WORK = 20000000, /* elementary steps spent on building, about */
    MAX_BUILDS = 40,
    CANDIDATES = 8,        /* rows to choose from when a row is added */
    SEARCH_WORK = 3000000, /* elementary steps spent on each row that is to go, about */
    SEARCH_PAIRS = 100000, /* of more pairs so few steps would see too little */
};

struct pairs {
    const unsigned *n_levels;
    size_t n_axes;
    size_t offset[SB_MAX_AXES][SB_MAX_AXES]; /* of the pairs of two axes, a < b, in count */
    size_t n;                                /* pairs in all */
    size_t lower_bound;                      /* rows that any array needs */
    uint32_t *count;                         /* rows that hold each pair */
};

struct rows {
    unsigned *levels; /* n rows of n_axes */
    size_t n, capacity;
};

static void pairs_lay_out(struct pairs *pairs, const unsigned *n_levels, size_t n_axes) {
    *pairs = (struct pairs){.n_levels = n_levels, .n_axes = n_axes};
    for (size_t a = 0; a < n_axes; a++) {
        for (size_t b = a + 1; b < n_axes; b++) {
            size_t product = (size_t)n_levels[a] * n_levels[b];
            pairs->offset[a][b] = pairs->n;
            pairs->n += product;
            if (product > pairs->lower_bound)
                pairs->lower_bound = product;
        }
    }
}

static uint32_t *pair(const struct pairs *pairs, size_t a, unsigned x, size_t b, unsigned y) {
    return a < b ? &pairs->count[pairs->offset[a][b] + (size_t)x * pairs->n_levels[b] + y]
                 : &pairs->count[pairs->offset[b][a] + (size_t)y * pairs->n_levels[a] + x];
}

/* Counts a row in. Returns the pairs that no row before held. */
static size_t add_row(struct pairs *pairs, const unsigned *row) {
    size_t new_pairs = 0;
    for (size_t a = 0; a < pairs->n_axes; a++) {
        for (size_t b = a + 1; b < pairs->n_axes; b++)
            new_pairs += (*pair(pairs, a, row[a], b, row[b]))++ == 0;
    }
    return new_pairs;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* The level whose pairs are missing most, over all axes; equals are drawn. */
static void neediest(const struct pairs *pairs, const uint32_t *missing, uint64_t *random,
                     size_t *axis, unsigned *level) {
    uint32_t most = 0;
    unsigned equals = 0;
    for (size_t a = 0; a < pairs->n_axes; a++) {
        for (unsigned l = 0; l < pairs->n_levels[a]; l++) {
            uint32_t n = missing[a * SB_MAX_LEVELS + l];
            if (n < most || n == 0)
                continue;
            equals = n > most ? 1 : equals + 1;
            most = n;
            if (sb_random_below(random, equals) == 0) {
                *axis = a;
                *level = l;
            }
        }
    }
}

/* Adds 1 for each level of `axis` whose pair with level y of axis b is missing. */
static void add_missing(const struct pairs *pairs, size_t axis, size_t b, unsigned y,
                        uint32_t *completes) {
    unsigned n = pairs->n_levels[axis];
    size_t stride = axis < b ? pairs->n_levels[b] : 1;
    const uint32_t *count = pair(pairs, axis, 0, b, y);
    for (unsigned l = 0; l < n; l++)
        completes[l] += count[l * stride] == 0;
}

/* Fills a row: the neediest level, then the other axes in random order, each with the level that
 * completes most missing pairs. Returns how many it completes. */
static size_t candidate(const struct pairs *pairs, const uint32_t *missing, uint64_t *random,
                        unsigned *row) {
    size_t order[SB_MAX_AXES] = {0};
    size_t start = 0, gained = 0;
    unsigned start_level = 0;
    neediest(pairs, missing, random, &start, &start_level);
    for (size_t i = 0; i < pairs->n_axes; i++)
        order[i] = i;
    order[0] = start;
    order[start] = 0;
    row[start] = start_level;
    for (size_t i = 1; i < pairs->n_axes; i++) {
        size_t j = i + (size_t)sb_random_below(random, pairs->n_axes - i);
        size_t axis = order[j];
        order[j] = order[i];
        order[i] = axis;
        uint32_t completes[SB_MAX_LEVELS] = {0};
        for (size_t k = 0; k < i; k++)
            add_missing(pairs, axis, order[k], row[order[k]], completes);
        uint32_t best = 0;
        unsigned equals = 0;
        for (unsigned l = 0; l < pairs->n_levels[axis]; l++) {
            if (equals && completes[l] < best)
                continue;
            equals = !equals || completes[l] > best ? 1 : equals + 1;
            best = completes[l];
            if (sb_random_below(random, equals) == 0)
                row[axis] = l;
        }
        gained += best;
    }
    return gained;
}

static unsigned *rows_append(struct rows *rows, size_t n_axes) {
    if (rows->n == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 16;
        unsigned *levels = realloc(rows->levels, capacity * n_axes * sizeof *levels);
        if (!levels)
            return NULL;
        rows->levels = levels;
        rows->capacity = capacity;
    }
    return rows->levels + rows->n++ * n_axes;
}

static void count_missing(const struct pairs *pairs, uint32_t *missing) {
    for (size_t a = 0; a < pairs->n_axes; a++) {
        for (unsigned l = 0; l < pairs->n_levels[a]; l++) {
            uint32_t n = 0;
            for (size_t b = 0; b < pairs->n_axes; b++)
                n += b == a ? 0 : pairs->n_levels[b];
            missing[a * SB_MAX_LEVELS + l] = n;
        }
    }
}

/* Takes the row's new pairs off the missing ones of its levels, and counts the row in. */
static size_t accept_row(struct pairs *pairs, uint32_t *missing, const unsigned *row) {
    for (size_t a = 0; a < pairs->n_axes; a++) {
        for (size_t b = a + 1; b < pairs->n_axes; b++) {
            if (*pair(pairs, a, row[a], b, row[b]) == 0) {
                missing[a * SB_MAX_LEVELS + row[a]]--;
                missing[b * SB_MAX_LEVELS + row[b]]--;
            }
        }
    }
    return add_row(pairs, row);
}

/* Builds an array; gives up (rows->n = limit) when it is not going to be smaller than `limit`. */
static int build(struct pairs *pairs, unsigned n_candidates, uint64_t seed, size_t limit,
                 struct rows *rows) {
    SB_AUTO_FREE uint32_t *missing = calloc(SB_MAX_AXES * SB_MAX_LEVELS, sizeof *missing);
    if (!missing)
        return -ENOMEM;
    count_missing(pairs, missing);
    memset(pairs->count, 0, pairs->n * sizeof *pairs->count);
    rows->n = 0;
    uint64_t random = seed;
    for (size_t left = pairs->n; left > 0 && rows->n < limit;) {
        unsigned trial[SB_MAX_AXES];
        unsigned best_row[SB_MAX_AXES] = {0};
        size_t best = 0;
        for (unsigned i = 0; i < n_candidates; i++) {
            size_t gained = candidate(pairs, missing, &random, trial);
            if (gained > best) {
                best = gained;
                memcpy(best_row, trial, sizeof best_row);
            }
        }
        unsigned *row = rows_append(rows, pairs->n_axes);
        if (!row)
            return -ENOMEM;
        memcpy(row, best_row, pairs->n_axes * sizeof *row);
        left -= accept_row(pairs, missing, row);
    }
    return 0;
}

/* The smallest of as many arrays as the work allows. */
static int build_best(struct pairs *pairs, struct rows *best) {
    size_t widest = 1;
    for (size_t a = 0; a < pairs->n_axes; a++)
        widest = pairs->n_levels[a] > widest ? pairs->n_levels[a] : widest;
    size_t row_work = pairs->n_axes * pairs->n_axes * widest / 2 + 1;
    size_t work = 2 * pairs->lower_bound * row_work;
    unsigned n_candidates = work * CANDIDATES > BUILD_WORK ? 1 : CANDIDATES;
    size_t n_builds = BUILD_WORK / (work * n_candidates) + 1;
    for (size_t i = 0; i < n_builds && i < MAX_BUILDS && best->n != pairs->lower_bound; i++) {
        struct rows rows = {0};
        int status = build(pairs, n_candidates, i, best->n ? best->n : SIZE_MAX, &rows);
        if (status < 0) {
            free(rows.levels);
            return status;
        }
        if (!best->n || rows.n < best->n) {
            free(best->levels);
            *best = rows;
        } else {
            free(rows.levels);
        }
    }
    return 0;
}

/* ---- Taking rows away ------------------------------------------------------------------------ */

/* Pairs that become missing, less those that become held, when row[axis] is set to `level`. */
static long change_of(const struct pairs *pairs, const unsigned *row, size_t axis, unsigned level) {
    long change = 0;
    for (size_t b = 0; b < pairs->n_axes; b++) {
        if (b == axis)
            continue;
        change += *pair(pairs, axis, row[axis], b, row[b]) == 1;
        change -= *pair(pairs, axis, level, b, row[b]) == 0;
    }
    return change;
}

static void set_level(struct pairs *pairs, unsigned *row, size_t axis, unsigned level) {
    for (size_t b = 0; b < pairs->n_axes; b++) {
        if (b == axis)
            continue;
        (*pair(pairs, axis, row[axis], b, row[b]))--;
        (*pair(pairs, axis, level, b, row[b]))++;
    }
    row[axis] = level;
}

/* Changes single levels until no pair is missing. A change for the worse by one or two pairs is
 * taken now and then, to get out of dead ends. */
static bool search(struct pairs *pairs, struct rows *rows, uint64_t *random) {
    memset(pairs->count, 0, pairs->n * sizeof *pairs->count);
    long missing = (long)pairs->n;
    for (size_t i = 0; i < rows->n; i++)
        missing -= (long)add_row(pairs, rows->levels + i * pairs->n_axes);
    for (size_t steps = SEARCH_WORK / (2 * pairs->n_axes); missing > 0 && steps > 0; steps--) {
        unsigned *row = rows->levels + sb_random_below(random, rows->n) * pairs->n_axes;
        size_t axis = (size_t)sb_random_below(random, pairs->n_axes);
        if (pairs->n_levels[axis] < 2)
            continue;
        unsigned level = (unsigned)sb_random_below(random, pairs->n_levels[axis] - 1);
        level += level >= row[axis];
        long change = change_of(pairs, row, axis, level);
        static const uint64_t one_in[] = {1, 24, 400};
        if (change > 2 || (change > 0 && sb_random_below(random, one_in[change]) != 0))
            continue;
        set_level(pairs, row, axis, level);
        missing += change;
    }
    return missing == 0;
}

/* The row whose loss leaves fewest pairs missing goes to the end. */
static void weakest_last(struct pairs *pairs, struct rows *rows) {
    size_t n_axes = pairs->n_axes, weakest = 0, fewest = SIZE_MAX;
    memset(pairs->count, 0, pairs->n * sizeof *pairs->count);
    for (size_t i = 0; i < rows->n; i++)
        add_row(pairs, rows->levels + i * n_axes);
    for (size_t i = 0; i < rows->n; i++) {
        const unsigned *row = rows->levels + i * n_axes;
        size_t alone = 0;
        for (size_t a = 0; a < n_axes; a++) {
            for (size_t b = a + 1; b < n_axes; b++)
                alone += *pair(pairs, a, row[a], b, row[b]) == 1;
        }
        if (alone < fewest) {
            fewest = alone;
            weakest = i;
        }
    }
    for (size_t a = 0; a < n_axes; a++) {
        unsigned *x = rows->levels + weakest * n_axes + a;
        unsigned *y = rows->levels + (rows->n - 1) * n_axes + a;
        unsigned level = *x;
        *x = *y;
        *y = level;
    }
}

static int shrink(struct pairs *pairs, struct rows *best) {
    uint64_t random = 0;
    while (best->n > pairs->lower_bound && pairs->n <= SEARCH_PAIRS) {
        weakest_last(pairs, best);
        size_t bytes = (best->n - 1) * pairs->n_axes * sizeof *best->levels;
        struct rows fewer = {.levels = malloc(bytes ? bytes : 1), .n = best->n - 1};
        if (!fewer.levels)
            return -ENOMEM;
        memcpy(fewer.levels, best->levels, bytes);
        if (!search(pairs, &fewer, &random)) {
            free(fewer.levels);
            return 0;
        }
        free(best->levels);
        *best = fewer;
    }
    return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

/* Names the levels of every axis anew, so that row 0 is the reference cell. */
static void put_reference_first(const struct pairs *pairs, struct rows *rows) {
    for (size_t a = 0; a < pairs->n_axes; a++) {
        unsigned first = rows->levels[a];
        for (size_t i = 0; i < rows->n; i++) {
            unsigned *level = &rows->levels[i * pairs->n_axes + a];
            *level = *level == first ? 0 : *level == 0 ? first : *level;
        }
    }
}

int sb_covering_array(const unsigned *n_levels, size_t n_axes, unsigned **levels, size_t *n_cells,
                      struct sb_error *err) {
    if (n_axes < 2) /* no pairs: each level of the one axis, or the reference cell alone */
        return sb_design_cells(SB_DESIGN_FULL, n_levels, n_axes, levels, n_cells, err);
    SB_AUTO_FREE struct pairs *pairs = malloc(sizeof *pairs);
    if (!pairs)
        return sb_error_errno(err, -ENOMEM, "pairwise design");
    pairs_lay_out(pairs, n_levels, n_axes);
    SB_AUTO_FREE uint32_t *count = calloc(pairs->n, sizeof *count);
    pairs->count = count;
    struct rows rows = {0};
    int status = count ? build_best(pairs, &rows) : -ENOMEM;
    if (status == 0)
        status = shrink(pairs, &rows);
    if (status < 0) {
        free(rows.levels);
        return sb_error_errno(err, status, "pairwise design");
    }
    put_reference_first(pairs, &rows);
    *levels = rows.levels;
    *n_cells = rows.n;
    return 0;
}
