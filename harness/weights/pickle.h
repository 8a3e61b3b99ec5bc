/* Stage 4, weights: Python's pickles as trees of data. Nothing is imported and nothing is called:
 * what a pickle would call becomes a node that says so. Protocols 0 to 5, as far as torch.save and
 * its kin write them. Opcodes: Lib/pickletools.py of CPython. */
#ifndef SB_WEIGHTS_PICKLE_H
#define SB_WEIGHTS_PICKLE_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sb_pickle_kind {
    SB_PICKLE_NONE,
    SB_PICKLE_BOOL,
    SB_PICKLE_INT,   /* also of more than 64 bits, without a value */
    SB_PICKLE_FLOAT, /* without a value */
    SB_PICKLE_TEXT,  /* UTF-8 */
    SB_PICKLE_BYTES,
    SB_PICKLE_TUPLE,  /* items */
    SB_PICKLE_LIST,   /* items */
    SB_PICKLE_SET,    /* items */
    SB_PICKLE_DICT,   /* items: key, value, key, value … */
    SB_PICKLE_GLOBAL, /* text: "module.name" */
    SB_PICKLE_CALL,   /* function, arguments; items as of a dict or list that were put in later */
    SB_PICKLE_PERSISTENT, /* arguments: the id of something outside of the pickle */
};

struct sb_pickle {
    enum sb_pickle_kind kind;
    bool fits;       /* SB_PICKLE_INT: `integer` is its value */
    bool is_mapping; /* SB_PICKLE_CALL: its items are keys and values */
    int64_t integer; /* also 0 or 1 of SB_PICKLE_BOOL */
    char *text;      /* NUL-terminated; of bytes, too */
    size_t n_text;
    struct sb_pickle **items;
    size_t n_items, room;
    struct sb_pickle *function, *arguments, *state; /* state: of __setstate__, or NULL */
    unsigned seen;                                  /* for those who search; 0 at first */
    struct sb_pickle *next;                         /* of all nodes, for freeing */
};

/* The nodes of one pickle. They refer to each other as the objects would: one can stand at several
 * places, and within itself. */
struct sb_pickle_tree {
    struct sb_pickle *root, *all;
};

/* -EBADMSG: damaged, or with opcodes that are not known. Free with sb_pickle_clear. */
int sb_pickle_read(const char *bytes, size_t n, struct sb_pickle_tree *tree, struct sb_error *err);
void sb_pickle_clear(struct sb_pickle_tree *tree);

/* Is it this global, "torch._utils._rebuild_tensor_v2"? */
bool sb_pickle_is_global(const struct sb_pickle *value, const char *name);

#endif
