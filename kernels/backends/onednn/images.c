/* kernels, onednn: convolution and pooling. Convolutions run in the layout that oneDNN finds best,
 * as frameworks have them; what that costs in copying is part of the call. */
#include "kernels/backends/onednn/primitive.h"

#include <errno.h>
#include <stdlib.h>

/* Dims of x[n,c,h,w], w[k,c,r,s] and y[n,k,p,q], or of a pool's x[n,c,h,w] and y[n,c,p,q]. */
struct shapes {
    dnnl_dim_t x[4], w[4], y[4];
    struct moves moves;
};

static struct shapes shapes_of(const struct sb_call *call, bool convolution) {
    dnnl_dim_t size[9];
    for (size_t i = 0; i < 9; i++)
        size[i] = (dnnl_dim_t)call->size[i];
    struct shapes shapes = {.x = {size[0], size[1], size[2], size[3]}};
    const dnnl_dim_t *window = convolution ? size + 5 : size + 4;
    dnnl_dim_t channels = convolution ? size[4] : size[1];
    for (int i = 0; i < 2; i++) {
        shapes.moves.stride[i] = (dnnl_dim_t)call->attribute[0];
        shapes.moves.padding[i] = (dnnl_dim_t)call->attribute[1];
        shapes.moves.dilation[i] = convolution ? (dnnl_dim_t)call->attribute[2] - 1 : 0;
        shapes.moves.window[i] = window[i];
        shapes.y[2 + i] = window[2 + i];
    }
    const dnnl_dim_t filters[] = {channels, size[1], window[0], window[1]};
    for (int i = 0; i < 4; i++)
        shapes.w[i] = filters[i];
    shapes.y[0] = size[0];
    shapes.y[1] = channels;
    return shapes;
}

/* ---- Convolution ----------------------------------------------------------------------------- */

/* x, w and y in oneDNN's own layouts, and in ours. */
struct layouts {
    struct convolved theirs, ours;
};

static struct layouts layouts_of(struct primitive *primitive, const struct shapes *shapes) {
    return (struct layouts){
        {memory_any(primitive, 4, shapes->x), memory_any(primitive, 4, shapes->w),
         memory_any(primitive, 4, shapes->y)},
        {memory_of(primitive, 4, shapes->x, NULL), memory_of(primitive, 4, shapes->w, NULL),
         memory_of(primitive, 4, shapes->y, NULL)}};
}

int onednn_conv2d(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    struct shapes shapes = shapes_of(call, true);
    struct layouts layouts = layouts_of(&primitive, &shapes);
    describe_convolution(&primitive, &layouts.theirs, &shapes.moves);
    primitive_reorder(&primitive, DNNL_ARG_SRC, layouts.ours.x, call->operand[0], false);
    primitive_reorder(&primitive, DNNL_ARG_WEIGHTS, layouts.ours.w, call->operand[1], false);
    primitive_reorder(&primitive, DNNL_ARG_DST, layouts.ours.y, call->operand[2], true);
    return primitive_run(&primitive);
}

int onednn_conv2d_gradient_data(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    struct shapes shapes = shapes_of(call, true);
    struct layouts layouts = layouts_of(&primitive, &shapes);
    describe_convolution_gradient_data(&primitive, &layouts.theirs, &shapes.moves);
    primitive_reorder(&primitive, DNNL_ARG_WEIGHTS, layouts.ours.w, call->operand[0], false);
    primitive_reorder(&primitive, DNNL_ARG_DIFF_DST, layouts.ours.y, call->operand[1], false);
    primitive_reorder(&primitive, DNNL_ARG_DIFF_SRC, layouts.ours.x, call->operand[2], true);
    return primitive_run(&primitive);
}

int onednn_conv2d_gradient_filter(void *state, const struct sb_call *call, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    struct shapes shapes = shapes_of(call, true);
    struct layouts layouts = layouts_of(&primitive, &shapes);
    describe_convolution_gradient_filter(&primitive, &layouts.theirs, &shapes.moves);
    primitive_reorder(&primitive, DNNL_ARG_SRC, layouts.ours.x, call->operand[0], false);
    primitive_reorder(&primitive, DNNL_ARG_DIFF_DST, layouts.ours.y, call->operand[1], false);
    primitive_reorder(&primitive, DNNL_ARG_DIFF_WEIGHTS, layouts.ours.w, call->operand[2], true);
    return primitive_run(&primitive);
}

/* ---- Pooling --------------------------------------------------------------------------------- */

static dnnl_alg_kind_t average_kind(const struct sb_call *call) {
    return call->attribute[2] != 0 ? dnnl_pooling_avg_include_padding
                                   : dnnl_pooling_avg_exclude_padding;
}

/* Into `data`; where a workspace is wanted, it says which elements were the largest, is malloc'd
 * and the caller's. */
static int pool(void *state, const struct sb_call *call, dnnl_alg_kind_t kind, void *data,
                void **workspace, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    struct shapes shapes = shapes_of(call, false);
    memory_layout x = memory_of(&primitive, 4, shapes.x, NULL),
                  y = memory_of(&primitive, 4, shapes.y, NULL);
    describe_pool(&primitive, workspace ? dnnl_forward_training : dnnl_forward_inference, kind, x,
                  y, &shapes.moves);
    primitive_take(&primitive, DNNL_ARG_SRC, x, call->operand[0]);
    primitive_take(&primitive, DNNL_ARG_DST, y, data);
    if (workspace && primitive.rc == 0) {
        memory_layout theirs =
            dnnl_primitive_desc_query_md(primitive.description, dnnl_query_workspace_md, 0);
        *workspace = malloc(dnnl_memory_desc_get_size(theirs) + 1);
        if (!*workspace)
            primitive.rc = sb_error_errno(err, -ENOMEM, "workspace");
        primitive_take(&primitive, DNNL_ARG_WORKSPACE, theirs, *workspace);
    }
    return primitive_run(&primitive);
}

/* dx of the pool from dy. */
static int pool_gradient(void *state, const struct sb_call *call, dnnl_alg_kind_t kind, void *dy,
                         void *dx, void *workspace, struct sb_error *err) {
    struct primitive primitive = {state, call, err};
    struct shapes shapes = shapes_of(call, false);
    memory_layout x = memory_of(&primitive, 4, shapes.x, NULL),
                  y = memory_of(&primitive, 4, shapes.y, NULL);
    describe_pool_gradient(&primitive, kind, x, y, &shapes.moves);
    primitive_take(&primitive, DNNL_ARG_DIFF_DST, y, dy);
    primitive_take(&primitive, DNNL_ARG_DIFF_SRC, x, dx);
    if (workspace && primitive.rc == 0)
        primitive_take(&primitive, DNNL_ARG_WORKSPACE,
                       dnnl_primitive_desc_query_md(primitive.hint, dnnl_query_workspace_md, 0),
                       workspace);
    return primitive_run(&primitive);
}

int onednn_max_pool(void *state, const struct sb_call *call, struct sb_error *err) {
    return pool(state, call, dnnl_pooling_max, call->operand[1], NULL, err);
}

/* oneDNN goes by the places that its own forward pass saved, so that runs first. */
int onednn_max_pool_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    void *workspace = NULL, *again = malloc(sb_call_elements(call, 1) * sizeof(float));
    int rc = again ? pool(state, call, dnnl_pooling_max, again, &workspace, err)
                   : sb_error_errno(err, -ENOMEM, "pooling");
    if (rc == 0)
        rc = pool_gradient(state, call, dnnl_pooling_max, call->operand[2], call->operand[3],
                           workspace, err);
    free(workspace);
    free(again);
    return rc;
}

int onednn_average_pool(void *state, const struct sb_call *call, struct sb_error *err) {
    return pool(state, call, average_kind(call), call->operand[1], NULL, err);
}

int onednn_average_pool_gradient(void *state, const struct sb_call *call, struct sb_error *err) {
    return pool_gradient(state, call, average_kind(call), call->operand[0], call->operand[1], NULL,
                         err);
}
