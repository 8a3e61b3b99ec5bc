/* Stage 7: reading a result.json, which anyone may have written. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static const char schema_family[] = "samebits.result/";
enum { SCHEMA = 1 };

static int check_schema(const json_t *json, const char *file, struct sb_error *err) {
    const char *schema = json_string_value(json_object_get(json, "schema"));
    size_t n = strlen(schema_family);
    if (!schema)
        return sb_error_set(err, -EINVAL, "%s: no result.json: it has no schema", file);
    if (strncmp(schema, schema_family, n) != 0)
        return sb_error_set(err, -EINVAL, "%s: no result.json: its schema is '%.80s'", file,
                            schema);
    char *end;
    unsigned long number = strtoul(schema + n, &end, 10);
    if (schema[n] < '0' || schema[n] > '9' || *end || !number)
        return sb_error_set(err, -EINVAL, "%s: unknown schema '%.80s'", file, schema);
    if (number > SCHEMA)
        return sb_error_set(err, -EINVAL,
                            "%s: schema '%.80s' is of a newer samebits; this one reads up to %s%d",
                            file, schema, schema_family, SCHEMA);
    return 0;
}

/* What every reader walks through. */
static int check_parts(const json_t *json, const char *file, struct sb_error *err) {
    static const char *const arrays[] = {"jobs", "runs"};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        const json_t *array = json_object_get(json, arrays[i]);
        if (!json_is_array(array))
            return sb_error_set(err, -EINVAL, "%s: '%s' is no list", file, arrays[i]);
        for (size_t k = 0; k < json_array_size(array); k++) {
            if (!json_is_object(json_array_get(array, k)))
                return sb_error_set(err, -EINVAL, "%s: %s[%zu] is no object", file, arrays[i], k);
        }
    }
    return 0;
}

/* ---- Passing over what is not wanted -----------------------------------------------------------
 */

/* Text of a document, being walked through; NULL once it is no JSON. */
struct walk {
    const char *at, *end;
};

static void skip_blanks(struct walk *walk) {
    while (walk->at && walk->at < walk->end && strchr(" \t\r\n", *walk->at) && *walk->at)
        walk->at++;
}

/* Behind a string that begins here: at the first quote before which there is an even number of
 * backslashes. */
static void skip_string(struct walk *walk) {
    const char *first = walk->at + 1, *at = first;
    while ((at = memchr(at, '"', (size_t)(walk->end - at)))) {
        size_t slashes = 0;
        while (at - slashes > first && at[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        at++;
        if (slashes % 2 == 0)
            break;
    }
    walk->at = at;
}

/* Bytes that mean something between strings; all others are passed over. */
static const bool marks[256] = {
    ['"'] = true, ['{'] = true, ['['] = true, ['}'] = true, [']'] = true, [','] = true};

/* Behind a value of any kind. */
static void skip_value(struct walk *walk) {
    size_t depth = 0;
    while (walk->at) {
        while (walk->at < walk->end && !marks[(unsigned char)*walk->at])
            walk->at++;
        if (walk->at == walk->end)
            break;
        char c = *walk->at;
        bool closes = c == '}' || c == ']';
        if (!depth && (closes || c == ','))
            return;
        if (c == '"') {
            skip_string(walk);
        } else {
            depth += c == '{' || c == '[';
            depth -= closes;
            walk->at++;
        }
        if (!depth)
            return;
    }
    walk->at = NULL;
}

static bool is_key(const char *from, const char *to, const char *key) {
    size_t n = strlen(key);
    return (size_t)(to - from) == n + 2 && memcmp(from + 1, key, n) == 0;
}

/* Cuts members that grow with the runs out of the text of a document; its length then. What is no
 * object with such members is left as it is, for the parser to judge. */
static size_t cut_runs(char *text, size_t n) {
    struct walk walk = {text, text + n};
    char *kept = text;
    const char *from = text;
    skip_blanks(&walk);
    if (!walk.at || walk.at == walk.end || *walk.at++ != '{')
        return n;
    for (bool more = true; more;) {
        skip_blanks(&walk);
        const char *key = walk.at;
        if (!key || key == walk.end || *key != '"')
            break;
        skip_string(&walk);
        const char *key_end = walk.at;
        skip_blanks(&walk);
        if (!walk.at || walk.at == walk.end || *walk.at++ != ':')
            break;
        skip_blanks(&walk);
        const char *value = walk.at;
        skip_value(&walk);
        if (!walk.at)
            break;
        bool runs = is_key(key, key_end, "runs");
        if ((runs && *value == '[') || (is_key(key, key_end, "lists") && *value == '{')) {
            memmove(kept, from, (size_t)(value - from));
            kept += value - from;
            memcpy(kept, runs ? "[]" : "{}", 2);
            kept += 2;
            from = walk.at;
        }
        skip_blanks(&walk);
        more = walk.at && walk.at < walk.end && *walk.at++ == ',';
    }
    memmove(kept, from, (size_t)(text + n - from));
    return (size_t)(kept - text) + (size_t)(text + n - from);
}

/* ---- Loading ---------------------------------------------------------------------------------
 */

/* What a damaged result.json can be made of again, malloc'd; NULL: nothing, or without memory. */
static char *remedy(const char *path) {
    SB_AUTO_FREE char *journal = sb_path_join(path, "journal");
    return journal && access(journal, F_OK) == 0
               ? sb_format(
                     "; its runs are in the journal beside it: the command that made it, "
                     "with --resume --out %s, makes it again",
                     path)
               : NULL;
}

static int load(const char *path, bool head, json_t **result, struct sb_error *err) {
    SB_AUTO_FREE char *inside = sb_path_join(path, "result.json");
    if (!inside)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    const char *file = access(inside, F_OK) == 0 ? inside : path;
    SB_AUTO_FREE char *text = NULL;
    size_t n;
    int rc = sb_file_read(file, (size_t)4 << 30, &text, &n, err);
    if (rc == -EISDIR)
        return sb_error_set(err, -ENOENT,
                            "%s: holds no result.json (a run that was interrupted? try --resume)",
                            path);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *again = remedy(path);
    if (!n)
        return sb_error_set(err, -EINVAL, "%s: is empty%s", file, again ? again : "");
    if (head)
        n = cut_runs(text, n);
    json_error_t problem;
    SB_AUTO_JSON json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return sb_error_set(err, -EINVAL, "%s:%d:%d: %s%s", file, problem.line, problem.column,
                            problem.text, again ? again : "");
    rc = check_schema(json, file, err);
    if (rc == 0)
        rc = check_parts(json, file, err);
    if (rc == 0)
        *result = sb_steal_pointer(&json);
    return rc;
}

int sb_result_load(const char *path, json_t **result, struct sb_error *err) {
    return load(path, false, result, err);
}

int sb_result_load_head(const char *path, json_t **result, struct sb_error *err) {
    return load(path, true, result, err);
}
