/* Stage 4, weights: a pickle's opcodes, which make nodes and do nothing. See weights/pickle.h. */
#include "weights/pickle.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct machine {
    const unsigned char *at, *end;
    struct sb_pickle *all;
    struct sb_pickle **stack; /* NULL: a mark */
    size_t n_stack, stack_room;
    struct sb_pickle **memo;
    size_t n_memo, memo_room;
    struct sb_pickle *result; /* once STOP was met */
    struct sb_error *err;
};

/* Each of these returns 0 or a negative errno, with the reason in the machine's error. */

static int bad(struct machine *m, const char *why) {
    return sb_error_set(m->err, -EBADMSG, "pickle: %s", why);
}

static int no_memory(struct machine *m) {
    return sb_error_errno(m->err, -ENOMEM, "pickle");
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static int take(struct machine *m, size_t n, const unsigned char **bytes) {
    if ((size_t)(m->end - m->at) < n)
        return bad(m, "it ends in the middle of an opcode");
    *bytes = m->at;
    m->at += n;
    return 0;
}

/* A little-endian number of n bytes. */
static int take_number(struct machine *m, size_t n, uint64_t *number) {
    const unsigned char *bytes = NULL;
    int rc = take(m, n, &bytes);
    *number = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        *number |= (uint64_t)bytes[i] << 8 * i;
    return rc;
}

/* Up to the end of a line, which is skipped. */
static int take_line(struct machine *m, const unsigned char **line, size_t *n) {
    const unsigned char *end = memchr(m->at, '\n', (size_t)(m->end - m->at));
    if (!end)
        return bad(m, "it ends in the middle of a line");
    *line = m->at;
    *n = (size_t)(end - m->at);
    m->at = end + 1;
    return 0;
}

/* ---- Nodes and the stack --------------------------------------------------------------------- */

static struct sb_pickle *new_node(struct machine *m, enum sb_pickle_kind kind) {
    struct sb_pickle *node = calloc(1, sizeof *node);
    if (!node)
        return NULL;
    node->kind = kind;
    node->next = m->all;
    m->all = node;
    return node;
}

static bool grow(struct sb_pickle ***items, size_t n, size_t *room) {
    if (n < *room)
        return true;
    size_t wanted = *room ? 2 * *room : 8;
    struct sb_pickle **grown = realloc(*items, wanted * sizeof *grown);
    if (!grown)
        return false;
    *items = grown;
    *room = wanted;
    return true;
}

static int push(struct machine *m, struct sb_pickle *node) {
    if (!grow(&m->stack, m->n_stack, &m->stack_room))
        return no_memory(m);
    m->stack[m->n_stack++] = node;
    return 0;
}

static int push_new(struct machine *m, struct sb_pickle *node) {
    return node ? push(m, node) : no_memory(m);
}

static int push_kind(struct machine *m, enum sb_pickle_kind kind) {
    return push_new(m, new_node(m, kind));
}

static int push_integer(struct machine *m, enum sb_pickle_kind kind, int64_t value, bool fits) {
    struct sb_pickle *node = new_node(m, kind);
    if (!node)
        return no_memory(m);
    node->integer = value;
    node->fits = fits;
    return push(m, node);
}

static int push_text(struct machine *m, enum sb_pickle_kind kind, const void *text, size_t n) {
    struct sb_pickle *node = new_node(m, kind);
    if (!node || !(node->text = malloc(n + 1)))
        return no_memory(m);
    memcpy(node->text, text, n);
    node->text[n] = '\0';
    node->n_text = n;
    return push(m, node);
}

/* Never a mark. */
static int pop(struct machine *m, struct sb_pickle **node) {
    if (!m->n_stack || !m->stack[m->n_stack - 1])
        return bad(m, "an opcode lacks what it works on");
    *node = m->stack[--m->n_stack];
    return 0;
}

/* The items above the last mark stay valid until something is pushed. */
static int pop_to_mark(struct machine *m, struct sb_pickle ***items, size_t *n) {
    size_t at = m->n_stack;
    while (at && m->stack[at - 1])
        at--;
    if (!at)
        return bad(m, "an opcode lacks its mark");
    *items = m->stack + at;
    *n = m->n_stack - at;
    m->n_stack = at - 1;
    return 0;
}

static int add_items(struct machine *m, struct sb_pickle *node, struct sb_pickle *const *items,
                     size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!grow(&node->items, node->n_items, &node->room))
            return no_memory(m);
        node->items[node->n_items++] = items[i];
    }
    return 0;
}

static int push_items(struct machine *m, enum sb_pickle_kind kind, struct sb_pickle *const *items,
                      size_t n) {
    struct sb_pickle *node = new_node(m, kind);
    if (!node)
        return no_memory(m);
    int rc = add_items(m, node, items, n);
    return rc < 0 ? rc : push(m, node);
}

static int remember(struct machine *m, uint64_t id) {
    if (!m->n_stack || !m->stack[m->n_stack - 1])
        return bad(m, "an opcode lacks what it works on");
    if (id > (size_t)(m->end - m->at) + m->n_memo + 65536)
        return bad(m, "a number of the memo is too large");
    while (m->n_memo <= id) {
        if (!grow(&m->memo, m->n_memo, &m->memo_room))
            return no_memory(m);
        m->memo[m->n_memo++] = NULL;
    }
    m->memo[id] = m->stack[m->n_stack - 1];
    return 0;
}

static int recall(struct machine *m, uint64_t id) {
    if (id >= m->n_memo || !m->memo[id])
        return bad(m, "it refers to what is not there");
    return push(m, m->memo[id]);
}

/* ---- Opcodes --------------------------------------------------------------------------------- */

static int do_long(struct machine *m, size_t width) {
    uint64_t n, value = 0;
    const unsigned char *bytes = NULL;
    int rc = take_number(m, width, &n);
    if (rc == 0)
        rc = take(m, n, &bytes);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n && i < 8; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    if (n && n < 8 && bytes[n - 1] & 0x80)
        value |= ~UINT64_C(0) << 8 * n;
    return push_integer(m, SB_PICKLE_INT, (int64_t)value, n <= 8);
}

static int do_sized_text(struct machine *m, enum sb_pickle_kind kind, size_t width) {
    uint64_t n;
    const unsigned char *bytes = NULL;
    int rc = take_number(m, width, &n);
    if (rc == 0)
        rc = take(m, n, &bytes);
    return rc < 0 ? rc : push_text(m, kind, bytes, n);
}

/* Numbers in decimal, "01" for True and "00" for False; a long ends with L. */
static int do_text_number(struct machine *m, bool is_float) {
    const unsigned char *line = NULL;
    char text[32], *end;
    size_t n = 0;
    int rc = take_line(m, &line, &n);
    if (rc < 0)
        return rc;
    if (is_float)
        return push_kind(m, SB_PICKLE_FLOAT);
    if (n == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1'))
        return push_integer(m, SB_PICKLE_BOOL, line[1] - '0', true);
    if (n == 0 || n >= sizeof text)
        return push_integer(m, SB_PICKLE_INT, 0, false);
    memcpy(text, line, n);
    text[n] = '\0';
    errno = 0;
    long long value = strtoll(text, &end, 10);
    return push_integer(m, SB_PICKLE_INT, value, !errno && (!*end || strcmp(end, "L") == 0));
}

static int do_global(struct machine *m) {
    const unsigned char *module = NULL, *name = NULL;
    size_t n_module = 0, n_name = 0;
    int rc = take_line(m, &module, &n_module);
    if (rc == 0)
        rc = take_line(m, &name, &n_name);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *whole = sb_format("%.*s.%.*s", (int)n_module, module, (int)n_name, name);
    return whole ? push_text(m, SB_PICKLE_GLOBAL, whole, strlen(whole)) : no_memory(m);
}

static int do_stack_global(struct machine *m) {
    struct sb_pickle *module, *name;
    int rc = pop(m, &name);
    if (rc == 0)
        rc = pop(m, &module);
    if (rc == 0 && (name->kind != SB_PICKLE_TEXT || module->kind != SB_PICKLE_TEXT))
        rc = bad(m, "the name of a global is no text");
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *whole = sb_format("%s.%s", module->text, name->text);
    return whole ? push_text(m, SB_PICKLE_GLOBAL, whole, strlen(whole)) : no_memory(m);
}

/* Of NEWOBJ_EX the keyword arguments are left out. */
static int do_call(struct machine *m, bool keywords) {
    struct sb_pickle *function, *arguments, *call;
    int rc = keywords ? pop(m, &arguments) : 0;
    if (rc == 0)
        rc = pop(m, &arguments);
    if (rc == 0)
        rc = pop(m, &function);
    if (rc < 0)
        return rc;
    call = new_node(m, SB_PICKLE_CALL);
    if (!call)
        return no_memory(m);
    call->function = function;
    call->arguments = arguments;
    return push(m, call);
}

static int do_persistent(struct machine *m) {
    struct sb_pickle *id, *node = new_node(m, SB_PICKLE_PERSISTENT);
    int rc = pop(m, &id);
    if (rc < 0)
        return rc;
    if (!node)
        return no_memory(m);
    node->arguments = id;
    return push(m, node);
}

static int do_build(struct machine *m) {
    struct sb_pickle *state;
    int rc = pop(m, &state);
    if (rc == 0 && (!m->n_stack || !m->stack[m->n_stack - 1]))
        rc = bad(m, "a state without an object");
    if (rc == 0)
        m->stack[m->n_stack - 1]->state = state;
    return rc;
}

/* n items go into what lies below them. */
static int put_in(struct machine *m, struct sb_pickle *const *items, size_t n, bool pairs) {
    if (!m->n_stack || !m->stack[m->n_stack - 1] || (pairs && n % 2))
        return bad(m, "items without what they belong in");
    struct sb_pickle *into = m->stack[m->n_stack - 1];
    enum sb_pickle_kind kind = into->kind;
    bool fits = pairs ? kind == SB_PICKLE_DICT : kind == SB_PICKLE_LIST || kind == SB_PICKLE_SET;
    if (kind == SB_PICKLE_CALL && (into->n_items == 0 || into->is_mapping == pairs)) {
        into->is_mapping = pairs;
        fits = true;
    }
    return fits ? add_items(m, into, items, n) : bad(m, "items in what can hold none");
}

static int do_put_marked(struct machine *m, bool pairs) {
    struct sb_pickle **items;
    size_t n;
    int rc = pop_to_mark(m, &items, &n);
    return rc < 0 ? rc : put_in(m, items, n, pairs);
}

static int do_put_some(struct machine *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (m->n_stack < n || !m->stack[m->n_stack - 1 - i])
            return bad(m, "an opcode lacks what it works on");
    }
    m->n_stack -= n;
    return put_in(m, m->stack + m->n_stack, n, n == 2);
}

static int do_marked(struct machine *m, enum sb_pickle_kind kind) {
    struct sb_pickle **items;
    size_t n;
    int rc = pop_to_mark(m, &items, &n);
    if (rc == 0 && kind == SB_PICKLE_DICT && n % 2)
        rc = bad(m, "a key without a value");
    return rc < 0 ? rc : push_items(m, kind, items, n);
}

static int do_tuple(struct machine *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (m->n_stack < n || !m->stack[m->n_stack - 1 - i])
            return bad(m, "an opcode lacks what it works on");
    }
    m->n_stack -= n;
    return push_items(m, SB_PICKLE_TUPLE, m->stack + m->n_stack, n);
}

static int do_number(struct machine *m, size_t width, bool is_signed) {
    uint64_t value;
    int rc = take_number(m, width, &value);
    return rc < 0 ? rc
                  : push_integer(m, SB_PICKLE_INT,
                                 is_signed ? (int64_t)(int32_t)value : (int64_t)value, true);
}

static int do_memo(struct machine *m, size_t width, bool put) {
    uint64_t id;
    int rc = take_number(m, width, &id);
    return rc < 0 ? rc : put ? remember(m, id) : recall(m, id);
}

static int do_text_memo(struct machine *m, bool put) {
    const unsigned char *line = NULL;
    size_t n = 0;
    uint64_t id = 0;
    int rc = take_line(m, &line, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (line[i] < '0' || line[i] > '9' || id > UINT32_MAX)
            return bad(m, "a number of the memo is none");
        id = 10 * id + (uint64_t)(line[i] - '0');
    }
    return rc < 0 ? rc : put ? remember(m, id) : recall(m, id);
}

static int do_skip(struct machine *m, size_t n) {
    const unsigned char *bytes = NULL;
    return take(m, n, &bytes);
}

static int do_pop(struct machine *m) {
    if (!m->n_stack)
        return bad(m, "an opcode lacks what it works on");
    m->n_stack--;
    return 0;
}

static int do_stop(struct machine *m) {
    return pop(m, &m->result);
}

static int do_duplicate(struct machine *m) {
    struct sb_pickle *node;
    int rc = pop(m, &node);
    if (rc == 0)
        rc = push(m, node);
    return rc < 0 ? rc : push(m, node);
}

static int do_pop_mark(struct machine *m) {
    struct sb_pickle **items;
    size_t n;
    return pop_to_mark(m, &items, &n);
}

/* clang-format off */
static int do_opcode(struct machine *m, unsigned char code) {
    switch (code) {
    case 0x80: return do_skip(m, 1);                            /* PROTO */
    case 0x95: return do_skip(m, 8);                            /* FRAME */
    case '.': return do_stop(m);
    case '(': return push(m, NULL);                             /* MARK */
    case '0': return do_pop(m);
    case '1': return do_pop_mark(m);
    case '2': return do_duplicate(m);
    case 'N': return push_kind(m, SB_PICKLE_NONE);
    case 0x88: return push_integer(m, SB_PICKLE_BOOL, 1, true);
    case 0x89: return push_integer(m, SB_PICKLE_BOOL, 0, true);
    case 'J': return do_number(m, 4, true);                     /* BININT */
    case 'K': return do_number(m, 1, false);
    case 'M': return do_number(m, 2, false);
    case 'I': case 'L': return do_text_number(m, false);
    case 'F': return do_text_number(m, true);
    case 'G': return do_skip(m, 8) < 0 ? -EBADMSG : push_kind(m, SB_PICKLE_FLOAT);
    case 0x8a: return do_long(m, 1);
    case 0x8b: return do_long(m, 4);
    case 'X': return do_sized_text(m, SB_PICKLE_TEXT, 4);       /* BINUNICODE */
    case 0x8c: return do_sized_text(m, SB_PICKLE_TEXT, 1);
    case 0x8d: return do_sized_text(m, SB_PICKLE_TEXT, 8);
    case 'T': return do_sized_text(m, SB_PICKLE_BYTES, 4);      /* BINSTRING, of Python 2 */
    case 'U': return do_sized_text(m, SB_PICKLE_BYTES, 1);
    case 'B': return do_sized_text(m, SB_PICKLE_BYTES, 4);
    case 'C': return do_sized_text(m, SB_PICKLE_BYTES, 1);
    case 0x8e: case 0x96: return do_sized_text(m, SB_PICKLE_BYTES, 8);
    case ')': return push_kind(m, SB_PICKLE_TUPLE);
    case 't': return do_marked(m, SB_PICKLE_TUPLE);
    case 0x85: return do_tuple(m, 1);
    case 0x86: return do_tuple(m, 2);
    case 0x87: return do_tuple(m, 3);
    case ']': return push_kind(m, SB_PICKLE_LIST);
    case 'l': return do_marked(m, SB_PICKLE_LIST);
    case 'a': return do_put_some(m, 1);                         /* APPEND */
    case 'e': return do_put_marked(m, false);                   /* APPENDS */
    case '}': return push_kind(m, SB_PICKLE_DICT);
    case 'd': return do_marked(m, SB_PICKLE_DICT);
    case 's': return do_put_some(m, 2);                         /* SETITEM */
    case 'u': return do_put_marked(m, true);                    /* SETITEMS */
    case 0x8f: return push_kind(m, SB_PICKLE_SET);
    case 0x90: return do_put_marked(m, false);                  /* ADDITEMS */
    case 0x91: return do_marked(m, SB_PICKLE_SET);              /* FROZENSET */
    case 'c': return do_global(m);
    case 0x93: return do_stack_global(m);
    case 'R': case 0x81: return do_call(m, false);              /* REDUCE, NEWOBJ */
    case 0x92: return do_call(m, true);                         /* NEWOBJ_EX */
    case 'b': return do_build(m);
    case 'Q': return do_persistent(m);                          /* BINPERSID */
    case 'q': return do_memo(m, 1, true);                       /* BINPUT */
    case 'r': return do_memo(m, 4, true);
    case 'p': return do_text_memo(m, true);
    case 'h': return do_memo(m, 1, false);                      /* BINGET */
    case 'j': return do_memo(m, 4, false);
    case 'g': return do_text_memo(m, false);
    case 0x94: return remember(m, m->n_memo);                   /* MEMOIZE */
    default:
        return sb_error_set(m->err, -EBADMSG, "pickle: opcode 0x%02x is not known", code);
    }
}
/* clang-format on */

int sb_pickle_read(const char *bytes, size_t n, struct sb_pickle_tree *tree, struct sb_error *err) {
    struct machine m = {.at = (const unsigned char *)bytes, .err = err};
    m.end = m.at + n;
    int rc = 0;
    while (rc == 0 && !m.result)
        rc = m.at < m.end ? do_opcode(&m, *m.at++) : bad(&m, "it has no end");
    free(m.stack);
    free(m.memo);
    *tree = (struct sb_pickle_tree){m.result, m.all};
    if (rc < 0)
        sb_pickle_clear(tree);
    return rc;
}

void sb_pickle_clear(struct sb_pickle_tree *tree) {
    for (struct sb_pickle *node = tree->all, *next; node; node = next) {
        next = node->next;
        free(node->text);
        free(node->items);
        free(node);
    }
    *tree = (struct sb_pickle_tree){0};
}

bool sb_pickle_is_global(const struct sb_pickle *value, const char *name) {
    return value && value->kind == SB_PICKLE_GLOBAL && strcmp(value->text, name) == 0;
}
