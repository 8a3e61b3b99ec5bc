/* The trace: what the parts that interpose CUDA's libraries share. */
#ifndef SB_PROBE_TRACE_CUDA_H
#define SB_PROBE_TRACE_CUDA_H

#include "probe/cuda_abi.h"
#include "probe/trace.h"

/* Memory as it is behind what `stream` was given so far. False: the stream is being captured, so
 * that nothing of it is done now, or there is no driver. */
bool sb_cuda_memory(struct sb_memory *memory, void *stream);

/* enum sb_dtype and bytes of an element of a cudaDataType; false: it is not known, or an element
 * has no bytes of its own. */
bool sb_cuda_type(cudaDataType type, uint8_t *dtype, unsigned *element);
/* Of a factor of that type (trace_describe.h); 0: none that is known. */
char sb_cuda_letter(cudaDataType type);

/* Defines the function `symbol` of a library. What comes last describes the sb_traced `call`, and
 * what it gives beside operands as `returned`. A call that fails leaves nothing behind that is
 * worth a digest. */
#define SB_CUDA_CALL(result, symbol, kernel, parameters, arguments, ...)                           \
    SB_INTERPOSED result symbol parameters;                                                        \
    SB_INTERPOSED result symbol parameters {                                                       \
        static struct sb_real real = {.name = #symbol};                                            \
        const void *caller = SB_CALLER;                                                            \
        const struct sb_found *found = sb_trace_real(&real, (const void *)symbol, caller);         \
        struct sb_traced call;                                                                     \
        struct sb_cuda_result returned = {NULL, 0};                                                \
        bool traced = sb_trace_enter(&call, kernel, found);                                        \
        if (traced) {                                                                              \
            __VA_ARGS__;                                                                           \
            sb_trace_before(&call);                                                                \
        }                                                                                          \
        result status = ((result(*) parameters)found->function)arguments;                          \
        if (traced) {                                                                              \
            call.valid = call.valid && status == 0;                                                \
            sb_trace_after(&call, returned.at, returned.n);                                        \
        }                                                                                          \
        return status;                                                                             \
    }

struct sb_cuda_result {
    const void *at; /* in the process's memory */
    size_t n;
};

#ifdef SB_CUDA_HEADERS /* the prototypes alone, of functions that CUDA's own headers have */
#undef SB_CUDA_CALL
#define SB_CUDA_CALL(result, symbol, kernel, parameters, arguments, ...)                           \
    extern __typeof__(symbol) symbol;                                                              \
    extern result symbol parameters;
#endif

#endif
