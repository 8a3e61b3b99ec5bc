/* Definitions of DESIGN section 4 in tests, word by word and by trying everything. */
#ifndef SB_ATTRIBUTE_TESTS_ORACLE_H
#define SB_ATTRIBUTE_TESTS_ORACLE_H

#include "tests/testing.h"

#include <samebits/attribute.h>

#include <stdlib.h>
#include <string.h>

enum { ORACLE_CELLS = 128 };

struct oracle {
    const struct sb_evidence *evidence;
    unsigned good[ORACLE_CELLS];
    int group[ORACLE_CELLS];
    bool unstable[ORACLE_CELLS], stable[ORACLE_CELLS];
    bool any_unstable;
};

static inline struct oracle oracle_look(const struct sb_evidence *evidence) {
    struct oracle oracle = {.evidence = evidence};
    for (size_t i = 0; i < evidence->n_trials; i++) {
        size_t cell = evidence->trials[i].cell;
        int group = evidence->trials[i].group;
        if (group < 0)
            continue;
        if (oracle.good[cell]++ == 0)
            oracle.group[cell] = group;
        oracle.unstable[cell] |= oracle.group[cell] != group;
        oracle.any_unstable |= oracle.unstable[cell];
    }
    for (size_t c = 0; c < evidence->n_cells; c++)
        oracle.stable[c] = oracle.good[c] >= (oracle.any_unstable ? 2u : 1u) && !oracle.unstable[c];
    return oracle;
}

static inline sb_mask oracle_differ(const struct oracle *oracle, size_t a, size_t b) {
    sb_mask differ = 0;
    for (size_t i = 0; i < oracle->evidence->n_axes; i++) {
        if (oracle->evidence->cells[a][i] != oracle->evidence->cells[b][i])
            differ |= (sb_mask)1 << i;
    }
    return differ;
}

static inline bool oracle_is_function(const struct oracle *oracle, sb_mask axes) {
    for (size_t a = 0; a < oracle->evidence->n_cells; a++) {
        for (size_t b = 0; b < a; b++) {
            if (oracle->stable[a] && oracle->stable[b] && oracle->group[a] != oracle->group[b] &&
                (oracle_differ(oracle, a, b) & axes) == 0)
                return false;
        }
    }
    return true;
}

/* Every minimal set of axes of which the bits are a function, in ascending order of masks. */
static inline size_t oracle_explanations(const struct oracle *oracle, sb_mask *sets) {
    size_t n = 0;
    for (sb_mask axes = 0; axes < (sb_mask)1 << oracle->evidence->n_axes; axes++) {
        bool minimal = oracle_is_function(oracle, axes);
        for (size_t i = 0; i < n && minimal; i++)
            minimal = (sets[i] & ~axes) != 0;
        if (minimal)
            sets[n++] = axes;
    }
    return n;
}

/* Is there a list of levels for each axis that holds exactly in the unstable cells? */
static inline bool oracle_condition(const struct oracle *oracle, sb_mask axes, sb_mask *levels,
                                    size_t axis) {
    const struct sb_evidence *evidence = oracle->evidence;
    if (axis < evidence->n_axes) {
        if (!(axes >> axis & 1))
            return oracle_condition(oracle, axes, levels, axis + 1);
        for (levels[axis] = 1; levels[axis] < (sb_mask)1 << evidence->n_levels[axis];
             levels[axis]++) {
            if (oracle_condition(oracle, axes, levels, axis + 1))
                return true;
        }
        return false;
    }
    for (size_t c = 0; c < evidence->n_cells; c++) {
        bool listed = true;
        for (size_t a = 0; a < evidence->n_axes; a++)
            listed &= !(axes >> a & 1) || (levels[a] >> evidence->cells[c][a] & 1);
        if ((oracle->unstable[c] || oracle->stable[c]) && listed != oracle->unstable[c])
            return false;
    }
    return true;
}

/* The number of sets of the fewest axes that say when cells are unstable, and the first of them. */
static inline size_t oracle_instability(const struct oracle *oracle, sb_mask *found) {
    size_t n = 0;
    for (int size = 0; size <= (int)oracle->evidence->n_axes && !n; size++) {
        for (sb_mask axes = 0; axes < (sb_mask)1 << oracle->evidence->n_axes; axes++) {
            sb_mask levels[SB_MAX_AXES];
            if (__builtin_popcountll(axes) == size && oracle_condition(oracle, axes, levels, 0) &&
                n++ == 0)
                *found = axes;
        }
    }
    return n;
}

/* Do two levels of an axis agree wherever they share the other levels, and at least once? */
static inline bool oracle_agree(const struct oracle *oracle, size_t axis, unsigned one,
                                unsigned two, bool *met) {
    const struct sb_evidence *evidence = oracle->evidence;
    bool once = false, always = true;
    for (size_t a = 0; a < evidence->n_cells; a++) {
        for (size_t b = 0; b < evidence->n_cells; b++) {
            if (!oracle->stable[a] || !oracle->stable[b] || evidence->cells[a][axis] != one ||
                evidence->cells[b][axis] != two ||
                oracle_differ(oracle, a, b) != (sb_mask)1 << axis)
                continue;
            once = true;
            always &= oracle->group[a] == oracle->group[b];
        }
    }
    *met |= once;
    return once && always;
}

static inline size_t oracle_classes(const struct oracle *oracle, size_t axis, sb_mask *classes,
                                    bool *met) {
    size_t n = 0;
    *met = false;
    for (unsigned level = 0; level < oracle->evidence->n_levels[axis]; level++) {
        size_t joined = n;
        for (size_t c = n; c-- > 0;) {
            bool all = true;
            for (unsigned member = 0; member < level; member++) {
                if (classes[c] >> member & 1)
                    all &= oracle_agree(oracle, axis, level, member, met);
            }
            joined = all ? c : joined;
        }
        if (joined == n)
            classes[n++] = 0;
        classes[joined] |= (sb_mask)1 << level;
    }
    return n;
}

/* Levels of `when` at which `axis` matters, or 0 where it does so at all of them or not all were
 * tried. Axes beyond the explanation are as good as absent. */
static inline sb_mask oracle_matters(const struct oracle *oracle, sb_mask explanation, size_t axis,
                                     size_t when) {
    const struct sb_evidence *evidence = oracle->evidence;
    sb_mask tried = 0, matters = 0;
    for (size_t a = 0; a < evidence->n_cells; a++) {
        for (size_t b = 0; b < a; b++) {
            if (!oracle->stable[a] || !oracle->stable[b] ||
                (oracle_differ(oracle, a, b) & explanation) != (sb_mask)1 << axis)
                continue;
            tried |= (sb_mask)1 << evidence->cells[a][when];
            if (oracle->group[a] != oracle->group[b])
                matters |= (sb_mask)1 << evidence->cells[a][when];
        }
    }
    bool all = tried == ((sb_mask)1 << evidence->n_levels[when]) - 1;
    return all && matters != tried ? matters : 0;
}

/* The lowest of the pairs of runs with different bits that differ in the fewest axes. */
static inline void oracle_witness(const struct oracle *oracle, size_t *a, size_t *b) {
    const struct sb_evidence *evidence = oracle->evidence;
    int fewest = SB_MAX_AXES + 1;
    *a = *b = SIZE_MAX;
    for (size_t i = 0; i < evidence->n_trials; i++) {
        for (size_t k = i + 1; k < evidence->n_trials && fewest; k++) {
            const struct sb_trial *x = &evidence->trials[i], *y = &evidence->trials[k];
            if (x->group < 0 || y->group < 0 || x->group == y->group)
                continue;
            int axes = __builtin_popcountll(oracle_differ(oracle, x->cell, y->cell));
            if (axes < fewest) {
                fewest = axes;
                *a = i;
                *b = k;
            }
        }
    }
}

/* Everything that an analysis says of the evidence, against the definitions. */
static inline void oracle_check(const struct sb_evidence *evidence,
                                const struct sb_analysis *analysis) {
    struct oracle oracle = oracle_look(evidence);
    sb_mask sets[64], found = 0, classes[8];
    size_t n = oracle_explanations(&oracle, sets);
    ck_assert_uint_eq(analysis->n_explanations, n);
    for (size_t i = 0; i < n; i++) {
        bool listed = false;
        for (size_t k = 0; k < n; k++)
            listed |= analysis->explanations[k] == sets[i];
        ck_assert(listed);
    }
    ck_assert(analysis->depends_known == (n == 1));
    n = oracle.any_unstable ? oracle_instability(&oracle, &found) : 0;
    ck_assert(analysis->unstable_known == (n == 1));
    ck_assert(n != 1 || analysis->unstable_axes == found);
    for (size_t c = 0; c < evidence->n_cells; c++) {
        bool listed = true;
        for (size_t a = 0; a < evidence->n_axes; a++)
            listed &= !(analysis->unstable_axes >> a & 1) ||
                      (analysis->unstable_levels[a] >> evidence->cells[c][a] & 1);
        ck_assert(n != 1 || !(oracle.unstable[c] || oracle.stable[c]) ||
                  listed == oracle.unstable[c]);
        ck_assert((analysis->unstable_cells[c / 64] >> c % 64 & 1) == oracle.unstable[c]);
    }
    size_t conditions = 0;
    for (size_t a = 0; a < evidence->n_axes; a++) {
        bool met;
        n = oracle_classes(&oracle, a, classes, &met);
        ck_assert(analysis->axes[a].compared == met);
        ck_assert_uint_eq(analysis->axes[a].n_classes, n);
        ck_assert(memcmp(classes, analysis->axes[a].classes, n * sizeof *classes) == 0);
        for (size_t b = 0; b < evidence->n_axes && analysis->depends_known; b++) {
            if (a == b || !(analysis->depends_on >> a & analysis->depends_on >> b & 1))
                continue;
            sb_mask levels = oracle_matters(&oracle, analysis->depends_on, a, b);
            bool listed = false;
            for (size_t i = 0; i < analysis->n_conditions; i++)
                listed |= analysis->conditions[i].axis == a && analysis->conditions[i].when == b &&
                          analysis->conditions[i].levels == levels;
            ck_assert(listed == (levels != 0));
            conditions += levels != 0;
        }
    }
    ck_assert_uint_eq(analysis->n_conditions, conditions);
    size_t a, b;
    oracle_witness(&oracle, &a, &b);
    ck_assert(analysis->witness_a == a && analysis->witness_b == b);
    ck_assert(a == SIZE_MAX ||
              analysis->witness_axes ==
                  oracle_differ(&oracle, evidence->trials[a].cell, evidence->trials[b].cell));
}

#endif
