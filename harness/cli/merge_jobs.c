/* cli: the jobs of results to be merged, their axes with the levels of all. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_number(const char *text) {
    return *text && strspn(text, "0123456789") == strlen(text) && strlen(text) < 10;
}

/* As the suite has them; of what one written level was on several machines ("all"), by number. */
static int compare_levels(const json_t *a, const json_t *b) {
    json_int_t x = sb_count_of(a, "from"), y = sb_count_of(b, "from");
    const char *p = sb_text_of(a, "level"), *q = sb_text_of(b, "level");
    if (x != y)
        return x < y ? -1 : 1;
    if (is_number(p) && is_number(q) && atoi(p) != atoi(q))
        return atoi(p) < atoi(q) ? -1 : 1;
    return strcmp(p, q);
}

/* The same level may stand for several written ones: the first counts. */
static int add_level(json_t *levels, const char *level, json_int_t from) {
    json_t *one = json_pack("{s:s, s:I}", "level", level, "from", from);
    size_t i, at = 0;
    json_t *other;
    if (!one)
        return -ENOMEM;
    json_array_foreach(levels, i, other) {
        if (strcmp(sb_text_of(other, "level"), level) != 0)
            continue;
        if (sb_count_of(other, "from") <= from) {
            json_decref(one);
            return 0;
        }
        json_array_remove(levels, i);
        break;
    }
    while (at < json_array_size(levels) && compare_levels(json_array_get(levels, at), one) < 0)
        at++;
    return json_array_insert_new(levels, at, one) < 0 ? -ENOMEM : 0;
}

/* "isa: a; b" are two reasons. */
static int add_reasons(json_t *reasons, const char *name, const char *text) {
    size_t n = strlen(name);
    if (strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0)
        text += n + 2;
    while (*text) {
        const char *end = strstr(text, "; ");
        SB_AUTO_FREE char *one = strndup(text, end ? (size_t)(end - text) : strlen(text));
        if (!one || sb_merge_add_text(reasons, one) < 0)
            return -ENOMEM;
        text = end ? end + 2 : text + strlen(text);
    }
    return 0;
}

static int add_axis(json_t *axes, size_t at, const json_t *asked, const json_t *axis) {
    json_t *merged = json_array_get(axes, at);
    if (!merged) {
        merged = json_pack("{s:O, s:O, s:O, s:[], s:[]}", "name", json_object_get(asked, "name"),
                           "written", json_object_get(asked, "written"), "in_command",
                           json_object_get(asked, "in_command"), "levels", "unavailable");
        if (!merged || json_array_append_new(axes, merged) < 0)
            return -ENOMEM;
    }
    const json_t *levels = json_object_get(axis, "levels"), *from = json_object_get(asked, "from");
    json_t *all = json_object_get(merged, "levels");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(levels); i++)
        rc = add_level(all, sb_text_at(levels, i), json_integer_value(json_array_get(from, i)));
    return rc == 0 ? add_reasons(json_object_get(merged, "unavailable"), sb_text_of(asked, "name"),
                                 sb_text_of(axis, "unavailable"))
                   : rc;
}

/* ---- Jobs -------------------------------------------------------------------------------------
 */

/* So many of an axis's levels, the level that stands for "as it is" included, masks can hold. */
static int check_levels(const struct sb_merge_job *job, struct sb_error *err) {
    size_t i;
    json_t *axis;
    json_array_foreach(job->axes, i, axis) {
        size_t n = json_array_size(json_object_get(axis, "levels"));
        if (n > SB_MAX_LEVELS)
            return sb_error_set(err, -EINVAL,
                                "job '%s': axis '%s' has %zu levels over all results, and may have "
                                "%d",
                                sb_text_of(job->entry, "id"), sb_text_of(axis, "name"), n,
                                SB_MAX_LEVELS);
    }
    return 0;
}

/* Of an input whose machine cannot vary an axis that another one can, runs have it as it is. */
static int add_as_is(struct sb_merge_job *job, const json_t *axes) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(job->axes); i++) {
        json_t *merged = json_array_get(job->axes, i);
        json_t *levels = json_object_get(merged, "levels");
        const json_t *written = json_object_get(merged, "written");
        if (json_array_size(levels) &&
            !json_array_size(json_object_get(json_array_get(axes, i), "levels")))
            rc = add_level(levels, SB_LEVEL_AS_IS, (json_int_t)json_array_size(written));
    }
    return rc;
}

static int add_texts(json_t *sorted, const json_t *texts) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(texts); i++)
        rc = sb_merge_add_text(sorted, sb_text_at(texts, i));
    return rc;
}

/* What a merged result lists, another one says of itself. */
static int add_reasons_of(struct sb_merge_job *job, const json_t *entry) {
    const json_t *skips = json_object_get(entry, "skips");
    const json_t *changed = json_object_get(entry, "changes");
    int rc = add_texts(job->skips, skips);
    if (rc == 0 && !skips && sb_text_is(entry, "verdict", "skipped") && !sb_count_of(entry, "runs"))
        rc = sb_merge_add_text(job->skips, sb_text_of(entry, "reason"));
    if (rc == 0)
        rc = add_texts(job->changed, changed);
    if (rc == 0 && !changed && json_is_string(json_object_get(entry, "inputs_changed")))
        rc = sb_merge_add_text(job->changed, sb_text_of(entry, "inputs_changed"));
    return rc;
}

static int add_job(struct sb_merge_job *job, const json_t *entry) {
    const json_t *asked = json_object_get(json_object_get(entry, "asked"), "axes");
    const json_t *axes = json_object_get(entry, "axes");
    int rc = job->axes && job->skips && job->changed ? add_reasons_of(job, entry) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < json_array_size(asked); i++)
        rc = add_axis(job->axes, i, json_array_get(asked, i), json_array_get(axes, i));
    return rc;
}

static struct sb_merge_job *find_job(struct sb_merge *merge, json_t *numbers, const char *id) {
    const json_t *number = json_object_get(numbers, id);
    return number ? &merge->jobs[json_integer_value(number)] : NULL;
}

static int find_or_add(struct sb_merge *merge, json_t *numbers, size_t input, const json_t *entry,
                       struct sb_error *err) {
    const char *id = sb_text_of(entry, "id");
    struct sb_merge_job *job = find_job(merge, numbers, id);
    if (job) {
        int rc = sb_merge_same_job(merge, job, input, entry, err);
        if (rc < 0)
            return rc;
    } else {
        struct sb_merge_job *jobs =
            reallocarray(merge->jobs, merge->n_jobs + 1, sizeof *merge->jobs);
        if (!jobs)
            return sb_error_errno(err, -ENOMEM, "job '%s'", id);
        merge->jobs = jobs;
        job = &jobs[merge->n_jobs];
        *job = (struct sb_merge_job){.entry = entry,
                                     .input = input,
                                     .axes = json_array(),
                                     .skips = json_array(),
                                     .changed = json_array()};
        if (json_object_set_new(numbers, id, json_integer((json_int_t)merge->n_jobs++)) < 0)
            return sb_error_errno(err, -ENOMEM, "job '%s'", id);
    }
    return add_job(job, entry) < 0 ? sb_error_errno(err, -ENOMEM, "job '%s'", id) : 0;
}

static int by_id(const void *a, const void *b) {
    const struct sb_merge_job *x = a, *y = b;
    return strcmp(sb_text_of(x->entry, "id"), sb_text_of(y->entry, "id"));
}

/* Has every input all jobs, and in one order? Then it is the suite's; else there is none that
 * would not depend on which results are merged first. */
static bool one_order(const struct sb_merge *merge) {
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const json_t *jobs = json_object_get(merge->inputs[i].result, "jobs");
        if (json_array_size(jobs) != merge->n_jobs)
            return false;
        for (size_t k = 0; k < merge->n_jobs; k++) {
            if (strcmp(sb_text_of(json_array_get(jobs, k), "id"),
                       sb_text_of(merge->jobs[k].entry, "id")) != 0)
                return false;
        }
    }
    return true;
}

int sb_merge_find_jobs(struct sb_merge *merge, struct sb_error *err) {
    SB_AUTO_JSON json_t *numbers = json_object();
    int rc = sb_merge_check_conditions(merge, err);
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++) {
        const json_t *jobs = json_object_get(merge->inputs[i].result, "jobs");
        for (size_t k = 0; rc == 0 && k < json_array_size(jobs); k++)
            rc = find_or_add(merge, numbers, i, json_array_get(jobs, k), err);
    }
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++) {
        const json_t *jobs = json_object_get(merge->inputs[i].result, "jobs");
        for (size_t k = 0; rc == 0 && k < json_array_size(jobs); k++) {
            const json_t *entry = json_array_get(jobs, k);
            rc = add_as_is(find_job(merge, numbers, sb_text_of(entry, "id")),
                           json_object_get(entry, "axes"));
        }
    }
    if (rc == -ENOMEM && !err->text[0])
        return sb_error_errno(err, rc, "jobs");
    for (size_t i = 0; rc == 0 && i < merge->n_jobs; i++)
        rc = check_levels(&merge->jobs[i], err);
    if (rc == 0 && merge->n_jobs && !one_order(merge))
        qsort(merge->jobs, merge->n_jobs, sizeof *merge->jobs, by_id);
    return rc;
}
