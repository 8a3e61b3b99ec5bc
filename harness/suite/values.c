/* Stage 1, suite: nodes as texts, numbers, choices and lists, and the messages where they are not.
 */
#include "suite/build.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "suite/scalars.h"

#include <errno.h>
#include <string.h>

struct sb_shown sb_show(const char *text) {
    struct sb_shown shown;
    size_t n = 0;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        /* Room for one escape, "..." and the end; and no cut within a character. */
        if (n + 8 >= sizeof shown.text && (c & 0xc0) != 0x80) {
            memcpy(shown.text + n, "...", 3);
            n += 3;
            break;
        }
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(shown.text + n, 5, "\\x%02x", c);
        else if (n + 4 < sizeof shown.text)
            shown.text[n++] = (char)c;
    }
    shown.text[n] = '\0';
    return shown;
}

int sb_build_no_memory(struct sb_build *build) {
    return sb_error_errno(build->err, -ENOMEM, "%s", build->suite->path);
}

int sb_build_spend(struct sb_build *build, size_t n, const struct sb_where *where) {
    if (n > build->budget)
        return sb_where_error(
            build->err, -EINVAL, where,
            "the suite's jobs multiply out to more than fits in memory: split it");
    build->budget -= n;
    return 0;
}

const char *sb_build_file(struct sb_build *build, const char *name) {
    struct sb_suite *suite = build->suite;
    for (size_t i = 0; i < suite->n_files; i++) {
        if (strcmp(suite->files[i], name) == 0)
            return suite->files[i];
    }
    char *copy = strdup(name);
    char **slot = copy ? sb_array_add(&suite->files, &suite->n_files) : NULL;
    if (!slot) {
        free(copy);
        return NULL;
    }
    return *slot = copy;
}

void sb_texts_clear(struct sb_texts *texts) {
    sb_strings_clear(&texts->strings);
    free(texts->where);
    *texts = (struct sb_texts){0};
}

int sb_texts_add(struct sb_build *build, struct sb_texts *texts, const char *text,
                 const struct sb_where *where) {
    int rc = sb_build_spend(build, strlen(text) + sizeof *where + sizeof text, where);
    if (rc < 0)
        return rc;
    struct sb_where *slot = sb_array_add(&texts->where, &texts->n_where);
    if (!slot || sb_strings_add(&texts->strings, text) < 0)
        return sb_build_no_memory(build);
    *slot = *where;
    return 0;
}

/* ---- Messages ------------------------------------------------------------------------------- */

static int wrong_kind(struct sb_build *build, const struct sb_node *node, const char *what,
                      const char *wanted) {
    return sb_where_error(build->err, -EINVAL, &node->where, "%s must be %s, not %s", what, wanted,
                          sb_node_kind_text(node));
}

static void add_choices(struct sb_text *text, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        sb_text_printf(text, "%s%s", i ? ", " : "", names[i]);
}

/* ")" and what might have been meant. */
static const char *guess(struct sb_text *text, const char *word, const char *const *names,
                         size_t n) {
    const char *nearest = sb_nearest(word, names, n);
    if (nearest)
        sb_text_printf(text, "; did you mean '%s'?", nearest);
    return text->failed || !text->data ? "" : text->data;
}

int sb_unknown_key(struct sb_build *build, const struct sb_node *key, const char *owner,
                   const char *const *names, size_t n) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, " (%s may have: ", owner);
    add_choices(&text, names, n);
    sb_text_putc(&text, ')');
    return sb_where_error(build->err, -EINVAL, &key->where, "unknown key '%s'%s",
                          sb_show(key->text).text, guess(&text, key->text, names, n));
}

int sb_need_map(struct sb_build *build, const struct sb_node *node, const char *what) {
    return node->kind == SB_NODE_MAP ? 0 : wrong_kind(build, node, what, "a map");
}

/* ---- Values --------------------------------------------------------------------------------- */

static int need_text(struct sb_build *build, const struct sb_node *node, const char *what,
                     const char *wanted) {
    if (node->kind != SB_NODE_TEXT || (node->plain && !*node->text))
        return wrong_kind(build, node, what, wanted);
    return 0;
}

int sb_read_text(struct sb_build *build, const struct sb_node *node, const char *what,
                 char **text) {
    int rc = need_text(build, node, what, "text");
    if (rc == 0)
        rc = sb_build_spend(build, strlen(node->text), &node->where);
    if (rc < 0)
        return rc;
    char *copy = strdup(node->text);
    if (!copy)
        return sb_build_no_memory(build);
    free(*text);
    *text = copy;
    return 0;
}

static int add_item(struct sb_build *build, const struct sb_node *item, const char *what,
                    struct sb_texts *texts) {
    if (item->kind != SB_NODE_TEXT)
        return sb_where_error(build->err, -EINVAL, &item->where,
                              "%s: each item must be text, not %s", what, sb_node_kind_text(item));
    if (item->plain && !*item->text)
        return sb_where_error(build->err, -EINVAL, &item->where,
                              "%s: an item with nothing in it (empty text is written \"\")", what);
    return sb_texts_add(build, texts, item->text, &item->where);
}

int sb_read_texts(struct sb_build *build, const struct sb_node *node, const char *what,
                  enum sb_list_rule rule, struct sb_texts *texts) {
    struct sb_texts read = {0};
    int rc = 0;
    if (node->kind == SB_NODE_LIST) {
        if (node->n == 0 && rule != SB_LIST_MAY_EMPTY)
            rc = sb_where_error(build->err, -EINVAL, &node->where, "%s: the list is empty", what);
        for (size_t i = 0; i < node->n && rc == 0; i++)
            rc = add_item(build, node->values[i], what, &read);
    } else if (rule == SB_LIST_ONLY) {
        rc = wrong_kind(build, node, what, "a list");
    } else {
        rc = need_text(build, node, what, "text or a list");
        if (rc == 0)
            rc = sb_texts_add(build, &read, node->text, &node->where);
    }
    if (rc < 0) {
        sb_texts_clear(&read);
        return rc;
    }
    sb_texts_clear(texts);
    *texts = read;
    return 0;
}

int sb_read_choice(struct sb_build *build, const struct sb_node *node, const char *what,
                   const char *const *names, unsigned *choice) {
    int rc = need_text(build, node, what, "text");
    if (rc < 0)
        return rc;
    size_t n = 0, unnamed = 0;
    for (; names[n]; n++) {
        if (strcmp(node->text, names[n]) == 0 && *names[n]) {
            *choice = (unsigned)n;
            return 0;
        }
        unnamed += !*names[n];
    }
    names += unnamed;
    n -= unnamed;
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, " (choose from: ");
    add_choices(&text, names, n);
    sb_text_putc(&text, ')');
    return sb_where_error(build->err, -EINVAL, &node->where, "%s: unknown value '%s'%s", what,
                          sb_show(node->text).text, guess(&text, node->text, names, n));
}

int sb_read_number(struct sb_build *build, const struct sb_node *node, const char *what,
                   double *number) {
    int rc = need_text(build, node, what, "a number");
    double value;
    if (rc < 0)
        return rc;
    if (!sb_parse_number(node->text, &value) || value < 0)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "%s: '%s' is not a number from 0, such as 1e-6", what,
                              sb_show(node->text).text);
    *number = value;
    return 0;
}

int sb_read_size(struct sb_build *build, const struct sb_node *node, const char *what,
                 size_t *size) {
    int rc = need_text(build, node, what, "a whole number");
    size_t value;
    if (rc < 0)
        return rc;
    if (!sb_parse_size(node->text, &value) || value == 0)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "%s: '%s' is not a whole number from 1", what,
                              sb_show(node->text).text);
    *size = value;
    return 0;
}

int sb_read_bool(struct sb_build *build, const struct sb_node *node, const char *what,
                 bool *value) {
    static const char *const names[] = {"false", "true", NULL};
    unsigned choice;
    int rc = sb_read_choice(build, node, what, names, &choice);
    if (rc == 0)
        *value = choice == 1;
    return rc;
}

int sb_read_duration(struct sb_build *build, const struct sb_node *node, const char *what,
                     double *seconds) {
    struct sb_error inner = {0};
    int rc = need_text(build, node, what, "a duration, such as 10m");
    if (rc < 0)
        return rc;
    rc = sb_duration_parse(node->text, seconds, &inner);
    return rc < 0 ? sb_where_error(build->err, rc, &node->where, "%s: %s", what, inner.text) : 0;
}

/* ---- Repeats -------------------------------------------------------------------------------- */

static int read_repeats_key(struct sb_build *build, const char *key, const struct sb_node *value,
                            struct sb_repeats *repeats) {
    static const char *const stops[] = {"diverged", NULL};
    SB_AUTO_FREE char *what = sb_format("'repeats': '%s'", key);
    if (!what)
        return sb_build_no_memory(build);
    unsigned choice;
    size_t count;
    int rc;
    if (strcmp(key, "exact") == 0)
        return sb_read_bool(build, value, what, &repeats->exact);
    if (strcmp(key, "stop") == 0) {
        rc = sb_read_choice(build, value, what, stops, &choice);
        repeats->stop_diverged = rc == 0;
        return rc;
    }
    rc = sb_read_size(build, value, what, &count);
    if (rc == 0 && count > SB_REPEATS_LIMIT)
        rc = sb_where_error(build->err, -EINVAL, &value->where, "%s: at most %d", what,
                            SB_REPEATS_LIMIT);
    if (rc == 0)
        *(strcmp(key, "min") == 0 ? &repeats->min : &repeats->max) = (unsigned)count;
    return rc;
}

static int read_repeats_map(struct sb_build *build, const struct sb_node *node,
                            struct sb_repeats *repeats) {
    static const char *const keys[] = {"min", "max", "stop", "exact"};
    enum { N_KEYS = sizeof keys / sizeof *keys };
    for (size_t i = 0; i < node->n; i++) {
        const char *key = NULL;
        for (size_t k = 0; k < N_KEYS; k++) {
            if (strcmp(node->keys[i]->text, keys[k]) == 0)
                key = keys[k];
        }
        int rc = key ? read_repeats_key(build, key, node->values[i], repeats)
                     : sb_unknown_key(build, node->keys[i], "repeats", keys, N_KEYS);
        if (rc < 0)
            return rc;
    }
    if (node->n == 0)
        return sb_where_error(build->err, -EINVAL, &node->where, "'repeats': the map is empty");
    if (repeats->min == 0)
        repeats->min = SB_REPEATS_DEFAULT;
    if (repeats->max && repeats->max < repeats->min)
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'repeats': max %u is below min %u", repeats->max, repeats->min);
    if (repeats->exact && (repeats->max || repeats->stop_diverged))
        return sb_where_error(build->err, -EINVAL, &node->where,
                              "'repeats': exact is exactly min, and goes with no max and no stop");
    return 0;
}

int sb_read_repeats(struct sb_build *build, const struct sb_node *node,
                    struct sb_repeats *repeats) {
    struct sb_repeats read = {0};
    struct sb_error inner = {0};
    int rc;
    if (node->kind == SB_NODE_MAP) {
        rc = read_repeats_map(build, node, &read);
    } else {
        rc = need_text(build, node, "'repeats'", "a number or a map of min, max, stop, exact");
        if (rc == 0 && sb_repeats_parse(node->text, &read, &inner) < 0)
            rc = sb_where_error(build->err, -EINVAL, &node->where, "%s", inner.text);
    }
    if (rc == 0)
        *repeats = read;
    return rc;
}

/* ---- Paths ---------------------------------------------------------------------------------- */

bool sb_has_glob(const char *path) {
    return path[strcspn(path, "*?[\\")] != '\0';
}

/* Why a path cannot name what a run writes below its directory, or NULL. */
static const char *below_problem(const char *path) {
    if (!*path)
        return "is empty";
    if (*path == '/')
        return "is an absolute path; a run writes its weights below its own directory, and the "
               "path must be relative to it";
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2]))
            return "leaves the run's directory by '..'";
    }
    if (path[strlen(path) - 1] == '/')
        return "is a folder; 'folder/**' takes every file below it";
    return NULL;
}

bool sb_path_is_below(const char *path) {
    return !below_problem(path);
}

int sb_check_below(struct sb_build *build, const struct sb_where *where, const char *what,
                   const char *path) {
    const char *problem = below_problem(path);
    if (!problem)
        return 0;
    return sb_where_error(build->err, -EINVAL, where, "%s%s'%s' %s", what, *what ? ": " : "",
                          sb_show(path).text, problem);
}
