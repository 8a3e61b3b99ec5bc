/* Tests: what the trace restates of CUDA's interfaces (probe/cuda_abi.h), compiled beside CUDA's
 * own headers. A number, the size of a type or a place in a structure that is another stops the
 * compiler. Compiled for test_cuda_abi.c, and never called. */
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
