/* kernels, onednn: one primitive: described, executed once and thrown away. The library keeps what
 * is expensive to make in a cache of its own. */
#ifndef SB_KERNELS_ONEDNN_PRIMITIVE_H
#define SB_KERNELS_ONEDNN_PRIMITIVE_H

#include "kernels/backends/onednn/describe.h"
#include "kernels/dispatch.h"

struct onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; /* NULL: oneDNN's own */
};

enum { MOST_ARGUMENTS = 12, MOST_REORDERED = 3, MOST_LAYOUTS = 6 };

/* A primitive in the making. Once a step has failed, further ones do nothing; primitive_run gives
 * the code, and frees everything. Zero-initialise but for the first three. */
struct primitive {
    const struct onednn *onednn;
    const struct sb_call *call;
    struct sb_error *err;
    int rc;
    dnnl_primitive_desc_t hint, description; /* of the forward primitive; of this one */
    dnnl_exec_arg_t arguments[MOST_ARGUMENTS];
    int n_arguments;
    /* Arguments in a layout of oneDNN's choice, and the operands that they are made of. */
    struct {
        dnnl_memory_t theirs, ours;
        bool is_output;
    } reordered[MOST_REORDERED];
    int n_reordered;
    dnnl_memory_desc_t layouts[MOST_LAYOUTS];
    int n_layouts;
};

/* Puts a failed status into primitive->rc: -ENOTSUP where oneDNN has no implementation. */
bool primitive_ok(struct primitive *primitive, dnnl_status_t status, const char *what);

/* Of describe_2.c and describe_3.c: one of the primitive's layouts, with these strides; NULL: in
 * whatever order oneDNN finds best. And an end to all of them. */
memory_layout memory_made(struct primitive *primitive, int rank, const dnnl_dims_t dims,
                          dnnl_data_type_t type, const dnnl_dims_t strides);
void memory_unmake(struct primitive *primitive);

/* An argument (DNNL_ARG_…) and where it lies. */
void primitive_take(struct primitive *primitive, int argument, memory_layout memory, void *data);

/* An argument that was described by memory_any: copied from this memory into oneDNN's layout before
 * it runs, or back afterwards. To be called once it is described. */
void primitive_reorder(struct primitive *primitive, int argument, memory_layout memory, void *data,
                       bool is_output);

/* Executes it, and says in the call's report which implementation it was. */
int primitive_run(struct primitive *primitive);

#define KERNEL(operation, native)                                                                  \
    int onednn_##operation(void *state, const struct sb_call *call, struct sb_error *err);
#include "kernels/backends/onednn_kernels.h"

#endif
