/* Stage 4, weights: the header of safetensors: its length, then JSON. See
 * weights/safetensors_header.h. */
#include "weights/safetensors_header.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "weights/tensors.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    enum sb_dtype dtype;
} dtypes[] = {
    {"BOOL", SB_DTYPE_BOOL}, {"U8", SB_DTYPE_U8},           {"I8", SB_DTYPE_I8},
    {"U16", SB_DTYPE_U16},   {"I16", SB_DTYPE_I16},         {"U32", SB_DTYPE_U32},
    {"I32", SB_DTYPE_I32},   {"U64", SB_DTYPE_U64},         {"I64", SB_DTYPE_I64},
    {"F16", SB_DTYPE_F16},   {"BF16", SB_DTYPE_BF16},       {"F32", SB_DTYPE_F32},
    {"F64", SB_DTYPE_F64},   {"F8_E4M3", SB_DTYPE_F8_E4M3}, {"F8_E5M2", SB_DTYPE_F8_E5M2},
    {"C64", SB_DTYPE_C64},
};

static bool get_size(const json_t *json, uint64_t *value) {
    json_int_t n = json_integer_value(json);
    *value = (uint64_t)n;
    return json_is_integer(json) && n >= 0;
}

static int get_shape(const json_t *shape, struct sb_tensor_info *info, struct sb_error *err) {
    size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank > SB_MAX_RANK)
        return sb_error_set(err, -EBADMSG, "'%s' has no usable shape", info->name);
    info->rank = (unsigned)rank;
    for (size_t i = 0; i < rank; i++) {
        if (!get_size(json_array_get(shape, i), &info->dims[i]))
            return sb_error_set(err, -EBADMSG, "'%s' has no usable shape", info->name);
    }
    return sb_tensor_info_count(info, err);
}

/* What `dtype` says of a tensor that is none here. malloc'd. */
static char *why_not(const char *dtype) {
    SB_AUTO_TEXT struct sb_text why = {0};
    sb_text_puts(&why, "dtype ");
    sb_name_escape(&why, dtype, strnlen(dtype, 20));
    sb_text_puts(&why, ", which has no equal here");
    return sb_text_take(&why);
}

static int add_entry(struct sb_entries *entries, const char *name, const json_t *json,
                     struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text escaped = {0};
    sb_name_escape(&escaped, name, strlen(name));
    SB_AUTO_FREE char *owned = sb_text_take(&escaped);
    if (!owned)
        return sb_error_errno(err, -ENOMEM, "'%s'", name);
    struct sb_tensor_info info = {.name = owned};
    const char *dtype = json_string_value(json_object_get(json, "dtype"));
    const json_t *offsets = json_object_get(json, "data_offsets");
    uint64_t begin, end;
    if (!dtype || json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &begin) ||
        !get_size(json_array_get(offsets, 1), &end) || end < begin)
        return sb_error_set(err, -EBADMSG, "'%s' lacks dtype or data_offsets", info.name);
    size_t i = 0, n = sizeof dtypes / sizeof *dtypes;
    while (i < n && strcmp(dtypes[i].name, dtype) != 0)
        i++;
    if (i == n) {
        char *why = why_not(dtype);
        return why ? sb_entries_add(entries, &info, why, begin, end, err)
                   : sb_error_errno(err, -ENOMEM, "'%s'", info.name);
    }
    info.dtype = dtypes[i].dtype;
    int r = get_shape(json_object_get(json, "shape"), &info, err);
    if (r == 0 && info.n_elements * sb_dtype_size(info.dtype) != end - begin)
        r = sb_error_set(err, -EBADMSG, "'%s' has other bytes than its shape needs", info.name);
    return r < 0 ? r : sb_entries_add(entries, &info, NULL, begin, end, err);
}

/* No holes and no overlaps: else one file could carry what no reader sees, or the same bytes many
 * times. */
static int check_layout(struct sb_entries *entries, uint64_t n_bytes, struct sb_error *err) {
    uint64_t end = 0;
    sb_entries_sort_by_place(entries);
    for (size_t i = 0; i < entries->n; i++) {
        if (entries->items[i].begin != end)
            return sb_error_set(err, -EBADMSG, "'%s' does not begin where the one before ends",
                                entries->items[i].info.name);
        end = entries->items[i].end;
    }
    if (end != n_bytes)
        return sb_error_set(err, -EBADMSG,
                            "the tensors take %" PRIu64 " bytes, the file has %" PRIu64 " for them",
                            end, n_bytes);
    return 0;
}

/* ---- The header -------------------------------------------------------------------------------
 */

/* An object of a million members, parsed as one, takes twenty times its text in memory: it is taken
 * apart here, and each name and each value parsed by itself. */
struct scanner {
    const char *text;
    size_t n, at;
};

static char next_character(struct scanner *scanner) {
    while (scanner->at < scanner->n && strchr(" \t\r\n", scanner->text[scanner->at]) &&
           scanner->text[scanner->at])
        scanner->at++;
    return scanner->at < scanner->n ? scanner->text[scanner->at] : '\0';
}

static int unexpected(const struct scanner *scanner, const char *what, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "the header is no JSON: %s (byte %zu)", what, scanner->at);
}

/* The next value, whatever follows it. New reference. */
static int next_value(struct scanner *scanner, json_t **value, struct sb_error *err) {
    json_error_t problem;
    *value =
        json_loadb(scanner->text + scanner->at, scanner->n - scanner->at,
                   JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &problem);
    if (!*value) {
        scanner->at += (size_t)problem.position;
        return unexpected(scanner, problem.text, err);
    }
    scanner->at += (size_t)problem.position;
    return 0;
}

static int next_member(struct scanner *scanner, struct sb_entries *entries, struct sb_error *err) {
    SB_AUTO_JSON json_t *name = NULL;
    SB_AUTO_JSON json_t *value = NULL;
    if (next_character(scanner) != '"')
        return unexpected(scanner, "a name in quotes is missing", err);
    int r = next_value(scanner, &name, err);
    if (r < 0)
        return r;
    if (next_character(scanner) != ':')
        return unexpected(scanner, "':' is missing", err);
    scanner->at++;
    r = next_value(scanner, &value, err);
    if (r < 0 || strcmp(json_string_value(name), "__metadata__") == 0)
        return r;
    return add_entry(entries, json_string_value(name), value, err);
}

static int get_entries(struct scanner *scanner, struct sb_entries *entries, struct sb_error *err) {
    if (next_character(scanner) != '{')
        return unexpected(scanner, "'{' is missing", err);
    scanner->at++;
    bool more = next_character(scanner) != '}';
    while (more) {
        int r = next_member(scanner, entries, err);
        if (r < 0)
            return r;
        more = next_character(scanner) == ',';
        scanner->at += more;
    }
    if (next_character(scanner) != '}')
        return unexpected(scanner, "',' or '}' is missing", err);
    scanner->at++;
    if (next_character(scanner) || scanner->at < scanner->n)
        return unexpected(scanner, "something follows it", err);
    return 0;
}

static int read_header(const struct sb_bytes *bytes, uint64_t *n, struct sb_entries *entries,
                       struct sb_error *err) {
    uint64_t length;
    int r = sb_bytes_read(bytes, &length, sizeof length, 0);
    length = le64toh(length);
    if (r < 0 || length > SB_SAFETENSORS_MOST_HEADER || length > bytes->n - sizeof length)
        return sb_error_set(err, -EBADMSG, "the header would be longer than the file or than %d",
                            SB_SAFETENSORS_MOST_HEADER);
    SB_AUTO_FREE char *text = malloc(length + 1);
    if (!text)
        return sb_error_errno(err, -ENOMEM, "the header");
    r = sb_bytes_read(bytes, text, length, sizeof length);
    if (r < 0)
        return sb_error_errno(err, r, "the header");
    *n = sizeof length + length;
    struct scanner scanner = {.text = text, .n = length};
    return get_entries(&scanner, entries, err);
}

int sb_safetensors_list(const struct sb_bytes *bytes, struct sb_entries *entries,
                        struct sb_error *err) {
    uint64_t at = 0;
    int r = read_header(bytes, &at, entries, err);
    if (r == 0)
        r = check_layout(entries, bytes->n - at, err);
    for (size_t i = 0; i < entries->n && r == 0; i++) {
        entries->items[i].begin += at;
        entries->items[i].end += at;
    }
    return r;
}
