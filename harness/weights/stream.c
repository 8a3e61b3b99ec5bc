/* Stage 4, weights: elements that lie in a file one after the other. See weights/stream.h. */
#include "weights/stream.h"

#include "weights/element.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 256 << 10 }; /* stays in the second-level cache until it is digested */

int sb_read_at(int fd, void *data, size_t n, uint64_t offset) {
    char *next = data;
    if (offset > INT64_MAX - n) /* pread(2) calls that an invalid argument, and it is the file's */
        return -EBADMSG;
    while (n) {
        ssize_t got = pread(fd, next, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            return -EBADMSG;
        next += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int sb_bytes_of_file(int fd, struct sb_bytes *bytes) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    *bytes = (struct sb_bytes){.fd = fd, .n = (uint64_t)status.st_size};
    return 0;
}

int sb_bytes_read(const struct sb_bytes *bytes, void *data, size_t n, uint64_t offset) {
    if (offset > bytes->n || n > bytes->n - offset)
        return -EBADMSG;
    if (!bytes->memory)
        return sb_read_at(bytes->fd, data, n, bytes->begin + offset);
    memcpy(data, bytes->memory + offset, n);
    return 0;
}

int sb_window_read(struct sb_window *window, void *data, size_t n, uint64_t offset) {
    const struct sb_bytes *bytes = &window->bytes;
    if (offset > bytes->n || n > bytes->n - offset || n > sizeof window->data)
        return -EBADMSG;
    if (offset < window->at || offset - window->at > window->n ||
        n > window->n - (size_t)(offset - window->at)) {
        uint64_t left = bytes->n - offset;
        size_t more = left < sizeof window->data ? (size_t)left : sizeof window->data;
        window->n = 0;
        int r = sb_bytes_read(bytes, window->data, more, offset);
        if (r < 0)
            return r;
        window->at = offset;
        window->n = more;
    }
    memcpy(data, window->data + (offset - window->at), n);
    return 0;
}

static void reverse_parts(char *bytes, size_t n_bytes, size_t part) {
    for (size_t i = 0; i < n_bytes; i += part) {
        for (size_t low = i, high = i + part - 1; low < high; low++, high--) {
            char kept = bytes[low];
            bytes[low] = bytes[high];
            bytes[high] = kept;
        }
    }
}

int sb_elements_normalise(const struct sb_tensor_info *info, bool big_endian, void *elements,
                          uint64_t n, struct sb_error *err) {
    char *bytes = elements;
    size_t n_bytes = n * sb_dtype_size(info->dtype);
    if (big_endian)
        reverse_parts(bytes, n_bytes, sb_dtype_part_size(info->dtype));
    for (size_t i = 0; info->dtype == SB_DTYPE_BOOL && i < n_bytes; i++) {
        if (bytes[i] != 0 && bytes[i] != 1)
            return sb_error_set(err, -EBADMSG, "'%s' is bool and has an element %d", info->name,
                                bytes[i]);
    }
    return 0;
}

void sb_stream_clear(struct sb_stream *stream) {
    free(stream->buffer);
    stream->buffer = NULL;
    stream->buffer_bytes = 0;
}

int sb_stream_reserve(struct sb_stream *stream, size_t n, const char *name, struct sb_error *err) {
    if (n <= stream->buffer_bytes)
        return 0;
    sb_stream_clear(stream);
    stream->buffer = malloc(n);
    if (!stream->buffer)
        return sb_error_errno(err, -ENOMEM, "'%s'", name);
    stream->buffer_bytes = n;
    return 0;
}

int sb_stream_hand_out(struct sb_stream *stream, const struct sb_tensor_info *info, bool big_endian,
                       uint64_t n, struct sb_error *err) {
    int r = sb_elements_normalise(info, big_endian, stream->buffer, n, err);
    return r < 0 ? r : stream->sink->data(stream->sink->context, stream->buffer, n, err);
}

int sb_stream_contiguous(struct sb_stream *stream, const struct sb_tensor_info *info,
                         bool big_endian, uint64_t offset, struct sb_error *err) {
    size_t size = sb_dtype_size(info->dtype);
    uint64_t left = info->n_elements;
    if (offset > stream->bytes.n || left * size > stream->bytes.n - offset)
        return sb_error_set(err, -EBADMSG, "'%s' reaches behind the end of the file", info->name);
    if (stream->sink->range) {
        int taken =
            stream->sink->range(stream->sink->context, &stream->bytes, big_endian, offset, err);
        if (taken != 0)
            return taken < 0 ? taken : 0;
    }
    int r = sb_stream_reserve(stream, PIECE_BYTES, info->name, err);
    while (r == 0 && left) {
        uint64_t n = left < PIECE_BYTES / size ? left : PIECE_BYTES / size;
        r = sb_bytes_read(&stream->bytes, stream->buffer, n * size, offset);
        if (r < 0)
            return sb_error_errno(err, r, "'%s'", info->name);
        r = sb_stream_hand_out(stream, info, big_endian, n, err);
        offset += n * size;
        left -= n;
    }
    return r;
}
