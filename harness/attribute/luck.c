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

/* Two tests, the second of which only counts once the first says that there is something: which
 * axes are tested was chosen after looking at the bits, and a test that asks whether all cells,
 * whatever their axes, could look stable by luck, does not depend on that choice. */
double sb_axis_p(const struct sb_view *view, const unsigned *runs, sb_mask explanation,
                 size_t axis) {
    sb_mask others = explanation & ~sb_axis_bit(axis);
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    if (!cells)
        return NAN;
    /* Within each lot by the axis, so that its levels stand together. */
    sb_cells_sort(view->evidence, cells, view->n_stable, others);
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
        sb_cells_sort(view->evidence, cells + i, end - i, sb_axis_bit(axis));
    }
    double any = lots_p(view, runs, cells, others, axis, true);
    return any <= SB_LUCK_LIMIT ? lots_p(view, runs, cells, others, axis, false) : any;
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

static int by_rate(const void *a, const void *b) {
    const struct sb_rate *x = a, *y = b;
    if (x->runs != y->runs)
        return x->runs < y->runs ? -1 : 1;
    return (x->modal > y->modal) - (x->modal < y->modal);
}

static size_t drop_equal_rates(struct sb_rate *rates, size_t n) {
    size_t kept = 0;
    if (n)
        qsort(rates, n, sizeof *rates, by_rate);
    for (size_t i = 0; i < n; i++) {
        if (!kept || by_rate(&rates[i], &rates[kept - 1]) != 0)
            rates[kept++] = rates[i];
    }
    return kept;
}

int sb_stability_make(const struct sb_view *view, unsigned at_least,
                      struct sb_stability *stability) {
    size_t n_cells = view->evidence->n_cells;
    unsigned most = at_least;
    for (size_t cell = 0; cell < n_cells; cell++)
        most = view->tallies[cell].good > most ? view->tallies[cell].good : most;
    *stability = (struct sb_stability){.most = most};
    stability->cells = calloc((size_t)most + 1, sizeof *stability->cells);
    stability->rates = calloc(view->n_unstable + 1, sizeof *stability->rates);
    if (!stability->cells || !stability->rates) {
        sb_stability_clear(stability);
        return -ENOMEM;
    }
    for (size_t cell = 0; cell < n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        unsigned good = tally->good > at_least ? tally->good : at_least;
        if (tally->distinct > 1)
            stability->rates[stability->n_rates++] =
                (struct sb_rate){good, (double)tally->modal * good / tally->good};
        else if (tally->good)
            stability->cells[good]++;
    }
    stability->n_rates = drop_equal_rates(stability->rates, stability->n_rates);
    return 0;
}

void sb_stability_clear(struct sb_stability *stability) {
    free(stability->cells);
    free(stability->rates);
    *stability = (struct sb_stability){0};
}

double sb_stability_luck_at(const struct sb_stability *stability, const struct sb_rate *rate) {
    double sum = 0;
    for (unsigned good = 1; good <= stability->most; good++) {
        if (stability->cells[good])
            sum +=
                (double)stability->cells[good] * sb_agreement_luck(good, rate->runs, rate->modal);
    }
    return sum;
}

double sb_stability_luck(const struct sb_stability *stability) {
    double sum = 0;
    for (unsigned good = 1; good <= stability->most; good++) {
        double most = 0;
        for (size_t i = 0; i < stability->n_rates && stability->cells[good]; i++) {
            const struct sb_rate *rate = &stability->rates[i];
            double luck = sb_agreement_luck(good, rate->runs, rate->modal);
            most = luck > most ? luck : most;
        }
        sum += (double)stability->cells[good] * most;
    }
    return sum;
}

double sb_stable_luck(const struct sb_view *view) {
    SB_CLEANUP(sb_stability_clear) struct sb_stability stability;
    return sb_stability_make(view, 0, &stability) < 0 ? NAN : sb_stability_luck(&stability);
}

double sb_mismatch_rate_95(unsigned replays) {
    return replays ? 1 - pow(SB_LUCK_LIMIT, 1.0 / replays) : NAN;
}
