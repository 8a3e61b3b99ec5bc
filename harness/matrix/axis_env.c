/* Stage 2, matrix: the family of axes env:NAME: one environment variable each. */
#include "base/cleanup.h"
#include "matrix/axis.h"

#include <stdlib.h>
#include <string.h>

static const char unset[] = "<unset>";

static const char *variable_of(const char *name) {
    return name + strlen("env:");
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine;
    if (strcmp(level, unset) != 0)
        return sb_setup_set(setup, variable_of(name), level);
    sb_setup_unset(setup, variable_of(name));
    return 0;
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    const char *names[] = {variable_of(name), NULL};
    char *text = sb_seen_variables(seen, names);
    if (text && strcmp(text, unset) != 0) {
        size_t skip = strlen(names[0]) + 1;
        memmove(text, text + skip, strlen(text + skip) + 1);
    }
    return text;
}

/* A variable that arrived is no proof that anybody read it; one that did not arrive as asked is
 * proof of what there was instead. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    char *text = arrived(name, seen);
    if (text && strcmp(text, level) == 0) {
        free(text);
        text = NULL;
    }
    return text;
}

const struct sb_axis sb_axis_env = {
    .name = "env:",
    .summary = "env:NAME: the environment variable NAME",
    .levels = "any text, or <unset>",
    .apply = apply,
    .observe = observe,
    .arrived = arrived,
};
