/* Stage 3: runs. Processes in isolation, what they had, a journal of how they ended, and the
 * scheduler. */
#ifndef SAMEBITS_RUN_H
#define SAMEBITS_RUN_H

#include <samebits/error.h>
#include <samebits/matrix.h>
#include <samebits/suite.h>

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* Set by the program's SIGINT and SIGTERM handler: 0, or the signal; a second signal makes it
 * negative, and then nothing is waited for any more. Everything that waits looks at it. */
extern volatile sig_atomic_t sb_interrupted;

/* ---- Isolation (run/sandbox*.c) -------------------------------------------------------------- */

/* Where and how runs see the working directory. One for each job, since the directory is the job's.
 */
struct sb_sandbox;

struct sb_sandbox_options {
    enum sb_isolation mode; /* AUTO: the first that works of overlay, copy; never inplace unasked,
                               unless nothing else can be had */
    const char *directory;  /* absolute: the run's working directory */
    const char *hidden; /* a folder that runs must not see change (the results folder), or NULL */
};

int sb_sandbox_open(const struct sb_sandbox_options *options, const struct sb_machine *machine,
                    struct sb_sandbox **sandbox, struct sb_error *err);
enum sb_isolation sb_sandbox_mode(const struct sb_sandbox *sandbox);
/* How many runs may be under way at once: 1 where the mode needs it, else a large number. */
unsigned sb_sandbox_concurrency(const struct sb_sandbox *sandbox);
/* What is not isolated ($HOME, /dev/shm, …) and why a better mode was not chosen, for the report.
 * Ends with NULL. */
const char *const *sb_sandbox_shared(const struct sb_sandbox *sandbox);
/* No more runs: what was opened for them begins to go, by itself. Only sb_sandbox_close may follow.
 */
void sb_sandbox_dismiss(struct sb_sandbox *sandbox);
void sb_sandbox_close(struct sb_sandbox *sandbox);

/* Files by the path at which they can be read now, and by the path that the run gave them. */
struct sb_strings_pair {
    char **absolute, **relative; /* n of each */
    size_t n;
};
void sb_strings_pair_clear(struct sb_strings_pair *pair);

/* ---- One process (run/process.c) --------------------------------------------------------------
 */

/* One run under way. */
struct sb_process;

struct sb_process_spec {
    const struct sb_setup *setup;
    char *const *command; /* argv; command[0] is looked up in the run's PATH */
    const int *cpus;      /* CPUs that it may use; NULL: as they are */
    size_t n_cpus;
    const char *log_path; /* stdout and stderr together */
    const char *trace;    /* name of its trace, in the log's folder, where the setup asks for one */
    uint64_t log_limit;   /* bytes kept (head and tail); further output is read and thrown away */
    double timeout_s;     /* 0: none */
    double grace_s;       /* between TERM and KILL */
    bool followed;        /* another run is likely to come after it: its view may be prepared */
    bool beside;          /* another one is likely to start soon, while this one is under way */
    const char *run_id;   /* the cookie in the environment is made of it at constant length */
};

enum sb_ended {
    SB_ENDED_EXIT,
    SB_ENDED_SIGNAL,
    SB_ENDED_TIMEOUT,
    SB_ENDED_NOT_STARTED,
    SB_ENDED_INTERRUPTED
};

struct sb_process_end {
    enum sb_ended how;
    int exit_code, signal;
    char *message; /* NOT_STARTED: why ("execvp ./train: Permission denied"), and notes ("2
                      processes were left behind and killed"); or NULL */
    double wall_s, cpu_s;
    long max_rss_kb;
    struct sb_observation seen;
};

/* Starts a run: fork, sandbox, environment, exec. Everything that the child did before exec and
 * that failed is reported through sb_process_step as NOT_STARTED. */
int sb_process_start(struct sb_sandbox *sandbox, const struct sb_process_spec *spec,
                     struct sb_process **process, struct sb_error *err);
/* To be polled for POLLIN; and call sb_process_step at the latest after sb_process_wait_ms. */
int sb_process_fd(const struct sb_process *process);
int sb_process_wait_ms(const struct sb_process *process);
/* Observes, enforces the timeout, notices the end. -EAGAIN: still running; 0: ended, everything
 * that it started is gone, and its files may be read. */
int sb_process_step(struct sb_process *process, struct sb_process_end *end, struct sb_error *err);
void sb_process_interrupt(struct sb_process *process); /* TERM, then KILL after the grace time */
/* Files below the working directory that this run created or wrote and that match the glob (NULL:
 * every regular file): absolute paths as readable from here, and relative ones as the run named
 * them. Sorted. */
int sb_process_written(struct sb_process *process, const char *glob,
                       struct sb_strings_pair *written, struct sb_error *err);
/* Removes the private layer (overlay, copy), or moves what was written away (inplace). */
void sb_process_free(struct sb_process *process);
void sb_process_end_clear(struct sb_process_end *end);

/* What the probe noted in a run, as sb_observation and runs[].observed of result.json have it:
 *   {"programs": ["python3.11"],   that started with the probe in them
 *    "not_covered": ["busybox"],   of which nothing could be frozen
 *    "lost": 0,                    calls that the record had no room for
 *    "sources": [{"source": "entropy", "call": "getrandom", "by": "libcrypto.so.3",
 *                 "program": "python3.11", "calls": 3, "frozen": false}],
 *    "raw": {"frozen": ["entropy"],   what of system calls that pass the probe by
 *            "refused": null,         or why nothing
 *            "programs": ["busybox"]} without the probe: statically linked, or set-uid
 *                                     null: nothing was to be frozen of them
 *   }
 * source is one of entropy hash_seed seed clock monotonic pid hostname readdir locale threads. */

/* Of its trace (docs/traces.md), as runs[].observed has it:
 *   {"calls": 100, "lost": 0,   noted; made but not noted
 *    "processes": 1,            that made such calls
 *    "cpu_share": 0.83}         of the run's CPU time, in these calls; null for built-in jobs
 */

/* ---- Results folder (run/folder.c, run/journal.c) ---------------------------------------------
 */

/* Run statuses of result.json. */
enum sb_status {
    SB_STATUS_OK,
    SB_STATUS_CRASHED,
    SB_STATUS_TIMEOUT,
    SB_STATUS_NO_WEIGHTS,
    SB_STATUS_BAD_WEIGHTS,
    SB_STATUS_SPAWN_FAILED,
    SB_STATUS_INTERRUPTED,
};
extern const char *const
    sb_status_names[]; /* ok crashed timeout no-weights bad-weights spawn-failed interrupted */

/* How one run ended; what the journal keeps a record of, and result.json's runs[] is made from. */
struct sb_run {
    char id[16]; /* "r00001" */
    size_t job, cell;
    unsigned repeat; /* from 1, within its cell */
    enum sb_status status;
    char *message;     /* why it is not ok, or a note; NULL */
    int exit_code;     /* -1: none */
    int signal;        /* 0: none */
    char *fingerprint; /* NULL unless ok */
    double sum;
    bool all_zero, all_nan;
    bool untrained;  /* built-in jobs: weights equal their initial values */
    double accuracy; /* largest relative error against float64, NAN: not reported */
    double wall_s, cpu_s;
    long max_rss_kb;
    bool lost; /* interrupted, and not by whoever waits for it: counts as failed */
    struct sb_observation seen;
};
void sb_run_clear(struct sb_run *run);
json_t *sb_run_to_json(const struct sb_run *run); /* new reference or NULL */
int sb_run_from_json(const json_t *json, struct sb_run *run, struct sb_error *err);

/* DIR: lock, plan.json (what was asked: suite text, overrides, order seed, working directory, base
 * environment, so that resume and rerun need nothing else), journal, logs/<id>.log and .trace,
 * weights/<fingerprint>/<relative path>, result.json. */
struct sb_folder;

/* Makes and locks the folder. `out` NULL: the next numbered folder in samebits-results/ and its
 * `latest` link. A folder that holds a result is refused (-EEXIST) without force (to resume, open
 * it with lock); one that another samebits has open always (-EBUSY), and one with files that are
 * not samebits's (-ENOTEMPTY). force removes what this stage wrote and nothing else. */
int sb_folder_create(const char *out, bool force, struct sb_folder **folder, struct sb_error *err);
/* Opens an existing one, for --resume (locked) or for reading only. Follows `latest`; takes the
 * path of a result.json for its folder, and a bare "latest" or "0003" for one in samebits-results/.
 */
int sb_folder_open(const char *path, bool lock, struct sb_folder **folder, struct sb_error *err);
const char *sb_folder_path(const struct sb_folder *folder); /* absolute */
char *sb_folder_file(const struct sb_folder *folder,
                     const char *name); /* "<folder>/<name>", malloc'd */
/* Has what the journal holds survive a loss of power too, of which a record alone survives only the
 * death of the process. */
void sb_folder_sync(struct sb_folder *folder);
void sb_folder_close(struct sb_folder *folder); /* syncs first */

/* The journal: append-only, one checksummed line a record; a torn or damaged last one is ignored
 * and cut off. Reading gives the runs in order of ids, of equal ids the last. It returns 0, a
 * negative errno, or the number of damaged records before good ones, with a sentence in err: those
 * runs count as not done. A failed append (full disk) leaves the journal as it was. */
int sb_journal_append(struct sb_folder *folder, const struct sb_run *run, struct sb_error *err);
int sb_journal_read(struct sb_folder *folder, struct sb_run **runs, size_t *n,
                    struct sb_error *err);

/* Keeps one copy of weights files, and of what was read as parts of them, for each distinct
 * fingerprint (atomically: a rename). Files are moved when `move`. */
int sb_store_keep(struct sb_folder *folder, const char *fingerprint,
                  const struct sb_strings_pair *files, const struct sb_strings_pair *parts,
                  bool move, struct sb_error *err);
/* Copies what another folder keeps of a fingerprint, parts and all; -ENOENT when that is nothing.
 */
int sb_store_copy(struct sb_folder *folder, const struct sb_folder *from, const char *fingerprint,
                  struct sb_error *err);
/* The kept files of a fingerprint, without their parts, which lie beside them; -ENOENT when there
 * are none. */
int sb_store_find(const struct sb_folder *folder, const char *fingerprint,
                  struct sb_strings_pair *files, struct sb_error *err);

/* ---- Scheduler (run/scheduler.c) ---------------------------------------------------------------
 */

/* The work that is due: asked of the caller before every round of a job, so that evidence can be
 * asked for. */
struct sb_schedule_callbacks {
    void *context;
    /* Further runs of every cell of `job` (more[n_cells], preset to 0), given all runs of this job
     * so far, in order of ids. Called first with no runs. Return 0, or a negative errno to stop. */
    int (*more)(void *context, size_t job, const struct sb_run *runs, size_t n_runs, unsigned *more,
                struct sb_error *err);
    /* Weights of a finished run: starts reading (stage 4 lies after this stage). See struct
     * sb_digesting. */
    const struct sb_digesting *digesting;
    /* For progress and listeners. `finished` is also called for runs taken from the journal, which
     * were not `started`. */
    void (*started)(void *context, size_t job, const char *run_id);
    void (*finished)(void *context, const struct sb_run *run);
    void (*tick)(void *context); /* a few times a second */
    /* What is waited for beside runs under way ("3 queued (Priority)"), NULL: nothing. May be NULL.
     */
    void (*waiting)(void *context, const char *text);
    bool (*stop)(void *context); /* true: start nothing further (first divergence) */
    /* true: start nothing further of this job (its command cannot be started). May be NULL. */
    bool (*give_up)(void *context, size_t job);
};

/* How the scheduler gets fingerprints without knowing stage 4; cli/ fills it from
 * samebits/weights.h. */
struct sb_digest_result {
    char fingerprint[80];
    double sum;
    bool all_zero, all_nan;
    char *note;                   /* malloc'd, for the run's message; or NULL */
    struct sb_strings_pair parts; /* other files that these need; the caller clears it */
};
struct sb_digesting {
    void *context;
    int (*start)(void *context, const struct sb_job *job, const struct sb_strings_pair *files,
                 void **reading, struct sb_error *err);
    int (*fd)(void *reading);
    /* -EAGAIN: not yet; 0; -EBADMSG: bad weights; -ENODATA: no tensor in it. */
    int (*step)(void *reading, const struct sb_strings_pair *files, struct sb_digest_result *result,
                struct sb_error *err);
    void (*free)(void *reading);
    bool (*recognised)(void *context, const char *path); /* is it a weights file by its content? */
};

/* Where and how the runs of a schedule are done. A new one is a file launcher_<name>.c that defines
 * `const struct sb_launcher sb_launcher_<name>`, and a name in harness/run/meson.build. */
struct sb_schedule;
struct sb_due;
struct sb_launcher {
    const char *name;
    const char *summary; /* one line for `samebits list launchers` */
    /* Why it cannot be used here, malloc'd, or NULL. No function: it always can. */
    char *(*missing)(void);
    /* What differs between this machine and those where runs will be done, as far as plans rest on
     * it. No function: they are done here. */
    int (*adapt)(struct sb_machine *machine, char *const *arguments, struct sb_error *err);
    /* Before a folder is gone on with: ends and takes in what a samebits that was killed left at
     * work for it. No function: there can be nothing. */
    int (*recover)(struct sb_folder *folder, struct sb_error *err);
    /* The job at work begins; its rounds, each to all its runs' ends; it ends. What keeps runs from
     * being done is their failure, each for itself: an error of `open` ends everything. */
    int (*open)(struct sb_schedule *schedule, struct sb_error *err);
    void (*round)(struct sb_schedule *schedule, const struct sb_due *due, size_t n);
    void (*close)(struct sb_schedule *schedule, bool last);
};
extern const struct sb_launcher *const sb_launchers[]; /* generated registry, ends with NULL */
extern const struct sb_launcher sb_launcher_local;

struct sb_schedule_options {
    unsigned jobs; /* -j; 0: as many as fit without sharing a CPU. Runs with a threads level never
                      share one, whatever -j says; runs without may use all CPUs, so they run alone
                      without -j, and share all CPUs with it */
    uint64_t seed; /* order of runs */
    /* Of a command's first round the last run starts no sooner than so many seconds after the first
     * of its cell: seeds out of the time in whole seconds are others then. Not where exactly so
     * many repeats are asked for. */
    double spread_s;
    bool wait_for_bits; /* start nothing while the weights of a run that ended are not known */
    enum sb_isolation isolate;
    bool trace;               /* every run */
    bool forget_weights;      /* keep the fingerprints alone */
    unsigned shard, n_shards; /* 1/1: all */
    char *const *environment; /* base environment of every run */
    const char *program;      /* path of samebits itself, for the worker */
    struct sb_run *done;      /* runs from the journal (--resume); owned by the caller */
    size_t n_done;
    const struct sb_launcher *launcher; /* NULL: local */
    char *const *launcher_arguments;    /* --launcher-arg; ends with NULL, or NULL */
};

struct sb_schedule_result {
    struct sb_run *runs; /* in order of ids */
    size_t n_runs;
    enum sb_isolation mode; /* the weakest that a job got */
    char **shared;          /* what was not isolated, ends with NULL */
    bool interrupted, stopped;
    size_t job; /* whose runs were not all done; n_jobs of the plan: those of every one were */
    struct sb_sandbox *closing; /* of the last job, tidying up: sb_schedule_result_clear waits */
};

/* Runs every job of the plan, one job after the other, rounds as `more` asks for. Returns 0 also
 * when interrupted. A run that cannot be started or read has its own status; an error is that of
 * the journal, of memory or of `more`, or -EINVAL where options->done is of another plan. *result
 * (zeroed by the caller) holds what was done until then, also with an error. */
int sb_schedule_run(const struct sb_plan *plan, struct sb_folder *folder,
                    const struct sb_schedule_options *options,
                    const struct sb_schedule_callbacks *callbacks,
                    struct sb_schedule_result *result, struct sb_error *err);
void sb_schedule_result_clear(struct sb_schedule_result *result);

/* ---- Batches (run/batch.c) ----------------------------------------------------------------------
 */

/* A round of runs that other machines do, in tasks: a folder below the results, private to its user
 * since it holds the environment of runs. `samebits node` does one task. */
struct sb_batch;

int sb_batch_open(const char *path, struct sb_batch **batch, struct sb_error *err);
const char *sb_batch_results(const struct sb_batch *batch); /* path of the results folder */
/* What the runs start from: that of the samebits that waits for them. */
char **sb_batch_environment(struct sb_batch *batch);
/* Does a task, with runs that start from `environ`. `machine`: {"host", "cpu", "gpu"} of this one,
 * for its runs' records. The folder is open for reading. */
int sb_batch_do(struct sb_batch *batch, unsigned task, const struct sb_plan *plan,
                struct sb_folder *folder, const char *program, json_t *machine,
                const struct sb_digesting *digesting, struct sb_error *err);
/* Tells who waits why a task cannot be done. */
void sb_batch_complain(const struct sb_batch *batch, unsigned task, const struct sb_error *err);
void sb_batch_free(struct sb_batch *batch);

/* ---- Worker (run/worker.c) ----------------------------------------------------------------------
 */

/* argv of the process that does a built-in job: "<program> worker train dense --backend ref …
 * --weights PATH". Its report goes as one JSON object to the file named by SAMEBITS_REPORT below
 * its working directory:
 *   {"backend", "library", "version", "core", "threads", "deterministic", "hash_seed",
 * "rounding_mode", "ftz", "daz", "accuracy": {"max_rel_vs_f64"}, "untrained": bool, "unsupported":
 * "why"}, each null or absent where unknown. A kernel's has "calls" {"n", "distinct", "seconds",
 * "others"} as well (seconds: median of a call; others: fingerprints of results that are not the
 * first call's), "claim" {"algorithm", "claim", "note", "workspace"} where the
 * library says something, and "batch" and "alignment" where those axes are varied. */
int sb_worker_command(const struct sb_job *job, const char *program, char ***command,
                      struct sb_error *err);
/* Are the job's subject, backend, dtype, shape and arguments known? -EINVAL with the choices, as
 * file:line:column. */
int sb_worker_check(const struct sb_job *job, struct sb_error *err);
/* Why this backend cannot do this job here ("backend 'openblas': libopenblas.so.0 not found"),
 * malloc'd, or NULL. */
char *sb_worker_unavailable(const struct sb_job *job);
int sb_worker_main(int argc, char **argv); /* an exit code */

/* Does OpenBLAS compute accurately at this level of the isa axis? Tried in a worker of its own.
 * *refused is a malloc'd reason where it crashes or is wrong, NULL where nothing speaks against it
 * (also where there is no OpenBLAS). */
int sb_worker_check_isa(const char *program, const char *level, char **refused);

/* What a backend says of itself here: {"backend", "library", "version", "core", "config",
 * "threads"}, each null where unknown. It is loaded in a process of its own. NULL, with a malloc'd
 * reason in *missing, where it cannot be used. */
json_t *sb_worker_describe(const char *backend, char **missing);
/* {"gemm": ["f32", …], …}: what a backend of the registry has, without loading it. */
json_t *sb_worker_kernels(const char *backend);

#endif
