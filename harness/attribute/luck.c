/* Stage 6, attribute: what could be luck. See attribute/luck.h. */
#include "attribute/luck.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>

/* Steps of the exact count that one test may take. */
enum { COUNT_LIMIT = 500 * 1000, STATE_LIMIT = 100 * 1000 };

static double log_factorial(double n) {
    return lgamma(n + 1);
}

static double log_choose(double n, double k) {
    return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

static double log_add(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* Blocks of one size, told apart no further. */
struct size_class {
    unsigned size;
    unsigned n;
};

static int by_group(const void *a, const void *b) {
    const struct sb_block *x = a, *y = b;
    return x->group != y->group ? (x->group > y->group) - (x->group < y->group)
                                : (x->runs > y->runs) - (x->runs < y->runs);
}

/* The sizes that occur, ascending. */
static size_t find_sizes(const struct sb_block *blocks, size_t n, struct size_class *sizes) {
    size_t n_sizes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < n_sizes && sizes[at].size < blocks[i].runs)
            at++;
        if (at == n_sizes || sizes[at].size != blocks[i].runs) {
            for (size_t k = n_sizes++; k > at; k--)
                sizes[k] = sizes[k - 1];
            sizes[at] = (struct size_class){blocks[i].runs, 0};
        }
        sizes[at].n++;
    }
    return n_sizes;
}

/* How many blocks of each size are left to give away is one number, the first size's count lowest.
 */
static size_t count_states(const struct size_class *sizes, size_t n_sizes) {
    size_t states = 1;
    for (size_t i = 0; i < n_sizes; i++) {
        if (states > STATE_LIMIT)
            return SIZE_MAX;
        states *= sizes[i].n + 1;
    }
    return states;
}

struct deal {
    const struct size_class *sizes;
    size_t n_sizes;
    double *next; /* logarithms of the numbers of ways to each state */
    size_t steps;
};

/* From one state, gives a group that has `left` runs more to place blocks of size `i` and on. */
static void place_group(struct deal *deal, size_t state, size_t stride, size_t i, unsigned left,
                        double ways) {
    if (++deal->steps > COUNT_LIMIT)
        return;
    if (i == deal->n_sizes) {
        if (left == 0)
            deal->next[state] = log_add(deal->next[state], ways);
        return;
    }
    const struct size_class *size = &deal->sizes[i];
    size_t have = state / stride % (size->n + 1);
    for (size_t take = 0; take <= have && take * size->size <= left; take++)
        place_group(deal, state - take * stride, stride * (size->n + 1), i + 1,
                    left - (unsigned)take * size->size,
                    ways + log_choose((double)have, (double)take));
}

/* The logarithm of the number of ways to give each block one of the groups so that every group has
 * as many runs as it has; `blocks` sorted by group. NAN: too long; INFINITY: no memory. */
static double log_labellings(const struct sb_block *blocks, size_t n,
                             const struct size_class *sizes, size_t n_sizes) {
    size_t states = count_states(sizes, n_sizes);
    if (states > STATE_LIMIT)
        return NAN;
    SB_AUTO_FREE double *ways = malloc(2 * states * sizeof *ways);
    if (!ways)
        return INFINITY;
    double *now = ways, *next = ways + states;
    for (size_t s = 0; s < states; s++)
        now[s] = -INFINITY;
    now[states - 1] = 0; /* all blocks are left */
    struct deal deal = {.sizes = sizes, .n_sizes = n_sizes};
    for (size_t i = 0, end; i < n; i = end) {
        unsigned runs = 0;
        for (end = i; end < n && blocks[end].group == blocks[i].group; end++)
            runs += blocks[end].runs;
        for (size_t s = 0; s < states; s++)
            next[s] = -INFINITY;
        deal.next = next;
        for (size_t s = 0; s < states; s++) {
            if (now[s] != -INFINITY)
                place_group(&deal, s, 1, 0, runs, now[s]);
        }
        deal.steps += states;
        if (deal.steps > COUNT_LIMIT)
            return NAN;
        double *swapped = now;
        now = next;
        next = swapped;
    }
    return now[0];
}

/* With blocks of one size the ways are a multinomial coefficient. */
static double log_labellings_of_one_size(const struct sb_block *blocks, size_t n) {
    double ways = log_factorial((double)n);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && blocks[end].group == blocks[i].group;)
            end++;
        ways -= log_factorial((double)(end - i));
    }
    return ways;
}

/* The logarithm of the number of different ways to lay out all runs: N! / Π m_g!. */
static double log_layouts(const struct sb_block *blocks, size_t n) {
    double ways = 0, total = 0;
    for (size_t i = 0, end; i < n; i = end) {
        double runs = 0;
        for (end = i; end < n && blocks[end].group == blocks[i].group; end++)
            runs += blocks[end].runs;
        ways -= log_factorial(runs);
        total += runs;
    }
    return ways + log_factorial(total);
}

double sb_deal_log_chance(const struct sb_block *blocks, size_t n) {
    SB_AUTO_FREE struct sb_block *sorted = malloc((n + 1) * sizeof *sorted);
    SB_AUTO_FREE struct size_class *sizes = malloc((n + 1) * sizeof *sizes);
    if (!sorted || !sizes)
        return NAN;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (blocks[i].runs)
            sorted[kept++] = blocks[i];
    }
    if (!kept)
        return 0;
    qsort(sorted, kept, sizeof *sorted, by_group);
    if (sorted[0].group == sorted[kept - 1].group)
        return 0;
    for (;;) {
        size_t n_sizes = find_sizes(sorted, kept, sizes);
        if (n_sizes == 1)
            return log_labellings_of_one_size(sorted, kept) - log_layouts(sorted, kept);
        double ways = log_labellings(sorted, kept, sizes, n_sizes);
        if (ways == INFINITY)
            return NAN;
        if (!isnan(ways))
            return ways - log_layouts(sorted, kept);
        for (size_t i = 0; i < kept; i++) {
            if (sorted[i].runs == sizes[n_sizes - 1].size)
                sorted[i].runs = sizes[n_sizes - 2].size;
        }
    }
}

static unsigned runs_of(const struct sb_view *view, const unsigned *runs, size_t cell) {
    return runs ? runs[cell] : view->tallies[cell].good;
}

/* The stable cells of one lot as blocks: one for each cell, or for each level of the axis, which
 * all have the same bits at one level. */
static size_t make_blocks(const struct sb_view *view, const unsigned *runs, const size_t *cells,
                          size_t from, size_t end, size_t axis, bool by_cell,
                          struct sb_block *blocks) {
    const struct sb_evidence *evidence = view->evidence;
    size_t n = 0;
    for (size_t i = from; i < end; i++) {
        bool joins = !by_cell && i > from &&
                     evidence->cells[cells[i]][axis] == evidence->cells[cells[i - 1]][axis];
        if (!joins)
            blocks[n++] = (struct sb_block){view->tallies[cells[i]].group, 0};
        blocks[n - 1].runs += runs_of(view, runs, cells[i]);
    }
    return n;
}

static double lots_p(const struct sb_view *view, const unsigned *runs, const size_t *cells,
                     sb_mask others, size_t axis, bool by_cell) {
    double chance = 0;
    SB_AUTO_FREE struct sb_block *blocks = malloc((view->n_stable + 1) * sizeof *blocks);
    if (!blocks)
        return NAN;
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
        size_t n = make_blocks(view, runs, cells, i, end, axis, by_cell, blocks);
        chance += sb_deal_log_chance(blocks, n);
    }
    return exp(chance);
}

/* The stable cells by lot, and within each lot by the axis, so that its levels stand together. */
static size_t *cells_by_lot(const struct sb_view *view, sb_mask others, size_t axis) {
    size_t *cells = sb_stable_cells(view);
    if (!cells)
        return NULL;
    sb_cells_sort(view->evidence, cells, view->n_stable, others);
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
        sb_cells_sort(view->evidence, cells + i, end - i, sb_axis_bit(axis));
    }
    return cells;
}

/* Two tests, the second of which only counts once the first says that there is something: which
 * axes are tested was chosen after looking at the bits, and a test that asks whether all cells,
 * whatever their axes, could look stable by luck, does not depend on that choice. */
double sb_axis_p(const struct sb_view *view, const unsigned *runs, sb_mask explanation,
                 size_t axis) {
    sb_mask others = explanation & ~sb_axis_bit(axis);
    SB_AUTO_FREE size_t *cells = cells_by_lot(view, others, axis);
    if (!cells)
        return NAN;
    double any = lots_p(view, runs, cells, others, axis, true);
    return any <= SB_LUCK_LIMIT ? lots_p(view, runs, cells, others, axis, false) : any;
}

/* Runs of the kind of bits that has fewest, in a lot with several kinds; 0 in one with one kind. */
static unsigned fewest_of_a_kind(struct sb_block *blocks, size_t n) {
    unsigned fewest = 0;
    qsort(blocks, n, sizeof *blocks, by_group);
    for (size_t i = 0, end; n && blocks[0].group != blocks[n - 1].group && i < n; i = end) {
        unsigned of_kind = 0;
        for (end = i; end < n && blocks[end].group == blocks[i].group; end++)
            of_kind += blocks[end].runs;
        fewest = i == 0 || of_kind < fewest ? of_kind : fewest;
    }
    return fewest;
}

double sb_axis_race_chance(const struct sb_view *view, const unsigned *runs, sb_mask explanation,
                           size_t axis) {
    sb_mask others = explanation & ~sb_axis_bit(axis);
    SB_AUTO_FREE size_t *cells = cells_by_lot(view, others, axis);
    SB_AUTO_FREE struct sb_block *blocks = malloc((view->n_stable + 1) * sizeof *blocks);
    if (!cells || !blocks)
        return NAN;
    double tosses = 0;
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
        tosses +=
            fewest_of_a_kind(blocks, make_blocks(view, runs, cells, i, end, axis, false, blocks));
    }
    return exp2(-tosses);
}

double sb_race_chance(const struct sb_view *view, const unsigned *runs, sb_mask explanation) {
    double chance = 0;
    for (sb_mask rest = explanation; rest; rest &= rest - 1) {
        double one = sb_axis_race_chance(view, runs, explanation, (size_t)__builtin_ctzll(rest));
        if (isnan(one))
            return NAN;
        chance = one > chance ? one : chance;
    }
    return chance;
}

double sb_dependence_p(const struct sb_view *view, const unsigned *runs, sb_mask explanation) {
    double p = 0;
    for (sb_mask rest = explanation; rest; rest &= rest - 1) {
        double one = sb_axis_p(view, runs, explanation, (size_t)__builtin_ctzll(rest));
        if (isnan(one))
            return NAN;
        p = one > p ? one : p;
    }
    return p;
}

double sb_agreement_luck(double repeats, double runs, double modal) {
    return exp(log_factorial(modal + repeats) - log_factorial(modal) -
               log_factorial(runs + repeats) + log_factorial(runs));
}

/* A cell is known to be unstable because runs of it disagreed: of those that show how often, one is
 * left out for that. Otherwise a race that is rare, and was seen by chance in three runs, would be
 * taken for one that shows in every third. */
static struct sb_rate rate_of(const struct sb_tally *tally, unsigned at_least) {
    double grown = tally->good < at_least ? (double)at_least / tally->good : 1;
    double modal = grown * tally->modal;
    return (struct sb_rate){grown * tally->good - 1, modal};
}

/* The chance that so few of the runs of one cell, or fewer, disagree, if all cells' runs are one
 * lot: hypergeometric. */
static double few_disagree(const struct sb_rate *one, const struct sb_rate *all) {
    double sum = 0, disagree = all->runs - all->modal;
    for (double few = 0; few <= one->runs - one->modal; few++) {
        if (one->runs - few <= all->modal)
            sum += exp(log_choose(disagree, few) + log_choose(all->modal, one->runs - few) -
                       log_choose(all->runs, one->runs));
    }
    return sum;
}

/* The unstable cells' runs together, unless the cell that agrees most does so by more than luck:
 * then that cell's. Decided as counted, also for what lies ahead. */
struct sb_rate sb_unstable_rate(const struct sb_view *view, unsigned at_least) {
    struct sb_rate all = {0}, ahead = {0}, most = {0}, most_ahead = {0};
    double least_chance = 1;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        if (tally->distinct < 2)
            continue;
        struct sb_rate one = rate_of(tally, 0), one_ahead = rate_of(tally, at_least);
        all.runs += one.runs;
        all.modal += one.modal;
        ahead.runs += one_ahead.runs;
        ahead.modal += one_ahead.modal;
    }
    for (size_t cell = 0; cell < view->evidence->n_cells && view->n_unstable > 1; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        struct sb_rate one = rate_of(tally, 0);
        if (tally->distinct < 2 || one.modal * all.runs <= all.modal * one.runs)
            continue;
        double chance = few_disagree(&one, &all) * (double)view->n_unstable;
        if (chance < least_chance) {
            least_chance = chance;
            most = one;
            most_ahead = rate_of(tally, at_least);
        }
    }
    return most.runs > 0 && least_chance <= SB_LUCK_LIMIT ? most_ahead : ahead;
}

int sb_stability_make(const struct sb_view *view, struct sb_stability *stability) {
    unsigned most = 0;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        if (tally->distinct == 1 && tally->good > most)
            most = tally->good;
    }
    *stability = (struct sb_stability){.most = most, .n_unstable = view->n_unstable};
    stability->cells = calloc((size_t)most + 1, sizeof *stability->cells);
    if (!stability->cells)
        return -ENOMEM;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        if (tally->distinct == 1)
            stability->cells[tally->good]++;
    }
    stability->rate = sb_unstable_rate(view, 0);
    return 0;
}

void sb_stability_clear(struct sb_stability *stability) {
    free(stability->cells);
    *stability = (struct sb_stability){0};
}

double sb_stability_luck(const struct sb_stability *stability, const struct sb_rate *rate,
                         unsigned at_least) {
    double sum = 0;
    size_t n = 0;
    for (unsigned good = 1; good <= stability->most && rate->runs > 0; good++) {
        size_t cells = stability->cells[good];
        if (!cells)
            continue;
        n += cells;
        sum += (double)cells *
               sb_agreement_luck(good > at_least ? good : at_least, rate->runs, rate->modal);
    }
    return n ? sum * (double)(n + stability->n_unstable) / (double)n : 0;
}

double sb_stable_luck(const struct sb_view *view) {
    SB_CLEANUP(sb_stability_clear) struct sb_stability stability;
    if (sb_stability_make(view, &stability) < 0)
        return NAN;
    return sb_stability_luck(&stability, &stability.rate, 0);
}

double sb_mismatch_rate_95(unsigned replays) {
    return replays ? 1 - pow(SB_LUCK_LIMIT, 1.0 / replays) : NAN;
}
