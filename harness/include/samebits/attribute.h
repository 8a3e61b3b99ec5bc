/* Stage 6: from fingerprints to verdict, dependence, confidence and witness (DESIGN section 4).
 * Pure functions of cells and fingerprints: no files, no processes, no clock. */
#ifndef SAMEBITS_ATTRIBUTE_H
#define SAMEBITS_ATTRIBUTE_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_verdict {
    SB_VERDICT_BITWISE,
    SB_VERDICT_CONFIG_DEPENDENT,
    SB_VERDICT_NONDETERMINISTIC,
    SB_VERDICT_INCONCLUSIVE,
    SB_VERDICT_SKIPPED,
    SB_VERDICT_ERROR,
};

extern const char *const sb_verdict_names[];

/* One finished run. group: an index that is equal exactly where fingerprints are equal; -1: the run
 * failed. */
struct sb_trial {
    size_t cell;
    int group;
};

struct sb_evidence {
    size_t n_axes;
    const char *const *axes;          /* names */
    const char *const *const *levels; /* levels[axis][level] */
    const unsigned *n_levels;         /* of each axis, ≥ 1 */
    size_t n_cells;                   /* cells planned */
    const unsigned *const *cells;     /* cells[cell][axis]: a level index */
    bool fractional;                  /* not every combination was planned */
    /* [n_axes], or NULL: bits of other axes whose levels this one's levels imply, these of those
     * included (a host has one CPU). An explanation that says more than another one is none: where
     * the CPU explains, the host says nothing more. */
    const uint64_t *implies;
    const struct sb_trial *trials; /* in order of run ids */
    size_t n_trials;
    bool degenerate; /* all weights zero, all NaN, or never trained */
    const char *degenerate_reason;
    uint64_t seed; /* not used: the permutation test is exact */
};

/* A set of axes or of levels as a bit mask; at most 64 axes and 64 levels an axis (checked by stage
 * 2). */
typedef uint64_t sb_mask;

struct sb_condition { /* "axis matters only where `when` has one of its levels" */
    size_t axis;      /* the axis with the effect */
    size_t when;      /* the other axis */
    sb_mask levels;   /* of `when` */
};

struct sb_axis_finding {
    sb_mask *classes; /* levels that are alike, in listed order */
    size_t n_classes;
    bool compared;   /* two of its levels at least, all else being equal; if not, each is a class */
    bool has_effect; /* the axis is in depends_on, and that is no luck */
};

struct sb_analysis {
    enum sb_verdict verdict;
    char *reason;       /* for people; NULL where the verdict says all */
    bool depends_known; /* depends_on is not null */
    sb_mask depends_on;
    sb_mask *explanations; /* every inclusion-minimal set, when there are several (or one) */
    size_t n_explanations;
    bool scope_cells_run; /* "none" only holds for the cells that were run */
    struct sb_condition *conditions;
    size_t n_conditions;
    bool unstable_known;      /* unstable_when is not null */
    sb_mask unstable_axes;    /* axes named; 0: every cell */
    sb_mask *unstable_levels; /* [n_axes]: levels listed of each named axis */
    sb_mask *unstable_cells;  /* bit set over cells, (n_cells + 63) / 64 words: cells whose repeats
                                 differ */
    struct sb_axis_finding *axes; /* n_axes */
    size_t n_axes;
    unsigned runs, failed, distinct, replays;
    double max_mismatch_rate_95; /* NAN without replays, or where they are not all equal */
    double dependence_p; /* NAN where not needed: nothing to explain, or a cell is unstable */
    size_t witness_a, witness_b; /* indices of trials; SIZE_MAX: no two differ */
    sb_mask witness_axes;        /* axes in which they differ; 0: same cell */
};

int sb_analyse(const struct sb_evidence *evidence, struct sb_analysis *analysis,
               struct sb_error *err);
void sb_analysis_clear(struct sb_analysis *analysis);

/* How many further runs each cell needs before the verdict may be said (DESIGN 4.3, "Luck"; suite's
 * repeats). more[n_cells] receives counts, all 0 when nothing more is needed or allowed.
 * Deterministic in its arguments, so that a resumed result goes the same way. */
int sb_more_runs(const struct sb_evidence *evidence, const struct sb_repeats *repeats,
                 unsigned *more, struct sb_error *err);

/* Does the job meet its requirements? For each pair of trials that differ in one axis alone (or in
 * none: repeats) and have different bits, the need of that axis is judged by `within_tolerance`,
 * true when the difference of the two groups is inside the tolerance; a pair may be asked about
 * again. Returns true when all is met; *limit is then a malloc'd sentence where not every pair was
 * judged, else NULL. Otherwise *reason is a malloc'd sentence naming axis and levels. */
bool sb_requirements_met(const struct sb_evidence *evidence, const struct sb_job *job,
                         bool (*within_tolerance)(void *context, int group_a, int group_b),
                         void *context, char **reason, char **limit);

#endif
