/* kernels: the stand-ins of CUDA's libraries are strict: each misuse that is planted here is
 * refused, and the same call done well is not. */
#include "kernels/backends/gpu_cublas.h"
#include "tests/testing.h"

#ifdef SB_HAVE_CUDNN
#include "kernels/backends/gpu_cudnn.h"
#endif

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct sb_gpu gpu;
static struct sb_cublas_functions blas;
static struct sb_cublaslt_functions lt;
static cublasHandle_t handle;
static float *a, *b, *c; /* 4x4 each, on the device */
static const float one = 1, zero;

static const char *refusal(void) {
    void *library = dlopen("libcudart.so." SB_CUDA_MAJOR, RTLD_NOW | RTLD_NOLOAD);
    const char *(*last)(void) = (const char *(*)(void))dlsym(library, "sb_standin_refusal");
    ck_assert_ptr_nonnull(last);
    return last();
}

static void refused(const char *what) {
    const char *said = refusal();
    ck_assert_msg(strstr(said, what) != NULL, "refused: '%s', wanted: '%s'", said, what);
}

static void setup(void) {
    static const char *const blas_names[] = {SB_CUBLAS_FUNCTIONS(SB_GPU_NAME) NULL};
    static const char *const lt_names[] = {SB_CUBLASLT_FUNCTIONS(SB_GPU_NAME) NULL};
    struct sb_error err = {0};
    ck_assert_msg(sb_gpu_open(&gpu, &err) == 0, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(gpu.name, "stand-in"));
    int rc = sb_gpu_library("libcublas.so." SB_CUDA_MAJOR, blas_names, &blas, sizeof blas, &err);
    if (rc == 0)
        rc = sb_gpu_library("libcublasLt.so." SB_CUDA_MAJOR, lt_names, &lt, sizeof lt, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    float **matrices[] = {&a, &b, &c};
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(gpu.cuda.cudaMalloc((void **)matrices[i], 16 * sizeof(float)), 0);
    blas.cublasCreate_v2(&handle);
    blas.cublasSetStream_v2(handle, gpu.stream);
}

static cublasStatus_t multiply(int ld_a, const void *at, const void *alpha) {
    return blas.cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, alpha, at, CUDA_R_32F, ld_a,
                             b, CUDA_R_32F, 4, &zero, c, CUDA_R_32F, 4, CUBLAS_COMPUTE_32F,
                             CUBLAS_GEMM_DEFAULT);
}

START_TEST(a_good_product_is_not_refused)
{
    ck_assert_int_eq(multiply(4, a, &one), CUBLAS_STATUS_SUCCESS);
    ck_assert_str_eq(refusal(), "");
}
END_TEST

START_TEST(a_leading_dimension_that_is_too_small_is_refused)
{
    ck_assert_int_ne(multiply(3, a, &one), CUBLAS_STATUS_SUCCESS);
    refused("leading dimension 3 of A, which has 4 rows");
}
END_TEST

START_TEST(a_matrix_that_reaches_beyond_its_memory_is_refused)
{
    ck_assert_int_ne(multiply(5, a, &one), CUBLAS_STATUS_SUCCESS);
    refused("A needs 76 bytes, 64 are allocated behind it");
    ck_assert_int_ne(multiply(4, a + 1, &one), CUBLAS_STATUS_SUCCESS);
    refused("A needs 64 bytes, 60 are allocated behind it");
}
END_TEST

START_TEST(pointers_of_the_wrong_side_are_refused)
{
    float host[16] = {0};
    ck_assert_int_ne(multiply(4, host, &one), CUBLAS_STATUS_SUCCESS);
    refused("A is no pointer to device memory");
    ck_assert_int_ne(multiply(4, a, b), CUBLAS_STATUS_SUCCESS);
    refused("alpha is no pointer to host memory");
    ck_assert_int_ne(gpu.cuda.cudaMemcpyAsync(a, b, 4, cudaMemcpyHostToDevice, gpu.stream), 0);
    refused("the source is no pointer to host memory");
    ck_assert_int_ne(gpu.cuda.cudaMemcpyAsync(host, host, 4, cudaMemcpyDeviceToHost, gpu.stream),
                     0);
    refused("the source is no pointer to device memory");
    /* The result of a dot product, in either pointer mode. */
    ck_assert_int_ne(
        blas.cublasDotEx(handle, 4, a, CUDA_R_32F, 1, b, CUDA_R_32F, 1, c, CUDA_R_32F, CUDA_R_32F),
        CUBLAS_STATUS_SUCCESS);
    refused("the result is no pointer to host memory");
    blas.cublasSetPointerMode_v2(handle, CUBLAS_POINTER_MODE_DEVICE);
    ck_assert_int_ne(blas.cublasDotEx(handle, 4, a, CUDA_R_32F, 1, b, CUDA_R_32F, 1, host,
                                      CUDA_R_32F, CUDA_R_32F),
                     CUBLAS_STATUS_SUCCESS);
    refused("the result is no pointer to device memory");
    ck_assert_int_ne(multiply(4, a, &one), CUBLAS_STATUS_SUCCESS);
    refused("alpha is no pointer to device memory");
}
END_TEST

START_TEST(what_was_destroyed_or_freed_is_refused)
{
    gpu.cuda.cudaFree(b);
    ck_assert_int_ne(multiply(4, a, &one), CUBLAS_STATUS_SUCCESS);
    refused("B is no pointer to device memory");
    ck_assert_int_ne(gpu.cuda.cudaFree(b), 0);
    refused("freed before");
    blas.cublasDestroy_v2(handle);
    ck_assert_int_ne(multiply(4, a, &one), CUBLAS_STATUS_SUCCESS);
    refused("no live cuBLAS handle");
    cudaStream_t gone = gpu.stream;
    gpu.cuda.cudaStreamDestroy(gone);
    ck_assert_int_ne(gpu.cuda.cudaStreamSynchronize(gone), 0);
    refused("no live stream");
}
END_TEST

START_TEST(a_workspace_is_checked_and_lost_with_the_stream)
{
    ck_assert_int_ne(blas.cublasSetWorkspace_v2(handle, a, 65), CUBLAS_STATUS_SUCCESS);
    refused("the workspace needs 65 bytes");
    ck_assert_int_eq(blas.cublasSetWorkspace_v2(handle, a, 64), CUBLAS_STATUS_SUCCESS);
    gpu.cuda.cudaFree(a);
    ck_assert_int_ne(multiply(4, c, &one), CUBLAS_STATUS_SUCCESS);
    refused("the workspace is no pointer to device memory");
    blas.cublasSetStream_v2(handle, gpu.stream);
    ck_assert_int_eq(multiply(4, c, &one), CUBLAS_STATUS_SUCCESS);
}
END_TEST

/* Work is done when somebody waits for it; who reads before reads what was there. */
START_TEST(what_nobody_waited_for_is_not_done)
{
    float host[16], back[16] = {0};
    for (int i = 0; i < 16; i++)
        host[i] = 7;
    gpu.cuda.cudaMemcpyAsync(a, host, sizeof host, cudaMemcpyHostToDevice, gpu.stream);
    gpu.cuda.cudaMemcpyAsync(back, a, sizeof back, cudaMemcpyDeviceToHost, gpu.stream);
    ck_assert(back[3] == 0);
    gpu.cuda.cudaStreamSynchronize(gpu.stream);
    ck_assert(back[3] == 7);
}
END_TEST

/* A second stream that does not wait for the first reads old memory; with an event it does not. */
START_TEST(a_stream_waits_for_another_only_by_an_event)
{
    cudaStream_t other;
    cudaEvent_t event;
    float host[16] = {5}, back[16] = {0};
    gpu.cuda.cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking);
    gpu.cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    gpu.cuda.cudaMemcpyAsync(a, host, sizeof host, cudaMemcpyHostToDevice, gpu.stream);
    gpu.cuda.cudaEventRecord(event, gpu.stream);
    gpu.cuda.cudaMemcpyAsync(back, a, sizeof back, cudaMemcpyDeviceToHost, other);
    gpu.cuda.cudaStreamSynchronize(other);
    ck_assert(back[0] != 5);
    gpu.cuda.cudaStreamWaitEvent(other, event, 0);
    gpu.cuda.cudaMemcpyAsync(back, a, sizeof back, cudaMemcpyDeviceToHost, other);
    gpu.cuda.cudaStreamSynchronize(other);
    ck_assert(back[0] == 5);
}
END_TEST

static sigjmp_buf touched;

static void on_segv(int signal) {
    (void)signal;
    siglongjmp(touched, 1);
}

START_TEST(the_host_cannot_touch_device_memory)
{
    struct sigaction action = {.sa_handler = on_segv};
    sigaction(SIGSEGV, &action, NULL);
    if (sigsetjmp(touched, 1) == 0) {
        *(volatile float *)a = 1;
        ck_abort_msg("it could");
    }
}
END_TEST

START_TEST(a_launch_is_checked)
{
    cudaLibrary_t library;
    static const unsigned char no_image[16] = "ELF";
    ck_assert_int_ne(gpu.cuda.cudaLibraryLoadData(&library, no_image, NULL, NULL, 0, NULL, NULL, 0),
                     0);
    refused("no fat binary");
    dim3 few = {1, 1, 1}, many = {2048, 1, 1};
    ck_assert_int_ne(gpu.cuda.cudaLaunchKernel(no_image, few, many, NULL, 0, gpu.stream), 0);
    refused("2048x1x1 threads");
    ck_assert_int_ne(gpu.cuda.cudaLaunchKernel(no_image, few, few, NULL, 0, gpu.stream), 0);
    refused("no kernel");
}
END_TEST

/* cublasLt: layouts, shapes, an algorithm's workspace, and what becomes of descriptors. */
START_TEST(cublaslt_is_strict_too)
{
    cublasLtHandle_t lt_handle;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t layout, wide;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulHeuristicResult_t found[3];
    int n = 0;
    uint64_t most = 64;
    lt.cublasLtCreate(&lt_handle);
    lt.cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    ck_assert_int_ne(lt.cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 3), 0);
    refused("leading dimension 3 of 4 rows");
    lt.cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 4);
    lt.cublasLtMatrixLayoutCreate(&wide, CUDA_R_32F, 4, 5, 4);
    lt.cublasLtMatmulPreferenceCreate(&preference);
    lt.cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                            &most, sizeof most);
    ck_assert_int_ne(lt.cublasLtMatmulAlgoGetHeuristic(lt_handle, product, wide, layout, layout,
                                                       layout, preference, 3, found, &n),
                     0);
    refused("op(A) is 4x5, op(B) 4x4");
    /* 64 bytes of workspace do not suffice for the one that is split. */
    lt.cublasLtMatmulAlgoGetHeuristic(lt_handle, product, layout, layout, layout, layout,
                                      preference, 3, found, &n);
    ck_assert_int_eq(n, 2);
    int32_t splits = 4;
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    lt.cublasLtMatmulAlgoConfigSetAttribute(&found[0].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM,
                                            &splits, sizeof splits);
    lt.cublasLtMatmulAlgoConfigSetAttribute(&found[0].algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                            &scheme, sizeof scheme);
    ck_assert_int_ne(lt.cublasLtMatmul(lt_handle, product, &one, a, layout, b, layout, &zero, c,
                                       layout, c, layout, &found[0].algo, NULL, 0, gpu.stream),
                     0);
    refused("0 bytes of workspace, the algorithm needs 256");
    lt.cublasLtMatrixLayoutDestroy(layout);
    ck_assert_int_ne(lt.cublasLtMatmul(lt_handle, product, &one, a, layout, b, layout, &zero, c,
                                       layout, c, layout, &found[1].algo, NULL, 0, gpu.stream),
                     0);
    refused("no live cublasLt layout");
}
END_TEST

#ifdef SB_HAVE_CUDNN
static struct sb_cudnn_functions dnn;
static cudnnHandle_t dnn_handle;
static cudnnTensorDescriptor_t image;       /* 1x1x4x4 */
static cudnnFilterDescriptor_t filter;      /* 1x1x3x3 */
static cudnnConvolutionDescriptor_t window; /* padding 1: the output is as large */

static void setup_dnn(void) {
    static const char *const names[] = {SB_CUDNN_FUNCTIONS(SB_GPU_NAME) NULL};
    struct sb_error err = {0};
    char soname[32];
    snprintf(soname, sizeof soname, "libcudnn.so.%d", CUDNN_MAJOR);
    ck_assert_msg(sb_gpu_library(soname, names, &dnn, sizeof dnn, &err) == 0, "%s", err.text);
    dnn.cudnnCreate(&dnn_handle);
    dnn.cudnnSetStream(dnn_handle, gpu.stream);
    dnn.cudnnCreateTensorDescriptor(&image);
    dnn.cudnnSetTensor4dDescriptor(image, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 1, 4, 4);
    dnn.cudnnCreateFilterDescriptor(&filter);
    dnn.cudnnSetFilter4dDescriptor(filter, CUDNN_DATA_FLOAT, CUDNN_TENSOR_NCHW, 1, 1, 3, 3);
    dnn.cudnnCreateConvolutionDescriptor(&window);
    dnn.cudnnSetConvolution2dDescriptor(window, 1, 1, 1, 1, 1, 1, CUDNN_CROSS_CORRELATION,
                                        CUDNN_DATA_FLOAT);
}

static cudnnStatus_t convolve(const void *x, cudnnConvolutionFwdAlgo_t algorithm,
                              cudnnTensorDescriptor_t y) {
    return dnn.cudnnConvolutionForward(dnn_handle, &one, image, x, filter, b, window, algorithm,
                                       NULL, 0, &zero, y, c);
}

START_TEST(cudnns_convolution_is_strict)
{
    const cudnnConvolutionFwdAlgo_t plain = CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM;
    cudnnTensorDescriptor_t other;
    float host[16] = {0};
    setup_dnn();
    ck_assert_int_eq(convolve(a, plain, image), CUDNN_STATUS_SUCCESS);
    ck_assert_str_eq(refusal(), "");
    ck_assert_int_ne(convolve(host, plain, image), CUDNN_STATUS_SUCCESS);
    refused("an input is no pointer to device memory");
    ck_assert_int_ne(convolve(a + 1, plain, image), CUDNN_STATUS_SUCCESS);
    refused("not aligned to 16 bytes");
    ck_assert_int_ne(convolve(a, CUDNN_CONVOLUTION_FWD_ALGO_GEMM, image), CUDNN_STATUS_SUCCESS);
    refused("0 bytes of workspace, the algorithm needs 2048");
    dnn.cudnnCreateTensorDescriptor(&other);
    ck_assert_int_ne(convolve(a, plain, other), CUDNN_STATUS_SUCCESS);
    refused("never set");
    dnn.cudnnSetTensor4dDescriptor(other, CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT, 1, 1, 4, 3);
    ck_assert_int_ne(convolve(a, plain, other), CUDNN_STATUS_SUCCESS);
    refused("y is [1,1,4,3], x and w make [1,1,4,4]");
    dnn.cudnnDestroyFilterDescriptor(filter);
    ck_assert_int_ne(convolve(a, plain, image), CUDNN_STATUS_SUCCESS);
    refused("no live filter descriptor");
}
END_TEST

START_TEST(cudnns_graph_is_strict)
{
    cudnnBackendDescriptor_t tensor, operations, engine;
    const int64_t dims[] = {1, 1, 4, 4};
    setup_dnn();
    dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR, &tensor);
    ck_assert_int_ne(dnn.cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS,
                                                  CUDNN_TYPE_DOUBLE, 4, dims),
                     CUDNN_STATUS_SUCCESS);
    refused("attribute 902 as 4 of type 5");
    ck_assert_int_eq(dnn.cudnnBackendSetAttribute(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS,
                                                  CUDNN_TYPE_INT64, 4, dims),
                     CUDNN_STATUS_SUCCESS);
    ck_assert_int_ne(dnn.cudnnBackendSetAttribute(tensor, CUDNN_ATTR_ENGINE_GLOBAL_INDEX,
                                                  CUDNN_TYPE_INT64, 1, dims),
                     CUDNN_STATUS_SUCCESS);
    refused("has no attribute 1301");
    ck_assert_int_ne(dnn.cudnnBackendFinalize(tensor), CUDNN_STATUS_SUCCESS);
    refused("lacks attribute 901");
    dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &operations);
    dnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    ck_assert_int_ne(dnn.cudnnBackendSetAttribute(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
                                                  CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operations),
                     CUDNN_STATUS_SUCCESS);
    refused("a descriptor that is not final is referred to");
    ck_assert_int_ne(dnn.cudnnBackendExecute(dnn_handle, engine, tensor), CUDNN_STATUS_SUCCESS);
    refused("a descriptor of another type, or not final");
}
END_TEST

static cudnnBackendDescriptor_t descriptor(cudnnBackendDescriptorType_t type) {
    cudnnBackendDescriptor_t made;
    ck_assert_int_eq(dnn.cudnnBackendCreateDescriptor(type, &made), CUDNN_STATUS_SUCCESS);
    return made;
}

static void set(cudnnBackendDescriptor_t to, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t n, const void *values) {
    ck_assert_int_eq(dnn.cudnnBackendSetAttribute(to, name, type, n, values), CUDNN_STATUS_SUCCESS);
}

START_TEST(cudnns_functions_are_strict)
{
    const int64_t dims[] = {1, 1, 1, 8}, strides[] = {8, 8, 8, 1}, id = 1, alignment = 16;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnPointwiseMode_t gradient = CUDNN_POINTWISE_GELU_BWD;
    setup_dnn();
    cudnnBackendDescriptor_t tensor = descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR),
                             function = descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR),
                             operation = descriptor(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    ck_assert_int_eq(dnn.cudnnBackendFinalize(tensor), CUDNN_STATUS_SUCCESS);
    set(function, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &gradient);
    ck_assert_int_ne(dnn.cudnnBackendFinalize(function), CUDNN_STATUS_SUCCESS);
    refused("lacks attribute 1"); /* in which precision */
    set(function, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    ck_assert_int_eq(dnn.cudnnBackendFinalize(function), CUDNN_STATUS_SUCCESS);
    set(operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
        &function);
    set(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensor);
    set(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensor);
    ck_assert_int_ne(dnn.cudnnBackendFinalize(operation), CUDNN_STATUS_SUCCESS);
    refused("other tensors than the function's"); /* a gradient has no y */
}
END_TEST
#endif

int main(void) {
    const TTest *const tests[] = {a_good_product_is_not_refused,
                                  a_leading_dimension_that_is_too_small_is_refused,
                                  a_matrix_that_reaches_beyond_its_memory_is_refused,
                                  pointers_of_the_wrong_side_are_refused,
                                  what_was_destroyed_or_freed_is_refused,
                                  a_workspace_is_checked_and_lost_with_the_stream,
                                  what_nobody_waited_for_is_not_done,
                                  a_stream_waits_for_another_only_by_an_event,
                                  the_host_cannot_touch_device_memory,
                                  a_launch_is_checked,
#ifdef SB_HAVE_CUDNN
                                  cudnns_convolution_is_strict,
                                  cudnns_graph_is_strict,
                                  cudnns_functions_are_strict,
#endif
                                  cublaslt_is_strict_too};
    Suite *suite = suite_create("kernels-standin");
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *one_case = tcase_create(tests[i]->name);
        tcase_add_checked_fixture(one_case, setup, NULL);
        tcase_add_test(one_case, tests[i]);
        suite_add_tcase(suite, one_case);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
