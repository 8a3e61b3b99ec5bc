/* Stage 3, run: one call of a built-in training, kept as it is made. */
#include "base/cleanup.h"
#include "base/saved_call.h"
#include "base/text.h"
#include "run/worker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* false: more than is kept. */
static bool describe(const struct sb_traced_call *traced, struct sb_saved_call *saved) {
    uint64_t all = 0;
    const struct sb_call *call = traced->made;
    const struct sb_operation *operation = call->operation;
    _Static_assert((int)SB_SAVED_OPERANDS >= (int)SB_MAX_OPERANDS, "all operands fit");
    _Static_assert((int)SB_SAVED_SIZES >= (int)SB_MAX_SIZES, "all sizes fit");
    _Static_assert(sizeof call->attribute <= SB_SAVED_OPTIONS, "all attributes fit");
    memcpy(saved->magic, SB_SAVED_CALL_MAGIC, sizeof saved->magic);
    snprintf(saved->kernel, sizeof saved->kernel, "%s", operation->name);
    snprintf(saved->backend, sizeof saved->backend, "%s", traced->backend);
    saved->dtype = (uint8_t)call->dtype;
    saved->n_sizes = SB_MAX_SIZES;
    for (size_t i = 0; i < SB_MAX_SIZES; i++)
        saved->sizes[i] = call->size[i];
    saved->n_options = sizeof call->attribute;
    memcpy(saved->options, call->attribute, sizeof call->attribute);
    for (size_t o = 0; operation->operands[o].name; o++) {
        uint64_t n = sb_call_elements(call, o), element = sb_dtype_size(sb_call_dtype(call, o));
        saved->operands[o] =
            (struct sb_saved_operand){.rows = n,
                                      .columns = n > 0,
                                      .stride = n,
                                      .element = element,
                                      .bytes = n * element,
                                      .address = (uintptr_t)call->operand[o] % SB_SAVED_PAGE,
                                      .read = operation->operands[o].role != SB_ROLE_OUT,
                                      .written = operation->operands[o].role != SB_ROLE_IN};
        saved->n_operands++;
        all += n * element;
    }
    return all <= SB_SAVED_MOST_BYTES;
}

static int keep(void *context, const struct sb_traced_call *traced, struct sb_error *err) {
    struct sb_keeping *keeping = context;
    if (keeping->done ||
        !sb_saved_call_is_meant(keeping->wanted, traced->made->operation->name, traced->in))
        return 0;
    SB_AUTO_FREE struct sb_saved_call *saved = calloc(1, sizeof *saved);
    if (!saved)
        return sb_error_errno(err, -ENOMEM, "%s", keeping->path);
    keeping->done = true;
    if (!describe(traced, saved))
        return 0;
    return sb_saved_call_write(keeping->path, saved, traced->made->operand, err);
}

int sb_keeping_begin(const char *trace_path, struct sb_engine *engine, struct sb_keeping *keeping,
                     struct sb_error *err) {
    const char *slash = strrchr(trace_path, '/');
    keeping->wanted = getenv(SB_SAVED_CALL_VARIABLE);
    if (!keeping->wanted)
        return 0;
    keeping->path = sb_format("%.*s%s", slash ? (int)(slash - trace_path + 1) : 0, trace_path,
                              SB_SAVED_CALL_FILE);
    if (!keeping->path)
        return sb_error_errno(err, -ENOMEM, "%s", trace_path);
    sb_engine_watch(engine, keep, keeping);
    return 0;
}

void sb_keeping_clear(struct sb_keeping *keeping) {
    free(keeping->path);
    keeping->path = NULL;
}
