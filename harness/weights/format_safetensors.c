/* Stage 4, weights: reads safetensors. */
#include "base/cleanup.h"
#include "weights/safetensors_header.h"

#include <endian.h>
#include <jansson.h>
#include <string.h>

static int read_elements(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct sb_entry *entry, void *context, struct sb_error *err) {
    (void)context;
    return sb_stream_contiguous(stream, info, false, entry->begin, err);
}

static int safetensors_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                            struct sb_error *err) {
    SB_CLEANUP(sb_entries_clear) struct sb_entries entries = {0};
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    int r = sb_bytes_of_file(source->fd, &stream.bytes);
    if (r < 0)
        return sb_error_errno(err, r, "%s", source->path);
    r = sb_safetensors_list(&stream.bytes, &entries, err);
    if (r == 0)
        r = sb_entries_sort(&entries, err);
    return r < 0 ? r : sb_entries_hand_out(&entries, &stream, read_elements, NULL, err);
}

static bool safetensors_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    uint64_t length;
    if (n < sizeof length + 2)
        return false;
    memcpy(&length, head, sizeof length);
    return le64toh(length) >= 2 && le64toh(length) <= SB_SAFETENSORS_MOST_HEADER && head[8] == '{';
}

/* jansson seeds its tables from /dev/urandom, which the jail does not let it open. */
static int safetensors_prepare(struct sb_error *err) {
    (void)err;
    json_object_seed(0);
    return 0;
}

const struct sb_format sb_format_safetensors = {
    .name = "safetensors",
    .summary = "safetensors: Hugging Face, PyTorch, JAX",
    .extensions = ".safetensors",
    .recognise = safetensors_recognise,
    .prepare = safetensors_prepare,
    .read = safetensors_read,
};
