/* Stage 6, attribute: the verdict on one job (DESIGN section 4), from its parts. */
#include "attribute/dependence.h"
#include "attribute/luck.h"
#include "attribute/witness.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>

const char *const sb_verdict_names[] = {
    [SB_VERDICT_BITWISE] = "bitwise",
    [SB_VERDICT_CONFIG_DEPENDENT] = "config-dependent",
    [SB_VERDICT_NONDETERMINISTIC] = "nondeterministic",
    [SB_VERDICT_INCONCLUSIVE] = "inconclusive",
    [SB_VERDICT_SKIPPED] = "skipped",
    [SB_VERDICT_ERROR] = "error",
    NULL,
};

/* Cells and explanations that a reason lists. */
enum { LISTED = 6 };

/* What the steps below hand on. */
struct work {
    struct sb_view view;
    struct sb_masks explanations; /* all of them if `complete` */
    bool complete;
    struct sb_text reason;
};

static void work_clear(struct work *work) {
    sb_view_clear(&work->view);
    sb_masks_clear(&work->explanations);
    sb_text_clear(&work->reason);
}

/* Starts the next sentence of the reason. */
static struct sb_text *because(struct work *work) {
    if (work->reason.length)
        sb_text_puts(&work->reason, "; ");
    return &work->reason;
}

/* ---- Run to run ----------------------------------------------------------------------------- */

/* "threads is 2 or 4 and deterministic is off" */
static void add_condition(struct sb_text *text, const struct sb_view *view, sb_mask axes) {
    const char *joint = "";
    for (sb_mask rest = axes; rest; rest &= rest - 1, joint = " and ") {
        size_t axis = (size_t)__builtin_ctzll(rest);
        sb_text_printf(text, "%s%s is ", joint, view->evidence->axes[axis]);
        sb_text_levels(text, view->evidence, axis, sb_unstable_levels(view, axis));
    }
}

static void list_conditions(struct work *work, const struct sb_masks *found, bool complete) {
    struct sb_text *text = because(work);
    if (found->n == 0) {
        sb_text_puts(text, "no levels of the axes tell the unstable cells from the stable ones:");
        size_t listed = 0;
        for (size_t cell = 0; cell < work->view.evidence->n_cells && listed < LISTED; cell++) {
            if (!sb_cell_unstable(&work->view, cell))
                continue;
            sb_text_puts(text, listed++ ? ", " : " ");
            sb_text_cell(text, &work->view, cell);
        }
        if (work->view.n_unstable > listed)
            sb_text_printf(text, " and %zu more", work->view.n_unstable - listed);
        sb_text_puts(text, listed == 1 ? " is unstable" : " are unstable");
        return;
    }
    sb_text_puts(text, "repeats differ exactly when ");
    for (size_t i = 0; i < found->n && i < LISTED; i++) {
        sb_text_puts(text, i ? ", or when " : "");
        add_condition(text, &work->view, found->sets[i]);
    }
    if (found->n > LISTED || !complete)
        sb_text_puts(text, ", or otherwise");
    sb_text_puts(text, ": the cells that were run do not tell these apart");
}

static int find_instability(struct work *work, struct sb_analysis *analysis) {
    const struct sb_view *view = &work->view;
    SB_AUTO_MASKS struct sb_masks found = {0};
    bool complete;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        if (sb_cell_unstable(view, cell))
            analysis->unstable_cells[cell / 64] |= (sb_mask)1 << cell % 64;
    }
    if (!view->n_unstable)
        return 0;
    if (sb_instability_find(view, &found, &complete) < 0)
        return -ENOMEM;
    analysis->unstable_known = complete && found.n == 1;
    if (!analysis->unstable_known) {
        list_conditions(work, &found, complete);
        return 0;
    }
    analysis->unstable_axes = found.sets[0];
    for (sb_mask rest = found.sets[0]; rest; rest &= rest - 1) {
        size_t axis = (size_t)__builtin_ctzll(rest);
        analysis->unstable_levels[axis] = sb_unstable_levels(view, axis);
    }
    return 0;
}

/* ---- Dependence ----------------------------------------------------------------------------- */

static void list_explanations(struct work *work) {
    struct sb_text *text = because(work);
    const struct sb_masks *found = &work->explanations;
    if (!found->n) {
        sb_text_puts(text, "too many sets of axes could explain the differences");
        return;
    }
    sb_text_puts(text, "the bits are a function of ");
    for (size_t i = 0; i < found->n && i < LISTED; i++) {
        sb_text_puts(text, i ? ", or of " : "");
        sb_text_axes(text, work->view.evidence, found->sets[i]);
    }
    if (found->n > LISTED || !work->complete)
        sb_text_puts(text, ", or of others");
    sb_text_puts(text, ": the cells that were run do not tell these apart");
}

static int find_dependence(struct work *work, struct sb_analysis *analysis, struct sb_error *err) {
    const struct sb_view *view = &work->view;
    int rc = sb_explanations_find(view, &work->explanations, &work->complete, err);
    if (rc < 0)
        return rc;
    analysis->depends_known = sb_explained(&work->explanations, work->complete);
    for (size_t i = 0; i < analysis->n_axes; i++) {
        struct sb_axis_finding *finding = &analysis->axes[i];
        if (sb_classes_find(view, i, &finding->classes, &finding->n_classes, &finding->compared) <
            0)
            return sb_error_errno(err, -ENOMEM, "classes");
    }
    if (!analysis->depends_known)
        return 0;
    analysis->depends_on = work->explanations.sets[0];
    analysis->scope_cells_run =
        !analysis->depends_on &&
        (view->evidence->fractional || view->n_stable + view->n_unstable < view->evidence->n_cells);
    if (sb_conditions_find(view, analysis->depends_on, &analysis->conditions,
                           &analysis->n_conditions) < 0)
        return sb_error_errno(err, -ENOMEM, "conditions");
    return 0;
}

/* An axis has an effect if it is in the one explanation and that is no luck: by the permutation
 * test, or, beside unstable cells, because the stable ones are no luck. */
static int find_effects(struct work *work, struct sb_analysis *analysis, double stable_luck) {
    const struct sb_view *view = &work->view;
    analysis->dependence_p = NAN;
    for (sb_mask rest = analysis->depends_on; rest; rest &= rest - 1) {
        size_t axis = (size_t)__builtin_ctzll(rest);
        double p = stable_luck;
        if (!view->n_unstable) {
            p = sb_axis_p(view, NULL, analysis->depends_on, axis);
            if (isnan(analysis->dependence_p) || p > analysis->dependence_p)
                analysis->dependence_p = p;
        }
        if (isnan(p))
            return -ENOMEM;
        analysis->axes[axis].has_effect = p <= SB_LUCK_LIMIT;
    }
    return 0;
}

/* ---- Verdict -------------------------------------------------------------------------------- */

static void add_degenerate(struct work *work) {
    const struct sb_evidence *evidence = work->view.evidence;
    if (evidence->degenerate)
        sb_text_puts(because(work), evidence->degenerate_reason
                                        ? evidence->degenerate_reason
                                        : "the weights hold nothing that could differ");
}

static enum sb_verdict judge_unstable(struct work *work, const struct sb_analysis *analysis,
                                      double stable_luck) {
    if (!analysis->depends_known)
        list_explanations(work);
    if (stable_luck > SB_LUCK_LIMIT) {
        struct sb_text *text = because(work);
        if (stable_luck < 1)
            sb_text_printf(text,
                           "the cells that look stable may do so by luck (up to %.2g%% at the rate "
                           "seen in the unstable ones): more repeats would tell",
                           100 * stable_luck);
        else
            sb_text_puts(text,
                         "the cells that look stable may do so by luck: more repeats would "
                         "tell");
    }
    add_degenerate(work);
    return SB_VERDICT_NONDETERMINISTIC;
}

static enum sb_verdict judge(struct work *work, const struct sb_analysis *analysis,
                             double stable_luck) {
    const struct sb_view *view = &work->view;
    if (view->runs == 0) {
        sb_text_puts(because(work), "nothing was run");
        return SB_VERDICT_SKIPPED;
    }
    if (!view->distinct) {
        sb_text_puts(because(work), "no run ended well");
        return SB_VERDICT_ERROR;
    }
    if (view->n_unstable)
        return judge_unstable(work, analysis, stable_luck);
    add_degenerate(work);
    if (!view->replays)
        sb_text_puts(because(work), "no cell ran twice: whether repeats agree is not known");
    if (!analysis->depends_known)
        list_explanations(work);
    else if (view->replays && analysis->dependence_p > SB_LUCK_LIMIT)
        sb_text_printf(because(work),
                       "that the bits depend on the axes may be luck (p = %.2g, needed: %.2g): "
                       "more repeats would tell",
                       analysis->dependence_p, SB_LUCK_LIMIT);
    if (work->reason.length)
        return SB_VERDICT_INCONCLUSIVE;
    return analysis->depends_on ? SB_VERDICT_CONFIG_DEPENDENT : SB_VERDICT_BITWISE;
}

static int allocate(const struct sb_evidence *evidence, struct sb_analysis *analysis) {
    *analysis = (struct sb_analysis){.n_axes = evidence->n_axes};
    analysis->axes = calloc(evidence->n_axes + 1, sizeof *analysis->axes);
    analysis->unstable_levels = calloc(evidence->n_axes + 1, sizeof *analysis->unstable_levels);
    analysis->unstable_cells = calloc(evidence->n_cells / 64 + 1, sizeof(sb_mask));
    return analysis->axes && analysis->unstable_levels && analysis->unstable_cells ? 0 : -ENOMEM;
}

static void copy_counts(const struct sb_view *view, struct sb_analysis *analysis) {
    analysis->runs = view->runs;
    analysis->failed = view->failed;
    analysis->distinct = view->distinct;
    analysis->replays = view->replays;
    analysis->max_mismatch_rate_95 = view->n_unstable ? NAN : sb_mismatch_rate_95(view->replays);
}

static int analyse(struct work *work, struct sb_analysis *analysis, struct sb_error *err) {
    const struct sb_view *view = &work->view;
    copy_counts(view, analysis);
    int rc = find_dependence(work, analysis, err);
    if (rc < 0)
        return rc;
    double stable_luck = sb_stable_luck(view);
    if (isnan(stable_luck) || find_instability(work, analysis) < 0 ||
        find_effects(work, analysis, stable_luck) < 0 ||
        sb_witness_find(view, &analysis->witness_a, &analysis->witness_b, &analysis->witness_axes) <
            0)
        return sb_error_errno(err, -ENOMEM, "verdict");
    analysis->verdict = judge(work, analysis, stable_luck);
    if (work->reason.length) {
        analysis->reason = sb_text_take(&work->reason);
        if (!analysis->reason)
            return sb_error_errno(err, -ENOMEM, "reason");
    }
    analysis->n_explanations = work->explanations.n;
    analysis->explanations = sb_steal_pointer(&work->explanations.sets);
    return 0;
}

int sb_analyse(const struct sb_evidence *evidence, struct sb_analysis *analysis,
               struct sb_error *err) {
    SB_CLEANUP(work_clear) struct work work = {0};
    struct sb_analysis found = {0};
    int rc = sb_view_make(evidence, &work.view, err);
    if (rc < 0)
        return rc;
    rc = allocate(evidence, &found) < 0 ? sb_error_errno(err, -ENOMEM, "verdict")
                                        : analyse(&work, &found, err);
    if (rc < 0) {
        sb_analysis_clear(&found);
        return rc;
    }
    *analysis = found;
    return 0;
}

void sb_analysis_clear(struct sb_analysis *analysis) {
    for (size_t i = 0; analysis->axes && i < analysis->n_axes; i++)
        free(analysis->axes[i].classes);
    free(analysis->axes);
    free(analysis->reason);
    free(analysis->explanations);
    free(analysis->conditions);
    free(analysis->unstable_levels);
    free(analysis->unstable_cells);
    *analysis = (struct sb_analysis){0};
}
