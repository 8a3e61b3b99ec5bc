/* Tests, stand-in for libcudart: the device, copies, and kernels of an image. */
#include "kernels/tests/standin/standin.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int chosen;

/* SAMEBITS_STANDIN_DEVICES=0 is a machine with CUDA's libraries and no device; there may also be
 * several. */
cudaError_t cudaGetDeviceCount(int *count) {
    const char *devices = getenv("SAMEBITS_STANDIN_DEVICES");
    *count = devices ? atoi(devices) : 1;
    return *count ? cudaSuccess : cudaErrorNoDevice;
}

/* The runtime loads the driver by itself, for nobody but itself. */
__attribute__((constructor)) static void load_driver(void) {
    dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
}

cudaError_t cudaSetDevice(int device) {
    int count;
    cudaGetDeviceCount(&count);
    if (device < 0 || device >= count) {
        sb_standin_refuse("cudaSetDevice: device %d of %d", device, count);
        return cudaErrorInvalidDevice;
    }
    chosen = device;
    return cudaSuccess;
}

int sb_standin_device(void) {
    return chosen;
}

#undef cudaGetDeviceProperties
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
    if (device != 0)
        return cudaErrorInvalidDevice;
    memset(properties, 0, sizeof *properties);
    snprintf(properties->name, sizeof properties->name, "%s", SB_STANDIN_DEVICE);
    properties->multiProcessorCount = 1;
    return cudaSuccess;
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorInvalidValue:
        return "invalid argument";
    case cudaErrorInvalidResourceHandle:
        return "invalid resource handle";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    default:
        return "an error of the stand-in";
    }
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = 0; /* there is none */
    return cudaSuccess;
}

/* ---- Copies ---------------------------------------------------------------------------------- */

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    int value;
};

static void copy(void *arg) {
    const struct copy *copy = arg;
    memcpy(copy->to, copy->from, copy->bytes);
}

static void copy_staged(void *arg) {
    const struct copy *copy = arg;
    memcpy(copy->to, copy + 1, copy->bytes);
}

static void set(void *arg) {
    const struct copy *copy = arg;
    memset(copy->to, copy->value, copy->bytes);
}

/* From pageable memory: staged before the call returns, as CUDA does; the other way, done when
 * somebody waits. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    static const char who[] = "cudaMemcpyAsync";
    bool up = kind == cudaMemcpyHostToDevice, down = kind == cudaMemcpyDeviceToHost;
    struct copy plan = {to, from, bytes, 0};
    if (!(up || sb_standin_on_device(who, "the source", from, bytes)) ||
        !(!up || sb_standin_on_host(who, "the source", from)) ||
        !(down || sb_standin_on_device(who, "the destination", to, bytes)) ||
        !(!down || sb_standin_on_host(who, "the destination", to)))
        return cudaErrorInvalidValue;
    if (!up)
        return sb_standin_enqueue(who, stream, copy, &plan, sizeof plan)
                   ? cudaSuccess
                   : cudaErrorInvalidResourceHandle;
    struct copy *staged = malloc(sizeof plan + bytes);
    if (!staged)
        return cudaErrorMemoryAllocation;
    *staged = plan;
    memcpy(staged + 1, from, bytes);
    bool good = sb_standin_enqueue(who, stream, copy_staged, staged, sizeof plan + bytes);
    free(staged);
    return good ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream) {
    struct copy plan = {at, NULL, bytes, value};
    if (!sb_standin_on_device("cudaMemsetAsync", "the destination", at, bytes))
        return cudaErrorInvalidValue;
    return sb_standin_enqueue("cudaMemsetAsync", stream, set, &plan, sizeof plan)
               ? cudaSuccess
               : cudaErrorInvalidResourceHandle;
}

/* ---- Kernels --------------------------------------------------------------------------------- */

static const char library_kind[] = "library";

/* The image must be what nvcc makes, though it is its source, compiled for the host, that runs. */
cudaError_t cudaLibraryLoadData(cudaLibrary_t *library, const void *code,
                                enum cudaJitOption *jit_options, void **jit_values, unsigned n_jit,
                                enum cudaLibraryOption *options, void **values, unsigned n) {
    (void)jit_options, (void)jit_values, (void)n_jit, (void)options, (void)values, (void)n;
    uint32_t magic;
    memcpy(&magic, code, sizeof magic);
    if (magic != 0xba55ed50) {
        sb_standin_refuse("cudaLibraryLoadData: no fat binary");
        return cudaErrorInvalidValue;
    }
    *library = sb_standin_make(library_kind, 1);
    return cudaSuccess;
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library) {
    return sb_standin_free("cudaLibraryUnload", library_kind, library)
               ? cudaSuccess
               : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t *kernel, cudaLibrary_t library, const char *name) {
    if (!sb_standin_is("cudaLibraryGetKernel", library_kind, library))
        return cudaErrorInvalidResourceHandle;
    const void *found = sb_standin_kernel(name);
    if (!found) {
        sb_standin_refuse("cudaLibraryGetKernel: no kernel '%s'", name);
        return cudaErrorSymbolNotFound;
    }
    *kernel = (cudaKernel_t)found;
    return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **args,
                             size_t shared, cudaStream_t stream) {
    static const char who[] = "cudaLaunchKernel";
    if (block.x * block.y * block.z == 0 || block.x * block.y * block.z > 1024 ||
        grid.x * grid.y * grid.z == 0 || grid.y > 65535 || grid.z > 65535 || shared > 49152) {
        sb_standin_refuse("%s: a grid of %ux%ux%u blocks of %ux%ux%u threads with %zu bytes", who,
                          grid.x, grid.y, grid.z, block.x, block.y, block.z, shared);
        return cudaErrorInvalidConfiguration;
    }
    return sb_standin_launch(function, grid, block, args, shared, stream) ? cudaSuccess
                                                                          : cudaErrorInvalidValue;
}
