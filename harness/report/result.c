/* Stage 7: result.json, built from what the earlier stages found (DESIGN section 7). */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "samebits-config.h"

#include <errno.h>

void sb_put(struct sb_making *making, json_t *object, const char *key, json_t *value) {
    if (!value || json_object_set_new(object, key, value) < 0)
        making->failed = true;
}

void sb_put_named(struct sb_making *making, json_t *object, const char *key, json_t *value) {
    SB_AUTO_JSON json_t *name = sb_json_string(key);
    if (!name)
        json_decref(value);
    sb_put(making, object, name ? json_string_value(name) : "", name ? value : NULL);
}

void sb_push(struct sb_making *making, json_t *array, json_t *value) {
    if (!value || json_array_append_new(array, value) < 0)
        making->failed = true;
}

json_t *sb_new(struct sb_making *making, json_t *container) {
    if (!container)
        making->failed = true;
    return container;
}

static json_t *cell_json(struct sb_making *making, const struct sb_job_plan *plan,
                         const struct sb_cell *cell) {
    json_t *json = sb_new(making, json_object());
    for (size_t i = 0; i < plan->n_axes; i++) {
        if (plan->axes[i].n_levels)
            sb_put_named(making, json, plan->axes[i].name,
                         sb_json_string(plan->axes[i].levels[cell->level[i]]));
    }
    return json;
}

/* Of what a verdict cannot rest on; null of the others. */
static json_t *degenerate_json(const struct sb_run *run) {
    const char *what = run->all_zero    ? "zero"
                       : run->all_nan   ? "nan"
                       : run->untrained ? "untrained"
                                        : NULL;
    return run->status == SB_STATUS_OK ? sb_json_string(what) : json_null();
}

static json_t *run_json(struct sb_making *making, const struct sb_result_input *input,
                        const struct sb_run *run) {
    const struct sb_job_plan *plan = &input->plan->jobs[run->job];
    SB_AUTO_FREE char *log = sb_format("logs/%s.log", run->id);
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "id", sb_json_string(run->id));
    sb_put(making, json, "job", sb_json_string(plan->job->name));
    sb_put(making, json, "job_id", sb_json_string(plan->job->id));
    sb_put(making, json, "cell", cell_json(making, plan, &plan->cells[run->cell]));
    sb_put(making, json, "repeat", json_integer(run->repeat));
    sb_put(making, json, "status", json_string(sb_status_names[run->status]));
    if (run->lost)
        sb_put(making, json, "lost", json_true());
    sb_put(making, json, "message", sb_json_string(run->message));
    sb_put(making, json, "exit", run->exit_code >= 0 ? json_integer(run->exit_code) : json_null());
    sb_put(making, json, "signal", run->signal ? json_integer(run->signal) : json_null());
    sb_put(making, json, "fingerprint", sb_json_string(run->fingerprint));
    sb_put(making, json, "sum", run->fingerprint ? sb_json_real(run->sum) : json_null());
    sb_put(making, json, "degenerate", degenerate_json(run));
    sb_put(making, json, "wall_s", sb_json_real(run->wall_s));
    sb_put(making, json, "cpu_s", sb_json_real(run->cpu_s));
    sb_put(making, json, "max_rss_kb", json_integer(run->max_rss_kb));
    sb_put(making, json, "observed", sb_observed_json(making, plan, run));
    sb_put(making, json, "log", log ? sb_json_string(log) : NULL);
    return json;
}

/* DESIGN section 3: 1 wins over 77, 2 wins over 1. */
static int exit_code(const struct sb_result_input *input, const bool *seen) {
    if (input->interrupted)
        return 130;
    if (seen[SB_OUTCOME_ERROR])
        return 2;
    if (seen[SB_OUTCOME_FAIL])
        return 1;
    bool tested = seen[SB_OUTCOME_PASS] || seen[SB_OUTCOME_XFAIL] || seen[SB_OUTCOME_XPASS];
    return tested ? 0 : 77;
}

static const char *outcome_of(int code) {
    static const struct {
        int code;
        const char *outcome;
    } outcomes[] = {{0, "pass"}, {1, "fail"}, {77, "skipped"}};
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        if (outcomes[i].code == code)
            return outcomes[i].outcome;
    }
    return "error";
}

static json_t *isolation_json(struct sb_making *making, const struct sb_result_input *input) {
    json_t *isolation = sb_new(making, json_object());
    sb_put(making, isolation, "mode", json_string(sb_isolation_names[input->isolation]));
    sb_put(making, isolation, "shared", sb_json_strings(input->shared));
    return isolation;
}

static json_t *tool_json(struct sb_making *making) {
    json_t *tool = sb_new(making, json_object());
    sb_put(making, tool, "version", json_string(SB_VERSION));
    sb_put(making, tool, "git_commit", json_string(SB_GIT_COMMIT));
    return tool;
}

static json_t *document(struct sb_making *making, const struct sb_result_input *input) {
    bool seen[SB_N_OUTCOMES] = {false};
    json_t *jobs = sb_new(making, json_array());
    for (size_t i = 0; i < input->n_jobs; i++) {
        enum sb_outcome outcome;
        sb_push(making, jobs, sb_job_json(making, &input->jobs[i], &outcome));
        seen[outcome] = true;
    }
    json_t *runs = sb_new(making, json_array());
    for (size_t i = 0; i < input->n_runs; i++)
        sb_push(making, runs, run_json(making, input, &input->runs[i]));
    int code = exit_code(input, seen);
    json_t *result = sb_new(making, json_object());
    sb_put(making, result, "schema", json_string("samebits.result/1"));
    sb_put(making, result, "tool", tool_json(making));
    sb_put(making, result, "suite", sb_json_string(input->suite->path));
    sb_put(making, result, "started", sb_json_string(input->started));
    sb_put(making, result, "elapsed_s", sb_json_real(input->elapsed_s));
    sb_put(making, result, "outcome", json_string(outcome_of(code)));
    sb_put(making, result, "exit_code", json_integer(code));
    sb_put(making, result, "isolation", isolation_json(making, input));
    sb_put(making, result, "manifest",
           input->manifest ? json_incref(input->manifest) : json_null());
    sb_put(making, result, "jobs", jobs);
    sb_put(making, result, "runs", runs);
    if (making->refer)
        sb_put(making, result, "lists", json_incref(making->seen));
    return result;
}

int sb_result_build(const struct sb_result_input *input, json_t **result, struct sb_error *err) {
    /* A run that says all of itself is easier to read, while the whole stays small. */
    enum { MOST_REPEATED = 1000 };
    struct sb_making making = {
        .seen = json_object(), .refer = input->n_runs > MOST_REPEATED, .lists = input->lists};
    json_t *made = document(&making, input);
    json_decref(making.seen);
    if (making.failed) {
        json_decref(made);
        return sb_error_errno(err, -ENOMEM, "result.json");
    }
    *result = made;
    return 0;
}
