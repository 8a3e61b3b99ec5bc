/* kernels: see gpu.h. */
#include "kernels/backends/gpu.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BOUNDARY = 64 };

int sb_gpu_library(const char *soname, const char *const *names, void *table, size_t bytes,
                   struct sb_error *err) {
    void *library = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *said = dlerror();
        if (said && !strstr(said, "No such file"))
            return sb_error_set(err, -ENOENT, "%s", said);
        return sb_error_set(err, -ENOENT,
                            "%s not found (install NVIDIA's, or name its folder in "
                            "LD_LIBRARY_PATH)",
                            soname);
    }
    for (size_t i = 0; names[i]; i++) {
        void *function = dlsym(library, names[i]);
        if (!function || (i + 1) * sizeof function > bytes)
            return sb_error_set(err, -ENOENT, "%s has no %s", soname, names[i]);
        memcpy((char *)table + i * sizeof function, &function, sizeof function);
    }
    return 0; /* not dlclose: CUDA's libraries have threads and handlers of their own */
}

int sb_gpu_check(const struct sb_gpu *gpu, cudaError_t code, const char *what,
                 struct sb_error *err) {
    if (code == cudaSuccess)
        return 0;
    return sb_error_set(err, code == cudaErrorMemoryAllocation ? -ENOMEM : -EIO, "%s: %s", what,
                        gpu->cuda.cudaGetErrorString(code));
}

/* Wherever a name can be had the device is known by it: reports, and the folder of its results. */
static int look_at_device(struct sb_gpu *gpu, struct sb_error *err) {
    int devices = 0, runtime = 0, driver = 0;
    cudaError_t code = gpu->cuda.cudaGetDeviceCount(&devices);
    if (code == cudaErrorNoDevice || code == cudaErrorInsufficientDriver ||
        (code == cudaSuccess && devices == 0))
        return sb_error_set(err, -ENOENT, "no CUDA device");
    int rc = sb_gpu_check(gpu, code, "cudaGetDeviceCount", err);
    if (rc < 0)
        return rc;
    struct cudaDeviceProp properties;
    rc = sb_gpu_check(gpu, gpu->cuda.cudaGetDeviceProperties(&properties, 0),
                      "cudaGetDeviceProperties", err);
    if (rc < 0)
        return rc;
    gpu->cuda.cudaRuntimeGetVersion(&runtime);
    gpu->cuda.cudaDriverGetVersion(&driver);
    snprintf(gpu->name, sizeof gpu->name, "%.*s", (int)sizeof gpu->name - 1, properties.name);
    snprintf(gpu->about, sizeof gpu->about, "sm_%d%d, %d SMs, CUDA %d.%d, driver for %d.%d",
             properties.major, properties.minor, properties.multiProcessorCount, runtime / 1000,
             runtime % 1000 / 10, driver / 1000, driver % 1000 / 10);
    return 0;
}

int sb_gpu_open(struct sb_gpu *gpu, struct sb_error *err) {
    static const char *const names[] = {SB_CUDART_FUNCTIONS(SB_GPU_NAME) NULL};
    char soname[32]; /* of the version whose headers typed the table: another's may differ */
    snprintf(soname, sizeof soname, "libcudart.so.%d", CUDART_VERSION / 1000);
    *gpu = (struct sb_gpu){0};
    int rc = sb_gpu_library(soname, names, &gpu->cuda, sizeof gpu->cuda, err);
    if (rc == 0)
        rc = look_at_device(gpu, err);
    /* Not the default stream, which all others of a process wait for. */
    if (rc == 0)
        rc = sb_gpu_check(gpu,
                          gpu->cuda.cudaStreamCreateWithFlags(&gpu->stream, cudaStreamNonBlocking),
                          "cudaStreamCreate", err);
    return rc;
}

void sb_gpu_close(struct sb_gpu *gpu) {
    for (size_t o = 0; o < SB_MAX_OPERANDS; o++) {
        if (gpu->operand[o].at)
            gpu->cuda.cudaFree(gpu->operand[o].at);
    }
    if (gpu->workspace.at)
        gpu->cuda.cudaFree(gpu->workspace.at);
    if (gpu->stream)
        gpu->cuda.cudaStreamDestroy(gpu->stream);
    *gpu = (struct sb_gpu){0};
}

void sb_gpu_describe(const struct sb_gpu *gpu, struct sb_backend_facts *facts) {
    snprintf(facts->core, sizeof facts->core, "%.*s", (int)sizeof facts->core - 1, gpu->name);
    snprintf(facts->config, sizeof facts->config, "%s", gpu->about);
}

int sb_gpu_reserve(struct sb_gpu *gpu, struct sb_gpu_memory *memory, size_t bytes,
                   struct sb_error *err) {
    if (memory->bytes >= bytes)
        return 0;
    int rc = 0;
    if (memory->at)
        rc = sb_gpu_check(gpu, gpu->cuda.cudaFree(memory->at), "cudaFree", err);
    *memory = (struct sb_gpu_memory){0};
    if (rc == 0)
        rc = sb_gpu_check(gpu, gpu->cuda.cudaMalloc(&memory->at, bytes), "cudaMalloc", err);
    if (rc == 0)
        memory->bytes = bytes;
    return rc;
}

static size_t bytes_of(const struct sb_call *call, size_t o) {
    return sb_call_elements(call, o) * sb_dtype_size(sb_call_dtype(call, o));
}

int sb_gpu_take(struct sb_gpu *gpu, const struct sb_call *call, void *device[SB_MAX_OPERANDS],
                struct sb_error *err) {
    const struct sb_operand *operand = call->operation->operands;
    int rc = 0;
    for (size_t o = 0; rc == 0 && operand[o].name; o++) {
        size_t bytes = bytes_of(call, o);
        rc = sb_gpu_reserve(gpu, &gpu->operand[o], bytes + BOUNDARY, err);
        if (rc < 0)
            break;
        size_t offset = gpu->keep_offset ? (uintptr_t)call->operand[o] % BOUNDARY : 0;
        device[o] = (char *)gpu->operand[o].at + offset;
        rc = operand[o].role == SB_ROLE_OUT
                 ? sb_gpu_check(gpu, gpu->cuda.cudaMemsetAsync(device[o], 0xff, bytes, gpu->stream),
                                "cudaMemset", err)
                 : sb_gpu_check(gpu,
                                gpu->cuda.cudaMemcpyAsync(device[o], call->operand[o], bytes,
                                                          cudaMemcpyHostToDevice, gpu->stream),
                                "copy to the device", err);
    }
    return rc;
}

int sb_gpu_give(struct sb_gpu *gpu, const struct sb_call *call, void *const device[],
                struct sb_error *err) {
    const struct sb_operand *operand = call->operation->operands;
    int rc = 0;
    for (size_t o = 0; rc == 0 && operand[o].name; o++) {
        if (operand[o].role == SB_ROLE_IN)
            continue;
        rc = sb_gpu_check(gpu,
                          gpu->cuda.cudaMemcpyAsync(call->operand[o], device[o], bytes_of(call, o),
                                                    cudaMemcpyDeviceToHost, gpu->stream),
                          "copy from the device", err);
    }
    /* Also after an error: a copy may be on its way into memory that the caller frees. */
    int last = sb_gpu_check(gpu, gpu->cuda.cudaStreamSynchronize(gpu->stream), "the kernel",
                            rc == 0 ? err : NULL);
    return rc < 0 ? rc : last;
}

int sb_gpu_sizes(const struct sb_call *call, struct sb_error *err) {
    for (size_t i = 0; call->operation->sizes[i]; i++) {
        if (call->size[i] > INT_MAX)
            return sb_error_set(err, -EOVERFLOW, "size %zu is beyond 32-bit integers",
                                call->size[i]);
    }
    return 0;
}

bool sb_gpu_asked(const struct sb_call *call, const char *algorithm) {
    return call->algorithm && strcmp(call->algorithm, algorithm) == 0;
}

void sb_gpu_report(const struct sb_call *call, const char *algorithm, enum sb_claim claim,
                   const char *note, ...) {
    struct sb_call_report *report = call->report;
    if (!report)
        return;
    snprintf(report->algorithm, sizeof report->algorithm, "%s", algorithm);
    report->claim = claim;
    va_list arguments;
    va_start(arguments, note);
    vsnprintf(report->note, sizeof report->note, note, arguments);
    va_end(arguments);
}
