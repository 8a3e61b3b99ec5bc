/* Stage 1, suite: YAML text to a tree of nodes, from libyaml's events.
 *
 * Events instead of libyaml's own documents: depth and size are refused while reading, and nothing
 * is resolved to booleans or numbers, so that a level `off` stays "off". */
#include "suite/document.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/crypto.h"
#include "base/text.h"
#include "suite/build.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

/* A suite is five deep; what is far beyond that attacks the reader or is no suite. Aliases count as
 * if written out, which is what stops "billion laughs". */
enum { MAX_DEPTH = 24, MAX_SIZE = 200000, MAX_KEYS = 1000, MAX_ANCHORS = 1000 };

static const char binary_tag[] = "tag:yaml.org,2002:binary";

struct frame {
    struct sb_node *node;
    struct sb_node *key;   /* of a map: read, and its value not yet */
    struct sb_node *merge; /* value of `<<` */
};

struct anchor {
    char *name;
    struct sb_node *node;
};

struct reading {
    yaml_parser_t parser;
    const char *text;
    size_t n;
    const char *file;
    struct sb_document *document;
    struct frame frames[MAX_DEPTH];
    size_t depth;
    struct anchor *anchors;
    size_t n_anchors;
    bool ended; /* the document was */
    struct sb_error *err;
};

static struct sb_where place_of(const struct reading *reading, yaml_mark_t mark) {
    return (struct sb_where){reading->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1};
}

static int no_memory(const struct reading *reading) {
    return sb_error_errno(reading->err, -ENOMEM, "%s", reading->file);
}

/* libyaml says where a byte is no text by offset alone. */
static struct sb_where place_of_offset(const struct reading *reading, size_t offset) {
    struct sb_where where = {reading->file, 1, 1};
    for (size_t i = 0; i < offset && i < reading->n; i++) {
        unsigned char c = (unsigned char)reading->text[i];
        if (c == '\n') {
            where.line++;
            where.column = 1;
        } else if ((c & 0xc0) != 0x80) {
            where.column++;
        }
    }
    return where;
}

/* libyaml does not say which character cannot stand there, and a tab is not seen. */
static bool is_tab(const struct reading *reading, yaml_mark_t mark) {
    size_t line = 0, column = 0;
    for (size_t i = 0; i < reading->n; i++) {
        if (line == mark.line && column == mark.column)
            return reading->text[i] == '\t';
        if (reading->text[i] == '\n')
            line++, column = 0;
        else if (i + 1 < reading->n)
            column += ((unsigned char)reading->text[i + 1] & 0xc0) != 0x80;
    }
    return false;
}

static int parser_error(const struct reading *reading) {
    const yaml_parser_t *parser = &reading->parser;
    const char *problem = parser->problem ? parser->problem : "not readable as YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return no_memory(reading);
    if (parser->error == YAML_READER_ERROR) {
        struct sb_where where = place_of_offset(reading, parser->problem_offset);
        return sb_where_error(reading->err, -EINVAL, &where, "not UTF-8 text: %s", problem);
    }
    struct sb_where where = place_of(reading, parser->problem_mark);
    if (is_tab(reading, parser->problem_mark))
        problem = "found a tab, where only spaces may stand";
    if (!parser->context)
        return sb_where_error(reading->err, -EINVAL, &where, "%s", problem);
    return sb_where_error(reading->err, -EINVAL, &where, "%s (%s that began at %zu:%zu)", problem,
                          parser->context, parser->context_mark.line + 1,
                          parser->context_mark.column + 1);
}

/* ---- Nodes ---------------------------------------------------------------------------------- */

static struct sb_node *node_new(struct reading *reading, enum sb_node_kind kind,
                                const yaml_event_t *event) {
    struct sb_node *node = calloc(1, sizeof *node);
    struct sb_node **slot =
        node ? sb_array_add(&reading->document->nodes, &reading->document->n_nodes) : NULL;
    if (!slot) {
        free(node);
        no_memory(reading);
        return NULL;
    }
    *slot = node;
    node->kind = kind;
    node->where = place_of(reading, event->start_mark);
    node->size = 1;
    return node;
}

static int add_size(const struct reading *reading, struct sb_node *to, const struct sb_node *node) {
    to->size += node->size;
    if (to->size > MAX_SIZE)
        return sb_where_error(reading->err, -EINVAL, &node->where,
                              "more than %d values, counting what aliases repeat", MAX_SIZE);
    return 0;
}

static int add_pair(const struct reading *reading, struct sb_node *map, struct sb_node *key,
                    struct sb_node *value) {
    size_t n_keys = map->n, n_values = map->n;
    if (map->n >= MAX_KEYS)
        return sb_where_error(reading->err, -EINVAL, &key->where, "more than %d keys in one map",
                              MAX_KEYS);
    struct sb_node **key_slot = sb_array_add(&map->keys, &n_keys);
    struct sb_node **value_slot = key_slot ? sb_array_add(&map->values, &n_values) : NULL;
    if (!value_slot)
        return no_memory(reading);
    *key_slot = key;
    *value_slot = value;
    map->n++;
    return add_size(reading, map, value);
}

const struct sb_node *sb_node_get(const struct sb_node *map, const char *key) {
    for (size_t i = 0; map->kind == SB_NODE_MAP && i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->values[i];
    }
    return NULL;
}

static int take_key(const struct reading *reading, struct frame *frame, struct sb_node *key) {
    if (key->kind != SB_NODE_TEXT)
        return sb_where_error(reading->err, -EINVAL, &key->where, "a key must be text, not %s",
                              sb_node_kind_text(key));
    const struct sb_node *first = NULL;
    for (size_t i = 0; i < frame->node->n && !first; i++) {
        if (strcmp(frame->node->keys[i]->text, key->text) == 0)
            first = frame->node->keys[i];
    }
    bool merges = key->plain && strcmp(key->text, "<<") == 0;
    if (merges && frame->merge)
        first = frame->merge;
    if (first)
        return sb_where_error(reading->err, -EINVAL, &key->where,
                              "key '%s' stands twice in this map (first at %u:%u)",
                              sb_show(key->text).text, first->where.line, first->where.column);
    frame->key = key;
    return 0;
}

/* Hangs a finished or just opened node under what is open. */
static int place_node(struct reading *reading, struct sb_node *node) {
    if (reading->depth == 0) {
        reading->document->root = node;
        return 0;
    }
    struct frame *frame = &reading->frames[reading->depth - 1];
    if (frame->node->kind == SB_NODE_LIST) {
        struct sb_node **slot = sb_array_add(&frame->node->values, &frame->node->n);
        if (!slot)
            return no_memory(reading);
        *slot = node;
        return add_size(reading, frame->node, node);
    }
    if (!frame->key)
        return take_key(reading, frame, node);
    struct sb_node *key = sb_steal_pointer(&frame->key);
    if (key->plain && strcmp(key->text, "<<") == 0) {
        frame->merge = node;
        return add_size(reading, frame->node, node);
    }
    return add_pair(reading, frame->node, key, node);
}

/* Merge keys (yaml.org/type/merge): pairs that the map does not have itself; of several maps the
 * earlier wins. */
static int merge_map(const struct reading *reading, struct sb_node *map,
                     const struct sb_node *from) {
    if (from->kind != SB_NODE_MAP)
        return sb_where_error(reading->err, -EINVAL, &from->where,
                              "'<<' merges a map or a list of maps, not %s",
                              sb_node_kind_text(from));
    for (size_t i = 0; i < from->n; i++) {
        int rc = sb_node_get(map, from->keys[i]->text)
                     ? 0
                     : add_pair(reading, map, from->keys[i], from->values[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int close_collection(struct reading *reading) {
    struct frame *frame = &reading->frames[--reading->depth];
    int rc = 0;
    if (frame->merge && frame->merge->kind == SB_NODE_LIST) {
        for (size_t i = 0; i < frame->merge->n && rc == 0; i++)
            rc = merge_map(reading, frame->node, frame->merge->values[i]);
    } else if (frame->merge) {
        rc = merge_map(reading, frame->node, frame->merge);
    }
    frame->node->open = false;
    if (rc < 0 || reading->depth == 0)
        return rc;
    /* It was hung up when it was empty. */
    struct frame *parent = &reading->frames[reading->depth - 1];
    parent->node->size--;
    return add_size(reading, parent->node, frame->node);
}

/* ---- Anchors -------------------------------------------------------------------------------- */

static int name_anchor(struct reading *reading, const yaml_char_t *name, struct sb_node *node) {
    if (!name)
        return 0;
    if (reading->n_anchors >= MAX_ANCHORS)
        return sb_where_error(reading->err, -EINVAL, &node->where, "more than %d anchors",
                              MAX_ANCHORS);
    struct anchor *anchor = sb_array_add(&reading->anchors, &reading->n_anchors);
    if (!anchor || !(anchor->name = strdup((const char *)name)))
        return no_memory(reading);
    anchor->node = node;
    return 0;
}

static int read_alias(struct reading *reading, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    struct sb_where where = place_of(reading, event->start_mark);
    for (size_t i = reading->n_anchors; i-- > 0;) {
        struct sb_node *node = reading->anchors[i].node;
        if (strcmp(reading->anchors[i].name, name) != 0)
            continue;
        if (node->open)
            return sb_where_error(reading->err, -EINVAL, &where,
                                  "alias '*%s' stands inside what it repeats", name);
        return place_node(reading, node);
    }
    return sb_where_error(reading->err, -EINVAL, &where, "alias '*%s': no anchor '&%s' before it",
                          name, name);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Text that UTF-8 cannot hold is written as base64 (yaml.org/type/binary). */
static int decode_binary(const struct reading *reading, struct sb_node *node) {
    size_t n = 0;
    for (const char *p = node->text; *p; p++) {
        if (!strchr(" \t\r\n", *p))
            node->text[n++] = *p;
    }
    node->text[n] = '\0';
    SB_AUTO_FREE unsigned char *bytes = malloc(n + 1);
    if (!bytes)
        return no_memory(reading);
    struct sb_error err;
    const struct sb_crypto *crypto = sb_crypto(&err);
    if (!crypto)
        return sb_where_error(reading->err, -ENOSYS, &node->where, "!!binary: %s", err.text);
    int decoded = crypto->EVP_DecodeBlock(bytes, (const unsigned char *)node->text, (int)n);
    size_t padding = n && node->text[n - 1] == '=' ? 1 + (n > 1 && node->text[n - 2] == '=') : 0;
    if (decoded < (int)padding)
        return sb_where_error(reading->err, -EINVAL, &node->where, "!!binary is not base64");
    memcpy(node->text, bytes, (size_t)decoded - padding);
    node->text[(size_t)decoded - padding] = '\0';
    if (strlen(node->text) != (size_t)decoded - padding)
        return sb_where_error(reading->err, -EINVAL, &node->where, "a NUL byte in text");
    node->plain = false;
    return 0;
}

static int check_tag(const struct reading *reading, const yaml_char_t *tag, const char *allowed,
                     const struct sb_node *node) {
    if (!tag || strcmp((const char *)tag, "!") == 0 || strcmp((const char *)tag, allowed) == 0)
        return 0;
    return sb_where_error(reading->err, -EINVAL, &node->where, "tag '%s' has no meaning here",
                          sb_show((const char *)tag).text);
}

static int read_scalar(struct reading *reading, const yaml_event_t *event) {
    const char *value = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    struct sb_node *node = node_new(reading, SB_NODE_TEXT, event);
    if (!node)
        return -ENOMEM;
    if (memchr(value, '\0', event->data.scalar.length))
        return sb_where_error(reading->err, -EINVAL, &node->where, "a NUL byte in text");
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !tag;
    node->text = strdup(value);
    if (!node->text)
        return no_memory(reading);
    int rc = tag && strcmp(tag, binary_tag) == 0
                 ? decode_binary(reading, node)
                 : check_tag(reading, event->data.scalar.tag, YAML_STR_TAG, node);
    if (rc == 0)
        rc = name_anchor(reading, event->data.scalar.anchor, node);
    return rc < 0 ? rc : place_node(reading, node);
}

static int open_collection(struct reading *reading, const yaml_event_t *event) {
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    const yaml_char_t *tag = list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
    const yaml_char_t *anchor =
        list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
    struct sb_node *node = node_new(reading, list ? SB_NODE_LIST : SB_NODE_MAP, event);
    if (!node)
        return -ENOMEM;
    node->open = true;
    if (reading->depth == MAX_DEPTH)
        return sb_where_error(reading->err, -EINVAL, &node->where, "nested more than %d deep",
                              MAX_DEPTH);
    int rc = check_tag(reading, tag, list ? YAML_SEQ_TAG : YAML_MAP_TAG, node);
    if (rc == 0)
        rc = name_anchor(reading, anchor, node);
    if (rc == 0)
        rc = place_node(reading, node);
    if (rc == 0)
        reading->frames[reading->depth++] = (struct frame){.node = node};
    return rc;
}

static int read_event(struct reading *reading, const yaml_event_t *event) {
    struct sb_where where = place_of(reading, event->start_mark);
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return read_scalar(reading, event);
    case YAML_ALIAS_EVENT:
        return read_alias(reading, event);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return open_collection(reading, event);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(reading);
    case YAML_DOCUMENT_START_EVENT:
        if (!reading->ended)
            return 0;
        return sb_where_error(reading->err, -EINVAL, &where,
                              "a second YAML document: a suite is one");
    case YAML_DOCUMENT_END_EVENT:
        reading->ended = true;
        return 0;
    default:
        return 0;
    }
}

static int read_all(struct reading *reading) {
    for (;;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reading->parser, &event))
            return parser_error(reading);
        bool last = event.type == YAML_STREAM_END_EVENT;
        int rc = read_event(reading, &event);
        yaml_event_delete(&event);
        if (rc < 0 || last)
            return rc;
    }
}

int sb_document_parse(const char *text, size_t n, const char *file, struct sb_document *document,
                      struct sb_error *err) {
    struct sb_document read = {0};
    struct reading reading = {.file = file, .document = &read, .err = err};
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no column */
        text += 3;
        n -= 3;
    }
    reading.text = text;
    reading.n = n;
    if (!yaml_parser_initialize(&reading.parser))
        return no_memory(&reading);
    yaml_parser_set_encoding(&reading.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reading.parser, (const unsigned char *)text, n);
    int rc = read_all(&reading);
    if (rc == 0 && !read.root) {
        struct sb_where where = {file, 1, 1};
        rc = sb_where_error(err, -EINVAL, &where, "nothing in it");
    }
    yaml_parser_delete(&reading.parser);
    for (size_t i = 0; i < reading.n_anchors; i++)
        free(reading.anchors[i].name);
    free(reading.anchors);
    if (rc < 0)
        sb_document_clear(&read);
    else
        *document = read;
    return rc;
}

void sb_document_clear(struct sb_document *document) {
    for (size_t i = 0; i < document->n_nodes; i++) {
        struct sb_node *node = document->nodes[i];
        free(node->text);
        free(node->keys);
        free(node->values);
        free(node);
    }
    free(document->nodes);
    *document = (struct sb_document){0};
}

bool sb_node_is_null(const struct sb_node *node) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++) {
        if (node->kind == SB_NODE_TEXT && node->plain && strcmp(node->text, nulls[i]) == 0)
            return true;
    }
    return false;
}

const char *sb_node_kind_text(const struct sb_node *node) {
    static const char *const texts[] = {"text", "a list", "a map"};
    return sb_node_is_null(node) ? "nothing" : texts[node->kind];
}
