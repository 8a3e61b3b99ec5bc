/* Stage 7: a baseline from its file, which anyone may have written. See report/baseline.h. */
#include "report/baseline.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "report/reading.h"
#include "suite/document.h"

#include <errno.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

/* One file as it is read; after an error the rest is passed over. */
struct reading {
    struct sb_error *err;
    int rc;
};

static void wrong(struct reading *reading, const struct sb_node *at, const char *what,
                  const char *wanted) {
    if (reading->rc == 0)
        reading->rc = sb_where_error(reading->err, -EINVAL, &at->where, "%s must be %s, not %s",
                                     what, wanted, sb_node_kind_text(at));
}

/* New reference, always. */
static json_t *read_text(struct reading *reading, const struct sb_node *node, const char *what) {
    if (sb_node_is_null(node))
        return json_null();
    if (node->kind != SB_NODE_TEXT)
        wrong(reading, node, what, "text");
    return node->kind == SB_NODE_TEXT ? sb_json_string(node->text) : json_null();
}

static json_t *read_list(struct reading *reading, const struct sb_node *node, const char *what) {
    json_t *list = json_array();
    if (node->kind != SB_NODE_LIST)
        wrong(reading, node, what, "a list");
    for (size_t i = 0; node->kind == SB_NODE_LIST && i < node->n; i++)
        json_array_append_new(list, read_text(reading, node->values[i], what));
    return list;
}

typedef json_t *reader(struct reading *reading, const struct sb_node *node, const char *what);

static json_t *read_map(struct reading *reading, const struct sb_node *node, const char *what,
                        reader *read) {
    json_t *map = json_object();
    if (node->kind != SB_NODE_MAP)
        wrong(reading, node, what, "a map");
    for (size_t i = 0; node->kind == SB_NODE_MAP && i < node->n && reading->rc == 0; i++)
        json_object_set_new(map, node->keys[i]->text, read(reading, node->values[i], what));
    return map;
}

static json_t *read_texts(struct reading *reading, const struct sb_node *node, const char *what) {
    return read_map(reading, node, what, read_text);
}

static json_t *read_lists(struct reading *reading, const struct sb_node *node, const char *what) {
    return read_map(reading, node, what, read_list);
}

/* A member that a map may have. */
struct field {
    const char *name;
    reader *read;
    bool optional;
};

static json_t *read_fields(struct reading *reading, const struct sb_node *node, const char *what,
                           const struct field *fields, size_t n) {
    SB_AUTO_TEXT struct sb_text allowed = {0};
    json_t *map = json_object();
    if (node->kind != SB_NODE_MAP) {
        wrong(reading, node, what, "a map");
        return map;
    }
    for (size_t f = 0; f < n; f++)
        sb_text_printf(&allowed, "%s%s", f ? ", " : "", fields[f].name);
    for (size_t i = 0; i < node->n && reading->rc == 0; i++) {
        const struct sb_node *key = node->keys[i];
        size_t f = 0;
        while (f < n && strcmp(fields[f].name, key->text) != 0)
            f++;
        if (f == n)
            reading->rc = sb_where_error(reading->err, -EINVAL, &key->where,
                                         "unknown key '%.80s' (%s may have: %s)", key->text, what,
                                         allowed.data);
        else
            json_object_set_new(map, key->text,
                                fields[f].read(reading, node->values[i], key->text));
    }
    for (size_t f = 0; f < n && reading->rc == 0; f++) {
        if (!fields[f].optional && !json_object_get(map, fields[f].name))
            reading->rc = sb_where_error(reading->err, -EINVAL, &node->where, "%s has no '%s'",
                                         what, fields[f].name);
    }
    return map;
}

static json_t *read_job(struct reading *reading, const struct sb_node *node, const char *what) {
    static const struct field fields[] = {
        {"verdict", read_text, false}, {"unstable_when", read_text, true},
        {"asked", read_text, false},   {"axes", read_lists, false},
        {"by", read_list, false},      {"bits", read_texts, false}};
    (void)what;
    return read_fields(reading, node, "a job", fields, sizeof fields / sizeof *fields);
}

static json_t *read_jobs(struct reading *reading, const struct sb_node *node, const char *what) {
    return read_map(reading, node, what, read_job);
}

static json_t *read_machines(struct reading *reading, const struct sb_node *node,
                             const char *what) {
    static const struct field fields[] = {{"cpu", read_text, false},
                                          {"gpu", read_text, false},
                                          {"manifest", read_texts, false},
                                          {"jobs", read_jobs, false}};
    json_t *machines = json_array();
    if (node->kind != SB_NODE_LIST)
        wrong(reading, node, what, "a list");
    for (size_t i = 0; node->kind == SB_NODE_LIST && i < node->n && reading->rc == 0; i++)
        json_array_append_new(machines, read_fields(reading, node->values[i], "a machine", fields,
                                                    sizeof fields / sizeof *fields));
    return machines;
}

int sb_baseline_read(const char *path, json_t **baseline, struct sb_error *err) {
    static const struct field fields[] = {{"version", read_text, false},
                                          {"machines", read_machines, false}};
    SB_AUTO_FREE char *text = NULL;
    size_t n;
    struct sb_document document = {0};
    struct reading reading = {.err = err};
    int rc = sb_file_read(path, MOST_BYTES, &text, &n, err);
    if (rc == 0)
        rc = sb_document_parse(text, n, path, &document, err);
    if (rc < 0)
        return rc;
    SB_AUTO_JSON json_t *made = NULL;
    if (!document.root)
        reading.rc = sb_error_set(err, -EINVAL, "%s:1:1: nothing in it", path);
    else
        made = read_fields(&reading, document.root, "a baseline", fields,
                           sizeof fields / sizeof *fields);
    if (reading.rc == 0 && !sb_text_is(made, "version", "1"))
        reading.rc = sb_error_set(
            err, -EINVAL, "%s: 'version' must be 1, the one that this samebits reads", path);
    sb_document_clear(&document);
    if (reading.rc == 0)
        *baseline = sb_steal_pointer(&made);
    return reading.rc;
}
