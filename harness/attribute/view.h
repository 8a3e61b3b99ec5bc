/* Stage 6, private: a job's runs counted by cell, and its cells sorted by some of their axes. */
#ifndef SB_ATTRIBUTE_VIEW_H
#define SB_ATTRIBUTE_VIEW_H

#include "base/text.h"

#include <samebits/attribute.h>

/* The runs of one cell. */
struct sb_tally {
    unsigned good, failed;
    unsigned modal;       /* good runs with the bits that most of them have */
    unsigned distinct;    /* different bits among the good runs; above 1: unstable */
    int group;            /* of the first good run, -1 without one */
    size_t first, second; /* trials: the first good one, and the first with other bits; SIZE_MAX */
};

struct sb_view {
    const struct sb_evidence *evidence;
    struct sb_tally *tallies; /* n_cells */
    sb_mask varied;           /* axes of two levels or more */
    /* Cells whose repeats agree, in cell order. A cell that ran once is among them only while no
     * cell is known to be unstable: beside one, its bits may be a race's. */
    size_t *stable;
    size_t n_stable;
    size_t n_unstable;
    struct sb_trial *outcomes; /* different bits of each cell, once each; by cell, then by group */
    size_t n_outcomes;
    unsigned runs, failed, distinct, replays;
};

/* -EINVAL where trials, axes or levels are out of range. */
int sb_view_make(const struct sb_evidence *evidence, struct sb_view *view, struct sb_error *err);
void sb_view_clear(struct sb_view *view);

#define SB_AUTO_VIEW __attribute__((cleanup(sb_view_clear)))

static inline bool sb_cell_unstable(const struct sb_view *view, size_t cell) {
    return view->tallies[cell].distinct > 1;
}

static inline sb_mask sb_axis_bit(size_t axis) {
    return (sb_mask)1 << axis;
}

/* Axes in which two cells differ. */
sb_mask sb_cells_differ(const struct sb_evidence *evidence, size_t a, size_t b);

/* Sorts cells so that those with equal levels of `axes` stand together, in cell order. */
void sb_cells_sort(const struct sb_evidence *evidence, size_t *cells, size_t n, sb_mask axes);

/* Index past the last of those cells that share the levels of `axes` with cells[from]. */
size_t sb_cells_end(const struct sb_evidence *evidence, const size_t *cells, size_t n, size_t from,
                    sb_mask axes);

/* The stable cells, to be sorted; the caller's to free, NULL without memory. */
size_t *sb_stable_cells(const struct sb_view *view);

/* ---- Words ---------------------------------------------------------------------------------- */

/* "threads and isa" */
void sb_text_axes(struct sb_text *text, const struct sb_evidence *evidence, sb_mask axes);
/* "threads=2 deterministic=off": the levels of a cell, of the axes that are varied */
void sb_text_cell(struct sb_text *text, const struct sb_view *view, size_t cell);
/* "1, 2 or 4" */
void sb_text_levels(struct sb_text *text, const struct sb_evidence *evidence, size_t axis,
                    sb_mask levels);

#endif
