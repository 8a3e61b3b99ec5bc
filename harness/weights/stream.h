/* Stage 4, weights: elements that lie in a file one after the other. */
#ifndef SB_WEIGHTS_STREAM_H
#define SB_WEIGHTS_STREAM_H

#include <samebits/weights.h>

/* pread(2) until all is read: -EBADMSG at the end of the file. */
int sb_read_at(int fd, void *data, size_t n, uint64_t offset);

/* Elements as they are stored into the form that is fingerprinted: little-endian, bool one of 0 and
 * 1 (-EBADMSG where it is neither). */
int sb_elements_normalise(const struct sb_tensor_info *info, bool big_endian, void *elements,
                          uint64_t n, struct sb_error *err);

/* A stretch of a file, or of memory: all of a file, or what stands in an archive for one. */
struct sb_bytes {
    int fd;
    uint64_t begin;     /* in the file */
    const char *memory; /* NULL: in the file */
    uint64_t n;
};

/* The whole file behind fd. 0 or -errno. */
int sb_bytes_of_file(int fd, struct sb_bytes *bytes);
/* n bytes from `offset` on; -EBADMSG where there are fewer. */
int sb_bytes_read(const struct sb_bytes *bytes, void *data, size_t n, uint64_t offset);

/* Many small reads of one file, of which most are near the last. Set `bytes`, zero the rest. */
struct sb_window {
    struct sb_bytes bytes;
    uint64_t at; /* what `data` has of them */
    size_t n;
    char data[16384];
};

/* As sb_bytes_read, for few bytes: n is at most the window. */
int sb_window_read(struct sb_window *window, void *data, size_t n, uint64_t offset);

/* Bytes whose tensors go to a sink. Zero-initialise the buffer; free it with sb_stream_clear. */
struct sb_stream {
    struct sb_bytes bytes;
    struct sb_tensor_sink *sink;
    char *buffer;
    size_t buffer_bytes;
};

void sb_stream_clear(struct sb_stream *stream);
/* Makes the buffer hold n bytes; what is in it may be lost. */
int sb_stream_reserve(struct sb_stream *stream, size_t n, const char *name, struct sb_error *err);
/* Hands n elements, as stored, out of the buffer to the sink. */
int sb_stream_hand_out(struct sb_stream *stream, const struct sb_tensor_info *info, bool big_endian,
                       uint64_t n, struct sb_error *err);
/* Hands out all elements of a tensor that lie in C order from `offset` on. */
int sb_stream_contiguous(struct sb_stream *stream, const struct sb_tensor_info *info,
                         bool big_endian, uint64_t offset, struct sb_error *err);

#endif
