/* Stage 3, inside run/: what the parts of the launcher `slurm` share: it makes tasks of a round and
 * submits them (slurm_tasks.c), waits (launcher_slurm.c), and takes in what comes back
 * (slurm_collect.c); what a killed samebits left is slurm_recover.c's. */
#ifndef SB_RUN_LAUNCHER_SLURM_H
#define SB_RUN_LAUNCHER_SLURM_H

#include "run/batch.h"

/* In a batch's folder: the numbers of its arrays, a line each. */
#define SB_SLURM_ARRAYS "arrays"

/* Exit codes of a task's script. */
enum { SB_SLURM_NO_FOLDER = 66, SB_SLURM_NO_PROGRAM = 67 };

struct sb_slurm_task {
    struct sb_slurm_round *round;
    struct sb_batch_task runs;
    struct sb_spooled spooled;
    const char *array; /* borrowed; NULL: not submitted */
    unsigned index;    /* in it */
    bool begun, settled;
    bool doubted; /* a run of it failed, which may be the task's end and not the run's own */
    bool known;   /* Slurm knew it when it was asked last */
    bool over;    /* Slurm says that it has ended, or nothing any more */
    double over_at;
    bool broken_off; /* … from outside */
    char state[32], node[64];
    int exit_code;
};

struct sb_slurm_round {
    struct sb_schedule *schedule;
    struct sb_due *due; /* what is to be done */
    bool *recorded;
    size_t n;
    struct sb_slurm_task *tasks;
    size_t n_tasks;
    unsigned cpus; /* of a task; 0: as the cluster says */
    char *path;    /* of the batch */
    struct sb_strings arrays;
    struct sb_error refused; /* why what was not submitted was not */
    bool doubts;             /* a task is doubted */
    bool withdrawn;          /* what has not begun was cancelled, since no more is to be started */
    bool cancelled;          /* everything was */
    double cancelled_at, heard_at;
    size_t n_queued;
    char reason[48];
};

/* slurm_tasks.c */

/* Fills round->tasks from what is due. -ENOMEM or 0. */
int sb_slurm_plan_tasks(struct sb_slurm_round *round);
int sb_slurm_make_batch(struct sb_slurm_round *round, struct sb_error *err);
/* What is refused is left, with the reason in round->refused. */
void sb_slurm_submit_round(struct sb_slurm_round *round);

/* slurm_collect.c */

/* Of struct sb_spooled; the context is the task. */
int sb_slurm_take_run(void *task, struct sb_run *run, struct sb_error *err);
/* Its spool has its first line. */
void sb_slurm_begin_task(struct sb_slurm_round *round, struct sb_slurm_task *task);
bool sb_slurm_task_complete(const struct sb_slurm_round *round, const struct sb_slurm_task *task);
/* Ends the task: of its runs, those without a record end like this. Interrupted for a reason is
 * lost; without one, it was from here. */
void sb_slurm_settle(struct sb_slurm_round *round, struct sb_slurm_task *task,
                     enum sb_status status, const char *why);
/* The same for a task that vanished, with what is known of that. */
void sb_slurm_settle_lost(struct sb_slurm_round *round, struct sb_slurm_task *task);
/* Asks Slurm about every task. What it does not know has ended a while ago. */
void sb_slurm_ask(struct sb_slurm_round *round);

/* slurm_recover.c: of struct sb_launcher. */
int sb_slurm_recover(struct sb_folder *folder, struct sb_error *err);

#endif
