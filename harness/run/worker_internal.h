/* Stage 3, run: what both sides of a built-in job share. */
#ifndef SB_RUN_WORKER_INTERNAL_H
#define SB_RUN_WORKER_INTERNAL_H

#include "kernels/dispatch.h"
#include "kernels/train/train.h"

#include <samebits/suite.h>

#include <jansson.h>

/* A kernel's arguments: its attributes, then the seed of its inputs and the number of calls. */
enum { SB_KERNEL_ARGUMENTS = SB_MAX_ATTRIBUTES + 3 };
void sb_kernel_arguments(const struct sb_operation *operation,
                         struct sb_argument_spec specs[SB_KERNEL_ARGUMENTS]);

/* Attributes as given among the arguments, or the operation's own. */
void sb_kernel_attributes(const struct sb_operation *operation,
                          const struct sb_argument_value *values,
                          double attributes[SB_MAX_ATTRIBUTES]);

/* The dtype of that name; SB_N_DTYPES: there is none. */
enum sb_dtype sb_dtype_find(const char *name);

/* Adds what a loaded backend says of itself; null where unknown. */
void sb_worker_add_facts(json_t *json, const struct sb_engine *engine);

/* ---- In the worker's own process --------------------------------------------------------------
 */

/* What was asked, by the command line and the environment. */
struct sb_worker_request {
    enum sb_job_kind kind;
    const char *subject, *backend, *dtype, *shape, *algorithm, *weights;
    const char **arguments; /* "name=value", borrowed from argv */
    size_t n_arguments;
    unsigned threads;
    bool deterministic;
    bool hash_seed_given;
    uint64_t hash_seed;
};

/* Values of a job's arguments, by default and as the command line has them. */
int sb_worker_arguments(const struct sb_worker_request *request,
                        const struct sb_argument_spec *specs, struct sb_argument_value *values,
                        struct sb_error *err);

/* Does a training and saves its weights. -EAGAIN: it stopped half-way, and the program is to be
 * started again with the same arguments and environment. */
int sb_worker_train(const struct sb_worker_request *request, const struct sb_training *training,
                    struct sb_engine *engine, json_t *report, struct sb_error *err);

/* A `sb_trace_function` whose context is a sb_trace_writer. */
int sb_worker_write_call(void *context, const struct sb_traced_call *call, struct sb_error *err);

/* One call of a training, kept in a file beside its trace (base/saved_call.h). */
struct sb_keeping {
    const char *wanted; /* borrowed from the environment; NULL: none */
    char *path;
    bool done;
};
/* Watches the engine for the call that SAMEBITS_TRACE_CALL names, where it is set. */
int sb_keeping_begin(const char *trace_path, struct sb_engine *engine, struct sb_keeping *keeping,
                     struct sb_error *err);
void sb_keeping_clear(struct sb_keeping *keeping);

/* Makes a saved call again and saves what comes out. -ENOTSUP: its library is not here. */
int sb_worker_replay(const char *path, const char *weights, unsigned threads, bool deterministic,
                     struct sb_error *err);

/* Does a kernel job: computes it several times, saves the outputs of the first, and adds to the
 * report: "accuracy", "calls" {"n", "distinct", "seconds"}, "claim", and what batch and alignment
 * really were. */
int sb_worker_kernel(const struct sb_worker_request *request, const struct sb_operation *operation,
                     enum sb_dtype dtype, struct sb_engine *engine, json_t *report,
                     struct sb_error *err);

#endif
