/* cli: one manifest of those of several results. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- Sources: all different manifests, by their text -------------------------------------------
 */

struct source {
    char *text;
    json_t *manifest; /* borrowed */
};

struct sources {
    struct source *items;
    size_t n;
};

static void sources_clear(struct sources *sources) {
    for (size_t i = 0; i < sources->n; i++)
        free(sources->items[i].text);
    free(sources->items);
}

static bool add_source(struct sources *sources, json_t *manifest) {
    struct source *more = reallocarray(sources->items, sources->n + 1, sizeof *more);
    if (!more)
        return false;
    sources->items = more;
    more[sources->n] = (struct source){
        .text = json_dumps(manifest, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17)),
        .manifest = manifest};
    return more[sources->n++].text != NULL;
}

static int by_text(const void *a, const void *b) {
    return strcmp(((const struct source *)a)->text, ((const struct source *)b)->text);
}

static bool find_sources(const struct sb_merge *merge, struct sources *sources) {
    bool whole = true;
    for (size_t i = 0; i < merge->n_inputs && whole; i++) {
        json_t *manifest = json_object_get(merge->inputs[i].result, "manifest");
        const json_t *listed = json_object_get(manifest, "sources");
        for (size_t k = 0; k < json_array_size(listed) && whole; k++)
            whole = add_source(sources, json_array_get(listed, k));
        if (!listed)
            whole = add_source(sources, manifest);
    }
    if (!whole || !sources->n)
        return whole;
    qsort(sources->items, sources->n, sizeof *sources->items, by_text);
    size_t kept = 1;
    for (size_t i = 1; i < sources->n; i++) {
        if (strcmp(sources->items[i].text, sources->items[kept - 1].text) == 0)
            free(sources->items[i].text);
        else
            sources->items[kept++] = sources->items[i];
    }
    sources->n = kept;
    return true;
}

/* ---- What they agree on ------------------------------------------------------------------------
 */

/* Different values of one key, most often a version: "0.3.21 or 0.3.26". */
static json_t *either(json_t *const *values, size_t n) {
    SB_AUTO_JSON json_t *texts = json_array();
    SB_AUTO_TEXT struct sb_text joined = {0};
    for (size_t i = 0; i < n; i++)
        sb_merge_add_text(texts, json_string_value(values[i]));
    for (size_t i = 0; i < json_array_size(texts); i++)
        sb_text_printf(&joined, "%s%s", i ? " or " : "",
                       json_string_value(json_array_get(texts, i)));
    return json_string(joined.data ? joined.data : "");
}

static json_t *joined(json_t *const *values, size_t n);

/* Of objects: every key that one has. */
static json_t *joined_objects(json_t *const *objects, size_t n) {
    json_t *made = json_object();
    SB_AUTO_FREE json_t **values = calloc(n + 1, sizeof *values);
    for (size_t i = 0; values && i < n; i++) {
        const char *key;
        json_t *value;
        json_object_foreach(objects[i], key, value) {
            size_t had = 0;
            if (json_object_get(made, key))
                continue;
            for (size_t k = 0; k < n; k++) {
                json_t *one = json_object_get(objects[k], key);
                if (one && !json_is_null(one))
                    values[had++] = one;
            }
            json_object_set_new(made, key, joined(values, had));
        }
    }
    return made;
}

/* One value for those that there are: what all are; of texts, each; a flag that one has. Of other
 * things that differ, null: "sources" has them. */
static json_t *joined(json_t *const *values, size_t n) {
    bool alike = true, texts = true, flags = true, objects = true;
    for (size_t i = 0; i < n; i++) {
        alike &= json_equal(values[i], values[0]);
        texts &= json_is_string(values[i]);
        flags &= json_is_boolean(values[i]);
        objects &= json_is_object(values[i]);
    }
    if (!n || (!alike && !texts && !flags && !objects))
        return json_null();
    if (alike)
        return json_incref(values[0]);
    return objects ? joined_objects(values, n) : texts ? either(values, n) : json_true();
}

json_t *sb_merge_manifest(const struct sb_merge *merge) {
    SB_CLEANUP(sources_clear) struct sources sources = {0};
    if (!find_sources(merge, &sources))
        return NULL;
    SB_AUTO_FREE json_t **manifests = calloc(sources.n + 1, sizeof *manifests);
    json_t *listed = json_array();
    if (!manifests || !listed)
        return NULL;
    for (size_t i = 0; i < sources.n; i++) {
        manifests[i] = sources.items[i].manifest;
        json_array_append(listed, manifests[i]);
    }
    json_t *manifest = joined_objects(manifests, sources.n);
    if (manifest && json_object_set(manifest, "machines", merge->machines) == 0 &&
        json_object_set_new(manifest, "sources", listed) == 0)
        return manifest;
    json_decref(manifest);
    return NULL;
}
