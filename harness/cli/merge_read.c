/* cli: one result to be merged: read, and checked as far as merging rests on it. See cli/merge.h.
 */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/reporting.h"
#include "report/reading.h"
#include "report/shared_lists.h"

#include <errno.h>
#include <string.h>

/* ---- What every part needs --------------------------------------------------------------------
 */

void sb_merge_clear(struct sb_merge *merge) {
    for (size_t i = 0; i < merge->n_inputs; i++) {
        free(merge->inputs[i].folder);
        json_decref(merge->inputs[i].result);
        json_decref(merge->inputs[i].machines);
    }
    for (size_t i = 0; i < merge->n_jobs; i++) {
        json_decref(merge->jobs[i].axes);
        json_decref(merge->jobs[i].skips);
        json_decref(merge->jobs[i].changed);
    }
    for (size_t i = 0; merge->made && i < merge->n_runs; i++)
        sb_run_clear(&merge->made[i]);
    free(merge->made);
    free(merge->runs);
    free(merge->sources);
    free(merge->jobs);
    free(merge->inputs);
    sb_plan_free(merge->plan);
    sb_suite_free(merge->suite);
    json_decref(merge->machines);
    json_decref(merge->lists);
    *merge = (struct sb_merge){0};
}

const char *sb_merge_first(const struct sb_merge *merge, const char *key) {
    const char *first = NULL;
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const char *text = sb_text_of(merge->inputs[i].result, key);
        if (!first || strcmp(text, first) < 0)
            first = text;
    }
    return first ? first : "";
}

int sb_merge_add_text(json_t *sorted, const char *text) {
    size_t i = 0;
    while (i < json_array_size(sorted) &&
           strcmp(json_string_value(json_array_get(sorted, i)), text) < 0)
        i++;
    const char *next = json_string_value(json_array_get(sorted, i));
    if (next && strcmp(next, text) == 0)
        return 0;
    return json_array_insert_new(sorted, i, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* ---- Jobs -------------------------------------------------------------------------------------
 */

static bool are_texts(const json_t *array) {
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (!json_is_string(json_array_get(array, i)))
            return false;
    }
    return json_is_array(array);
}

static bool is_axis(const json_t *axis) {
    const char *name = json_string_value(json_object_get(axis, "name"));
    const json_t *levels = json_object_get(axis, "levels");
    const json_t *unavailable = json_object_get(axis, "unavailable");
    return name && *name && are_texts(levels) && json_array_size(levels) <= SB_MAX_LEVELS &&
           (!unavailable || json_is_string(unavailable));
}

/* What was asked of an axis belongs to the axis of the same place. */
static bool is_asked_axis(const json_t *asked, const json_t *axis) {
    const json_t *from = json_object_get(asked, "from");
    const json_t *written = json_object_get(asked, "written");
    bool good = json_is_array(from) && are_texts(written) &&
                json_array_size(from) == json_array_size(json_object_get(axis, "levels")) &&
                json_equal(json_object_get(asked, "name"), json_object_get(axis, "name")) &&
                json_is_boolean(json_object_get(asked, "in_command"));
    for (size_t i = 0; good && i < json_array_size(from); i++) {
        json_int_t at = json_integer_value(json_array_get(from, i));
        good = json_is_integer(json_array_get(from, i)) && at >= 0 &&
               at <= (json_int_t)json_array_size(written);
    }
    return good;
}

static int check_asked(const struct sb_merge_input *input, const json_t *job, const char *id,
                       struct sb_error *err) {
    static const char *const objects[] = {"arguments", "repeats", "require", "tolerance"};
    static const char *const lists[] = {"exclude", "include", "inputs"};
    const json_t *asked = json_object_get(job, "asked"), *axes = json_object_get(job, "axes");
    if (!asked)
        return sb_error_set(err, -EINVAL,
                            "%s: job '%s' has no 'asked', without which it cannot be judged again: "
                            "the result is of an older samebits",
                            input->given, id);
    bool good = true;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        good &= json_is_object(json_object_get(asked, objects[i]));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        good &= are_texts(json_object_get(asked, lists[i]));
    const json_t *asked_axes = json_object_get(asked, "axes");
    good &= json_is_array(asked_axes) && json_array_size(asked_axes) <= json_array_size(axes);
    for (size_t i = 0; good && i < json_array_size(asked_axes); i++)
        good = is_asked_axis(json_array_get(asked_axes, i), json_array_get(axes, i));
    json_int_t least =
        json_integer_value(json_object_get(json_object_get(asked, "repeats"), "min"));
    good &= least >= 1 && least <= INT32_MAX;
    return good
               ? 0
               : sb_error_set(err, -EINVAL, "%s: 'asked' of job '%s' is damaged", input->given, id);
}

static int check_job(const struct sb_merge_input *input, const json_t *job, size_t i, json_t *ids,
                     struct sb_error *err) {
    const char *id = json_string_value(json_object_get(job, "id"));
    const json_t *axes = json_object_get(job, "axes");
    if (!id || !*id || !json_is_string(json_object_get(job, "name")))
        return sb_error_set(err, -EINVAL, "%s: jobs[%zu] has no name or no id", input->given, i);
    if (json_object_get(ids, id))
        return sb_error_set(err, -EINVAL, "%s: there are two jobs '%s'", input->given, id);
    bool good = json_is_array(axes) && json_array_size(axes) <= SB_MAX_AXES;
    for (size_t k = 0; good && k < json_array_size(axes); k++)
        good = is_axis(json_array_get(axes, k));
    if (!good)
        return sb_error_set(err, -EINVAL, "%s: 'axes' of job '%s' is damaged", input->given, id);
    if (json_object_set_new(ids, id, json_true()) < 0)
        return sb_error_errno(err, -ENOMEM, "%s", input->given);
    return check_asked(input, job, id, err);
}

/* Lists that most runs share are in memory once, however many results have them. */
static int share_lists(const struct sb_merge_input *input, json_t *lists, struct sb_error *err) {
    const json_t *own = json_object_get(input->result, "lists");
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(input->result, "runs"), i, run) {
        json_t *observed = json_object_get(run, "observed");
        if (!json_is_object(observed))
            return sb_error_set(err, -EINVAL, "%s: runs[%zu]: 'observed' is damaged", input->given,
                                i);
        if (sb_shared_lists_name(observed, own, lists) < 0)
            return sb_error_errno(err, -ENOMEM, "%s", input->given);
    }
    json_object_del(input->result, "lists");
    return 0;
}

int sb_merge_read(const char *given, json_t *lists, struct sb_merge_input *input,
                  struct sb_error *err) {
    *input = (struct sb_merge_input){.given = given, .folder = sb_reporting_folder(given)};
    if (!input->folder)
        return sb_error_errno(err, -ENOMEM, "%s", given);
    int rc = sb_result_load(access(given, F_OK) == 0 ? given : input->folder, &input->result, err);
    if (rc < 0)
        return rc;
    if (!json_is_object(json_object_get(input->result, "manifest")) ||
        !json_is_string(json_object_get(input->result, "suite")))
        return sb_error_set(err, -EINVAL, "%s: its result.json has no manifest or no suite", given);
    const json_t *jobs = json_object_get(input->result, "jobs");
    SB_AUTO_JSON json_t *ids = json_object();
    for (size_t i = 0; rc == 0 && i < json_array_size(jobs); i++)
        rc = check_job(input, json_array_get(jobs, i), i, ids, err);
    return rc == 0 ? share_lists(input, lists, err) : rc;
}
