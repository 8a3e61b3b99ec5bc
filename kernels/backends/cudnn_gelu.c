/* kernels, cudnn: gelu and its gradient, which only the graph interface has. */
#include "kernels/backends/gpu_cudnn.h"

#include <string.h>

const char *const sb_cudnn_gelu_algorithms[] = {SB_CUDNN_ENGINES, NULL};

static bool is_gradient(const struct sb_call *call) {
    return strcmp(call->operation->name, "gelu_gradient") == 0;
}

static int make_function(const struct sb_cudnn *cudnn, const struct sb_call *call,
                         struct sb_cudnn_graph *graph, cudnnBackendDescriptor_t *function,
                         struct sb_error *err) {
    static const cudnnPointwiseMode_t modes[2][2] = {
        {CUDNN_POINTWISE_GELU_FWD, CUDNN_POINTWISE_GELU_APPROX_TANH_FWD},
        {CUDNN_POINTWISE_GELU_BWD, CUDNN_POINTWISE_GELU_APPROX_TANH_BWD}};
    cudnnPointwiseMode_t mode = modes[is_gradient(call)][call->attribute[0] != 0];
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const struct sb_cudnn_setting settings[] = {
        {CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode},
        {CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute}};
    int rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, function, err);
    return rc < 0 ? rc : SB_CUDNN_FINISH(cudnn, *function, settings, "the graph's function", err);
}

/* Operands x and y; of the gradient x, dy and dx. */
static int describe(const struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                    struct sb_cudnn_graph *graph, struct sb_error *err) {
    bool gradient = is_gradient(call);
    const int64_t dims[] = {1, 1, 1, (int64_t)call->size[0]};
    cudnnBackendDescriptor_t tensors[3], function;
    int rc = make_function(cudnn, call, graph, &function, err);
    graph->n_data = gradient ? 3 : 2;
    for (int i = 0; rc == 0 && i < graph->n_data; i++) {
        graph->data[i] = device[i];
        rc = sb_cudnn_graph_tensor(cudnn, call, graph, i + 1, dims, &tensors[i], err);
    }
    if (rc == 0)
        rc = sb_cudnn_make(cudnn, graph, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR,
                           &graph->operation, err);
    if (rc < 0)
        return rc;
    const struct sb_cudnn_setting settings[] = {
        {CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &function},
        {CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensors[0]},
        {gradient ? CUDNN_ATTR_OPERATION_POINTWISE_DYDESC : CUDNN_ATTR_OPERATION_POINTWISE_YDESC,
         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensors[1]},
        {CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensors[2]}};
    return sb_cudnn_finish(cudnn, graph->operation, settings, gradient ? 4 : 3,
                           "the graph's operation", err);
}

static int gelu(struct sb_cudnn *cudnn, const struct sb_call *call, void *const device[],
                struct sb_error *err) {
    return sb_cudnn_compute(cudnn, call, device, describe, err);
}

int sb_cudnn_gelu(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, gelu, err);
}
