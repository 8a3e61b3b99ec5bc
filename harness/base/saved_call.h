/* base: one kernel call as it was made, in a file: what it read, so that a process of its own can
 * make it again. The trace library (probe/trace_save.c) and the worker save one, the worker replays
 * it.
 *
 * The file is a struct sb_saved_call, little-endian and as wide as here, and then the bytes of its
 * operands one after the other. It is read on the machine that wrote it; its lengths are checked.
 */
#ifndef SB_BASE_SAVED_CALL_H
#define SB_BASE_SAVED_CALL_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SB_SAVED_CALL_MAGIC "sbcall01"
/* "KERNEL:DIGEST", the first call of that kernel with that digest of its inputs, 32 hex digits. */
#define SB_SAVED_CALL_VARIABLE "SAMEBITS_TRACE_CALL"
#define SB_SAVED_CALL_FILE "call" /* in the folder of the run's traces */

enum {
    SB_SAVED_SIZES = 16,
    SB_SAVED_OPERANDS = 12,
    SB_SAVED_OPTIONS = 96,
    SB_SAVED_FRAMES = 8192,
    SB_SAVED_NAME = 64,
    SB_SAVED_PATH = 1024,
    SB_SAVED_PAGE = 4096 /* addresses are kept modulo that: kernels may go by alignment */
};
/* Of all operands; a call with more is not saved. */
#define SB_SAVED_MOST_BYTES (UINT64_C(1) << 30)

/* `columns` runs of `rows` adjacent elements, `stride` elements from one to the next. */
struct sb_saved_operand {
    uint64_t rows, columns, stride;
    uint64_t element; /* bytes of one */
    uint64_t bytes;   /* from the first to behind the last */
    uint64_t address; /* modulo SB_SAVED_PAGE */
    uint8_t read;     /* its bytes stand in the file */
    uint8_t written;
    uint8_t part; /* enum sb_counted of probe/trace.h: which triangle of it counts */
    uint8_t unused[5];
};

struct sb_saved_call {
    char magic[8];
    char kernel[SB_SAVED_NAME];
    char backend[SB_SAVED_NAME];  /* of built-in jobs; else "" */
    char library[SB_SAVED_PATH];  /* path of the one that computed; of built-in jobs "" */
    char frames[SB_SAVED_FRAMES]; /* who called, innermost first, a line each; or "" */
    uint64_t sizes[SB_SAVED_SIZES];
    uint8_t options[SB_SAVED_OPTIONS]; /* flags and factors, or a built-in call's attributes */
    uint8_t dtype, n_sizes, n_operands, n_options;
    uint8_t unused[4];
    struct sb_saved_operand operands[SB_SAVED_OPERANDS];
};

/* Reads one; operands[i] is a malloc'd block of which `call->operands[i].bytes` begin at at[i],
 * aligned as they were. What is not read is zero. -EBADMSG: not a saved call, or damaged. Free with
 * sb_saved_call_clear. */
struct sb_loaded_call {
    struct sb_saved_call call;
    void *blocks[SB_SAVED_OPERANDS];
    void *at[SB_SAVED_OPERANDS];
};
int sb_saved_call_read(const char *path, struct sb_loaded_call *loaded, struct sb_error *err);
/* The head alone. */
int sb_saved_call_read_head(const char *path, struct sb_saved_call *call, struct sb_error *err);
void sb_saved_call_clear(struct sb_loaded_call *loaded);

/* Writes a new file; at[i] are the operands that are read. */
int sb_saved_call_write(const char *path, const struct sb_saved_call *call, void *const *at,
                        struct sb_error *err);

/* Does "KERNEL:DIGEST" mean this call? Here, since the trace library asks it too. */
static inline bool sb_saved_call_is_meant(const char *wanted, const char *kernel,
                                          const uint8_t in[16]) {
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(kernel);
    if (strncmp(wanted, kernel, n) != 0 || wanted[n] != ':' || strlen(wanted) != n + 1 + 32)
        return false;
    const char *digest = wanted + n + 1;
    for (size_t i = 0; i < 16; i++) {
        if (digest[2 * i] != digits[in[i] >> 4] || digest[2 * i + 1] != digits[in[i] & 15])
            return false;
    }
    return true;
}

#endif
