/* Stage 6, attribute: minimal hitting sets by MMCS (Murakami and Uno 2014, "Efficient algorithms
 * for dualizing large-scale hypergraphs"): depth first, each set met once. */
#include "attribute/hitting.h"

#include <errno.h>
#include <stdlib.h>

/* Looks at an edge that one search may spend: below a second, and far above what any matrix of a
 * dozen axes takes. */
enum { WORK_LIMIT = 100 * 1000 * 1000 };

int sb_masks_add(struct sb_masks *list, sb_mask set) {
    if (list->n == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        sb_mask *sets = realloc(list->sets, room * sizeof *sets);
        if (!sets)
            return -ENOMEM;
        list->sets = sets;
        list->room = room;
    }
    list->sets[list->n++] = set;
    return 0;
}

void sb_masks_clear(struct sb_masks *list) {
    free(list->sets);
    *list = (struct sb_masks){0};
}

/* Smaller sets first; of two as large, the one with the first axis that only one of them has. */
static int by_size(const void *a, const void *b) {
    sb_mask x = *(const sb_mask *)a, y = *(const sb_mask *)b;
    int more = __builtin_popcountll(x) - __builtin_popcountll(y);
    if (more || x == y)
        return more;
    sb_mask apart = x ^ y;
    return x & apart & -apart ? -1 : 1;
}

void sb_masks_minimise(struct sb_masks *list) {
    if (!list->n)
        return;
    qsort(list->sets, list->n, sizeof *list->sets, by_size);
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++) {
        bool holds_another = false;
        for (size_t k = 0; k < kept && !holds_another; k++)
            holds_another = (list->sets[k] & ~list->sets[i]) == 0;
        if (!holds_another)
            list->sets[kept++] = list->sets[i];
    }
    list->n = kept;
}

struct search {
    const struct sb_masks *edges;
    unsigned largest;
    size_t limit, work;
    struct sb_masks *found;
    bool complete;
};

/* Is every axis of the set needed: is there an edge that it alone hits? */
static bool all_needed(const struct search *search, sb_mask set) {
    sb_mask needed = 0;
    for (size_t i = 0; i < search->edges->n; i++) {
        sb_mask hit = search->edges->sets[i] & set;
        if (hit && (hit & (hit - 1)) == 0)
            needed |= hit;
    }
    return needed == set;
}

/* The edge that `set` misses with the fewest axes left to choose from; NULL when none is missed. */
static const sb_mask *missed_edge(const struct search *search, sb_mask set, sb_mask candidates) {
    const sb_mask *best = NULL;
    for (size_t i = 0; i < search->edges->n; i++) {
        const sb_mask *edge = &search->edges->sets[i];
        if ((*edge & set) == 0 && (!best || __builtin_popcountll(*edge & candidates) <
                                                __builtin_popcountll(*best & candidates)))
            best = edge;
    }
    return best;
}

static int extend(struct search *search, sb_mask set, sb_mask candidates) {
    search->work += 2 * search->edges->n + 1;
    if (search->work > WORK_LIMIT || search->found->n > search->limit) {
        search->complete = false;
        return 0;
    }
    const sb_mask *edge = missed_edge(search, set, candidates);
    if (!edge)
        return sb_masks_add(search->found, set);
    if ((unsigned)__builtin_popcountll(set) >= search->largest)
        return 0;
    sb_mask choice = *edge & candidates;
    candidates &= ~choice;
    int rc = 0;
    for (; rc == 0 && choice && search->complete; choice &= choice - 1) {
        sb_mask axis = choice & -choice;
        if (all_needed(search, set | axis))
            rc = extend(search, set | axis, candidates);
        candidates |= axis;
    }
    return rc;
}

int sb_hitting_sets(const struct sb_masks *edges, unsigned largest, size_t limit,
                    struct sb_masks *found, bool *complete) {
    struct search search = {
        .edges = edges, .largest = largest, .limit = limit, .found = found, .complete = true};
    int rc = extend(&search, 0, ~(sb_mask)0);
    if (rc < 0)
        return rc;
    *complete = search.complete && found->n <= limit;
    if (found->n)
        qsort(found->sets, found->n, sizeof *found->sets, by_size);
    if (found->n > limit)
        found->n = limit;
    return 0;
}
