/* Stage 2, matrix: axis locale: the language and number format that programs are told. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    size_t n = strcspn(level, "/ \t\r\n;=");
    if (*level && !level[n] && n < 128)
        return 0;
    return sb_error_set(err, -EINVAL, "'%s' is no name of a locale (C, C.UTF-8, de_DE.UTF-8…)",
                        level);
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    (void)machine;
    locale_t locale = newlocale(LC_ALL_MASK, level, (locale_t)0);
    if (!locale)
        return sb_format("locale '%s' is not installed here", level);
    freelocale(locale);
    return NULL;
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    char **item = setup->environment;
    while (item && *item) {
        size_t n = strcspn(*item, "=");
        bool language = strncmp(*item, "LC_", 3) == 0 || strncmp(*item, "LANGUAGE=", 9) == 0;
        SB_AUTO_FREE char *variable = strndup(*item, n);
        if (!variable)
            return -ENOMEM;
        if (language)
            sb_setup_unset(setup, variable); /* the next item moves to this place */
        else
            item++;
    }
    char *locale = strdup(level);
    if (!locale)
        return -ENOMEM;
    free(setup->locale);
    setup->locale = locale;
    int status = sb_setup_set(setup, "LC_ALL", level);
    return status < 0 ? status : sb_setup_set(setup, "LANG", level);
}

static char *arrived(const char *name, const struct sb_observation *seen) {
    static const char *const names[] = {"LC_ALL",     "LANG",       "LANGUAGE", "LC_CTYPE",
                                        "LC_NUMERIC", "LC_COLLATE", NULL};
    (void)name;
    return sb_seen_variables(seen, names);
}

const struct sb_axis sb_axis_locale = {
    .name = "locale",
    .summary = "language and number format (LC_ALL, LANG)",
    .levels = "a locale that is installed: C, C.UTF-8, de_DE.UTF-8…",
    .check = check,
    .unavailable = unavailable,
    .apply = apply,
    .arrived = arrived,
};
