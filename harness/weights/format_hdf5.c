/* Stage 4, weights: reads HDF5, in pieces, whatever the storage layout.
 * What is stored contiguously in its final form is read past libhdf5 by its place in the file. */
#include "weights/format_hdf5.h"

#include "base/cleanup.h"
#include "weights/element.h"
#include "weights/hdf5_chunks.h"
#include "weights/hdf5_file.h"
#include "weights/hdf5_lzf.h"
#include "weights/hdf5_type.h"
#include "weights/hdf5_walk.h"
#include "weights/stream.h"
#include "weights/tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLAB_BYTES = 16 << 20, /* of data that libhdf5 reads */
    /* Deflate makes at most 1032 bytes of one; other filters and fill values may promise anything
     * from nothing. Beyond this a file is taken for a decompression bomb. */
    MOST_EXPANSION = 1032,
};
#define FREE_EXPANSION (UINT64_C(1) << 30) /* bytes that any file may promise */

struct reading {
    const struct sb_hdf5_library *h5;
    struct sb_stream stream;
    uint64_t promised, most_promised; /* bytes of the tensors so far */
};

/* One dataset: identifiers that are closed together. */
struct dataset {
    hid_t id, type, space, properties;
    H5D_layout_t layout;
    struct sb_hdf5_type element;
    struct sb_tensor_info info;
    struct sb_hdf5_chunks *chunks; /* NULL: libhdf5 reads them */
};

static void dataset_close(const struct sb_hdf5_library *h5, struct dataset *dataset) {
    sb_hdf5_chunks_close(dataset->chunks);
    if (dataset->type >= 0)
        h5->H5Tclose(dataset->type);
    if (dataset->space >= 0)
        h5->H5Sclose(dataset->space);
    if (dataset->properties >= 0)
        h5->H5Pclose(dataset->properties);
}

/* All of a dataset but its elements. dataset->element.ignored says when it is no tensor. */
static int dataset_describe(const struct reading *reading, struct dataset *dataset,
                            struct sb_error *err) {
    const struct sb_hdf5_library *h5 = reading->h5;
    const char *name = dataset->info.name;
    if (dataset->type < 0 || dataset->space < 0 || dataset->properties < 0)
        return sb_hdf5_error(h5, err, -EBADMSG, "'%s' cannot be described", name);
    dataset->element = sb_hdf5_type(h5, dataset->id, dataset->type);
    H5S_class_t class = h5->H5Sget_simple_extent_type(dataset->space);
    if (class == H5S_NULL)
        dataset->element.ignored = "has no elements by its type (null dataspace)";
    if (dataset->element.ignored)
        return 0;
    int rank = h5->H5Sget_simple_extent_ndims(dataset->space);
    hsize_t dims[H5S_MAX_RANK];
    dataset->layout = h5->H5Pget_layout(dataset->properties);
    if (rank < 0 || rank > SB_MAX_RANK ||
        h5->H5Sget_simple_extent_dims(dataset->space, dims, NULL) < 0)
        return sb_hdf5_error(h5, err, -EBADMSG, "'%s' has no readable shape", name);
    if (h5->H5Pget_external_count(dataset->properties) != 0)
        return sb_error_set(err, -EBADMSG,
                            "'%s' is stored in another file (external storage), "
                            "which is refused",
                            name);
    if (dataset->layout == H5D_VIRTUAL)
        return sb_error_set(err, -EBADMSG,
                            "'%s' is a virtual dataset, put together from other "
                            "files, which is refused",
                            name);
    dataset->info.dtype = dataset->element.dtype;
    dataset->info.rank = (unsigned)rank;
    for (int i = 0; i < rank; i++)
        dataset->info.dims[i] = dims[i];
    return sb_tensor_info_count(&dataset->info, err);
}

/* How to cut a dataset: one index for every axis before `axis`, up to `rows` of that axis, and the
 * whole of those behind it, so that each slab's elements follow one another in C order. */
struct slabs {
    unsigned axis;
    uint64_t rows, row_elements;
};

/* Slabs end at the borders of chunks where they can, so that no chunk is decompressed twice. */
static struct slabs cut(const struct reading *reading, const struct dataset *dataset) {
    const struct sb_tensor_info *info = &dataset->info;
    hsize_t chunk[H5S_MAX_RANK] = {0};
    bool chunked =
        dataset->layout == H5D_CHUNKED &&
        reading->h5->H5Pget_chunk(dataset->properties, H5S_MAX_RANK, chunk) == (int)info->rank;
    uint64_t most = SLAB_BYTES / sb_dtype_size(info->dtype);
    struct slabs slabs = {.row_elements = 1};
    slabs.axis = info->rank - 1;
    while (slabs.axis && slabs.row_elements * info->dims[slabs.axis] <= most)
        slabs.row_elements *= info->dims[slabs.axis--];
    slabs.rows = most / slabs.row_elements;
    if (slabs.rows >= info->dims[slabs.axis])
        slabs.rows = info->dims[slabs.axis];
    else if (chunked && chunk[slabs.axis] && slabs.rows > chunk[slabs.axis])
        slabs.rows -= slabs.rows % chunk[slabs.axis];
    return slabs;
}

static int read_slab(struct reading *reading, const struct dataset *dataset, const hsize_t *start,
                     const hsize_t *count, uint64_t n, struct sb_error *err) {
    int done = dataset->chunks
                   ? sb_hdf5_chunks_read(dataset->chunks, start, count, reading->stream.buffer, err)
                   : 0;
    if (done < 0)
        return done;
    if (done)
        return sb_stream_hand_out(&reading->stream, &dataset->info, dataset->element.big_endian, n,
                                  err);
    const struct sb_hdf5_library *h5 = reading->h5;
    hsize_t length = n;
    hid_t memory = h5->H5Screate_simple(1, &length, NULL);
    bool selected = memory >= 0 && (dataset->info.rank == 0 ||
                                    h5->H5Sselect_hyperslab(dataset->space, H5S_SELECT_SET, start,
                                                            NULL, count, NULL) >= 0);
    /* In memory the stored type: libhdf5 converts nothing, and no NaN loses its payload. */
    bool read = selected && h5->H5Dread(dataset->id, dataset->type, memory, dataset->space,
                                        H5P_DEFAULT, reading->stream.buffer) >= 0;
    if (!read) /* before another call forgets why */
        sb_hdf5_error(h5, err, -EBADMSG, "'%s' cannot be read", dataset->info.name);
    if (memory >= 0)
        h5->H5Sclose(memory);
    if (!read)
        return -EBADMSG;
    return sb_stream_hand_out(&reading->stream, &dataset->info, dataset->element.big_endian, n,
                              err);
}

/* Steps to the next slab like an odometer. False after the last. */
static bool next_slab(const struct sb_tensor_info *info, const struct slabs *slabs,
                      hsize_t *start) {
    start[slabs->axis] += slabs->rows;
    for (unsigned axis = slabs->axis; start[axis] >= info->dims[axis]; axis--) {
        if (axis == 0)
            return false;
        start[axis] = 0;
        start[axis - 1]++;
    }
    return true;
}

static int read_slabs(struct reading *reading, const struct dataset *dataset,
                      struct sb_error *err) {
    const struct sb_tensor_info *info = &dataset->info;
    hsize_t start[H5S_MAX_RANK] = {0}, count[H5S_MAX_RANK];
    if (info->rank == 0) {
        int r = sb_stream_reserve(&reading->stream, sizeof(double[2]), info->name, err);
        return r < 0 ? r : read_slab(reading, dataset, start, count, 1, err);
    }
    struct slabs slabs = cut(reading, dataset);
    size_t n_bytes = slabs.rows * slabs.row_elements * sb_dtype_size(info->dtype);
    int r = sb_stream_reserve(&reading->stream, n_bytes, info->name, err);
    bool more = true;
    while (r == 0 && more) {
        for (unsigned i = 0; i < info->rank; i++)
            count[i] = i < slabs.axis ? 1 : info->dims[i];
        uint64_t left = info->dims[slabs.axis] - start[slabs.axis];
        uint64_t rows = left < slabs.rows ? left : slabs.rows;
        count[slabs.axis] = rows;
        r = read_slab(reading, dataset, start, count, rows * slabs.row_elements, err);
        more = next_slab(info, &slabs, start);
    }
    return r;
}

static int read_elements(struct reading *reading, struct dataset *dataset, struct sb_error *err) {
    uint64_t n_bytes = dataset->info.n_elements * sb_dtype_size(dataset->info.dtype);
    if (n_bytes == 0)
        return 0;
    if (n_bytes > reading->most_promised - reading->promised)
        return sb_error_set(err, -EBADMSG,
                            "'%s' would be %" PRIu64 " bytes, out of a file of %" PRIu64
                            ": more than data can be compressed (%d times, and 1 GiB of fill "
                            "values, are read)",
                            dataset->info.name, n_bytes, reading->stream.bytes.n, MOST_EXPANSION);
    reading->promised += n_bytes;
    haddr_t offset = HADDR_UNDEF;
    if (dataset->layout == H5D_CONTIGUOUS)
        offset = reading->h5->H5Dget_offset(dataset->id);
    reading->h5->H5Eclear2(H5E_DEFAULT);
    if (offset != HADDR_UNDEF)
        return sb_stream_contiguous(&reading->stream, &dataset->info, dataset->element.big_endian,
                                    offset, err);
    if (dataset->layout == H5D_CHUNKED &&
        sb_hdf5_chunks_open(reading->h5, &reading->stream.bytes, dataset->id, dataset->properties,
                            &dataset->info, reading->stream.sink->threads, &dataset->chunks) < 0)
        return sb_error_errno(err, -ENOMEM, "'%s'", dataset->info.name);
    return read_slabs(reading, dataset, err);
}

static int read_described(struct reading *reading, struct dataset *dataset, struct sb_error *err) {
    struct sb_tensor_sink *sink = reading->stream.sink;
    if (dataset->element.ignored)
        return sink->ignored
                   ? sink->ignored(sink->context, dataset->info.name, dataset->element.ignored)
                   : 0;
    bool wanted = true;
    int r = sink->begin(sink->context, &dataset->info, &wanted, err);
    if (r < 0 || !wanted)
        return r;
    r = read_elements(reading, dataset, err);
    return r < 0 ? r : sink->end(sink->context, err);
}

static int read_dataset(void *context, const char *name, hid_t id, struct sb_error *err) {
    struct reading *reading = context;
    const struct sb_hdf5_library *h5 = reading->h5;
    struct dataset dataset = {
        .id = id,
        .type = h5->H5Dget_type(id),
        .space = h5->H5Dget_space(id),
        .properties = h5->H5Dget_create_plist(id),
        .info.name = (char *)name,
    };
    int r = dataset_describe(reading, &dataset, err);
    if (r == 0)
        r = read_described(reading, &dataset, err);
    dataset_close(h5, &dataset);
    return r;
}

static int pass_ignored(void *context, const char *name, const char *why) {
    struct sb_tensor_sink *sink = ((struct reading *)context)->stream.sink;
    return sink->ignored ? sink->ignored(sink->context, name, why) : 0;
}

int sb_hdf5_read(const struct sb_bytes *bytes, bool recount, struct sb_tensor_sink *sink,
                 struct sb_error *err) {
    const struct sb_hdf5_library *h5 = sb_hdf5_library(err);
    if (!h5)
        return -ENOSYS;
    struct reading reading = {.h5 = h5, .stream = {.bytes = *bytes, .sink = sink}};
    if (__builtin_mul_overflow(bytes->n, MOST_EXPANSION, &reading.most_promised) ||
        __builtin_add_overflow(reading.most_promised, FREE_EXPANSION, &reading.most_promised))
        reading.most_promised = UINT64_MAX;
    hid_t file;
    int r = sb_hdf5_file_open(h5, &reading.stream.bytes, &file, err);
    if (r < 0)
        return r;
    struct sb_hdf5_visitor visitor = {
        .context = &reading, .recount = recount, .dataset = read_dataset, .ignored = pass_ignored};
    r = sb_hdf5_walk(h5, file, &visitor, err);
    sb_stream_clear(&reading.stream);
    h5->H5Fclose(file);
    return r;
}

static int hdf5_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                     struct sb_error *err) {
    struct sb_bytes bytes;
    int r = sb_bytes_of_file(source->fd, &bytes);
    return r < 0 ? sb_error_errno(err, r, "%s", source->path)
                 : sb_hdf5_read(&bytes, source->recount, sink, err);
}

/* The signature stands at 0, 512, 1024, 2048 …: what is before it is the user's. */
static bool hdf5_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    for (size_t at = 0; at + sizeof signature <= n; at = at ? 2 * at : 512) {
        if (memcmp(head + at, signature, sizeof signature) == 0)
            return true;
    }
    return false;
}

int sb_hdf5_prepare(struct sb_error *err) {
    const struct sb_hdf5_library *h5 = sb_hdf5_library(err);
    int r = h5 ? sb_hdf5_file_prepare(h5, err) : -ENOSYS;
    return r < 0 ? r : sb_hdf5_lzf_register(h5, err);
}

const struct sb_format sb_format_hdf5 = {
    .name = "hdf5",
    .summary = "HDF5: Keras weights, h5py, MATLAB 7.3",
    .extensions = ".h5 .hdf5 .keras.h5 .weights.h5 .mat",
    .recognise = hdf5_recognise,
    .prepare = sb_hdf5_prepare,
    .read = hdf5_read,
};
