/* cli: a job's runs as evidence for stage 6, and their groups' weights for stage 5. */
#ifndef SB_CLI_EVIDENCE_H
#define SB_CLI_EVIDENCE_H

#include <samebits/attribute.h>
#include <samebits/compare.h>
#include <samebits/matrix.h>
#include <samebits/run.h>

#include "cli/groups.h"

struct sb_job_evidence {
    const struct sb_job_plan *plan;
    const struct sb_run **runs; /* this job's, in order of ids; borrowed */
    size_t n_runs;
    struct sb_groups groups; /* the reference's first, then by first run */
    size_t n_saved;          /* groups whose weights are kept; of the others only calls are known */
    struct sb_trial *trials; /* trial i is run i; then results of further calls */
    size_t *trial_run;
    size_t room;                 /* of both */
    struct sb_evidence evidence; /* borrows the rest */
    const char **axes;
    const char *const **levels;
    unsigned *n_levels;
    const unsigned **cells;
    uint64_t *implies;
};

/* The evidence of one job among all runs (any order; sorted here). `left_out` NULL: all of them;
 * else without those of cells that are not supported here, and *left_out is the sentence on that,
 * malloc'd, or NULL. */
int sb_job_evidence_make(const struct sb_plan *plan, size_t job, const struct sb_run *runs,
                         size_t n_runs, uint64_t seed, char **left_out,
                         struct sb_job_evidence *evidence, struct sb_error *err);
void sb_job_evidence_clear(struct sb_job_evidence *evidence);

/* Adds results that only came up in later calls of a run's process (cli/evidence_calls.c). 0 or
 * -ENOMEM. */
int sb_job_evidence_add_calls(struct sb_job_evidence *evidence);

struct sb_compared_pair {
    size_t a, b;
    struct sb_comparison *comparison; /* NULL: a free slot */
    bool lacking;                     /* not made: weights are not there */
};

/* So many groups, the first by their first run, are compared with the reference: of a job whose
 * runs all differ, that tells how large the differences are. Requirements may ask for others. */
#define SB_MOST_COMPARED 64

/* Comparisons of a job's groups, made from the stored weights when they are first asked for. */
struct sb_group_comparisons {
    const struct sb_job_evidence *evidence;
    struct sb_folder *folder;
    struct sb_compared_pair *pairs; /* a hash table of those made */
    size_t n_pairs, room;
    struct sb_error problem; /* the first that occurred; text[0] == 0: none */
    bool partial;            /* weights that are not there are lacking, which is no problem */
    bool lacking;            /* some were */
    size_t first_lacking;    /* the first group of those asked about that has none */
    bool pair_lacking;       /* those of the pair that was asked about last */
    bool assumed;            /* of such a pair: is it within tolerance? */
};

void sb_group_comparisons_open(const struct sb_job_evidence *evidence, struct sb_folder *folder,
                               struct sb_group_comparisons *comparisons);
/* Group b against group a; NULL when it cannot be made (`problem` says why). */
const struct sb_comparison *sb_group_comparison(struct sb_group_comparisons *comparisons, size_t a,
                                                size_t b);
/* For sb_requirements_met; context is the struct sb_group_comparisons. */
bool sb_groups_within_tolerance(void *context, int group_a, int group_b);
void sb_group_comparisons_clear(struct sb_group_comparisons *comparisons);

#endif
