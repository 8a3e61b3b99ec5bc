/* Stage 6, attribute: the witness. See attribute/witness.h. */
#include "attribute/witness.h"

#include "base/cleanup.h"

#include <errno.h>

/* Pairs of cells that are looked at where no two differ in one axis alone. */
enum { PAIR_LIMIT = 1 << 23 };

struct pair {
    size_t a, b; /* trials */
    sb_mask axes;
};

static void take_if_better(struct pair *best, size_t a, size_t b, sb_mask axes) {
    struct pair one = {a < b ? a : b, a < b ? b : a, axes};
    int more = __builtin_popcountll(one.axes) - __builtin_popcountll(best->axes);
    if (best->a == SIZE_MAX || more < 0 ||
        (more == 0 && (one.a < best->a || (one.a == best->a && one.b < best->b))))
        *best = one;
}

/* The lowest pair of cells[from..end): the cell that ran first is in it, unless all are alike. */
static void take_lowest(const struct sb_view *view, const size_t *cells, size_t from, size_t end,
                        sb_mask axis, struct pair *best) {
    const struct sb_tally *first = &view->tallies[cells[from]];
    for (size_t i = from + 1; i < end; i++) {
        if (view->tallies[cells[i]].first < first->first)
            first = &view->tallies[cells[i]];
    }
    for (size_t i = from; i < end; i++) {
        const struct sb_tally *tally = &view->tallies[cells[i]];
        if (tally->group != first->group)
            take_if_better(best, first->first, tally->first, axis);
    }
}

static void search_one_axis(const struct sb_view *view, size_t *cells, struct pair *best) {
    for (sb_mask rest = view->varied; rest; rest &= rest - 1) {
        sb_mask axis = rest & -rest, others = view->varied & ~axis;
        sb_cells_sort(view->evidence, cells, view->n_stable, others);
        for (size_t i = 0, end; i < view->n_stable; i = end) {
            end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
            take_lowest(view, cells, i, end, axis, best);
        }
    }
}

static void search_pairs(const struct sb_view *view, struct pair *best) {
    size_t pairs = 0;
    for (size_t i = 0; i < view->n_stable && pairs < PAIR_LIMIT; i++) {
        for (size_t k = i + 1; k < view->n_stable && pairs < PAIR_LIMIT; k++, pairs++) {
            size_t a = view->stable[i], b = view->stable[k];
            if (view->tallies[a].group != view->tallies[b].group)
                take_if_better(best, view->tallies[a].first, view->tallies[b].first,
                               sb_cells_differ(view->evidence, a, b));
        }
    }
}

int sb_witness_find(const struct sb_view *view, size_t *a, size_t *b, sb_mask *axes) {
    struct pair best = {SIZE_MAX, SIZE_MAX, 0};
    for (size_t cell = 0; cell < view->evidence->n_cells && view->n_unstable; cell++) {
        const struct sb_tally *tally = &view->tallies[cell];
        if (tally->distinct > 1)
            take_if_better(&best, tally->first, tally->second, 0);
    }
    if (best.a == SIZE_MAX && view->distinct > 1) {
        SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
        if (!cells)
            return -ENOMEM;
        search_one_axis(view, cells, &best);
        if (best.a == SIZE_MAX)
            search_pairs(view, &best);
    }
    *a = best.a;
    *b = best.b;
    *axes = best.axes;
    return 0;
}
