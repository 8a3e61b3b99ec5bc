/* kernels, train: the loop over epochs and batches that training jobs share, with ranks that share
 * a batch, and a stop in the middle from which another process goes on. */
#ifndef SB_KERNELS_LOOP_H
#define SB_KERNELS_LOOP_H

#include "kernels/train/dataset.h"
#include "kernels/train/network.h"
#include "kernels/train/train.h"

/* Memory that a step changes and that is no variable: running statistics, for one. */
struct sb_state {
    void *data;
    size_t bytes;
};

/* What learns. */
struct sb_learner {
    void *model;
    enum sb_dtype dtype; /* of the variables */
    struct sb_variable *const *variables;
    size_t n_variables;
    const struct sb_state *states;
    size_t n_states;
    uint64_t *steps; /* taken by the optimizer; update counts them */
    /* Variables go into the result as they are after steps, as step-N/variables/I: after each of
     * the first 16, and then eight times while their number doubles. */
    bool save_steps;
    /* Mean loss of n items of the pipeline, and the gradient of every variable. */
    int (*gradient)(void *model, struct sb_engine *engine, const void *items, size_t n,
                    double *loss, struct sb_error *err);
    /* One step of the optimizer. */
    int (*update)(void *model, struct sb_engine *engine, struct sb_error *err);
};

/* Trains for `epochs` iterations of the pipeline and writes each one's mean loss to result->losses,
 * which it allocates.
 *
 * With options->ranks > 1 every batch is split into as many consecutive parts (fewer where it has
 * fewer items); gradients of the parts, weighted by their share of the batch, are added by the
 * backend's `allreduce`.
 *
 * With options->resume_at the state after that step is written to options->checkpoint, and
 * result->stopped says so: the caller begins again in a new process with options->resumed, where
 * the state is read back and the pipeline wound forward. A training that ends earlier just ends.
 * -ENOTSUP with save_steps: the first process's steps are not in the second. */
int sb_learn(const struct sb_learner *learner, struct sb_engine *engine,
             struct sb_dataset *pipeline, uint64_t epochs, const struct sb_train_options *options,
             struct sb_train_result *result, struct sb_error *err);

#endif
