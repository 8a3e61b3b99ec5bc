/* Stage 6: the search for what makes repeats differ, by intervention: freeze some of the sources of
 * nondeterminism, and see whether repeats now agree. Pure: the runs are another's to do. */
#ifndef SB_ATTRIBUTE_SEARCH_H
#define SB_ATTRIBUTE_SEARCH_H

#include <samebits/attribute.h>

enum { SB_SEARCH_CURES = 8 };

/* What runs with some sources frozen gave. */
struct sb_sample {
    unsigned runs;     /* that ended well */
    unsigned failed;   /* that did not: a source that a program cannot do without was frozen */
    unsigned distinct; /* results among `runs` */
    unsigned largest;  /* runs that had the most frequent of them */
};

/* Answers with all runs that were made with `frozen`: runs + failed ≥ `wanted`. -EAGAIN where there
 * are fewer yet: the search ends with that, and is begun again when they are there. -ECANCELED:
 * there will be no more. */
typedef int (*sb_ask)(void *context, sb_mask frozen, unsigned wanted, struct sb_sample *sample);

struct sb_search {
    sb_mask sources; /* bits in order of preference: the lowest is nearest to the program's fault */
    sb_mask likely;  /* of them, those that the program is known to consult, or may well */
    sb_mask blunt; /* of them, those whose freezing hides other sources too: tried without first */
    double luck;   /* probability with which repeats of an unstable program may agree by chance */
    unsigned most; /* runs of one question, whatever the rate */
    unsigned confirm; /* runs of the answer, at least */
    sb_ask ask;
    void *context;
};

enum sb_found {
    SB_FOUND_NOTHING, /* repeats do not differ, or were not made */
    SB_FOUND_CURES,
    SB_FOUND_NO_CURE, /* repeats differ whatever is frozen */
};

struct sb_cure {
    sb_mask frozen;
    struct sb_sample with;    /* frozen */
    struct sb_sample without; /* one of its sources live, the rest of all frozen: the one source
                                 whose runs came nearest to agreeing */
    double luck; /* probability that `with` agrees by chance, at the rate seen elsewhere */
};

struct sb_findings {
    enum sb_found found;
    struct sb_cure cures[SB_SEARCH_CURES]; /* inclusion-minimal, the best first */
    size_t n_cures;
    bool complete;                 /* every cure was looked for, and all are confirmed */
    struct sb_sample live, frozen; /* nothing and everything frozen */
    double
        share; /* of runs that have the most frequent result, at the most, where repeats differ */
};

/* 0, -EAGAIN, -ENOMEM or another error of `ask`; with -ECANCELED *findings has what is known. */
int sb_search_causes(const struct sb_search *search, struct sb_findings *findings);

/* Runs that must agree, so that chance has at most that probability of it where each run has the
 * most frequent result with probability `share`. */
unsigned sb_search_runs(double share, double luck);

#endif
