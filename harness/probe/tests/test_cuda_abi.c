/* Tests: what the trace takes CUDA's interfaces for. That it compiles beside their own headers is
 * asked of the compiler: of the files that interpose, of which SB_CUDA_HEADERS leaves the
 * prototypes, and of cuda_abi.c. */
#include "probe/cuda_abi.h"
#include "tests/testing.h"

START_TEST(what_is_restated_of_cuda_compiles_beside_its_headers)
{ ck_assert_int_eq(CUBLAS_POINTER_MODE_DEVICE, SB_CUBLAS_POINTER_MODE_DEVICE); }
END_TEST

/* ---- The libraries themselves, which answer these without a device ----------------------------
 */

#if defined SB_HAVE_TOOLKIT && defined SB_HAVE_CUDNN

#include "probe/trace_tensor.h"

START_TEST(cudnn_says_what_its_descriptors_are_when_asked_as_the_trace_asks)
{
    cudnnTensorDescriptor_t tensor;
    cudnnConvolutionDescriptor_t convolution;
    cudnnPoolingDescriptor_t pool;
    cudnnDataType_t type;
    cudnnConvolutionMode_t mode;
    cudnnPoolingMode_t pooling;
    cudnnNanPropagation_t nan;
    int n, dims[SB_TENSOR_RANK], strides[SB_TENSOR_RANK], parts[3][SB_WINDOW_RANK];
    ck_assert_int_eq(cudnnCreateTensorDescriptor(&tensor), 0);
    ck_assert_int_eq(
        cudnnSetTensor4dDescriptor(tensor, CUDNN_TENSOR_NHWC, CUDNN_DATA_HALF, 2, 3, 4, 5), 0);
    ck_assert_int_eq(cudnnGetTensorNdDescriptor(tensor, SB_TENSOR_RANK, &type, &n, dims, strides),
                     0);
    ck_assert_int_eq(type, CUDNN_DATA_HALF);
    ck_assert_int_eq(n, 4);
    ck_assert_mem_eq(dims, ((const int[]){2, 3, 4, 5}), 4 * sizeof *dims);
    ck_assert_mem_eq(strides, ((const int[]){60, 1, 15, 3}), 4 * sizeof *strides);
    ck_assert_int_eq(cudnnCreateConvolutionDescriptor(&convolution), 0);
    ck_assert_int_eq(cudnnSetConvolution2dDescriptor(convolution, 1, 2, 3, 4, 5, 6,
                                                     CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                     0);
    ck_assert_int_eq(cudnnGetConvolutionNdDescriptor(convolution, SB_WINDOW_RANK, &n, parts[0],
                                                     parts[1], parts[2], &mode, &type),
                     0);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(cudnnCreatePoolingDescriptor(&pool), 0);
    ck_assert_int_eq(cudnnSetPooling2dDescriptor(pool, CUDNN_POOLING_MAX_DETERMINISTIC,
                                                 CUDNN_PROPAGATE_NAN, 2, 3, 0, 1, 2, 2),
                     0);
    ck_assert_int_eq(cudnnGetPoolingNdDescriptor(pool, SB_WINDOW_RANK, &pooling, &nan, &n, parts[0],
                                                 parts[1], parts[2]),
                     0);
    ck_assert_int_eq(n, 2);
    cudnnDestroyPoolingDescriptor(pool);
    cudnnDestroyConvolutionDescriptor(convolution);
    cudnnDestroyTensorDescriptor(tensor);
}
END_TEST

START_TEST(cublaslt_gives_every_attribute_that_the_trace_asks_for)
{
    static const cublasLtMatmulDescAttributes_t numbers[] = {
        CUBLASLT_MATMUL_DESC_SCALE_TYPE,     CUBLASLT_MATMUL_DESC_POINTER_MODE,
        CUBLASLT_MATMUL_DESC_TRANSA,         CUBLASLT_MATMUL_DESC_TRANSB,
        CUBLASLT_MATMUL_DESC_FILL_MODE,      CUBLASLT_MATMUL_DESC_EPILOGUE,
        CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE};
    static const cublasLtMatmulDescAttributes_t wide[] = {
        CUBLASLT_MATMUL_DESC_BIAS_POINTER,
        CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE,
        CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER,
        CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD,
        CUBLASLT_MATMUL_DESC_A_SCALE_POINTER,
        CUBLASLT_MATMUL_DESC_AMAX_D_POINTER,
        CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE};
    cublasLtMatmulDesc_t product;
    ck_assert_int_eq(cublasLtMatmulDescCreate(&product, CUBLAS_COMPUTE_32F, CUDA_R_32F), 0);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int32_t value;
        ck_assert_int_eq(
            cublasLtMatmulDescGetAttribute(product, numbers[i], &value, sizeof value, NULL), 0);
    }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        int64_t value;
        ck_assert_int_eq(
            cublasLtMatmulDescGetAttribute(product, wide[i], &value, sizeof value, NULL), 0);
    }
    cublasLtMatmulDescDestroy(product);
}
END_TEST

SB_TEST_MAIN("probe-cuda-abi", what_is_restated_of_cuda_compiles_beside_its_headers,
             cudnn_says_what_its_descriptors_are_when_asked_as_the_trace_asks,
             cublaslt_gives_every_attribute_that_the_trace_asks_for)

#else

SB_TEST_MAIN("probe-cuda-abi", what_is_restated_of_cuda_compiles_beside_its_headers)

#endif
