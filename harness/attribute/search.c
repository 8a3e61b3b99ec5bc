/* Stage 6, attribute: the search by intervention. See attribute/search.h.
 *
 * Every step begins anew from all runs: it asks settings for their state in the order of the
 * method, and where one is not known yet, the step ends with asking for its runs. So a setting that
 * looked stable and turns out not to be changes the way that the search takes, and no state is
 * kept. */
#include "attribute/search.h"

#include "attribute/luck.h"

#include <math.h>

/* Runs with nothing switched: so many at least, for a rate to judge others by; and so many at most
 * until two of them differ. FIRST of each other setting come before it is asked whether more are
 * needed; and no setting gets more than MOST. */
enum { LIVE = 6, MOST_LIVE = 60, FIRST = 2, LEAST_ANSWER = 8, MOST = 64 };

/* What may be luck on the way, and in the setting that the answer rests on. */
static const double way_limit = 0.05, answer_limit = 0.02;

enum state { DIFFERS, AGREES, FAILS, UNKNOWN };

struct step {
    const struct sb_search *search;
    const struct sb_search_run *runs;
    size_t n;
    struct sb_search_tally live, rarest;
    sb_switches rarest_on;
    struct sb_search_ask *asks;
    size_t n_asks;
};

struct sb_search_tally sb_search_tally(const struct sb_search_run *runs, size_t n, sb_switches on) {
    enum { GROUPS = 256 }; /* more than a setting gets runs; what is beyond has been told apart */
    struct sb_search_tally tally = {0};
    int groups[GROUPS];
    unsigned sizes[GROUPS];
    for (size_t i = 0; i < n; i++) {
        if (runs[i].on != on)
            continue;
        if (runs[i].group < 0) {
            tally.failed++;
            continue;
        }
        unsigned at = 0;
        while (at < tally.distinct && groups[at] != runs[i].group)
            at++;
        if (at == GROUPS)
            continue;
        if (at == tally.distinct) {
            groups[at] = runs[i].group;
            sizes[tally.distinct++] = 0;
        }
        sizes[at]++;
        tally.modal = sizes[at] > tally.modal ? sizes[at] : tally.modal;
        tally.good++;
    }
    return tally;
}

double sb_search_luck(const struct sb_search_tally *agreeing,
                      const struct sb_search_tally *differing) {
    if (differing->distinct < 2)
        return 1;
    /* That they differ at all is known by one of them: it is no measure of how often. */
    return sb_agreement_luck(agreeing->good, differing->good - 1, differing->modal);
}

static void ask(struct step *step, sb_switches on, unsigned runs) {
    for (size_t i = 0; i < step->n_asks; i++) {
        if (step->asks[i].on == on)
            return;
    }
    if (step->n_asks < SB_SEARCH_ASKS)
        step->asks[step->n_asks++] = (struct sb_search_ask){on, runs};
}

/* Of the settings whose runs differ, the one whose runs do so least often: another cause than that
 * of the live runs, and a rarer one, may be what is left in it. */
static void find_rarest(struct step *step) {
    step->rarest = step->live;
    step->rarest_on = 0;
    for (size_t i = 0; i < step->n; i++) {
        if (step->runs[i].on == 0 || (i && step->runs[i].on == step->runs[i - 1].on))
            continue;
        struct sb_search_tally tally = sb_search_tally(step->runs, step->n, step->runs[i].on);
        if (tally.distinct > 1 && tally.good > FIRST &&
            tally.modal * step->rarest.good > step->rarest.modal * tally.good) {
            step->rarest = tally;
            step->rarest_on = step->runs[i].on;
        }
    }
}

/* Runs that must agree before that is no luck. */
static unsigned enough(const struct step *step, double limit) {
    struct sb_search_tally tally = {.good = limit < way_limit ? LEAST_ANSWER : FIRST};
    while (tally.good < MOST && sb_search_luck(&tally, &step->rarest) > limit)
        tally.good++;
    return tally.good;
}

/* Few runs that differ seldom are a poor measure of how often they do, by which no number of runs
 * that agree would be enough: more of those that differ say more then. */
static bool can_tell(const struct step *step, double limit) {
    const struct sb_search_tally most = {.good = MOST};
    return sb_search_luck(&most, &step->rarest) <= limit;
}

static enum state look(struct step *step, sb_switches on, double limit) {
    struct sb_search_tally tally = sb_search_tally(step->runs, step->n, on);
    if (tally.distinct > 1)
        return DIFFERS;
    if (tally.failed >= FIRST && tally.failed >= tally.good)
        return FAILS;
    unsigned wanted = tally.good < FIRST ? FIRST : enough(step, limit);
    if (tally.good >= wanted)
        return AGREES;
    if (tally.good >= FIRST && step->rarest.good < MOST && !can_tell(step, limit))
        ask(step, step->rarest_on,
            step->rarest.good < MOST - step->rarest.good ? step->rarest.good
                                                         : MOST - step->rarest.good);
    else
        ask(step, on, wanted - tally.good);
    return UNKNOWN;
}

static sb_switches source_bit(unsigned source) {
    return (sb_switches)1 << source;
}

static sb_switches all_sources(const struct sb_search *search) {
    return (source_bit(search->n_sources) - 1) & ~search->idle;
}

/* One source that cures alone, the first in order, with the others as alternatives. True when the
 * question is settled or runs are asked for. */
static bool try_singles(struct step *step, sb_switches base, struct sb_search_answer *answer) {
    sb_switches cures = 0;
    for (unsigned s = 0; s < step->search->n_sources; s++) {
        if (!((answer->unusable | step->search->idle) & source_bit(s)) &&
            look(step, base | source_bit(s), way_limit) == AGREES)
            cures |= source_bit(s);
    }
    if (step->n_asks)
        return true;
    for (unsigned s = 0; s < step->search->n_sources; s++) {
        if (!(cures & source_bit(s)))
            continue;
        enum state state = look(step, base | source_bit(s), answer_limit);
        if (state == UNKNOWN)
            return true;
        if (state != AGREES)
            continue;
        answer->causes[0] = (struct sb_search_cause){.source = s,
                                                     .without = base,
                                                     .with = base | source_bit(s),
                                                     .alternatives = cures & ~source_bit(s)};
        answer->n_causes = 1;
        answer->cured = base | source_bit(s);
        return true;
    }
    return false;
}

/* Sources that could stand in for one of a set that cures. */
static sb_switches find_alternatives(struct step *step, sb_switches base, sb_switches set,
                                     sb_switches one, sb_switches frozen) {
    sb_switches found = 0;
    for (unsigned s = 0; s < step->search->n_sources; s++) {
        sb_switches other = source_bit(s);
        if ((frozen & other) && !(set & other) &&
            look(step, base | (set & ~one) | other, way_limit) == AGREES)
            found |= other;
    }
    return found;
}

/* Several that are needed together: what is frozen is given up one by one, beginning with what is
 * furthest from the program's own fault, until nothing of what is left can be. */
static void eliminate(struct step *step, sb_switches base, sb_switches frozen,
                      struct sb_search_answer *answer) {
    sb_switches set = frozen, before;
    do {
        before = set;
        for (unsigned s = step->search->n_sources; s-- > 0;) {
            if (!(set & source_bit(s)))
                continue;
            enum state state = look(step, base | (set & ~source_bit(s)), way_limit);
            if (state == UNKNOWN)
                return;
            if (state == AGREES)
                set &= ~source_bit(s);
        }
    } while (set != before);
    if (look(step, base | set, answer_limit) != AGREES)
        return;
    for (unsigned s = 0; s < step->search->n_sources; s++) {
        if (!(set & source_bit(s)))
            continue;
        sb_switches alternatives = find_alternatives(step, base, set, source_bit(s), frozen);
        answer->causes[answer->n_causes++] =
            (struct sb_search_cause){.source = s,
                                     .without = base | (set & ~source_bit(s)),
                                     .with = base | set,
                                     .alternatives = alternatives};
    }
    answer->cured = base | set;
}

/* What has to be frozen, when with `frozen` and the base runs agree. */
static void find_sources(struct step *step, sb_switches base, sb_switches frozen,
                         struct sb_search_answer *answer) {
    if (!try_singles(step, base, answer))
        eliminate(step, base, frozen, answer);
}

static void find_fix(struct step *step, struct sb_search_answer *answer) {
    sb_switches flag = step->search->flag;
    if (flag && answer->tamed)
        answer->flag_cures =
            look(step, (answer->cured & ~answer->tamed) | flag, way_limit) == AGREES;
}

/* Is it a race that has no room with `tame` on? True when that is settled or runs are asked for. */
static bool try_tamed(struct step *step, sb_switches tame, sb_switches frozen,
                      struct sb_search_answer *answer) {
    enum state state = look(step, tame, answer_limit);
    if (state == AGREES) {
        answer->tamed = answer->cured = tame;
        return true;
    }
    if (state != UNKNOWN && frozen)
        state = look(step, tame | frozen, way_limit);
    if (state == AGREES) {
        answer->tamed = tame;
        find_sources(step, tame, frozen, answer);
    }
    return state == AGREES || state == UNKNOWN;
}

/* With everything frozen runs differ still: by threads? */
static void find_race(struct step *step, sb_switches frozen, struct sb_search_answer *answer) {
    for (unsigned i = 0; i < step->search->n_tame; i++) {
        if (try_tamed(step, step->search->tame[i], frozen, answer))
            return;
    }
    answer->end = SB_SEARCH_UNEXPLAINED;
}

/* Sources may do without holding a race: one that shows only where other things are frozen too is
 * made by that, and none of the program's. */
static void give_up_tamed(struct step *step, struct sb_search_answer *answer) {
    sb_switches sources = answer->cured & ~answer->tamed;
    if (look(step, sources, way_limit) != AGREES)
        return;
    answer->n_causes = 0;
    answer->tamed = answer->cured = 0;
    eliminate(step, 0, sources, answer);
}

/* Where runs agree with a schedule in a source's stead, though its values are others in every run,
 * freezing it changed no more than when things happen. */
static void prefer_race(struct step *step, struct sb_search_answer *answer) {
    for (size_t i = 0; i < answer->n_causes; i++) {
        sb_switches source = source_bit(answer->causes[i].source), others = answer->cured & ~source;
        if (!(source & step->search->fresh))
            continue;
        enum state state = look(step, others | step->search->turns, answer_limit);
        if (state == AGREES) {
            answer->n_causes = 0;
            try_tamed(step, step->search->turns, others, answer);
        }
        if (state == AGREES || state == UNKNOWN)
            return;
    }
}

/* Which switches runs do not bear. True when that is known. */
static bool find_unusable(struct step *step, struct sb_search_answer *answer) {
    for (unsigned s = 0; s < step->search->n_sources; s++) {
        if (!(step->search->idle & source_bit(s)) && look(step, source_bit(s), way_limit) == FAILS)
            answer->unusable |= source_bit(s);
    }
    return !step->n_asks;
}

static void find(struct step *step, struct sb_search_answer *answer) {
    sb_switches frozen = all_sources(step->search);
    enum state state = look(step, frozen, way_limit);
    if (state == FAILS) {
        if (!find_unusable(step, answer))
            return;
        frozen &= ~answer->unusable;
        state = look(step, frozen, way_limit);
    }
    if (state == AGREES && frozen)
        find_sources(step, 0, frozen, answer);
    else if (state != UNKNOWN)
        find_race(step, frozen, answer);
    if (!step->n_asks && answer->tamed && answer->n_causes)
        give_up_tamed(step, answer);
    if (!step->n_asks && !answer->tamed && step->search->turns)
        prefer_race(step, answer);
    if (!step->n_asks && answer->end == SB_SEARCH_GOES_ON)
        find_fix(step, answer);
    if (!step->n_asks && answer->end == SB_SEARCH_GOES_ON) {
        answer->end = SB_SEARCH_FOUND;
        struct sb_search_tally cured = sb_search_tally(step->runs, step->n, answer->cured);
        answer->luck = sb_search_luck(&cured, &step->rarest);
    }
}

size_t sb_search_step(const struct sb_search *search, const struct sb_search_run *runs, size_t n,
                      struct sb_search_ask *asks, struct sb_search_answer *answer) {
    *answer = (struct sb_search_answer){.luck = NAN};
    struct step step = {.search = search, .runs = runs, .n = n, .asks = asks};
    step.live = sb_search_tally(runs, n, 0);
    find_rarest(&step);
    const struct sb_search_tally *live = &step.live;
    if (live->failed >= FIRST && live->failed >= live->good) {
        answer->end = SB_SEARCH_FAILED;
    } else if (live->good < LIVE) {
        ask(&step, 0, LIVE - live->good);
    } else if (live->distinct < 2 && live->good >= MOST_LIVE) {
        answer->end = SB_SEARCH_NOT_REPRODUCED;
    } else if (live->distinct < 2) {
        ask(&step, 0, live->good < MOST_LIVE - live->good ? live->good : MOST_LIVE - live->good);
    } else {
        find(&step, answer);
    }
    if (step.n_asks)
        *answer = (struct sb_search_answer){.luck = NAN};
    return step.n_asks;
}
