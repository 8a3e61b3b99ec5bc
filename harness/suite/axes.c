/* Stage 1, suite: axes as written, in YAML or after --vary. */
#include "suite/build.h"

#include "base/array.h"
#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

const char *sb_axis_name_problem(const char *name) {
    const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    const char others[] = "0123456789-";
    if (!*name)
        return "an axis needs a name";
    if (strncmp(name, "env:", 4) == 0)
        return name[4] && !strchr(name, '=') ? NULL
                                             : "env: needs the name of an environment variable";
    if (strcmp(name, "repeats") == 0)
        return "repeats are no axis: 'repeats' is a key of the job, and --repeats an option";
    if (strcmp(name, "weights") == 0)
        return "{weights} stands for the path of the weights, so no axis may have that name";
    for (const char *p = name; *p; p++) {
        if (!strchr(letters, *p) && (p == name || !strchr(others, *p)))
            return "an axis is named by a letter and then letters, digits, _ and -";
    }
    return NULL;
}

void sb_suite_axis_clear(struct sb_suite_axis *axis) {
    for (size_t i = 0; i < axis->n_levels; i++)
        free(axis->levels[i]);
    free(axis->levels);
    free(axis->level_where);
    free(axis->name);
    *axis = (struct sb_suite_axis){0};
}

struct sb_suite_axis *sb_axes_find(struct sb_suite_axis *axes, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(axes[i].name, name) == 0)
            return &axes[i];
    }
    return NULL;
}

void sb_axes_remove(struct sb_suite_axis *axes, size_t *n, const char *name) {
    struct sb_suite_axis *axis = sb_axes_find(axes, *n, name);
    if (!axis)
        return;
    sb_suite_axis_clear(axis);
    size_t after = (size_t)(axes + *n - (axis + 1));
    memmove(axis, axis + 1, after * sizeof *axis);
    (*n)--;
}

/* Takes the levels over into the axis. */
static void take_levels(struct sb_suite_axis *axis, struct sb_texts *levels) {
    axis->levels = levels->strings.items;
    axis->n_levels = levels->strings.n;
    axis->level_where = levels->where;
    *levels = (struct sb_texts){0};
}

/* A copy whose places are owned by the suite. */
static int copy_axis(struct sb_build *build, const struct sb_suite_axis *from,
                     struct sb_suite_axis *to) {
    SB_CLEANUP(sb_texts_clear) struct sb_texts levels = {0};
    const char *file = sb_build_file(build, from->where.file ? from->where.file : "command line");
    SB_AUTO_FREE char *name = strdup(from->name);
    if (!file || !name)
        return sb_build_no_memory(build);
    for (size_t i = 0; i < from->n_levels; i++) {
        struct sb_where where = from->level_where ? from->level_where[i] : from->where;
        where.file = file;
        int rc = sb_texts_add(build, &levels, from->levels[i], &where);
        if (rc < 0)
            return rc;
    }
    *to = (struct sb_suite_axis){.name = sb_steal_pointer(&name), .where = from->where};
    to->where.file = file;
    take_levels(to, &levels);
    return 0;
}

int sb_axes_put(struct sb_build *build, struct sb_suite_axis **axes, size_t *n,
                const struct sb_suite_axis *axis) {
    struct sb_suite_axis copy = {0};
    struct sb_suite_axis *slot = sb_axes_find(*axes, *n, axis->name);
    if (!slot && *n == SB_MAX_AXES)
        return sb_where_error(build->err, -EINVAL, &axis->where, "more than %d axes", SB_MAX_AXES);
    int rc = copy_axis(build, axis, &copy);
    if (rc < 0)
        return rc;
    if (slot)
        sb_suite_axis_clear(slot);
    else
        slot = sb_array_add(axes, n);
    if (!slot) {
        sb_suite_axis_clear(&copy);
        return sb_build_no_memory(build);
    }
    *slot = copy;
    return 0;
}

/* Why these cannot be the levels of one axis, malloc'd, or NULL. *at is the level meant. */
static char *levels_problem(char *const *levels, size_t n, size_t *at) {
    if (n > SB_MAX_LEVELS) {
        *at = SB_MAX_LEVELS;
        return sb_format("more than %d levels", SB_MAX_LEVELS);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            *at = i;
            if (strcmp(levels[i], levels[j]) == 0)
                return sb_format("level '%s' is given twice", sb_show(levels[i]).text);
        }
    }
    return NULL;
}

static int read_levels(struct sb_build *build, const struct sb_node *key,
                       const struct sb_node *node, struct sb_suite_axis *axis) {
    SB_CLEANUP(sb_texts_clear) struct sb_texts levels = {0};
    SB_AUTO_FREE char *what = sb_format("axis '%s'", sb_show(key->text).text);
    if (!what)
        return sb_build_no_memory(build);
    int rc = sb_read_texts(build, node, what, SB_LIST_OR_ONE, &levels);
    if (rc < 0)
        return rc;
    size_t at = 0;
    SB_AUTO_FREE char *problem = levels_problem(levels.strings.items, levels.strings.n, &at);
    if (problem)
        return sb_where_error(build->err, -EINVAL, &levels.where[at], "%s: %s", what, problem);
    axis->name = strdup(key->text);
    if (!axis->name)
        return sb_build_no_memory(build);
    axis->where = key->where;
    take_levels(axis, &levels);
    return 0;
}

static int read_axis(struct sb_build *build, const struct sb_node *key, const struct sb_node *node,
                     bool defaults, struct sb_suite_axis **axes, size_t *n) {
    const char *problem = sb_axis_name_problem(key->text);
    if (problem)
        return sb_where_error(build->err, -EINVAL, &key->where, "axis '%s': %s",
                              sb_show(key->text).text, problem);
    bool removes = sb_node_is_null(node) || (node->kind == SB_NODE_LIST && node->n == 0);
    if (removes && !defaults) {
        if (!sb_axes_find(*axes, *n, key->text))
            return sb_where_error(build->err, -EINVAL, &node->where,
                                  "axis '%s': no levels, and no default to take away",
                                  sb_show(key->text).text);
        sb_axes_remove(*axes, n, key->text);
        return 0;
    }
    SB_CLEANUP(sb_suite_axis_clear) struct sb_suite_axis axis = {0};
    int rc = read_levels(build, key, node, &axis);
    return rc < 0 ? rc : sb_axes_put(build, axes, n, &axis);
}

int sb_read_axes(struct sb_build *build, const struct sb_node *node, bool defaults,
                 struct sb_suite_axis **axes, size_t *n) {
    int rc = sb_need_map(build, node, "'axes'");
    for (size_t i = 0; rc == 0 && i < node->n; i++)
        rc = read_axis(build, node->keys[i], node->values[i], defaults, axes, n);
    return rc;
}

/* ---- --vary --------------------------------------------------------------------------------- */

/* The levels after the `=`, at commas that no `\` precedes. */
static int split_levels(const char *text, struct sb_strings *levels) {
    SB_AUTO_TEXT struct sb_text level = {0};
    for (const char *p = text;; p++) {
        if (p[0] == '\\' && p[1] == ',') {
            sb_text_putc(&level, *++p);
        } else if (*p && *p != ',') {
            sb_text_putc(&level, *p);
        } else {
            int rc = sb_strings_take(levels, sb_text_take(&level));
            if (rc < 0 || !*p)
                return rc;
        }
    }
}

int sb_vary_parse(const char *text, struct sb_suite_axis *axis, struct sb_error *err) {
    const char *equals = strchr(text, '=');
    if (!equals)
        return sb_error_set(err, -EINVAL,
                            "--vary '%s': write AXIS=LEVEL,LEVEL, such as threads=1,2",
                            sb_show(text).text);
    SB_CLEANUP(sb_suite_axis_clear)
    struct sb_suite_axis read = {.where = {.file = "--vary"}};
    SB_AUTO_STRINGS struct sb_strings levels = {0};
    read.name = strndup(text, (size_t)(equals - text));
    if (!read.name || split_levels(equals + 1, &levels) < 0)
        return sb_error_errno(err, -ENOMEM, "--vary");
    const char *name_problem = sb_axis_name_problem(read.name);
    if (name_problem)
        return sb_error_set(err, -EINVAL, "--vary '%s': %s", sb_show(text).text, name_problem);
    size_t at = 0;
    SB_AUTO_FREE char *problem = levels_problem(levels.items, levels.n, &at);
    if (problem)
        return sb_error_set(err, -EINVAL, "--vary '%s': %s", sb_show(text).text, problem);
    read.level_where = calloc(levels.n, sizeof *read.level_where);
    if (!read.level_where)
        return sb_error_errno(err, -ENOMEM, "--vary");
    for (size_t i = 0; i < levels.n; i++)
        read.level_where[i] = read.where;
    read.n_levels = levels.n;
    read.levels = sb_steal_pointer(&levels.items);
    levels.n = 0;
    *axis = read;
    read = (struct sb_suite_axis){0};
    return 0;
}
