/* Stage 7: what kernel jobs add: results that differ within a process, what libraries claim of
 * their algorithms against what was measured, and the error against float64. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

/* A number of the worker's report, NAN where there is none. */
static double number_of(const struct sb_run *run, const char *object, const char *key) {
    const json_t *number = json_object_get(json_object_get(run->seen.worker, object), key);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

double sb_call_seconds(const struct sb_run *run) {
    return number_of(run, "calls", "seconds");
}

/* Did two calls in this run's process give different bits? */
static bool differs_within(const struct sb_run *run) {
    return number_of(run, "calls", "distinct") > 1;
}

json_t *sb_calls_json(struct sb_making *making, const struct sb_job_result *job) {
    enum { MOST_LISTED = 8 };
    double calls = 0, distinct = 0;
    json_t *differ = sb_new(making, json_array());
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status != SB_STATUS_OK || isnan(number_of(run, "calls", "n")))
            continue;
        calls = fmax(calls, number_of(run, "calls", "n"));
        distinct = fmax(distinct, number_of(run, "calls", "distinct"));
        if (differs_within(run) && json_array_size(differ) < MOST_LISTED)
            sb_push(making, differ, sb_json_string(run->id));
    }
    if (calls == 0) {
        json_decref(differ);
        return json_null();
    }
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "n", json_integer((json_int_t)calls));
    sb_put(making, json, "distinct", json_integer((json_int_t)distinct));
    sb_put(making, json, "differ_in", differ);
    return json;
}

/* ---- Claims ----------------------------------------------------------------------------------
 */

static bool is_unstable(const struct sb_job_result *job, const struct sb_run *run) {
    const struct sb_analysis *analysis = job->analysis;
    bool cell = analysis && analysis->unstable_cells &&
                analysis->unstable_cells[run->cell / 64] >> run->cell % 64 & 1;
    return cell || differs_within(run);
}

/* Two runs that used one algorithm under one claim share an entry. */
static json_t *find_claim(const json_t *claims, const json_t *said) {
    static const char *const keys[] = {"algorithm", "claim", "note"};
    size_t i;
    json_t *entry;
    json_array_foreach(claims, i, entry) {
        bool same = true;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            same &=
                json_equal(json_object_get(entry, keys[k]), json_object_get(said, keys[k])) != 0;
        if (same)
            return entry;
    }
    return NULL;
}

static json_t *add_claim(struct sb_making *making, json_t *claims, const json_t *said,
                         const char *id) {
    json_t *entry = sb_new(making, json_object());
    sb_put(making, entry, "algorithm", json_deep_copy(json_object_get(said, "algorithm")));
    sb_put(making, entry, "claim", json_deep_copy(json_object_get(said, "claim")));
    sb_put(making, entry, "note", json_deep_copy(json_object_get(said, "note")));
    sb_put(making, entry, "run", sb_json_string(id));
    sb_put(making, entry, "measured", json_string("same"));
    sb_put(making, entry, "contradicted", json_false());
    sb_push(making, claims, entry);
    return entry;
}

/* "Deterministic" against repeats that differ is a contradiction; the reverse only means that it
 * did not show here. */
json_t *sb_claims_json(struct sb_making *making, const struct sb_job_result *job) {
    json_t *claims = sb_new(making, json_array());
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        const json_t *said = json_object_get(run->seen.worker, "claim");
        if (run->status != SB_STATUS_OK || !json_is_object(said))
            continue;
        json_t *entry = find_claim(claims, said);
        if (!entry)
            entry = add_claim(making, claims, said, run->id);
        if (!entry || !is_unstable(job, run))
            continue;
        const char *claim = json_string_value(json_object_get(said, "claim"));
        sb_put(making, entry, "measured", json_string("differs"));
        if (claim && strcmp(claim, "deterministic") == 0)
            sb_put(making, entry, "contradicted", json_true());
    }
    return claims;
}

/* ---- Accuracy ---------------------------------------------------------------------------------
 */

json_t *sb_accuracy_json(struct sb_making *making, const struct sb_job_result *job) {
    const struct sb_run *worst = NULL;
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK && !isnan(run->accuracy) &&
            !(worst && worst->accuracy >= run->accuracy))
            worst = run;
    }
    if (!worst)
        return json_null();
    double tolerance = number_of(worst, "accuracy", "tolerance");
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "max_rel_vs_f64", sb_json_real(worst->accuracy));
    sb_put(making, json, "tolerance", sb_json_real(tolerance));
    sb_put(making, json, "run", sb_json_string(worst->id));
    sb_put(making, json, "inaccurate", json_boolean(worst->accuracy > tolerance));
    return json;
}
