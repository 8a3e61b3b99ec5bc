/* Stage 3, inside run/: a batch: a round's runs, in tasks that other machines do. Who waits for
 * them makes a folder below the results, on a file system that all share:
 *
 *     slurm/batch-<16 hex digits>/   only its user may look into it
 *       batch.json                   what is to be done; gone: nothing is to be done any more
 *       environment                  "NAME=value" and a NUL each: what runs start from
 *       arrays                       a line for each submission
 *       0.spool                      a journal of each task, which its machine appends to
 *
 * A spool's first record says of the machine and its isolation {"machine", "mode", "shared"}, or
 * {"error"} why the task cannot be done; the others are runs. It is made by who waits: a file that
 * is there already is looked at anew by every open(2) under NFS, while one that was not there may
 * be taken for absent for a minute. */
#ifndef SB_RUN_BATCH_H
#define SB_RUN_BATCH_H

#include "run/schedule.h"

#define SB_BATCHES "slurm"
#define SB_BATCH_FILE "batch.json"

/* Runs n from `first` on, in due order. */
struct sb_batch_task {
    size_t first, n;
};

/* Makes the folder of a batch of the job at work; *path is malloc'd. */
int sb_batch_make(const struct sb_schedule *schedule, const struct sb_due *due,
                  const struct sb_batch_task *tasks, size_t n_tasks, char **path,
                  struct sb_error *err);
/* Path of a task's spool, malloc'd, or NULL. */
char *sb_batch_spool(const char *path, size_t task);

/* What came out of a task so far (batch_read.c). Zero-initialise; free with sb_spooled_clear. */
struct sb_spooled {
    off_t size;      /* of the spool when it was read last */
    json_t *machine; /* NULL: the task has not begun */
    enum sb_isolation mode;
    struct sb_strings shared;
    char *error; /* why it cannot be done, or NULL */
    /* Takes the run, which knows its machine. 0 or a negative errno to stop. A run may come again.
     */
    int (*run)(void *context, struct sb_run *run, struct sb_error *err);
    void *context;
};

/* Reads a spool again where it has grown. 1: it had; 0; or a negative errno. */
int sb_spooled_read(struct sb_spooled *spooled, const char *path, struct sb_error *err);
void sb_spooled_clear(struct sb_spooled *spooled);

#endif
