/* Stage 6: delta debugging over sources of nondeterminism. See attribute/search.h.
 *
 * A set of sources cures where so many repeats with it frozen agree that chance is out of the
 * question. How many that are rests on the highest share of equal results seen in runs that did
 * differ: whenever a question shows a higher one (a rare race behind a seed that always differs),
 * all answers given before are asked for again. Every minimal cure is found as the sets of a
 * monotone function are: what hits all cures known is let live, and if the rest still cures, a
 * further one is in it. */
#include "attribute/search.h"
#include "attribute/hitting.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { LEAST = 5, FIRST_RUNS = 6, RARE = 3, RESTARTS = 32 };

struct state {
    const struct sb_search *search;
    struct sb_findings *findings;
    bool raised; /* the share rose: earlier answers may be too thin */
};

unsigned sb_search_runs(double share, double luck) {
    if (share <= 0)
        return LEAST;
    if (share >= 1)
        return 1000000;
    double n = 1 + ceil(log(luck) / log(share));
    return n < LEAST ? LEAST : n > 1000000 ? 1000000 : (unsigned)n;
}

/* Laplace's estimate, so that two runs that differ do not mean that no two ever agree. */
static double share_of(const struct sb_sample *sample) {
    return (sample->largest + 1.0) / (sample->runs + 2.0);
}

static unsigned needed(const struct state *state) {
    unsigned n = sb_search_runs(state->findings->share, state->search->luck);
    return n < state->search->most ? n : state->search->most;
}

static void see(struct state *state, const struct sb_sample *sample) {
    if (sample->distinct < 2 || share_of(sample) <= state->findings->share)
        return;
    unsigned before = needed(state);
    state->findings->share = share_of(sample);
    state->raised |= needed(state) > before;
}

/* Do repeats agree? Two runs tell most that do not. 1, 0 or an error. */
static int cures(struct state *state, sb_mask frozen, unsigned wanted, struct sb_sample *sample) {
    const struct sb_search *search = state->search;
    for (unsigned n = 2;; n = n < LEAST && LEAST < wanted ? LEAST : wanted) {
        *sample = (struct sb_sample){0};
        int rc = search->ask(search->context, frozen, n, sample);
        if (rc < 0)
            return rc;
        see(state, sample);
        if (sample->failed || sample->distinct > 1)
            return 0;
        if (n >= wanted)
            return 1;
    }
}

static int asks(struct state *state, sb_mask frozen) {
    struct sb_sample sample;
    return cures(state, frozen, needed(state), &sample);
}

/* Drops from *frozen what of `block` is not needed: all of it, or by halves. */
static int reduce(struct state *state, sb_mask *frozen, sb_mask block) {
    int rc = asks(state, *frozen & ~block);
    if (rc > 0)
        *frozen &= ~block;
    if (rc != 0 || !(block & (block - 1)))
        return rc < 0 ? rc : 0;
    sb_mask low = 0, rest = block;
    for (int half = __builtin_popcountll(block) / 2; half > 0; half--) {
        low |= rest & -rest;
        rest &= rest - 1;
    }
    rc = reduce(state, frozen, rest);
    return rc < 0 ? rc : reduce(state, frozen, low);
}

/* A minimal cure inside one: what is unlikely is dropped first, and then what lies far from the
 * program's own fault. */
static int minimise(struct state *state, sb_mask *frozen) {
    sb_mask unlikely = *frozen & ~state->search->likely;
    int rc = unlikely ? reduce(state, frozen, unlikely) : 0;
    sb_mask likely = *frozen & state->search->likely;
    return rc < 0 || !likely ? rc : reduce(state, frozen, likely);
}

static int add_cure(struct sb_masks *known, sb_mask frozen) {
    for (size_t i = 0; i < known->n; i++) {
        if (known->sets[i] == frozen)
            return 0;
    }
    return sb_masks_add(known, frozen);
}

/* Causes are mostly single. Each source that is likely by itself; where a blunt one is needed, by
 * itself it is the only candidate. */
static int try_singles(struct state *state, struct sb_masks *known) {
    const struct sb_search *search = state->search;
    sb_mask candidates = search->likely & ~search->blunt;
    if (search->blunt) {
        struct sb_sample sample;
        int rc = cures(state, search->sources & ~search->blunt, needed(state), &sample);
        if (rc < 0)
            return rc;
        if (sample.distinct > 1)
            candidates = search->blunt;
    }
    for (; candidates; candidates &= candidates - 1) {
        int rc = asks(state, candidates & -candidates);
        if (rc > 0)
            rc = add_cure(known, candidates & -candidates);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Looks for a cure that holds none of those known whole. 1: it was added. */
static int find_another(struct state *state, struct sb_masks *known) {
    SB_AUTO_MASKS struct sb_masks live = {0};
    bool complete;
    int rc = sb_hitting_sets(known, 64, 256, &live, &complete);
    for (size_t i = 0; rc == 0 && i < live.n; i++) {
        sb_mask frozen = state->search->sources & ~live.sets[i];
        rc = frozen ? asks(state, frozen) : 0;
        if (rc <= 0)
            continue;
        rc = minimise(state, &frozen);
        if (rc == 0)
            rc = add_cure(known, frozen);
        return rc < 0 ? rc : 1;
    }
    return rc;
}

/* What shows that each source of a cure is needed: all the others frozen, runs differ. */
static int take_without(struct state *state, struct sb_cure *cure) {
    for (sb_mask rest = cure->frozen; rest; rest &= rest - 1) {
        struct sb_sample sample;
        sb_mask frozen = cure->frozen & ~(rest & -rest);
        int rc = cures(state, frozen, needed(state), &sample);
        if (rc < 0)
            return rc;
        if (rest == cure->frozen ||
            (sample.distinct > 1 && share_of(&sample) > share_of(&cure->without)))
            cure->without = sample;
    }
    return 0;
}

static int before(const struct sb_cure *a, const struct sb_cure *b, sb_mask blunt) {
    bool blunt_a = a->frozen & blunt, blunt_b = b->frozen & blunt;
    int size_a = __builtin_popcountll(a->frozen), size_b = __builtin_popcountll(b->frozen);
    if (blunt_a != blunt_b)
        return blunt_b;
    return size_a != size_b ? size_a < size_b : a->frozen < b->frozen;
}

/* Gathers the evidence for each cure; the best one is put to a longer test. */
static int confirm(struct state *state, const struct sb_masks *known) {
    struct sb_findings *findings = state->findings;
    findings->n_cures = 0;
    for (size_t i = 0; i < known->n && findings->n_cures < SB_SEARCH_CURES; i++) {
        struct sb_cure cure = {.frozen = known->sets[i]};
        size_t at = findings->n_cures++;
        for (; at > 0 && before(&cure, &findings->cures[at - 1], state->search->blunt); at--)
            findings->cures[at] = findings->cures[at - 1];
        findings->cures[at] = cure;
    }
    findings->found = findings->n_cures ? SB_FOUND_CURES : SB_FOUND_NO_CURE;
    for (size_t i = 0; i < findings->n_cures; i++) {
        struct sb_cure *cure = &findings->cures[i];
        unsigned n = needed(state);
        int rc = cures(state, cure->frozen,
                       i || state->search->confirm < n ? n : state->search->confirm, &cure->with);
        if (rc == 0)
            state->raised = true; /* the longer test found it out: it is no cure */
        if (rc > 0)
            rc = take_without(state, cure);
        if (rc < 0)
            return rc;
        cure->luck = pow(findings->share, (double)cure->with.runs - 1);
    }
    return 0;
}

static int search_once(struct state *state) {
    const struct sb_search *search = state->search;
    struct sb_findings *findings = state->findings;
    SB_AUTO_MASKS struct sb_masks known = {0};
    int rc = cures(state, search->sources, needed(state), &findings->frozen);
    if (rc == 0)
        findings->found = SB_FOUND_NO_CURE;
    if (rc < 0 || findings->frozen.distinct > 1)
        return rc < 0 ? rc : 0;
    rc = try_singles(state, &known);
    for (int more = 1; rc == 0 && more && known.n < SB_SEARCH_CURES;) {
        more = find_another(state, &known);
        rc = more < 0 ? more : 0;
    }
    int confirmed = confirm(state, &known); /* also where the search was cut short */
    return rc < 0 ? rc : confirmed;
}

/* How often do repeats agree with nothing frozen? Until a few runs were unlike the most frequent
 * result. 1: they differ. */
static int measure(struct state *state) {
    const struct sb_search *search = state->search;
    struct sb_sample *live = &state->findings->live;
    for (unsigned n = FIRST_RUNS;; n = n * 2 < search->most ? n * 2 : search->most) {
        int rc = search->ask(search->context, 0, n, live);
        if (rc < 0)
            return rc;
        if (live->runs - live->largest >= RARE || n >= search->most || live->failed == n)
            break;
    }
    see(state, live);
    return live->distinct > 1;
}

int sb_search_causes(const struct sb_search *search, struct sb_findings *findings) {
    *findings = (struct sb_findings){.found = SB_FOUND_NOTHING};
    struct state state = {.search = search, .findings = findings};
    int rc = measure(&state);
    if (rc <= 0)
        return rc;
    for (int i = 0; i < RESTARTS; i++) {
        state.raised = false;
        rc = search_once(&state);
        if (rc < 0 || !state.raised)
            break;
    }
    findings->complete = rc == 0 && !state.raised;
    return rc < 0 ? rc : 0;
}
