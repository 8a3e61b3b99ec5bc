/* Generated worlds in tests: a job whose bits follow known rules, run as the scheduler would. */
#ifndef SB_ATTRIBUTE_TESTS_WORLD_H
#define SB_ATTRIBUTE_TESTS_WORLD_H

#include "matrix/random.h"
#include "tests/testing.h"

#include <samebits/attribute.h>
#include <samebits/matrix.h>

#include <stdlib.h>
#include <string.h>

enum { WORLD_AXES = 4, WORLD_LEVELS = 3, WORLD_CELLS = 81 };

enum race { RACE_NONE, RACE_TWO_OUTCOMES, RACE_EVERY_RUN_DIFFERS };
enum race_where { RACE_NOWHERE, RACE_EVERYWHERE, RACE_AT_LEVELS };

/* What worlds of one kind may be. */
struct world_kind {
    const char *name;
    enum sb_design design;
    size_t least_axes, most_axes;
    unsigned most_levels;
    size_t most_causes; /* axes that the bits of stable cells may follow */
    enum race race;
    enum race_where where;
    double other;   /* two outcomes: how often the second one comes */
    double rare;    /* the same at the first axis' last level; 0: as elsewhere */
    double failing; /* share of runs that fail */
    double missing; /* share of cells whose runs all fail */
    struct sb_repeats repeats;
};

struct world {
    uint64_t random;
    const struct world_kind *kind;
    size_t n_axes;
    unsigned n_levels[WORLD_AXES];
    unsigned *rows;
    const unsigned *cells[WORLD_CELLS];
    size_t n_cells;
    int bits[WORLD_CELLS]; /* of a stable run */
    bool racy[WORLD_CELLS], missing[WORLD_CELLS];
    sb_mask causes; /* axes that `bits` were made from; some may have no effect */
    int next_group;
    struct sb_trial *trials;
    size_t n_trials, room;
    unsigned rounds;
};

static inline double world_share(struct world *world) {
    return (double)(sb_random_next(&world->random) >> 11) * 0x1p-53;
}

static inline size_t world_pick(struct world *world, size_t least, size_t most) {
    return least + (size_t)sb_random_below(&world->random, most - least + 1);
}

/* Bits are a random function of the causes' levels, with few values, so that levels form classes
 * and axes matter at some levels of others only. */
static inline void world_fill(struct world *world) {
    int table[WORLD_CELLS];
    int values = (int)world_pick(world, 2, 4);
    for (size_t i = 0; i < WORLD_CELLS; i++)
        table[i] = (int)sb_random_below(&world->random, (uint64_t)values);
    size_t n_causes = world_pick(world, 0, world->kind->most_causes);
    for (size_t i = 0; i < n_causes; i++)
        world->causes |= (sb_mask)1 << world_pick(world, 0, world->n_axes - 1);
    sb_mask racy_levels[WORLD_AXES];
    for (size_t a = 0; a < world->n_axes; a++) {
        sb_mask all = ((sb_mask)1 << world->n_levels[a]) - 1;
        racy_levels[a] = all;
        if (world->kind->where == RACE_AT_LEVELS && world->n_levels[a] > 1 &&
            (a == 0 || world_share(world) < 0.4))
            racy_levels[a] = 1 + sb_random_below(&world->random, all - 1);
    }
    for (size_t c = 0; c < world->n_cells; c++) {
        size_t at = 0;
        world->racy[c] = world->kind->where != RACE_NOWHERE;
        for (size_t a = 0; a < world->n_axes; a++) {
            at = at * WORLD_LEVELS + (world->causes >> a & 1 ? world->cells[c][a] : 0);
            world->racy[c] &= racy_levels[a] >> world->cells[c][a] & 1;
        }
        world->bits[c] = table[at];
        world->missing[c] = world_share(world) < world->kind->missing;
    }
}

static inline struct world *world_make(const struct world_kind *kind, uint64_t seed) {
    struct world *world = calloc(1, sizeof *world);
    *world = (struct world){.random = seed, .kind = kind, .next_group = 1000};
    world->n_axes = world_pick(world, kind->least_axes, kind->most_axes);
    for (size_t a = 0; a < world->n_axes; a++)
        world->n_levels[a] = (unsigned)world_pick(world, a ? 1 : 2, kind->most_levels);
    ck_assert_int_eq(sb_design_cells(kind->design, world->n_levels, world->n_axes, &world->rows,
                                     &world->n_cells, NULL),
                     0);
    ck_assert_uint_le(world->n_cells, WORLD_CELLS);
    for (size_t c = 0; c < world->n_cells; c++)
        world->cells[c] = world->rows + c * world->n_axes;
    world_fill(world);
    return world;
}

static inline void world_free(struct world *world) {
    free(world->rows);
    free(world->trials);
    free(world);
}

static inline struct sb_evidence world_evidence(const struct world *world) {
    static const char *const axes[] = {"a", "b", "c", "d"};
    static const char *const names[] = {"0", "1", "2"};
    static const char *const *const levels[] = {names, names, names, names};
    bool full = world->kind->design == SB_DESIGN_FULL;
    return (struct sb_evidence){.n_axes = world->n_axes,
                                .axes = axes,
                                .levels = levels,
                                .n_levels = world->n_levels,
                                .n_cells = world->n_cells,
                                .cells = world->cells,
                                .fractional = !full,
                                .trials = world->trials,
                                .n_trials = world->n_trials};
}

static inline int world_run(struct world *world, size_t cell) {
    if (world->missing[cell] || world_share(world) < world->kind->failing)
        return -1;
    if (!world->racy[cell])
        return world->bits[cell];
    if (world->kind->race == RACE_EVERY_RUN_DIFFERS)
        return world->next_group++;
    double other = world->kind->other;
    if (world->kind->rare > 0 && world->cells[cell][0] + 1 == world->n_levels[0])
        other = world->kind->rare;
    return world->bits[cell] + (world_share(world) < other ? 100 : 0);
}

/* Rounds of runs until sb_more_runs asks for none. */
static inline void world_play(struct world *world) {
    unsigned more[WORLD_CELLS];
    for (;;) {
        struct sb_evidence evidence = world_evidence(world);
        struct sb_error err = {0};
        ck_assert_msg(sb_more_runs(&evidence, &world->kind->repeats, more, &err) == 0, "%s",
                      err.text);
        size_t due = 0;
        for (size_t c = 0; c < world->n_cells; c++)
            due += more[c];
        if (!due)
            return;
        ck_assert_uint_lt(world->rounds++, 100);
        while (world->n_trials + due > world->room) {
            world->room = world->room ? 2 * world->room : 256;
            world->trials = realloc(world->trials, world->room * sizeof *world->trials);
        }
        size_t *order = calloc(due, sizeof *order);
        sb_order_runs(more, world->n_cells, world->rounds == 1, world->random, order);
        for (size_t i = 0; i < due; i++)
            world->trials[world->n_trials++] =
                (struct sb_trial){order[i], world_run(world, order[i])};
        free(order);
    }
}

#endif
