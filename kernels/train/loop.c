/* kernels, train: see loop.h. */
#include "kernels/train/loop.h"
#include "kernels/ops/operations.h"
#include "kernels/train/checkpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A training under way. */
struct loop {
    const struct sb_learner *learner;
    struct sb_engine *engine;
    struct sb_dataset *pipeline;
    const struct sb_train_options *options;
    struct sb_progress progress;
    void *items;            /* one batch */
    void *parts, *combined; /* gradients of all variables: of each rank, and their sum */
    size_t n_parameters;
    struct sb_train_result *result; /* that steps on the way are added to */
    bool stopped;
};

/* ---- Ranks ----------------------------------------------------------------------------------- */

static size_t element_size(const struct loop *loop) {
    return sb_dtype_size(loop->learner->dtype);
}

static int make_room_for_ranks(struct loop *loop, struct sb_error *err) {
    for (size_t i = 0; i < loop->learner->n_variables; i++)
        loop->n_parameters += loop->learner->variables[i]->n;
    if (loop->options->ranks < 2)
        return 0;
    loop->parts = calloc(loop->options->ranks * loop->n_parameters, element_size(loop));
    loop->combined = calloc(loop->n_parameters, element_size(loop));
    return loop->parts && loop->combined ? 0 : sb_error_errno(err, -ENOMEM, "gradients");
}

/* A rank's gradients one after the other, times its share of the batch. */
static void keep_part(struct loop *loop, size_t rank, double share) {
    size_t at = rank * loop->n_parameters;
    for (size_t i = 0; i < loop->learner->n_variables; i++) {
        const struct sb_variable *v = loop->learner->variables[i];
        for (size_t j = 0; j < v->n; j++, at++) {
            if (loop->learner->dtype == SB_DTYPE_F32)
                ((float *)loop->parts)[at] = ((const float *)v->gradient)[j] * (float)share;
            else
                ((double *)loop->parts)[at] = ((const double *)v->gradient)[j] * share;
        }
    }
}

static int combine(struct loop *loop, size_t ranks, struct sb_error *err) {
    int rc = sb_engine_call(loop->engine,
                            &(struct sb_call){.operation = &sb_operation_allreduce,
                                              .dtype = loop->learner->dtype,
                                              .size = {ranks, loop->n_parameters},
                                              .operand = {loop->parts, loop->combined}},
                            err);
    const char *from = loop->combined;
    for (size_t i = 0; i < loop->learner->n_variables && rc == 0; i++) {
        const struct sb_variable *v = loop->learner->variables[i];
        memcpy(v->gradient, from, v->n * element_size(loop));
        from += v->n * element_size(loop);
    }
    return rc;
}

static int gradient(struct loop *loop, size_t n, double *loss, struct sb_error *err) {
    const struct sb_learner *learner = loop->learner;
    size_t ranks = loop->options->ranks < n ? loop->options->ranks : n;
    size_t size = sb_dataset_item_size(loop->pipeline), first = 0;
    if (ranks < 2)
        return learner->gradient(learner->model, loop->engine, loop->items, n, loss, err);
    double sum = 0;
    for (size_t rank = 0; rank < ranks; rank++) {
        size_t end = (rank + 1) * n / ranks;
        double share = (double)(end - first) / (double)n, own;
        int rc =
            learner->gradient(learner->model, loop->engine,
                              (const char *)loop->items + first * size, end - first, &own, err);
        if (rc < 0)
            return rc;
        keep_part(loop, rank, share);
        sum += share * own;
        first = end;
    }
    *loss = sum;
    return combine(loop, ranks, err);
}

/* ---- Epochs ---------------------------------------------------------------------------------- */

static bool is_time_to_stop(const struct loop *loop) {
    const struct sb_train_options *options = loop->options;
    return options->resume_at && !options->resumed && *loop->learner->steps == options->resume_at;
}

static int stop(struct loop *loop, struct sb_error *err) {
    loop->progress.steps = *loop->learner->steps;
    loop->progress.calls = sb_engine_calls(loop->engine);
    loop->stopped = true;
    return sb_checkpoint_write(loop->options->checkpoint, loop->learner, &loop->progress, err);
}

static bool is_step_to_save(uint64_t step) {
    uint64_t every = 1;
    while (16 * every < step)
        every *= 2;
    return step % every == 0;
}

static int save_step(struct loop *loop, struct sb_error *err) {
    const struct sb_learner *learner = loop->learner;
    uint64_t step = *learner->steps;
    int rc = 0;
    for (size_t i = 0; i < learner->n_variables && rc == 0 && is_step_to_save(step); i++)
        rc = sb_result_add_variable(loop->result, learner->dtype, learner->variables[i],
                                    learner->variables[i]->value, "step-%06llu/variables/%zu",
                                    (unsigned long long)step, i);
    return rc < 0 ? sb_error_errno(err, rc, "weights of step %llu", (unsigned long long)step) : 0;
}

static int batch(struct loop *loop, size_t n, struct sb_error *err) {
    double loss;
    sb_engine_set_step(loop->engine, *loop->learner->steps + 1);
    int rc = gradient(loop, n, &loss, err);
    if (rc == 0)
        rc = loop->learner->update(loop->learner->model, loop->engine, err);
    if (rc == 0 && loop->learner->save_steps)
        rc = save_step(loop, err);
    if (rc < 0)
        return rc;
    loop->progress.sum += loss;
    loop->progress.batches++;
    return is_time_to_stop(loop) ? stop(loop, err) : 0;
}

/* One pass over the pipeline, of which `skip` batches were done by another process. */
static int epoch(struct loop *loop, uint64_t skip, struct sb_error *err) {
    struct sb_iterator *iterator = NULL;
    size_t n;
    int rc = sb_iterator_open(loop->pipeline, &iterator, err);
    while (rc == 0 && !loop->stopped &&
           (rc = sb_iterator_next(iterator, loop->items, &n, err)) == 1) {
        rc = 0;
        if (skip)
            skip--;
        else
            rc = batch(loop, n, err);
    }
    sb_iterator_close(iterator);
    return rc;
}

/* The n-th iteration over a shuffled dataset has the n-th order, and a repeated one takes several
 * an epoch: only what was walked before gives what comes next. */
static int walk(struct loop *loop, struct sb_error *err) {
    struct sb_iterator *iterator = NULL;
    size_t n;
    int rc = sb_iterator_open(loop->pipeline, &iterator, err);
    if (rc < 0)
        return rc;
    do {
        rc = sb_iterator_next(iterator, loop->items, &n, err);
    } while (rc == 1);
    sb_iterator_close(iterator);
    return rc;
}

static int wind_forward(struct loop *loop, struct sb_error *err) {
    int rc = sb_checkpoint_read(loop->options->checkpoint, loop->learner, &loop->progress, err);
    if (rc < 0)
        return rc;
    *loop->learner->steps = loop->progress.steps;
    sb_engine_set_calls(loop->engine, loop->progress.calls);
    for (uint64_t i = 0; i < loop->progress.epoch && rc == 0; i++)
        rc = walk(loop, err);
    return rc;
}

static int run(struct loop *loop, uint64_t epochs, struct sb_error *err) {
    struct sb_progress *progress = &loop->progress;
    int rc = make_room_for_ranks(loop, err);
    if (rc == 0 && loop->options->resumed)
        rc = wind_forward(loop, err);
    while (rc == 0 && progress->epoch < epochs) {
        rc = epoch(loop, progress->batches, err);
        if (rc < 0 || loop->stopped)
            break;
        progress->losses[progress->epoch++] =
            progress->batches ? progress->sum / (double)progress->batches : 0;
        progress->batches = 0;
        progress->sum = 0;
    }
    return rc;
}

int sb_learn(const struct sb_learner *learner, struct sb_engine *engine,
             struct sb_dataset *pipeline, uint64_t epochs, const struct sb_train_options *options,
             struct sb_train_result *result, struct sb_error *err) {
    if (learner->save_steps && options->resume_at)
        return sb_error_set(err, -ENOTSUP, "save_steps and resume do not go together");
    struct loop loop = {
        .learner = learner,
        .engine = engine,
        .pipeline = pipeline,
        .options = options,
        .result = result,
        .progress = {.losses = calloc(epochs + 1, sizeof(double)), .n_losses = epochs},
        .items = malloc(sb_dataset_max_items(pipeline) * sb_dataset_item_size(pipeline))};
    int rc = loop.progress.losses && loop.items ? run(&loop, epochs, err)
                                                : sb_error_errno(err, -ENOMEM, "batch");
    free(loop.items);
    free(loop.parts);
    free(loop.combined);
    if (rc < 0) {
        free(loop.progress.losses);
        return rc;
    }
    result->losses = loop.progress.losses;
    result->n_losses = loop.progress.epoch;
    result->stopped = loop.stopped;
    return 0;
}
