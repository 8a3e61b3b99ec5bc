/* cli: when the verdict or the bits of a job changed, and what differed then. See cli/history.h. */
#include "cli/history.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "report/manifest_diff.h"
#include "report/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a result is compared with: the last one that had a verdict, and the last one of which the
 * bits are known. */
struct before {
    const struct sb_history_job *verdict, *bits;
    size_t verdict_at, bits_at;
};

static json_t *read_text(const struct sb_groups *groups, int number) {
    return json_loads(groups->names.items[number], 0, NULL);
}

static json_t *reason_json(const struct sb_history *history, const struct sb_history_job *job) {
    return job->reason == SB_NO_REASON ? json_null()
                                       : sb_json_string(history->reasons.names.items[job->reason]);
}

/* One change; takes `was`, `is` and `reason`. */
static int add_change(const struct sb_history *history, const struct sb_history_series *series,
                      const char *kind, size_t since, size_t at, json_t *was, json_t *is,
                      json_t *reason, json_t *changes) {
    SB_AUTO_JSON json_t *one = read_text(&history->manifests, history->results[since].manifest);
    SB_AUTO_JSON json_t *other = read_text(&history->manifests, history->results[at].manifest);
    json_t *change = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "kind", kind,
                               "job", history->jobs.names.items[series->job], "suite",
                               history->suites.names.items[series->suite], "machine",
                               read_text(&history->machines, series->machines), "result",
                               (json_int_t)at, "since", (json_int_t)since, "was", was, "is", is,
                               "reason", reason, "differences", sb_manifest_diff(one, other));
    return json_array_append_new(changes, change) < 0 ? -ENOMEM : 0;
}

static json_t *text_json(const struct sb_groups *groups, int number) {
    return json_string(groups->names.items[number]);
}

/* The reference's bits, or others that the same reference has beside it. */
static int compare_bits(const struct sb_history *history, struct sb_history_series *series,
                        const struct before *before, const struct sb_history_job *job, size_t at,
                        json_t *changes) {
    if (!before->bits || before->bits->bits == job->bits)
        return 0;
    bool reference = before->bits->reference != job->reference;
    series->n_changes++;
    return add_change(history, series, reference ? "bits" : "groups", before->bits_at, at,
                      reference ? text_json(&history->fingerprints, before->bits->reference)
                                : json_null(),
                      reference ? text_json(&history->fingerprints, job->reference) : json_null(),
                      json_null(), changes);
}

static bool is_judged(const struct sb_history_job *job) {
    return job && job->verdict >= 0 && job->verdict != SB_VERDICT_SKIPPED;
}

/* The next result of a series. */
static int compare(const struct sb_history *history, struct sb_history_series *series,
                   struct before *before, const struct sb_history_job *job, size_t at,
                   json_t *changes) {
    int rc = 0;
    if (!is_judged(job))
        return 0;
    if (before->verdict && before->verdict->verdict != job->verdict) {
        series->n_changes++;
        rc = add_change(history, series, "verdict", before->verdict_at, at,
                        json_string(sb_verdict_names[before->verdict->verdict]),
                        json_string(sb_verdict_names[job->verdict]), reason_json(history, job),
                        changes);
    }
    if (rc == 0 && job->bits != SB_NO_BITS)
        rc = compare_bits(history, series, before, job, at, changes);
    before->verdict = job;
    before->verdict_at = at;
    if (job->bits != SB_NO_BITS) {
        before->bits = job;
        before->bits_at = at;
    }
    return rc;
}

json_t *sb_history_changes(struct sb_history *history) {
    SB_AUTO_FREE struct before *before = calloc(history->n_series + 1, sizeof *before);
    SB_AUTO_JSON json_t *changes = json_array();
    if (!before || !changes)
        return NULL;
    for (size_t i = 0; i < history->n_results; i++) {
        const struct sb_history_result *result = &history->results[i];
        for (size_t k = 0; k < result->n_jobs; k++) {
            const struct sb_history_job *job = &result->jobs[k];
            if (compare(history, &history->series[job->series], &before[job->series], job, i,
                        changes) < 0)
                return NULL;
        }
    }
    return sb_steal_pointer(&changes);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

static json_t *results_json(const struct sb_history *history) {
    json_t *results = json_array();
    for (size_t i = 0; i < history->n_results; i++) {
        const struct sb_history_result *result = &history->results[i];
        json_array_append_new(
            results,
            json_pack("{s:s, s:s, s:s, s:o, s:s}", "path", result->path, "started", result->started,
                      "suite", history->suites.names.items[result->suite], "machine",
                      read_text(&history->machines, result->machines), "outcome", result->outcome));
    }
    return results;
}

static json_t *entry_json(const struct sb_history *history, size_t result,
                          const struct sb_history_job *job) {
    return json_pack(
        "{s:I, s:o, s:b, s:o, s:o, s:o}", "result", (json_int_t)result, "verdict",
        job->verdict < 0 ? json_null() : json_string(sb_verdict_names[job->verdict]), "failed",
        job->failed, "bits", job->nth ? json_integer(job->nth) : json_null(), "fingerprint",
        job->reference == SB_NO_BITS ? json_null()
                                     : text_json(&history->fingerprints, job->reference),
        "reason", reason_json(history, job));
}

json_t *sb_history_json(const struct sb_history *history, json_t *changes) {
    json_t *jobs = json_array();
    for (size_t i = 0; i < history->n_series; i++) {
        const struct sb_history_series *series = &history->series[i];
        json_array_append_new(jobs, json_pack("{s:s, s:s, s:o, s:I, s:[]}", "job",
                                              history->jobs.names.items[series->job], "suite",
                                              history->suites.names.items[series->suite], "machine",
                                              read_text(&history->machines, series->machines),
                                              "changes", (json_int_t)series->n_changes, "entries"));
    }
    for (size_t i = 0; i < history->n_results; i++) {
        const struct sb_history_result *result = &history->results[i];
        for (size_t k = 0; k < result->n_jobs; k++)
            json_array_append_new(
                json_object_get(json_array_get(jobs, result->jobs[k].series), "entries"),
                entry_json(history, i, &result->jobs[k]));
    }
    return json_pack("{s:s, s:o, s:o, s:O}", "schema", "samebits.history/1", "results",
                     results_json(history), "jobs", jobs, "changes", changes);
}
