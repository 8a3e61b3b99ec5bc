/* Stage 7: what two results rest on differently. See report/manifest_diff.h. */
#include "report/manifest_diff.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "report/git_changes.h"
#include "report/reading.h"

#include <stdbool.h>
#include <string.h>

/* What is more likely the cause stands before what is less. */
static const char *const order[] = {"program", "inputs", "git",    "versions",
                                    "cpu",     "gpu",    "kernel", "environment"};
enum { N_ORDER = sizeof order / sizeof *order };

/* What says where results were merged from, not what they rest on. */
static const char *const left_out[] = {"machines", "sources"};

static bool is_among(const char *key, const char *const *keys, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i], key) == 0)
            return true;
    }
    return false;
}

static bool is_nothing(const json_t *value) {
    return !value || json_is_null(value);
}

static bool diff_value(json_t *differences, const char *what, const json_t *was, const json_t *is);

/* Keys of the one in its order, then what only the other has. */
static bool diff_objects(json_t *differences, const char *what, const json_t *was,
                         const json_t *is) {
    bool whole = true;
    for (int side = 0; side < 2; side++) {
        const json_t *object = side ? is : was;
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)object, key, value) {
            if (side && json_object_get(was, key))
                continue;
            SB_AUTO_FREE char *name = sb_format("%s.%s", what, key);
            whole &= name && diff_value(differences, name, json_object_get(was, key),
                                        json_object_get(is, key));
        }
    }
    return whole;
}

static bool diff_value(json_t *differences, const char *what, const json_t *was, const json_t *is) {
    if ((is_nothing(was) && is_nothing(is)) || json_equal(was, is))
        return true;
    bool objects =
        (json_is_object(was) || is_nothing(was)) && (json_is_object(is) || is_nothing(is));
    if (objects)
        return diff_objects(differences, what, was, is);
    json_t *difference = json_object();
    return json_object_set_new(difference, "what", json_string(what)) == 0 &&
           json_object_set(difference, "was", was ? (json_t *)was : json_null()) == 0 &&
           json_object_set(difference, "is", is ? (json_t *)is : json_null()) == 0 &&
           json_array_append_new(differences, difference) == 0;
}

static const char program[] = "program.";

static bool begins_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Does a manifest, which may be flat, say what was run? Those of before did not. */
static bool tells_program(const json_t *manifest) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)manifest, key, value) {
        if (strcmp(key, "program") == 0 || begins_with(key, program))
            return true;
    }
    return false;
}

/* What only one of the two can say is no difference; nor are changes beside none, which the dirty
 * flag says. */
static bool is_known(const json_t *difference, const json_t *was, const json_t *is) {
    const char *what = sb_text_of(difference, "what");
    if (strcmp(what, "git.changes") == 0)
        return sb_is_digest(sb_text_of(difference, "was")) &&
               sb_is_digest(sb_text_of(difference, "is"));
    return !begins_with(what, program) || (tells_program(was) && tells_program(is));
}

static void drop_unknown(json_t *differences, const json_t *was, const json_t *is) {
    for (size_t i = json_array_size(differences); i-- > 0;) {
        if (!is_known(json_array_get(differences, i), was, is))
            json_array_remove(differences, i);
    }
}

json_t *sb_manifest_diff(const json_t *was, const json_t *is) {
    json_t *differences = json_array();
    bool whole = differences != NULL;
    for (size_t i = 0; whole && i < N_ORDER; i++)
        whole = diff_value(differences, order[i], json_object_get(was, order[i]),
                           json_object_get(is, order[i]));
    for (int side = 0; side < 2; side++) {
        const char *key;
        json_t *value;
        json_object_foreach((json_t *)(side ? is : was), key, value) {
            if (!whole || is_among(key, order, N_ORDER) ||
                is_among(key, left_out, sizeof left_out / sizeof *left_out) ||
                (side && json_object_get(was, key)))
                continue;
            whole =
                diff_value(differences, key, json_object_get(was, key), json_object_get(is, key));
        }
    }
    if (whole) {
        drop_unknown(differences, was, is);
        return differences;
    }
    json_decref(differences);
    return NULL;
}

/* A value in few words; commits and digests by their first digits. */
static char *short_text(const json_t *value) {
    enum { MOST = 60, DIGITS = 12 };
    const char *text = json_string_value(value);
    if (is_nothing(value))
        return strdup("none");
    if (!text)
        return sb_json_brief(value, MOST);
    size_t n = strlen(text);
    bool digits = strspn(text, "0123456789abcdef") == n;
    return digits && n > DIGITS ? strndup(text, DIGITS) : sb_text_brief(text, MOST);
}

char *sb_manifest_diff_text(const json_t *difference) {
    static const char *const plain[] = {program, "git.", "versions.", "environment."};
    const char *what = sb_text_of(difference, "what");
    if (sb_is_digest(sb_text_of(difference, "was")) && sb_is_digest(sb_text_of(difference, "is"))) {
        if (strcmp(what, "git.changes") == 0)
            return strdup("uncommitted changes differ");
        if (begins_with(what, program))
            return sb_format("%s changed", what + strlen(program));
    }
    SB_AUTO_FREE char *was = short_text(json_object_get(difference, "was"));
    SB_AUTO_FREE char *is = short_text(json_object_get(difference, "is"));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (begins_with(what, plain[i])) {
            what += strlen(plain[i]);
            break;
        }
    }
    return sb_format("%s %s → %s", what, was ? was : "?", is ? is : "?");
}
