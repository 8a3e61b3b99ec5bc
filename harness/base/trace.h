/* base: a trace of kernel calls in a file. What writes (a worker, a preloaded library) streams it;
 * what reads walks it once. Both hold one record and the names in memory, never the file.
 *
 * The file is the bytes "sbtrace1" and then records, little-endian, unaligned. Each begins with a
 * byte that says which it is:
 *   'N'  a name:   u16 id, u8 length, bytes
 *   'S'  a shape:  u32 id, u8 dtype (enum sb_dtype), u8 n, n × u64
 *   'P'  a process: u32 process id, u8 length, bytes of its program's name; of what follows
 *   'C'  a call:   u16 kernel, u16 backend (names), u32 shape, u32 thread, u32 step, u64 call,
 *                  16 bytes digest of what went in, 16 of what came out: 57 bytes in all
 * A record defines an id before the first call that uses it; the same id again means another thing
 * from there on. A file may be written on by another process, which begins with "sbtrace1" and
 * names of its own. A record cut off at the end is ignored. */
#ifndef SB_BASE_TRACE_H
#define SB_BASE_TRACE_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_TRACE_MAGIC "sbtrace1"

enum { SB_TRACE_SIZES = 16, SB_TRACE_DIGEST = 16 };

struct sb_trace_record {
    const char *kernel, *backend; /* at most 255 bytes */
    uint8_t dtype;
    uint8_t n_sizes;
    uint64_t sizes[SB_TRACE_SIZES];
    uint32_t thread, step;
    uint64_t call; /* number within the process, from 1 */
    uint8_t in[SB_TRACE_DIGEST], out[SB_TRACE_DIGEST];
    /* Set by the reader: who wrote it, counted from 1, and the program where that is written. */
    uint32_t process;
    const char *program; /* or NULL */
};

/* Appends to the file, which is made where there is none. Not for several threads at once. */
struct sb_trace_writer;
int sb_trace_writer_open(const char *path, struct sb_trace_writer **writer, struct sb_error *err);
int sb_trace_write(struct sb_trace_writer *writer, const struct sb_trace_record *record,
                   struct sb_error *err);
/* Writes out what is buffered; the writer is gone on failure too. */
int sb_trace_writer_close(struct sb_trace_writer *writer, struct sb_error *err);

/* Are the records of this backend weights, and no calls? Keras's callback notes these. */
bool sb_trace_has_weights(const char *backend);

struct sb_trace_reader;
/* -EBADMSG: not a trace. */
int sb_trace_reader_open(const char *path, struct sb_trace_reader **reader, struct sb_error *err);
/* 1: the next call, whose names live until the next one is read; 0: the end; -EBADMSG: damaged. */
int sb_trace_read(struct sb_trace_reader *reader, struct sb_trace_record *record,
                  struct sb_error *err);
void sb_trace_reader_close(struct sb_trace_reader *reader);

#endif
