/* The trace: what of CUDA's libraries' C interfaces it rests on, restated, so that a samebits built
 * without CUDA traces programs that use it. Types have CUDA's own names, so that the prototypes in
 * trace_cu*.c and trace_nccl.c are compiled beside CUDA's headers as well, where these are there
 * (test probe-cuda-abi, which also compares every number here with theirs: of CUDA 13.0, cuDNN 9
 * and NCCL 2.28). Libraries keep numbers from version to version, or no program would outlive one.
 */
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
/* Of cuDNN 9; the names of its graphs' parts. */
#define SB_CUDNN_GRAPH_NUMBERS                                                                     \
    SB_NUMBER(CUDNN_TYPE_HANDLE, 0)                                                                \
    SB_NUMBER(CUDNN_NORM_FWD_TRAINING, 1)                                                          \
    SB_NUMBER(CUDNN_TYPE_DATA_TYPE, 1)                                                             \
    SB_NUMBER(CUDNN_TYPE_BOOLEAN, 2)                                                               \
    SB_NUMBER(CUDNN_TYPE_INT64, 3)                                                                 \
    SB_NUMBER(CUDNN_TYPE_FLOAT, 4)                                                                 \
    SB_NUMBER(CUDNN_TYPE_DOUBLE, 5)                                                                \
    SB_NUMBER(CUDNN_TYPE_VOID_PTR, 6)                                                              \
    SB_NUMBER(CUDNN_TYPE_BACKEND_DESCRIPTOR, 15)                                                   \
    SB_NUMBER(CUDNN_TYPE_CHAR, 24)                                                                 \
    SB_NUMBER(CUDNN_TYPE_FRACTION, 26)                                                             \
    SB_NUMBER(CUDNN_ATTR_ENGINEHEUR_MODE, 200)                                                     \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 700)                                 \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 701)                                  \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, 705)                                     \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 707)                                 \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, 710)                                   \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 713)                               \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, 715)                                 \
    SB_NUMBER(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 753)                                           \
    SB_NUMBER(CUDNN_ATTR_OPERATION_POINTWISE_DXDESC, 756)                                          \
    SB_NUMBER(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, 773)                                          \
    SB_NUMBER(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, 774)                                        \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_MEAN_DESC, 788)                     \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_UPDATED_RUNNING_VAR_DESC, 789)                      \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_MEAN_DESC, 790)                               \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_SAVED_INV_STD_DESC, 791)                            \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_SCALE_DESC, 792)                                 \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_FINALIZE_EQ_BIAS_DESC, 793)                                  \
    SB_NUMBER(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, 800)                                               \
    SB_NUMBER(CUDNN_ATTR_OPERATIONGRAPH_OPS, 801)                                                  \
    SB_NUMBER(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 900)                                               \
    SB_NUMBER(CUDNN_ATTR_TENSOR_DATA_TYPE, 901)                                                    \
    SB_NUMBER(CUDNN_ATTR_TENSOR_DIMENSIONS, 902)                                                   \
    SB_NUMBER(CUDNN_ATTR_TENSOR_STRIDES, 903)                                                      \
    SB_NUMBER(CUDNN_ATTR_TENSOR_VECTOR_COUNT, 904)                                                 \
    SB_NUMBER(CUDNN_ATTR_TENSOR_UNIQUE_ID, 906)                                                    \
    SB_NUMBER(CUDNN_ATTR_TENSOR_IS_VIRTUAL, 907)                                                   \
    SB_NUMBER(CUDNN_ATTR_TENSOR_IS_BY_VALUE, 908)                                                  \
    SB_NUMBER(CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC, 913)                                           \
    SB_NUMBER(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, 1000)                                            \
    SB_NUMBER(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, 1001)                                         \
    SB_NUMBER(CUDNN_ATTR_VARIANT_PACK_OVERRIDE_UNIQUE_IDS, 1010)                                   \
    SB_NUMBER(CUDNN_ATTR_VARIANT_PACK_OVERRIDE_STRIDES, 1012)                                      \
    SB_NUMBER(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 1300)                                             \
    SB_NUMBER(CUDNN_ATTR_MATMUL_COMP_TYPE, 1500)                                                   \
    SB_NUMBER(CUDNN_ATTR_OPERATION_MATMUL_CDESC, 1522)                                             \
    SB_NUMBER(CUDNN_ATTR_REDUCTION_IS_DETERMINISTIC, 1602)                                         \
    SB_NUMBER(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, 1611)                                          \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_SCALE_DESC, 1626)                            \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_DBN_BIAS_DESC, 1627)                             \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_DY_SCALE_DESC, 1628)                          \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_X_SCALE_DESC, 1629)                           \
    SB_NUMBER(CUDNN_ATTR_OPERATION_BN_BWD_WEIGHTS_EQ_BIAS, 1630)                                   \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_YDESC, 1711)                                       \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RESAMPLE_FWD_IDXDESC, 1712)                                     \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RESAMPLE_BWD_DXDESC, 1720)                                      \
    SB_NUMBER(CUDNN_ATTR_OPERATION_CONCAT_OUTPUT_DESC, 1803)                                       \
    SB_NUMBER(CUDNN_ATTR_OPERATION_SIGNAL_MODE, 1900)                                              \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, 2000)                                            \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, 2001)                                           \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, 2003)                                       \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, 2004)                               \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC, 2011)                        \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, 2012)                         \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, 2013)                                           \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, 2107)                                     \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, 2108)                                      \
    SB_NUMBER(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, 2109)                                          \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, 2201)                                            \
    SB_NUMBER(CUDNN_ATTR_RNG_DISTRIBUTION, 2300)                                                   \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RNG_YDESC, 2310)                                                \
    SB_NUMBER(CUDNN_ATTR_OPERATION_RNG_OFFSET_DESC, 2313)
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
        SB_CUBLASLT_NEWER_NUMBERS SB_CUDNN_NUMBERS SB_CUDNN_GRAPH_NUMBERS SB_NCCL_NUMBERS
};
#undef SB_NUMBER

#endif
