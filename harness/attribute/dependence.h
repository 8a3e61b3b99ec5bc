/* Stage 6, private: of which axes the stable cells' bits are a function, and how. */
#ifndef SB_ATTRIBUTE_DEPENDENCE_H
#define SB_ATTRIBUTE_DEPENDENCE_H

#include "attribute/hitting.h"
#include "attribute/view.h"

/* Explanations that are listed; more of them say no more. */
enum { SB_MAX_EXPLANATIONS = 64 };

/* Every inclusion-minimal set of axes of which the fingerprint is a function over the stable cells,
 * by size, then in the order of axes; the empty one where all agree. *complete: none is missing.
 * -EINVAL where two cells are one combination of levels, or -ENOMEM. */
int sb_explanations_find(const struct sb_view *view, struct sb_masks *explanations, bool *complete,
                         struct sb_error *err);

/* One explanation, all of them found. */
static inline bool sb_explained(const struct sb_masks *explanations, bool complete) {
    return complete && explanations->n == 1;
}

/* Classes of one axis: in listed order, a level joins the first class with each of whose members it
 * agrees wherever they share the other levels, and at least once. *compared_any: do any two
 * levels of the axis share them anywhere? If not, each is a class for want of evidence. *classes is
 * the caller's to free. 0 or -ENOMEM. */
int sb_classes_find(const struct sb_view *view, size_t axis, sb_mask **classes, size_t *n,
                    bool *compared_any);

/* Conditions within one explanation: axis a matters at some levels of axis b and not at the others,
 * each level of b having been put to the test. *conditions is the caller's to free. 0 or -ENOMEM.
 */
int sb_conditions_find(const struct sb_view *view, sb_mask depends_on,
                       struct sb_condition **conditions, size_t *n);

/* The fewest axes whose levels tell the unstable cells from those that ran twice or more and
 * agreed: every set of that size. None where no axes do. *complete as above. 0 or -ENOMEM. */
int sb_instability_find(const struct sb_view *view, struct sb_masks *axes, bool *complete);

/* Levels of an axis at which a cell was unstable. */
sb_mask sb_unstable_levels(const struct sb_view *view, size_t axis);

#endif
