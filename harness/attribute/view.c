/* Stage 6, attribute: a job's runs counted by cell, and its cells sorted. See attribute/view.h. */
#include "attribute/view.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

static int check_evidence(const struct sb_evidence *evidence, struct sb_error *err) {
    if (evidence->n_axes > SB_MAX_AXES)
        return sb_error_set(err, -EINVAL, "%zu axes are too many (at most %d)", evidence->n_axes,
                            SB_MAX_AXES);
    for (size_t i = 0; i < evidence->n_axes; i++) {
        if (evidence->n_levels[i] < 1 || evidence->n_levels[i] > SB_MAX_LEVELS)
            return sb_error_set(err, -EINVAL, "axis '%s' has %u levels (from 1 to %d)",
                                evidence->axes[i], evidence->n_levels[i], SB_MAX_LEVELS);
    }
    for (size_t cell = 0; cell < evidence->n_cells; cell++) {
        for (size_t i = 0; i < evidence->n_axes; i++) {
            if (evidence->cells[cell][i] >= evidence->n_levels[i])
                return sb_error_set(err, -EINVAL, "cell %zu has no such level of axis '%s'", cell,
                                    evidence->axes[i]);
        }
    }
    for (size_t i = 0; i < evidence->n_trials; i++) {
        if (evidence->trials[i].cell >= evidence->n_cells)
            return sb_error_set(err, -EINVAL, "run %zu is of a cell that was not planned", i);
    }
    return 0;
}

static int by_group(const void *a, const void *b) {
    const struct sb_trial *x = a, *y = b;
    return (x->group > y->group) - (x->group < y->group);
}

static int by_cell_and_group(const void *a, const void *b) {
    const struct sb_trial *x = a, *y = b;
    return x->cell != y->cell ? (x->cell < y->cell ? -1 : 1) : by_group(a, b);
}

/* Counts of equal bits: within each cell, and the different ones in all. */
static int count_groups(struct sb_view *view, struct sb_error *err) {
    const struct sb_evidence *evidence = view->evidence;
    size_t n = 0;
    SB_AUTO_FREE struct sb_trial *sorted = malloc((evidence->n_trials + 1) * sizeof *sorted);
    view->outcomes = malloc((evidence->n_trials + 1) * sizeof *view->outcomes);
    if (!sorted || !view->outcomes)
        return sb_error_errno(err, -ENOMEM, "%zu runs", evidence->n_trials);
    for (size_t i = 0; i < evidence->n_trials; i++) {
        if (evidence->trials[i].group >= 0)
            sorted[n++] = evidence->trials[i];
    }
    if (!n)
        return 0;
    qsort(sorted, n, sizeof *sorted, by_cell_and_group);
    for (size_t i = 0, end; i < n; i = end) {
        struct sb_tally *tally = &view->tallies[sorted[i].cell];
        for (end = i + 1; end < n && by_cell_and_group(&sorted[i], &sorted[end]) == 0;)
            end++;
        if (end - i > tally->modal)
            tally->modal = (unsigned)(end - i);
        tally->distinct++;
        view->outcomes[view->n_outcomes++] = sorted[i];
    }
    qsort(sorted, n, sizeof *sorted, by_group);
    for (size_t i = 0; i < n; i++)
        view->distinct += i == 0 || sorted[i].group != sorted[i - 1].group;
    return 0;
}

static void count_trials(struct sb_view *view) {
    const struct sb_evidence *evidence = view->evidence;
    for (size_t cell = 0; cell < evidence->n_cells; cell++)
        view->tallies[cell] = (struct sb_tally){.group = -1, .first = SIZE_MAX, .second = SIZE_MAX};
    for (size_t i = 0; i < evidence->n_trials; i++) {
        const struct sb_trial *trial = &evidence->trials[i];
        struct sb_tally *tally = &view->tallies[trial->cell];
        view->runs++;
        if (trial->group < 0) {
            tally->failed++;
            view->failed++;
            continue;
        }
        view->replays += tally->good++ > 0;
        if (tally->first == SIZE_MAX) {
            tally->first = i;
            tally->group = trial->group;
        } else if (tally->second == SIZE_MAX && trial->group != tally->group) {
            tally->second = i;
        }
    }
}

static void find_stable(struct sb_view *view) {
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++)
        view->n_unstable += sb_cell_unstable(view, cell);
    unsigned least = view->n_unstable ? 2 : 1;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        if (view->tallies[cell].good >= least && !sb_cell_unstable(view, cell))
            view->stable[view->n_stable++] = cell;
    }
}

int sb_view_make(const struct sb_evidence *evidence, struct sb_view *view, struct sb_error *err) {
    *view = (struct sb_view){.evidence = evidence};
    int rc = check_evidence(evidence, err);
    if (rc < 0)
        return rc;
    view->tallies = calloc(evidence->n_cells + 1, sizeof *view->tallies);
    view->stable = calloc(evidence->n_cells + 1, sizeof *view->stable);
    if (!view->tallies || !view->stable) {
        sb_view_clear(view);
        return sb_error_errno(err, -ENOMEM, "%zu cells", evidence->n_cells);
    }
    for (size_t i = 0; i < evidence->n_axes; i++) {
        if (evidence->n_levels[i] > 1)
            view->varied |= sb_axis_bit(i);
    }
    count_trials(view);
    rc = count_groups(view, err);
    if (rc < 0) {
        sb_view_clear(view);
        return rc;
    }
    find_stable(view);
    return 0;
}

void sb_view_clear(struct sb_view *view) {
    free(view->tallies);
    free(view->stable);
    free(view->outcomes);
    *view = (struct sb_view){0};
}

sb_mask sb_cells_differ(const struct sb_evidence *evidence, size_t a, size_t b) {
    sb_mask axes = 0;
    for (size_t i = 0; i < evidence->n_axes; i++) {
        if (evidence->cells[a][i] != evidence->cells[b][i])
            axes |= sb_axis_bit(i);
    }
    return axes;
}

struct order {
    const struct sb_evidence *evidence;
    sb_mask axes;
};

static int compare_levels(const struct order *order, size_t a, size_t b) {
    const unsigned *x = order->evidence->cells[a], *y = order->evidence->cells[b];
    for (sb_mask rest = order->axes; rest; rest &= rest - 1) {
        int axis = __builtin_ctzll(rest);
        if (x[axis] != y[axis])
            return x[axis] < y[axis] ? -1 : 1;
    }
    return 0;
}

static int compare_cells(const void *a, const void *b, void *context) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int order = compare_levels(context, x, y);
    return order ? order : (x > y) - (x < y);
}

void sb_cells_sort(const struct sb_evidence *evidence, size_t *cells, size_t n, sb_mask axes) {
    struct order order = {evidence, axes};
    if (n)
        qsort_r(cells, n, sizeof *cells, compare_cells, &order);
}

size_t sb_cells_end(const struct sb_evidence *evidence, const size_t *cells, size_t n, size_t from,
                    sb_mask axes) {
    struct order order = {evidence, axes};
    size_t end = from + 1;
    while (end < n && compare_levels(&order, cells[from], cells[end]) == 0)
        end++;
    return end;
}

size_t *sb_stable_cells(const struct sb_view *view) {
    size_t *cells = malloc((view->n_stable + 1) * sizeof *cells);
    if (cells)
        memcpy(cells, view->stable, view->n_stable * sizeof *cells);
    return cells;
}

/* Between the words of a list of n, before number i. */
static const char *joint(size_t i, size_t n, const char *last) {
    return i == 0 ? "" : i + 1 < n ? ", " : last;
}

void sb_text_axes(struct sb_text *text, const struct sb_evidence *evidence, sb_mask axes) {
    size_t n = (size_t)__builtin_popcountll(axes), i = 0;
    for (sb_mask rest = axes; rest; rest &= rest - 1, i++)
        sb_text_printf(text, "%s%s", joint(i, n, " and "), evidence->axes[__builtin_ctzll(rest)]);
}

void sb_text_cell(struct sb_text *text, const struct sb_view *view, size_t cell) {
    const struct sb_evidence *evidence = view->evidence;
    const char *gap = "";
    for (sb_mask rest = view->varied; rest; rest &= rest - 1, gap = " ") {
        int axis = __builtin_ctzll(rest);
        sb_text_printf(text, "%s%s=%s", gap, evidence->axes[axis],
                       evidence->levels[axis][evidence->cells[cell][axis]]);
    }
}

void sb_text_levels(struct sb_text *text, const struct sb_evidence *evidence, size_t axis,
                    sb_mask levels) {
    size_t n = (size_t)__builtin_popcountll(levels), i = 0;
    for (sb_mask rest = levels; rest; rest &= rest - 1, i++)
        sb_text_printf(text, "%s%s", joint(i, n, " or "),
                       evidence->levels[axis][__builtin_ctzll(rest)]);
}
