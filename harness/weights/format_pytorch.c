/* Stage 4, weights: PyTorch's checkpoints, a zip archive of a pickle and of storages. */
#include "base/cleanup.h"
#include "base/text.h"
#include "weights/pytorch_pickle.h"
#include "weights/stream.h"
#include "weights/zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_PICKLE = 512 << 20,
    MOST_UNPACKED = 1 << 30, /* of a storage that is compressed, which PyTorch itself never does */
    GATHER_BYTES = 1 << 20,
    /* A view can repeat one element as often as it likes; nobody saves more than a broadcast. */
    MOST_EXPANSION = 1024,
};

struct reading {
    const struct sb_zip *zip;
    struct sb_stream stream;
    char *root; /* "archive/", before the names of all members */
    bool big_endian;
    const struct sb_zip_member *checked; /* the storage that was used last, found undamaged */
    char *unpacked;                      /* its bytes, if it is compressed */
};

static void reading_clear(struct reading *reading) {
    sb_stream_clear(&reading->stream);
    free(reading->root);
    free(reading->unpacked);
}

static void close_stream(struct sb_zip_stream **stream) {
    sb_zip_stream_close(*stream);
}

/* ---- Storages -------------------------------------------------------------------------------- */

static int check_sum(const struct sb_zip *zip, const struct sb_zip_member *member,
                     struct sb_error *err) {
    SB_CLEANUP(close_stream) struct sb_zip_stream *stream = NULL;
    int rc = sb_zip_stream_open(zip, member, &stream, err);
    return rc < 0 ? rc : sb_zip_stream_finish(stream, err);
}

static int open_storage(struct reading *reading, const char *key, struct sb_error *err) {
    SB_AUTO_FREE char *name = sb_format("%sdata/%s", reading->root, key);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "storage");
    const struct sb_zip_member *member = sb_zip_find(reading->zip, name);
    if (!member)
        return sb_error_set(err, -EBADMSG, "the archive has no %s", name);
    if (member == reading->checked)
        return 0;
    free(sb_steal_pointer(&reading->unpacked));
    reading->checked = NULL;
    int rc = member->deflated
                 ? sb_zip_member_read(reading->zip, member, MOST_UNPACKED, &reading->unpacked, err)
                 : check_sum(reading->zip, member, err);
    if (rc < 0)
        return rc;
    reading->checked = member;
    reading->stream.bytes = (struct sb_bytes){.fd = reading->zip->fd,
                                              .begin = member->data,
                                              .memory = reading->unpacked,
                                              .n = member->size};
    return 0;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static bool is_contiguous(const struct sb_pytorch_tensor *tensor) {
    uint64_t expected = 1;
    for (unsigned i = tensor->info.rank; i-- > 0;) {
        if (tensor->info.dims[i] != 1 && tensor->strides[i] != expected)
            return false;
        expected *= tensor->info.dims[i];
    }
    return true;
}

/* Does the last element of the view lie inside the storage? */
static int check_bounds(const struct reading *reading, const struct sb_pytorch_tensor *tensor,
                        struct sb_error *err) {
    uint64_t last = tensor->offset, step, n = reading->stream.bytes.n;
    n /= sb_dtype_size(tensor->info.dtype);
    if (tensor->info.n_elements == 0)
        return 0;
    for (unsigned i = 0; i < tensor->info.rank; i++) {
        if (__builtin_mul_overflow(tensor->info.dims[i] - 1, tensor->strides[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            last = UINT64_MAX;
        if (last == UINT64_MAX)
            break;
    }
    if (last >= n)
        return sb_error_set(err, -EBADMSG, "'%s' reaches behind the end of its storage",
                            tensor->info.name);
    if (tensor->info.n_elements / MOST_EXPANSION > n)
        return sb_error_set(err, -EBADMSG, "'%s' repeats its storage more than %d times",
                            tensor->info.name, MOST_EXPANSION);
    return 0;
}

/* Elements of a view one by one, in C order. Runs along the last axis are read at once where they
 * lie together. */
static int gather(struct reading *reading, const struct sb_pytorch_tensor *tensor,
                  struct sb_error *err) {
    const struct sb_tensor_info *info = &tensor->info;
    struct sb_stream *stream = &reading->stream;
    size_t size = sb_dtype_size(info->dtype), room = GATHER_BYTES / size, n = 0;
    uint64_t index[SB_MAX_RANK] = {0}, at = tensor->offset;
    unsigned last = info->rank - 1;
    int rc = sb_stream_reserve(stream, GATHER_BYTES, info->name, err);
    for (uint64_t left = info->n_elements; rc == 0 && left;) {
        uint64_t run = tensor->strides[last] == 1 ? info->dims[last] - index[last] : 1;
        run = run < room - n ? run : room - n;
        if (sb_bytes_read(&stream->bytes, stream->buffer + n * size, run * size, at * size) < 0)
            return sb_error_set(err, -EBADMSG, "'%s' cannot be read", info->name);
        n += run;
        left -= run;
        if (left == 0 || n == room) {
            rc = sb_stream_hand_out(stream, info, reading->big_endian, n, err);
            n = 0;
        }
        at += run * tensor->strides[last];
        index[last] += run;
        for (unsigned i = last; index[i] == info->dims[i] && i > 0; i--) {
            at -= index[i] * tensor->strides[i];
            index[i] = 0;
            at += tensor->strides[i - 1];
            index[i - 1]++;
        }
    }
    return rc;
}

static int read_tensor(struct reading *reading, const struct sb_pytorch_tensor *tensor,
                       struct sb_error *err) {
    struct sb_tensor_sink *sink = reading->stream.sink;
    bool wanted = true;
    if (tensor->ignored)
        return sink->ignored ? sink->ignored(sink->context, tensor->info.name, tensor->ignored) : 0;
    int rc = sink->begin(sink->context, &tensor->info, &wanted, err);
    if (rc < 0 || !wanted)
        return rc;
    if (tensor->info.n_elements) /* an empty storage need not be in the archive */
        rc = open_storage(reading, tensor->key, err);
    if (rc == 0)
        rc = check_bounds(reading, tensor, err);
    if (rc < 0)
        return rc;
    if (tensor->info.n_elements && is_contiguous(tensor))
        rc = sb_stream_contiguous(&reading->stream, &tensor->info, reading->big_endian,
                                  tensor->offset * sb_dtype_size(tensor->info.dtype), err);
    else if (tensor->info.n_elements)
        rc = gather(reading, tensor, err);
    return rc < 0 ? rc : sink->end(sink->context, err);
}

/* ---- The archive ----------------------------------------------------------------------------- */

/* The pickle's name tells the folder that all else is in. */
static const struct sb_zip_member *find_pickle(const struct sb_zip *zip) {
    static const char ending[] = "data.pkl";
    for (size_t i = 0; i < zip->n_members; i++) {
        const char *name = zip->members[i].name, *slash = strrchr(name, '/');
        if (strcmp(slash ? slash + 1 : name, ending) == 0)
            return &zip->members[i];
    }
    return NULL;
}

/* "little" or "big"; older versions wrote none, on little-endian machines. */
static int read_byte_order(struct reading *reading, struct sb_error *err) {
    SB_AUTO_FREE char *name = sb_format("%sbyteorder", reading->root);
    SB_AUTO_FREE char *order = NULL;
    const struct sb_zip_member *member = name ? sb_zip_find(reading->zip, name) : NULL;
    if (!name)
        return sb_error_errno(err, -ENOMEM, "byteorder");
    int rc = member ? sb_zip_member_read(reading->zip, member, 64, &order, err) : 0;
    reading->big_endian = order && strcmp(order, "big") == 0;
    if (rc == 0 && order && !reading->big_endian && strcmp(order, "little") != 0)
        rc = sb_error_set(err, -EBADMSG, "the byte order '%.20s' is not known", order);
    return rc;
}

static int read_archive(struct reading *reading, struct sb_error *err) {
    const struct sb_zip_member *member = find_pickle(reading->zip);
    SB_AUTO_FREE char *bytes = NULL;
    SB_CLEANUP(sb_pickle_clear) struct sb_pickle_tree tree = {0};
    SB_CLEANUP(sb_pytorch_tensors_clear) struct sb_pytorch_tensors tensors = {0};
    if (!member)
        return sb_error_set(err, -EBADMSG, "the archive has no data.pkl");
    reading->root = strndup(member->name, strlen(member->name) - strlen("data.pkl"));
    if (!reading->root)
        return sb_error_errno(err, -ENOMEM, "archive");
    int rc = read_byte_order(reading, err);
    if (rc == 0)
        rc = sb_zip_member_read(reading->zip, member, MOST_PICKLE, &bytes, err);
    if (rc == 0)
        rc = sb_pickle_read(bytes, member->size, &tree, err);
    if (rc == 0)
        rc = sb_pytorch_tensors_find(&tree, reading->stream.sink, &tensors, err);
    for (size_t i = 0; i < tensors.n && rc == 0; i++)
        rc = read_tensor(reading, &tensors.items[i], err);
    return rc;
}

/* Before version 1.6: several pickles one after the other, of which the first is this number. */
static const unsigned char legacy[] = {0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20};

static int pytorch_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                        struct sb_error *err) {
    SB_CLEANUP(sb_zip_clear) struct sb_zip zip = {0};
    unsigned char head[sizeof legacy];
    struct sb_bytes bytes;
    int rc = sb_bytes_of_file(source->fd, &bytes);
    if (rc < 0)
        return sb_error_errno(err, rc, "%s", source->path);
    if (sb_read_at(source->fd, head, sizeof head, 0) == 0 &&
        memcmp(head, legacy, sizeof legacy) == 0)
        return sb_error_set(err, -EBADMSG,
                            "it is in the format of PyTorch before 1.6: load it and save it again");
    rc = sb_zip_read(source->fd, bytes.n, &zip, err);
    if (rc < 0)
        return rc;
    SB_CLEANUP(reading_clear) struct reading reading = {.zip = &zip, .stream = {.sink = sink}};
    return read_archive(&reading, err);
}

static bool pytorch_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return sb_zip_first_member(head, n, "/data.pkl", true) ||
           sb_zip_first_member(head, n, "/data/", false) ||
           sb_zip_first_member(head, n, "/byteorder", true) ||
           (n >= sizeof legacy && memcmp(head, legacy, sizeof legacy) == 0);
}

const struct sb_format sb_format_pytorch = {
    .name = "pytorch",
    .summary = "PyTorch's torch.save",
    .extensions = ".pt .pth .bin",
    .recognise = pytorch_recognise,
    .read = pytorch_read,
};
