/* Stage 2, matrix: finding an axis by name, and what axes share to check levels and read what was
 * seen. */
#include "matrix/axis.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_variable_name(const char *name) {
    if (!isalpha((unsigned char)*name) && *name != '_')
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    }
    return true;
}

const struct sb_axis *sb_axis_find(const char *name) {
    for (const struct sb_axis *const *axis = sb_axes; *axis; axis++) {
        size_t length = strlen((*axis)->name);
        bool family = (*axis)->name[length - 1] == ':';
        if (family ? strncmp(name, (*axis)->name, length) == 0 && is_variable_name(name + length)
                   : strcmp(name, (*axis)->name) == 0)
            return *axis;
    }
    return NULL;
}

int sb_level_among(const char *level, const char *const *known, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text list = {0};
    size_t n = 0;
    for (; known[n]; n++) {
        if (strcmp(level, known[n]) == 0)
            return 0;
        sb_text_printf(&list, " %s", known[n]);
    }
    const char *near = sb_nearest(level, known, n);
    return sb_error_set(err, -EINVAL, "unknown level '%s' (levels:%s)%s%s%s", level,
                        list.data ? list.data : "", near ? "; did you mean '" : "",
                        near ? near : "", near ? "'?" : "");
}

bool sb_level_number(const char *level, bool hexadecimal, uint64_t maximum, uint64_t *number) {
    bool hex = hexadecimal && level[0] == '0' && (level[1] == 'x' || level[1] == 'X');
    const char *digits = hex ? level + 2 : level;
    uint64_t value = 0;
    if (!*digits)
        return false;
    for (; *digits; digits++) {
        unsigned char c = (unsigned char)tolower((unsigned char)*digits);
        if (hex ? !isxdigit(c) : !isdigit(c))
            return false;
        unsigned digit = isdigit(c) ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
        value = value * (hex ? 16 : 10) + digit;
        if (value > maximum) /* checked at every digit, so that it cannot wrap */
            return false;
    }
    *number = value;
    return true;
}

const char *sb_base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *sb_seen_variable(const struct sb_seen_process *process, const char *name) {
    size_t length = strlen(name);
    for (char *const *item = process->environment; *item; item++) {
        if (strncmp(*item, name, length) == 0 && (*item)[length] == '=')
            return *item + length + 1;
    }
    return NULL;
}

/* Programs that replace themselves by another, or wait for it: their own environment decides
 * nothing. */
static bool only_starts_another(const struct sb_seen_process *process) {
    static const char *const starters[] = {
        "env",    "nice",    "nohup",   "stdbuf",  "setsid",  "chrt",
        "ionice", "taskset", "numactl", "timeout", "setarch", "time",
    };
    const char *name = process->exe ? sb_base_name(process->exe) : "";
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++) {
        if (strcmp(name, starters[i]) == 0)
            return true;
    }
    return false;
}

static char *variables_text(const struct sb_seen_process *process, const char *const *names) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (; *names; names++) {
        const char *value = sb_seen_variable(process, *names);
        if (value)
            sb_text_printf(&text, "%s%s=%s", text.length ? " " : "", *names, value);
    }
    if (!text.length)
        sb_text_puts(&text, "<unset>");
    return sb_text_take(&text);
}

char *sb_seen_variables(const struct sb_observation *seen, const char *const *names) {
    SB_AUTO_FREE char *first = NULL;
    for (size_t i = 0; i < seen->n_processes; i++) {
        const struct sb_seen_process *process = &seen->processes[i];
        if (only_starts_another(process))
            continue;
        if (!process->environment)
            return NULL;
        SB_AUTO_FREE char *text = variables_text(process, names);
        if (!text || (first && strcmp(first, text) != 0))
            return NULL;
        if (!first)
            first = sb_steal_pointer(&text);
    }
    return sb_steal_pointer(&first);
}

bool sb_seen_library(const struct sb_observation *seen, const char *prefix) {
    for (size_t i = 0; i < seen->n_libraries; i++) {
        if (strncmp(sb_base_name(seen->libraries[i]), prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}

char *sb_worker_word(const struct sb_observation *seen, const char *key) {
    const json_t *value = seen->worker ? json_object_get(seen->worker, key) : NULL;
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_integer(value))
        return sb_format("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return strdup(json_is_true(value) ? "on" : "off");
    return NULL;
}

int sb_worker_axis_apply(const struct sb_machine *machine, const char *name, const char *level,
                         struct sb_setup *setup) {
    (void)machine;
    SB_AUTO_FREE char *variable = sb_format("SAMEBITS_%s", name);
    for (char *c = variable; c && *c; c++)
        *c = (char)toupper((unsigned char)*c);
    return variable ? sb_setup_set(setup, variable, level) : -ENOMEM;
}

char *sb_worker_axis_observe(const char *name, const char *level,
                             const struct sb_observation *seen) {
    (void)level;
    return sb_worker_word(seen, name);
}

int sb_axis_check(const struct sb_axis *axis, const struct sb_machine *machine, const char *level,
                  struct sb_error *err) {
    if (axis->among)
        return sb_level_among(level, axis->among, err);
    return axis->check ? axis->check(machine, level, err) : 0;
}
