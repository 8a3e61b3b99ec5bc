/* Stage 4, weights: npy, one NumPy array a file.
 * Its tensor is named as numpy.savez names the first array that it is given: so the array has one
 * fingerprint in both formats, and two files can be compared whatever they are called. */
#include "base/cleanup.h"
#include "weights/npy_header.h"
#include "weights/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static bool npy_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return n >= 10 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* A file from its beginning on. */
struct place {
    int fd;
    uint64_t at;
};

static int read_next(void *context, void *data, size_t n, struct sb_error *err) {
    struct place *place = context;
    if (sb_read_at(place->fd, data, n, place->at) < 0)
        return sb_error_set(err, -EBADMSG, "npy: the file ends in its header");
    place->at += n;
    return 0;
}

static int read_transposed(struct sb_stream *stream, const struct sb_npy_header *header,
                           struct sb_error *err) {
    /* From the file's start, since a mapping begins at a page. If somebody shortens the file now,
     * this process ends by SIGBUS, and that is said of the file. */
    char *mapped = mmap(NULL, stream->bytes.n, PROT_READ, MAP_PRIVATE, stream->bytes.fd, 0);
    if (mapped == MAP_FAILED)
        return sb_error_errno(err, -errno, "'%s'", header->info.name);
    int r = sb_npy_gather(stream, header, mapped + header->data, err);
    munmap(mapped, stream->bytes.n);
    return r;
}

static int read_elements(struct sb_stream *stream, const struct sb_npy_header *header,
                         struct sb_error *err) {
    if (header->fortran_order && header->info.rank > 1 && header->info.n_elements)
        return read_transposed(stream, header, err);
    return sb_stream_contiguous(stream, &header->info, header->big_endian, header->data, err);
}

static int npy_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                    struct sb_error *err) {
    struct sb_npy_header header;
    bool wanted = true;
    int r = sb_npy_header_read(read_next, &(struct place){source->fd, 0}, &header, err);
    if (r < 0)
        return r;
    header.info.name = (char[]){"arr_0"};
    if (header.ignored)
        return sink->ignored ? sink->ignored(sink->context, header.info.name, header.ignored) : 0;
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    r = sb_bytes_of_file(source->fd, &stream.bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", source->path);
    uint64_t n_bytes = header.info.n_elements * sb_dtype_size(header.info.dtype);
    if (stream.bytes.n < header.data || stream.bytes.n - header.data != n_bytes)
        return sb_error_set(err, -EBADMSG, "npy: the file has not the size that its header says");
    r = sink->begin(sink->context, &header.info, &wanted, err);
    if (r < 0 || !wanted)
        return r;
    r = read_elements(&stream, &header, err);
    return r < 0 ? r : sink->end(sink->context, err);
}

const struct sb_format sb_format_npy = {
    .name = "npy",
    .summary = "NumPy: one array",
    .extensions = ".npy",
    .recognise = npy_recognise,
    .read = npy_read,
};
