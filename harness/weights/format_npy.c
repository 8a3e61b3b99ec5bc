/* Stage 4, weights: npy, one NumPy array a file. */
#include "base/cleanup.h"
#include "weights/element.h"
#include "weights/hdf5_file.h"
#include "weights/npy_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { PIECE_BYTES = 256 << 10 };

static bool recognise(const unsigned char *head, size_t n_head, const char *path) {
    (void)path;
    return n_head >= 10 && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* Little-endian, and bool one of 0 and 1. */
static int normalise(const struct sb_npy_header *header, char *elements, uint64_t n,
                     struct sb_error *err) {
    size_t part = sb_dtype_part_size(header->info.dtype),
           n_bytes = n * sb_dtype_size(header->info.dtype);
    for (size_t i = 0; header->big_endian && i < n_bytes; i += part) {
        for (size_t low = i, high = i + part - 1; low < high; low++, high--) {
            char kept = elements[low];
            elements[low] = elements[high];
            elements[high] = kept;
        }
    }
    for (size_t i = 0; header->info.dtype == SB_DTYPE_BOOL && i < n_bytes; i++) {
        if (elements[i] != 0 && elements[i] != 1)
            return sb_error_set(err, -EBADMSG, "npy: a bool has the value %d", elements[i]);
    }
    return 0;
}

static int hand_out(const struct sb_npy_header *header, char *buffer, uint64_t n,
                    struct sb_tensor_sink *sink, struct sb_error *err) {
    int rc = normalise(header, buffer, n, err);
    return rc < 0 ? rc : sink->data(sink->context, buffer, n, err);
}

static int read_in_order(int fd, const struct sb_npy_header *header, char *buffer,
                         struct sb_tensor_sink *sink, struct sb_error *err) {
    const size_t size = sb_dtype_size(header->info.dtype);
    uint64_t offset = header->data;
    for (uint64_t left = header->info.n_elements; left;) {
        uint64_t n = left < PIECE_BYTES / size ? left : PIECE_BYTES / size;
        int rc = sb_read_at(fd, buffer, n * size, offset);
        if (rc < 0)
            return sb_error_errno(err, rc, "npy");
        rc = hand_out(header, buffer, n, sink, err);
        if (rc < 0)
            return rc;
        offset += n * size;
        left -= n;
    }
    return 0;
}

/* Fortran order: the first index runs fastest in the file, the last one in what is handed out. */
static int read_transposed(int fd, const struct sb_npy_header *header, char *buffer,
                           struct sb_tensor_sink *sink, struct sb_error *err) {
    const struct sb_tensor_info *info = &header->info;
    const size_t size = sb_dtype_size(info->dtype),
                 n_bytes = header->data + info->n_elements * size;
    char *file = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        return sb_error_errno(err, -errno, "npy");
    uint64_t stride[SB_MAX_RANK], index[SB_MAX_RANK] = {0}, at = 0, step = 1;
    for (unsigned i = 0; i < info->rank; i++) {
        stride[i] = step;
        step *= info->dims[i];
    }
    int rc = 0;
    uint64_t filled = 0;
    for (uint64_t element = 0; element < info->n_elements && rc == 0; element++) {
        memcpy(buffer + filled * size, file + header->data + at * size, size);
        if (++filled == PIECE_BYTES / size || element + 1 == info->n_elements) {
            rc = hand_out(header, buffer, filled, sink, err);
            filled = 0;
        }
        for (unsigned i = info->rank; i-- > 0;) {
            at += stride[i];
            if (++index[i] < info->dims[i])
                break;
            at -= stride[i] * info->dims[i];
            index[i] = 0;
        }
    }
    munmap(file, n_bytes);
    return rc;
}

/* The tensor is called as the file is, without `.npy`. */
static char *tensor_name(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    bool suffix = n > 4 && strcmp(name + n - 4, ".npy") == 0;
    return strndup(name, suffix ? n - 4 : n);
}

static int read_tensor(int fd, struct sb_npy_header *header, struct sb_tensor_sink *sink,
                       struct sb_error *err) {
    struct stat st;
    uint64_t n_bytes = header->info.n_elements * sb_dtype_size(header->info.dtype);
    if (fstat(fd, &st) < 0)
        return sb_error_errno(err, -errno, "npy");
    if ((uint64_t)st.st_size < header->data || (uint64_t)st.st_size - header->data != n_bytes)
        return sb_error_set(err, -EBADMSG, "npy: the file has not the size that its header says");
    bool wanted = true;
    int rc = sink->begin(sink->context, &header->info, &wanted, err);
    SB_AUTO_FREE char *buffer = malloc(PIECE_BYTES);
    if (!buffer)
        return sb_error_errno(err, -ENOMEM, "npy");
    if (rc == 0 && wanted && n_bytes)
        rc = header->fortran_order && header->info.rank > 1
                 ? read_transposed(fd, header, buffer, sink, err)
                 : read_in_order(fd, header, buffer, sink, err);
    return rc == 0 ? sink->end(sink->context, err) : rc;
}

static int read_npy(const char *path, int fd, struct sb_tensor_sink *sink, struct sb_error *err) {
    struct sb_npy_header header;
    int rc = sb_npy_header_read(fd, &header, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *name = tensor_name(path);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "npy");
    header.info.name = name;
    return header.ignored ? sink->ignored(sink->context, name, header.ignored)
                          : read_tensor(fd, &header, sink, err);
}

const struct sb_format sb_format_npy = {
    .name = "npy",
    .summary = "one NumPy array",
    .extensions = ".npy",
    .recognise = recognise,
    .read = read_npy,
};
