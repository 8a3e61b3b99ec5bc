/* cli: many results of one time after another: when did a job's verdict or bits change, and what
 * differed then? Of each result little is kept: its runs are not even read. */
#ifndef SB_CLI_HISTORY_H
#define SB_CLI_HISTORY_H

#include "cli/groups.h"
#include "cli/marks.h"

#include <samebits/attribute.h>

#include <jansson.h>
#include <stdbool.h>

enum { SB_NO_BITS = -1, SB_NO_REASON = -1 };

/* One job of one result. */
struct sb_history_job {
    size_t series;
    int verdict;   /* enum sb_verdict; -1: another word */
    bool failed;   /* its outcome */
    int bits;      /* number in `sets`; SB_NO_BITS: repeats differ, or nothing is known */
    int reference; /* number in `fingerprints`, or SB_NO_BITS */
    int reason;    /* number in `reasons`: why there is no bitwise answer; or SB_NO_REASON */
    unsigned nth;  /* of the series' different bits, by when they first came, from 1; 0: none */
};

struct sb_history_result {
    char *path, *started, *outcome;
    int suite, machines, manifest; /* numbers in the groups of those names */
    struct sb_history_job *jobs;   /* by series */
    size_t n_jobs;
};

/* A job of a suite, on one machine: a strip of the table. */
struct sb_history_series {
    int suite, job, machines;
    size_t n_changes;
    unsigned n_bits; /* different ones */
};

/* Zero-initialise; free with sb_history_clear. */
struct sb_history {
    unsigned marks;                    /* that tell machines apart */
    const char *only;                  /* a glob of jobs; NULL: all */
    struct sb_history_result *results; /* by time once sb_history_sort was called */
    size_t n_results;
    struct sb_history_series *series;
    size_t n_series;
    /* Texts, once each. */
    struct sb_groups suites, jobs, machines, manifests, fingerprints, sets, keys, reasons;
};

void sb_history_clear(struct sb_history *history);

/* Adds a result. -EINVAL and the like: it cannot be read. -ENOMEM. */
int sb_history_add(struct sb_history *history, const char *path, struct sb_error *err);
/* By time; then each job knows which of its different bits it had. 0 or -ENOMEM. */
int sb_history_sort(struct sb_history *history);

/* What a series was in a result; NULL: the result has no such job. */
const struct sb_history_job *sb_history_find(const struct sb_history_result *result, size_t series);

/* All changes, by time: {"kind": "verdict|bits|groups", "job", "suite", "machine": its marks,
 * "result", "since": indices of results, "was", "is", "reason": of a verdict as it is now, or null,
 * "differences": of the manifests}. Counts them in each series. New reference, or NULL without
 * memory. */
json_t *sb_history_changes(struct sb_history *history);

/* "alpha / GPU X": marks of a series' machine that are not alike in all results; malloc'd. */
char *sb_history_machine(const struct sb_history *history, int machines);

/* A series with a place for each result of its suite and machine. */
struct sb_history_strip {
    size_t series;
    const struct sb_history_series *of;
    struct sb_text glyphs;             /* one letter a place */
    size_t *results;                   /* of each place */
    const struct sb_history_job *last; /* NULL: none */
};
/* n_series of them; NULL without memory. */
struct sb_history_strip *sb_history_strips(const struct sb_history *history);
void sb_history_strips_free(struct sb_history_strip *strips, size_t n);

/* A change, and what differed, in words; malloc'd. */
char *sb_history_change_text(const struct sb_history *history, const json_t *change);
char *sb_history_differences_text(const json_t *change);

/* {"schema": "samebits.history/1", "results", "jobs", "changes"}. New reference, or NULL. */
json_t *sb_history_json(const struct sb_history *history, json_t *changes);

struct sb_history_view {
    bool colour, unicode, verbose;
    size_t width; /* 0: unlimited */
};
void sb_history_print(const struct sb_history *history, const json_t *changes,
                      const struct sb_history_view *view);

/* A page that needs no network; malloc'd, or NULL. */
char *sb_history_html(const struct sb_history *history, const json_t *changes);

#endif
