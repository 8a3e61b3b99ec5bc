/* Stage 1: a suite as written, from YAML or from a command line; every node keeps file:line:column.
 */
#ifndef SAMEBITS_SUITE_H
#define SAMEBITS_SUITE_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Where something was written. line 0: on the command line (`file` then names the option). */
struct sb_where {
    const char *file; /* owned by the suite */
    unsigned line;    /* from 1 */
    unsigned column;  /* from 1 */
};

/* "suites/a.yaml:12:9: <message>" into err; returns code. */
int sb_where_error(struct sb_error *err, int code, const struct sb_where *where, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

enum sb_job_kind { SB_JOB_COMMAND, SB_JOB_TRAIN, SB_JOB_KERNEL };

enum sb_design {
    SB_DESIGN_FULL,
    SB_DESIGN_ONE_AT_A_TIME,
    SB_DESIGN_PAIRWISE,
};

enum sb_need { SB_NEED_BITWISE, SB_NEED_ROUNDING, SB_NEED_IGNORE };

enum sb_isolation { SB_ISOLATE_AUTO, SB_ISOLATE_OVERLAY, SB_ISOLATE_COPY, SB_ISOLATE_INPLACE };

enum sb_expect {
    SB_EXPECT_NOTHING,
    SB_EXPECT_NONDETERMINISTIC,
    SB_EXPECT_CONFIG_DEPENDENT,
    SB_EXPECT_BITWISE
};

/* Names as the suite and the command line write them, indexed by the enums above; each ends with
 * NULL. */
extern const char *const sb_job_kind_names[];  /* command train kernel */
extern const char *const sb_design_names[];    /* full one-at-a-time pairwise */
extern const char *const sb_need_names[];      /* bitwise rounding ignore */
extern const char *const sb_isolation_names[]; /* auto overlay copy inplace */
extern const char *const sb_expect_names[];    /* "" nondeterministic config-dependent bitwise */

/* Sets of axes and of levels are bit masks in later stages. Checked here, with the place. */
enum { SB_MAX_AXES = 64, SB_MAX_LEVELS = 64 };

struct sb_suite_axis {
    char *name;
    char **levels; /* as written; the first is the reference level */
    size_t n_levels;
    struct sb_where where;        /* of the name */
    struct sb_where *level_where; /* n_levels of them */
};

struct sb_repeats {
    unsigned min;       /* from 1 */
    unsigned max;       /* 0: no maximum was written; see SB_REPEATS_MAX */
    bool exact;         /* exactly min: nothing is added where evidence is thin */
    bool stop_diverged; /* run towards max, but stop at the first divergence */
};

/* Repeats of a cell go no further than this when a suite gives only a minimum. */
enum { SB_REPEATS_MAX = 60 };

struct sb_requirement {
    char *axis; /* an axis name, or "repeats"; one need for all is written out for each axis */
    enum sb_need need;
    struct sb_where where;
};

struct sb_argument {
    char *name, *value; /* both as text */
    struct sb_where where;
};

/* Tolerances of one comparison; a negative one means the default of the tensor's dtype (see
 * samebits/compare.h). */
struct sb_tolerance {
    double rtol, atol;
    double
        ulp; /* when ≥ 0: elements within so many ULP are equal enough, instead of rtol and atol */
};

/* One job, after defaults were filled in and lists of backends, dtypes, algorithms and shapes
 * were multiplied out: one sb_job for each combination. */
struct sb_job {
    char *name; /* as in the suite */
    char *id; /* unique in the suite: the name, and whatever of backend, dtype, algorithm and shape
                 has several values, "gemm/openblas/f32/33x1000x77" */
    enum sb_job_kind kind;
    char **command; /* SB_JOB_COMMAND: argv, ending with NULL; else NULL */
    size_t n_command;
    struct sb_where *command_where; /* n_command of them */
    char *subject;                  /* SB_JOB_TRAIN: "dense"; SB_JOB_KERNEL: "gemm"; else NULL */
    char *backend;                  /* NULL for commands */
    char *dtype;                    /* kernels: "f32" unless given; else NULL */
    char *algorithm;                /* kernels; NULL: the backend's own choice */
    size_t *shape;                  /* kernels; NULL: the operation's default shape */
    size_t n_shape;
    char *weights; /* path or glob below the run's directory; NULL for a command: every weights file
                      that the run wrote; never NULL or a glob for built-in jobs */
    char **exclude, **include; /* tensor name globs, ending with NULL; NULL: none */
    size_t n_exclude, n_include;
    char **inputs; /* paths or globs of files hashed before and after */
    size_t n_inputs;
    char **needs; /* a command that ends well where the job can run at all, ending with NULL; or
                     NULL */
    size_t n_needs;
    char *install; /* what gets the job what it needs, for messages; NULL: not said */
    struct sb_argument *arguments; /* of built-in jobs */
    size_t n_arguments;
    struct sb_suite_axis *axes;
    size_t n_axes;
    struct sb_repeats repeats;
    double timeout_s; /* 0: none */
    enum sb_design design;
    struct sb_requirement *require;
    size_t n_require;
    struct sb_tolerance tolerance;
    enum sb_expect expect;
    char *directory; /* absolute: where the command runs (for a suite the suite file's folder) */
    struct sb_where where;
    /* For later checks against registries. */
    struct sb_where subject_where, backend_where, dtype_where, algorithm_where;
};

struct sb_suite {
    char *path; /* as given; "command line" for an ad-hoc one */
    char *text; /* the file's text, for the result folder; NULL for ad-hoc */
    struct sb_job *jobs;
    size_t n_jobs; /* 0 where --skip left none */
    char **files;  /* owns what sb_where.file points to */
    size_t n_files;
};

/* What the command line adds to or replaces in a suite's jobs, and all of an ad-hoc job. */
struct sb_overrides {
    const struct sb_suite_axis *axes; /* --vary: replaces the axis of that name, or adds it */
    size_t n_axes;
    const struct sb_repeats *repeats; /* NULL: as the suite says */
    const bool *exact;                /* NULL: as the suite says */
    const enum sb_design *design;     /* NULL: as the suite says */
    const enum sb_need
        *require; /* --require: for repeats and every axis; NULL: as the suite says */
    const struct sb_tolerance *tolerance;  /* negative members: as the suite says */
    double timeout_s;                      /* < 0: as the suite says */
    char *const *exclude, *const *include; /* added */
    size_t n_exclude, n_include;
    char *const *only, *const *skip; /* globs over a job's name and id */
    size_t n_only, n_skip;
};

/* Parses and checks everything that needs no machine: keys, types, levels' syntax, names that occur
 * twice, placeholders. Axis names and levels are checked by stage 2, backends and operations by the
 * worker's registries. Errors are -EINVAL with file:line:column, or the errno of reading the file.
 */
int sb_suite_load(const char *path, const struct sb_overrides *overrides, struct sb_suite **suite,
                  struct sb_error *err);

/* The same from text in memory; `path` is used for messages, and its folder becomes the jobs'
 * directory. */
int sb_suite_parse(const char *text, size_t n, const char *path,
                   const struct sb_overrides *overrides, struct sb_suite **suite,
                   struct sb_error *err);

/* A suite of one command job named after the script (the first argument that is a file name with an
 * extension, else the command). Without overrides->axes the axes are hash_seed=0,1, threads=1,all,
 * deterministic=off,on, one at a time. Runs in the current directory. `weights` may be NULL. */
int sb_suite_adhoc(char *const *command, size_t n_command, const char *weights,
                   const struct sb_overrides *overrides, struct sb_suite **suite,
                   struct sb_error *err);

void sb_suite_free(struct sb_suite *suite);

/* What an axis must hold where the suite does not say: rounding for threads, deterministic and isa,
 * bitwise otherwise
 * ("repeats" included). */
enum sb_need sb_job_need(const struct sb_job *job, const char *axis);

/* Parses "threads=1,2" with `\,` for a comma; levels may be empty text. The error names what was
 * wrong. */
int sb_vary_parse(const char *text, struct sb_suite_axis *axis, struct sb_error *err);
void sb_suite_axis_clear(struct sb_suite_axis *axis);

/* Parses "3", "3..50" (both ≥ 1), and a duration: "90", "90s", "10m", "1h", "250ms". */
int sb_repeats_parse(const char *text, struct sb_repeats *repeats, struct sb_error *err);
int sb_duration_parse(const char *text, double *seconds, struct sb_error *err);

/* ---- Placeholders -------------------------------------------------------------------------------
 */

/* A walk over one argument of a command. Start it with {.at = argument}. */
struct sb_placeholders {
    const char *at; /* what comes next */
    unsigned open;  /* `{{` that were read and not yet closed by `}}` */
};

enum sb_piece {
    SB_PIECE_END,
    SB_PIECE_TEXT, /* bytes to copy */
    SB_PIECE_NAME, /* the name within `{name}`: "weights", or an axis */
};

/* The next piece of the argument; *piece points into it and is not NUL-terminated. A name is a
 * letter or `_`, then letters, digits, `_` and `-`; or "env:" and the name of a variable. `{{` is a
 * literal `{`, and the `}}` that closes it a literal `}`; every other brace stands for itself, so
 * that JSON text passes unchanged ('{"a": {"b": 1}}'). */
enum sb_piece sb_placeholder_next(struct sb_placeholders *walk, const char **piece, size_t *n);

/* ---- A suite to begin with ----------------------------------------------------------------------
 */

/* Writes a commented suite of one job that runs `command`; reading it gives the same arguments
 * back, whatever bytes they hold. `weights` as in the suite; NULL: an argument that names a weights
 * file is taken for it, if there is one. -EINVAL for a `weights` that no suite may have; or the
 * errno of writing. */
int sb_suite_write_template(char *const *command, size_t n, const char *weights, FILE *out,
                            struct sb_error *err);

#endif
