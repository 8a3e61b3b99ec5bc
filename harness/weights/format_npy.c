/* Stage 4, weights: npy, one NumPy array a file.
 * Its tensor is named as numpy.savez names the first array that it is given: so the array has one
 * fingerprint in both formats, and two files can be compared whatever they are called. */
#include "base/cleanup.h"
#include "weights/element.h"
#include "weights/npy_header.h"
#include "weights/stream.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { GATHER_BYTES = 1 << 20 };

static bool npy_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return n >= 10 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* Fortran order: the first index runs fastest in the file, the last one in what is handed out. */
static int gather(struct sb_stream *stream, const struct sb_npy_header *header, const char *stored,
                  struct sb_error *err) {
    const struct sb_tensor_info *info = &header->info;
    size_t size = sb_dtype_size(info->dtype);
    uint64_t index[SB_MAX_RANK] = {0}, stride[SB_MAX_RANK], at = 0, n = 0;
    for (unsigned i = 0; i < info->rank; i++)
        stride[i] = i ? stride[i - 1] * info->dims[i - 1] : 1;
    int r = sb_stream_reserve(stream, GATHER_BYTES, info->name, err);
    for (uint64_t left = info->n_elements; r == 0 && left; left--) {
        memcpy(stream->buffer + n++ * size, stored + at * size, size);
        if (left == 1 || n == GATHER_BYTES / size) {
            r = sb_stream_hand_out(stream, info, header->big_endian, n, err);
            n = 0;
        }
        for (unsigned i = info->rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < info->dims[i])
                break;
            at -= stride[i] * info->dims[i];
            index[i] = 0;
        }
    }
    return r;
}

static int read_transposed(struct sb_stream *stream, const struct sb_npy_header *header,
                           struct sb_error *err) {
    /* From the file's start, since a mapping begins at a page. If somebody shortens the file now,
     * this process ends by SIGBUS, and that is said of the file. */
    char *mapped = mmap(NULL, stream->file_bytes, PROT_READ, MAP_PRIVATE, stream->fd, 0);
    if (mapped == MAP_FAILED)
        return sb_error_errno(err, -errno, "'%s'", header->info.name);
    int r = gather(stream, header, mapped + header->data, err);
    munmap(mapped, stream->file_bytes);
    return r;
}

static int read_elements(struct sb_stream *stream, const struct sb_npy_header *header,
                         struct sb_error *err) {
    if (header->fortran_order && header->info.rank > 1 && header->info.n_elements)
        return read_transposed(stream, header, err);
    return sb_stream_contiguous(stream, &header->info, header->big_endian, header->data, err);
}

static int npy_read(const char *path, int fd, struct sb_tensor_sink *sink, struct sb_error *err) {
    struct sb_npy_header header;
    struct stat status;
    bool wanted = true;
    int r = sb_npy_header_read(fd, &header, err);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    header.info.name = (char[]){"arr_0"};
    if (header.ignored)
        return sink->ignored ? sink->ignored(sink->context, header.info.name, header.ignored) : 0;
    SB_CLEANUP(sb_stream_clear)
    struct sb_stream stream = {.fd = fd, .sink = sink, .file_bytes = (uint64_t)status.st_size};
    uint64_t n_bytes = header.info.n_elements * sb_dtype_size(header.info.dtype);
    if (stream.file_bytes < header.data || stream.file_bytes - header.data != n_bytes)
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
