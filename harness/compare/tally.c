/* Stage 5, compare: takes up pairs of elements block by block. See compare/tally.h. */
#if defined(__GNUC__) && !defined(__clang__)
/* Neither flag changes a result: traps and errno are not used here. */
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif
#include "compare/tally.h"

#include "compare/block.h"
#include "compare/element.h"

enum {
    LANES = 8,               /* sums that do not wait for each other */
    STRETCH = 64 * SB_BLOCK, /* elements that are first looked at as one */
};

/* Ratios and offsets this far apart, as a share of the largest, have no common cause. Once beyond
 * it a spread only grows, so that giving up early decides nothing that the end would not. */
#define WIDEST_SPREAD 0.125

void sb_tally_begin(struct sb_tally *tally, enum sb_dtype dtype,
                    const struct sb_tolerance *tolerance, uint64_t start) {
    memset(tally, 0, offsetof(struct sb_tally, staged_a));
    tally->dtype = dtype;
    tally->tolerance = *tolerance;
    if (tolerance->rtol < 0)
        tally->tolerance.rtol = sb_resolutions[dtype].rtol;
    if (tolerance->atol < 0)
        tally->tolerance.atol = sb_resolutions[dtype].atol;
    tally->start = start;
    tally->first = tally->worst = UINT64_MAX;
    tally->ratio = tally->offset = (struct sb_spread){true, INFINITY, -INFINITY};
}

/* ---- Not finite --------------------------------------------------------------------------------
 */

SB_CLONES static bool all_finite(const struct sb_block *block, unsigned n) {
    /* x - x is 0 for numbers and NaN otherwise. */
    uint64_t odd = 0;
    for (unsigned i = 0; i < n; i++) {
        odd |= sb_bits_of_double(block->x[i] - block->x[i]);
        odd |= sb_bits_of_double(block->y[i] - block->y[i]);
    }
    return odd << 1 == 0;
}

/* What the parts of one pair of elements are, all of them together. */
struct kind {
    bool finite_a, finite_b;
    bool signs;      /* the same but for signs of zeros and NaN */
    bool comparable; /* the distance in ULP has a meaning */
};

static struct kind kind_of(const struct sb_block *block, unsigned element, unsigned n_parts) {
    struct kind kind = {true, true, true, true};
    for (unsigned i = element * n_parts; i < (element + 1) * n_parts; i++) {
        double x = block->x[i], y = block->y[i];
        kind.finite_a &= isfinite(x) != 0;
        kind.finite_b &= isfinite(y) != 0;
        kind.signs &= x == y || (isnan(x) && isnan(y));
        kind.comparable &= x == y || (isfinite(x) && isfinite(y)) || (isnan(x) && isnan(y));
    }
    return kind;
}

/* Counts what is not finite, and puts zeros in its place, which no other count notices. */
static void take_out_broken(struct sb_tally *tally, struct sb_block *block) {
    unsigned n_parts = sb_resolutions[tally->dtype].n_parts;
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        struct kind kind = kind_of(block, i, n_parts);
        if (kind.finite_a && kind.finite_b)
            continue;
        bool differs = block->ulp[i] != 0;
        if (differs) {
            tally->n_outside++;
            tally->n_broken += kind.finite_a != kind.finite_b;
            tally->n_signs += kind.signs;
        }
        if (!kind.comparable) {
            tally->infinite_ulp = true;
            block->ulp[i] = UINT64_MAX;
        }
        block->gap[i] = differs ? INFINITY : 0;
        block->size[i] = 0;
        for (unsigned part = i * n_parts; part < (i + 1) * n_parts; part++)
            block->x[part] = block->y[part] = 0;
    }
    tally->ratio.alive = tally->offset.alive = false;
}

/* ---- Sizes -------------------------------------------------------------------------------------
 */

/* Largest values of a block. Doubles that are not negative are in the order of their bits. */
struct largest {
    int64_t gap, relative, a, b;
    uint64_t ulp;
    uint64_t different, signs, outside;
};

static inline int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline int64_t order_of(double not_negative) {
    return (int64_t)sb_bits_of_double(not_negative);
}

SB_CLONES static struct largest measure(const struct sb_block *block, double rtol, double atol) {
    struct largest most = {0};
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        double gap = block->gap[i], size = block->size[i], relative = gap / size;
        uint64_t differs = block->ulp[i] != 0;
        most.gap = larger(most.gap, order_of(gap));
        most.relative = larger(most.relative, order_of(gap > 0 ? relative : 0.0));
        most.ulp = block->ulp[i] > most.ulp ? block->ulp[i] : most.ulp;
        most.different += differs;
        most.signs += gap == 0 ? differs : 0;
        most.outside += gap <= atol + rtol * size ? 0 : differs;
    }
    return most;
}

SB_CLONES static uint64_t count_beyond_ulp(const struct sb_block *block, double tolerance) {
    uint64_t n = 0;
    for (unsigned i = 0; i < SB_BLOCK; i++)
        n += (double)block->ulp[i] > tolerance;
    return n;
}

SB_CLONES static void measure_sides(const struct sb_block *block, unsigned n_parts,
                                    struct largest *most) {
    for (unsigned i = 0; i < n_parts * SB_BLOCK; i++) {
        int64_t a = order_of(fabs(block->x[i])), b = order_of(fabs(block->y[i]));
        int64_t differs = -(int64_t)(block->x[i] != block->y[i]);
        most->a = larger(most->a, a & differs);
        most->b = larger(most->b, b & differs);
    }
}

static inline unsigned bucket_of(uint64_t ulp) {
    return ulp ? 64 - (unsigned)__builtin_clzll(ulp) : 0;
}

/* Four tables, since neighbours often fall into one bucket and would wait for each other. */
static void count_buckets(struct sb_tally *tally, const struct sb_block *block, unsigned n) {
    uint32_t tables[4][SB_ULP_BUCKETS] = {{0}};
    for (unsigned i = 0; i < SB_BLOCK; i += 4) {
        for (unsigned table = 0; table < 4; table++)
            tables[table][bucket_of(block->ulp[i + table])]++;
    }
    for (unsigned bucket = 0; bucket < SB_ULP_BUCKETS; bucket++)
        tally->histogram[bucket] +=
            tables[0][bucket] + tables[1][bucket] + tables[2][bucket] + (uint64_t)tables[3][bucket];
    tally->histogram[0] -= SB_BLOCK - n; /* the padding */
}

static void note_places(struct sb_tally *tally, const struct sb_block *block, double max_gap) {
    uint64_t place = tally->start + tally->n;
    for (unsigned i = 0; tally->first == UINT64_MAX && i < SB_BLOCK; i++) {
        if (block->ulp[i])
            tally->first = place + i;
    }
    if (tally->worst != UINT64_MAX && max_gap <= tally->max_abs)
        return;
    for (unsigned i = 0; i < SB_BLOCK; i++) {
        if (block->ulp[i] && block->gap[i] == max_gap) {
            tally->worst = place + i;
            break;
        }
    }
    tally->max_abs = max_gap;
}

static inline double largest_double(double a, double b) {
    return a > b ? a : b;
}

static void fold_sizes(struct sb_tally *tally, const struct sb_block *block, unsigned n) {
    const struct sb_tolerance *tolerance = &tally->tolerance;
    struct largest most = measure(block, tolerance->rtol, tolerance->atol);
    measure_sides(block, sb_resolutions[tally->dtype].n_parts, &most);
    if (tolerance->ulp >= 0)
        most.outside = count_beyond_ulp(block, tolerance->ulp);
    note_places(tally, block, sb_double_of_bits((uint64_t)most.gap));
    tally->n_different += most.different;
    tally->n_signs += most.signs;
    tally->n_outside += most.outside;
    tally->max_rel = largest_double(tally->max_rel, sb_double_of_bits((uint64_t)most.relative));
    tally->max_ulp = most.ulp > tally->max_ulp ? most.ulp : tally->max_ulp;
    tally->max_a = largest_double(tally->max_a, sb_double_of_bits((uint64_t)most.a));
    tally->max_b = largest_double(tally->max_b, sb_double_of_bits((uint64_t)most.b));
    tally->multiset += block->multiset;
    count_buckets(tally, block, n);
}

/* ---- One factor, one offset --------------------------------------------------------------------
 */

static void widen(struct sb_spread *spread, double least, double most) {
    spread->least = least < spread->least ? least : spread->least;
    spread->most = most > spread->most ? most : spread->most;
    double size = largest_double(fabs(spread->least), fabs(spread->most));
    if (!isfinite(size) || !(spread->most - spread->least <= WIDEST_SPREAD * size))
        spread->alive = spread->most == -INFINITY; /* nothing came yet */
}

/* Floats too small to keep their precision say nothing about a factor. */
static double steady_size(enum sb_dtype dtype) {
    const struct sb_resolution *resolution = &sb_resolutions[dtype];
    return resolution->is_float ? 4 * resolution->min_normal : 0.5;
}

static void fold_ratio(struct sb_tally *tally, const struct sb_block *block) {
    double least = INFINITY, most = -INFINITY, steady = steady_size(tally->dtype);
    unsigned n = sb_resolutions[tally->dtype].n_parts * SB_BLOCK;
    for (unsigned i = 0; i < n; i++) {
        double x = block->x[i], y = block->y[i], ratio = (x - y) / y;
        bool counts = fabs(x) >= steady || fabs(y) >= steady;
        least = counts && ratio < least ? ratio : least;
        most = counts && ratio > most ? ratio : most;
        tally->n_steady += counts;
    }
    widen(&tally->ratio, least, most);
}

static void fold_offset(struct sb_tally *tally, const struct sb_block *block, unsigned n) {
    double least = INFINITY, most = -INFINITY;
    n *= sb_resolutions[tally->dtype].n_parts; /* without padding, which is an offset of 0 */
    for (unsigned i = 0; i < n; i++) {
        double offset = block->x[i] - block->y[i];
        least = offset < least ? offset : least;
        most = offset > most ? offset : most;
    }
    widen(&tally->offset, least, most);
}

/* ---- Correlation -------------------------------------------------------------------------------
 */

/* Moments of two sets together (Chan, Golub, LeVeque 1979). */
static void add_moments(struct sb_moments *moments, const struct sb_moments *more) {
    if (more->n == 0)
        return;
    double n = moments->n + more->n;
    double a = more->mean_a - moments->mean_a, b = more->mean_b - moments->mean_b;
    double weight = moments->n * more->n / n;
    moments->aa += more->aa + a * a * weight;
    moments->bb += more->bb + b * b * weight;
    moments->ab += more->ab + a * b * weight;
    moments->mean_a += a * more->n / n;
    moments->mean_b += b * more->n / n;
    moments->n = n;
}

struct lanes {
    double n[LANES], a[LANES], b[LANES], aa[LANES], bb[LANES], ab[LANES];
};

/* Sums of the pairs that differ, taken from a pair near them so that squares keep their digits. */
SB_CLONES static void add_lanes(const struct sb_block *block, unsigned n, double near_a,
                                double near_b, struct lanes *lanes) {
    for (unsigned i = 0; i < n; i += LANES) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            double x = block->x[i + lane], y = block->y[i + lane];
            double counts = x != y ? 1.0 : 0.0;
            double a = (x - near_a) * counts, b = (y - near_b) * counts;
            lanes->n[lane] += counts;
            lanes->a[lane] += a;
            lanes->b[lane] += b;
            lanes->aa[lane] += a * a;
            lanes->bb[lane] += b * b;
            lanes->ab[lane] += a * b;
        }
    }
}

static double total(const double *lanes) {
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
           ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

static void fold_moments(struct sb_tally *tally, const struct sb_block *block) {
    unsigned n = sb_resolutions[tally->dtype].n_parts * SB_BLOCK, near = 0;
    while (near < n && block->x[near] == block->y[near])
        near++;
    if (near == n)
        return;
    struct lanes lanes = {{0}};
    add_lanes(block, n, block->x[near], block->y[near], &lanes);
    struct sb_moments more = {.n = total(lanes.n)};
    double a = total(lanes.a) / more.n, b = total(lanes.b) / more.n;
    more.mean_a = block->x[near] + a;
    more.mean_b = block->y[near] + b;
    more.aa = total(lanes.aa) - a * a * more.n;
    more.bb = total(lanes.bb) - b * b * more.n;
    more.ab = total(lanes.ab) - a * b * more.n;
    add_moments(&tally->moments, &more);
}

double sb_tally_correlation(const struct sb_tally *tally) {
    const struct sb_moments *moments = &tally->moments;
    if (!(moments->aa > 0 && moments->bb > 0))
        return NAN;
    return moments->ab / (sqrt(moments->aa) * sqrt(moments->bb));
}

/* ---- Blocks and pieces -------------------------------------------------------------------------
 */

/* What differs nowhere matters to the spreads alone. */
static void fold_equal(struct sb_tally *tally, const void *elements, uint64_t n) {
    tally->n += n;
    tally->histogram[0] += n;
    if (n)
        tally->offset.alive = false;
    const unsigned char *bytes = elements;
    size_t n_bytes = n * sb_dtype_size(tally->dtype);
    /* A block of nothing but zeros fits any factor. */
    if (tally->ratio.alive && n_bytes && (bytes[0] || memcmp(bytes, bytes + 1, n_bytes - 1)))
        tally->ratio.alive = false;
}

/* One block, of which the first n elements count and the rest are equal zeros. */
static void fold_block(struct sb_tally *tally, const void *a, const void *b, unsigned n) {
    size_t n_bytes = SB_BLOCK * sb_dtype_size(tally->dtype);
    if (memcmp(a, b, n_bytes) == 0) {
        fold_equal(tally, a, n);
        return;
    }
    struct sb_block block;
    sb_block_unpack(&block, tally->dtype, a, b);
    if (!all_finite(&block, sb_resolutions[tally->dtype].n_parts * SB_BLOCK))
        take_out_broken(tally, &block);
    if (tally->ratio.alive)
        fold_ratio(tally, &block);
    if (tally->offset.alive)
        fold_offset(tally, &block, n);
    fold_moments(tally, &block);
    fold_sizes(tally, &block, n);
    tally->n += n;
}

static uint64_t fold_blocks(struct sb_tally *tally, const char *a, const char *b, uint64_t n) {
    size_t size = sb_dtype_size(tally->dtype);
    uint64_t done = 0;
    while (n - done >= SB_BLOCK) {
        uint64_t stretch = n - done < STRETCH ? (n - done) / SB_BLOCK * SB_BLOCK : STRETCH;
        if (memcmp(a + done * size, b + done * size, stretch * size) == 0) {
            fold_equal(tally, a + done * size, stretch);
            done += stretch;
            continue;
        }
        for (uint64_t end = done + stretch; done < end; done += SB_BLOCK)
            fold_block(tally, a + done * size, b + done * size, SB_BLOCK);
    }
    return done;
}

void sb_tally_add(struct sb_tally *tally, const void *a, const void *b, uint64_t n) {
    size_t size = sb_dtype_size(tally->dtype);
    const char *next_a = a, *next_b = b;
    while (n) {
        uint64_t taken = 0;
        if (tally->n_staged == 0)
            taken = fold_blocks(tally, next_a, next_b, n);
        if (taken == 0) {
            taken = SB_BLOCK - tally->n_staged < n ? SB_BLOCK - tally->n_staged : n;
            memcpy(tally->staged_a + tally->n_staged * size, next_a, taken * size);
            memcpy(tally->staged_b + tally->n_staged * size, next_b, taken * size);
            tally->n_staged += (unsigned)taken;
            if (tally->n_staged == SB_BLOCK) {
                fold_block(tally, tally->staged_a, tally->staged_b, SB_BLOCK);
                tally->n_staged = 0;
            }
        }
        next_a += taken * size;
        next_b += taken * size;
        n -= taken;
    }
}

void sb_tally_end(struct sb_tally *tally) {
    size_t size = sb_dtype_size(tally->dtype), used = tally->n_staged * size;
    if (used) {
        memset(tally->staged_a + used, 0, SB_BLOCK * size - used);
        memset(tally->staged_b + used, 0, SB_BLOCK * size - used);
        fold_block(tally, tally->staged_a, tally->staged_b, tally->n_staged);
    }
    tally->n_staged = 0;
}

static void merge_spread(struct sb_spread *spread, const struct sb_spread *next) {
    spread->alive &= next->alive;
    if (spread->alive)
        widen(spread, next->least, next->most);
}

void sb_tally_merge(struct sb_tally *tally, const struct sb_tally *next) {
    tally->n += next->n;
    tally->n_different += next->n_different;
    tally->n_signs += next->n_signs;
    tally->n_broken += next->n_broken;
    tally->n_outside += next->n_outside;
    tally->n_steady += next->n_steady;
    if (tally->first == UINT64_MAX)
        tally->first = next->first;
    if (tally->worst == UINT64_MAX || (next->worst != UINT64_MAX && next->max_abs > tally->max_abs))
        tally->worst = next->worst;
    tally->max_abs = largest_double(tally->max_abs, next->max_abs);
    tally->max_rel = largest_double(tally->max_rel, next->max_rel);
    tally->max_ulp = tally->max_ulp > next->max_ulp ? tally->max_ulp : next->max_ulp;
    tally->infinite_ulp |= next->infinite_ulp;
    for (unsigned i = 0; i < SB_ULP_BUCKETS; i++)
        tally->histogram[i] += next->histogram[i];
    tally->max_a = largest_double(tally->max_a, next->max_a);
    tally->max_b = largest_double(tally->max_b, next->max_b);
    tally->multiset += next->multiset;
    merge_spread(&tally->ratio, &next->ratio);
    merge_spread(&tally->offset, &next->offset);
    add_moments(&tally->moments, &next->moments);
}
