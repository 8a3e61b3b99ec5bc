/* cli: backends as `list` and `doctor` show them. */
#include "cli/listing.h"

#include <samebits/run.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "kernels/module.h"

#include <string.h>

/* "0.3.21, core Haswell, /usr/lib/…": what of it is known. */
static char *found_text(const json_t *facts) {
    SB_AUTO_TEXT struct sb_text text = {0};
    static const struct {
        const char *key, *before;
    } parts[] = {{"version", ""}, {"core", "core "}, {"library", ""}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *value = json_string_value(json_object_get(facts, parts[i].key));
        if (value && *value)
            sb_text_printf(&text, "%s%s%s", text.length ? ", " : "", parts[i].before, value);
    }
    return text.length ? sb_text_take(&text) : NULL;
}

static struct sb_listed_backend listed(const char *name, const struct sb_backend *known, bool ask) {
    struct sb_listed_backend listed = {.name = strdup(name)};
    if (known && known->planned) {
        listed.summary = strdup(known->summary ? known->summary : "");
        listed.missing = sb_format("not built: %s", known->planned);
        return listed;
    }
    if (known && !ask) {
        listed.summary = strdup(known->summary);
        listed.kernels = sb_worker_kernels(name);
        return listed;
    }
    SB_AUTO_JSON json_t *facts = sb_worker_describe(name, &listed.missing);
    const char *summary = json_string_value(json_object_get(facts, "summary"));
    if (known)
        summary = known->summary;
    listed.summary = strdup(summary ? summary : "");
    listed.found = facts ? found_text(facts) : NULL;
    listed.kernels = json_incref(json_object_get(facts, "kernels"));
    return listed;
}

/* A module may stand for a backend that this build only plans. */
static const struct sb_backend *known_as(const char *module) {
    const struct sb_backend *known = sb_backend_find(module);
    return known && !known->planned ? known : NULL;
}

static bool is_module(char *const *modules, const char *name) {
    for (size_t i = 0; modules && modules[i]; i++) {
        if (strcmp(modules[i], name) == 0)
            return true;
    }
    return false;
}

struct sb_listed_backend *sb_list_backends(bool ask, size_t *n) {
    char **modules = sb_module_names();
    size_t most = 0, n_modules = 0;
    while (sb_backends[most])
        most++;
    while (modules && modules[n_modules])
        n_modules++;
    struct sb_listed_backend *list = calloc(most + n_modules + 1, sizeof *list);
    *n = 0;
    for (size_t i = 0; list && i < most; i++) {
        if (!sb_backends[i]->planned || !is_module(modules, sb_backends[i]->name))
            list[(*n)++] = listed(sb_backends[i]->name, sb_backends[i], ask);
    }
    for (size_t i = 0; i < n_modules; i++) {
        if (list && !known_as(modules[i]))
            list[(*n)++] = listed(modules[i], NULL, true);
        free(modules[i]);
    }
    free(modules);
    return list;
}

void sb_listed_backends_free(struct sb_listed_backend *backends, size_t n) {
    for (size_t i = 0; backends && i < n; i++) {
        free(backends[i].name);
        free(backends[i].summary);
        free(backends[i].missing);
        free(backends[i].found);
        json_decref(backends[i].kernels);
    }
    free(backends);
}
