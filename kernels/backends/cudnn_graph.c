/* kernels, cudnn: graphs of one operation, computed engine by engine, each with cuDNN's numerical
 * notes on it; and convolutions as such graphs. */
#include "kernels/backends/gpu_cudnn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_ALIGNED = 16 };

int sb_cudnn_make(const struct sb_cudnn *cudnn, struct sb_cudnn_graph *graph,
                  cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *descriptor,
                  struct sb_error *err) {
    int rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnBackendCreateDescriptor(type, descriptor),
                            "cudnnBackendCreateDescriptor", err);
    if (rc == 0)
        graph->made[graph->n++] = *descriptor;
    return rc;
}

static void clear(const struct sb_cudnn *cudnn, struct sb_cudnn_graph *graph) {
    while (graph->n > 0)
        cudnn->dnn.cudnnBackendDestroyDescriptor(graph->made[--graph->n]);
}

int sb_cudnn_finish(const struct sb_cudnn *cudnn, cudnnBackendDescriptor_t descriptor,
                    const struct sb_cudnn_setting *settings, size_t n, const char *what,
                    struct sb_error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnBackendSetAttribute(descriptor, settings[i].name,
                                                                settings[i].type, settings[i].n,
                                                                settings[i].value),
                            what, err);
    return rc < 0 ? rc
                  : sb_cudnn_check(cudnn, cudnn->dnn.cudnnBackendFinalize(descriptor), what, err);
}

int sb_cudnn_graph_tensor(const struct sb_cudnn *cudnn, const struct sb_call *call,
                          struct sb_cudnn_graph *graph, int64_t id, const int64_t dims[4],
                          cudnnBackendDescriptor_t *tensor, struct sb_error *err) {
    cudnnDataType_t type = sb_cudnn_type(call->dtype);
    const int64_t strides[] = {dims[1] * dims[2] * dims[3], dims[2] * dims[3], dims[3], 1};
    const int64_t alignment = BYTES_ALIGNED;
    const struct sb_cudnn_setting settings[] = {
        {CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type},
        {CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims},
        {CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides},
        {CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id},
        {CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment}};
    int rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor, err);
    return rc < 0 ? rc : SB_CUDNN_FINISH(cudnn, *tensor, settings, "a tensor of the graph", err);
}

/* ---- Convolutions ------------------------------------------------------------------------------
 */

static int make_window(const struct sb_cudnn *cudnn, const struct sb_call *call,
                       struct sb_cudnn_graph *graph, cudnnBackendDescriptor_t *window,
                       struct sb_error *err) {
    cudnnDataType_t compute = call->dtype == SB_DTYPE_F64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dims = 2, stride = (int64_t)call->attribute[0],
                  padding = (int64_t)call->attribute[1], dilation = (int64_t)call->attribute[2];
    const int64_t strides[] = {stride, stride}, paddings[] = {padding, padding},
                  dilations[] = {dilation, dilation};
    const struct sb_cudnn_setting settings[] = {
        {CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute},
        {CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode},
        {CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims},
        {CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides},
        {CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, paddings},
        {CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, paddings},
        {CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations}};
    int rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, window, err);
    return rc < 0 ? rc : SB_CUDNN_FINISH(cudnn, *window, settings, "the graph's convolution", err);
}

/* The three directions name the same things differently. `place` says which of the call's operands
 * x, w and y are. */
static const struct direction {
    const char *operation;
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t alpha, beta, window, x, w, y;
    int place[3];
} directions[] = {{"conv2d",
                   CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                   {0, 1, 2}},
                  {"conv2d_gradient_data",
                   CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                   {2, 0, 1}},
                  {"conv2d_gradient_filter",
                   CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                   CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                   {0, 2, 1}}};

static const struct direction *direction_of(const struct sb_call *call) {
    size_t i = 0;
    while (strcmp(directions[i].operation, call->operation->name) != 0)
        i++;
    return &directions[i];
}

static int convolution(const struct sb_cudnn *cudnn, const struct sb_call *call,
                       void *const device[], struct sb_cudnn_graph *graph, struct sb_error *err) {
    const struct direction *direction = direction_of(call);
    const size_t *s = call->size; /* n c h w k r s p q */
    const int64_t n = (int64_t)s[0], c = (int64_t)s[1], k = (int64_t)s[4];
    const int64_t x_dims[] = {n, c, (int64_t)s[2], (int64_t)s[3]},
                  w_dims[] = {k, c, (int64_t)s[5], (int64_t)s[6]},
                  y_dims[] = {n, k, (int64_t)s[7], (int64_t)s[8]};
    cudnnBackendDescriptor_t x, w, y, window;
    int rc = sb_cudnn_graph_tensor(cudnn, call, graph, 1, x_dims, &x, err);
    if (rc == 0)
        rc = sb_cudnn_graph_tensor(cudnn, call, graph, 2, w_dims, &w, err);
    if (rc == 0)
        rc = sb_cudnn_graph_tensor(cudnn, call, graph, 3, y_dims, &y, err);
    if (rc == 0)
        rc = make_window(cudnn, call, graph, &window, err);
    if (rc == 0)
        rc = sb_cudnn_make(cudnn, graph, direction->type, &graph->operation, err);
    if (rc < 0)
        return rc;
    cudnnBackendAttributeType_t scalar =
        call->dtype == SB_DTYPE_F64 ? CUDNN_TYPE_DOUBLE : CUDNN_TYPE_FLOAT;
    const struct sb_cudnn_setting settings[] = {
        {direction->x, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &x},
        {direction->w, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &w},
        {direction->y, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &y},
        {direction->window, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &window},
        {direction->alpha, scalar, 1, sb_cudnn_one(call->dtype)},
        {direction->beta, scalar, 1, sb_cudnn_zero(call->dtype)}};
    graph->n_data = 3;
    for (int i = 0; i < 3; i++)
        graph->data[i] = device[direction->place[i]];
    return SB_CUDNN_FINISH(cudnn, graph->operation, settings, "the graph's operation", err);
}

/* ---- By which engine ---------------------------------------------------------------------------
 */

static int make_engine(const struct sb_cudnn *cudnn, struct sb_cudnn_graph *graph, int64_t number,
                       cudnnBackendDescriptor_t *engine, struct sb_error *err) {
    cudnnBackendDescriptor_t operations;
    int64_t got = 0;
    int rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &operations, err);
    if (rc < 0)
        return rc;
    const struct sb_cudnn_setting whole[] = {
        {CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn->handle},
        {CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph->operation}};
    rc = SB_CUDNN_FINISH(cudnn, operations, whole, "the graph", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnBackendGetAttribute(
                                operations, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT,
                                CUDNN_TYPE_INT64, 1, &got, &graph->engines),
                            "the number of engines", err);
    if (rc == 0 && number >= graph->engines)
        rc = sb_error_set(err, -ENOTSUP, "cuDNN has %lld engines for this graph",
                          (long long)graph->engines);
    if (rc == 0)
        rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_ENGINE_DESCRIPTOR, engine, err);
    if (rc < 0)
        return rc;
    const struct sb_cudnn_setting chosen[] = {
        {CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operations},
        {CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &number}};
    return SB_CUDNN_FINISH(cudnn, *engine, chosen, "the engine", err);
}

static int make_plan(struct sb_cudnn *cudnn, struct sb_cudnn_graph *graph,
                     cudnnBackendDescriptor_t engine, cudnnBackendDescriptor_t *plan,
                     int64_t *workspace, struct sb_error *err) {
    cudnnBackendDescriptor_t configuration;
    int64_t got = 0;
    int rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configuration, err);
    if (rc < 0)
        return rc;
    const struct sb_cudnn_setting of_engine[] = {
        {CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &engine}};
    rc = SB_CUDNN_FINISH(cudnn, configuration, of_engine, "the engine's configuration", err);
    if (rc == 0)
        rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan, err);
    if (rc < 0)
        return rc;
    const struct sb_cudnn_setting of_plan[] = {
        {CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &cudnn->handle},
        {CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
         &configuration}};
    rc = SB_CUDNN_FINISH(cudnn, *plan, of_plan, "the plan", err);
    if (rc == 0)
        rc = sb_cudnn_check(
            cudnn,
            cudnn->dnn.cudnnBackendGetAttribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                CUDNN_TYPE_INT64, 1, &got, workspace),
            "the plan's workspace", err);
    if (rc == 0)
        rc = sb_gpu_reserve(&cudnn->gpu, &cudnn->gpu.workspace, (size_t)*workspace, err);
    return rc;
}

/* ---- What cuDNN says of it ----------------------------------------------------------------------
 */

static const char *const note_names[CUDNN_NUMERICAL_NOTE_TYPE_COUNT] = {
    [CUDNN_NUMERICAL_NOTE_TENSOR_CORE] = "tensor cores",
    [CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS] = "inputs converted down",
    [CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION] = "sums in less precision",
    [CUDNN_NUMERICAL_NOTE_FFT] = "FFT",
    [CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC] = "nondeterministic",
    [CUDNN_NUMERICAL_NOTE_WINOGRAD] = "Winograd",
    [CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4] = "Winograd 4x4",
    [CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6] = "Winograd 6x6",
    [CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13] = "Winograd 13x13"};

/* Tensor cores round factors in f32 to 11 bits; so do sums in less precision, or worse in bf16. */
static double unit_of(const struct sb_call *call, const bool said[]) {
    bool reduced = said[CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION];
    if (call->dtype == SB_DTYPE_BF16 && reduced)
        return 0x1p-8;
    if (reduced || said[CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS] ||
        (call->dtype == SB_DTYPE_F32 && said[CUDNN_NUMERICAL_NOTE_TENSOR_CORE]))
        return 0x1p-11;
    return 0;
}

static const char engine_prefix[] = "engine_";

static int report(const struct sb_cudnn *cudnn, const struct sb_call *call,
                  cudnnBackendDescriptor_t engine, int64_t number, int64_t workspace,
                  struct sb_error *err) {
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    bool said[CUDNN_NUMERICAL_NOTE_TYPE_COUNT] = {false};
    char text[160] = "", name[32];
    int64_t n = 0;
    int rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnBackendGetAttribute(
                                engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes),
                            "the engine's numerical notes", err);
    for (int64_t i = 0; rc == 0 && i < n && i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++) {
        if ((unsigned)notes[i] >= CUDNN_NUMERICAL_NOTE_TYPE_COUNT)
            continue;
        said[notes[i]] = true;
        size_t used = strlen(text);
        if (note_names[notes[i]])
            snprintf(text + used, sizeof text - used, "%s%s", used ? ", " : "",
                     note_names[notes[i]]);
    }
    snprintf(name, sizeof name, "%s%lld", engine_prefix, (long long)number);
    sb_gpu_report(call, name,
                  said[CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC] ? SB_CLAIM_NONDETERMINISTIC
                                                              : SB_CLAIM_DETERMINISTIC,
                  "numerical notes of the engine: %s", *text ? text : "none");
    if (call->report) {
        call->report->workspace = (uint64_t)workspace;
        call->report->unit = unit_of(call, said);
    }
    return rc;
}

/* ---- The call -----------------------------------------------------------------------------------
 */

static int execute(struct sb_cudnn *cudnn, const struct sb_call *call, struct sb_cudnn_graph *graph,
                   int64_t number, struct sb_error *err) {
    cudnnBackendDescriptor_t engine, plan, pack;
    int64_t workspace = 0;
    int rc = make_engine(cudnn, graph, number, &engine, err);
    if (rc == 0)
        rc = make_plan(cudnn, graph, engine, &plan, &workspace, err);
    if (rc == 0)
        rc = report(cudnn, call, engine, number, workspace, err);
    if (rc == 0)
        rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack, err);
    if (rc < 0)
        return rc;
    const int64_t ids[] = {1, 2, 3};
    const struct sb_cudnn_setting settings[] = {
        {CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, graph->n_data, ids},
        {CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, graph->n_data, graph->data},
        {CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &cudnn->gpu.workspace.at}};
    rc = SB_CUDNN_FINISH(cudnn, pack, settings, "the graph's memory", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnBackendExecute(cudnn->handle, plan, pack),
                            "cudnnBackendExecute", err);
    return rc;
}

/* Describes the graph, computes it by this engine, and ends it. */
static int by_engine(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                     sb_cudnn_describe *describe, int64_t number, int64_t *engines,
                     struct sb_error *err) {
    struct sb_cudnn_graph graph = {.n = 0};
    int rc = describe(cudnn, call, device, &graph, err);
    if (rc == 0)
        rc = execute(cudnn, call, &graph, number, err);
    /* A plan may hold code that was compiled for it: not taken away while it runs. */
    int last = sb_gpu_check(&cudnn->gpu, cudnn->gpu.cuda.cudaStreamSynchronize(cudnn->gpu.stream),
                            "the engine", rc == 0 ? err : NULL);
    clear(cudnn, &graph);
    *engines = graph.engines;
    return rc < 0 ? rc : last;
}

int sb_cudnn_compute(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                     sb_cudnn_describe *describe, struct sb_error *err) {
    int64_t engines = 0, number = 0;
    if (call->algorithm)
        return by_engine(cudnn, call, device, describe,
                         atoi(call->algorithm + strlen(engine_prefix)), &engines, err);
    int rc;
    do
        rc = by_engine(cudnn, call, device, describe, number, &engines, err);
    while (rc == -ENOTSUP && ++number < engines);
    return rc;
}

int sb_cudnn_graph(struct sb_cudnn *cudnn, const struct sb_call *call,
                   void *const device[SB_MAX_OPERANDS], struct sb_error *err) {
    return sb_cudnn_compute(cudnn, call, device, convolution, err);
}
