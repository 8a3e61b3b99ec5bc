/* Stage 6, attribute: does a job hold what its suite requires (DESIGN section 3, `require`)? */
#include "attribute/dependence.h"

#include "base/cleanup.h"

#include <errno.h>

/* So many different results of a cell are judged two by two; of others each only against the
 * cell's first, so that a cell whose runs all differ does not take the square of them. */
enum { MOST_PAIRED = 32 };

struct judge {
    struct sb_view view;
    const struct sb_job *job;
    bool (*within_tolerance)(void *context, int group_a, int group_b);
    void *context;
    size_t unpaired;       /* the most results of a cell, where not all were judged two by two */
    struct sb_text reason; /* empty while all is met */
};

static void judge_clear(struct judge *judge) {
    sb_view_clear(&judge->view);
    sb_text_clear(&judge->reason);
}

/* ---- Pairs of groups ------------------------------------------------------------------------ */

/* The later group is compared against the earlier one, whose values a relative tolerance is
 * relative to. */
static bool is_within(struct judge *judge, int a, int b) {
    return judge->within_tolerance(judge->context, a > b ? a : b, a > b ? b : a);
}

static bool is_violated(struct judge *judge, enum sb_need need, int a, int b) {
    if (need == SB_NEED_IGNORE || a == b)
        return false;
    return need == SB_NEED_BITWISE || !is_within(judge, a, b);
}

static struct sb_text *next_clause(struct judge *judge) {
    if (judge->reason.length)
        sb_text_puts(&judge->reason, "; ");
    return &judge->reason;
}

/* ---- Repeats -------------------------------------------------------------------------------- */

/* Do any two of a cell's outcomes differ by more than it may? */
static bool cell_violates(struct judge *judge, enum sb_need need, size_t from, size_t end) {
    const struct sb_trial *outcomes = judge->view.outcomes;
    for (size_t i = from + 1; i < end; i++) {
        if (is_violated(judge, need, outcomes[from].group, outcomes[i].group))
            return true;
    }
    size_t last = end - from > MOST_PAIRED ? from + MOST_PAIRED : end;
    for (size_t i = from + 1; i < last; i++) {
        for (size_t k = i + 1; k < last; k++) {
            if (is_violated(judge, need, outcomes[i].group, outcomes[k].group))
                return true;
        }
    }
    if (need == SB_NEED_ROUNDING && last < end && end - from > judge->unpaired)
        judge->unpaired = end - from;
    return false;
}

static void judge_repeats(struct judge *judge) {
    const struct sb_view *view = &judge->view;
    enum sb_need need = sb_job_need(judge->job, "repeats");
    size_t cells = 0, first = 0;
    for (size_t i = 0, end; i < view->n_outcomes; i = end) {
        for (end = i + 1; end < view->n_outcomes;) {
            if (view->outcomes[end].cell != view->outcomes[i].cell)
                break;
            end++;
        }
        if (!cell_violates(judge, need, i, end))
            continue;
        first = cells++ ? first : view->outcomes[i].cell;
    }
    if (!cells)
        return;
    struct sb_text *text = next_clause(judge);
    const struct sb_tally *tally = &view->tallies[first];
    sb_text_puts(text, "repeats: ");
    if (view->varied) {
        sb_text_puts(text, "cell ");
        sb_text_cell(text, view, first);
        sb_text_puts(text, " gave ");
    }
    sb_text_printf(text, "%u different results in %u runs%s", tally->distinct, tally->good,
                   need == SB_NEED_ROUNDING ? ", beyond rounding" : "");
    if (cells > 1)
        sb_text_printf(text, " (and %zu more cell%s)", cells - 1, cells > 2 ? "s" : "");
}

/* ---- Axes ----------------------------------------------------------------------------------- */

static void say_axis(struct judge *judge, size_t axis, enum sb_need need, size_t a, size_t b,
                     sb_mask where) {
    const struct sb_evidence *evidence = judge->view.evidence;
    struct sb_text *text = next_clause(judge);
    const char *const *levels = evidence->levels[axis];
    sb_text_printf(text, "%s: %s and %s differ%s", evidence->axes[axis],
                   levels[evidence->cells[a][axis]], levels[evidence->cells[b][axis]],
                   need == SB_NEED_ROUNDING ? " beyond rounding" : "");
    const char *gap = " at ";
    for (sb_mask rest = where; rest; rest &= rest - 1, gap = " ") {
        int other = __builtin_ctzll(rest);
        sb_text_printf(text, "%s%s=%s", gap, evidence->axes[other],
                       evidence->levels[other][evidence->cells[a][other]]);
    }
}

/* One cell for each level of the axis that cells[0..n), sorted by it, have: where others have the
 * same level, their bits are the same. */
static size_t one_each(const struct sb_view *view, const size_t *cells, size_t n, size_t axis,
                       size_t *levels) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned *level = view->evidence->cells[cells[i]];
        if (!kept || level[axis] != view->evidence->cells[levels[kept - 1]][axis])
            levels[kept++] = cells[i];
    }
    return kept;
}

/* Cells that share the levels of `others`, two by two, until one pair differs too much. */
static void judge_lots(struct judge *judge, size_t *cells, size_t axis, enum sb_need need,
                       sb_mask others, sb_mask where) {
    const struct sb_view *view = &judge->view;
    sb_cells_sort(view->evidence, cells, view->n_stable, others);
    for (size_t from = 0, end; from < view->n_stable; from = end) {
        size_t levels[SB_MAX_LEVELS];
        end = sb_cells_end(view->evidence, cells, view->n_stable, from, others);
        sb_cells_sort(view->evidence, cells + from, end - from, sb_axis_bit(axis));
        size_t n = one_each(view, cells + from, end - from, axis, levels);
        for (size_t i = 0; i < n; i++) {
            int group = view->tallies[levels[i]].group;
            for (size_t k = i + 1; k < n; k++) {
                int other = view->tallies[levels[k]].group;
                if (is_violated(judge, need, group, other)) {
                    say_axis(judge, axis, need, levels[i], levels[k], where);
                    return;
                }
            }
        }
    }
}

/* Two cells differ in an axis alone, too, where the others in which they differ are known to have
 * no effect: so in a fractional design each axis of the explanation has pairs to judge. Unstable
 * cells are left out, as their bits differ by themselves; that is judged under repeats. */
static int judge_axes(struct judge *judge, struct sb_error *err) {
    const struct sb_view *view = &judge->view;
    SB_AUTO_MASKS struct sb_masks explanations = {0};
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    bool complete;
    if (!cells)
        return -ENOMEM;
    int rc = sb_explanations_find(view, &explanations, &complete, err);
    if (rc < 0)
        return rc;
    bool explained = sb_explained(&explanations, complete);
    sb_mask concerned = explained ? explanations.sets[0] : view->varied;
    for (sb_mask rest = concerned; rest; rest &= rest - 1) {
        size_t axis = (size_t)__builtin_ctzll(rest);
        enum sb_need need = sb_job_need(judge->job, view->evidence->axes[axis]);
        sb_mask others = concerned & ~sb_axis_bit(axis);
        if (need != SB_NEED_IGNORE)
            judge_lots(judge, cells, axis, need, others, explained ? others : 0);
    }
    return 0;
}

bool sb_requirements_met(const struct sb_evidence *evidence, const struct sb_job *job,
                         bool (*within_tolerance)(void *context, int group_a, int group_b),
                         void *context, char **reason, char **limit) {
    struct sb_error err = {0};
    SB_CLEANUP(judge_clear)
    struct judge judge = {.job = job, .within_tolerance = within_tolerance, .context = context};
    int rc = sb_view_make(evidence, &judge.view, &err);
    if (rc == 0) {
        judge_repeats(&judge);
        rc = judge_axes(&judge, &err);
    }
    if (rc == 0 && !judge.reason.failed && !judge.reason.length) {
        *limit = judge.unpaired
                     ? sb_format(
                           "repeats: of %zu results of one cell, %d were judged two by two, "
                           "and the others against the first",
                           judge.unpaired, MOST_PAIRED)
                     : NULL;
        return true;
    }
    *limit = NULL;
    *reason = rc < 0 && err.text[0] ? sb_format("not judged: %s", err.text)
              : rc < 0              ? sb_format("not judged: out of memory")
                                    : sb_text_take(&judge.reason);
    return false;
}
