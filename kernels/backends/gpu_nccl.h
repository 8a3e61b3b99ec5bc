/* kernels: what backend `nccl` takes of NCCL, and its tests. */
#ifndef SB_KERNELS_GPU_NCCL_H
#define SB_KERNELS_GPU_NCCL_H

#include "kernels/backends/gpu.h"

#include <nccl.h>

#define SB_NCCL_FUNCTIONS(X)                                                                       \
    X(ncclGetVersion)                                                                              \
    X(ncclGetErrorString)                                                                          \
    X(ncclCommInitAll)                                                                             \
    X(ncclCommDestroy)                                                                             \
    X(ncclCommGetAsyncError)                                                                       \
    X(ncclGroupStart)                                                                              \
    X(ncclGroupEnd)                                                                                \
    X(ncclAllReduce)

struct sb_nccl_functions {
    SB_NCCL_FUNCTIONS(SB_GPU_SLOT)
};

#endif
