/* cli: plan.json: what a result was begun with. See cli/kept_plan.h. */
#include "cli/kept_plan.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/identity.h"
#include "cli/inject.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static json_t *plan_axis_json(const struct sb_job_axis *axis) {
    json_t *levels = json_array();
    for (size_t i = 0; i < axis->n_levels; i++)
        json_array_append_new(levels, sb_json_string(axis->levels[i]));
    return json_pack("{s:o, s:o}", "name", sb_json_string(axis->name), "levels", levels);
}

static json_t *plan_axes_json(const struct sb_job_plan *plan) {
    json_t *axes = json_array();
    for (size_t i = 0; i < plan->n_axes; i++)
        json_array_append_new(axes, plan_axis_json(&plan->axes[i]));
    return axes;
}

static json_t *plan_cells_json(const struct sb_job_plan *plan) {
    json_t *cells = json_array();
    for (size_t c = 0; c < plan->n_cells; c++) {
        json_t *cell = json_array();
        for (size_t i = 0; i < plan->n_axes; i++)
            json_array_append_new(cell, json_integer(plan->cells[c].level[i]));
        json_array_append_new(cells, cell);
    }
    return cells;
}

static json_t *globs_json(char **globs, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, sb_json_string(globs[i]));
    return array;
}

/* All that the bits of a run, its fingerprint, and its id rest on. What only judges results
 * (requirements, tolerances) or adds runs at the end (most repeats) may change when one is
 * resumed. */
static json_t *plan_job_json(const struct sb_job_plan *plan) {
    json_t *arguments = json_array();
    const struct sb_job *job = plan->job;
    for (size_t i = 0; i < job->n_arguments; i++) {
        SB_AUTO_FREE char *text =
            sb_format("%s=%s", job->arguments[i].name, job->arguments[i].value);
        json_array_append_new(arguments, sb_json_string(text));
    }
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o}", "id",
                     sb_json_string(job->id), "kind", sb_job_kind_names[job->kind], "command",
                     sb_json_strings((const char *const *)job->command), "subject",
                     sb_json_string(job->subject), "arguments", arguments, "weights",
                     sb_json_string(job->weights), "directory", sb_json_string(job->directory),
                     "exclude", globs_json(job->exclude, job->n_exclude), "include",
                     globs_json(job->include, job->n_include), "repeats", (int)job->repeats.min,
                     "axes", plan_axes_json(plan), "cells", plan_cells_json(plan));
}

json_t *sb_kept_plan_json(const struct sb_request *request, int argc, char **argv,
                          const struct sb_plan *plan, const json_t *identity) {
    char cwd[PATH_MAX];
    if (!getcwd(cwd, sizeof cwd))
        return NULL;
    json_t *arguments = json_array(), *jobs = json_array();
    for (int i = 0; i < argc; i++)
        json_array_append_new(arguments, sb_json_string(argv[i]));
    for (size_t i = 0; i < plan->n_jobs; i++)
        json_array_append_new(jobs, plan_job_json(&plan->jobs[i]));
    unsigned shard, n_shards;
    sb_request_shard(request, &shard, &n_shards, NULL);
    SB_AUTO_FREE char *part = sb_format("%u/%u", shard, n_shards);
    SB_AUTO_FREE char *seed = sb_format("%llu", (unsigned long long)request->seed);
    json_t *kept = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", "samebits.plan/1",
                             "argv", arguments, "cwd", sb_json_string(cwd), "suite_text",
                             sb_json_string(plan->suite->text), "seed", sb_json_string(seed),
                             "shard", sb_json_string(part), "jobs", jobs);
    if (kept && identity)
        json_object_update(kept, (json_t *)identity);
    /* Where runs are done elsewhere, the plan may be one that this machine would not make. */
    if (kept && request->launcher->adapt)
        json_object_set_new(kept, "machine", sb_machine_to_json(plan->machine));
    const char *injected = sb_injected_seed(&request->injected);
    if (kept && injected)
        json_object_set_new(kept, "injected_seed", sb_json_string(injected));
    return kept;
}

enum { MOST_SHOWN = 60 }; /* bytes of a value in a message */

#define START_ANEW "give --force to start anew"

/* Does `key` of the two objects differ? Then an error that shows both. */
static int same_value(const json_t *before, const json_t *after, const char *key, const char *of,
                      struct sb_error *err) {
    const json_t *then = json_object_get(before, key), *now = json_object_get(after, key);
    if ((!then && !now) || json_equal(then, now))
        return 0;
    SB_AUTO_FREE char *was = sb_json_brief(then, MOST_SHOWN), *is = sb_json_brief(now, MOST_SHOWN);
    return sb_error_set(err, -EINVAL, "%s%s was %s when this result was begun, now %s; " START_ANEW,
                        of, key, was ? was : "?", is ? is : "?");
}

static int same_job(const json_t *before, const json_t *after, struct sb_error *err) {
    const char *id = json_string_value(json_object_get(after, "id")), *key;
    SB_AUTO_FREE char *of = sb_format("job '%s': ", id);
    json_t *value;
    if (json_equal(before, after))
        return 0;
    if (!json_equal(json_object_get(before, "id"), json_object_get(after, "id")))
        return sb_error_set(
            err, -EINVAL, "job '%s' stands where '%s' did when this result was begun; " START_ANEW,
            id, json_string_value(json_object_get(before, "id")));
    int rc = same_value(before, after, "axes", of ? of : "", err); /* cells differ with these */
    json_object_foreach((json_t *)after, key, value) {
        if (rc < 0)
            break;
        rc = same_value(before, after, key, of ? of : "", err);
    }
    if (rc < 0)
        return rc;
    return sb_error_set(err, -EINVAL,
                        "job '%s' is not what it was when this result was begun; " START_ANEW, id);
}

int sb_kept_plan_same_jobs(const json_t *kept, const json_t *now, struct sb_error *err) {
    const json_t *before = json_object_get(kept, "jobs"), *after = json_object_get(now, "jobs");
    size_t n_before = json_array_size(before), n_after = json_array_size(after), i;
    json_t *job;
    json_array_foreach(after, i, job) {
        int rc = i < n_before ? same_job(json_array_get(before, i), job, err) : 0;
        if (rc < 0)
            return rc;
    }
    if (n_before != n_after)
        return sb_error_set(err, -EINVAL,
                            "there were %zu jobs when this result was begun, now %zu; " START_ANEW,
                            n_before, n_after);
    return 0;
}

int sb_kept_plan_same_conditions(const json_t *kept, const json_t *now, struct sb_error *err) {
    static const char *const keys[] = {"seed", "shard", "injected_seed"};
    int rc = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && rc == 0; i++)
        rc = same_value(kept, now, keys[i], "", err);
    SB_AUTO_FREE char *changed = rc == 0 ? sb_identity_difference(kept, now) : NULL;
    if (changed)
        rc = sb_error_set(err, -EINVAL,
                          "changed since this result was begun: %s; " START_ANEW
                          ", or another --out to keep its runs",
                          changed);
    return rc;
}

int sb_kept_plan_note_tree(const struct sb_folder *folder, json_t *git, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_folder_file(folder, "plan.json");
    json_error_t problem;
    SB_AUTO_JSON json_t *kept = path ? json_load_file(path, 0, &problem) : NULL;
    if (!kept)
        return sb_error_set(err, -EINVAL, "%s: %s", path ? path : "plan.json", problem.text);
    if (json_object_get(kept, "git"))
        return 0;
    json_object_set(kept, "git", git);
    SB_AUTO_FREE char *text = sb_json_text(kept);
    return text ? sb_file_write(path, text, strlen(text), err)
                : sb_error_errno(err, -ENOMEM, "%s", path);
}
