/* Stage 6, attribute: of which axes the stable cells' bits are a function, and how. */
#include "attribute/dependence.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* Pairs of cells that are looked at one by one, after those that differ in one axis alone were
 * found by sorting. Only matrices of thousands of cells, most of them missing, have more. */
enum { PAIR_LIMIT = 1 << 23 };

static int group_of(const struct sb_view *view, size_t cell) {
    return view->tallies[cell].group;
}

/* Do all of cells[from..end) have the same bits? */
static bool alike(const struct sb_view *view, const size_t *cells, size_t from, size_t end) {
    for (size_t i = from + 1; i < end; i++) {
        if (group_of(view, cells[i]) != group_of(view, cells[from]))
            return false;
    }
    return true;
}

/* Axes with two cells that differ in that axis alone and in their bits: each belongs to every
 * explanation. In a full design without gaps they are the explanation. */
static sb_mask certain_axes(const struct sb_view *view, size_t *cells) {
    sb_mask certain = 0;
    for (sb_mask rest = view->varied; rest; rest &= rest - 1) {
        sb_mask axis = rest & -rest, others = view->varied & ~axis;
        sb_cells_sort(view->evidence, cells, view->n_stable, others);
        for (size_t i = 0, end; i < view->n_stable && !(certain & axis); i = end) {
            end = sb_cells_end(view->evidence, cells, view->n_stable, i, others);
            if (!alike(view, cells, i, end))
                certain |= axis;
        }
    }
    return certain;
}

/* The differences, in axes, of all pairs of cells[from..end) with different bits. */
static int add_edges(const struct sb_view *view, const size_t *cells, size_t from, size_t end,
                     struct sb_masks *edges, size_t *crowd) {
    for (size_t i = from; i < end; i++) {
        for (size_t k = i + 1; k < end; k++) {
            if (group_of(view, cells[i]) == group_of(view, cells[k]))
                continue;
            sb_mask differ = sb_cells_differ(view->evidence, cells[i], cells[k]);
            if (!differ)
                return -EINVAL;
            if (sb_masks_add(edges, differ) < 0)
                return -ENOMEM;
            if (edges->n >= *crowd) {
                sb_masks_minimise(edges);
                *crowd = 2 * edges->n + 1024;
            }
        }
    }
    return 0;
}

/* What is left to explain once the certain axes are known; *complete false where it is too much. */
static int find_edges(const struct sb_view *view, size_t *cells, sb_mask certain,
                      struct sb_masks *edges, bool *complete) {
    size_t pairs = 0, crowd = 1024;
    sb_cells_sort(view->evidence, cells, view->n_stable, certain);
    for (size_t i = 0, end; i < view->n_stable; i = end) {
        end = sb_cells_end(view->evidence, cells, view->n_stable, i, certain);
        if (alike(view, cells, i, end))
            continue;
        size_t n = end - i;
        if (n > PAIR_LIMIT || (pairs += n * (n - 1) / 2) > PAIR_LIMIT) {
            *complete = false;
            return 0;
        }
        int rc = add_edges(view, cells, i, end, edges, &crowd);
        if (rc < 0)
            return rc;
    }
    sb_masks_minimise(edges);
    return 0;
}

/* The axes of a set, and those that they imply. */
static sb_mask implied(const struct sb_evidence *evidence, sb_mask axes) {
    sb_mask all = axes;
    for (sb_mask rest = axes; rest; rest &= rest - 1)
        all |= evidence->implies[__builtin_ctzll(rest)];
    return all;
}

/* Drops explanations that say all that another one says, and more. */
static void drop_implied(const struct sb_evidence *evidence, struct sb_masks *explanations) {
    bool drop[SB_MAX_EXPLANATIONS] = {false};
    size_t kept = 0;
    for (size_t i = 0; i < explanations->n && i < SB_MAX_EXPLANATIONS; i++) {
        sb_mask one = implied(evidence, explanations->sets[i]);
        for (size_t k = 0; k < explanations->n && !drop[i]; k++) {
            sb_mask other = implied(evidence, explanations->sets[k]);
            drop[i] = other != one && (other & ~one) == 0;
        }
    }
    for (size_t i = 0; i < explanations->n; i++) {
        if (i >= SB_MAX_EXPLANATIONS || !drop[i])
            explanations->sets[kept++] = explanations->sets[i];
    }
    explanations->n = kept;
}

int sb_explanations_find(const struct sb_view *view, struct sb_masks *explanations, bool *complete,
                         struct sb_error *err) {
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    SB_AUTO_MASKS struct sb_masks edges = {0};
    *complete = true;
    if (!cells)
        return sb_error_errno(err, -ENOMEM, "explanations");
    sb_mask certain = certain_axes(view, cells);
    int rc = find_edges(view, cells, certain, &edges, complete);
    if (rc == -EINVAL)
        return sb_error_set(err, rc, "two cells are one combination of levels");
    if (rc == 0 && *complete)
        rc = sb_hitting_sets(&edges, SB_MAX_AXES, SB_MAX_EXPLANATIONS, explanations, complete);
    if (rc < 0)
        return sb_error_errno(err, rc, "explanations");
    for (size_t i = 0; i < explanations->n; i++)
        explanations->sets[i] |= certain;
    if (view->evidence->implies)
        drop_implied(view->evidence, explanations);
    return 0;
}

/* For each level of an axis, the levels that it was compared with, and those that it differs from.
 */
struct comparisons {
    sb_mask shared[SB_MAX_LEVELS], differ[SB_MAX_LEVELS];
};

static int compare_levels(const struct sb_view *view, size_t axis, struct comparisons *found) {
    const struct sb_evidence *evidence = view->evidence;
    sb_mask others = view->varied & ~sb_axis_bit(axis);
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    if (!cells)
        return -ENOMEM;
    *found = (struct comparisons){0};
    sb_cells_sort(evidence, cells, view->n_stable, others);
    for (size_t from = 0, end; from < view->n_stable; from = end) {
        end = sb_cells_end(evidence, cells, view->n_stable, from, others);
        for (size_t i = from; i < end; i++) {
            unsigned level = evidence->cells[cells[i]][axis];
            for (size_t k = from; k < end; k++) {
                if (k == i)
                    continue;
                sb_mask other = (sb_mask)1 << evidence->cells[cells[k]][axis];
                found->shared[level] |= other;
                if (group_of(view, cells[i]) != group_of(view, cells[k]))
                    found->differ[level] |= other;
            }
        }
    }
    return 0;
}

int sb_classes_find(const struct sb_view *view, size_t axis, sb_mask **classes, size_t *n,
                    bool *compared_any) {
    unsigned n_levels = view->evidence->n_levels[axis];
    struct comparisons compared;
    if (compare_levels(view, axis, &compared) < 0)
        return -ENOMEM;
    sb_mask any = 0;
    for (unsigned level = 0; level < n_levels; level++)
        any |= compared.shared[level];
    *classes = calloc(n_levels, sizeof **classes);
    if (!*classes)
        return -ENOMEM;
    *n = 0;
    *compared_any = any != 0;
    for (unsigned level = 0; level < n_levels; level++) {
        sb_mask agrees = compared.shared[level] & ~compared.differ[level];
        size_t c = 0;
        while (c < *n && ((*classes)[c] & ~agrees))
            c++;
        (*classes)[c] |= (sb_mask)1 << level;
        *n += c == *n;
    }
    return 0;
}

/* Levels of each other axis at which two levels of one axis were compared, and differed. */
struct contexts {
    sb_mask tested[SB_MAX_AXES], matters[SB_MAX_AXES];
};

static void find_contexts(const struct sb_view *view, size_t *cells, sb_mask others, size_t axis,
                          struct contexts *found) {
    const struct sb_evidence *evidence = view->evidence;
    *found = (struct contexts){0};
    sb_cells_sort(evidence, cells, view->n_stable, others);
    for (size_t from = 0, end; from < view->n_stable; from = end) {
        end = sb_cells_end(evidence, cells, view->n_stable, from, others);
        bool several = false, differ = !alike(view, cells, from, end);
        for (size_t i = from + 1; i < end; i++)
            several |= evidence->cells[cells[i]][axis] != evidence->cells[cells[from]][axis];
        for (sb_mask rest = others; rest && several; rest &= rest - 1) {
            int other = __builtin_ctzll(rest);
            sb_mask level = (sb_mask)1 << evidence->cells[cells[from]][other];
            found->tested[other] |= level;
            found->matters[other] |= differ ? level : 0;
        }
    }
}

static sb_mask all_levels(const struct sb_evidence *evidence, size_t axis) {
    return ~(sb_mask)0 >> (64 - evidence->n_levels[axis]);
}

int sb_conditions_find(const struct sb_view *view, sb_mask depends_on,
                       struct sb_condition **conditions, size_t *n) {
    size_t room = (size_t)__builtin_popcountll(depends_on);
    SB_AUTO_FREE size_t *cells = sb_stable_cells(view);
    *conditions = calloc(room * room + 1, sizeof **conditions);
    *n = 0;
    if (!cells || !*conditions)
        return -ENOMEM;
    for (sb_mask rest = depends_on; rest; rest &= rest - 1) {
        size_t axis = (size_t)__builtin_ctzll(rest);
        sb_mask others = depends_on & ~sb_axis_bit(axis);
        struct contexts found;
        find_contexts(view, cells, others, axis, &found);
        for (sb_mask when = others; when; when &= when - 1) {
            size_t other = (size_t)__builtin_ctzll(when);
            if (found.tested[other] == all_levels(view->evidence, other) && found.matters[other] &&
                found.matters[other] != found.tested[other])
                (*conditions)[(*n)++] = (struct sb_condition){axis, other, found.matters[other]};
        }
    }
    return 0;
}

sb_mask sb_unstable_levels(const struct sb_view *view, size_t axis) {
    sb_mask levels = 0;
    for (size_t cell = 0; cell < view->evidence->n_cells; cell++) {
        if (sb_cell_unstable(view, cell))
            levels |= (sb_mask)1 << view->evidence->cells[cell][axis];
    }
    return levels;
}

/* A condition on some axes that holds in every unstable cell lists at least the levels seen in
 * those; it then fails in a stable cell exactly where one of its axes has another level there. So
 * the axes of a condition are those that hit, for every stable cell, the set of such axes. */
int sb_instability_find(const struct sb_view *view, struct sb_masks *axes, bool *complete) {
    const struct sb_evidence *evidence = view->evidence;
    SB_AUTO_MASKS struct sb_masks edges = {0};
    sb_mask unstable[SB_MAX_AXES];
    size_t crowd = 1024;
    for (size_t axis = 0; axis < evidence->n_axes; axis++)
        unstable[axis] = sb_unstable_levels(view, axis);
    for (size_t i = 0; i < view->n_stable; i++) {
        sb_mask apart = 0;
        for (size_t axis = 0; axis < evidence->n_axes; axis++) {
            if (!(unstable[axis] >> evidence->cells[view->stable[i]][axis] & 1))
                apart |= sb_axis_bit(axis);
        }
        if (sb_masks_add(&edges, apart) < 0)
            return -ENOMEM;
        if (edges.n >= crowd) {
            sb_masks_minimise(&edges);
            crowd = 2 * edges.n + 1024;
        }
    }
    sb_masks_minimise(&edges);
    *complete = true;
    int rc = 0;
    for (unsigned size = 0; rc == 0 && *complete && !axes->n && size <= evidence->n_axes; size++)
        rc = sb_hitting_sets(&edges, size, SB_MAX_EXPLANATIONS, axes, complete);
    return rc;
}
