/* Stage 6, attribute: how many further runs a job needs before its verdict may be said
 * (DESIGN 4.3).
 */
#include "attribute/dependence.h"
#include "attribute/luck.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>

/* Attempts, failed ones included, that a cell may have in all. */
static unsigned attempts_limit(const struct sb_repeats *repeats) {
    unsigned max = repeats->max ? repeats->max : SB_REPEATS_MAX;
    return max > repeats->min ? max : repeats->min;
}

/* May a cell be asked again? One that fails as often as it ends well would take its time for ever.
 */
static bool may_ask(const struct sb_tally *tally, unsigned limit) {
    return tally->good > tally->failed && tally->good + tally->failed < limit;
}

/* Asks for what a cell lacks of `target` good runs, within its limit. */
static void ask(const struct sb_tally *tally, unsigned target, unsigned limit, unsigned *more) {
    if (!may_ask(tally, limit) || tally->good >= target)
        return;
    unsigned lacks = target - tally->good, left = limit - tally->good - tally->failed;
    *more = lacks < left ? lacks : left;
}

/* Rounds grow by half, so that a rare divergence costs few rounds and a frequent one few runs. */
static unsigned grown(unsigned runs, unsigned limit) {
    unsigned target = runs + (runs / 2 ? runs / 2 : 1);
    return target < limit ? target : limit;
}

/* What was asked for at least: each cell gets the minimum, failed runs counting as they are. */
static bool ask_minimum(const struct sb_view *view, unsigned min, unsigned *more) {
    bool any = false;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        unsigned attempts = view->tallies[cell].good + view->tallies[cell].failed;
        more[cell] = attempts < min ? min - attempts : 0;
        any |= more[cell] > 0;
    }
    return any;
}

/* Towards the maximum while no repeats diverge, all cells alike. */
static void ask_all(const struct sb_view *view, unsigned limit, unsigned *more) {
    unsigned least = limit;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        if (may_ask(tally, limit) && tally->good < least)
            least = tally->good;
    }
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++)
        ask(&view->tallies[cell], grown(least, limit), limit, &more[cell]);
}

/* What one round may ask for beside unstable cells: `stable` good runs of each cell that looks
 * stable, and `unstable` ones of each other, to know the rate better. */
struct aim {
    unsigned stable, unstable;
};

static void ask_aim(const struct sb_view *view, struct aim aim, unsigned limit, unsigned *more) {
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        more[cell] = 0;
        if (tally->distinct)
            ask(tally, tally->distinct > 1 ? aim.unstable : aim.stable, limit, &more[cell]);
    }
}

static size_t count_runs(const struct sb_view *view, struct aim aim, unsigned limit,
                         unsigned *more) {
    size_t runs = 0;
    ask_aim(view, aim, limit, more);
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++)
        runs += more[cell];
    return runs;
}

/* The fewest runs of the cells that look stable that make their agreement no luck at this rate, if
 * none of them turns out unstable; above the limit where it does not suffice. */
static unsigned stable_target(const struct sb_stability *stability, const struct sb_rate *rate,
                              unsigned limit) {
    unsigned low = 0, high = limit + 1;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (sb_stability_luck(stability, rate, middle) <= SB_LUCK_LIMIT)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The aim that takes the fewest runs, of those that raise the unstable cells to this or that. */
static int find_aim(const struct sb_view *view, unsigned limit, unsigned *more, struct aim *best) {
    SB_CLEANUP(sb_stability_clear) struct sb_stability stability;
    size_t fewest = SIZE_MAX;
    *best = (struct aim){limit, limit};
    if (sb_stability_make(view, &stability) < 0)
        return -ENOMEM;
    unsigned last = limit + 1;
    for (unsigned unstable = 0; unstable <= limit; unstable++) {
        const struct sb_rate rate = sb_unstable_rate(view, unstable);
        struct aim aim = {stable_target(&stability, &rate, limit), unstable};
        if (aim.stable > limit || aim.stable >= last)
            continue; /* no better than fewer runs of the unstable cells */
        last = aim.stable;
        size_t runs = count_runs(view, aim, limit, more);
        if (runs < fewest) {
            fewest = runs;
            *best = aim;
        }
    }
    return 0;
}

/* The fewest good runs of the cells that lack some of the aim. */
static unsigned least_of(const struct sb_view *view, struct aim aim, unsigned limit) {
    unsigned least = limit;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        unsigned target = tally->distinct > 1 ? aim.unstable : aim.stable;
        if (tally->distinct && may_ask(tally, limit) && tally->good < target && tally->good < least)
            least = tally->good;
    }
    return least;
}

/* Beside an unstable cell, those that look stable, and the unstable ones whose rate is not known
 * well enough, until agreement is no luck. A round goes half of the way at most, since the next one
 * may find another rate. */
static int ask_for_stability(const struct sb_view *view, unsigned limit, unsigned *more) {
    struct aim aim;
    double luck = sb_stable_luck(view);
    if (isnan(luck))
        return -ENOMEM;
    if (luck <= SB_LUCK_LIMIT)
        return 0;
    if (find_aim(view, limit, more, &aim) < 0)
        return -ENOMEM;
    unsigned most = grown(least_of(view, aim, limit), limit);
    aim.stable = aim.stable < most ? aim.stable : most;
    aim.unstable = aim.unstable < most ? aim.unstable : most;
    ask_aim(view, aim, limit, more);
    return 0;
}

/* Marks cells of the lots in which an axis has an effect, since more runs of the others would not
 * bear on it: those with bits of which there are fewer than `few` runs. `runs` is all zero, one for
 * each group, and is left so. */
static void mark_lots(const struct sb_view *view, size_t *cells, sb_mask others, unsigned few,
                      unsigned *runs, bool *concerned) {
    const struct sb_tally *tallies = view->tallies;
    sb_cells_sort(view->evidence, cells, view->n_stable, others);
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        bool differ = false;
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
        for (size_t k = i; k < end; k++) {
            differ |= tallies[cells[k]].group != tallies[cells[i]].group;
            runs[tallies[cells[k]].group] += tallies[cells[k]].good;
        }
        for (size_t k = i; k < end && differ; k++)
            concerned[cells[k]] |= few == UINT_MAX || runs[tallies[cells[k]].group] < few;
        for (size_t k = i; k < end; k++)
            runs[tallies[cells[k]].group] = 0;
    }
}

static size_t count_groups(const struct sb_view *view) {
    int most = -1;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++)
        most = view->tallies[cell].group > most ? view->tallies[cell].group : most;
    return (size_t)(most + 1);
}

/* So many tosses of a coin fall alike by luck alone less often than the limit. */
static unsigned tosses_needed(void) {
    return (unsigned)ceil(-log2(SB_LUCK_LIMIT));
}

static int mark_concerned(const struct sb_view *view, sb_mask explanation, bool *concerned) {
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    SB_AUTO_FREE unsigned *runs = calloc(count_groups(view) + 1, sizeof *runs);
    if (!cells || !runs)
        return -ENOMEM;
    for (sb_mask rest = explanation; rest; rest &= rest - 1) {
        size_t axis = (size_t)__builtin_ctzll(rest);
        double p = sb_axis_p(view, NULL, explanation, axis);
        double race = sb_axis_race_chance(view, NULL, explanation, axis);
        if (isnan(p) || isnan(race))
            return -ENOMEM;
        unsigned few = p > SB_LUCK_LIMIT ? UINT_MAX : tosses_needed();
        if (p > SB_LUCK_LIMIT || race > SB_LUCK_LIMIT)
            mark_lots(view, cells, explanation & ~sb_axis_bit(axis), few, runs, concerned);
    }
    return 0;
}

/* Good runs of each cell once the concerned ones have the target, or as many as they may. */
static bool runs_ahead(const struct sb_view *view, const bool *concerned, unsigned target,
                       unsigned limit, unsigned *runs) {
    bool any = false;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        unsigned more = 0;
        if (concerned[cell])
            ask(&view->tallies[cell], target, limit, &more);
        runs[cell] = view->tallies[cell].good + more;
        any |= more > 0;
    }
    return any;
}

/* The runs of each cell with which the explanation is no luck: by the permutation test, and, if
 * `races`, by what a race could look like. 1; 0 where no number within the limit will do. */
static int find_runs(const struct sb_view *view, sb_mask explanation, const bool *concerned,
                     unsigned limit, bool races, unsigned *runs) {
    for (unsigned target = 1; target <= limit; target++) {
        if (!runs_ahead(view, concerned, target, limit, runs))
            continue;
        double race = races ? sb_race_chance(view, runs, explanation) : 0;
        double p = race > SB_LUCK_LIMIT ? 1 : sb_dependence_p(view, runs, explanation);
        if (isnan(race) || isnan(p))
            return -ENOMEM;
        if (p <= SB_LUCK_LIMIT && race <= SB_LUCK_LIMIT)
            return 1;
    }
    return 0;
}

/* What the effect of an axis needs to be no luck. As the stable cells' bits stay what they are, or
 * become unstable, the tests can be made before the runs. Nothing where no number of runs within
 * the limit would do; the verdict needs the permutation test alone, so that is asked for by itself
 * where the limit does not let a race be excluded. */
static int ask_for_dependence(const struct sb_view *view, unsigned limit, unsigned *more,
                              struct sb_error *err) {
    SB_AUTO_MASKS struct sb_masks explanations = {0};
    bool complete;
    int rc = sb_explanations_find(view, &explanations, &complete, err);
    if (rc < 0 || !sb_explained(&explanations, complete) || !explanations.sets[0])
        return rc;
    sb_mask explanation = explanations.sets[0];
    size_t n_cells = view->evidence->n_cells;
    SB_AUTO_FREE bool *concerned = calloc(n_cells, sizeof *concerned);
    SB_AUTO_FREE unsigned *runs = calloc(n_cells, sizeof *runs);
    if (!concerned || !runs || mark_concerned(view, explanation, concerned) < 0)
        return sb_error_errno(err, -ENOMEM, "permutation test");
    int found = find_runs(view, explanation, concerned, limit, true, runs);
    if (found == 0 && sb_dependence_p(view, NULL, explanation) > SB_LUCK_LIMIT)
        found = find_runs(view, explanation, concerned, limit, false, runs);
    if (found < 0)
        return sb_error_errno(err, found, "permutation test");
    for (size_t cell = 0; cell < n_cells && found; cell++)
        more[cell] = runs[cell] - view->tallies[cell].good;
    return 0;
}

int sb_more_runs(const struct sb_evidence *evidence, const struct sb_repeats *repeats,
                 unsigned *more, struct sb_error *err) {
    SB_AUTO_VIEW struct sb_view view;
    int rc = sb_view_make(evidence, &view, err);
    if (rc < 0)
        return rc;
    unsigned limit = attempts_limit(repeats);
    memset(more, 0, evidence->n_cells * sizeof *more);
    if (ask_minimum(&view, repeats->min, more) || repeats->exact || !view.distinct)
        return 0;
    if (view.n_unstable) {
        rc = ask_for_stability(&view, limit, more);
        return rc < 0 ? sb_error_errno(err, rc, "further repeats") : 0;
    }
    if (evidence->degenerate)
        return 0;
    if (repeats->stop_diverged) {
        ask_all(&view, limit, more);
        for (size_t cell = 0; cell < evidence->n_cells; cell++) {
            if (more[cell])
                return 0;
        }
    }
    return ask_for_dependence(&view, limit, more, err);
}
