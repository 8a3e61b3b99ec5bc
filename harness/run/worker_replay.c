/* Stage 3, run: a call that was kept (base/saved_call.h), made again in this process: what comes
 * out is saved as its weights. */
#include "base/cleanup.h"
#include "base/saved_call.h"
#include "base/text.h"
#include "kernels/module.h"
#include "run/replay_blas.h"
#include "run/worker_internal.h"

#include <samebits/weights.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- What comes out ---------------------------------------------------------------------------
 */

/* Operands as bytes, those between columns too: these stay what they were. */
struct outputs {
    struct sb_tensor tensors[SB_SAVED_OPERANDS + 1];
    uint64_t dims[SB_SAVED_OPERANDS + 1];
    char names[SB_SAVED_OPERANDS + 1][32];
    size_t n;
};

static void add(struct outputs *outputs, const char *name, const void *data, uint64_t bytes) {
    size_t at = outputs->n++;
    snprintf(outputs->names[at], sizeof outputs->names[at], "%s", name);
    outputs->dims[at] = bytes;
    outputs->tensors[at] = (struct sb_tensor){.name = outputs->names[at],
                                              .dtype = SB_DTYPE_U8,
                                              .rank = 1,
                                              .dims = &outputs->dims[at],
                                              .data = data};
}

static int save(const struct sb_loaded_call *loaded, const struct sb_replayed *replayed,
                const char *weights, struct sb_error *err) {
    struct outputs outputs = {.n = 0};
    for (size_t i = 0; i < loaded->call.n_operands; i++) {
        char name[32];
        snprintf(name, sizeof name, "operand/%zu", i);
        if (loaded->call.operands[i].written && loaded->call.operands[i].bytes)
            add(&outputs, name, loaded->at[i], loaded->call.operands[i].bytes);
    }
    if (replayed->n_result)
        add(&outputs, "result", replayed->result, replayed->n_result);
    return sb_weights_write_hdf5(weights, outputs.tensors, outputs.n, err);
}

/* ---- Built-in jobs' calls ---------------------------------------------------------------------
 */

static int rebuild(struct sb_loaded_call *loaded, struct sb_call *call, struct sb_error *err) {
    const struct sb_saved_call *saved = &loaded->call;
    const struct sb_operation *operation = sb_operation_find(saved->kernel);
    size_t n = 0;
    if (!operation || operation->planned || saved->dtype >= SB_N_DTYPES ||
        saved->n_sizes != SB_MAX_SIZES || saved->n_options != sizeof call->attribute)
        return sb_error_set(err, -EBADMSG, "kernel '%s' is none", saved->kernel);
    *call = (struct sb_call){.operation = operation, .dtype = saved->dtype};
    memcpy(call->attribute, saved->options, sizeof call->attribute);
    for (size_t i = 0; i < SB_MAX_SIZES; i++)
        call->size[i] = saved->sizes[i];
    while (operation->operands[n].name)
        n++;
    bool fits = n == saved->n_operands;
    for (size_t o = 0; fits && o < n; o++) {
        call->operand[o] = loaded->at[o];
        fits = sb_call_elements(call, o) == saved->operands[o].rows &&
               sb_dtype_size(sb_call_dtype(call, o)) == saved->operands[o].element;
    }
    return fits ? 0 : sb_error_set(err, -EBADMSG, "operands that are not %s's", saved->kernel);
}

static int take_digest(void *context, const struct sb_traced_call *traced, struct sb_error *err) {
    struct sb_replayed *replayed = context;
    (void)err;
    memcpy(replayed->out, traced->out, sizeof replayed->out);
    return 0;
}

static int replay_built_in(struct sb_loaded_call *loaded, const struct sb_engine_options *options,
                           struct sb_replayed *replayed, struct sb_error *err) {
    const struct sb_backend *backend;
    struct sb_engine *engine = NULL;
    struct sb_call call;
    int rc = rebuild(loaded, &call, err);
    if (rc == 0)
        rc = sb_backend_load(loaded->call.backend, &backend, err);
    if (rc == 0)
        rc = sb_engine_open(backend, options, &engine, err);
    if (rc == 0) {
        sb_engine_trace(engine, take_digest, replayed);
        rc = sb_engine_call(engine, &call, err);
    }
    sb_engine_close(engine);
    return rc;
}

int sb_worker_replay(const char *path, const char *weights, unsigned threads, bool deterministic,
                     struct sb_error *err) {
    SB_CLEANUP(sb_saved_call_clear) struct sb_loaded_call loaded = {.blocks = {NULL}};
    struct sb_replayed replayed = {.n_result = 0};
    int rc = sb_saved_call_read(path, &loaded, err);
    if (rc < 0)
        return rc;
    const struct sb_engine_options options = {threads, deterministic};
    rc = *loaded.call.backend ? replay_built_in(&loaded, &options, &replayed, err)
                              : sb_replay_blas(&loaded, &replayed, err);
    if (rc < 0)
        return sb_error_prefix(err, rc, "%s", path);
    /* As a trace has it, so that the two can be held side by side. */
    char out[2 * sizeof replayed.out + 1];
    sb_hex(replayed.out, sizeof replayed.out, out);
    puts(out);
    return save(&loaded, &replayed, weights, err);
}
