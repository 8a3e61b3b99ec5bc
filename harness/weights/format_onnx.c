/* Stage 4, weights: reads the initializers of an ONNX model's graph.
 * https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 *
 * Elements stand in raw_data, or in a repeated field of their type. Of those, floats and doubles
 * that are packed lie as they are needed; all others are taken out one by one. */
#include "base/cleanup.h"
#include "weights/beside.h"
#include "weights/element.h"
#include "weights/entries.h"
#include "weights/protobuf.h"
#include "weights/tensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of fields. */
enum { MODEL_IR_VERSION = 1, MODEL_GRAPH = 7, MODEL_OPSET = 8, MODEL_MOST = 31 };
enum { GRAPH_INITIALIZER = 5, GRAPH_SPARSE_INITIALIZER = 15 };
enum { SPARSE_VALUES = 1 };
enum {
    TENSOR_DIMS = 1,
    TENSOR_DATA_TYPE = 2,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_INT32_DATA = 5,
    TENSOR_STRING_DATA = 6,
    TENSOR_INT64_DATA = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW_DATA = 9,
    TENSOR_DOUBLE_DATA = 10,
    TENSOR_UINT64_DATA = 11,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14,
};
enum { PAIR_KEY = 1, PAIR_VALUE = 2 };

enum { MOST_NAME = 65535, MOST_WORD = 1023, MOST_IR_VERSION = 63, PIECE_ELEMENTS = 16384 };

/* TensorProto.DataType, and the field that holds elements of it when raw_data does not. Complex
 * numbers and f32 share one, their parts stand one after the other. */
static const struct {
    uint32_t type;
    enum sb_dtype dtype;
    uint32_t field;
} types[] = {
    {1, SB_DTYPE_F32, TENSOR_FLOAT_DATA},      {2, SB_DTYPE_U8, TENSOR_INT32_DATA},
    {3, SB_DTYPE_I8, TENSOR_INT32_DATA},       {4, SB_DTYPE_U16, TENSOR_INT32_DATA},
    {5, SB_DTYPE_I16, TENSOR_INT32_DATA},      {6, SB_DTYPE_I32, TENSOR_INT32_DATA},
    {7, SB_DTYPE_I64, TENSOR_INT64_DATA},      {9, SB_DTYPE_BOOL, TENSOR_INT32_DATA},
    {10, SB_DTYPE_F16, TENSOR_INT32_DATA},     {11, SB_DTYPE_F64, TENSOR_DOUBLE_DATA},
    {12, SB_DTYPE_U32, TENSOR_UINT64_DATA},    {13, SB_DTYPE_U64, TENSOR_UINT64_DATA},
    {14, SB_DTYPE_C64, TENSOR_FLOAT_DATA},     {15, SB_DTYPE_C128, TENSOR_DOUBLE_DATA},
    {16, SB_DTYPE_BF16, TENSOR_INT32_DATA},    {17, SB_DTYPE_F8_E4M3, TENSOR_INT32_DATA},
    {19, SB_DTYPE_F8_E5M2, TENSOR_INT32_DATA},
};

/* What a TensorProto says of itself. */
struct tensor {
    struct sb_tensor_info info; /* its name is in `name` */
    struct sb_text name;
    uint32_t type, data_field;
    bool known;          /* its type has an equal here */
    bool external;       /* its elements are in another file */
    bool raw;            /* raw_data is there, even empty */
    uint64_t begin, end; /* raw_data, or the only field of its data that is packed */
    unsigned n_pieces;   /* fields that hold elements */
    /* Of what is in another file. */
    char location[MOST_WORD + 1], offset[MOST_WORD + 1], length[MOST_WORD + 1];
};

/* ---- A tensor's description --------------------------------------------------------------------
 */

static int add_dim(struct tensor *tensor, uint64_t dim, struct sb_error *err) {
    if (tensor->info.rank == SB_MAX_RANK || dim > INT64_MAX)
        return sb_error_set(err, -EBADMSG, "an initializer has no usable dims");
    tensor->info.dims[tensor->info.rank++] = dim;
    return 0;
}

static int get_dims(const struct sb_protobuf *message, const struct sb_field *field,
                    struct tensor *tensor, struct sb_error *err) {
    uint64_t dim;
    if (field->type == SB_WIRE_VARINT)
        return add_dim(tensor, field->value, err);
    struct sb_protobuf packed = sb_protobuf_of(message, field);
    int r;
    while ((r = sb_protobuf_varint(&packed, &dim, err)) == 1) {
        r = add_dim(tensor, dim, err);
        if (r < 0)
            return r;
    }
    return r;
}

static int get_name(const struct sb_protobuf *message, const struct sb_field *field,
                    struct tensor *tensor, struct sb_error *err) {
    uint64_t n = field->end - field->begin;
    if (n > MOST_NAME)
        return sb_error_set(err, -EBADMSG, "a name would be %" PRIu64 " bytes long", n);
    SB_AUTO_FREE char *name = malloc(n + 1);
    int r = name ? sb_bytes_read(&message->window->bytes, name, n, field->begin) : -ENOMEM;
    if (r < 0)
        return sb_error_errno(err, r, "an initializer");
    sb_text_clear(&tensor->name);
    sb_name_escape(&tensor->name, name, n);
    return tensor->name.failed ? sb_error_errno(err, -ENOMEM, "an initializer") : 0;
}

static int get_word(const struct sb_protobuf *message, const struct sb_field *field,
                    char word[MOST_WORD + 1], struct sb_error *err) {
    uint64_t n = field->end - field->begin;
    if (field->type != SB_WIRE_LENGTH || n > MOST_WORD)
        return sb_error_set(err, -EBADMSG, "external_data has no usable text");
    int r = sb_bytes_read(&message->window->bytes, word, n, field->begin);
    word[n] = '\0';
    return r < 0 ? sb_error_errno(err, r, "external_data") : 0;
}

/* One pair of a key and a value, of which three keys matter. */
static int get_external(const struct sb_protobuf *message, const struct sb_field *field,
                        struct tensor *tensor, struct sb_error *err) {
    struct sb_protobuf pair = sb_protobuf_of(message, field);
    struct sb_field part;
    char key[MOST_WORD + 1] = "", value[MOST_WORD + 1] = "";
    int r;
    while ((r = sb_protobuf_next(&pair, &part, err)) == 1) {
        if (part.number == PAIR_KEY || part.number == PAIR_VALUE)
            r = get_word(&pair, &part, part.number == PAIR_KEY ? key : value, err);
        if (r < 0)
            return r;
    }
    char *into = strcmp(key, "location") == 0 ? tensor->location
                 : strcmp(key, "offset") == 0 ? tensor->offset
                 : strcmp(key, "length") == 0 ? tensor->length
                                              : NULL;
    if (into)
        memcpy(into, value, sizeof value);
    return r;
}

static bool is_data(uint32_t number) {
    return number == TENSOR_FLOAT_DATA || number == TENSOR_INT32_DATA ||
           number == TENSOR_INT64_DATA || number == TENSOR_DOUBLE_DATA ||
           number == TENSOR_UINT64_DATA;
}

static int take_field(const struct sb_protobuf *message, const struct sb_field *field,
                      struct tensor *tensor, struct sb_error *err) {
    bool length = field->type == SB_WIRE_LENGTH;
    if (field->number == TENSOR_DIMS)
        return get_dims(message, field, tensor, err);
    if (field->number == TENSOR_NAME && length)
        return get_name(message, field, tensor, err);
    if (field->number == TENSOR_EXTERNAL_DATA && length)
        return get_external(message, field, tensor, err);
    if (field->number == TENSOR_DATA_TYPE && field->type == SB_WIRE_VARINT)
        tensor->type = field->value <= UINT32_MAX ? (uint32_t)field->value : UINT32_MAX;
    if (field->number == TENSOR_DATA_LOCATION && field->type == SB_WIRE_VARINT)
        tensor->external = field->value != 0;
    if ((field->number == TENSOR_RAW_DATA && length) || is_data(field->number)) {
        tensor->raw |= field->number == TENSOR_RAW_DATA;
        tensor->data_field = field->number;
        tensor->begin = field->begin;
        tensor->end = field->end;
        tensor->n_pieces++;
    }
    return 0;
}

static void find_type(struct tensor *tensor) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type != tensor->type)
            continue;
        tensor->known = true;
        tensor->info.dtype = types[i].dtype;
        if (!tensor->raw)
            tensor->data_field = types[i].field;
    }
}

static int describe(struct sb_protobuf message, struct tensor *tensor, struct sb_error *err) {
    struct sb_field field;
    int r;
    *tensor = (struct tensor){.info = {.rank = 0}};
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        r = take_field(&message, &field, tensor, err);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return r;
    if (!tensor->name.data)
        sb_text_puts(&tensor->name, "");
    tensor->info.name = tensor->name.data;
    if (!tensor->info.name)
        return sb_error_errno(err, -ENOMEM, "an initializer");
    find_type(tensor);
    return tensor->known ? sb_tensor_info_count(&tensor->info, err) : 0;
}

/* ---- Its elements ------------------------------------------------------------------------------
 */

/* Elements on their way from a repeated field to the sink. */
struct gathering {
    struct sb_stream *stream;
    const struct sb_tensor_info *info;
    size_t part;   /* bytes of one value: of a complex number, half an element */
    size_t filled; /* of the stream's buffer */
    uint64_t n;    /* values so far */
};

static int hand_on(struct gathering *gathering, struct sb_error *err) {
    size_t size = sb_dtype_size(gathering->info->dtype), n = gathering->filled / size;
    if (!n)
        return 0;
    gathering->filled = 0;
    return sb_stream_hand_out(gathering->stream, gathering->info, false, n, err);
}

static int add_value(struct gathering *gathering, uint64_t value, struct sb_error *err) {
    uint64_t most = gathering->info->n_elements * sb_dtype_size(gathering->info->dtype);
    if (gathering->n * gathering->part >= most)
        return sb_error_set(err, -EBADMSG, "'%s' has more elements than its dims",
                            gathering->info->name);
    for (size_t i = 0; i < gathering->part; i++)
        gathering->stream->buffer[gathering->filled++] = (char)(value >> 8 * i);
    gathering->n++;
    return gathering->filled == PIECE_ELEMENTS * sizeof(double[2]) ? hand_on(gathering, err) : 0;
}

static bool is_fixed(uint32_t number) {
    return number == TENSOR_FLOAT_DATA || number == TENSOR_DOUBLE_DATA;
}

static int add_packed(struct gathering *gathering, struct sb_protobuf packed, uint32_t number,
                      struct sb_error *err) {
    uint64_t value;
    int r = 1;
    while (r == 1 && packed.at < packed.end) {
        if (is_fixed(number)) {
            value = 0;
            r = packed.end - packed.at < gathering->part
                    ? -EBADMSG
                    : sb_window_read(packed.window, &value, gathering->part, packed.at);
            packed.at += gathering->part;
            if (r < 0)
                return sb_error_set(err, -EBADMSG, "'%s' ends within an element",
                                    gathering->info->name);
            r = 1;
        } else {
            r = sb_protobuf_varint(&packed, &value, err);
        }
        int added = r == 1 ? add_value(gathering, value, err) : 0;
        if (added < 0)
            return added;
    }
    return r < 0 ? r : 0;
}

/* Values in however many fields they stand. */
static int gather(struct sb_stream *stream, const struct sb_tensor_info *info,
                  struct sb_protobuf message, uint32_t number, struct sb_error *err) {
    struct gathering gathering = {
        .stream = stream, .info = info, .part = sb_dtype_part_size(info->dtype)};
    struct sb_field field;
    int r = sb_stream_reserve(stream, PIECE_ELEMENTS * sizeof(double[2]), info->name, err);
    if (r < 0)
        return r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number != number)
            continue;
        r = field.type == SB_WIRE_LENGTH
                ? add_packed(&gathering, sb_protobuf_of(&message, &field), number, err)
                : add_value(&gathering, field.value, err);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = hand_on(&gathering, err);
    if (r == 0 && gathering.n * gathering.part != info->n_elements * sb_dtype_size(info->dtype))
        r = sb_error_set(err, -EBADMSG, "'%s' has fewer elements than its dims", info->name);
    return r;
}

struct model {
    const struct sb_source *source;
    struct sb_window window;
};

/* A whole number in decimal, or `otherwise` for "". */
static bool parse_size(const char *text, uint64_t otherwise, uint64_t *size) {
    char *end = NULL;
    errno = 0;
    *size = *text ? strtoull(text, &end, 10) : otherwise;
    return !*text || (*text >= '0' && *text <= '9' && !*end && errno == 0);
}

static int read_external(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct model *model, const struct tensor *tensor,
                         struct sb_error *err) {
    uint64_t bytes = info->n_elements * sb_dtype_size(info->dtype), offset, length;
    const char *name = strncmp(tensor->location, "./", 2) ? tensor->location : tensor->location + 2;
    if (!parse_size(tensor->offset, 0, &offset) || !parse_size(tensor->length, bytes, &length) ||
        length != bytes)
        return sb_error_set(err, -EBADMSG, "'%s' has other bytes than its dims need", info->name);
    const struct sb_beside *beside = sb_beside_find(model->source, name, err);
    if (!beside)
        return -EBADMSG;
    struct sb_bytes own = stream->bytes;
    int r = sb_bytes_of_file(beside->fd, &stream->bytes);
    r = r < 0 ? sb_error_errno(err, r, "%s", name)
              : sb_stream_contiguous(stream, info, false, offset, err);
    stream->bytes = own;
    return r;
}

/* An entry is its TensorProto. */
static int read_elements(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct sb_entry *entry, void *context, struct sb_error *err) {
    struct model *model = context;
    struct sb_protobuf message = {&model->window, entry->begin, entry->end};
    struct tensor tensor;
    uint64_t bytes = info->n_elements * sb_dtype_size(info->dtype);
    int r = describe(message, &tensor, err);
    sb_text_clear(&tensor.name);
    if (r < 0)
        return r;
    if (tensor.external)
        return read_external(stream, info, model, &tensor, err);
    bool whole = tensor.n_pieces == 1 && tensor.end - tensor.begin == bytes;
    if (tensor.raw && !whole)
        return sb_error_set(err, -EBADMSG, "'%s' has other bytes than its dims need", info->name);
    if (tensor.raw || (whole && is_fixed(tensor.data_field)))
        return sb_stream_contiguous(stream, info, false, tensor.begin, err);
    return gather(stream, info, message, tensor.data_field, err);
}

/* ---- The model ---------------------------------------------------------------------------------
 */

/* Why an initializer is no tensor here, malloc'd; NULL with *r 0: it is one. */
static char *why_not(const struct tensor *tensor, bool sparse) {
    if (sparse)
        return strdup("sparse, which has no equal here");
    if (!tensor->known)
        return sb_format("data type %" PRIu32 ", which has no equal here", tensor->type);
    return NULL;
}

static int add_initializer(struct sb_entries *entries, struct sb_protobuf message, bool sparse,
                           struct sb_error *err) {
    struct tensor tensor;
    int r = describe(message, &tensor, err);
    char *why = r == 0 ? why_not(&tensor, sparse) : NULL;
    if (r == 0 && (sparse || !tensor.known) && !why)
        r = sb_error_errno(err, -ENOMEM, "'%s'", tensor.info.name);
    if (r == 0)
        r = sb_entries_add(entries, &tensor.info, why, message.at, message.end, err);
    sb_text_clear(&tensor.name);
    return r;
}

/* A SparseTensorProto has its name in the tensor of its values. */
static int add_sparse(struct sb_entries *entries, struct sb_protobuf message,
                      struct sb_error *err) {
    struct sb_field field;
    int r;
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number == SPARSE_VALUES && field.type == SB_WIRE_LENGTH)
            return add_initializer(entries, sb_protobuf_of(&message, &field), true, err);
    }
    return r;
}

static int list_graph(struct sb_entries *entries, struct sb_protobuf graph, struct sb_error *err) {
    struct sb_field field;
    int r;
    while ((r = sb_protobuf_next(&graph, &field, err)) == 1) {
        if (field.type != SB_WIRE_LENGTH)
            continue;
        if (field.number == GRAPH_INITIALIZER)
            r = add_initializer(entries, sb_protobuf_of(&graph, &field), false, err);
        else if (field.number == GRAPH_SPARSE_INITIALIZER)
            r = add_sparse(entries, sb_protobuf_of(&graph, &field), err);
        if (r < 0)
            return r;
    }
    return r;
}

static int onnx_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                     struct sb_error *err) {
    SB_CLEANUP(sb_entries_clear) struct sb_entries entries = {0};
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    struct model model = {.source = source};
    struct sb_field field;
    int r = sb_bytes_of_file(source->fd, &stream.bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", source->path);
    model.window.bytes = stream.bytes;
    struct sb_protobuf message = {&model.window, 0, stream.bytes.n};
    while ((r = sb_protobuf_next(&message, &field, err)) == 1) {
        if (field.number == MODEL_GRAPH && field.type == SB_WIRE_LENGTH)
            r = list_graph(&entries, sb_protobuf_of(&message, &field), err);
        if (r < 0)
            return r;
    }
    if (r == 0)
        r = sb_entries_sort(&entries, err);
    return r < 0 ? r : sb_entries_hand_out(&entries, &stream, read_elements, &model, err);
}

/* External data may have any name. */
static enum sb_beside_kind onnx_beside(const char *file, const char *name) {
    (void)file, (void)name;
    return SB_BESIDE_MAYBE;
}

/* There is no signature: a small version of the format comes first, and then fields that a model
 * has, the graph among them, as far as the head reaches. */
static bool onnx_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    struct sb_window window = {.bytes = {.memory = (const char *)head, .n = n}};
    struct sb_protobuf model = {&window, 0, n};
    struct sb_error err;
    struct sb_field field;
    if (sb_protobuf_next(&model, &field, &err) != 1 || field.number != MODEL_IR_VERSION ||
        field.type != SB_WIRE_VARINT || !field.value || field.value > MOST_IR_VERSION)
        return false;
    model.end = UINT64_MAX; /* a field may reach behind the head, and the graph mostly does */
    bool graph = false;
    while (!graph && model.at < n && sb_protobuf_next(&model, &field, &err) == 1 &&
           field.number < MODEL_MOST)
        graph = field.number == MODEL_GRAPH && field.type == SB_WIRE_LENGTH;
    return graph;
}

const struct sb_format sb_format_onnx = {
    .name = "onnx",
    .summary = "ONNX: initializers of the graph, external data beside it",
    .extensions = ".onnx",
    .recognise = onnx_recognise,
    .beside = onnx_beside,
    .read = onnx_read,
};
