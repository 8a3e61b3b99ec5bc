/* kernels, train: a training's state in a file, between two processes of one run. */
#ifndef SB_KERNELS_CHECKPOINT_H
#define SB_KERNELS_CHECKPOINT_H

#include "kernels/train/loop.h"

/* Where the loop stands. */
struct sb_progress {
    uint64_t steps;    /* optimizer's */
    uint64_t calls;    /* of the engine, for the trace */
    uint64_t epoch;    /* from 0; also the number of losses that are known */
    uint64_t batches;  /* done in this epoch */
    double sum;        /* of their losses */
    double *losses;    /* of the epochs before; the caller's */
    uint64_t n_losses; /* room in `losses` */
};

/* Values, optimizer's state and initial values of all variables, other state, progress. The file is
 * of this machine: numbers are as memory has them. */
int sb_checkpoint_write(const char *path, const struct sb_learner *learner,
                        const struct sb_progress *progress, struct sb_error *err);
/* -EBADMSG: not a checkpoint of this training. */
int sb_checkpoint_read(const char *path, const struct sb_learner *learner,
                       struct sb_progress *progress, struct sb_error *err);

#endif
