/* Stage 7: lists that most runs of a document share: named by the digest of the texts that they are
 * made of, so that documents can be merged. */
#include "report/shared_lists.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void sb_list_key_add(struct sb_list_key *key, const char *text) {
    if (key->state)
        XXH3_128bits_update(key->state, text ? text : "", text ? strlen(text) + 1 : 1);
}

void sb_list_key_begin(struct sb_list_key *key, const char *kind) {
    key->state = XXH3_createState();
    if (key->state)
        XXH3_128bits_reset(key->state);
    sb_list_key_add(key, kind);
}

bool sb_list_key_end(struct sb_list_key *key) {
    if (!key->state)
        return false;
    XXH128_hash_t hash = XXH3_128bits_digest(key->state);
    snprintf(key->text, sizeof key->text, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
    XXH3_freeState(key->state);
    key->state = NULL;
    return true;
}

/* ---- Of lists in a document ------------------------------------------------------------------
 */

static void add_texts(struct sb_list_key *key, const json_t *texts) {
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text) sb_list_key_add(key, json_string_value(text));
}

static void add_libraries(struct sb_list_key *key, const json_t *list) {
    size_t i;
    json_t *library;
    json_array_foreach(list, i, library)
        sb_list_key_add(key, json_string_value(json_object_get(library, "path")));
}

static void add_processes(struct sb_list_key *key, const json_t *list) {
    size_t i;
    json_t *process;
    json_array_foreach(list, i, process) {
        const json_t *environment = json_object_get(process, "environment");
        sb_list_key_add(key, json_string_value(json_object_get(process, "exe")));
        add_texts(key, json_object_get(process, "argv"));
        sb_list_key_add(key, json_is_array(environment) ? "environment" : "");
        add_texts(key, environment);
    }
}

static void add_arrived(struct sb_list_key *key, const json_t *object) {
    const char *name;
    json_t *text;
    json_object_foreach((json_t *)object, name, text) {
        sb_list_key_add(key, name);
        sb_list_key_add(key, json_string_value(text));
    }
}

const struct sb_shared_list sb_shared_lists[SB_N_SHARED_LISTS] = {
    {"libraries", add_libraries, false},
    {"processes", add_processes, false},
    {"arrived", add_arrived, true},
};

int sb_shared_list_key(const struct sb_shared_list *shared, const json_t *list,
                       struct sb_list_key *key) {
    sb_list_key_begin(key, shared->name);
    shared->add(key, list);
    return sb_list_key_end(key) ? 0 : -ENOMEM;
}

/* The list under a key of `observed`: in place, or of the document's lists. NULL: none. */
static json_t *list_of(const json_t *observed, const json_t *lists, const char *key) {
    json_t *list = json_object_get(observed, key);
    return json_is_string(list) ? json_object_get(lists, json_string_value(list)) : list;
}

int sb_shared_lists_name(json_t *observed, const json_t *lists, json_t *table) {
    for (size_t i = 0; i < SB_N_SHARED_LISTS; i++) {
        const struct sb_shared_list *shared = &sb_shared_lists[i];
        json_t *list = list_of(observed, lists, shared->name);
        if (!json_is_array(list) && !json_is_object(list))
            continue;
        struct sb_list_key key;
        if (sb_shared_list_key(shared, list, &key) < 0)
            return -ENOMEM;
        if (!json_object_get(table, key.text) && json_object_set(table, key.text, list) < 0)
            return -ENOMEM;
        json_t *instead = shared->looked_into ? json_incref(json_object_get(table, key.text))
                                              : json_string(key.text);
        if (json_object_set_new(observed, shared->name, instead) < 0)
            return -ENOMEM;
    }
    return 0;
}
