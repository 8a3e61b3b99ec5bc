/* Tests, stand-in for libcudnn: convolutions. Algorithms differ in where a sum begins; those that
 * cuDNN's header calls non-deterministic begin anywhere. */
#include "kernels/tests/standin/dnn.h"

#include <stdlib.h>
#include <string.h>

bool sb_standin_dnn_fits(const char *who, const struct sb_standin_convolution *of) {
    int wanted[4] = {of->x[0], of->w[0]};
    for (int i = 0; i < 2; i++)
        wanted[2 + i] =
            (of->x[2 + i] + 2 * of->padding[i] - of->dilation[i] * (of->w[2 + i] - 1) - 1) /
                of->stride[i] +
            1;
    if (of->x[1] == of->w[1] && memcmp(wanted, of->y, sizeof wanted) == 0)
        return true;
    sb_standin_refuse("%s: y is [%d,%d,%d,%d], x and w make [%d,%d,%d,%d]", who, of->y[0], of->y[1],
                      of->y[2], of->y[3], wanted[0], wanted[1], wanted[2], wanted[3]);
    return false;
}

static bool describe(const char *who, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                     cudnnConvolutionDescriptor_t window, cudnnTensorDescriptor_t y,
                     struct sb_standin_convolution *of) {
    if (!sb_standin_is(who, sb_standin_tensor, x) || !sb_standin_is(who, sb_standin_filter, w) ||
        !sb_standin_is(who, sb_standin_convolution, window) ||
        !sb_standin_is(who, sb_standin_tensor, y))
        return false;
    if (!window->set || !x->dims[0] || !w->dims[0] || !y->dims[0] || x->dims[1] != w->dims[1] ||
        x->type != w->type || x->type != y->type) {
        sb_standin_refuse("%s: x and w do not go together, or were never set", who);
        return false;
    }
    if (window->compute != (x->type == CUDA_R_64F ? CUDNN_DATA_DOUBLE : CUDNN_DATA_FLOAT)) {
        sb_standin_refuse("%s: the compute type does not go with the tensors", who);
        return false;
    }
    of->type = x->type;
    memcpy(of->x, x->dims, sizeof of->x);
    memcpy(of->w, w->dims, sizeof of->w);
    memcpy(of->y, y->dims, sizeof of->y);
    memcpy(of->padding, window->padding, sizeof of->padding);
    memcpy(of->stride, window->stride, sizeof of->stride);
    memcpy(of->dilation, window->dilation, sizeof of->dilation);
    return sb_standin_dnn_fits(who, of);
}

/* ---- Algorithms ------------------------------------------------------------------------------ */

static bool atomic(enum sb_standin_direction direction, int algorithm) {
    return (direction == SB_STANDIN_DATA && algorithm == CUDNN_CONVOLUTION_BWD_DATA_ALGO_0) ||
           (direction == SB_STANDIN_FILTER && (algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_0 ||
                                               algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3));
}

/* Those by transforms want 3x3 windows that move by one, as cuDNN's Winograd does. */
static cudnnStatus_t supports(const struct sb_standin_convolution *of, int algorithm) {
    static const int plain[] = {3, 2, 2}; /* the first so many, and filter's ALGO_3 */
    bool filter_3 =
        of->direction == SB_STANDIN_FILTER && algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_3;
    bool never =
        (of->direction == SB_STANDIN_FORWARD && algorithm == CUDNN_CONVOLUTION_FWD_ALGO_DIRECT) ||
        (of->direction == SB_STANDIN_FILTER &&
         algorithm == CUDNN_CONVOLUTION_BWD_FILTER_ALGO_WINOGRAD);
    if (never)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (algorithm < plain[of->direction] || filter_3)
        return CUDNN_STATUS_SUCCESS;
    return of->w[2] == 3 && of->w[3] == 3 && of->stride[0] == 1 && of->dilation[0] == 1
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_NOT_SUPPORTED;
}

static size_t workspace_of(int algorithm) {
    return (size_t)algorithm * 1024;
}

static const int counts[] = {CUDNN_CONVOLUTION_FWD_ALGO_COUNT,
                             CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT,
                             CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT};

/* SAMEBITS_STANDIN_LIES=1 claims of every algorithm that its results repeat. */
static cudnnDeterminism_t claim(enum sb_standin_direction direction, int algorithm) {
    return atomic(direction, algorithm) && !getenv("SAMEBITS_STANDIN_LIES")
               ? CUDNN_NON_DETERMINISTIC
               : CUDNN_DETERMINISTIC;
}

#define DEFINE_PROPOSE(function, which, perf, algo_type, first, second, third, X, W, Y)            \
    cudnnStatus_t function(cudnnHandle_t handle, const first, const second,                        \
                           const cudnnConvolutionDescriptor_t window, const third, int wanted,     \
                           int *n, perf *results) {                                                \
        struct sb_standin_convolution of = {.direction = which};                                   \
        if (!sb_standin_dnn_ready(#function, handle) ||                                            \
            !describe(#function, X, W, window, Y, &of))                                            \
            return CUDNN_STATUS_BAD_PARAM;                                                         \
        *n = wanted < counts[which] ? wanted : counts[which];                                      \
        for (int i = 0; i < *n; i++)                                                               \
            results[i] = (perf){.algo = (algo_type)i,                                              \
                                .status = supports(&of, i),                                        \
                                .memory = workspace_of(i),                                         \
                                .determinism = claim(which, i),                                    \
                                .mathType = window->math};                                         \
        return CUDNN_STATUS_SUCCESS;                                                               \
    }
DEFINE_PROPOSE(cudnnGetConvolutionForwardAlgorithm_v7, SB_STANDIN_FORWARD,
               cudnnConvolutionFwdAlgoPerf_t, cudnnConvolutionFwdAlgo_t, cudnnTensorDescriptor_t x,
               cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t y, x, w, y)
DEFINE_PROPOSE(cudnnGetConvolutionBackwardDataAlgorithm_v7, SB_STANDIN_DATA,
               cudnnConvolutionBwdDataAlgoPerf_t, cudnnConvolutionBwdDataAlgo_t,
               cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t y, cudnnTensorDescriptor_t x, x,
               w, y)
DEFINE_PROPOSE(cudnnGetConvolutionBackwardFilterAlgorithm_v7, SB_STANDIN_FILTER,
               cudnnConvolutionBwdFilterAlgoPerf_t, cudnnConvolutionBwdFilterAlgo_t,
               cudnnTensorDescriptor_t x, cudnnTensorDescriptor_t y, cudnnFilterDescriptor_t w, x,
               w, y)

#define DEFINE_WORKSPACE(function, which, algo_type, first, second, third, X, W, Y)                \
    cudnnStatus_t function(cudnnHandle_t handle, const first, const second,                        \
                           const cudnnConvolutionDescriptor_t window, const third, algo_type algo, \
                           size_t *bytes) {                                                        \
        struct sb_standin_convolution of = {.direction = which};                                   \
        if (!sb_standin_dnn_ready(#function, handle) ||                                            \
            !describe(#function, X, W, window, Y, &of))                                            \
            return CUDNN_STATUS_BAD_PARAM;                                                         \
        *bytes = workspace_of((int)algo);                                                          \
        return supports(&of, (int)algo);                                                           \
    }
DEFINE_WORKSPACE(cudnnGetConvolutionForwardWorkspaceSize, SB_STANDIN_FORWARD,
                 cudnnConvolutionFwdAlgo_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
                 cudnnTensorDescriptor_t y, x, w, y)
DEFINE_WORKSPACE(cudnnGetConvolutionBackwardDataWorkspaceSize, SB_STANDIN_DATA,
                 cudnnConvolutionBwdDataAlgo_t, cudnnFilterDescriptor_t w,
                 cudnnTensorDescriptor_t y, cudnnTensorDescriptor_t x, x, w, y)
DEFINE_WORKSPACE(cudnnGetConvolutionBackwardFilterWorkspaceSize, SB_STANDIN_FILTER,
                 cudnnConvolutionBwdFilterAlgo_t, cudnnTensorDescriptor_t x,
                 cudnnTensorDescriptor_t y, cudnnFilterDescriptor_t w, x, w, y)

/* ---- The sums -------------------------------------------------------------------------------- */

/* Products of one element of the output, in `terms`. */
struct terms {
    double *at;
    size_t n;
};

/* Adds the product of the taps at (n,k,p,q) and (c,r,s), if it is one of this element. */
static void add(const struct sb_standin_convolution *of, struct terms *terms, const int nkpq[4],
                const int crs[3]) {
    int h = nkpq[2] * of->stride[0] + crs[1] * of->dilation[0] - of->padding[0];
    int w = nkpq[3] * of->stride[1] + crs[2] * of->dilation[1] - of->padding[1];
    if (h < 0 || w < 0 || h >= of->x[2] || w >= of->x[3])
        return;
    size_t x =
        (((size_t)nkpq[0] * (size_t)of->x[1] + (size_t)crs[0]) * (size_t)of->x[2] + (size_t)h) *
            (size_t)of->x[3] +
        (size_t)w;
    size_t f = (((size_t)nkpq[1] * (size_t)of->w[1] + (size_t)crs[0]) * (size_t)of->w[2] +
                (size_t)crs[1]) *
                   (size_t)of->w[3] +
               (size_t)crs[2];
    size_t y = (((size_t)nkpq[0] * (size_t)of->y[1] + (size_t)nkpq[1]) * (size_t)of->y[2] +
                (size_t)nkpq[2]) *
                   (size_t)of->y[3] +
               (size_t)nkpq[3];
    size_t out = of->direction == SB_STANDIN_FORWARD ? y : of->direction == SB_STANDIN_DATA ? x : f;
    size_t a = of->direction == SB_STANDIN_DATA ? f : x,
           b = of->direction == SB_STANDIN_FORWARD ? f : y;
    struct terms *to = &terms[out];
    if (to->n % 16 == 0)
        to->at = realloc(to->at, (to->n + 16) * sizeof *to->at);
    if (!to->at)
        abort();
    to->at[to->n++] = sb_standin_value(of->type, of->a, a) * sb_standin_value(of->type, of->b, b);
}

static void convolve(void *arg) {
    const struct sb_standin_convolution *of = arg;
    const int *dims = of->direction == SB_STANDIN_FORWARD ? of->y
                      : of->direction == SB_STANDIN_DATA  ? of->x
                                                          : of->w;
    size_t n = sb_standin_dnn_elements(dims);
    struct terms *terms = calloc(n, sizeof *terms);
    if (!terms)
        abort();
    int y[4], f[3];
    for (y[0] = 0; y[0] < of->y[0]; y[0]++)
        for (y[1] = 0; y[1] < of->y[1]; y[1]++)
            for (y[2] = 0; y[2] < of->y[2]; y[2]++)
                for (y[3] = 0; y[3] < of->y[3]; y[3]++)
                    for (f[0] = 0; f[0] < of->w[1]; f[0]++)
                        for (f[1] = 0; f[1] < of->w[2]; f[1]++)
                            for (f[2] = 0; f[2] < of->w[3]; f[2]++)
                                add(of, terms, y, f);
    for (size_t i = 0; i < n; i++) {
        size_t first = of->anywhere ? sb_standin_random(1 << 20) : of->first;
        sb_standin_store(of->type, of->out, i,
                         sb_standin_dnn_sum(of->type, terms[i].at, terms[i].n, first));
        free(terms[i].at);
    }
    free(terms);
}

bool sb_standin_dnn_convolve(const char *who, cudaStream_t stream,
                             const struct sb_standin_convolution *of) {
    const int *dims[] = {of->x, of->w, of->y};
    static const int order[3][3] = {{0, 1, 2}, {1, 2, 0}, {0, 2, 1}}; /* a, b, out */
    const void *at[] = {of->a, of->b, of->out};
    for (int i = 0; i < 3; i++) {
        size_t elements = sb_standin_dnn_elements(dims[order[of->direction][i]]);
        if (!sb_standin_dnn_memory(who, i == 2 ? "the output" : "an input", at[i],
                                   elements * sb_standin_size(of->type)))
            return false;
    }
    bool good = sb_standin_enqueue(who, stream, convolve, of, sizeof *of);
    if (good)
        sb_standin_fault(who, stream, of->type, of->out);
    return good;
}

/* ---- The calls ------------------------------------------------------------------------------- */

static cudnnStatus_t start(const char *who, cudnnHandle_t handle, struct sb_standin_convolution *of,
                           int algorithm, void *workspace, size_t bytes, const void *alpha,
                           const void *beta) {
    if (!sb_standin_dnn_scalars(who, of->type, alpha, beta))
        return CUDNN_STATUS_BAD_PARAM;
    if (bytes < workspace_of(algorithm)) {
        sb_standin_refuse("%s: %zu bytes of workspace, the algorithm needs %zu", who, bytes,
                          workspace_of(algorithm));
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (bytes && !sb_standin_on_device(who, "the workspace", workspace, bytes))
        return CUDNN_STATUS_BAD_PARAM;
    if (supports(of, algorithm) != CUDNN_STATUS_SUCCESS)
        return CUDNN_STATUS_NOT_SUPPORTED;
    of->first = (size_t)algorithm;
    of->anywhere = atomic(of->direction, algorithm);
    return sb_standin_dnn_status(sb_standin_dnn_convolve(who, handle->stream, of));
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      const cudnnTensorDescriptor_t x_desc, const void *x,
                                      const cudnnFilterDescriptor_t w_desc, const void *w,
                                      const cudnnConvolutionDescriptor_t window,
                                      cudnnConvolutionFwdAlgo_t algo, void *workspace, size_t bytes,
                                      const void *beta, const cudnnTensorDescriptor_t y_desc,
                                      void *y) {
    static const char who[] = "cudnnConvolutionForward";
    struct sb_standin_convolution of = {.direction = SB_STANDIN_FORWARD, .a = x, .b = w, .out = y};
    if (!sb_standin_dnn_ready(who, handle) || !describe(who, x_desc, w_desc, window, y_desc, &of))
        return CUDNN_STATUS_BAD_PARAM;
    return start(who, handle, &of, (int)algo, workspace, bytes, alpha, beta);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha,
                                           const cudnnFilterDescriptor_t w_desc, const void *w,
                                           const cudnnTensorDescriptor_t dy_desc, const void *dy,
                                           const cudnnConvolutionDescriptor_t window,
                                           cudnnConvolutionBwdDataAlgo_t algo, void *workspace,
                                           size_t bytes, const void *beta,
                                           const cudnnTensorDescriptor_t dx_desc, void *dx) {
    static const char who[] = "cudnnConvolutionBackwardData";
    struct sb_standin_convolution of = {.direction = SB_STANDIN_DATA, .a = w, .b = dy, .out = dx};
    if (!sb_standin_dnn_ready(who, handle) || !describe(who, dx_desc, w_desc, window, dy_desc, &of))
        return CUDNN_STATUS_BAD_PARAM;
    return start(who, handle, &of, (int)algo, workspace, bytes, alpha, beta);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha,
                                             const cudnnTensorDescriptor_t x_desc, const void *x,
                                             const cudnnTensorDescriptor_t dy_desc, const void *dy,
                                             const cudnnConvolutionDescriptor_t window,
                                             cudnnConvolutionBwdFilterAlgo_t algo, void *workspace,
                                             size_t bytes, const void *beta,
                                             const cudnnFilterDescriptor_t dw_desc, void *dw) {
    static const char who[] = "cudnnConvolutionBackwardFilter";
    struct sb_standin_convolution of = {.direction = SB_STANDIN_FILTER, .a = x, .b = dy, .out = dw};
    if (!sb_standin_dnn_ready(who, handle) || !describe(who, x_desc, dw_desc, window, dy_desc, &of))
        return CUDNN_STATUS_BAD_PARAM;
    return start(who, handle, &of, (int)algo, workspace, bytes, alpha, beta);
}
