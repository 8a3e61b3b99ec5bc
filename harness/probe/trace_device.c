/* The trace: memory of CUDA's devices, copied piece by piece behind what their stream has to do.
 * The driver is asked and not the runtime: it is there wherever CUDA works and there is one of it,
 * where of the runtime a process may have none (nvcc links it statically) or several. */
#include "probe/trace_cuda.h"

#include <samebits/weights.h>

#include <limits.h>

#define DRIVER(name, parameters, ...)                                                              \
    ({                                                                                             \
        const void *caller = NULL;                                                                 \
        SB_ASK(name, parameters, __VA_ARGS__);                                                     \
    })

/* ---- The thread's state -----------------------------------------------------------------------
 */

struct entered {
    int capture_mode;
    bool pushed;
};

/* A thread that has called nothing of CUDA has no context: the stream's is lent to it. And while
 * another thread captures a stream, this one may be forbidden what it does here. */
static struct entered enter(void *stream) {
    struct entered entered = {SB_CU_STREAM_CAPTURE_MODE_RELAXED, false};
    void *context = NULL;
    if (DRIVER("cuThreadExchangeStreamCaptureMode", (int *), &entered.capture_mode) != 0)
        entered.capture_mode = -1;
    if (DRIVER("cuCtxGetCurrent", (void **), &context) == 0 && !context &&
        DRIVER("cuStreamGetCtx", (void *, void **), stream, &context) == 0 && context)
        entered.pushed = DRIVER("cuCtxPushCurrent_v2", (void *), context) == 0;
    return entered;
}

static void leave(struct entered entered) {
    void *context;
    if (entered.pushed)
        DRIVER("cuCtxPopCurrent_v2", (void **), &context);
    if (entered.capture_mode >= 0)
        DRIVER("cuThreadExchangeStreamCaptureMode", (int *), &entered.capture_mode);
}

/* ---- Copies -----------------------------------------------------------------------------------
 */

/* Of any memory that the device sees, the host's own too. */
static bool copy_runs(void *stream, void *to, const void *from, size_t width, size_t pitch,
                      size_t n) {
    const struct sb_memcpy_2d plan = {.from_type = SB_CU_MEMORYTYPE_UNIFIED,
                                      .from_device = from,
                                      .from_pitch = pitch,
                                      .to_type = SB_CU_MEMORYTYPE_HOST,
                                      .to_host = to,
                                      .to_pitch = width,
                                      .width = width,
                                      .height = n};
    return DRIVER("cuMemcpy2DAsync_v2", (const struct sb_memcpy_2d *, void *), &plan, stream) == 0;
}

/* Further apart than devices copy (CU_DEVICE_ATTRIBUTE_MAX_PITCH), or on one another: one by one.
 */
static bool copy(const struct sb_memory *memory, void *to, const void *from, size_t width,
                 size_t pitch, size_t n) {
    struct entered entered = enter(memory->stream);
    bool apart = pitch > INT_MAX || pitch < width, copied = true;
    if (!apart)
        copied = copy_runs(memory->stream, to, from, width, pitch, n);
    for (size_t i = 0; apart && copied && i < n; i++)
        copied = copy_runs(memory->stream, (char *)to + i * width, (const char *)from + i * pitch,
                           width, width, 1);
    copied = DRIVER("cuStreamSynchronize", (void *), memory->stream) == 0 && copied;
    leave(entered);
    return copied;
}

bool sb_cuda_memory(struct sb_memory *memory, void *stream) {
    struct entered entered = enter(stream);
    int status = -1;
    bool good = DRIVER("cuStreamIsCapturing", (void *, int *), stream, &status) == 0 &&
                status == SB_CU_STREAM_CAPTURE_STATUS_NONE;
    leave(entered);
    *memory = (struct sb_memory){copy, stream};
    return good;
}

/* ---- Types ------------------------------------------------------------------------------------
 */

bool sb_cuda_type(cudaDataType type, uint8_t *dtype, unsigned *element) {
    static const struct {
        int type;
        uint8_t dtype, element;
    } types[] = {{SB_CUDA_R_32F, SB_DTYPE_F32, 4},        {SB_CUDA_R_64F, SB_DTYPE_F64, 8},
                 {SB_CUDA_R_16F, SB_DTYPE_F16, 2},        {SB_CUDA_R_16BF, SB_DTYPE_BF16, 2},
                 {SB_CUDA_C_32F, SB_DTYPE_C64, 8},        {SB_CUDA_C_64F, SB_DTYPE_C128, 16},
                 {SB_CUDA_R_8I, SB_DTYPE_I8, 1},          {SB_CUDA_R_8U, SB_DTYPE_U8, 1},
                 {SB_CUDA_R_32I, SB_DTYPE_I32, 4},        {SB_CUDA_R_8F_E4M3, SB_DTYPE_F8_E4M3, 1},
                 {SB_CUDA_R_8F_E5M2, SB_DTYPE_F8_E5M2, 1}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type == (int)type) {
            *dtype = types[i].dtype;
            *element = types[i].element;
            return true;
        }
    }
    return false;
}

char sb_cuda_letter(cudaDataType type) {
    static const struct {
        int type;
        char letter;
    } letters[] = {{SB_CUDA_R_16F, 'h'}, {SB_CUDA_R_32F, 's'}, {SB_CUDA_R_64F, 'd'},
                   {SB_CUDA_C_32F, 'c'}, {SB_CUDA_C_64F, 'z'}, {SB_CUDA_R_32I, 'i'}};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        if (letters[i].type == (int)type)
            return letters[i].letter;
    }
    return 0;
}
