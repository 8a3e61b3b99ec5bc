/* Tests: stand-in for libcuda, the driver: what the trace of kernel calls asks of it. It must be
 * asked for nothing that a capture forbids. */
#include "kernels/tests/standin/standin.h"

#include <cuda.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- Contexts: that of the runtime is current in the thread that began it ---------------------
 */

static int context; /* its address */
static __thread int pushed;

static bool has_context(const char *who) {
    if (pushed || syscall(SYS_gettid) == getpid())
        return true;
    sb_standin_refuse("%s: this thread has no context", who);
    return false;
}

CUresult cuCtxGetCurrent(CUcontext *current) {
    bool has = pushed || syscall(SYS_gettid) == getpid();
    *current = has ? (CUcontext)(void *)&context : NULL;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream stream, CUcontext *of) {
    *of = (CUcontext)(void *)&context;
    return sb_standin_is_stream("cuStreamGetCtx", stream) ? CUDA_SUCCESS
                                                          : CUDA_ERROR_INVALID_HANDLE;
}

#undef cuCtxPushCurrent
#undef cuCtxPopCurrent
CUresult cuCtxPushCurrent_v2(CUcontext of) {
    pushed += of == (CUcontext)(void *)&context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *of) {
    *of = (CUcontext)(void *)&context;
    if (!pushed) {
        sb_standin_refuse("cuCtxPopCurrent: nothing was pushed");
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    pushed--;
    return CUDA_SUCCESS;
}

/* ---- Streams and copies -----------------------------------------------------------------------
 */

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
    static CUstreamCaptureMode now = CU_STREAM_CAPTURE_MODE_GLOBAL;
    CUstreamCaptureMode before = now;
    now = *mode;
    *mode = before;
    return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
    if (!has_context("cuStreamIsCapturing") || !sb_standin_is_stream("cuStreamIsCapturing", stream))
        return CUDA_ERROR_INVALID_HANDLE;
    *status = sb_standin_is_captured(stream) ? CU_STREAM_CAPTURE_STATUS_ACTIVE
                                             : CU_STREAM_CAPTURE_STATUS_NONE;
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    return sb_standin_drain(stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

static void copy(void *arg) {
    const CUDA_MEMCPY2D *plan = arg;
    const char *from = (const char *)(uintptr_t)plan->srcDevice;
    for (size_t i = 0; i < plan->Height; i++)
        memcpy((char *)plan->dstHost + i * plan->dstPitch, from + i * plan->srcPitch,
               plan->WidthInBytes);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *plan, CUstream stream) {
    static const char who[] = "cuMemcpy2DAsync";
    const void *from = (const void *)(uintptr_t)plan->srcDevice; // NOLINT
    if (!has_context(who))
        return CUDA_ERROR_INVALID_CONTEXT;
    if (plan->srcMemoryType != CU_MEMORYTYPE_UNIFIED || plan->dstMemoryType != CU_MEMORYTYPE_HOST ||
        plan->srcPitch < plan->WidthInBytes || plan->dstPitch < plan->WidthInBytes ||
        !plan->WidthInBytes || !plan->Height) {
        sb_standin_refuse("%s: %zu rows of %zu bytes, %zu from one to the next", who, plan->Height,
                          plan->WidthInBytes, plan->srcPitch);
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sb_standin_on_device(who, "the source", from,
                              (plan->Height - 1) * plan->srcPitch + plan->WidthInBytes) ||
        !sb_standin_on_host(who, "the destination", plan->dstHost))
        return CUDA_ERROR_INVALID_VALUE;
    return sb_standin_enqueue(who, stream, copy, plan, sizeof *plan) ? CUDA_SUCCESS
                                                                     : CUDA_ERROR_INVALID_HANDLE;
}
