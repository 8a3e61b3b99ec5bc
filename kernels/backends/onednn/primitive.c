/* kernels, onednn: see primitive.h. */
#include "kernels/backends/onednn/primitive.h"

#include <errno.h>
#include <stdio.h>

bool primitive_ok(struct primitive *primitive, dnnl_status_t status, const char *what) {
    if (primitive->rc < 0)
        return false;
    if (status == dnnl_success)
        return true;
    const char *dtype = sb_dtype_names[primitive->call->dtype];
    if (status == dnnl_unimplemented)
        primitive->rc = sb_error_set(primitive->err, -ENOTSUP,
                                     "oneDNN has no implementation of this (%s) here", dtype);
    else if (status == dnnl_out_of_memory)
        primitive->rc = sb_error_errno(primitive->err, -ENOMEM, "%s", what);
    else
        primitive->rc =
            sb_error_set(primitive->err, -EIO, "%s: oneDNN's status %d", what, (int)status);
    return false;
}

static dnnl_data_type_t type_of(const struct sb_call *call) {
    return call->dtype == SB_DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
}

static memory_layout memory(struct primitive *primitive, int rank, const dnnl_dim_t *dims,
                            const dnnl_dim_t *strides, dnnl_data_type_t type) {
    dnnl_dims_t copy = {0}, steps = {0};
    dnnl_dim_t step = 1;
    for (int i = rank - 1; i >= 0; i--) {
        copy[i] = dims[i];
        steps[i] = strides ? strides[i] : step;
        step *= dims[i];
    }
    return memory_made(primitive, rank, copy, type, steps);
}

memory_layout memory_of(struct primitive *primitive, int rank, const dnnl_dim_t *dims,
                        const dnnl_dim_t *strides) {
    return memory(primitive, rank, dims, strides, type_of(primitive->call));
}

memory_layout memory_f32(struct primitive *primitive, int rank, const dnnl_dim_t *dims) {
    return memory(primitive, rank, dims, NULL, dnnl_f32);
}

memory_layout memory_any(struct primitive *primitive, int rank, const dnnl_dim_t *dims) {
    dnnl_dims_t copy = {0};
    for (int i = 0; i < rank; i++)
        copy[i] = dims[i];
    return memory_made(primitive, rank, copy, type_of(primitive->call), NULL);
}

void primitive_take(struct primitive *primitive, int argument, memory_layout memory, void *data) {
    dnnl_exec_arg_t *taken = &primitive->arguments[primitive->n_arguments];
    if (primitive->rc < 0)
        return;
    taken->arg = argument;
    if (primitive_ok(primitive,
                     dnnl_memory_create(&taken->memory, memory, primitive->onednn->engine, data),
                     "memory"))
        primitive->n_arguments++;
}

void primitive_reorder(struct primitive *primitive, int argument, memory_layout memory, void *data,
                       bool is_output) {
    if (primitive->rc < 0)
        return;
    memory_layout theirs =
        dnnl_primitive_desc_query_md(primitive->description, dnnl_query_exec_arg_md, argument);
    if (dnnl_memory_desc_equal(theirs, memory)) {
        primitive_take(primitive, argument, memory, data);
        return;
    }
    primitive_take(primitive, argument, theirs, DNNL_MEMORY_ALLOCATE);
    if (primitive->rc < 0)
        return;
    int i = primitive->n_reordered;
    primitive->reordered[i].theirs = primitive->arguments[primitive->n_arguments - 1].memory;
    primitive->reordered[i].is_output = is_output;
    if (primitive_ok(primitive,
                     dnnl_memory_create(&primitive->reordered[i].ours, memory,
                                        primitive->onednn->engine, data),
                     "memory"))
        primitive->n_reordered++;
}

static void copy(struct primitive *primitive, dnnl_memory_t from, dnnl_memory_t to) {
    memory_layout source, target;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t made = NULL;
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_engine_t engine = primitive->onednn->engine;
    dnnl_stream_t stream = primitive->onednn->stream;
    if (primitive_ok(primitive, dnnl_memory_get_memory_desc(from, &source), "reorder") &&
        primitive_ok(primitive, dnnl_memory_get_memory_desc(to, &target), "reorder") &&
        primitive_ok(
            primitive,
            dnnl_reorder_primitive_desc_create(&description, source, engine, target, engine, NULL),
            "reorder") &&
        primitive_ok(primitive, dnnl_primitive_create(&made, description), "reorder"))
        primitive_ok(primitive, dnnl_primitive_execute(made, stream, 2, arguments), "reorder");
    if (primitive->rc == 0)
        primitive_ok(primitive, dnnl_stream_wait(stream), "reorder");
    if (made)
        dnnl_primitive_destroy(made);
    if (description)
        dnnl_primitive_desc_destroy(description);
}

static void reorder(struct primitive *primitive, bool outputs) {
    for (int i = 0; i < primitive->n_reordered; i++) {
        dnnl_memory_t theirs = primitive->reordered[i].theirs, ours = primitive->reordered[i].ours;
        if (primitive->rc == 0 && primitive->reordered[i].is_output == outputs)
            copy(primitive, outputs ? theirs : ours, outputs ? ours : theirs);
    }
}

/* Is the attribute on in the primitive itself, as oneDNN has made it? */
static bool is_deterministic(const struct primitive *primitive) {
#ifdef SB_ONEDNN_DETERMINISTIC
    const_dnnl_primitive_attr_t attributes = NULL;
    int on = 0;
    return dnnl_primitive_desc_get_attr(primitive->description, &attributes) == dnnl_success &&
           dnnl_primitive_attr_get_deterministic(attributes, &on) == dnnl_success && on;
#else
    (void)primitive;
    return false;
#endif
}

/* What oneDNN calls an implementation ("brgemm:avx512_core"), and its promise of determinism, which
 * is made of the attribute alone: without it oneDNN may use what does not repeat. */
static void report(const struct primitive *primitive) {
    struct sb_call_report *said = primitive->call->report;
    const char *name = NULL;
    dnnl_dim_t bytes = 0;
    if (!said)
        return;
    if (dnnl_primitive_desc_query(primitive->description, dnnl_query_impl_info_str, 0, &name) ==
            dnnl_success &&
        name)
        snprintf(said->algorithm, sizeof said->algorithm, "%s", name);
    if (dnnl_primitive_desc_query(primitive->description, dnnl_query_memory_consumption_s64, 0,
                                  &bytes) == dnnl_success &&
        bytes > 0)
        said->workspace = (uint64_t)bytes;
    if (is_deterministic(primitive)) {
        said->claim = SB_CLAIM_DETERMINISTIC;
        snprintf(said->note, sizeof said->note, "the primitive's attribute deterministic is on");
    }
}

int primitive_run(struct primitive *primitive) {
    dnnl_primitive_t made = NULL;
    reorder(primitive, false);
    if (primitive->rc == 0 &&
        primitive_ok(primitive, dnnl_primitive_create(&made, primitive->description),
                     "primitive") &&
        primitive_ok(primitive,
                     dnnl_primitive_execute(made, primitive->onednn->stream, primitive->n_arguments,
                                            primitive->arguments),
                     "execute") &&
        primitive_ok(primitive, dnnl_stream_wait(primitive->onednn->stream), "wait"))
        report(primitive);
    reorder(primitive, true);
    for (int i = 0; i < primitive->n_reordered; i++)
        dnnl_memory_destroy(primitive->reordered[i].ours);
    for (int i = 0; i < primitive->n_arguments; i++)
        dnnl_memory_destroy(primitive->arguments[i].memory);
    if (made)
        dnnl_primitive_destroy(made);
    if (primitive->description)
        dnnl_primitive_desc_destroy(primitive->description);
    if (primitive->hint)
        dnnl_primitive_desc_destroy(primitive->hint);
    memory_unmake(primitive);
    return primitive->rc;
}
