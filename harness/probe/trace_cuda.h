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

#ifdef SB_CUDA_HEADERS /* the prototypes alone, of functions that CUDA's own headers have */
#define SB_CUDA_CALL(result, symbol, kernel, parameters, arguments, ...)                           \
    extern __typeof__(symbol) symbol;                                                              \
    extern result symbol parameters;
#else
#define SB_CUDA_CALL(result, symbol, kernel, parameters, arguments, ...)                           \
    SB_TRACED_CALL(result, symbol, kernel, parameters, arguments, SB_TRACED_AFTER, __VA_ARGS__)
#endif

#endif
