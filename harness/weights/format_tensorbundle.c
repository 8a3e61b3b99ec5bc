/* Stage 4, weights: reads TensorBundles: the variables of TensorFlow's checkpoints and SavedModels.
 * X.index lists the tensors, X.data-00000-of-00001 and so on have their elements.
 * https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/tensor_bundle.proto
 *
 * The index is a table of sorted keys (weights/table.h): that of "" has the bundle's header, all
 * others have an entry that says type, shape, and where the elements lie. */
#include "base/cleanup.h"
#include "weights/beside.h"
#include "weights/entries.h"
#include "weights/protobuf.h"
#include "weights/table.h"
#include "weights/tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of fields. */
enum { HEADER_NUM_SHARDS = 1, HEADER_ENDIANNESS = 2 };
enum {
    ENTRY_DTYPE = 1,
    ENTRY_SHAPE = 2,
    ENTRY_SHARD = 3,
    ENTRY_OFFSET = 4,
    ENTRY_SIZE = 5,
    ENTRY_SLICES = 7,
};
enum { SHAPE_DIM = 2, SHAPE_UNKNOWN_RANK = 3, DIM_SIZE = 1 };

enum { MOST_SHARDS = 4096 };

/* tensorflow.DataType. */
static const struct {
    uint32_t type;
    enum sb_dtype dtype;
} types[] = {
    {1, SB_DTYPE_F32},      {2, SB_DTYPE_F64},   {3, SB_DTYPE_I32},  {4, SB_DTYPE_U8},
    {5, SB_DTYPE_I16},      {6, SB_DTYPE_I8},    {8, SB_DTYPE_C64},  {9, SB_DTYPE_I64},
    {10, SB_DTYPE_BOOL},    {14, SB_DTYPE_BF16}, {17, SB_DTYPE_U16}, {18, SB_DTYPE_C128},
    {19, SB_DTYPE_F16},     {22, SB_DTYPE_U32},  {23, SB_DTYPE_U64}, {24, SB_DTYPE_F8_E5M2},
    {25, SB_DTYPE_F8_E4M3},
};

enum { TYPE_STRING = 7 };

struct bundle {
    const struct sb_source *source;
    uint64_t n_shards;
    bool big_endian, headed;
    struct sb_bytes *shards; /* [n_shards]; fd -1: not yet asked for */
    struct sb_entries entries;
};

static void bundle_clear(struct bundle *bundle) {
    free(bundle->shards);
    sb_entries_clear(&bundle->entries);
}

/* ---- The index ---------------------------------------------------------------------------------
 */

static int take_header(struct bundle *bundle, struct sb_protobuf message, struct sb_error *err) {
    struct sb_field field;
    int r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number == HEADER_NUM_SHARDS)
            bundle->n_shards = field.value;
        else if (field.number == HEADER_ENDIANNESS)
            bundle->big_endian = field.value != 0;
    }
    if (r < 0)
        return r;
    if (bundle->n_shards == 0 || bundle->n_shards > MOST_SHARDS)
        return sb_error_set(err, -EBADMSG, "a bundle of %" PRIu64 " files", bundle->n_shards);
    bundle->shards = calloc(bundle->n_shards, sizeof *bundle->shards);
    if (!bundle->shards)
        return sb_error_errno(err, -ENOMEM, "a bundle");
    for (uint64_t i = 0; i < bundle->n_shards; i++)
        bundle->shards[i].fd = -1;
    bundle->headed = true;
    return 0;
}

/* What an entry says. */
struct tensor {
    struct sb_tensor_info info;
    uint64_t type, shard, offset, size;
    bool sliced;
};

static int take_dim(struct sb_protobuf message, struct tensor *tensor, struct sb_error *err) {
    struct sb_field field;
    uint64_t size = 0;
    int r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number == DIM_SIZE)
            size = field.value;
    }
    if (r == 0 && (tensor->info.rank == SB_MAX_RANK || size > INT64_MAX))
        r = sb_error_set(err, -EBADMSG, "'%s' has no usable shape", tensor->info.name);
    if (r == 0)
        tensor->info.dims[tensor->info.rank++] = size;
    return r;
}

static int take_shape(struct sb_protobuf message, struct tensor *tensor, struct sb_error *err) {
    struct sb_field field;
    int r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number == SHAPE_DIM && field.type == SB_WIRE_LENGTH)
            r = take_dim(sb_protobuf_of(&message, &field), tensor, err);
        else if (field.number == SHAPE_UNKNOWN_RANK && field.value)
            r = sb_error_set(err, -EBADMSG, "'%s' has no usable shape", tensor->info.name);
        if (r < 0)
            return r;
    }
    return r;
}

static int describe(struct sb_protobuf message, struct tensor *tensor, struct sb_error *err) {
    struct sb_field field;
    int r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        switch (field.number) {
        case ENTRY_DTYPE:
            tensor->type = field.value;
            break;
        case ENTRY_SHAPE:
            r = take_shape(sb_protobuf_of(&message, &field), tensor, err);
            break;
        case ENTRY_SHARD:
            tensor->shard = field.value;
            break;
        case ENTRY_OFFSET:
            tensor->offset = field.value;
            break;
        case ENTRY_SIZE:
            tensor->size = field.value;
            break;
        case ENTRY_SLICES:
            tensor->sliced = true;
            break;
        default:
            break;
        }
        if (r < 0)
            return r;
    }
    return r;
}

static int add_ignored(struct bundle *bundle, const struct tensor *tensor, struct sb_error *err) {
    char *why = tensor->sliced ? strdup("a variable in slices, which are not put together")
                : tensor->type == TYPE_STRING
                    ? strdup("strings")
                    : sb_format("data type %" PRIu64 ", which has no equal here", tensor->type);
    if (!why)
        return sb_error_errno(err, -ENOMEM, "'%s'", tensor->info.name);
    return sb_entries_add(&bundle->entries, &tensor->info, why, 0, 0, err);
}

static int add_tensor(struct bundle *bundle, struct tensor *tensor, struct sb_error *err) {
    struct sb_tensor_info *info = &tensor->info;
    size_t i = 0, n = sizeof types / sizeof *types;
    while (i < n && types[i].type != tensor->type)
        i++;
    if (i == n || tensor->sliced)
        return add_ignored(bundle, tensor, err);
    info->dtype = types[i].dtype;
    int r = sb_tensor_info_count(info, err);
    if (r < 0)
        return r;
    uint64_t end;
    if (info->n_elements * sb_dtype_size(info->dtype) != tensor->size)
        return sb_error_set(err, -EBADMSG, "'%s' has other bytes than its shape needs", info->name);
    if (tensor->shard >= bundle->n_shards ||
        __builtin_add_overflow(tensor->offset, tensor->size, &end))
        return sb_error_set(err, -EBADMSG, "'%s' lies in no file of the bundle", info->name);
    r = sb_entries_add(&bundle->entries, info, NULL, tensor->offset, end, err);
    if (r == 0)
        bundle->entries.items[bundle->entries.n - 1].source = (unsigned)tensor->shard;
    return r;
}

static int take_pair(void *context, const char *key, size_t n_key, struct sb_bytes value,
                     struct sb_error *err) {
    struct bundle *bundle = context;
    struct sb_window window = {.bytes = value};
    struct sb_protobuf message = {&window, 0, value.n};
    SB_AUTO_TEXT struct sb_text name = {0};
    if (n_key == 0)
        return bundle->headed ? sb_error_set(err, -EBADMSG, "the bundle has two headers")
                              : take_header(bundle, message, err);
    if (!bundle->headed)
        return sb_error_set(err, -EBADMSG, "the bundle has no header");
    sb_name_escape(&name, key, n_key);
    if (name.failed)
        return sb_error_errno(err, -ENOMEM, "a bundle");
    struct tensor tensor = {.info = {.name = name.data}};
    int r = describe(message, &tensor, err);
    return r < 0 ? r : add_tensor(bundle, &tensor, err);
}

/* ---- The elements ------------------------------------------------------------------------------
 */

/* "X.data-00000-of-00002" of X.index. malloc'd. */
static char *shard_name(const struct bundle *bundle, unsigned shard) {
    const char *slash = strrchr(bundle->source->path, '/');
    const char *file = slash ? slash + 1 : bundle->source->path;
    size_t n = strlen(file);
    n -= n > 6 && strcmp(file + n - 6, ".index") == 0 ? 6 : 0;
    return sb_format("%.*s.data-%05u-of-%05" PRIu64, (int)n, file, shard, bundle->n_shards);
}

static int open_shard(struct bundle *bundle, unsigned shard, struct sb_error *err) {
    if (bundle->shards[shard].fd >= 0)
        return 0;
    SB_AUTO_FREE char *name = shard_name(bundle, shard);
    if (!name)
        return sb_error_errno(err, -ENOMEM, "a bundle");
    const struct sb_beside *beside = sb_beside_find(bundle->source, name, err);
    if (!beside)
        return -EBADMSG;
    struct sb_bytes bytes;
    int r = sb_bytes_of_file(beside->fd, &bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", name);
    bundle->shards[shard] = bytes;
    return 0;
}

static int read_elements(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct sb_entry *entry, void *context, struct sb_error *err) {
    struct bundle *bundle = context;
    int r = open_shard(bundle, entry->source, err);
    if (r < 0)
        return r;
    stream->bytes = bundle->shards[entry->source];
    return sb_stream_contiguous(stream, info, bundle->big_endian, entry->begin, err);
}

static int tensorbundle_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                             struct sb_error *err) {
    SB_CLEANUP(bundle_clear) struct bundle bundle = {.source = source};
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    struct sb_bytes bytes;
    int r = sb_bytes_of_file(source->fd, &bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", source->path);
    r = sb_table_read(&bytes, take_pair, &bundle, err);
    if (r == 0)
        r = sb_entries_sort(&bundle.entries, err);
    return r < 0 ? r : sb_entries_hand_out(&bundle.entries, &stream, read_elements, &bundle, err);
}

/* The first key of the first block is empty and shares nothing with one before; its value, the
 * header, begins with the number of files. */
static bool tensorbundle_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return n >= 48 && head[0] == 0 && head[1] == 0 && head[2] >= 2 && head[2] < 64 &&
           head[3] == (HEADER_NUM_SHARDS << 3) && head[4] != 0;
}

static enum sb_beside_kind tensorbundle_beside(const char *file, const char *name) {
    static const char index[] = ".index", data[] = ".data-";
    size_t n = strlen(file), n_index = sizeof index - 1;
    if (n > n_index && strcmp(file + n - n_index, index) == 0)
        n -= n_index;
    return strncmp(file, name, n) == 0 && strncmp(name + n, data, sizeof data - 1) == 0
               ? SB_BESIDE_PART
               : SB_BESIDE_NOTHING;
}

const struct sb_format sb_format_tensorbundle = {
    .name = "tensorbundle",
    .summary = "TensorFlow: checkpoints, variables of a SavedModel",
    .extensions = ".index, with .data-00000-of-00001 beside it",
    .recognise = tensorbundle_recognise,
    .beside = tensorbundle_beside,
    .read = tensorbundle_read,
};
