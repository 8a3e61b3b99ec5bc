/* Stage 3, inside run/: the scheduler's parts. A job goes round by round (scheduler.c): a round is
 * planned (schedule_round.c) and given to a launcher. On this machine (launcher_local.c) its runs
 * get CPUs (schedule_cpus.c), are started (schedule_start.c) and become records (schedule_end.c).
 */
#ifndef SB_RUN_SCHEDULE_H
#define SB_RUN_SCHEDULE_H

#include "run/internal.h"

#include <poll.h>

/* File that a built-in job's report goes to, below its working directory. */
#define SB_REPORT_FILE ".samebits-report.json"
/* Where training scripts say what they are (python/samebits.py, docs/frameworks.md). */
#define SB_EXPERIMENT_FILE "experiment.json"
/* Weights of a built-in job that names none. */
#define SB_BUILTIN_WEIGHTS "weights.h5"

enum { SB_RUN_ID_SIZE = sizeof((struct sb_run *)NULL)->id };

/* ---- CPUs (schedule_cpus.c) -------------------------------------------------------------------
 */

/* CPUs that runs may have, in the order in which they are handed out: the first hardware thread of
 * every core, then the second of every core, so that few runs share a core. */
struct sb_cpus {
    int *cpu;
    int *core; /* a number that hardware threads of one core share */
    bool *busy;
    size_t n, n_free;
};

/* `topology` is /sys/devices/system/cpu; where it cannot be read, every CPU is a core. */
int sb_cpus_open(const int *cpus, size_t n, const char *topology, struct sb_cpus *opened,
                 struct sb_error *err);
/* Takes n ≤ n_free CPUs, of different cores as far as there are, into taken[n], ascending. */
void sb_cpus_take(struct sb_cpus *cpus, size_t n, int *taken);
void sb_cpus_give(struct sb_cpus *cpus, const int *given, size_t n);
void sb_cpus_clear(struct sb_cpus *cpus);

/* ---- Rounds (schedule_round.c) ----------------------------------------------------------------
 */

/* One run that is due. */
struct sb_due {
    char id[SB_RUN_ID_SIZE];
    size_t cell;
    unsigned repeat;
    const struct sb_run *done; /* the journal's record of it, or NULL */
};

/* What numbers runs over the whole schedule. */
struct sb_numbering {
    unsigned width;          /* digits of an id */
    unsigned long long next; /* from 1 */
};

struct sb_schedule;

int sb_numbering_start(const struct sb_plan *plan, struct sb_numbering *numbering,
                       struct sb_error *err);
/* What runs are resumed from, sorted by id. Borrowed. */
int sb_round_index_done(struct sb_schedule *schedule, struct sb_error *err);
/* Asks `more` for the next round of a job and orders it. *n is 0 when the job is finished. *due is
 * malloc'd. repeats[n_cells] counts the runs that each cell has had. */
int sb_round_plan(struct sb_schedule *schedule, unsigned round, unsigned *repeats,
                  struct sb_due **due, size_t *n, struct sb_error *err);

/* ---- The schedule (scheduler.c) ---------------------------------------------------------------
 */

/* One run under way: its process, and then the reading of its weights. Between the two, runs that
 * wait for its CPUs are started: reading can wait, an idle CPU is lost. */
struct sb_slot {
    struct sb_run run;
    struct sb_setup setup;
    char **command; /* of a built-in job, owned; else NULL */
    struct sb_process *process;
    bool ended;    /* its process is over */
    void *reading; /* NULL: of no weights yet */
    struct sb_strings_pair weights;
    int *cpus;
    size_t n_cpus;
    double due; /* monotonic seconds at which the process wants a step */
    bool ready; /* its descriptor is readable */
};

struct sb_schedule {
    const struct sb_plan *plan;
    struct sb_folder *folder;
    const struct sb_schedule_options *options;
    const struct sb_schedule_callbacks *callbacks;
    const struct sb_launcher *launcher;
    void *launched; /* the launcher's own, of the job at work */
    bool
        guest; /* does a part of another samebits's schedule: what all parts share is the other's */
    struct sb_schedule_result result;
    size_t capacity; /* of result.runs */
    const struct sb_run **done;
    struct sb_numbering numbering;
    struct sb_cpus cpus;
    /* The job at work. */
    size_t job;
    size_t job_start; /* index of its first run in result.runs */
    unsigned round;   /* of its, from 0 */
    struct sb_sandbox *sandbox;
    char *sandbox_problem;        /* why there is none */
    struct sb_strings kept_names; /* variables that the job's axes set */
    /* Runs under way. */
    struct sb_slot **slots;
    struct pollfd *polled;
    size_t n_waiting; /* runs of this round that are not yet started */
    size_t n_slots, slots_capacity;
    double held;    /* monotonic seconds before which the next run must not start; 0: none waits */
    double ticked;  /* monotonic seconds of the last tick */
    int interrupts; /* passed on to the runs: 0, 1, or 2 when nothing is waited for */
    bool renewed;   /* a run of an earlier round was not taken from the journal */
    bool renewing;  /* … of this round */
    int rc;         /* the first error that ends everything */
    struct sb_error *err;
};

static inline const struct sb_job *sb_schedule_job(const struct sb_schedule *schedule) {
    return schedule->plan->jobs[schedule->job].job;
}

/* Runs that are done as they come, at their places in another samebits's schedule. */
struct sb_share {
    size_t job;
    const struct sb_due *due;
    size_t n_due;
    /* When the job's sandbox is open or cannot be had (schedule->sandbox NULL), before a run. */
    int (*opened)(void *context, struct sb_schedule *schedule);
    void *context;
};

/* On this machine. The journal of `folder` receives the runs. */
int sb_schedule_share(const struct sb_plan *plan, struct sb_folder *folder,
                      const struct sb_schedule_options *options,
                      const struct sb_schedule_callbacks *callbacks, const struct sb_share *share,
                      struct sb_schedule_result *result, struct sb_error *err);

/* The first error ends everything. */
void sb_schedule_fail(struct sb_schedule *schedule, int rc, const struct sb_error *err);
/* The end of a run that this schedule did: told, kept and written to the journal, without which
 * nothing that follows would be. Leaves `run` empty. */
void sb_schedule_record(struct sb_schedule *schedule, struct sb_run *run);
/* May another run of the job be started? */
bool sb_schedule_may_start(struct sb_schedule *schedule);
/* How a sandbox of the job isolates, for the result. `shared` ends with NULL. 0 or -ENOMEM. */
int sb_schedule_note_isolation(struct sb_schedule *schedule, enum sb_isolation mode,
                               const char *const *shared);

/* ---- Starts (schedule_start.c) ----------------------------------------------------------------
 */

/* The working directory of the job's runs, malloc'd; that of a built-in job is made. NULL with
 * `err`. */
char *sb_job_directory(const struct sb_schedule *schedule, struct sb_error *err);
/* Removes what sb_job_directory made. */
void sb_job_directory_remove(const struct sb_schedule *schedule);
/* Opens the sandbox of schedule->job. One that cannot be had fails every run of the job, each for
 * itself. Only -ENOMEM is returned. */
int sb_job_isolate(struct sb_schedule *schedule, struct sb_error *err);
/* After the last job the sandbox may go on closing: see struct sb_schedule_result. */
void sb_job_close(struct sb_schedule *schedule, bool last);

/* Starts a run. 1: it must wait for CPUs; 0: *slot is under way, or without a process has the end
 * of a run that could not be started; -ENOMEM. */
int sb_slot_start(struct sb_schedule *schedule, const struct sb_due *due, struct sb_slot **slot,
                  struct sb_error *err);
void sb_slot_free(struct sb_schedule *schedule, struct sb_slot *slot);

/* ---- Ends (schedule_end.c) --------------------------------------------------------------------
 */

/* Takes over how the process ended. Returns true when the run is over, false when its weights are
 * to be read. */
bool sb_slot_process_ended(struct sb_schedule *schedule, struct sb_slot *slot,
                           struct sb_process_end *end);
/* Finds the weights and starts to read them. Returns true when the run is over. */
bool sb_slot_reading_start(struct sb_schedule *schedule, struct sb_slot *slot);
/* One step of the reading. Returns true when the run is over. */
bool sb_slot_reading_step(struct sb_schedule *schedule, struct sb_slot *slot);
/* Adds a sentence to the run's message. `text` is taken; NULL is nothing. */
void sb_run_note(struct sb_run *run, char *text);

#endif
