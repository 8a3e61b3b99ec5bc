/* kernels: what the GPU backends share: CUDA's libraries, loaded at run time through tables that
 * their own headers type, a stream, and operands in device memory. */
#ifndef SB_KERNELS_GPU_H
#define SB_KERNELS_GPU_H

#include "kernels/dispatch.h"

#include <cuda_runtime_api.h>

/* A library's functions as a struct of pointers, from a list `LIST(X)` of their names: a member has
 * the type of the prototype in the header, and its name after macros (the headers rename some). */
#define SB_GPU_TEXT(name) #name
#define SB_GPU_SLOT(name) __typeof__(&name) name;
#define SB_GPU_NAME(name) SB_GPU_TEXT(name),

#define SB_CUDART_FUNCTIONS(X)                                                                     \
    X(cudaGetDeviceCount)                                                                          \
    X(cudaSetDevice)                                                                               \
    X(cudaGetDeviceProperties)                                                                     \
    X(cudaGetErrorString)                                                                          \
    X(cudaRuntimeGetVersion)                                                                       \
    X(cudaDriverGetVersion)                                                                        \
    X(cudaMalloc)                                                                                  \
    X(cudaFree)                                                                                    \
    X(cudaMemcpyAsync)                                                                             \
    X(cudaMemsetAsync)                                                                             \
    X(cudaStreamCreateWithFlags)                                                                   \
    X(cudaStreamDestroy)                                                                           \
    X(cudaStreamSynchronize)                                                                       \
    X(cudaStreamWaitEvent)                                                                         \
    X(cudaEventCreateWithFlags)                                                                    \
    X(cudaEventRecord)                                                                             \
    X(cudaEventDestroy)                                                                            \
    X(cudaLibraryLoadData)                                                                         \
    X(cudaLibraryUnload)                                                                           \
    X(cudaLibraryGetKernel)                                                                        \
    X(cudaLaunchKernel)

struct sb_cudart {
    SB_CUDART_FUNCTIONS(SB_GPU_SLOT)
};

struct sb_gpu_memory {
    void *at;
    size_t bytes;
};

struct sb_gpu {
    struct sb_cudart cuda;
    cudaStream_t stream;
    struct sb_gpu_memory operand[SB_MAX_OPERANDS], workspace;
    char name[256];   /* the device's own */
    char about[160];  /* "sm_90, 132 SMs, CUDA 13.0, driver 13.0" */
    bool keep_offset; /* operands lie as far behind a 64-byte boundary as the caller's */
};

/* Opens a library and fills its table: `names` end with NULL and stand in the order of the members.
 * The library stays open as long as the process lives. -ENOENT: it is not there. */
int sb_gpu_library(const char *soname, const char *const *names, void *table, size_t bytes,
                   struct sb_error *err);

/* -ENOENT: no CUDA runtime, or no device. The first device is taken (CUDA_VISIBLE_DEVICES chooses
 * which that is). */
int sb_gpu_open(struct sb_gpu *gpu, struct sb_error *err);
void sb_gpu_close(struct sb_gpu *gpu);
void sb_gpu_describe(const struct sb_gpu *gpu, struct sb_backend_facts *facts);

/* 0 or -EIO with CUDA's own word on it; -ENOMEM where device memory ran out. */
int sb_gpu_check(const struct sb_gpu *gpu, cudaError_t code, const char *what,
                 struct sb_error *err);

/* At least `bytes` of device memory, kept for the next call. */
int sb_gpu_reserve(struct sb_gpu *gpu, struct sb_gpu_memory *memory, size_t bytes,
                   struct sb_error *err);

/* Copies the operands of a call to the device; outputs become NaN there, so that what a kernel
 * leaves unwritten shows. device[o] is where operand o lies. */
int sb_gpu_take(struct sb_gpu *gpu, const struct sb_call *call, void *device[SB_MAX_OPERANDS],
                struct sb_error *err);
/* Copies the outputs back, and waits for all work of the stream. */
int sb_gpu_give(struct sb_gpu *gpu, const struct sb_call *call, void *const device[],
                struct sb_error *err);

/* A size as int, for interfaces with 32-bit sizes; -EOVERFLOW. */
int sb_gpu_sizes(const struct sb_call *call, struct sb_error *err);

/* Is this the algorithm asked for? */
bool sb_gpu_asked(const struct sb_call *call, const char *algorithm);

/* Fills the call's report, if there is one; note is formatted. */
void sb_gpu_report(const struct sb_call *call, const char *algorithm, enum sb_claim claim,
                   const char *note, ...) __attribute__((format(printf, 4, 5)));

#endif
