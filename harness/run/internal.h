/* Stage 3: what the results folder, the journal, the store and the scheduler share. */
#ifndef SB_RUN_INTERNAL_H
#define SB_RUN_INTERNAL_H

#include "base/text.h"

#include <samebits/run.h>

#include <stdbool.h>
#include <sys/types.h>

struct sb_folder {
    char *path;           /* absolute, links resolved */
    int lock;             /* descriptor that holds the lock, -1: opened for reading only */
    int journal;          /* descriptor for appending, -1 likewise */
    off_t journal_length; /* up to here the journal is good */
    bool unsynced;        /* something was appended that a loss of power could take */
    unsigned temporaries; /* numbers the store's temporary folders */
};

/* "r" and digits, short enough for sb_run.id. */
bool sb_run_id_valid(const char *id);

/* Opens the journal DIR/name for appending: makes it with its header where there is none, cuts off
 * what is torn. */
int sb_journal_attach(struct sb_folder *folder, const char *name, struct sb_error *err);
/* One more line; NULL is -ENOMEM. */
int sb_journal_append_json(struct sb_folder *folder, const json_t *json, struct sb_error *err);
/* Calls `record` for each good line of a journal but the header. */
typedef int sb_journal_record(void *context, const json_t *json, struct sb_error *err);
int sb_journal_scan(const char *path, sb_journal_record *record, void *context,
                    struct sb_error *err);
/* Does the folder at `path` have a journal that holds a record, or one of a later samebits? */
bool sb_journal_holds_runs(const char *path);

/* Is there a copy for this fingerprint? Cheaper than sb_store_find. */
bool sb_store_has(const struct sb_folder *folder, const char *fingerprint);

/* Drops from what was observed of processes' environments all that could be a secret: kept are the
 * variables that `names` lists and those known to change results (a table in environment.c). */
void sb_observation_filter(struct sb_observation *seen, const struct sb_strings *names);
/* Names of the variables that any cell of the job has otherwise than `base`, and of its env:NAME
 * axes. */
int sb_names_set_by_axes(const struct sb_plan *plan, const struct sb_job_plan *job,
                         char *const *base, struct sb_strings *names, struct sb_error *err);

#endif
