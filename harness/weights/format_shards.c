/* Stage 4, weights: reads what is spread over several safetensors files, by the index that names
 * for each tensor the file that has it: {"metadata": {…}, "weight_map": {"name":
 * "model-00001-of-00002.safetensors"}}. The tensors are those of one large file, under the same
 * names. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "weights/beside.h"
#include "weights/safetensors_header.h"
#include "weights/tensors.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INDEX_BYTES = 100000000, MOST_SHARDS = 4096 };

struct shards {
    const struct sb_source *source;
    json_t *map;     /* name → file */
    json_t *numbers; /* file → its place in `files` */
    struct sb_bytes *files;
    unsigned n;
    struct sb_entries entries; /* of all */
};

static void shards_clear(struct shards *shards) {
    json_decref(shards->map);
    json_decref(shards->numbers);
    free(shards->files);
    sb_entries_clear(&shards->entries);
}

static int load_map(struct shards *shards, struct sb_error *err) {
    struct sb_bytes bytes;
    int r = sb_bytes_of_file(shards->source->fd, &bytes);
    if (r == 0 && bytes.n > MOST_INDEX_BYTES)
        r = -EFBIG;
    SB_AUTO_FREE char *text = r == 0 ? malloc(bytes.n + 1) : NULL;
    if (r == 0)
        r = text ? sb_bytes_read(&bytes, text, bytes.n, 0) : -ENOMEM;
    if (r < 0)
        return sb_error_errno(err, r, "the index");
    json_error_t problem;
    SB_AUTO_JSON json_t *index = json_loadb(text, bytes.n, JSON_REJECT_DUPLICATES, &problem);
    if (!index)
        return sb_error_set(err, -EBADMSG, "the index is no JSON: %s (byte %d)", problem.text,
                            problem.position);
    shards->map = json_incref(json_object_get(index, "weight_map"));
    if (!json_is_object(shards->map))
        return sb_error_set(err, -EBADMSG, "the index has no object weight_map");
    return 0;
}

/* Lists one shard's tensors behind those of the others. */
static int list_shard(struct shards *shards, const char *name, unsigned number,
                      struct sb_error *err) {
    SB_CLEANUP(sb_entries_clear) struct sb_entries entries = {0};
    const struct sb_beside *beside = sb_beside_find(shards->source, name, err);
    if (!beside)
        return -EBADMSG;
    int r = sb_bytes_of_file(beside->fd, &shards->files[number]);
    if (r < 0)
        return sb_error_errno(err, r, "%s", name);
    r = sb_safetensors_list(&shards->files[number], &entries, err);
    if (r < 0)
        return sb_error_prefix(err, r, "%s", name);
    return sb_entries_move(&shards->entries, &entries, number, err);
}

static int list_shards(struct shards *shards, struct sb_error *err) {
    const char *tensor;
    json_t *file;
    shards->numbers = json_object();
    if (!shards->numbers)
        return sb_error_errno(err, -ENOMEM, "the index");
    json_object_foreach(shards->map, tensor, file) {
        if (!json_is_string(file))
            return sb_error_set(err, -EBADMSG, "the index names no file for a tensor");
        const char *name = json_string_value(file);
        if (json_object_get(shards->numbers, name))
            continue;
        if (shards->n == MOST_SHARDS)
            return sb_error_set(err, -EBADMSG, "the index names more than %d files", MOST_SHARDS);
        struct sb_bytes *grown = reallocarray(shards->files, shards->n + 1, sizeof *shards->files);
        if (!grown || json_object_set_new(shards->numbers, name, json_integer(shards->n)) < 0) {
            shards->files = grown ? grown : shards->files;
            return sb_error_errno(err, -ENOMEM, "the index");
        }
        shards->files = grown;
        int r = list_shard(shards, name, shards->n++, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What the index says of a tensor must be what is there, and the other way: else a file that was
 * left over from another model would be taken for a part of this. */
static int check_map(const struct shards *shards, struct sb_error *err) {
    SB_AUTO_JSON json_t *places = json_object();
    const char *tensor;
    json_t *file;
    if (!places)
        return sb_error_errno(err, -ENOMEM, "the index");
    json_object_foreach(shards->map, tensor, file) {
        SB_AUTO_TEXT struct sb_text escaped = {0};
        sb_name_escape(&escaped, tensor, strlen(tensor));
        if (escaped.failed ||
            json_object_set(places, escaped.data ? escaped.data : "",
                            json_object_get(shards->numbers, json_string_value(file))) < 0)
            return sb_error_errno(err, -ENOMEM, "the index");
    }
    for (size_t i = 0; i < shards->entries.n; i++) {
        const struct sb_entry *entry = &shards->entries.items[i];
        const json_t *place = json_object_get(places, entry->info.name);
        if (!place || json_integer_value(place) != entry->source)
            return sb_error_set(err, -EBADMSG, "'%s' is in a file where the index has not put it",
                                entry->info.name);
    }
    if (shards->entries.n < json_object_size(places))
        return sb_error_set(err, -EBADMSG, "the index names %zu tensors, the files have %zu",
                            json_object_size(places), shards->entries.n);
    return 0;
}

static int read_elements(struct sb_stream *stream, const struct sb_tensor_info *info,
                         const struct sb_entry *entry, void *context, struct sb_error *err) {
    const struct shards *shards = context;
    stream->bytes = shards->files[entry->source];
    return sb_stream_contiguous(stream, info, false, entry->begin, err);
}

static int shards_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                       struct sb_error *err) {
    SB_CLEANUP(shards_clear) struct shards shards = {.source = source};
    SB_CLEANUP(sb_stream_clear) struct sb_stream stream = {.sink = sink};
    int r = load_map(&shards, err);
    if (r == 0)
        r = list_shards(&shards, err);
    if (r == 0)
        r = check_map(&shards, err);
    if (r == 0)
        r = sb_entries_sort(&shards.entries, err);
    return r < 0 ? r : sb_entries_hand_out(&shards.entries, &stream, read_elements, &shards, err);
}

static bool shards_recognise(const unsigned char *head, size_t n, const char *path) {
    static const char key[] = "\"weight_map\"";
    (void)path;
    size_t at = 0;
    while (at < n && (head[at] == ' ' || head[at] == '\n' || head[at] == '\r' || head[at] == '\t'))
        at++;
    return at < n && head[at] == '{' && memmem(head, n, key, sizeof key - 1);
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), n_end = strlen(end);
    return n >= n_end && strcmp(name + n - n_end, end) == 0;
}

/* X.safetensors.index.json has the shards X-….safetensors. */
static enum sb_beside_kind shards_beside(const char *file, const char *name) {
    static const char ending[] = ".safetensors", index[] = ".safetensors.index.json";
    if (!ends_with(name, ending))
        return SB_BESIDE_NOTHING;
    size_t n = ends_with(file, index) ? strlen(file) - strlen(index) : 0;
    return n && strncmp(file, name, n) == 0 && name[n] == '-' ? SB_BESIDE_PART : SB_BESIDE_MAYBE;
}

/* See format_safetensors.c. */
static int shards_prepare(struct sb_error *err) {
    (void)err;
    json_object_seed(0);
    return 0;
}

const struct sb_format sb_format_shards = {
    .name = "shards",
    .summary = "safetensors in several files, by the index that names them",
    .extensions = ".safetensors.index.json",
    .recognise = shards_recognise,
    .prepare = shards_prepare,
    .beside = shards_beside,
    .read = shards_read,
};
