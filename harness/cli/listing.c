/* cli: backends as `list` and `doctor` show them. */
#include "cli/listing.h"

#include <samebits/run.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "kernels/dispatch.h"

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

struct sb_listed_backend *sb_list_backends(size_t *n) {
    *n = 0;
    while (sb_backends[*n])
        ++*n;
    struct sb_listed_backend *listed = calloc(*n + 1, sizeof *listed);
    for (size_t i = 0; listed && i < *n; i++) {
        const struct sb_backend *backend = sb_backends[i];
        listed[i].name = backend->name;
        listed[i].summary = backend->summary;
        if (backend->planned) {
            listed[i].missing = sb_format("not built: %s", backend->planned);
            continue;
        }
        SB_AUTO_JSON json_t *facts = sb_worker_describe(backend->name, &listed[i].missing);
        listed[i].found = facts ? found_text(facts) : NULL;
    }
    return listed;
}
