/* Stage 7: result.json (DESIGN section 7) and reports, each a pure function of it. */
#ifndef SAMEBITS_REPORT_H
#define SAMEBITS_REPORT_H

#include <samebits/attribute.h>
#include <samebits/compare.h>
#include <samebits/error.h>
#include <samebits/matrix.h>
#include <samebits/run.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Everything known of one job when its runs are over. Borrowed. */
struct sb_divergence; /* attribute/divergence.h */
struct sb_job_result {
    const struct sb_job_plan *plan;
    const struct sb_analysis
        *analysis;                    /* NULL: skipped before anything ran, or no run ended well */
    const struct sb_run *const *runs; /* this job's runs in order of ids */
    size_t n_runs;
    bool stopped;              /* --stop-after ended the runs, of this job or of one before it */
    bool unfinished;           /* an interruption did, before all that were due had ended */
    const size_t *trial_run;   /* index into runs of each of the analysis's trials */
    const char *const *groups; /* distinct fingerprints, the reference's first, then by first run */
    size_t n_groups;
    const struct sb_comparison *comparisons; /* n_groups: group g against group 0; element 0 unused.
                                                NULL: none could be made; no tensors: not this */
    const char *skipped;                     /* why nothing ran, or NULL */
    bool requirements_met;
    const char *requirements_reason; /* why not, or NULL */
    const char *requirements_limit;  /* why not all was judged, or NULL */
    /* Of the witness's traces; NULL: not both were traced, or could not be read (why, then). */
    const struct sb_divergence *divergence;
    const char *no_divergence;  /* NULL: nothing to say */
    const char *spoiled;        /* why no verdict on it counts, or NULL */
    const char *inputs_changed; /* the same, where its inputs changed; or NULL */
    const char *left_out; /* which runs are not among these, and why: not supported; or NULL */
    const char *lacking;  /* why magnitudes are not known: weights that are not there; or NULL */
};

struct sb_result_input {
    const struct sb_suite *suite;
    const struct sb_plan *plan;
    const struct sb_job_result *jobs;
    size_t n_jobs;
    const struct sb_run *runs;
    size_t n_runs;
    enum sb_isolation isolation;
    const char *const *shared; /* ends with NULL */
    json_t *manifest;
    const char *started; /* ISO 8601, UTC */
    double elapsed_s;
    bool interrupted;
    json_t *lists; /* of runs read from a result.json: what their `stated` names; else NULL */
};

/* The whole document: per-job outcome, verdict, axes with observed levels, classes and effects,
 * confidence, worst, witness, cost; outcome and exit code of all (DESIGN section 3). New reference.
 */
int sb_result_build(const struct sb_result_input *input, json_t **result, struct sb_error *err);

/* Commit and state of the folder that `directory` is in, by a git that works beside the caller:
 * asked for before the first run, it says what was run. NULL where none can be started; whatever
 * was started has to be finished. */
struct sb_git;
struct sb_git *sb_git_start(const char *directory);
/* Is its answer there, at once or within so many milliseconds (a signal may end the wait)? False
 * for NULL. */
bool sb_git_ready(struct sb_git *git, int milliseconds);
/* Frees it: {"commit", "dirty", "changes"} (tracked files alone; null where none is changed,
 * "xxh3:…", or "not hashed: <why>"), or JSON null where there is no repository or no commit, or no
 * answer yet: git is killed then. New reference. `git` may be NULL. */
json_t *sb_git_finish(struct sb_git *git);

/* Manifest of what the result rests on: versions (libc, compiler, libraries and programs that runs
 * had), cpu, kernel, git commit and dirty flag, variables that matter, seed and deterministic where
 * the suite says them. `git` as by sb_git_finish, `program` and `inputs` JSON objects of path →
 * digest: of files that commands name, and of those that the suite lists; of each a new reference
 * is taken. New reference. */
int sb_manifest_build(const struct sb_suite *suite, const struct sb_run *runs, size_t n_runs,
                      char *const *environment, json_t *git, json_t *program, json_t *inputs,
                      json_t **manifest, struct sb_error *err);

/* Reads result.json of a folder (or the file itself); checks `schema`, refusing a newer one by
 * name. */
int sb_result_load(const char *path, json_t **result, struct sb_error *err);
/* The same without what grows with the runs: `runs` is empty, and there are no `lists`. What these
 * hold is passed over unread. */
int sb_result_load_head(const char *path, json_t **result, struct sb_error *err);

struct sb_report_options {
    bool colour;    /* terminal: ANSI colours */
    bool unicode;   /* terminal: glyphs beyond ASCII */
    unsigned width; /* terminal: columns; 0: unlimited */
    bool verbose;
    const char *program;   /* as it was called, for hints; NULL: samebits */
    const char *directory; /* the results folder as people would name it, for hints ("latest") */
};

/* What a report adds to a file that a variable of the environment names, if it is set. */
struct sb_report_appendix {
    const char *variable;
    int (*write)(const json_t *result, const struct sb_report_options *options, FILE *out,
                 struct sb_error *err);
};

/* One report format. A new one is a file report_<name>.c that defines `const struct sb_report
 * sb_report_<name>`, and a name in harness/report/meson.build. */
struct sb_report {
    const char *name, *summary;
    const char *file_name; /* default file in the results folder; NULL: standard output */
    const char *planned;   /* why it is known but cannot be written in this build; NULL: it can */
    int (*write)(const json_t *result, const struct sb_report_options *options, FILE *out,
                 struct sb_error *err);
    const struct sb_report_appendix *appendices; /* ends with a NULL variable; NULL: none */
};

extern const struct sb_report *const sb_reports[]; /* generated registry, ends with NULL */
const struct sb_report *sb_report_find(const char *name);

#endif
