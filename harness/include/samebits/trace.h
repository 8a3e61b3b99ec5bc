/* For programs whose bits are in question: points and calls of their own in a trace of kernel
 * calls. In a run of `samebits run --trace` a point's data is digested and noted; elsewhere a point
 * costs a comparison. Nothing is to be linked. */
#ifndef SAMEBITS_TRACE_H
#define SAMEBITS_TRACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Defined by the library that traces, where that is loaded. */
__attribute__((weak)) void sb_trace_point(const char *name, const void *data, const char *dtype,
                                          unsigned rank, const uint64_t *dims);

/* `data`: the elements one after the other, of a dtype by its name in a fingerprint ("f32", "i64"
 * …), dims[rank] of them (at most 16 dims; rank 0: one element). A name is at most 127 bytes. From
 * the same point, in two runs, the same bits are expected to come in the same order. */
static inline void sb_trace(const char *name, const void *data, const char *dtype, unsigned rank,
                            const uint64_t *dims) {
    if (sb_trace_point)
        sb_trace_point(name, data, dtype, rank, dims);
}

/* A call whose digests the program made itself: of all that its result rests on, and of what came
 * out. `library` is what made it ("torch"), `step` of a training or 0, dtype and dims those of the
 * result. With `times` the call counts in the share of CPU time that the trace sees: what
 * sb_trace_clock gave before `in` was made, before the call and after it; NULL: it does not. NULL
 * themselves where no trace is taken. */
__attribute__((weak)) void sb_trace_call(const char *name, const char *library, uint32_t step,
                                         const char *dtype, unsigned rank, const uint64_t *dims,
                                         const uint8_t in[16], const uint8_t out[16],
                                         const uint64_t times[3]);
__attribute__((weak)) uint64_t sb_trace_clock(void);

#ifdef __cplusplus
}
#endif

#endif
