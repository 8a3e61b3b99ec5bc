/* cli: the document of merged results. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/judging.h"
#include "report/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- What is said of all of it ----------------------------------------------------------------
 */

/* The weakest; the names are in that order. */
static enum sb_isolation isolation_of(const struct sb_merge *merge) {
    int weakest = SB_ISOLATE_AUTO;
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const json_t *isolation = json_object_get(merge->inputs[i].result, "isolation");
        for (int k = 0; sb_isolation_names[k]; k++) {
            if (k > weakest && sb_text_is(isolation, "mode", sb_isolation_names[k]))
                weakest = k;
        }
    }
    return (enum sb_isolation)weakest;
}

/* Sorted texts, which `array` owns, as a list that ends with NULL. */
static const char **shared_of(const struct sb_merge *merge, json_t *array) {
    for (size_t i = 0; i < merge->n_inputs; i++) {
        const json_t *shared =
            json_object_get(json_object_get(merge->inputs[i].result, "isolation"), "shared");
        for (size_t k = 0; k < json_array_size(shared); k++)
            sb_merge_add_text(array, sb_text_at(shared, k));
    }
    const char **texts = calloc(json_array_size(array) + 1, sizeof *texts);
    for (size_t i = 0; texts && i < json_array_size(array); i++)
        texts[i] = sb_text_at(array, i);
    return texts;
}

/* ---- Judging ----------------------------------------------------------------------------------
 */

/* What a shard says of the jobs that another shard has. */
static const char elsewhere[] = "no run of it is in this shard";

/* Sentences, or NULL; malloc'd. What says nothing beside other reasons is left out. */
static char *sentences_of(const json_t *texts) {
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t n = json_array_size(texts);
    for (size_t i = 0; i < n; i++) {
        if (n == 1 || strcmp(sb_text_at(texts, i), elsewhere) != 0)
            sb_text_printf(&text, "%s%s", text.length ? "; " : "", sb_text_at(texts, i));
    }
    return text.length ? sb_text_take(&text) : NULL;
}

static const char *why_no_runs(const void *context, size_t job) {
    (void)context, (void)job;
    return "no run of it is in these results";
}

/* Of every job a sentence, NULL where it has runs. */
static char **skipped_of(const struct sb_merge *merge) {
    char **skipped = calloc(merge->n_jobs + 1, sizeof *skipped);
    for (size_t i = 0; skipped && i < merge->n_jobs; i++)
        skipped[i] = sentences_of(merge->jobs[i].skips);
    for (size_t i = 0; skipped && i < merge->n_runs; i++) {
        free(skipped[merge->made[i].job]);
        skipped[merge->made[i].job] = NULL;
    }
    return skipped;
}

static int build(const struct sb_merge *merge, const struct sb_job_result *jobs, json_t **result,
                 struct sb_error *err) {
    SB_AUTO_JSON json_t *manifest = sb_merge_manifest(merge), *texts = json_array();
    SB_AUTO_FREE const char **shared = texts ? shared_of(merge, texts) : NULL;
    double seconds = 0;
    if (!manifest || !shared)
        return sb_error_errno(err, -ENOMEM, "result.json");
    for (size_t i = 0; i < merge->n_runs; i++)
        seconds += merge->made[i].wall_s > 0 ? merge->made[i].wall_s : 0;
    const struct sb_result_input input = {
        .suite = merge->suite,
        .plan = merge->plan,
        .jobs = jobs,
        .n_jobs = merge->n_jobs,
        .runs = merge->made,
        .n_runs = merge->n_runs,
        .isolation = isolation_of(merge),
        .shared = shared,
        .manifest = manifest,
        .started = sb_merge_first(merge, "started"),
        .elapsed_s = seconds,
        .lists = merge->lists,
    };
    return sb_result_build(&input, result, err);
}

/* ---- What only a merged result has ------------------------------------------------------------
 */

/* Axes of machines are none that the suite asked for. */
static int mark_axes(const struct sb_merge *merge, size_t job, json_t *entry) {
    json_t *axes = json_object_get(entry, "axes");
    json_t *asked = json_object_get(json_object_get(entry, "asked"), "axes");
    size_t n_own = sb_merge_suite_axes(merge, job);
    int rc = 0;
    for (size_t i = n_own; i < json_array_size(axes); i++)
        rc |= json_object_set_new(json_array_get(axes, i), "machine", json_true());
    while (json_array_size(asked) > n_own)
        rc |= json_array_remove(asked, json_array_size(asked) - 1);
    return rc ? -ENOMEM : 0;
}

/* A job that some machines skipped is judged by the others' runs, and that is said. */
static int say_skips(const struct sb_merge_job *job, json_t *entry) {
    int rc = 0;
    for (size_t i = 0; i < json_array_size(job->skips) && sb_count_of(entry, "runs"); i++) {
        const char *why = sb_text_at(job->skips, i);
        if (strcmp(why, elsewhere) != 0)
            rc |= json_array_append_new(json_object_get(entry, "limits"),
                                        json_sprintf("not run everywhere: %s", why));
    }
    rc |= json_object_set(entry, "skips", job->skips);
    rc |= json_object_set(entry, "changes", job->changed);
    return rc ? -ENOMEM : 0;
}

static int finish(const struct sb_merge *merge, json_t *result, struct sb_error *err) {
    const json_t *jobs = json_object_get(result, "jobs"), *runs = json_object_get(result, "runs");
    int rc = 0;
    for (size_t i = 0; i < merge->n_jobs && rc == 0; i++) {
        rc = mark_axes(merge, i, json_array_get(jobs, i));
        if (rc == 0)
            rc = say_skips(&merge->jobs[i], json_array_get(jobs, i));
    }
    for (size_t i = 0; i < merge->n_runs && rc == 0; i++) {
        json_t *run = json_array_get(runs, i);
        rc = json_object_set_new(run, "origin", json_string(merge->runs[i].origin));
        rc |= json_object_set_new(run, "machine", json_integer((json_int_t)merge->runs[i].machine));
    }
    return rc ? sb_error_errno(err, -ENOMEM, "result.json") : 0;
}

int sb_merge_result(const struct sb_merge *merge, struct sb_folder *folder, json_t **result,
                    struct sb_error *err) {
    SB_AUTO_JSON json_t *made = NULL;
    struct sb_judged *judged = NULL;
    struct sb_job_result *jobs = NULL;
    char **why = skipped_of(merge);
    if (!why)
        return sb_error_errno(err, -ENOMEM, "result.json");
    const struct sb_judging judging = {
        .plan = merge->plan,
        .folder = folder,
        .runs = merge->made,
        .n_runs = merge->n_runs,
        .skipped = why,
        .partial = true,
        .why_no_runs = why_no_runs,
    };
    int rc = sb_judge(&judging, &judged, &jobs, err);
    for (size_t i = 0; rc == 0 && i < merge->n_jobs; i++) {
        char *changed = sentences_of(merge->jobs[i].changed);
        if (changed)
            sb_judged_spoil(judged, jobs, i, changed);
    }
    if (rc == 0)
        rc = build(merge, jobs, &made, err);
    if (rc == 0)
        rc = finish(merge, made, err);
    sb_judged_free(judged, jobs, merge->n_jobs);
    for (size_t i = 0; i < merge->n_jobs; i++)
        free(why[i]);
    free(why);
    if (rc == 0)
        *result = sb_steal_pointer(&made);
    return rc;
}
