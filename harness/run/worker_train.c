/* Stage 3, run: a built-in training in the worker's process. */
#include "run/worker_internal.h"

#include <samebits/weights.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "base/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* The step after which another process goes on, and how many share a batch, as the axes resume and
 * ranks ask for; the state between the two processes, set by the first; a file for the trace. */
static const char resume_variable[] = "SAMEBITS_RESUME", ranks_variable[] = "SAMEBITS_RANKS",
                  checkpoint_variable[] = "SAMEBITS_CHECKPOINT",
                  trace_variable[] = "SAMEBITS_TRACE", replace_variable[] = "SAMEBITS_REPLACE_CALL";
static const char checkpoint_file[] = ".samebits-checkpoint";

enum { MOST_RANKS = 1024 };

/* 0 where the variable is not set, or says "none". */
static int read_count(const char *name, uint64_t most, uint64_t *count, struct sb_error *err) {
    const char *text = getenv(name);
    *count = 0;
    if (!text || !*text || strcmp(text, "none") == 0)
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > most)
        return sb_error_set(err, -EINVAL, "%s: '%s' is no number from 1", name, text);
    *count = value;
    return 0;
}

/* ---- Trace ----------------------------------------------------------------------------------- */

int sb_worker_write_call(void *context, const struct sb_traced_call *call, struct sb_error *err) {
    const struct sb_operation *operation = call->made->operation;
    struct sb_trace_record record = {.kernel = operation->name,
                                     .backend = call->backend,
                                     .dtype = (uint8_t)call->made->dtype,
                                     .n_sizes = (uint8_t)strlen(operation->sizes),
                                     .thread = 1, /* calls are made by one */
                                     .step = (uint32_t)call->step,
                                     .call = call->call};
    _Static_assert((int)SB_MAX_SIZES <= (int)SB_TRACE_SIZES, "a shape must fit into a record");
    for (size_t i = 0; i < record.n_sizes; i++)
        record.sizes[i] = call->made->size[i];
    memcpy(record.in, call->in, sizeof record.in);
    memcpy(record.out, call->out, sizeof record.out);
    return sb_trace_write(context, &record, err);
}

/* ---- Training -------------------------------------------------------------------------------- */

static int read_options(const struct sb_worker_request *request, struct sb_train_options *options,
                        struct sb_error *err) {
    uint64_t ranks;
    *options = (struct sb_train_options){.threads = request->threads,
                                         .deterministic = request->deterministic,
                                         .hash_seed = request->hash_seed,
                                         .checkpoint = checkpoint_file,
                                         .resumed = getenv(checkpoint_variable) != NULL};
    int rc = read_count(resume_variable, UINT32_MAX, &options->resume_at, err);
    if (rc == 0)
        rc = read_count(ranks_variable, MOST_RANKS, &ranks, err);
    if (rc == 0)
        options->ranks = (unsigned)ranks;
    return rc;
}

static int train(const struct sb_training *training, const struct sb_train_options *options,
                 struct sb_engine *engine, struct sb_train_result *result, struct sb_error *err) {
    const char *path = getenv(trace_variable);
    struct sb_trace_writer *writer = NULL;
    SB_CLEANUP(sb_keeping_clear) struct sb_keeping keeping = {.wanted = NULL};
    uint64_t replaced;
    int rc = read_count(replace_variable, UINT64_MAX, &replaced, err);
    sb_engine_replace(engine, rc == 0 ? replaced : 0);
    if (rc == 0 && path && *path)
        rc = sb_trace_writer_open(path, &writer, err);
    if (rc == 0 && writer)
        rc = sb_keeping_begin(path, engine, &keeping, err);
    if (rc == 0 && writer)
        sb_engine_trace(engine, sb_worker_write_call, writer);
    if (rc == 0)
        rc = training->run(engine, options, result, err);
    sb_engine_trace(engine, NULL, NULL);
    sb_engine_watch(engine, NULL, NULL);
    struct sb_error unwritten = {0};
    if (sb_trace_writer_close(writer, &unwritten) < 0 && rc == 0) {
        *err = unwritten;
        rc = -EIO;
    }
    return rc;
}

/* Every argument that has a value, by its name. */
static json_t *arguments_json(const struct sb_argument_spec *specs,
                              const struct sb_argument_value *values) {
    json_t *json = json_object();
    for (size_t i = 0; specs[i].name; i++) {
        const struct sb_argument_value *value = &values[i];
        json_t *one = NULL;
        if (specs[i].type == SB_ARGUMENT_BOOLEAN)
            one = json_boolean(value->boolean);
        else if (specs[i].type == SB_ARGUMENT_REAL)
            one = sb_json_real(value->real);
        else if (value->integer <= INT64_MAX)
            one = json_integer((json_int_t)value->integer);
        else /* more than JSON's readers hold */
            one = json_sprintf("%" PRIu64, value->integer);
        if (value->given)
            json_object_set(json, specs[i].name, one);
        json_decref(one);
    }
    return json;
}

static void report_training(const struct sb_train_options *options,
                            const struct sb_train_result *result, json_t *report) {
    json_t *losses = json_array();
    for (size_t i = 0; i < result->n_losses; i++) {
        json_array_append_new(losses, sb_json_real(result->losses[i]));
        printf("epoch %zu: loss %.9g\n", i + 1, result->losses[i]);
    }
    json_object_set_new(report, "losses", losses);
    json_object_set_new(report, "untrained", json_boolean(result->untrained));
    /* A training that was over before the step never stopped. */
    json_object_set_new(report, "resume",
                        options->resumed ? json_integer((json_int_t)options->resume_at)
                                         : json_string("none"));
    json_object_set_new(report, "ranks", json_integer(options->ranks ? options->ranks : 1));
}

int sb_worker_train(const struct sb_worker_request *request, const struct sb_training *training,
                    struct sb_engine *engine, json_t *report, struct sb_error *err) {
    struct sb_argument_value values[SB_MAX_ARGUMENTS];
    struct sb_train_options options;
    int rc = sb_worker_arguments(request, training->arguments, values, err);
    if (rc == 0 && training->check)
        rc = training->check(values, err);
    if (rc == 0)
        rc = read_options(request, &options, err);
    if (rc < 0)
        return rc;
    options.arguments = values;
    struct sb_train_result result = {0};
    rc = train(training, &options, engine, &result, err);
    if (rc == 0 && result.stopped) {
        rc = setenv(checkpoint_variable, checkpoint_file, 1) == 0
                 ? -EAGAIN
                 : sb_error_errno(err, -ENOMEM, "environment");
    } else if (rc == 0) {
        rc = sb_weights_write_hdf5(request->weights, result.tensors, result.n, err);
    }
    if (rc == 0)
        report_training(&options, &result, report);
    if (rc == 0)
        json_object_set_new(report, "arguments", arguments_json(training->arguments, values));
    sb_train_result_clear(&result);
    return rc;
}
