/* Tests: what the trace restates of CUDA's interfaces (probe/cuda_abi.h), compiled beside CUDA's
 * own headers, as the files that interpose are for this program: SB_CUDA_HEADERS leaves their
 * prototypes of them. A prototype that is another, a number, the size of a type or a place in a
 * structure that is another stops the compiler. */
#include "probe/cuda_abi.h"

#define SB_NUMBER(name, value)                                                                     \
    _Static_assert((long long)(name) == (value), #name " is another number");
SB_CUDA_NUMBERS
SB_DRIVER_NUMBERS
SB_CUBLAS_NUMBERS
SB_CUBLASLT_NUMBERS
#if CUBLAS_VERSION >= 130000
SB_CUBLASLT_NEWER_NUMBERS
#endif
#ifdef SB_HAVE_CUDNN
SB_CUDNN_NUMBERS
SB_CUDNN_GRAPH_NUMBERS
#endif
#ifdef SB_HAVE_NCCL
SB_NCCL_NUMBERS
#endif
#undef SB_NUMBER

/* Where the trace has an int; handles and descriptors are pointers everywhere. */
#define SAME_SIZE(type, as) _Static_assert(sizeof(type) == sizeof(as), #type " is no " #as)
SAME_SIZE(cudaDataType, int);
SAME_SIZE(cublasStatus_t, int);
SAME_SIZE(cublasOperation_t, int);
SAME_SIZE(cublasFillMode_t, int);
SAME_SIZE(cublasSideMode_t, int);
SAME_SIZE(cublasDiagType_t, int);
SAME_SIZE(cublasComputeType_t, int);
SAME_SIZE(cublasGemmAlgo_t, int);
SAME_SIZE(cublasPointerMode_t, int);
SAME_SIZE(CUresult, int);
SAME_SIZE(CUstreamCaptureStatus, int);
SAME_SIZE(CUstreamCaptureMode, int);
SAME_SIZE(CUdeviceptr, void *);
SAME_SIZE(cublasHandle_t, void *);
SAME_SIZE(cublasLtHandle_t, void *);
SAME_SIZE(cudaStream_t, void *);
SAME_SIZE(CUDA_MEMCPY2D, struct sb_memcpy_2d);
#ifdef SB_HAVE_CUDNN
SAME_SIZE(cudnnStatus_t, int);
SAME_SIZE(cudnnDataType_t, int);
SAME_SIZE(cudnnConvolutionFwdAlgo_t, int);
SAME_SIZE(cudnnConvolutionBwdDataAlgo_t, int);
SAME_SIZE(cudnnConvolutionBwdFilterAlgo_t, int);
SAME_SIZE(cudnnSoftmaxAlgorithm_t, int);
SAME_SIZE(cudnnSoftmaxMode_t, int);
SAME_SIZE(cudnnBatchNormMode_t, int);
SAME_SIZE(cudnnBatchNormOps_t, int);
SAME_SIZE(cudnnCTCLossAlgo_t, int);
SAME_SIZE(cudnnBackendAttributeName_t, int);
SAME_SIZE(cudnnBackendAttributeType_t, int);
SAME_SIZE(cudnnHandle_t, void *);
SAME_SIZE(cudnnBackendDescriptor_t, void *);
#endif
#ifdef SB_HAVE_NCCL
SAME_SIZE(ncclResult_t, int);
SAME_SIZE(ncclDataType_t, int);
SAME_SIZE(ncclRedOp_t, int);
SAME_SIZE(ncclComm_t, void *);
#endif

#define SAME_PLACE(theirs, ours)                                                                   \
    _Static_assert(offsetof(CUDA_MEMCPY2D, theirs) == offsetof(struct sb_memcpy_2d, ours),         \
                   #theirs " lies elsewhere")
SAME_PLACE(srcMemoryType, from_type);
SAME_PLACE(srcDevice, from_device);
SAME_PLACE(srcPitch, from_pitch);
SAME_PLACE(dstMemoryType, to_type);
SAME_PLACE(dstHost, to_host);
SAME_PLACE(dstPitch, to_pitch);
SAME_PLACE(WidthInBytes, width);
SAME_PLACE(Height, height);

/* What is asked of libraries by name: as the trace calls it, but for an int in place of an
 * enumeration and void * in place of what is opaque. */
#define ASKED(function, ...)                                                                       \
    __attribute__((unused)) static void ask_##function(void) {                                     \
        (void)function(__VA_ARGS__);                                                               \
    }
#undef cuCtxPushCurrent
#undef cuCtxPopCurrent
#undef cuMemcpy2DAsync
static void *opaque, *copied;
static int number;
ASKED(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode *)&number)
ASKED(cuCtxGetCurrent, (CUcontext *)&copied)
ASKED(cuStreamGetCtx, opaque, (CUcontext *)&copied)
ASKED(cuCtxPushCurrent_v2, opaque)
ASKED(cuCtxPopCurrent_v2, (CUcontext *)&copied)
ASKED(cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D *)opaque, opaque)
ASKED(cuStreamSynchronize, opaque)
ASKED(cuStreamIsCapturing, opaque, (CUstreamCaptureStatus *)&number)
ASKED(cublasLtMatmulDescGetAttribute, opaque, (cublasLtMatmulDescAttributes_t)number, opaque,
      sizeof number, opaque)
ASKED(cublasLtMatrixLayoutGetAttribute, opaque, (cublasLtMatrixLayoutAttribute_t)number, opaque,
      sizeof number, opaque)
ASKED(cublasGetStream_v2, opaque, (cudaStream_t *)&copied)
ASKED(cublasGetPointerMode_v2, opaque, (cublasPointerMode_t *)&number)
#ifdef SB_HAVE_CUDNN
#define INT(type) ((type *)&number)
static double real;
ASKED(cudnnGetStream, opaque, (cudaStream_t *)&copied)
ASKED(cudnnGetTensorNdDescriptor, opaque, number, INT(cudnnDataType_t), &number, &number, &number)
ASKED(cudnnGetFilterNdDescriptor, opaque, number, INT(cudnnDataType_t), INT(cudnnTensorFormat_t),
      &number, &number)
ASKED(cudnnGetConvolutionNdDescriptor, opaque, number, &number, &number, &number, &number,
      INT(cudnnConvolutionMode_t), INT(cudnnDataType_t))
ASKED(cudnnGetConvolutionGroupCount, opaque, &number)
ASKED(cudnnGetPoolingNdDescriptor, opaque, number, INT(cudnnPoolingMode_t),
      INT(cudnnNanPropagation_t), &number, &number, &number, &number)
ASKED(cudnnGetActivationDescriptor, opaque, INT(cudnnActivationMode_t), INT(cudnnNanPropagation_t),
      &real)
ASKED(cudnnGetOpTensorDescriptor, opaque, INT(cudnnOpTensorOp_t), INT(cudnnDataType_t),
      INT(cudnnNanPropagation_t))
ASKED(cudnnGetReduceTensorDescriptor, opaque, INT(cudnnReduceTensorOp_t), INT(cudnnDataType_t),
      INT(cudnnNanPropagation_t), INT(cudnnReduceTensorIndices_t), INT(cudnnIndicesType_t))
ASKED(cudnnGetDropoutDescriptor, opaque, opaque, (float *)opaque, &copied,
      (unsigned long long *)opaque)
ASKED(cudnnDropoutGetStatesSize, opaque, (size_t *)opaque)
#endif
#ifdef SB_HAVE_NCCL
ASKED(ncclCommCount, opaque, &number)
ASKED(ncclCommUserRank, opaque, &number)
#endif

#include "tests/testing.h"

START_TEST(what_is_restated_of_cuda_compiles_beside_its_headers)
{ (void)opaque, (void)copied, (void)number; }
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
