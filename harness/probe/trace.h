/* The trace library's parts among themselves: a call is described (trace_describe.c), digested
 * before and after (trace_digest.c) and written (trace_file.c). What interposes is trace_blas.c,
 * trace_mpi.c, trace_points.c and, of CUDA's libraries, trace_cublas.c, trace_cublaslt.c,
 * trace_cudnn.c, trace_cudnn_graph.c and trace_nccl.c. */
#ifndef SB_PROBE_TRACE_H
#define SB_PROBE_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_INTERPOSED __attribute__((visibility("default")))
#define SB_CALLER __builtin_return_address(0)

/* ---- Calls ------------------------------------------------------------------------------------
 */

/* Which elements of a matrix of columns count: those of a triangle, with its diagonal or without.
 */
enum sb_counted { SB_WHOLE, SB_UPPER, SB_LOWER, SB_STRICTLY_UPPER, SB_STRICTLY_LOWER };

/* `columns` runs of `rows` adjacent elements, `stride` elements from one to the next. What is not a
 * matrix of columns is described as its transpose, a vector as columns of one element. */
struct sb_operand {
    const void *at;
    uint64_t rows, columns, stride;
    uint64_t blocks, block_stride; /* so many of these, by that many elements; 0: one */
    unsigned element;              /* bytes of one; 0: the call's */
    enum sb_counted part;
    bool read, written;
    bool listed; /* `at` are the addresses of the blocks */
};

/* Memory that is not the process's own. `copy` puts `n` runs of `width` bytes, `pitch` bytes from
 * one to the next, side by side; false: it cannot be read now. */
struct sb_memory {
    bool (*copy)(const struct sb_memory *memory, void *to, const void *from, size_t width,
                 size_t pitch, size_t n);
    void *stream; /* what is read is what is there behind all that this was given before */
};

enum { SB_TRACED_SIZES = 16, SB_TRACED_OPERANDS = 16, SB_TRACED_OPTIONS = 96 };

struct sb_traced {
    const char *kernel, *library;
    const void *function; /* that it goes on to; NULL: none */
    uint8_t dtype;        /* enum sb_dtype */
    unsigned element;     /* bytes of one */
    unsigned n_sizes, n_operands, n_options;
    uint32_t step; /* 0: not known */
    uint64_t sizes[SB_TRACED_SIZES];
    struct sb_operand operands[SB_TRACED_OPERANDS];
    struct sb_memory memory;            /* of the operands; copy NULL: the process's own */
    uint8_t options[SB_TRACED_OPTIONS]; /* what else goes in: flags, factors */
    uint8_t in[16], out[16];
    bool valid; /* false: nothing is read: the library will refuse these arguments, or it cannot be
                 */
    bool alone; /* no other thread was in a traced call when it began */
    uint64_t overlaps, process_ns, thread_ns; /* at its beginning */
};

/* Where a call goes on to. */
struct sb_found {
    const void *caller; /* NULL: any */
    void *function;
    char library[48]; /* file name */
    struct sb_found *next;
};

/* An interposed name. */
struct sb_real {
    const char *name;
    struct sb_found *found;
};

/* The function that `caller` would have called without this library; ends the process where there
 * is none. `own` is the interposing one. */
const struct sb_found *sb_trace_real(struct sb_real *real, const void *own, const void *caller);
/* The same, or NULL. */
const struct sb_found *sb_trace_find(struct sb_real *real, const void *own, const void *caller);

/* What a function of the library says, or -1: of a symbol and its parameters; `caller` is in scope.
 */
#define SB_ASK(symbol, parameters, ...)                                                            \
    ({                                                                                             \
        static struct sb_real real_ = {.name = symbol};                                            \
        const struct sb_found *found_ = sb_trace_find(&real_, NULL, caller);                       \
        found_ ? ((int(*) parameters)found_->function)(__VA_ARGS__) : -1;                          \
    })

/* True: this call is to be described. False: tracing is off, or this call is part of another. Each
 * true one is followed by _before, the call itself, and _after. */
bool sb_trace_enter(struct sb_traced *call, const char *kernel, const struct sb_found *found);
void sb_trace_before(struct sb_traced *call);
/* `returned`: what came out beside operands that are written, or NULL. */
void sb_trace_after(struct sb_traced *call, const void *returned, size_t n);
/* _after in two steps, between which other calls may be made: what comes out may be there later
 * than the call returns. */
void sb_trace_leave(struct sb_traced *call);
void sb_trace_conclude(struct sb_traced *call, const void *returned, size_t n);
/* A record of something that is no call: `call` with its digests. */
void sb_trace_note(const struct sb_traced *call);
/* The same of a call that has its digests. times[3], or NULL: see samebits/trace.h. */
void sb_trace_noted(const struct sb_traced *call, const uint64_t *times);
/* CPU time of the process, in ns, that neither traced calls nor tracing account for. */
uint64_t sb_trace_unseen(void);
bool sb_trace_is_on(void);

/* ---- Interposed calls that return a status, 0 where they did it --------------------------------
 */

/* What a call gives beside its operands. */
struct sb_returned {
    const void *at; /* in the process's memory */
    size_t n;
};

/* Defines the function `symbol` of a library. `after` notes the call when it is over; what comes
 * last describes the sb_traced `call` before it is made, and sets `returned`. A call that fails
 * leaves nothing behind that is worth a digest. */
#define SB_TRACED_CALL(result, symbol, kernel, parameters, arguments, after, ...)                  \
    SB_INTERPOSED result symbol parameters;                                                        \
    SB_INTERPOSED result symbol parameters {                                                       \
        static struct sb_real real = {.name = #symbol};                                            \
        const void *caller = SB_CALLER;                                                            \
        const struct sb_found *found = sb_trace_real(&real, (const void *)symbol, caller);         \
        struct sb_traced call;                                                                     \
        __attribute__((unused)) struct sb_returned returned = {NULL, 0};                           \
        bool traced = sb_trace_enter(&call, kernel, found);                                        \
        if (traced) {                                                                              \
            __VA_ARGS__;                                                                           \
            sb_trace_before(&call);                                                                \
        }                                                                                          \
        result status = ((result(*) parameters)found->function)arguments;                          \
        if (traced) {                                                                              \
            call.valid = call.valid && status == 0;                                                \
            after;                                                                                 \
        }                                                                                          \
        return status;                                                                             \
    }
#define SB_TRACED_AFTER sb_trace_after(&call, returned.at, returned.n)

/* ---- Digests (trace_digest.c, compiled for several instruction sets) --------------------------
 */

/* XXH3-128 of `n` bytes and of the digests of the operands that are read, or written. False: their
 * memory cannot be read. */
typedef bool sb_trace_digest(const struct sb_traced *call, bool written, const void *bytes,
                             size_t n, uint8_t digest[16]);
sb_trace_digest sb_trace_digest_plain, sb_trace_digest_avx2, sb_trace_digest_avx512;

/* ---- The file (trace_file.c) ------------------------------------------------------------------
 */

/* `folder` is kept, not copied. */
void sb_trace_file_begin(const char *folder);
void sb_trace_file_write(const struct sb_traced *call);
void sb_trace_file_lost(void);
void sb_trace_file_spent(uint64_t inside_ns, uint64_t tracing_ns);
uint64_t sb_trace_file_accounted(void); /* the sum of what was spent */

/* ---- One call kept (trace_save.c, trace_frames.c) ---------------------------------------------
 */

/* `call`: see base/saved_call.h; both are copied. */
void sb_trace_save_begin(const char *folder, const char *call);
/* Saves it if it is the one that is wanted, and the first. Its inputs are digested. */
void sb_trace_save(const struct sb_traced *call);
/* Lines, innermost first; at most `room` bytes with the end. */
void sb_trace_frames(char *text, size_t room);

/* ---- Where a source is asked for (trace_asked.c) ----------------------------------------------
 */

void sb_trace_asked_begin(const char *folder, const char *source);

#endif
