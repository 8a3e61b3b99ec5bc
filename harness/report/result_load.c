/* Stage 7: reading a result.json, which anyone may have written. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/file.h"

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

int sb_result_load(const char *path, json_t **result, struct sb_error *err) {
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
    json_error_t problem;
    SB_AUTO_JSON json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!json)
        return sb_error_set(err, -EINVAL, "%s:%d:%d: %s", file, problem.line, problem.column,
                            problem.text);
    rc = check_schema(json, file, err);
    if (rc == 0)
        rc = check_parts(json, file, err);
    if (rc == 0)
        *result = sb_steal_pointer(&json);
    return rc;
}
