/* Stage 7: a manifest as lines. See report/manifest_flat.h. */
#include "report/manifest_flat.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

int sb_sorted_keys(const json_t *object, struct sb_strings *keys) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (sb_strings_add(keys, key) < 0)
            return -ENOMEM;
    }
    sb_strings_sort(keys);
    return 0;
}

/* What people asked for, and where programs lie. */
static bool is_noise(const char *name) {
    static const char *const noise[] = {"seed", "deterministic", "injected_seed",
                                        "environment.PATH"};
    for (size_t i = 0; i < sizeof noise / sizeof *noise; i++) {
        if (strcmp(name, noise[i]) == 0)
            return true;
    }
    return false;
}

static void flatten(json_t *flat, const char *name, const json_t *value) {
    if (is_noise(name))
        return;
    if (json_is_object(value)) {
        const char *key;
        json_t *inner;
        json_object_foreach((json_t *)value, key, inner) {
            SB_AUTO_FREE char *path = *name ? sb_format("%s.%s", name, key) : strdup(key);
            if (path)
                flatten(flat, path, inner);
        }
        return;
    }
    SB_AUTO_FREE char *text = NULL;
    if (json_is_string(value))
        text = strdup(json_string_value(value));
    else if (!json_is_null(value))
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_object_set_new(flat, name, text ? json_string(text) : json_null());
}

json_t *sb_manifest_flat(const json_t *manifest) {
    json_t *flat = json_object();
    flatten(flat, "", manifest);
    return flat;
}
