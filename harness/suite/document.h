/* Stage 1, suite: YAML text as a tree whose nodes know where they were written. */
#ifndef SB_SUITE_DOCUMENT_H
#define SB_SUITE_DOCUMENT_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include <stdbool.h>
#include <stddef.h>

enum sb_node_kind { SB_NODE_TEXT, SB_NODE_LIST, SB_NODE_MAP };

/* One node. An alias is the node of its anchor, so that the tree may share branches. */
struct sb_node {
    enum sb_node_kind kind;
    struct sb_where where;
    char *text;              /* SB_NODE_TEXT: source text, whatever YAML would make of it; no NUL */
    bool plain;              /* SB_NODE_TEXT: written without quotes */
    struct sb_node **keys;   /* SB_NODE_MAP: n texts, each once; merge keys are resolved */
    struct sb_node **values; /* SB_NODE_MAP, SB_NODE_LIST: n of them */
    size_t n;
    size_t size; /* nodes from here down, aliases written out */
    bool open;   /* still being read */
};

struct sb_document {
    struct sb_node *root;
    struct sb_node **nodes; /* all, for freeing */
    size_t n_nodes;
};

/* Reads one document. `file` names it in messages and must outlive it. -EINVAL for what is no YAML,
 * or more of it than a suite has use for. */
int sb_document_parse(const char *text, size_t n, const char *file, struct sb_document *document,
                      struct sb_error *err);
void sb_document_clear(struct sb_document *document);

/* The value of a key in a map, or NULL. */
const struct sb_node *sb_node_get(const struct sb_node *map, const char *key);

/* Is it nothing at all: an empty place, `~` or `null`, without quotes? */
bool sb_node_is_null(const struct sb_node *node);

/* "text", "a list", "a map", "nothing" for messages. */
const char *sb_node_kind_text(const struct sb_node *node);

#endif
