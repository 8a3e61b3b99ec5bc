/* Stage 6: the search for what makes the runs of one configuration differ, by intervention. Each
 * switch freezes a source of nondeterminism, or takes away what a race needs. Given the runs so
 * far, a step says which runs would tell more, or what they show. Pure: the same runs give the same
 * step, so that a search that was interrupted goes on from its journal. Method: docs/explain.md. */
#ifndef SB_ATTRIBUTE_SEARCH_H
#define SB_ATTRIBUTE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of switches that are on: bit i stands for switch i. */
typedef uint32_t sb_switches;

enum { SB_SEARCH_SOURCES = 16, SB_SEARCH_TAMERS = 2, SB_SEARCH_ASKS = 32 };

struct sb_search {
    unsigned n_sources; /* switches 0 … n_sources - 1 freeze a source each; of several that would
                           do, the first is the cause */
    sb_switches idle;   /* of the sources: nothing is known to ask for them, so that they are no
                           cause,   even if runs that freeze them happen to agree */
    /* Switches that leave a race no room, in the order in which they are tried: one thread, say, or
     * a schedule that is the same each time. */
    sb_switches tame[SB_SEARCH_TAMERS];
    unsigned n_tame;
    /* Of tame: the schedule, which leaves sources alone; 0 where the program has nothing that runs
     * beside something else. What freezing does to the time things take may hide a race: where the
     * schedule cures in the stead of a source of `fresh`, that source is none. */
    sb_switches turns;
    sb_switches fresh; /* sources whose values are others in every run, whatever the schedule */
    sb_switches flag;  /* that asks libraries for deterministic paths; 0: not to be had */
};

struct sb_search_run {
    sb_switches on;
    int group; /* equal exactly where fingerprints are; -1: the run failed */
};

/* The runs of one setting. */
struct sb_search_tally {
    unsigned good, failed, distinct, modal; /* modal: runs of the most frequent result */
};

struct sb_search_ask {
    sb_switches on;
    unsigned runs; /* further ones */
};

enum sb_search_end {
    SB_SEARCH_GOES_ON,
    SB_SEARCH_NOT_REPRODUCED, /* with nothing switched, all runs agree */
    SB_SEARCH_FAILED,         /* with nothing switched, runs fail */
    SB_SEARCH_FOUND,
    SB_SEARCH_UNEXPLAINED, /* everything is frozen, no race has room, and runs differ still */
};

struct sb_search_cause {
    unsigned source;
    sb_switches without, with; /* runs differ without it being frozen, and agree with */
    sb_switches alternatives;  /* sources that could be frozen in its stead */
};

struct sb_search_answer {
    enum sb_search_end end;
    struct sb_search_cause causes[SB_SEARCH_SOURCES]; /* each has to be frozen */
    size_t n_causes;
    sb_switches
        tamed; /* of search.tame, what is needed too, or alone: there is a race; 0: none is */
    sb_switches cured; /* the setting that the answer rests on */
    double luck;     /* chance that its runs agree by luck, as often as those of the setting do not
                        whose runs differ least often */
    bool flag_cures; /* with the flag instead of what tamed the race, runs agree */
    sb_switches unusable; /* switches under which runs fail */
};

struct sb_search_tally sb_search_tally(const struct sb_search_run *runs, size_t n, sb_switches on);

/* asks[SB_SEARCH_ASKS]: settings whose runs are needed next, where answer->end is
 * SB_SEARCH_GOES_ON; returns how many. */
size_t sb_search_step(const struct sb_search *search, const struct sb_search_run *runs, size_t n,
                      struct sb_search_ask *asks, struct sb_search_answer *answer);

/* The chance that all runs of `agreeing` agree by luck, as often as those of `differing` do not. 1
 * where none differ. */
double sb_search_luck(const struct sb_search_tally *agreeing,
                      const struct sb_search_tally *differing);

#endif
