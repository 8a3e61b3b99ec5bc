/* Stage 3, inside run/: Slurm's own programs (slurm_tools.c), which are all that is used of it:
 * they are the same under every version, and need no header of the cluster's. */
#ifndef SB_RUN_SLURM_H
#define SB_RUN_SLURM_H

#include "base/text.h"

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>

/* Is it installed here? */
bool sb_slurm_found(void);
/* Most tasks of an array (MaxArraySize); Slurm's own default where it does not say. */
unsigned sb_slurm_array_size(void);
/* CPUs of the largest node that the partitions have which these arguments of sbatch name. */
int sb_slurm_node_cpus(char *const *arguments, size_t *cpus, struct sb_error *err);

struct sb_slurm_array {
    char *const *arguments; /* of sbatch, as the user gave them; or NULL */
    size_t n;               /* tasks, numbered from 0 */
    unsigned cpus;          /* for each; 0: as the user or the cluster says */
    unsigned at_once;       /* tasks under way; 0: no limit */
    const char *script;
};
/* *id is malloc'd. */
int sb_slurm_submit(const struct sb_slurm_array *array, char **id, struct sb_error *err);

/* What Slurm says of a task. */
struct sb_slurm_state {
    const char *array, *state, *node, *reason;
    unsigned task;
    int exit_code;
    bool ended;      /* nothing of it will run any more */
    bool broken_off; /* … and not by its own doing */
};
/* Calls `each` for every task of these arrays that Slurm still knows; a while after its end, one is
 * forgotten. -EIO: Slurm does not answer. */
int sb_slurm_states(const struct sb_strings *arrays,
                    void (*each)(void *context, const struct sb_slurm_state *state), void *context,
                    struct sb_error *err);
/* The same from the accounting, of tasks that have ended. Nothing where there is none. */
void sb_slurm_accounts(const struct sb_strings *arrays,
                       void (*each)(void *context, const struct sb_slurm_state *state),
                       void *context);
/* Ends their tasks, or those alone that have not begun. */
void sb_slurm_cancel(const struct sb_strings *arrays, bool pending_only);

#endif
