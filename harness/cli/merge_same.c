/* cli: are results of one suite, run on the same code and the same data? See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "report/git_changes.h"
#include "report/reading.h"

#include <errno.h>
#include <string.h>

static int different(const struct sb_merge *merge, size_t a, size_t b, const char *what,
                     const json_t *one, const json_t *other, struct sb_error *err) {
    SB_AUTO_FREE char *x = sb_json_brief(one, SB_MERGE_SHOWN),
                      *y = sb_json_brief(other, SB_MERGE_SHOWN);
    return sb_error_set(
        err, -EINVAL, "%s and %s cannot be merged: %s is %s in the one and %s in the other",
        merge->inputs[a].given, merge->inputs[b].given, what, x ? x : "?", y ? y : "?");
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* What was met first, and in which input. */
struct met {
    json_t *values, *owners;
};

static void met_clear(struct met *met) {
    json_decref(met->values);
    json_decref(met->owners);
}

static int meet(const struct sb_merge *merge, struct met *met, size_t input, const char *what,
                json_t *value, struct sb_error *err) {
    const json_t *before = json_object_get(met->values, what);
    if (before && !json_equal(before, value))
        return different(merge, (size_t)json_integer_value(json_object_get(met->owners, what)),
                         input, what, before, value, err);
    if (!before && (json_object_set(met->values, what, value) < 0 ||
                    json_object_set_new(met->owners, what, json_integer((json_int_t)input)) < 0))
        return sb_error_errno(err, -ENOMEM, "%s", what);
    return 0;
}

/* Does a job of the result begin with this word? */
static bool is_command(const json_t *result, const char *path) {
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const json_t *asked = json_object_get(job, "asked");
        const char *command =
            json_string_value(json_array_get(json_object_get(asked, "command"), 0));
        if (command && strcmp(command, path) == 0)
            return true;
    }
    return false;
}

/* Files that commands name. What was compiled for one host is not what another one has, and is
 * compared with its own alone. */
static int meet_program(const struct sb_merge *merge, struct met *met, size_t input,
                        struct sb_error *err) {
    const json_t *result = merge->inputs[input].result;
    const json_t *manifest = json_object_get(result, "manifest");
    const char *path;
    json_t *digest;
    int rc = 0;
    json_object_foreach(json_object_get(manifest, "program"), path, digest) {
        bool own = is_command(result, path);
        SB_AUTO_FREE char *what = sb_format("the file %s%s%s", path, own ? " of " : "",
                                            own ? sb_text_of(manifest, "host") : "");
        if (rc == 0)
            rc = what ? meet(merge, met, input, what, digest, err)
                      : sb_error_errno(err, -ENOMEM, "%s", path);
    }
    return rc;
}

static int meet_tree(const struct sb_merge *merge, struct met *met, size_t input,
                     struct sb_error *err) {
    const json_t *git =
        json_object_get(json_object_get(merge->inputs[input].result, "manifest"), "git");
    json_t *commit = json_object_get(git, "commit");
    const char *text = sb_git_changes_of(git);
    SB_AUTO_JSON json_t *changes = text ? json_string(text) : NULL;
    int rc = json_is_string(commit) ? meet(merge, met, input, "the commit", commit, err) : 0;
    return rc == 0 && changes
               ? meet(merge, met, input, "the digest of uncommitted changes", changes, err)
               : rc;
}

int sb_merge_check_conditions(const struct sb_merge *merge, struct sb_error *err) {
    SB_CLEANUP(met_clear) struct met met = {json_object(), json_object()};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++) {
        const json_t *result = merge->inputs[i].result;
        const json_t *manifest = json_object_get(result, "manifest");
        SB_AUTO_JSON json_t *suite = json_string(base_name(sb_text_of(result, "suite")));
        const char *path;
        json_t *digest;
        rc = meet(merge, &met, i, "the suite", suite, err);
        if (rc == 0)
            rc = meet_tree(merge, &met, i, err);
        if (rc == 0)
            rc = meet_program(merge, &met, i, err);
        json_object_foreach(json_object_get(manifest, "inputs"), path, digest) {
            SB_AUTO_FREE char *what = sb_format("the input %s", path);
            if (rc == 0)
                rc = what ? meet(merge, &met, i, what, digest, err)
                          : sb_error_errno(err, -ENOMEM, "%s", path);
        }
    }
    return rc;
}

/* One key of two objects; said as "job 'x': <key>". */
static int same_value(const struct sb_merge *merge, const struct sb_merge_job *job, size_t input,
                      const char *key, const json_t *one, const json_t *other,
                      struct sb_error *err) {
    if ((!one && !other) || json_equal(one, other))
        return 0;
    SB_AUTO_FREE char *what = sb_format("job '%s': %s", sb_text_of(job->entry, "id"), key);
    return different(merge, job->input, input, what ? what : key, one, other, err);
}

static int same_axes(const struct sb_merge *merge, const struct sb_merge_job *job, size_t input,
                     const json_t *one, const json_t *other, struct sb_error *err) {
    static const char *const keys[] = {"name", "written", "in_command"};
    size_t n = json_array_size(one) > json_array_size(other) ? json_array_size(one)
                                                             : json_array_size(other);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const json_t *a = json_array_get(one, i), *b = json_array_get(other, i);
        SB_AUTO_FREE char *key = sb_format("axis '%s'", sb_text_of(a ? a : b, "name"));
        for (size_t k = 0; rc == 0 && k < sizeof keys / sizeof *keys; k++)
            rc = same_value(merge, job, input, key ? key : "axis", json_object_get(a, keys[k]),
                            json_object_get(b, keys[k]), err);
    }
    return rc;
}

int sb_merge_same_job(const struct sb_merge *merge, const struct sb_merge_job *job, size_t input,
                      const json_t *entry, struct sb_error *err) {
    static const char *const keys[] = {"name",  "kind",      "kernel", "backend",
                                       "dtype", "algorithm", "shape"};
    static const char *const asked_keys[] = {"command", "arguments", "weights", "exclude",
                                             "include", "inputs",    "design",  "repeats",
                                             "require", "tolerance", "expect"};
    const json_t *a = json_object_get(job->entry, "asked"), *b = json_object_get(entry, "asked");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof keys / sizeof *keys; i++)
        rc = same_value(merge, job, input, keys[i], json_object_get(job->entry, keys[i]),
                        json_object_get(entry, keys[i]), err);
    for (size_t i = 0; rc == 0 && i < sizeof asked_keys / sizeof *asked_keys; i++)
        rc = same_value(merge, job, input, asked_keys[i], json_object_get(a, asked_keys[i]),
                        json_object_get(b, asked_keys[i]), err);
    return rc == 0 ? same_axes(merge, job, input, json_object_get(a, "axes"),
                               json_object_get(b, "axes"), err)
                   : rc;
}
