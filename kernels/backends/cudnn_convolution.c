/* kernels, cudnn: convolution and its gradients by the algorithms of the legacy interface, each
 * with what cuDNN says of its determinism. Those of the graph interface are in cudnn_graph.c. */
#include "kernels/backends/gpu_cudnn.h"

#include <errno.h>
#include <string.h>

/* cuDNN's names without their prefixes, in the order of its enumerations. */
const char *const sb_cudnn_forward_algorithms[] = {
    "implicit_gemm", "implicit_precomp_gemm", "gemm",           "direct", "fft", "fft_tiling",
    "winograd",      "winograd_nonfused",     SB_CUDNN_ENGINES, NULL};
const char *const sb_cudnn_data_algorithms[] = {"algo_0",         "algo_1",   "fft",
                                                "fft_tiling",     "winograd", "winograd_nonfused",
                                                SB_CUDNN_ENGINES, NULL};
const char *const sb_cudnn_filter_algorithms[] = {
    "algo_0",     "algo_1",         "fft", "algo_3", "winograd", "winograd_nonfused",
    "fft_tiling", SB_CUDNN_ENGINES, NULL};

enum { MOST = 24 };

/* One proposal of cuDNN's, of whichever direction. */
struct proposal {
    int algorithm;
    cudnnStatus_t status;
    cudnnDeterminism_t determinism;
    cudnnMathType_t math;
};

/* x, w and y are those of the forward direction. */
struct convolution {
    const struct direction *direction;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t window;
};

struct direction {
    const char *const *names;
    const char *source; /* of the claim */
    cudnnStatus_t (*propose)(const struct sb_cudnn *, const struct convolution *,
                             struct proposal[MOST], int *n);
    cudnnStatus_t (*workspace)(const struct sb_cudnn *, const struct convolution *, int algorithm,
                               size_t *bytes);
    cudnnStatus_t (*run)(struct sb_cudnn *, const struct sb_call *, const struct convolution *,
                         int algorithm, size_t bytes, void *const device[]);
};

/* ---- The three directions, whose types and arguments differ ------------------------------------
 */

#define DEFINE_PROPOSE(name, perf, function, ...)                                                  \
    static cudnnStatus_t name(const struct sb_cudnn *cudnn, const struct convolution *of,          \
                              struct proposal proposals[MOST], int *n) {                           \
        perf found[MOST];                                                                          \
        cudnnStatus_t code = cudnn->dnn.function(cudnn->handle, __VA_ARGS__, MOST, n, found);      \
        for (int i = 0; code == CUDNN_STATUS_SUCCESS && i < *n; i++)                               \
            proposals[i] = (struct proposal){(int)found[i].algo, found[i].status,                  \
                                             found[i].determinism, found[i].mathType};             \
        return code;                                                                               \
    }
DEFINE_PROPOSE(propose_forward, cudnnConvolutionFwdAlgoPerf_t,
               cudnnGetConvolutionForwardAlgorithm_v7, of->x, of->w, of->window, of->y)
DEFINE_PROPOSE(propose_data, cudnnConvolutionBwdDataAlgoPerf_t,
               cudnnGetConvolutionBackwardDataAlgorithm_v7, of->w, of->y, of->window, of->x)
DEFINE_PROPOSE(propose_filter, cudnnConvolutionBwdFilterAlgoPerf_t,
               cudnnGetConvolutionBackwardFilterAlgorithm_v7, of->x, of->y, of->window, of->w)

static cudnnStatus_t workspace_forward(const struct sb_cudnn *cudnn, const struct convolution *of,
                                       int algorithm, size_t *bytes) {
    return cudnn->dnn.cudnnGetConvolutionForwardWorkspaceSize(
        cudnn->handle, of->x, of->w, of->window, of->y, (cudnnConvolutionFwdAlgo_t)algorithm,
        bytes);
}

static cudnnStatus_t workspace_data(const struct sb_cudnn *cudnn, const struct convolution *of,
                                    int algorithm, size_t *bytes) {
    return cudnn->dnn.cudnnGetConvolutionBackwardDataWorkspaceSize(
        cudnn->handle, of->w, of->y, of->window, of->x, (cudnnConvolutionBwdDataAlgo_t)algorithm,
        bytes);
}

static cudnnStatus_t workspace_filter(const struct sb_cudnn *cudnn, const struct convolution *of,
                                      int algorithm, size_t *bytes) {
    return cudnn->dnn.cudnnGetConvolutionBackwardFilterWorkspaceSize(
        cudnn->handle, of->x, of->y, of->window, of->w, (cudnnConvolutionBwdFilterAlgo_t)algorithm,
        bytes);
}

static cudnnStatus_t run_forward(struct sb_cudnn *cudnn, const struct sb_call *call,
                                 const struct convolution *of, int algorithm, size_t bytes,
                                 void *const device[]) {
    return cudnn->dnn.cudnnConvolutionForward(
        cudnn->handle, sb_cudnn_one(call->dtype), of->x, device[0], of->w, device[1], of->window,
        (cudnnConvolutionFwdAlgo_t)algorithm, cudnn->gpu.workspace.at, bytes,
        sb_cudnn_zero(call->dtype), of->y, device[2]);
}

static cudnnStatus_t run_data(struct sb_cudnn *cudnn, const struct sb_call *call,
                              const struct convolution *of, int algorithm, size_t bytes,
                              void *const device[]) {
    return cudnn->dnn.cudnnConvolutionBackwardData(
        cudnn->handle, sb_cudnn_one(call->dtype), of->w, device[0], of->y, device[1], of->window,
        (cudnnConvolutionBwdDataAlgo_t)algorithm, cudnn->gpu.workspace.at, bytes,
        sb_cudnn_zero(call->dtype), of->x, device[2]);
}

static cudnnStatus_t run_filter(struct sb_cudnn *cudnn, const struct sb_call *call,
                                const struct convolution *of, int algorithm, size_t bytes,
                                void *const device[]) {
    return cudnn->dnn.cudnnConvolutionBackwardFilter(
        cudnn->handle, sb_cudnn_one(call->dtype), of->x, device[0], of->y, device[1], of->window,
        (cudnnConvolutionBwdFilterAlgo_t)algorithm, cudnn->gpu.workspace.at, bytes,
        sb_cudnn_zero(call->dtype), of->w, device[2]);
}

static const struct direction forward = {sb_cudnn_forward_algorithms,
                                         "cudnnGetConvolutionForwardAlgorithm_v7", propose_forward,
                                         workspace_forward, run_forward};
static const struct direction data = {sb_cudnn_data_algorithms,
                                      "cudnnGetConvolutionBackwardDataAlgorithm_v7", propose_data,
                                      workspace_data, run_data};
static const struct direction filter = {sb_cudnn_filter_algorithms,
                                        "cudnnGetConvolutionBackwardFilterAlgorithm_v7",
                                        propose_filter, workspace_filter, run_filter};

/* ---- Descriptors ------------------------------------------------------------------------------
 */

static void clear(const struct sb_cudnn *cudnn, struct convolution *of) {
    sb_cudnn_drop(cudnn, (cudnnTensorDescriptor_t[]){of->x, of->y}, 2);
    if (of->w)
        cudnn->dnn.cudnnDestroyFilterDescriptor(of->w);
    if (of->window)
        cudnn->dnn.cudnnDestroyConvolutionDescriptor(of->window);
}

/* f32 without tensor cores, which would round its factors to 11 bits. */
static cudnnMathType_t math_of(enum sb_dtype dtype) {
    return dtype == SB_DTYPE_F32   ? CUDNN_FMA_MATH
           : dtype == SB_DTYPE_F64 ? CUDNN_DEFAULT_MATH
                                   : CUDNN_TENSOR_OP_MATH;
}

static int make_window(const struct sb_cudnn *cudnn, const struct sb_call *call,
                       struct convolution *of, struct sb_error *err) {
    int stride = (int)call->attribute[0], padding = (int)call->attribute[1],
        dilation = (int)call->attribute[2];
    int rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateConvolutionDescriptor(&of->window),
                            "cudnnCreateConvolutionDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSetConvolution2dDescriptor(
                                of->window, padding, padding, stride, stride, dilation, dilation,
                                CUDNN_CROSS_CORRELATION,
                                call->dtype == SB_DTYPE_F64 ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT),
                            "cudnnSetConvolution2dDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(
            cudnn, cudnn->dnn.cudnnSetConvolutionMathType(of->window, math_of(call->dtype)),
            "cudnnSetConvolutionMathType", err);
    return rc;
}

/* Sizes n c h w k r s, then p q. */
static int make(const struct sb_cudnn *cudnn, const struct sb_call *call, struct convolution *of,
                struct sb_error *err) {
    const size_t *size = call->size;
    int rc = sb_cudnn_tensor(cudnn, call, size, &of->x, err);
    if (rc == 0)
        rc = sb_cudnn_tensor(cudnn, call, (const size_t[]){size[0], size[4], size[7], size[8]},
                             &of->y, err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnCreateFilterDescriptor(&of->w),
                            "cudnnCreateFilterDescriptor", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn,
                            cudnn->dnn.cudnnSetFilter4dDescriptor(
                                of->w, sb_cudnn_type(call->dtype), CUDNN_TENSOR_NCHW, (int)size[4],
                                (int)size[1], (int)size[5], (int)size[6]),
                            "cudnnSetFilter4dDescriptor", err);
    return rc == 0 ? make_window(cudnn, call, of, err) : rc;
}

/* ---- Choosing ---------------------------------------------------------------------------------
 */

/* The algorithm that is asked for; if none is, the first that cuDNN proposes, or the first of them
 * that is deterministic. */
static int choose(const struct sb_cudnn *cudnn, const struct sb_call *call,
                  const struct convolution *of, struct proposal *chosen, struct sb_error *err) {
    struct proposal proposals[MOST];
    int n = 0;
    int rc = sb_cudnn_check(cudnn, of->direction->propose(cudnn, of, proposals, &n),
                            of->direction->source, err);
    cudnnStatus_t why = CUDNN_STATUS_NOT_SUPPORTED;
    for (int i = 0; rc == 0 && i < n; i++) {
        bool right =
            call->algorithm
                ? strcmp(of->direction->names[proposals[i].algorithm], call->algorithm) == 0
                : !cudnn->deterministic || proposals[i].determinism == CUDNN_DETERMINISTIC;
        if (right && proposals[i].status == CUDNN_STATUS_SUCCESS) {
            *chosen = proposals[i];
            return 0;
        }
        if (right)
            why = proposals[i].status;
    }
    return rc < 0 ? rc
                  : sb_error_set(err, -ENOTSUP, "algorithm '%s': %s",
                                 call->algorithm ? call->algorithm : "any",
                                 cudnn->dnn.cudnnGetErrorString(why));
}

static void report(const struct sb_call *call, const struct convolution *of,
                   const struct proposal *chosen, size_t workspace) {
    static const char *const math[] = {"default", "tensor cores", "tensor cores, converting",
                                       "FMA"};
    bool deterministic = chosen->determinism == CUDNN_DETERMINISTIC;
    sb_gpu_report(call, of->direction->names[chosen->algorithm],
                  deterministic ? SB_CLAIM_DETERMINISTIC : SB_CLAIM_NONDETERMINISTIC,
                  "determinism of %s; math: %s", of->direction->source,
                  (unsigned)chosen->math < 4 ? math[chosen->math] : "unknown");
    if (call->report)
        call->report->workspace = workspace;
    if (call->report && call->dtype == SB_DTYPE_F32 && chosen->math != CUDNN_FMA_MATH)
        call->report->unit = 0x1p-11;
}

static int work_on(struct sb_cudnn *cudnn, const struct sb_call *call, struct convolution *of,
                   void *const device[], struct sb_error *err) {
    struct proposal chosen = {0};
    size_t bytes = 0;
    int rc = make(cudnn, call, of, err);
    if (rc == 0)
        rc = choose(cudnn, call, of, &chosen, err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, cudnn->dnn.cudnnSetConvolutionMathType(of->window, chosen.math),
                            "cudnnSetConvolutionMathType", err);
    if (rc == 0)
        rc = sb_cudnn_check(cudnn, of->direction->workspace(cudnn, of, chosen.algorithm, &bytes),
                            "the size of the workspace", err);
    if (rc == 0)
        rc = sb_gpu_reserve(&cudnn->gpu, &cudnn->gpu.workspace, bytes, err);
    if (rc < 0)
        return rc;
    report(call, of, &chosen, bytes);
    return sb_cudnn_check(cudnn,
                          of->direction->run(cudnn, call, of, chosen.algorithm, bytes, device),
                          of->direction->names[chosen.algorithm], err);
}

static int work(struct sb_cudnn *cudnn, const struct sb_call *call,
                void *const device[SB_MAX_OPERANDS], struct sb_error *err) {
    const char *name = call->operation->name;
    if (call->algorithm && strncmp(call->algorithm, "engine_", 7) == 0)
        return sb_cudnn_graph(cudnn, call, device, err);
    struct convolution of = {.direction = strcmp(name, "conv2d") == 0                 ? &forward
                                          : strcmp(name, "conv2d_gradient_data") == 0 ? &data
                                                                                      : &filter};
    int rc = work_on(cudnn, call, &of, device, err);
    clear(cudnn, &of);
    return rc;
}

int sb_cudnn_convolution(void *state, const struct sb_call *call, struct sb_error *err) {
    return sb_cudnn_do(state, call, work, err);
}
