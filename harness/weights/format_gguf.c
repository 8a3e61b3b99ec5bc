/* Stage 4, weights: reads GGUF, versions 2 and 3: counts, key-value pairs, a list of tensors, then
 * their elements from an aligned place on.
 * https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 *
 * Quantised tensors are blocks of bytes, and that is what is fingerprinted: u8, the innermost
 * dimension in bytes, as the Python package gguf shows them. */
#include "base/cleanup.h"
#include "weights/entries.h"
#include "weights/tensors.h"

#include <byteswap.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_VERSION = 2, /* version 1 had lengths of 32 bits, for a few weeks */
    MOST_VERSION = 3,
    DEFAULT_ALIGNMENT = 32,
    MOST_DIMENSIONS = 4,
    MOST_NAME = 65535,
    MOST_DEPTH = 4, /* of arrays in arrays */
};

/* ggml's types that files have: so many elements make a block of so many bytes. */
static const struct {
    uint32_t type;
    unsigned elements, bytes;
    enum sb_dtype dtype; /* of one element, or u8 of a block's bytes */
} types[] = {
    {0, 1, 4, SB_DTYPE_F32},     /* F32 */
    {1, 1, 2, SB_DTYPE_F16},     /* F16 */
    {2, 32, 18, SB_DTYPE_U8},    /* Q4_0 */
    {3, 32, 20, SB_DTYPE_U8},    /* Q4_1 */
    {6, 32, 22, SB_DTYPE_U8},    /* Q5_0 */
    {7, 32, 24, SB_DTYPE_U8},    /* Q5_1 */
    {8, 32, 34, SB_DTYPE_U8},    /* Q8_0 */
    {10, 256, 84, SB_DTYPE_U8},  /* Q2_K */
    {11, 256, 110, SB_DTYPE_U8}, /* Q3_K */
    {12, 256, 144, SB_DTYPE_U8}, /* Q4_K */
    {13, 256, 176, SB_DTYPE_U8}, /* Q5_K */
    {14, 256, 210, SB_DTYPE_U8}, /* Q6_K */
    {15, 256, 292, SB_DTYPE_U8}, /* Q8_K */
    {16, 256, 66, SB_DTYPE_U8},  /* IQ2_XXS */
    {17, 256, 74, SB_DTYPE_U8},  /* IQ2_XS */
    {18, 256, 98, SB_DTYPE_U8},  /* IQ3_XXS */
    {19, 256, 50, SB_DTYPE_U8},  /* IQ1_S */
    {20, 32, 18, SB_DTYPE_U8},   /* IQ4_NL */
    {21, 256, 110, SB_DTYPE_U8}, /* IQ3_S */
    {22, 256, 82, SB_DTYPE_U8},  /* IQ2_S */
    {23, 256, 136, SB_DTYPE_U8}, /* IQ4_XS */
    {24, 1, 1, SB_DTYPE_I8},     /* I8 */
    {25, 1, 2, SB_DTYPE_I16},    /* I16 */
    {26, 1, 4, SB_DTYPE_I32},    /* I32 */
    {27, 1, 8, SB_DTYPE_I64},    /* I64 */
    {28, 1, 8, SB_DTYPE_F64},    /* F64 */
    {29, 256, 56, SB_DTYPE_U8},  /* IQ1_M */
    {30, 1, 2, SB_DTYPE_BF16},   /* BF16 */
    {34, 256, 54, SB_DTYPE_U8},  /* TQ1_0 */
    {35, 256, 66, SB_DTYPE_U8},  /* TQ2_0 */
    {39, 32, 17, SB_DTYPE_U8},   /* MXFP4 */
    {40, 64, 36, SB_DTYPE_U8},   /* NVFP4 */
    {41, 128, 18, SB_DTYPE_U8},  /* Q1_0 */
};

/* Kinds of values in key-value pairs. */
enum { VALUE_U32 = 4, VALUE_STRING = 8, VALUE_ARRAY = 9, N_VALUES = 13 };
static const unsigned char value_bytes[N_VALUES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

struct gguf {
    struct sb_window window;
    uint64_t at;
    bool big_endian;
    uint64_t alignment;
    struct sb_error *err;
};

static int cut_short(struct gguf *gguf, const char *what) {
    return sb_error_set(gguf->err, -EBADMSG, "the file ends in %s (byte %" PRIu64 ")", what,
                        gguf->at);
}

static int get_u32(struct gguf *gguf, const char *what, uint32_t *value) {
    if (sb_window_read(&gguf->window, value, sizeof *value, gguf->at) < 0)
        return cut_short(gguf, what);
    gguf->at += sizeof *value;
    *value = gguf->big_endian ? be32toh(*value) : le32toh(*value);
    return 0;
}

static int get_u64(struct gguf *gguf, const char *what, uint64_t *value) {
    if (sb_window_read(&gguf->window, value, sizeof *value, gguf->at) < 0)
        return cut_short(gguf, what);
    gguf->at += sizeof *value;
    *value = gguf->big_endian ? be64toh(*value) : le64toh(*value);
    return 0;
}

static int skip(struct gguf *gguf, const char *what, uint64_t n) {
    if (n > gguf->window.bytes.n - gguf->at)
        return cut_short(gguf, what);
    gguf->at += n;
    return 0;
}

/* A name of at most MOST_NAME bytes, as it stands: malloc'd, with a NUL after it. */
static int get_name(struct gguf *gguf, const char *what, char **name, size_t *n) {
    uint64_t length;
    int r = get_u64(gguf, what, &length);
    if (r < 0)
        return r;
    if (length > MOST_NAME || length > gguf->window.bytes.n - gguf->at)
        return sb_error_set(gguf->err, -EBADMSG, "%s would be %" PRIu64 " bytes long", what,
                            length);
    *name = malloc(length + 1);
    if (!*name)
        return sb_error_errno(gguf->err, -ENOMEM, "%s", what);
    if (sb_bytes_read(&gguf->window.bytes, *name, length, gguf->at) < 0)
        return cut_short(gguf, what);
    (*name)[length] = '\0';
    gguf->at += length;
    *n = length;
    return 0;
}

/* ---- Key-value pairs ---------------------------------------------------------------------------
 */

static int skip_string(struct gguf *gguf) {
    uint64_t n;
    int r = get_u64(gguf, "a string", &n);
    return r < 0 ? r : skip(gguf, "a string", n);
}

static int skip_value(struct gguf *gguf, uint32_t kind, unsigned depth);

static int skip_array(struct gguf *gguf, unsigned depth) {
    uint32_t kind;
    uint64_t n;
    int r = get_u32(gguf, "an array", &kind);
    if (r == 0)
        r = get_u64(gguf, "an array", &n);
    if (r < 0)
        return r;
    if (kind < N_VALUES && value_bytes[kind]) {
        if (n > UINT64_MAX / 8)
            return cut_short(gguf, "an array");
        return skip(gguf, "an array", n * value_bytes[kind]);
    }
    for (; n > 0 && r == 0; n--)
        r = skip_value(gguf, kind, depth + 1);
    return r;
}

static int skip_value(struct gguf *gguf, uint32_t kind, unsigned depth) {
    if (kind >= N_VALUES || depth > MOST_DEPTH)
        return sb_error_set(gguf->err, -EBADMSG, "a value of kind %" PRIu32 ", %u deep", kind,
                            depth);
    if (kind == VALUE_STRING)
        return skip_string(gguf);
    return kind == VALUE_ARRAY ? skip_array(gguf, depth) : skip(gguf, "a value", value_bytes[kind]);
}

static int read_pair(struct gguf *gguf) {
    SB_AUTO_FREE char *key = NULL;
    size_t n;
    uint32_t kind, alignment;
    int r = get_name(gguf, "a key", &key, &n);
    if (r == 0)
        r = get_u32(gguf, "a value", &kind);
    if (r < 0)
        return r;
    if (strcmp(key, "general.alignment") != 0)
        return skip_value(gguf, kind, 0);
    if (kind != VALUE_U32)
        return sb_error_set(gguf->err, -EBADMSG, "general.alignment is no u32");
    r = get_u32(gguf, "general.alignment", &alignment);
    if (r == 0 && (alignment == 0 || (alignment & (alignment - 1))))
        r = sb_error_set(gguf->err, -EBADMSG, "general.alignment is %" PRIu32, alignment);
    gguf->alignment = alignment;
    return r;
}

/* ---- Tensors -----------------------------------------------------------------------------------
 */

/* The file has the innermost dimension first. */
static int get_dims(struct gguf *gguf, struct sb_tensor_info *info) {
    uint32_t rank;
    int r = get_u32(gguf, "a tensor", &rank);
    if (r == 0 && rank > MOST_DIMENSIONS)
        r = sb_error_set(gguf->err, -EBADMSG, "'%s' has %" PRIu32 " dimensions", info->name, rank);
    if (r == 0)
        info->rank = rank;
    for (uint32_t i = 0; r == 0 && i < rank; i++)
        r = get_u64(gguf, "a tensor", &info->dims[rank - 1 - i]);
    return r;
}

static int set_type(struct gguf *gguf, struct sb_tensor_info *info, uint32_t type) {
    size_t i = 0, n = sizeof types / sizeof *types;
    while (i < n && types[i].type != type)
        i++;
    if (i == n)
        return sb_error_set(gguf->err, -EBADMSG,
                            "'%s' is of ggml's type %" PRIu32 ", whose size is not known here",
                            info->name, type);
    info->dtype = types[i].dtype;
    uint64_t *inner = info->rank ? &info->dims[info->rank - 1] : NULL;
    if (types[i].elements > 1) {
        if (!inner || *inner % types[i].elements || *inner > UINT64_MAX / types[i].bytes)
            return sb_error_set(gguf->err, -EBADMSG, "'%s' is no whole number of blocks of %u",
                                info->name, types[i].elements);
        if (gguf->big_endian)
            return sb_error_set(gguf->err, -EBADMSG,
                                "'%s' is quantised and big-endian, which cannot be normalised",
                                info->name);
        *inner = *inner / types[i].elements * types[i].bytes;
    }
    return sb_tensor_info_count(info, gguf->err);
}

static int read_tensor(struct gguf *gguf, struct sb_entries *entries) {
    SB_AUTO_FREE char *raw = NULL, *name = NULL;
    SB_AUTO_TEXT struct sb_text escaped = {0};
    size_t n;
    uint32_t type;
    uint64_t offset;
    int r = get_name(gguf, "a tensor's name", &raw, &n);
    if (r < 0)
        return r;
    sb_name_escape(&escaped, raw, n);
    name = sb_text_take(&escaped);
    if (!name)
        return sb_error_errno(gguf->err, -ENOMEM, "a tensor's name");
    struct sb_tensor_info info = {.name = name};
    r = get_dims(gguf, &info);
    if (r == 0)
        r = get_u32(gguf, "a tensor", &type);
    if (r == 0)
        r = get_u64(gguf, "a tensor", &offset);
    if (r == 0)
        r = set_type(gguf, &info, type);
    if (r == 0 && offset % gguf->alignment)
        r = sb_error_set(gguf->err, -EBADMSG, "'%s' lies at %" PRIu64 ", which is not aligned",
                         info.name, offset);
    if (r < 0)
        return r;
    uint64_t bytes = info.n_elements * sb_dtype_size(info.dtype), end;
    if (__builtin_add_overflow(offset, bytes, &end))
        return sb_error_set(gguf->err, -EBADMSG, "'%s' reaches behind the end of the file",
                            info.name);
    return sb_entries_add(entries, &info, NULL, offset, end, gguf->err);
}

/* Two tensors that share bytes would let a small file be a large one. */
static int check_overlaps(struct sb_entries *entries, struct sb_error *err) {
    sb_entries_sort_by_place(entries);
    for (size_t i = 1; i < entries->n; i++) {
        if (entries->items[i].begin < entries->items[i - 1].end)
            return sb_error_set(err, -EBADMSG, "'%s' and '%s' lie on one another",
                                entries->items[i - 1].info.name, entries->items[i].info.name);
    }
    return 0;
}

/* ---- The file ----------------------------------------------------------------------------------
 */

/* Everything before the elements; gguf->at is where they begin. */
static int read_header(struct gguf *gguf, struct sb_entries *entries) {
    uint32_t version;
    uint64_t n_tensors = 0, n_pairs = 0;
    gguf->at = 4;
    int r = get_u32(gguf, "the header", &version);
    if (r == 0 && !(version & 0xffff)) {
        gguf->big_endian = true;
        version = bswap_32(version);
    }
    if (r == 0 && (version < LEAST_VERSION || version > MOST_VERSION))
        r = sb_error_set(gguf->err, -EBADMSG, "GGUF of version %" PRIu32 " (%d and %d are read)",
                         version, LEAST_VERSION, MOST_VERSION);
    if (r == 0)
        r = get_u64(gguf, "the header", &n_tensors);
    if (r == 0)
        r = get_u64(gguf, "the header", &n_pairs);
    for (; n_pairs > 0 && r == 0; n_pairs--)
        r = read_pair(gguf);
    for (; n_tensors > 0 && r == 0; n_tensors--)
        r = read_tensor(gguf, entries);
    if (r < 0)
        return r;
    uint64_t over = gguf->at % gguf->alignment;
    gguf->at += over ? gguf->alignment - over : 0;
    return check_overlaps(entries, gguf->err);
}

static int read_elements(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct sb_entry *entry, void *context, struct sb_error *err) {
    const struct gguf *gguf = context;
    uint64_t offset;
    if (__builtin_add_overflow(gguf->at, entry->begin, &offset))
        return sb_error_set(err, -EBADMSG, "'%s' reaches behind the end of the file", info->name);
    return sb_stream_contiguous(stream, info, gguf->big_endian, offset, err);
}

static int gguf_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                     struct sb_error *err) {
    SB_CLEANUP(sb_entries_clear) struct sb_entries entries = {0};
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    struct gguf gguf = {.alignment = DEFAULT_ALIGNMENT, .err = err};
    int r = sb_bytes_of_file(source->fd, &stream.bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", source->path);
    gguf.window.bytes = stream.bytes;
    r = read_header(&gguf, &entries);
    if (r == 0)
        r = sb_entries_sort(&entries, err);
    return r < 0 ? r : sb_entries_hand_out(&entries, &stream, read_elements, &gguf, err);
}

static bool gguf_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

const struct sb_format sb_format_gguf = {
    .name = "gguf",
    .summary = "GGUF: llama.cpp; quantised tensors as the bytes of their blocks",
    .extensions = ".gguf",
    .recognise = gguf_recognise,
    .read = gguf_read,
};
