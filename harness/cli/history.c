/* cli: what is kept of many results. See cli/history.h. */
#include "cli/history.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "report/reading.h"

#include <samebits/report.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void result_clear(struct sb_history_result *result) {
    free(result->path);
    free(result->started);
    free(result->outcome);
    free(result->jobs);
}

void sb_history_clear(struct sb_history *history) {
    struct sb_groups *const groups[] = {
        &history->suites, &history->jobs, &history->machines,     &history->manifests,
        &history->sets,   &history->keys, &history->fingerprints, &history->reasons};
    for (size_t i = 0; i < history->n_results; i++)
        result_clear(&history->results[i]);
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        sb_groups_clear(groups[i]);
    free(history->results);
    free(history->series);
    *history = (struct sb_history){0};
}

/* ---- Texts ------------------------------------------------------------------------------------
 */

static int number_text(struct sb_groups *groups, const char *text, int *number) {
    size_t group;
    if (!text || sb_groups_find(groups, text, &group) < 0)
        return -ENOMEM;
    *number = (int)group;
    return 0;
}

static int number_json(struct sb_groups *groups, const json_t *json, int *number) {
    SB_AUTO_FREE char *text =
        json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
    return number_text(groups, text, number);
}

/* The machines with the marks that tell them apart alone. */
static int number_machines(struct sb_history *history, const json_t *manifest, int *number) {
    SB_AUTO_JSON json_t *machines = sb_machines_of(manifest);
    for (size_t i = 0; i < json_array_size(machines); i++) {
        for (int mark = 0; mark < SB_N_MARKS; mark++) {
            if (!(history->marks >> mark & 1))
                json_object_del(json_array_get(machines, i), sb_mark_names[mark]);
        }
    }
    return machines ? number_json(&history->machines, machines, number) : -ENOMEM;
}

/* ---- Jobs -------------------------------------------------------------------------------------
 */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All different bits of a job, whatever their order. */
static int number_set(struct sb_history *history, const json_t *groups, int *number) {
    size_t n = json_array_size(groups);
    SB_AUTO_FREE const char **names = calloc(n + 1, sizeof *names);
    SB_AUTO_TEXT struct sb_text text = {0};
    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        names[i] = sb_text_of(json_array_get(groups, i), "fingerprint");
    qsort(names, n, sizeof *names, by_bytes);
    for (size_t i = 0; i < n; i++)
        sb_text_printf(&text, "%s ", names[i]);
    return text.failed ? -ENOMEM : number_text(&history->sets, text.data, number);
}

static int find_series(struct sb_history *history, const struct sb_history_series *wanted,
                       size_t *found) {
    SB_AUTO_FREE char *key = sb_format("%d %d %d", wanted->suite, wanted->job, wanted->machines);
    if (!key || sb_groups_find(&history->keys, key, found) < 0)
        return -ENOMEM;
    if (*found < history->n_series)
        return 0;
    struct sb_history_series *fresh = sb_array_add(&history->series, &history->n_series);
    if (!fresh)
        return -ENOMEM;
    *fresh = *wanted;
    return 0;
}

static bool repeats_agree(int verdict) {
    return verdict == SB_VERDICT_BITWISE || verdict == SB_VERDICT_CONFIG_DEPENDENT ||
           verdict == SB_VERDICT_INCONCLUSIVE;
}

static int take_job(struct sb_history *history, const struct sb_history_result *result,
                    const json_t *entry, struct sb_history_job *job) {
    struct sb_history_series series = {.suite = result->suite, .machines = result->machines};
    const json_t *groups = json_object_get(entry, "groups");
    *job = (struct sb_history_job){
        .verdict = -1, .bits = SB_NO_BITS, .reference = SB_NO_BITS, .reason = SB_NO_REASON};
    for (int i = 0; sb_verdict_names[i]; i++) {
        if (sb_text_is(entry, "verdict", sb_verdict_names[i]))
            job->verdict = i;
    }
    bool error = sb_text_is(entry, "outcome", "error");
    job->failed = error || sb_text_is(entry, "outcome", "fail");
    /* Runs failed, or were interrupted: what the others agree on is no answer. */
    if (error && job->verdict != SB_VERDICT_INCONCLUSIVE)
        job->verdict = SB_VERDICT_ERROR;
    int rc = number_text(&history->jobs, sb_job_title(entry), &series.job);
    if (rc == 0)
        rc = find_series(history, &series, &job->series);
    const char *reason = sb_text_of(entry, "reason");
    if (rc == 0 && *reason && job->verdict != SB_VERDICT_BITWISE)
        rc = number_text(&history->reasons, reason, &job->reason);
    if (rc < 0 || !repeats_agree(job->verdict) || !json_array_size(groups))
        return rc;
    rc = number_set(history, groups, &job->bits);
    return rc == 0
               ? number_text(&history->fingerprints,
                             sb_text_of(json_array_get(groups, 0), "fingerprint"), &job->reference)
               : rc;
}

static int by_series(const void *a, const void *b) {
    const struct sb_history_job *x = a, *y = b;
    return (x->series > y->series) - (x->series < y->series);
}

/* ---- Results ----------------------------------------------------------------------------------
 */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int take_result(struct sb_history *history, const char *path, const json_t *document,
                       struct sb_history_result *result) {
    const json_t *jobs = json_object_get(document, "jobs");
    const json_t *manifest = json_object_get(document, "manifest");
    result->path = strdup(path);
    result->started = strdup(sb_text_of(document, "started"));
    result->outcome = strdup(sb_text_of(document, "outcome"));
    result->jobs = calloc(json_array_size(jobs) + 1, sizeof *result->jobs);
    int rc = result->path && result->started && result->outcome && result->jobs ? 0 : -ENOMEM;
    if (rc == 0)
        rc =
            number_text(&history->suites, base_name(sb_text_of(document, "suite")), &result->suite);
    if (rc == 0)
        rc = number_machines(history, manifest, &result->machines);
    if (rc == 0)
        rc = number_json(&history->manifests, manifest, &result->manifest);
    for (size_t i = 0; rc == 0 && i < json_array_size(jobs); i++) {
        const json_t *entry = json_array_get(jobs, i);
        if (!history->only || sb_glob_match(history->only, sb_job_title(entry)))
            rc = take_job(history, result, entry, &result->jobs[result->n_jobs++]);
    }
    qsort(result->jobs, result->n_jobs, sizeof *result->jobs, by_series);
    return rc;
}

int sb_history_add(struct sb_history *history, const char *path, struct sb_error *err) {
    SB_AUTO_JSON json_t *document = NULL;
    int rc = sb_result_load_head(path, &document, err);
    if (rc < 0)
        return rc;
    if (!json_is_object(json_object_get(document, "manifest")) ||
        !json_is_string(json_object_get(document, "started")))
        return sb_error_set(err, -EINVAL, "%s: its result.json has no manifest or no start", path);
    struct sb_history_result *result = sb_array_add(&history->results, &history->n_results);
    rc = result ? take_result(history, path, document, result) : -ENOMEM;
    if (rc == 0)
        return 0;
    if (result)
        result_clear(&history->results[--history->n_results]);
    return sb_error_errno(err, rc, "%s", path);
}

static int by_time(const void *a, const void *b) {
    const struct sb_history_result *x = a, *y = b;
    int order = strcmp(x->started, y->started);
    return order ? order : strcmp(x->path, y->path);
}

int sb_history_sort(struct sb_history *history) {
    SB_CLEANUP(sb_groups_clear) struct sb_groups met = {.room = 0};
    SB_AUTO_FREE unsigned *numbers = NULL;
    size_t room = 0, pair;
    if (history->n_results)
        qsort(history->results, history->n_results, sizeof *history->results, by_time);
    for (size_t i = 0; i < history->n_results; i++) {
        for (size_t k = 0; k < history->results[i].n_jobs; k++) {
            struct sb_history_job *job = &history->results[i].jobs[k];
            char key[48];
            if (job->bits == SB_NO_BITS)
                continue;
            snprintf(key, sizeof key, "%zu %d", job->series, job->bits);
            if (sb_groups_find(&met, key, &pair) < 0)
                return -ENOMEM;
            if (pair >= room) {
                room = 2 * pair + 64;
                unsigned *more = reallocarray(numbers, room, sizeof *numbers);
                if (!more)
                    return -ENOMEM;
                memset(more + pair, 0, (room - pair) * sizeof *more);
                numbers = more;
            }
            if (!numbers[pair])
                numbers[pair] = ++history->series[job->series].n_bits;
            job->nth = numbers[pair];
        }
    }
    return 0;
}

const struct sb_history_job *sb_history_find(const struct sb_history_result *result,
                                             size_t series) {
    const struct sb_history_job wanted = {.series = series};
    return bsearch(&wanted, result->jobs, result->n_jobs, sizeof *result->jobs, by_series);
}
