/* cli: the operation of a Python framework by which runs part, where a trace of calls between
 * libraries sees too little: the helper is brought into the unmodified program, as for
 * --inject-seeds, and traces by itself. See cli/explain.h. */
#include "cli/explain_again.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/json.h"
#include "base/trace.h"
#include "cli/inject.h"
#include "cli/progress.h"
#include "report/result.h"

#include <samebits/compare.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char by_operations[] = "framework operations";

/* Parts of the names of libraries. Whose kernels are linked in, and what has a compiler of its
 * own, without an operation that anyone could watch. */
static const char *const frameworks[] = {"libtorch", "libtensorflow", "libjax"};
static const char compiled[] = "libjax";

struct operations {
    struct sb_explanation *explanation;
    const struct sb_knobs *knobs;
    const struct sb_experiment *plain;
    struct sb_experiment made;
    struct sb_parting parting;
    bool parts;
    char *search; /* of Python */
    char *why;    /* nothing came of it; malloc'd, NULL: something did */
};

/* ---- Is it to be asked? -----------------------------------------------------------------------
 */

/* A run that shows what the program is. */
static const struct sb_observation *seen_of(const struct sb_experiment *plain) {
    const struct sb_schedule_result *result = &plain->result;
    for (size_t i = 0; i < result->n_runs; i++) {
        if (result->runs[i].status == SB_STATUS_OK)
            return &result->runs[i].seen;
    }
    return NULL;
}

static bool has_operations(const struct sb_observation *seen) {
    bool any = false;
    for (size_t i = 0; i < sizeof frameworks / sizeof *frameworks; i++)
        any |= sb_explain_has_library(seen, frameworks[i]);
    return any && sb_explain_is_python(seen);
}

/* Of an axis the calls between libraries were traced already. */
static bool saw_enough(const json_t *cause) {
    const json_t *share = json_object_get(json_object_get(cause, "traced"), "cpu_share");
    return json_is_object(json_object_get(cause, "culprit")) && json_is_number(share) &&
           json_number_value(share) >= 0.5;
}

/* With two runs more, which take longer than those without. */
static bool has_time(const struct operations *operations) {
    enum { AT_LEAST = 2, LONGER = 2 };
    const struct sb_search_bounds *bounds = operations->explanation->bounds;
    const struct sb_schedule_result *result = &operations->plain->result;
    double longest = 0, spent = sb_monotonic() - bounds->began;
    for (size_t i = 0; i < result->n_runs; i++)
        longest = fmax(longest, result->runs[i].wall_s);
    return !bounds->over && (!bounds->runs || bounds->made + AT_LEAST <= bounds->runs) &&
           (bounds->seconds <= 0 || spent + LONGER * longest <= bounds->seconds);
}

static char *no_time_text(void) {
    return strdup(
        "no time was left for a trace by framework operation: a larger --time or --runs "
        "has it");
}

/* ---- Runs with the helper in them -------------------------------------------------------------
 */

static int add_knobs(const struct operations *operations, struct sb_knobs *knobs) {
    const struct sb_request *request = &operations->explanation->restored->request;
    int rc = 0;
    for (size_t i = 0; i < operations->knobs->n && rc == 0; i++) {
        const struct sb_knob *knob = &operations->knobs->items[i];
        rc = sb_knobs_add(knobs, knob->axis, knob->levels[0], knob->levels[1]);
    }
    if (rc == 0)
        rc = sb_knobs_add(knobs, "env:" SB_INJECT_SEARCH, operations->search, NULL);
    if (rc == 0)
        rc = sb_knobs_add(knobs, "env:" SB_INJECT_WHAT,
                          request->inject ? "seeds,operations" : "operations", NULL);
    return rc;
}

static bool any_failed(struct operations *operations) {
    const struct sb_schedule_result *result = &operations->made.result;
    for (size_t i = 0; i < result->n_runs; i++) {
        const struct sb_run *run = &result->runs[i];
        if (run->status == SB_STATUS_OK)
            continue;
        operations->why = sb_format(
            "with a trace by framework operation in it the program does not end well "
            "(%s%s%s), so there is none",
            sb_status_names[run->status], run->message ? ": " : "",
            run->message ? run->message : "");
        return true;
    }
    return false;
}

/* The helper must not change what is to be explained. */
static bool same_bits(const struct operations *operations) {
    uint64_t varied = sb_explain_varied(operations->knobs);
    for (size_t side = 0; side < 2; side++) {
        struct sb_cell_runs a = sb_explain_runs_at(operations->plain, side ? varied : 0),
                            b = sb_explain_runs_at(&operations->made, side ? varied : 0);
        if (!a.fingerprint || !b.fingerprint || strcmp(a.fingerprint, b.fingerprint) != 0)
            return false;
    }
    return true;
}

static void check(struct operations *operations) {
    bool axis = sb_explain_varied(operations->knobs) != 0;
    struct sb_cell_runs runs = sb_explain_runs_at(&operations->made, 0);
    if (any_failed(operations))
        return;
    if (axis && !same_bits(operations))
        operations->why = strdup(
            "a trace by framework operation changes the program's bits, so "
            "there is none");
    else if (!axis && runs.distinct < 2)
        operations->why = sb_format(
            "%u runs with a trace by framework operation had the same "
            "bits, so it shows nothing",
            runs.good);
}

static int make_runs(struct operations *operations, struct sb_error *err) {
    struct sb_explanation *explanation = operations->explanation;
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    char **environment = sb_request_environment(&explanation->restored->request);
    struct sb_error missing = {0};
    if (sb_inject_search(environment, &operations->search, &missing) < 0) {
        operations->why = sb_format("no trace by framework operation: %s", missing.text);
        return 0;
    }
    int rc = add_knobs(operations, &knobs);
    if (rc < 0)
        return sb_error_errno(err, rc, "axes");
    rc = sb_explain_varied(&knobs) ? sb_explain_run_cells(explanation, &knobs, SB_DESIGN_FULL, NULL,
                                                          1, true, &operations->made, err)
                                   : sb_explain_run_until_two_differ(explanation, &knobs, NULL,
                                                                     true, &operations->made, err);
    if (rc < 0 || sb_interrupted)
        return rc;
    check(operations);
    /* The cause is known without: a bound that is reached here leaves nothing unfinished. */
    if (operations->why && explanation->bounds->over) {
        free(operations->why);
        operations->why = no_time_text();
    }
    explanation->unfinished = false;
    return rc;
}

/* ---- What they show ---------------------------------------------------------------------------
 */

static bool is_of_library(const char *backend) {
    return strstr(backend, ".so") != NULL;
}

static bool is_of_torch(const char *backend) {
    return strcmp(backend, "torch") == 0 || strncmp(backend, "torch+", 6) == 0;
}

/* Did the helper note anything? */
static bool has_noted(const struct operations *operations) {
    SB_AUTO_FREE char *path =
        sb_explain_log_file(&operations->made, operations->parting.a, "trace");
    struct sb_trace_reader *reader;
    struct sb_trace_record record;
    bool noted = false;
    if (!path || sb_trace_reader_open(path, &reader, NULL) < 0)
        return false;
    while (!noted && sb_trace_read(reader, &record, NULL) == 1)
        noted = !is_of_library(record.backend) && strcmp(record.backend, "sb_trace") != 0;
    sb_trace_reader_close(reader);
    return noted;
}

static void find(struct operations *operations) {
    bool jax = sb_explain_has_library(seen_of(operations->plain), compiled);
    operations->parts = sb_parting_find(&operations->made, &operations->parting);
    if (!operations->parts)
        operations->why = strdup("traces by framework operation could not be compared");
    else if (!has_noted(operations))
        operations->why = strdup(
            jax ? "JAX and tf.function compile whole steps, and no Keras model was fitted: what is "
                  "inside shows where the script says so (samebits.trace of python/samebits.py)"
                : "of the framework no operation was seen: what is inside shows where the script "
                  "says so (samebits.trace of python/samebits.py)");
}

/* Is it that one? It is known without: a bound that is reached here leaves nothing unfinished. */
static int confirm(struct operations *operations, json_t *culprit, struct sb_error *err) {
    struct sb_explanation *explanation = operations->explanation;
    const char *backend = operations->parting.divergence.culprit.backend;
    int rc = 0;
    if (is_of_library(backend))
        rc = sb_explain_confirm(explanation, operations->knobs, &operations->made,
                                &operations->parting, culprit, err);
    else if (is_of_torch(backend))
        rc = sb_explain_confirm_operation(explanation, operations->knobs, &operations->made,
                                          &operations->parting, culprit, err);
    if (rc == 0 && explanation->unfinished && !sb_interrupted) {
        operations->why = strdup(
            "no time was left to make it again by itself: a larger --time or "
            "--runs has it");
        explanation->unfinished = false;
    }
    return rc;
}

/* The first in both traces together is the culprit; but a weight is none, where a call is known. */
static int name_culprit(struct operations *operations, json_t *cause, struct sb_error *err) {
    const struct sb_divergent_call *call = &operations->parting.divergence.culprit;
    const json_t *known = json_object_get(cause, "culprit");
    if (!call->seq)
        return 0;
    if (json_is_object(known) &&
        (is_of_library(call->backend) || sb_trace_has_weights(call->backend)))
        return 0;
    json_t *culprit = sb_divergent_call_json(call);
    if (!culprit || json_object_set_new(cause, "culprit", culprit) < 0)
        return sb_error_errno(err, -ENOMEM, "culprit");
    return confirm(operations, culprit, err);
}

/* Of the weights that the helper kept in both runs; null where it kept none. */
static json_t *growth_json(const struct operations *operations) {
    const struct sb_job *job = &operations->made.job;
    const struct sb_weights_options options = {.threads = sb_count_allowed_cpus()};
    char *paths[2] = {sb_explain_log_file(&operations->made, operations->parting.a, "safetensors"),
                      sb_explain_log_file(&operations->made, operations->parting.b, "safetensors")};
    struct sb_comparison comparison = {0};
    struct sb_making making = {0};
    json_t *growth = NULL;
    if (paths[0] && paths[1] && access(paths[0], R_OK) == 0 && access(paths[1], R_OK) == 0) {
        struct sb_weights_files files[2];
        for (size_t i = 0; i < 2; i++)
            files[i] = (struct sb_weights_files){.paths = &paths[i], .n = 1};
        if (sb_compare_files(&files[1], &files[0], &options, &job->tolerance, &comparison, NULL) ==
            0)
            growth = sb_growth_json(&making, &comparison);
        sb_comparison_clear(&comparison);
    }
    free(paths[0]);
    free(paths[1]);
    return growth ? growth : json_null();
}

static int take_over(struct operations *operations, json_t *cause, struct sb_error *err) {
    if (!json_object_get(cause, "culprit"))
        json_object_set_new(cause, "culprit", json_null());
    sb_explain_traced(cause, &operations->made, by_operations);
    json_object_set_new(cause, "growth", growth_json(operations));
    int rc = name_culprit(operations, cause, err);
    if (rc == 0 && !operations->parting.divergence.culprit.seq)
        operations->why = strdup(
            "no operation has equal inputs and another output: what differs was not made by one");
    return rc;
}

static void put_note(json_t *cause, const char *why) {
    json_t *traced = json_object_get(cause, "traced");
    if (!traced)
        json_object_set_new(cause, "traced", traced = json_object());
    json_object_set_new(traced, "note", sb_json_string(why));
}

int sb_explain_operations(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                          const struct sb_experiment *plain, json_t *cause, bool *answered,
                          struct sb_error *err) {
    struct operations operations = {.explanation = explanation, .knobs = knobs, .plain = plain};
    const struct sb_observation *seen = seen_of(plain);
    *answered = false;
    if (!sb_explain_can_trace(explanation) || explanation->unfinished || !seen ||
        !has_operations(seen) || saw_enough(cause) ||
        sb_knobs_find(knobs, "env:" SB_INJECT_SEARCH)) /* which the question is about */
        return 0;
    int rc = 0;
    if (!has_time(&operations))
        operations.why = no_time_text();
    else
        rc = make_runs(&operations, err);
    if (rc == 0 && !operations.why && !explanation->unfinished)
        find(&operations);
    if (rc == 0 && !operations.why && !explanation->unfinished) {
        *answered = true;
        rc = take_over(&operations, cause, err);
    }
    if (operations.why)
        put_note(cause, operations.why);
    if (operations.parts)
        sb_parting_clear(&operations.parting);
    sb_experiment_close(&operations.made);
    free(operations.search);
    free(operations.why);
    return rc;
}
