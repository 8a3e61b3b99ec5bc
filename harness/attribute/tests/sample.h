/* Result sets in tests: cells of a design with the bits of their runs as letters, and analyses as
 * text. */
#ifndef SB_ATTRIBUTE_TESTS_SAMPLE_H
#define SB_ATTRIBUTE_TESTS_SAMPLE_H

#include "base/text.h"
#include "tests/testing.h"

#include <samebits/attribute.h>
#include <samebits/matrix.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sample {
    struct sb_suite_axis parsed[8];
    const char *axes[8];
    const char *const *levels[8];
    unsigned n_levels[8];
    unsigned *rows;
    const unsigned **cells;
    struct sb_trial *trials;
    struct sb_evidence evidence;
};

/* "threads=1,2 isa=a,b": axes; cells by the design, in its order; bits of each cell's runs, one
 * letter a run, "-" a failed one: "aaa", "ab-". Runs are in rounds: first runs of all cells, then
 * the second ones… Cells for which `bits` has no text did not run. */
static inline struct sample *sample_make(const char *axes, enum sb_design design,
                                         const char *const *bits) {
    struct sample *sample = calloc(1, sizeof *sample);
    struct sb_evidence *evidence = &sample->evidence;
    char *copy = strdup(axes), *rest = copy, *word;
    while ((word = strsep(&rest, " "))) {
        size_t i = evidence->n_axes;
        if (!*word)
            continue;
        ck_assert_int_eq(sb_vary_parse(word, &sample->parsed[i], NULL), 0);
        sample->axes[i] = sample->parsed[i].name;
        sample->levels[i] = (const char *const *)sample->parsed[i].levels;
        sample->n_levels[i] = (unsigned)sample->parsed[i].n_levels;
        evidence->n_axes++;
    }
    free(copy);
    ck_assert_int_eq(sb_design_cells(design, sample->n_levels, evidence->n_axes, &sample->rows,
                                     &evidence->n_cells, NULL),
                     0);
    sample->cells = calloc(evidence->n_cells, sizeof *sample->cells);
    for (size_t c = 0; c < evidence->n_cells; c++)
        sample->cells[c] = sample->rows + c * evidence->n_axes;
    sample->trials = calloc(evidence->n_cells * 80, sizeof *sample->trials);
    evidence->axes = sample->axes;
    evidence->levels = sample->levels;
    evidence->n_levels = sample->n_levels;
    evidence->cells = sample->cells;
    evidence->fractional = design != SB_DESIGN_FULL;
    evidence->trials = sample->trials;
    for (size_t repeat = 0, any = 1; any; repeat++) {
        any = 0;
        for (size_t c = 0; c < evidence->n_cells && bits && bits[c]; c++) {
            if (repeat >= strlen(bits[c]))
                continue;
            any = 1;
            sample->trials[evidence->n_trials++] =
                (struct sb_trial){c, bits[c][repeat] == '-' ? -1 : bits[c][repeat] - 'a'};
        }
    }
    return sample;
}

static inline void sample_free(struct sample *sample) {
    for (size_t i = 0; i < sample->evidence.n_axes; i++)
        sb_suite_axis_clear(&sample->parsed[i]);
    free(sample->rows);
    free(sample->cells);
    free(sample->trials);
    free(sample);
}

#define BITS(...)                                                                                  \
    (const char *const[]) {                                                                        \
        __VA_ARGS__, NULL                                                                          \
    }

static inline void text_mask(struct sb_text *text, const char *const *names, sb_mask mask) {
    const char *gap = "";
    for (; mask; mask &= mask - 1, gap = ",")
        sb_text_printf(text, "%s%s", gap, names[__builtin_ctzll(mask)]);
}

/* "config-dependent on threads", "inconclusive on threads|isa" (explanations), "nondeterministic on
 * nothing when threads=2,4 deterministic=off" ("always", "unclear"). */
static inline char *text_of_verdict(const struct sb_evidence *evidence,
                                    const struct sb_analysis *analysis) {
    struct sb_text text = {0};
    sb_text_printf(&text, "%s on ", sb_verdict_names[analysis->verdict]);
    if (analysis->depends_known)
        ck_assert(analysis->n_explanations == 1 &&
                  analysis->explanations[0] == analysis->depends_on);
    for (size_t i = 0; i < analysis->n_explanations; i++) {
        sb_text_puts(&text, i ? "|" : "");
        text_mask(&text, evidence->axes, analysis->explanations[i]);
        if (!analysis->explanations[i])
            sb_text_puts(&text, "nothing");
    }
    if (analysis->verdict == SB_VERDICT_NONDETERMINISTIC) {
        sb_text_puts(&text, !analysis->unstable_known  ? " when unclear"
                            : !analysis->unstable_axes ? " always"
                                                       : " when");
        for (sb_mask rest = analysis->unstable_axes; rest; rest &= rest - 1) {
            int axis = __builtin_ctzll(rest);
            sb_text_printf(&text, " %s=", evidence->axes[axis]);
            text_mask(&text, evidence->levels[axis], analysis->unstable_levels[axis]);
        }
    }
    return sb_text_take(&text);
}

/* "1=2|4" */
static inline char *text_of_classes(const struct sb_evidence *evidence,
                                    const struct sb_analysis *analysis, size_t axis) {
    struct sb_text text = {0};
    for (size_t i = 0; i < analysis->axes[axis].n_classes; i++) {
        sb_text_puts(&text, i ? "|" : "");
        text_mask(&text, evidence->levels[axis], analysis->axes[axis].classes[i]);
    }
    return sb_text_take(&text);
}

static inline struct sb_analysis analyse(const struct sb_evidence *evidence) {
    struct sb_analysis analysis;
    struct sb_error err = {0};
    ck_assert_msg(sb_analyse(evidence, &analysis, &err) == 0, "%s", err.text);
    return analysis;
}

#endif
