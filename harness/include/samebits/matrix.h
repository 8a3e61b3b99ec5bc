/* Stage 2: axes, and a job's axes multiplied out to cells and runs. */
#ifndef SAMEBITS_MATRIX_H
#define SAMEBITS_MATRIX_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- The machine ---------------------------------------------------------------------------- */

/* What this machine, and this process on it, can vary. Found by trying. */
struct sb_machine {
    int *cpus; /* CPUs that this process may use, ascending; one hardware thread each */
    size_t n_cpus;
    bool has_isa[8]; /* indexed as sb_isa_names */
    char
        *isa_refused[8]; /* why a level that the CPU has is not offered (accuracy check), or NULL */
    bool isa_checked[8]; /* sb_machine_check_isa has asked */
    double cpu_quota;    /* CPUs' worth of time that the cgroup grants; 0: no limit is known */
    char *no_uts_namespace;     /* why the host name cannot be changed, or NULL */
    char *no_pid_namespace;     /* why process ids cannot be frozen, or NULL */
    char *no_personality;       /* why ASLR cannot be switched, or NULL */
    char *no_mount_namespace;   /* why mounts cannot be made, or NULL */
    bool user_namespace_needed; /* namespaces work only together with CLONE_NEWUSER */
    char *probe;                /* path of the library that is preloaded, or NULL */
    char *no_probe;             /* why it cannot be, or NULL */
};

int sb_machine_probe(struct sb_machine **machine, struct sb_error *err);
void sb_machine_free(struct sb_machine *machine);

/* All that plans rest on, and back: another machine makes the same plan of it. The CPUs' numbers
 * are no part of it. New reference or NULL; 0, -EBADMSG or -ENOMEM. */
json_t *sb_machine_to_json(const struct sb_machine *machine);
int sb_machine_from_json(const json_t *json, struct sb_machine **machine, struct sb_error *err);
/* Has it n CPUs, numbered from 0. 0 or -ENOMEM. */
int sb_machine_set_cpus(struct sb_machine *machine, size_t n);

/* Levels of the isa axis, from the least; ends with NULL. */
extern const char *const sb_isa_names[]; /* sse2 avx2 avx512 */

/* Asks `check` about each isa level that a job of the suite varies and this CPU has, and keeps its
 * answers in isa_refused: a malloc'd reason, or NULL where results at that level are accurate.
 * Nothing is asked when no job varies isa. `check` returns 0 or a negative errno. Call it before
 * sb_plan_make. */
int sb_machine_check_isa(struct sb_machine *machine, const struct sb_suite *suite,
                         int (*check)(void *context, const char *level, char **refused,
                                      struct sb_error *err),
                         void *context, struct sb_error *err);

/* ---- What an axis does to a run ------------------------------------------------------------- */

/* What the probe (harness/probe) does in a run. */
enum sb_clock { SB_CLOCK_LIVE, SB_CLOCK_FROZEN, SB_CLOCK_FROZEN_MONOTONIC };
enum sb_readdir { SB_READDIR_LIVE, SB_READDIR_SORTED, SB_READDIR_REVERSED, SB_READDIR_SHUFFLED };
struct sb_setup_probe {
    char *library; /* to be preloaded; NULL: no probe, and nothing else holds */
    bool entropy_frozen;
    enum sb_clock clock;
    enum sb_readdir readdir;
    uint64_t schedule; /* seed of delays; 0: none, SB_PROBE_SCHEDULE_RANDOM: any */
};

/* Everything that a cell asks for; stage 3 carries it out between fork and exec. */
struct sb_setup {
    char **environment; /* complete, "NAME=value", ending with NULL */
    char **command;     /* placeholders replaced, ending with NULL; NULL for built-in jobs */
    unsigned threads; /* CPUs that the run may use, capped at the machine's; 0: one CPU share as -j
                         decides, not pinned to a count */
    bool aslr_given, aslr_on;
    char *hostname;       /* NULL: left alone */
    bool load;            /* a busy neighbour on each of the run's CPUs */
    bool pid_frozen;      /* the run has process ids of its own, from 1 */
    bool schedule_frozen; /* one CPU, on which threads take turns where they wait (guard_turns.c) */
    char *path;           /* level of the path axis, NULL: the usual path */
    char *locale;
    bool trace; /* of kernel calls, by the probe or by the built-in jobs' worker */
    struct sb_setup_probe probe;
};

/* Has the run traced. -ENOTSUP: a command, and there is no probe. */
int sb_setup_trace(const struct sb_machine *machine, struct sb_setup *setup, struct sb_error *err);

/* What a run really had. Read from outside while it runs (/proc) for any program; `worker` is the
 * built-in jobs' own word. Filled by stage 3, read by the axes here. */
struct sb_seen_process {
    char *exe;          /* path of the program */
    char **arguments;   /* argv, ending with NULL */
    char **environment; /* as the process got it, ending with NULL; NULL: not readable */
};

struct sb_observation {
    unsigned n_samples;   /* times anything could be read after exec; 0: nothing is known */
    unsigned n_cpus;      /* CPUs allowed to the main process, 0: unknown */
    unsigned max_threads; /* largest number of threads seen in one process of the run; 0: unknown */
    struct sb_seen_process
        *processes; /* distinct by exe and argv, in order of appearance, at most 64 */
    size_t n_processes;
    char **libraries; /* paths of mapped shared objects, sorted, ending with NULL */
    size_t n_libraries;
    bool personality_known;
    unsigned long personality; /* of the main process, see personality(2) */
    char *hostname;            /* as the run's namespace has it, NULL: unknown */
    char *cwd;                 /* of the main process at its first sample, NULL: unknown */
    json_t *worker;            /* the worker's report (see samebits/run.h), NULL for commands */
    json_t *probe;             /* what the probe noted (see samebits/run.h), NULL without one */
    json_t *trace;             /* of the trace (see samebits/run.h), NULL without one */
    json_t *experiment;        /* the object in experiment.json, if it wrote that; else NULL */
    json_t *machine;           /* {"host", "cpu", "gpu"} where it was done elsewhere, or NULL */
    json_t *stated; /* runs[].observed of a result.json that the run was read from, its lists named
                       by their keys: then processes and libraries are empty. NULL: seen here */
};

/* Did the probe note that a program of the run asked for this source ("entropy", "threads", …; the
 * names of runs[].observed.probe)? False without a probe too. */
bool sb_observation_asked(const struct sb_observation *observation, const char *source);

void sb_observation_clear(struct sb_observation *observation);

/* ---- Axes ----------------------------------------------------------------------------------- */

/* One axis of the registry. A new one is a file axis_<name>.c that defines `const struct sb_axis
 * sb_axis_<name>`, and a name in harness/matrix/meson.build. What a level sets can be listed by
 * applying it to a zeroed sb_setup and reading its environment. */
struct sb_axis {
    const char *name;    /* "env:" for the family env:NAME */
    const char *summary; /* one line for `samebits list axes` */
    const char *levels;  /* what may be written, one line for messages */
    const char *planned; /* why it is known but cannot be varied in this build; NULL: it can */
    unsigned kinds; /* 1 << SB_JOB_… of the kinds of job that it has a meaning for; 0: of all */
    const char *const *among; /* its levels, ending with NULL; NULL: `check` knows them */
    /* Is this level well written? -EINVAL with "unknown level 'avx3' (this CPU has: …)". NULL: any
     * text is. */
    int (*check)(const struct sb_machine *machine, const char *level, struct sb_error *err);
    /* Why this machine cannot have this level, malloc'd, or NULL when it can. NULL: it always can.
     */
    char *(*unavailable)(const struct sb_machine *machine, const char *level);
    /* The level as runs are told it, malloc'd: "all" of threads becomes "2", 0xAA of memory "0xaa".
     * NULL without memory. No function: as written. */
    char *(*resolve)(const struct sb_machine *machine, const char *level);
    /* Puts the level into effect. 0 or -ENOMEM. `name` is the full name (env:NAME). */
    int (*apply)(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup);
    /* The level that a run really had, malloc'd, or NULL for unknown. */
    char *(*observe)(const char *name, const char *level, const struct sb_observation *seen);
    /* What of the axis reached the run's processes (values of its variables), malloc'd, or NULL
     * where they disagree or could not be read. It is no proof of use; but where it is the same at
     * every level, nothing of the axis reached the program. No function: cannot be said. */
    char *(*arrived)(const char *name, const struct sb_observation *seen);
    /* What a reader should know of all the levels that were had, one line, or NULL. seen[n] are the
     * runs that ended well. No function: nothing. */
    const char *(*limit)(const struct sb_observation *const *seen, size_t n);
};

extern const struct sb_axis *const sb_axes[]; /* generated registry, ends with NULL */

/* Is this level well written, by `among` or `check`? 0 or -EINVAL. */
int sb_axis_check(const struct sb_axis *axis, const struct sb_machine *machine, const char *level,
                  struct sb_error *err);

/* The axis of that name (env:NAME included), or NULL. */
const struct sb_axis *sb_axis_find(const char *name);

/* What the level `on` of the axis deterministic sets; ends with a NULL name. XLA_FLAGS, which it
 * adds a flag to, is not among them. */
struct sb_variable {
    const char *name, *value;
};
extern const struct sb_variable sb_deterministic_variables[];

/* One axis of one job on this machine. */
struct sb_job_axis {
    const struct sb_axis *axis; /* NULL: a {placeholder} axis of the command */
    char *name;
    char **levels; /* those that this machine can vary, "all" of threads already a number */
    size_t n_levels;
    char **written; /* levels as the suite has them, including unavailable ones */
    size_t n_written;
    unsigned *from;    /* [n_levels]: index into `written` of what each level was made of; NULL: its
                          own index */
    uint64_t implies;  /* bits of other axes of the job whose levels this one's levels imply: a host
                          has one CPU */
    bool in_command;   /* {name} stands in the command's arguments: each level reaches it there */
    char *unavailable; /* why levels are missing ("hostname: no privilege …"), NULL: none is. An
                          axis whose reference level is unavailable is not varied at all: n_levels
                          is 0, and nothing is applied */
};

/* The level that a run really had, malloc'd, or NULL for unknown: axis->observe, or `level` itself
 * for a {placeholder} axis. */
char *sb_axis_observe(const struct sb_job_axis *axis, const char *level,
                      const struct sb_observation *seen);

/* What of the axis reached the run's processes, malloc'd, or NULL: axis->arrived. */
char *sb_axis_arrived(const struct sb_job_axis *axis, const struct sb_observation *seen);

/* One run, as an axis of its job sees it. */
struct sb_axis_sight {
    size_t level; /* index into the axis' levels */
    const struct sb_observation *seen;
};

/* The observed levels of an axis over the runs of its job. observed[n_levels] receives malloc'd
 * texts, NULL for unknown; where runs of one level differ, their texts are joined by " or ".
 * *alike: every run is known and all are provably alike, so that the axis is inert if the bits
 * agree too. 0 or -ENOMEM. */
int sb_axis_observed(const struct sb_job_axis *axis, const struct sb_axis_sight *sights,
                     size_t n_sights, char **observed, bool *alike);

/* ---- The plan ------------------------------------------------------------------------------- */

struct sb_cell {
    unsigned *level; /* index into levels, one for each axis; 0 where n_levels is 0 */
};

struct sb_job_plan {
    const struct sb_job *job;
    struct sb_job_axis *axes;
    size_t n_axes;
    struct sb_cell *cells; /* cells[0] is the reference cell */
    size_t n_cells;
    bool fractional; /* not every combination of levels is among the cells */
};

struct sb_plan {
    const struct sb_suite *suite;
    const struct sb_machine *machine;
    struct sb_job_plan *jobs;
    size_t n_jobs;
};

/* Checks axes, levels and placeholders (errors as file:line:column) and makes every job's cells.
 * The suite and the machine must outlive the plan. */
int sb_plan_make(const struct sb_suite *suite, const struct sb_machine *machine,
                 struct sb_plan **plan, struct sb_error *err);
void sb_plan_free(struct sb_plan *plan);

/* Cells of a design over axes with n_levels[i] ≥ 1 levels. full: all combinations, last axis
 * fastest; one-at-a-time: the reference cell and every other level of each axis alone; pairwise: a
 * covering array, each pair of levels of every two axes in at least one cell. Cell 0 is all zeroes
 * in each. *levels is a malloc'd array of n_cells × n_axes indices, row by row. */
int sb_design_cells(enum sb_design design, const unsigned *n_levels, size_t n_axes,
                    unsigned **levels, size_t *n_cells, struct sb_error *err);

/* The setup of one cell. Variables that no axis of the job touches are as in `base` (usually
 * environ). */
int sb_setup_make(const struct sb_plan *plan, const struct sb_job_plan *job,
                  const struct sb_cell *cell, char *const *base, struct sb_setup *setup,
                  struct sb_error *err);
void sb_setup_clear(struct sb_setup *setup);

/* Cells that a full design may have. */
enum { SB_MAX_CELLS = 1000000 };

/* Order of one round of runs: for a first round all repeats of cell 0 first, the rest shuffled by
 * `seed` (Philox or any stated generator; the same seed gives the same order everywhere). counts[c]
 * runs are due of each cell; order receives sum(counts) cell indices. */
void sb_order_runs(const unsigned *counts, size_t n_cells, bool reference_first, uint64_t seed,
                   size_t *order);

/* Thread, deterministic-flag and other tables are data; `samebits list axes` and `doctor` print
 * them. */

#endif
