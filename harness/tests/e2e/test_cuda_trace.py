"""Traces of calls of CUDA's libraries, made by programs that are linked to stand-ins for them: the stand-ins compute on the
CPU, keep what they call device memory from being touched, and do a stream's work when somebody waits for it."""
import json
import os
import re
import subprocess

import program
from traced import ONCE, SAVE, Traced

TWICE = ("--repeats", "2", "--exact-repeats", "--trace", "--out", "out")
FAULT = "SAMEBITS_STANDIN_FAULT"

START = SAVE + r"""
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
static cudaStream_t stream;
static cublasHandle_t handle;
static const float one = 1, zero = 0, half = 0.5f;
static void *up(const void *from, size_t n) {
    void *at = NULL;
    cudaMalloc(&at, n);
    cudaMemcpyAsync(at, from, n, cudaMemcpyHostToDevice, stream);
    return at;
}
static void start(void) {
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cublasCreate(&handle);
    cublasSetStream(handle, stream);
}
static int finish(const void *device, size_t n) {
    char host[4096];
    cudaMemcpyAsync(host, device, n, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    return save(host, n);
}
#define N CUBLAS_OP_N
#define T CUBLAS_OP_T
#define R CUDA_R_32F
#define MUST(call) do { if (call) { fprintf(stderr, "failed: %s\n", #call); exit(1); } } while (0)
"""

CHAIN = START + r"""
int main(void) {
    float a[20], b[15], c[48], dot = 0;
    for (int i = 0; i < 20; i++) a[i] = 1 + i % 7;
    for (int i = 0; i < 15; i++) b[i] = 2 - i % 5;
    for (int i = 0; i < 48; i++) c[i] = i;
    start();
    float *A = up(a, sizeof a), *B = up(b, sizeof b), *C = up(c, sizeof c);
    MUST(cublasGemmEx(handle, N, N, 4, 3, 5, &one, A, R, 4, B, R, 5, &zero, C, R, 4, CUBLAS_COMPUTE_32F,
                      CUBLAS_GEMM_DEFAULT));
    for (int i = 1; i < 4; i++) MUST(cublasSgemm(handle, N, N, 4, 3, 5, &half, A, 4, B, 5, &half, C + 12 * i, 4));
    MUST(cublasSgemm_64(handle, T, N, 3, 3, 4, &half, C, 4, C, 4, &zero, A, 3));
    MUST(cublasSgemv(handle, N, 4, 3, &one, C, 4, B, 1, &zero, A, 1));
    MUST(cublasDotEx(handle, 48, C, R, 1, C, R, 1, &dot, R, R));
    return finish(C, sizeof c);
}
"""

# Pairs of calls that differ in what they must not read; each with other garbage there.
UNREAD = START + r"""
int main(void) {
    start();
    for (int i = 0; i < 2; i++) {
        float wide[8] = {1, 2, 70 + i, 71 + i, 3, 4, 72 + i, 73 + i}, dense[4] = {1, 2, 3, 4}, any[4] = {5 + i, 6, 7, 8};
        float upper[4] = {1, 90 + i, 2, 3}, scalars[2] = {0.5f, 0};
        float *W = up(wide, sizeof wide), *D = up(dense, sizeof dense), *C = up(any, sizeof any), *U = up(upper, sizeof upper);
        float *S = up(scalars, sizeof scalars);
        MUST(cublasSgemm(handle, N, N, 2, 2, 2, &one, i ? W : D, i ? 4 : 2, D, 2, &zero, C, 2));
        MUST(cublasSgemv(handle, N, 2, 2, &one, W, 4, D, 1, &zero, C, 1));
        MUST(cublasSsymv(handle, CUBLAS_FILL_MODE_UPPER, 2, &one, U, 2, D, 1, &zero, C, 1));
        /* With factors on the device, and then not. */
        cublasSetPointerMode(handle, i ? CUBLAS_POINTER_MODE_HOST : CUBLAS_POINTER_MODE_DEVICE);
        MUST(cublasSgemm(handle, N, N, 2, 2, 2, i ? &scalars[0] : S, D, 2, D, 2, i ? &scalars[1] : S + 1, C, 2));
        cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_HOST);
        /* Long columns, which are read in pieces. */
        long n = 300000 + 100 * i;
        float *column = calloc(2 * n, sizeof *column);
        for (long j = 0; j < n; j++) column[j] = column[n + j] = j < 300000 ? j % 13 : 99 + i;
        float *L = up(column, 2 * n * sizeof *column), *Z = up(any, sizeof any);
        MUST(cublasSgemm(handle, T, N, 2, 2, 300000, &one, L, n, L, n, &zero, Z, 2));
        free(column);
    }
    MUST(cublasSgemm(handle, N, N, 2, 2, 2, &half, up(&half, 16), 2, up(&half, 16), 2, &zero, up(&half, 16), 2));
    return save("x", 1);
}
"""

# The same products: one by one, by a stride, by a list of addresses on the device.
BATCHES = START + r"""
int main(void) {
    float a[12], b[12], c[12] = {0};
    for (int i = 0; i < 12; i++) { a[i] = i; b[i] = 12 - i; }
    if (getenv("DATA")) b[11] = atof(getenv("DATA"));
    start();
    float *A = up(a, sizeof a), *B = up(b, sizeof b), *C = up(c, sizeof c);
    MUST(cublasSgemmStridedBatched(handle, N, N, 2, 2, 2, &one, A, 2, 4, B, 2, 4, &zero, C, 2, 4, 3));
    /* The blocks lie close together here, and apart there. */
    float *as[3] = {A, A + 4, A + 8}, *bs[3] = {B, B + 4, B + 8}, *cs[3] = {C, C + 4, C + 8};
    MUST(cublasSgemmBatched(handle, N, N, 2, 2, 2, &one, (const float **)up(as, sizeof as), 2,
                            (const float **)up(bs, sizeof bs), 2, &zero, (float **)up(cs, sizeof cs), 2, 3));
    return finish(C, sizeof c);
}
"""

CAPTURE = START + r"""
int main(void) {
    float a[4] = {1, 2, 3, 4};
    start();
    float *A = up(a, sizeof a), *C = up(a, sizeof a);
    cudaGraph_t graph;
    MUST(cublasSgemm(handle, N, N, 2, 2, 2, &one, A, 2, A, 2, &zero, C, 2));
    MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    MUST(cublasSgemm(handle, N, N, 2, 2, 2, &one, A, 2, A, 2, &zero, C, 2));
    MUST(cudaStreamEndCapture(stream, &graph));
    MUST(cublasSgemm(handle, N, N, 2, 2, 2, &one, A, 2, A, 2, &zero, C, 2));
    /* Refused: a matrix with too few rows. */
    if (!cublasSgemm(handle, N, N, 2, 2, 2, &one, A, 1, A, 2, &zero, C, 2)) return 1;
    return finish(C, sizeof a);
}
"""

# A thread that has called nothing of CUDA before.
THREAD = START + r"""
#include <pthread.h>
static float *A, *C;
static void *multiply(void *nothing) {
    MUST(cublasSgemm(handle, N, N, 2, 2, 2, &one, A, 2, A, 2, &zero, C, 2));
    return NULL;
}
int main(void) {
    float a[4] = {1, 2, 3, 4};
    pthread_t thread;
    start();
    A = up(a, sizeof a);
    C = up(a, sizeof a);
    multiply(NULL);
    pthread_create(&thread, NULL, multiply, NULL);
    pthread_join(thread, NULL);
    return finish(C, sizeof a);
}
"""

# What another stream has to do first, and what this one has: no call sees data that is not there yet.
STREAMS = START + r"""
int main(void) {
    float a[4] = {1, 2, 3, 4};
    cudaStream_t other;
    cudaEvent_t done;
    start();
    cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    float *A = up(a, sizeof a), *B = up(a, sizeof a), *C = up(a, sizeof a);
    int turns = atoi(getenv("TURNS"));
    for (int i = 0; i < 4; i++) {
        MUST(cublasSgemm(handle, N, N, 2, 2, 2, &half, A, 2, A, 2, &zero, B, 2));
        if (turns) {
            cudaEventRecord(done, stream);
            cudaStreamWaitEvent(other, done, 0);
            cublasSetStream(handle, other);
        }
        MUST(cublasSgemm(handle, N, N, 2, 2, 2, &half, A, 2, B, 2, &zero, C, 2));
        MUST(cublasSgemm(handle, N, N, 2, 2, 2, &half, B, 2, C, 2, &zero, A, 2));
        if (turns) {
            cudaEventRecord(done, other);
            cudaStreamWaitEvent(stream, done, 0);
            cublasSetStream(handle, stream);
        }
    }
    return finish(A, sizeof a);
}
"""


# A product with what is added to it, twice with another leading dimension and other garbage.
LT = START + r"""
#include <cublasLt.h>
int main(void) {
    float dense[6] = {1, 2, 3, 4, 5, 6}, bias[3] = {1, 2, 3};
    if (getenv("DATA")) bias[2] = atof(getenv("DATA"));
    cublasLtHandle_t lt;
    start();
    cublasLtCreate(&lt);
    float *C = NULL;
    for (int i = 0; i < 3; i++) {
        int ld = i ? 8 : 3;
        float wide[16], any[16];
        for (int j = 0; j < 16; j++) wide[j] = 70 + i + j, any[j] = i * j;
        for (int j = 0; j < 6; j++) wide[j / 3 * ld + j % 3] = dense[j];
        float *A = up(wide, sizeof wide), *B = up(dense, sizeof dense), *bias_ = up(bias, sizeof bias);
        C = up(any, sizeof any);
        cublasLtMatmulDesc_t product;
        cublasLtMatrixLayout_t a, b, c;
        cublasLtMatmulPreference_t preference;
        cublasLtMatmulHeuristicResult_t found;
        cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
        int n;
        MUST(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, R));
        if (i < 2) {
            MUST(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
            MUST(cublasLtMatmulDescSetAttribute(product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias_, sizeof bias_));
        }
        MUST(cublasLtMatrixLayoutCreate(&a, R, 3, 2, ld));
        MUST(cublasLtMatrixLayoutCreate(&b, R, 2, 2, 3));
        MUST(cublasLtMatrixLayoutCreate(&c, R, 3, 2, ld));
        MUST(cublasLtMatmulPreferenceCreate(&preference));
        MUST(cublasLtMatmulAlgoGetHeuristic(lt, product, a, b, c, c, preference, 1, &found, &n));
        MUST(cublasLtMatmul(lt, product, &one, A, a, B, b, &zero, C, c, C, c, &found.algo, NULL, 0, stream));
    }
    return finish(C, 11 * sizeof *C);
}
"""

# Two ranks of one process, in one group and in the next: what they give is there after the group's end.
REDUCTIONS = START + r"""
#include <nccl.h>
int main(void) {
    ncclComm_t ranks[2];
    float *from[2], *to[2];
    cudaStream_t streams[2];
    MUST(ncclCommInitAll(ranks, 2, NULL));
    for (int r = 0; r < 2; r++) {
        float mine[3] = {1 + r, 2, 0.1f}, none[3] = {0};
        cudaSetDevice(r);
        start();
        streams[r] = stream;
        if (r && getenv("DATA")) mine[2] = atof(getenv("DATA"));
        from[r] = up(mine, sizeof mine);
        to[r] = up(none, sizeof none);
    }
    for (int i = 0; i < 2; i++) {
        MUST(ncclGroupStart());
        for (int r = 0; r < 2; r++)
            MUST(ncclAllReduce(i ? to[r] : from[r], to[r], 3, ncclFloat, ncclSum, ranks[r], streams[r]));
        MUST(ncclGroupEnd());
    }
    return finish(to[1], 12);
}
"""


# A small network's layers, there and back; each result is kept.
LAYERS = START + r"""
#include <cudnn.h>
static cudnnHandle_t dnn;
static char kept[4096];
static size_t used;
static cudnnTensorDescriptor_t tensor(int n, int c, int h, int w) {
    cudnnTensorDescriptor_t made;
    cudnnCreateTensorDescriptor(&made);
    MUST(cudnnSetTensor4dDescriptor(made, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, n, c, h, w));
    return made;
}
static float *numbers(int n, int seed) {
    float values[256];
    for (int i = 0; i < n; i++) values[i] = ((i * 37 + seed * 11) % 19 - 9) / 8.0f;
    return up(values, n * sizeof *values);
}
/* Work that is waited for here only once all calls are made. */
static void keep(const void *device, size_t n) {
    cudaMemcpyAsync(kept + used, device, n * sizeof(float), cudaMemcpyDeviceToHost, stream);
    used += n * sizeof(float);
}
int main(void) {
    start();
    MUST(cudnnCreate(&dnn));
    MUST(cudnnSetStream(dnn, stream));
    cudnnTensorDescriptor_t X = tensor(2, 3, 4, 4), Y = tensor(2, 4, 4, 4), P = tensor(2, 4, 2, 2), C = tensor(1, 4, 1, 1),
                            S = tensor(4, 5, 1, 1), L = tensor(4, 2, 3, 1);
    cudnnFilterDescriptor_t W;
    cudnnConvolutionDescriptor_t window;
    cudnnPoolingDescriptor_t largest, mean;
    cudnnActivationDescriptor_t relu;
    cudnnCreateFilterDescriptor(&W);
    cudnnCreateConvolutionDescriptor(&window);
    cudnnCreatePoolingDescriptor(&largest);
    cudnnCreatePoolingDescriptor(&mean);
    cudnnCreateActivationDescriptor(&relu);
    MUST(cudnnSetFilter4dDescriptor(W, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 4, 3, 3, 3));
    MUST(cudnnSetConvolution2dDescriptor(window, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT));
    MUST(cudnnSetPooling2dDescriptor(largest, CUDNN_POOLING_MAX_DETERMINISTIC, CUDNN_PROPAGATE_NAN, 2, 2, 0, 0, 2, 2));
    MUST(cudnnSetPooling2dDescriptor(mean, CUDNN_POOLING_AVERAGE_COUNT_INCLUDE_PADDING, CUDNN_PROPAGATE_NAN, 2, 2, 0, 0, 2, 2));
    MUST(cudnnSetActivationDescriptor(relu, CUDNN_ACTIVATION_RELU, CUDNN_PROPAGATE_NAN, 0));
    float *x = numbers(96, 1), *w = numbers(108, 2), *y = numbers(128, 3), *dx = numbers(96, 4), *dw = numbers(108, 5),
          *p = numbers(32, 6), *dy = numbers(128, 7), *z = numbers(128, 8), *s = numbers(20, 9), *t = numbers(20, 10),
          *room = numbers(256, 0), *c[7];
    for (int i = 0; i < 7; i++) c[i] = numbers(4, 11 + i);
    MUST(cudnnConvolutionForward(dnn, &one, X, x, W, w, window, 0, NULL, 0, &zero, Y, y));
    keep(y, 128);
    MUST(cudnnConvolutionBackwardData(dnn, &one, W, w, Y, y, window, 1, room, 1024, &zero, X, dx));
    keep(dx, 96);
    MUST(cudnnConvolutionBackwardFilter(dnn, &one, X, x, Y, y, window, 1, room, 1024, &zero, W, dw));
    keep(dw, 108);
    MUST(cudnnPoolingForward(dnn, largest, &one, Y, y, &zero, P, p));
    keep(p, 32);
    MUST(cudnnPoolingBackward(dnn, largest, &one, P, p, P, p, Y, y, &zero, Y, dy));
    keep(dy, 128);
    MUST(cudnnPoolingBackward(dnn, mean, &one, P, p, P, p, Y, dy, &zero, Y, dy));
    keep(dy, 128);
    MUST(cudnnActivationForward(dnn, relu, &one, Y, y, &zero, Y, z));
    keep(z, 128);
    MUST(cudnnActivationBackward(dnn, relu, &one, Y, z, Y, y, Y, y, &zero, Y, dy));
    keep(dy, 1);
    MUST(cudnnSoftmaxForward(dnn, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, &one, S, s, &zero, S, t));
    keep(t, 20);
    MUST(cudnnSoftmaxBackward(dnn, CUDNN_SOFTMAX_ACCURATE, CUDNN_SOFTMAX_MODE_CHANNEL, &one, S, t, S, s, &zero, S, s));
    keep(s, 20);
    MUST(cudnnBatchNormalizationForwardTraining(dnn, CUDNN_BATCHNORM_SPATIAL, &one, &zero, Y, y, Y, z, C, c[0], c[1], 1, c[2],
                                                c[3], 1e-5, c[4], c[5]));
    keep(z, 4);
    MUST(cudnnBatchNormalizationBackward(dnn, CUDNN_BATCHNORM_SPATIAL, &one, &zero, &one, &zero, Y, y, Y, z, Y, dy, C, c[0],
                                         c[1], c[6], 1e-5, c[4], c[5]));
    keep(dy, 4);
    cudnnCTCLossDescriptor_t ctc;
    const int labels[] = {1, 2}, lengths[] = {1, 1}, steps[] = {4, 4};
    cudnnCreateCTCLossDescriptor(&ctc);
    MUST(cudnnSetCTCLossDescriptorEx(ctc, CUDNN_DATA_FLOAT, CUDNN_LOSS_NORMALIZATION_SOFTMAX, CUDNN_PROPAGATE_NAN));
    MUST(cudnnCTCLoss(dnn, L, numbers(24, 20), labels, lengths, steps, c[0], L, numbers(24, 21), CUDNN_CTC_LOSS_ALGO_DETERMINISTIC,
                      ctc, room, 1024));
    keep(c[0], 2);
    cudaStreamSynchronize(stream);
    return save(kept, used);
}
"""


# A convolution by cuDNN's graphs, by one of two engines.
GRAPH = START + r"""
#include <cudnn.h>
static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made;
    MUST(cudnnBackendCreateDescriptor(type, &made));
    return made;
}
#define SET(to, name, type, n, ...) MUST(cudnnBackendSetAttribute(to, CUDNN_ATTR_##name, CUDNN_TYPE_##type, n, __VA_ARGS__))
#define WHOLE(...) (int64_t[]){__VA_ARGS__}
static cudnnBackendDescriptor_t tensor(int64_t id, int64_t n, int64_t c, int64_t h, int64_t w) {
    cudnnBackendDescriptor_t made = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    SET(made, TENSOR_DATA_TYPE, DATA_TYPE, 1, &type);
    SET(made, TENSOR_DIMENSIONS, INT64, 4, WHOLE(n, c, h, w));
    SET(made, TENSOR_STRIDES, INT64, 4, WHOLE(c * h * w, h * w, w, 1));
    SET(made, TENSOR_UNIQUE_ID, INT64, 1, &id);
    SET(made, TENSOR_BYTE_ALIGNMENT, INT64, 1, WHOLE(16));
    MUST(cudnnBackendFinalize(made));
    return made;
}
int main(void) {
    cudnnHandle_t dnn;
    float x[96], w[108], y[128] = {0};
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    start();
    MUST(cudnnCreate(&dnn));
    MUST(cudnnSetStream(dnn, stream));
    for (int i = 0; i < 96; i++) x[i] = (i * 37 % 19 - 9) / 7.0f;
    for (int i = 0; i < 108; i++) w[i] = (i * 17 % 23 - 9) / 7.0f;
    if (getenv("DATA")) w[107] = atof(getenv("DATA"));
    void *addresses[] = {up(x, sizeof x), up(w, sizeof w), up(y, sizeof y)}, *workspace = up(y, 8 * sizeof y);
    cudnnBackendDescriptor_t X = tensor(7, 2, 3, 4, 4), W = tensor(8, 4, 3, 3, 3), Y = tensor(9, 2, 4, 4, 4),
        window = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR), graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR),
        operation = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR),
        pack = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR), plans[2];
    SET(window, CONVOLUTION_COMP_TYPE, DATA_TYPE, 1, &compute);
    SET(window, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, 1, &mode);
    SET(window, CONVOLUTION_SPATIAL_DIMS, INT64, 1, WHOLE(2));
    SET(window, CONVOLUTION_FILTER_STRIDES, INT64, 2, WHOLE(1, 1));
    SET(window, CONVOLUTION_PRE_PADDINGS, INT64, 2, WHOLE(1, 1));
    SET(window, CONVOLUTION_POST_PADDINGS, INT64, 2, WHOLE(1, 1));
    SET(window, CONVOLUTION_DILATIONS, INT64, 2, WHOLE(1, 1));
    MUST(cudnnBackendFinalize(window));
    SET(operation, OPERATION_CONVOLUTION_FORWARD_X, BACKEND_DESCRIPTOR, 1, &X);
    SET(operation, OPERATION_CONVOLUTION_FORWARD_W, BACKEND_DESCRIPTOR, 1, &W);
    SET(operation, OPERATION_CONVOLUTION_FORWARD_Y, BACKEND_DESCRIPTOR, 1, &Y);
    SET(operation, OPERATION_CONVOLUTION_FORWARD_CONV_DESC, BACKEND_DESCRIPTOR, 1, &window);
    SET(operation, OPERATION_CONVOLUTION_FORWARD_ALPHA, FLOAT, 1, &one);
    SET(operation, OPERATION_CONVOLUTION_FORWARD_BETA, FLOAT, 1, &zero);
    MUST(cudnnBackendFinalize(operation));
    SET(graph, OPERATIONGRAPH_HANDLE, HANDLE, 1, &dnn);
    SET(graph, OPERATIONGRAPH_OPS, BACKEND_DESCRIPTOR, 1, &operation);
    MUST(cudnnBackendFinalize(graph));
    for (int i = 0; i < 2; i++) {
        cudnnBackendDescriptor_t engine = make(CUDNN_BACKEND_ENGINE_DESCRIPTOR),
                                 configuration = make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
        plans[i] = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        SET(engine, ENGINE_OPERATION_GRAPH, BACKEND_DESCRIPTOR, 1, &graph);
        SET(engine, ENGINE_GLOBAL_INDEX, INT64, 1, WHOLE(getenv("ENGINE") ? atoi(getenv("ENGINE")) : 0));
        MUST(cudnnBackendFinalize(engine));
        SET(configuration, ENGINECFG_ENGINE, BACKEND_DESCRIPTOR, 1, &engine);
        MUST(cudnnBackendFinalize(configuration));
        SET(plans[i], EXECUTION_PLAN_HANDLE, HANDLE, 1, &dnn);
        SET(plans[i], EXECUTION_PLAN_ENGINE_CONFIG, BACKEND_DESCRIPTOR, 1, &configuration);
        MUST(cudnnBackendFinalize(plans[i]));
    }
    SET(pack, VARIANT_PACK_UNIQUE_IDS, INT64, 3, WHOLE(7, 8, 9));
    SET(pack, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 3, addresses);
    SET(pack, VARIANT_PACK_WORKSPACE, VOID_PTR, 1, &workspace);
    MUST(cudnnBackendFinalize(pack));
    for (int i = 0; i < 2; i++) MUST(cudnnBackendExecute(dnn, plans[i], pack));
    MUST(cudnnBackendDestroyDescriptor(plans[1]));
    return finish(addresses[2], sizeof y);
}
"""


HEADERS = ("cublas_api.h", "cublasLt.h", "cudnn_ops.h", "cudnn_cnn.h", "cudnn_adv.h", "cudnn_graph.h", "nccl.h")


def prototypes(names):
    """Of functions in CUDA's headers, the types of their parameters: "double", or "int" for what general registers hold."""
    text = ""
    for header in HEADERS:
        path = os.path.join(os.environ["SAMEBITS_CUDA_INCLUDE"], header)
        if os.path.exists(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read(), flags=re.S)
    found = {}
    for name in names:
        match = re.search(r"(?:Status_t|ncclResult_t)\b[\sA-Z]*\b" + name + r"\s*\(([^;]*)\)\s*;", text)
        if match:
            parameters = [] if match.group(1).strip() in ("", "void") else match.group(1).split(",")
            found[name] = ["double" if re.match(r"\s*double\s+\w+\s*$", one) else "int" for one in parameters]
    return found


class Cuda(Traced):
    def setUp(self):
        super().setUp()
        with open(os.path.join(os.environ["SAMEBITS_STANDINS"], "libcudart.so"), "rb") as file:
            if b"__asan_" in file.read():
                self.skipTest("needs a build without sanitizers: a program that links the stand-ins would have to have them too")

    def build(self, text, *libraries):
        folder = os.environ["SAMEBITS_STANDINS"]
        found = [next(f"-l:{name}" for name in sorted(os.listdir(folder), reverse=True)
                      if name.startswith(f"lib{library}.so.") and not name.endswith(".p"))
                 for library in ("cublas", "cudart", *libraries) if library[0] != "-"]
        found += [option for option in libraries if option[0] == "-"]
        return self.compile(text, *os.environ["SAMEBITS_CUDA_FLAGS"].split(), *found)

    def logs(self):
        folder = self.path("out", "logs")
        return "".join(open(os.path.join(folder, name), encoding="utf-8", errors="replace").read()
                       for name in os.listdir(folder) if name.endswith(".log"))

    def once(self, *command, **more):
        """A run's calls; no stand-in refused anything."""
        _, trace = self.traced(*command, **more)
        self.assertNotIn("stand-in:", self.logs())
        self.assertEqual(trace["lost"], 0)
        return self.calls()

    def culprit(self, job, fault, code=2):
        result, _ = self.traced(job, vary=(f"env:{FAULT}=none,{fault}",), options=(*TWICE, "--force"), code=code)
        return result["jobs"][0]["culprit"], result["jobs"][0]

    def test_every_function_is_passed_on_as_it_was_called(self):
        listed = subprocess.run(["nm", "-D", "--defined-only", os.environ["SAMEBITS_TRACE_LIBRARY"]], check=True,
                                capture_output=True, text=True).stdout
        names = re.findall(r" T ((?:cublas|cudnn|nccl)\w+)$", listed, re.M)
        known = prototypes(names)
        self.assertEqual([name for name in names if name not in known and
                          (os.environ.get("SAMEBITS_CUDNN") or "cudnn" not in name) and
                          (os.environ.get("SAMEBITS_NCCL") or "nccl" not in name)], [])
        self.assertGreater(len(known), 200)
        stubs, calls, expected = ["int printf(const char *, ...);"], [], []
        for name, types in known.items():
            # A general register or a place on the stack holds what is no double, however wide.
            types = [{"int": "long"}.get(one, one) for one in types]
            stubs.append(f"int {name}({', '.join(f'{one} a{i}' for i, one in enumerate(types)) or 'void'}) {{ printf(\"{name}" +
                         "".join(" %d" for _ in types) + "\\n\"" + "".join(f", (int)a{i}" for i in range(len(types))) +
                         "); return 0; }")
            calls.append(f"    ((int (*)({', '.join(types) or 'void'})){name})(" +
                         ", ".join(str(1001 + i) for i in range(len(types))) + ");")
            expected.append(" ".join([name, *(str(1001 + i) for i in range(len(types)))]))
        declared = "".join(f"int {name}();\n" for name in known)
        job = self.with_library(declared + "int main(void) {\n" + "\n".join(calls) + "\n}\n", "\n".join(stubs))
        for preload in ("", os.environ["SAMEBITS_TRACE_LIBRARY"]):
            done = subprocess.run([job], env={**os.environ, "LD_PRELOAD": preload}, check=True, capture_output=True, text=True)
            self.assertEqual(done.stdout.splitlines(), expected)

    def test_calls_are_named_with_their_library_shape_and_type(self):
        job = self.build(CHAIN)
        calls = self.once(job)
        library = next(iter({call[3] for call in calls}))
        self.assertRegex(library, r"^libcublas\.so\.\d+$")
        self.assertEqual([(call[2], call[5], call[4]) for call in calls],
                         [("cublasGemmEx", "4x3x5", "f32")] + [("cublasSgemm", "4x3x5", "f32")] * 3 +
                         [("cublasSgemm", "3x3x4", "f32"), ("cublasSgemv", "4x3", "f32"), ("cublasDotEx", "48", "f32")])
        self.assertEqual(len({call[6] for call in calls}), 7)
        without = self.adhoc("env:NOTHING=1", command=(job,), options=(*ONCE[:3], "--out", "without"), code=2)
        traced = self.adhoc("env:NOTHING=1", command=(job,), options=(*ONCE[:4], "--out", "with"), code=2)
        self.assertEqual(without["runs"][0]["fingerprint"], traced["runs"][0]["fingerprint"])

    def test_the_call_whose_result_is_one_ulp_off_is_the_culprit(self):
        job = self.build(CHAIN)
        for fault, seq, call in (("cublasGemmEx:1", 1, "cublasGemmEx 4x3x5 f32"), ("cublasSgemm:2", 3, "cublasSgemm 4x3x5 f32")):
            with self.subTest(fault=fault):
                culprit, _ = self.culprit(job, fault)
                self.assertEqual((culprit["seq"], culprit["call"], culprit["status"]), (seq, call, "suspected"))
                self.assertRegex(culprit["backend"], r"^libcublas\.so\.\d+$")

    def test_a_fault_that_never_comes_blames_nobody(self):
        _, job = self.culprit(self.build(CHAIN), "cublasSgemm:99", code=0)
        self.assertEqual((job["distinct"], job["culprit"]), (1, None))

    def test_explain_says_who_made_the_call_and_makes_none_on_a_device_again(self):
        job = self.build(CHAIN, "-rdynamic")
        self.culprit(job, "cublasSgemm:2")
        document = json.loads(self.samebits("explain", "out", "--json").stdout)
        cause = document["jobs"][0]["causes"][0]
        self.assertEqual((cause["status"], cause["culprit"]["call"], cause["culprit"]["status"]),
                         ("confirmed", "cublasSgemm 4x3x5 f32", "suspected"))
        self.assertNotIn("replay", cause["culprit"])
        self.assertRegex(cause["culprit"]["frames"][0], r"^job\(main\+0x[0-9a-f]+\)$")

    def test_what_is_not_read_is_no_input_and_factors_may_lie_on_the_device(self):
        calls = [call[6:] for call in self.once(self.build(UNREAD))]
        self.assertEqual(calls[:5], calls[5:10])
        self.assertEqual(len({tuple(call) for call in calls}), 6)

    def test_batches_by_a_stride_and_by_addresses_on_the_device(self):
        calls = self.once(self.build(BATCHES))
        self.assertEqual([call[2] for call in calls], ["cublasSgemmStridedBatched", "cublasSgemmBatched"])
        self.assertEqual({call[5] for call in calls}, {"2x2x2x3"})
        self.assertEqual(*(call[6:] for call in calls))
        other = self.once(self.build(BATCHES), vary=("env:DATA=77",), options=(*ONCE, "--force"))
        for before, after in zip(calls, other):
            self.assertNotEqual(before[6], after[6])
            self.assertNotEqual(before[7], after[7])

    def test_calls_into_a_graph_and_refused_ones_are_lost_and_counted(self):
        result, trace = self.traced(self.build(CAPTURE))
        self.assertEqual((trace["calls"], trace["lost"]), (2, 2))
        self.assertNotIn("captured", self.logs())
        self.assertEqual(*(call[6:] for call in self.calls()))

    def test_a_thread_without_a_context_is_lent_the_streams(self):
        calls = self.once(self.build(THREAD, "-pthread"))
        self.assertEqual(*(call[6:] for call in calls))

    def test_two_streams_give_the_digests_of_one(self):
        job = self.build(STREAMS)
        both = [[call[6:] for call in self.once(job, vary=(f"env:TURNS={turns}",), options=(*ONCE, "--force"))]
                for turns in (0, 1)]
        self.assertEqual(len(both[0]), 12)
        self.assertEqual(both[0], both[1])

    def test_products_of_cublaslt_with_what_is_added_to_them(self):
        calls = self.once(self.build(LT, "cublasLt"))
        self.assertEqual({tuple(call[2:3] + call[4:6]) for call in calls}, {("cublasLtMatmul", "f32", "3x2x2")})
        self.assertEqual(calls[0][6:], calls[1][6:])
        self.assertNotEqual(calls[1][6:], calls[2][6:])
        other = self.once(self.build(LT, "cublasLt"), vary=("env:DATA=77",), options=(*ONCE, "--force"))
        self.assertNotEqual(other[0][6], calls[0][6])
        self.assertEqual(other[2][6:], calls[2][6:])
        culprit, _ = self.culprit(self.path("job"), "cublasLtMatmul:3")
        self.assertEqual((culprit["seq"], culprit["call"]), (3, "cublasLtMatmul 3x2x2 f32"))

    if os.environ.get("SAMEBITS_NCCL"):

        def test_reductions_of_nccl_are_seen_when_their_group_has_ended(self):
            job = self.build(REDUCTIONS, "nccl")
            devices = {"SAMEBITS_STANDIN_DEVICES": "2"}
            calls = self.once(job, env=devices)
            self.assertEqual({tuple(call[2:6]) for call in calls}, {("ncclAllReduce", calls[0][3], "f32", "3x2")})
            self.assertRegex(calls[0][3], r"^libnccl\.so\.\d+$")
            self.assertEqual([call[7] == calls[i - i % 2][7] for i, call in enumerate(calls)], [True] * 4)
            self.assertEqual(len({call[7] for call in calls}), 2)
            # What another rank put in is nobody's fault.
            result, _ = self.traced(job, vary=("env:DATA=1,2",), options=(*TWICE, "--force"), env=devices)
            self.assertIsNone(result["jobs"][0]["culprit"])
            self.assertIn("had other inputs", result["jobs"][0]["trace"]["notes"][0])
            result, _ = self.traced(job, vary=(f"env:{FAULT}=none,ncclAllReduce:4",), options=(*TWICE, "--force"), env=devices)
            culprit = result["jobs"][0]["culprit"]
            self.assertEqual((culprit["seq"], culprit["call"]), (4, "ncclAllReduce 3x2 f32"))

    if os.environ.get("SAMEBITS_CUDNN"):

        def test_layers_of_cudnn_and_a_fault_in_each(self):
            job = self.build(LAYERS, "cudnn")
            calls = self.once(job)
            shapes = {"ConvolutionForward": "2x3x4x4x4x3x3x3", "ConvolutionBackwardData": "2x4x4x4x4x3x3x3",
                      "ConvolutionBackwardFilter": "2x3x4x4x4x3x3x3", "PoolingForward": "2x4x4x4", "PoolingBackward": "2x4x2x2",
                      "ActivationForward": "2x4x4x4", "ActivationBackward": "2x4x4x4", "SoftmaxForward": "4x5x1x1",
                      "SoftmaxBackward": "4x5x1x1", "BatchNormalizationForwardTraining": "2x4x4x4",
                      "BatchNormalizationBackward": "2x4x4x4", "CTCLoss": "4x2x3x1"}
            self.assertEqual([(call[2], call[4], call[5]) for call in calls if call[2] != calls[5][2]],
                             [("cudnn" + name, "f32", shape) for name, shape in shapes.items() if name != "PoolingBackward"])
            self.assertEqual(len({call[6] for call in calls}), 13)
            for seq, call in enumerate(calls, 1):
                number = [other[2] for other in calls[:seq]].count(call[2])
                with self.subTest(fault=call[2], number=number):
                    culprit, _ = self.culprit(job, f"{call[2]}:{number}")
                    self.assertEqual((culprit["seq"], culprit["kernel"]), (seq, call[2]))
                    self.assertRegex(culprit["backend"], r"^libcudnn\.so\.\d+$")

        def test_graphs_of_cudnn_by_what_was_set(self):
            job = self.build(GRAPH, "cudnn")
            calls = self.once(job)
            self.assertEqual([call[2:3] + call[4:6] for call in calls], [["cudnnBackendExecute", "f32", "2x3x4x4x4x3x3x3"]] * 2)
            self.assertEqual(*(call[6:] for call in calls))
            other = self.once(job, vary=("env:DATA=3",), options=(*ONCE, "--force"))
            self.assertNotEqual(calls[0][6], other[0][6])
            self.assertNotEqual(calls[0][7], other[0][7])
            # Which engine computes it is no input: where its results do not repeat, the call is the culprit.
            result, _ = self.traced(job, vary=("env:ENGINE=0,1",), options=(*TWICE, "--force"), code=1)
            culprit = result["jobs"][0]["culprit"]
            self.assertEqual((culprit["seq"], culprit["call"]), (1, "cudnnBackendExecute 2x3x4x4x4x3x3x3 f32"))


if __name__ == "__main__":
    program.main()
