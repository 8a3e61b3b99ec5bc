/* Stage 6, private: sets of axes that share an axis with every one of some given sets. */
#ifndef SB_ATTRIBUTE_HITTING_H
#define SB_ATTRIBUTE_HITTING_H

#include <samebits/attribute.h>

/* A growing list of sets of axes. Zero-initialise; free with sb_masks_clear. */
struct sb_masks {
    sb_mask *sets;
    size_t n, room;
};

/* 0 or -ENOMEM. */
int sb_masks_add(struct sb_masks *list, sb_mask set);
void sb_masks_clear(struct sb_masks *list);
/* Drops every set that holds another one of the list: whoever hits the smaller hits the larger. */
void sb_masks_minimise(struct sb_masks *list);

#define SB_AUTO_MASKS __attribute__((cleanup(sb_masks_clear)))

/* The inclusion-minimal sets that hit (share an axis with) every one of `edges`, of at most
 * `largest` axes, by size and then in the order of axes; the empty one where there are no edges,
 * none where an edge is empty. *complete: none is missing; false where there are more than `limit`,
 * or the search was given up. 0 or -ENOMEM. */
int sb_hitting_sets(const struct sb_masks *edges, unsigned largest, size_t limit,
                    struct sb_masks *found, bool *complete);

#endif
