/* The trace: what of CUDA's libraries' C interfaces it rests on, restated, so that a samebits built
 * without CUDA traces programs that use it. Types have CUDA's own names, so that the prototypes in
 * trace_cu*.c and trace_nccl.c are compiled beside CUDA's headers as well, where these are there
 * (test probe-cuda-abi, which also compares every number here with theirs). Numbers are of CUDA
 * 13.0, cuDNN 9 and NCCL 2.28; none of them has changed since CUDA 11, cuDNN 8 and NCCL 2.10. */
#ifndef SB_PROBE_CUDA_ABI_H
#define SB_PROBE_CUDA_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef SB_CUDA_HEADERS
#include <cublasLt.h>
#include <cublas_api.h>
#include <cuda.h>
#include <cuda_runtime_api.h>
#ifdef SB_HAVE_CUDNN
#include <cudnn.h>
#endif
#ifdef SB_HAVE_NCCL
#include <nccl.h>
#endif
/* For C these are not declared; they differ from the others in that type. */
typedef struct half __half; // NOLINT
cublasStatus_t cublasHgemm(), cublasHgemm_64(), cublasHgemmBatched(), cublasHgemmBatched_64(),
    cublasHgemmStridedBatched(), cublasHgemmStridedBatched_64();
#else
/* library_types.h, driver_types.h, cuComplex.h, cuda_fp16.h. Enumerations are as wide as an int. */
typedef int cudaDataType;
typedef struct CUstream_st *cudaStream_t;
typedef struct cuComplex cuComplex;
typedef struct cuDoubleComplex cuDoubleComplex;
typedef struct half __half; // NOLINT
/* cublas_api.h */
typedef int cublasStatus_t, cublasOperation_t, cublasFillMode_t, cublasSideMode_t, cublasDiagType_t,
    cublasComputeType_t, cublasGemmAlgo_t;
typedef struct cublasContext *cublasHandle_t;
/* cublasLt.h */
typedef void *cublasLtHandle_t, *cublasLtMatmulDesc_t, *cublasLtMatrixLayout_t;
typedef void cublasLtMatmulAlgo_t;
/* cudnn_graph.h, cudnn_ops.h, cudnn_cnn.h, cudnn_adv.h */
typedef int cudnnStatus_t, cudnnConvolutionFwdAlgo_t, cudnnConvolutionBwdDataAlgo_t,
    cudnnConvolutionBwdFilterAlgo_t, cudnnSoftmaxAlgorithm_t, cudnnSoftmaxMode_t,
    cudnnBatchNormMode_t, cudnnBatchNormOps_t, cudnnCTCLossAlgo_t, cudnnBackendAttributeName_t,
    cudnnBackendAttributeType_t;
typedef void *cudnnHandle_t, *cudnnTensorDescriptor_t, *cudnnFilterDescriptor_t,
    *cudnnConvolutionDescriptor_t, *cudnnPoolingDescriptor_t, *cudnnActivationDescriptor_t,
    *cudnnOpTensorDescriptor_t, *cudnnReduceTensorDescriptor_t, *cudnnDropoutDescriptor_t,
    *cudnnCTCLossDescriptor_t, *cudnnBackendDescriptor_t;
/* nccl.h */
typedef int ncclResult_t, ncclDataType_t, ncclRedOp_t;
typedef struct ncclComm *ncclComm_t;
#endif

/* Each number as SB_<its own name>; SB_NUMBER(name, value) for whoever compares them. */
#define SB_CUDA_NUMBERS                                                                            \
    SB_NUMBER(CUDA_R_32F, 0)                                                                       \
    SB_NUMBER(CUDA_R_64F, 1)                                                                       \
    SB_NUMBER(CUDA_R_16F, 2)                                                                       \
    SB_NUMBER(CUDA_R_8I, 3)                                                                        \
    SB_NUMBER(CUDA_C_32F, 4)                                                                       \
    SB_NUMBER(CUDA_C_64F, 5)                                                                       \
    SB_NUMBER(CUDA_R_8U, 8)                                                                        \
    SB_NUMBER(CUDA_R_32I, 10)                                                                      \
    SB_NUMBER(CUDA_R_16BF, 14)                                                                     \
    SB_NUMBER(CUDA_R_8F_E4M3, 28)                                                                  \
    SB_NUMBER(CUDA_R_8F_E5M2, 29)
#define SB_DRIVER_NUMBERS                                                                          \
    SB_NUMBER(CU_MEMORYTYPE_HOST, 1)                                                               \
    SB_NUMBER(CU_MEMORYTYPE_UNIFIED, 4)                                                            \
    SB_NUMBER(CU_STREAM_CAPTURE_STATUS_NONE, 0)                                                    \
    SB_NUMBER(CU_STREAM_CAPTURE_MODE_RELAXED, 2)
#define SB_CUBLAS_NUMBERS                                                                          \
    SB_NUMBER(CUBLAS_OP_N, 0)                                                                      \
    SB_NUMBER(CUBLAS_OP_T, 1)                                                                      \
    SB_NUMBER(CUBLAS_OP_C, 2)                                                                      \
    SB_NUMBER(CUBLAS_OP_CONJG, 3)                                                                  \
    SB_NUMBER(CUBLAS_FILL_MODE_LOWER, 0)                                                           \
    SB_NUMBER(CUBLAS_FILL_MODE_UPPER, 1)                                                           \
    SB_NUMBER(CUBLAS_FILL_MODE_FULL, 2)                                                            \
    SB_NUMBER(CUBLAS_SIDE_LEFT, 0)                                                                 \
    SB_NUMBER(CUBLAS_SIDE_RIGHT, 1)                                                                \
    SB_NUMBER(CUBLAS_DIAG_NON_UNIT, 0)                                                             \
    SB_NUMBER(CUBLAS_DIAG_UNIT, 1)                                                                 \
    SB_NUMBER(CUBLAS_POINTER_MODE_HOST, 0)                                                         \
    SB_NUMBER(CUBLAS_POINTER_MODE_DEVICE, 1)                                                       \
    SB_NUMBER(CUBLAS_COMPUTE_16F, 64)                                                              \
    SB_NUMBER(CUBLAS_COMPUTE_16F_PEDANTIC, 65)                                                     \
    SB_NUMBER(CUBLAS_COMPUTE_64F, 70)                                                              \
    SB_NUMBER(CUBLAS_COMPUTE_64F_PEDANTIC, 71)                                                     \
    SB_NUMBER(CUBLAS_COMPUTE_32I, 72)                                                              \
    SB_NUMBER(CUBLAS_COMPUTE_32I_PEDANTIC, 73)
#define SB_CUBLASLT_NUMBERS                                                                        \
    SB_NUMBER(CUBLASLT_ORDER_COL, 0)                                                               \
    SB_NUMBER(CUBLASLT_ORDER_ROW, 1)                                                               \
    SB_NUMBER(CUBLASLT_POINTER_MODE_HOST, 0)                                                       \
    SB_NUMBER(CUBLASLT_POINTER_MODE_DEVICE, 1)                                                     \
    SB_NUMBER(CUBLASLT_POINTER_MODE_DEVICE_VECTOR, 2)                                              \
    SB_NUMBER(CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_ZERO, 3)                              \
    SB_NUMBER(CUBLASLT_POINTER_MODE_ALPHA_DEVICE_VECTOR_BETA_HOST, 4)                              \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_TYPE, 0)                                                      \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_ORDER, 1)                                                     \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_ROWS, 2)                                                      \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_COLS, 3)                                                      \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_LD, 4)                                                        \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 5)                                               \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, 6)                                      \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_PLANE_OFFSET, 7)                                              \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_SCALE_TYPE, 1)                                                  \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_POINTER_MODE, 2)                                                \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_TRANSA, 3)                                                      \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_TRANSB, 4)                                                      \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_FILL_MODE, 6)                                                   \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE, 7)                                                    \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_BIAS_POINTER, 8)                                                \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, 10)                                          \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, 11)                                       \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, 12)                                            \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, 13)                                  \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_ALPHA_VECTOR_BATCH_STRIDE, 14)                                  \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, 17)                                            \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, 18)                                            \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_C_SCALE_POINTER, 19)                                            \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_D_SCALE_POINTER, 20)                                            \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_AMAX_D_POINTER, 21)                                             \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, 22)                                     \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_POINTER, 23)                                 \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_AMAX_POINTER, 24)                                  \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, 26)                                             \
    SB_NUMBER(CUBLASLT_EPILOGUE_DEFAULT, 1)                                                        \
    SB_NUMBER(CUBLASLT_EPILOGUE_RELU, 2)                                                           \
    SB_NUMBER(CUBLASLT_EPILOGUE_BIAS, 4)                                                           \
    SB_NUMBER(CUBLASLT_EPILOGUE_RELU_AUX, 130)                                                     \
    SB_NUMBER(CUBLASLT_EPILOGUE_DRELU, 136)                                                        \
    SB_NUMBER(CUBLASLT_EPILOGUE_DRELU_BGRAD, 152)                                                  \
    SB_NUMBER(CUBLASLT_EPILOGUE_GELU, 32)                                                          \
    SB_NUMBER(CUBLASLT_EPILOGUE_GELU_AUX, 160)                                                     \
    SB_NUMBER(CUBLASLT_EPILOGUE_DGELU, 192)                                                        \
    SB_NUMBER(CUBLASLT_EPILOGUE_DGELU_BGRAD, 208)                                                  \
    SB_NUMBER(CUBLASLT_EPILOGUE_BGRADA, 256)                                                       \
    SB_NUMBER(CUBLASLT_EPILOGUE_BGRADB, 512)
/* Of cuBLAS 12.9 and 13.0: older ones say that they do not know them. */
#define SB_CUBLASLT_NEWER_NUMBERS                                                                  \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, 31)                                               \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, 32)                                               \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_C_SCALE_MODE, 33)                                               \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_D_SCALE_MODE, 34)                                               \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_SCALE_MODE, 35)                                    \
    SB_NUMBER(CUBLASLT_MATMUL_DESC_D_OUT_SCALE_POINTER, 36)                                        \
    SB_NUMBER(CUBLASLT_MATRIX_LAYOUT_BATCH_MODE, 8)
#define SB_CUDNN_NUMBERS                                                                           \
    SB_NUMBER(CUDNN_DATA_FLOAT, 0)                                                                 \
    SB_NUMBER(CUDNN_DATA_DOUBLE, 1)                                                                \
    SB_NUMBER(CUDNN_DATA_HALF, 2)                                                                  \
    SB_NUMBER(CUDNN_DATA_INT8, 3)                                                                  \
    SB_NUMBER(CUDNN_DATA_INT32, 4)                                                                 \
    SB_NUMBER(CUDNN_DATA_UINT8, 6)                                                                 \
    SB_NUMBER(CUDNN_DATA_BFLOAT16, 9)                                                              \
    SB_NUMBER(CUDNN_DATA_INT64, 10)                                                                \
    SB_NUMBER(CUDNN_DATA_BOOLEAN, 11)                                                              \
    SB_NUMBER(CUDNN_DATA_FP8_E4M3, 12)                                                             \
    SB_NUMBER(CUDNN_DATA_FP8_E5M2, 13)                                                             \
    SB_NUMBER(CUDNN_POOLING_MAX, 0)                                                                \
    SB_NUMBER(CUDNN_POOLING_MAX_DETERMINISTIC, 3)                                                  \
    SB_NUMBER(CUDNN_SOFTMAX_LOG, 2)                                                                \
    SB_NUMBER(CUDNN_BATCHNORM_SPATIAL, 1)                                                          \
    SB_NUMBER(CUDNN_BATCHNORM_SPATIAL_PERSISTENT, 2)                                               \
    SB_NUMBER(CUDNN_BATCHNORM_OPS_BN, 0)
#define SB_NCCL_NUMBERS                                                                            \
    SB_NUMBER(ncclSum, 0)                                                                          \
    SB_NUMBER(ncclNumOps, 5)                                                                       \
    SB_NUMBER(ncclInt8, 0)                                                                         \
    SB_NUMBER(ncclUint8, 1)                                                                        \
    SB_NUMBER(ncclInt32, 2)                                                                        \
    SB_NUMBER(ncclUint32, 3)                                                                       \
    SB_NUMBER(ncclInt64, 4)                                                                        \
    SB_NUMBER(ncclUint64, 5)                                                                       \
    SB_NUMBER(ncclFloat16, 6)                                                                      \
    SB_NUMBER(ncclFloat32, 7)                                                                      \
    SB_NUMBER(ncclFloat64, 8)                                                                      \
    SB_NUMBER(ncclBfloat16, 9)                                                                     \
    SB_NUMBER(ncclFloat8e4m3, 10)                                                                  \
    SB_NUMBER(ncclFloat8e5m2, 11)

/* CUDA_MEMCPY2D_v2 of cuda.h, a CUdeviceptr as a pointer. */
struct sb_memcpy_2d {
    size_t from_x, from_y;
    unsigned from_type;
    const void *from_host, *from_device;
    void *from_array;
    size_t from_pitch;
    size_t to_x, to_y;
    unsigned to_type;
    void *to_host, *to_device, *to_array;
    size_t to_pitch;
    size_t width, height;
};

#define SB_NUMBER(name, value) SB_##name = (value),
enum {
    SB_CUDA_NUMBERS SB_DRIVER_NUMBERS SB_CUBLAS_NUMBERS SB_CUBLASLT_NUMBERS
        SB_CUBLASLT_NEWER_NUMBERS SB_CUDNN_NUMBERS SB_NCCL_NUMBERS
};
#undef SB_NUMBER

#endif
