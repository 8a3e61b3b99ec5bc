/* Stage 2, matrix: edits of a run's setup that axes share. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct sb_strings borrow(const struct sb_setup *setup) {
    struct sb_strings list = {.items = setup->environment};
    while (list.items && list.items[list.n])
        list.n++;
    return list;
}

const char *sb_setup_get(const struct sb_setup *setup, const char *name) {
    struct sb_strings list = borrow(setup);
    return sb_environment_get(&list, name);
}

int sb_setup_set(struct sb_setup *setup, const char *name, const char *value) {
    struct sb_strings list = borrow(setup);
    int status = sb_environment_set(&list, name, value);
    setup->environment = list.items;
    return status;
}

void sb_setup_unset(struct sb_setup *setup, const char *name) {
    struct sb_strings list = borrow(setup);
    sb_environment_unset(&list, name);
    setup->environment = list.items;
}

int sb_setup_set_table(struct sb_setup *setup, const struct sb_variable *table) {
    for (; table->name; table++) {
        int status = sb_setup_set(setup, table->name, table->value);
        if (status < 0)
            return status;
    }
    return 0;
}

/* Does `item` read "<name>" or "<name>=…"? */
static bool names(const char *item, size_t n, const char *name) {
    size_t length = strlen(name);
    return n >= length && strncmp(item, name, length) == 0 && (n == length || item[length] == '=');
}

int sb_setup_tunable(struct sb_setup *setup, const char *name, const char *value, bool append) {
    const char *old = sb_setup_get(setup, "GLIBC_TUNABLES");
    SB_AUTO_TEXT struct sb_text tunables = {0};
    SB_AUTO_TEXT struct sb_text had = {0};
    for (const char *item = old ? old : ""; *item;) {
        size_t n = strcspn(item, ":");
        if (names(item, n, name)) {
            size_t skip = strlen(name) + 1;
            if (append && n > skip) {
                if (had.length)
                    sb_text_putc(&had, ',');
                sb_text_add(&had, item + skip, n - skip);
            }
        } else if (n) {
            if (tunables.length)
                sb_text_putc(&tunables, ':');
            sb_text_add(&tunables, item, n);
        }
        item += n + (item[n] == ':');
    }
    sb_text_printf(&tunables, "%s%s=%s%s%s", tunables.length ? ":" : "", name,
                   had.length ? had.data : "", had.length ? "," : "", value);
    if (tunables.failed || had.failed)
        return -ENOMEM;
    return sb_setup_set(setup, "GLIBC_TUNABLES", tunables.data);
}

int sb_setup_flag(struct sb_setup *setup, const char *variable, const char *flag,
                  const char *word) {
    const char *old = sb_setup_get(setup, variable);
    SB_AUTO_TEXT struct sb_text flags = {0};
    bool removed = false;
    for (const char *item = old ? old : ""; *item;) {
        size_t blank = strspn(item, " \t\n");
        item += blank;
        size_t n = strcspn(item, " \t\n");
        if (names(item, n, flag)) {
            removed = true;
        } else if (n) {
            if (flags.length)
                sb_text_putc(&flags, ' ');
            sb_text_add(&flags, item, n);
        }
        item += n;
    }
    if (word)
        sb_text_printf(&flags, "%s%s", flags.length ? " " : "", word);
    if (flags.failed)
        return -ENOMEM;
    if (flags.length)
        return sb_setup_set(setup, variable, flags.data);
    if (removed)
        sb_setup_unset(setup, variable);
    return 0;
}

int sb_setup_trace(const struct sb_machine *machine, struct sb_setup *setup, struct sb_error *err) {
    setup->trace = true;
    if (!setup->command) /* the worker traces by itself */
        return 0;
    if (machine->no_probe)
        return sb_error_set(err, -ENOTSUP, "--trace: %s", machine->no_probe);
    int rc = sb_probe_apply(machine, setup);
    return rc < 0 ? sb_error_errno(err, rc, "setting up a run") : 0;
}

void sb_setup_clear(struct sb_setup *setup) {
    struct sb_strings environment = borrow(setup);
    struct sb_strings command = {.items = setup->command};
    while (command.items && command.items[command.n])
        command.n++;
    sb_strings_clear(&environment);
    sb_strings_clear(&command);
    free(setup->hostname);
    free(setup->path);
    free(setup->locale);
    free(setup->probe.library);
    *setup = (struct sb_setup){0};
}
