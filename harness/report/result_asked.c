/* Stage 7: what a suite asked of a job, as far as its runs and their judgement rest on it. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

static json_t *strings_json(struct sb_making *making, char *const *strings, size_t n) {
    json_t *array = sb_new(making, json_array());
    for (size_t i = 0; i < n; i++)
        sb_push(making, array, sb_json_string(strings[i]));
    return array;
}

static json_t *arguments_json(struct sb_making *making, const struct sb_job *job) {
    json_t *json = sb_new(making, json_object());
    for (size_t i = 0; i < job->n_arguments; i++)
        sb_put_named(making, json, job->arguments[i].name, sb_json_string(job->arguments[i].value));
    return json;
}

static json_t *repeats_json(struct sb_making *making, const struct sb_repeats *repeats) {
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "min", json_integer(repeats->min));
    sb_put(making, json, "max", repeats->max ? json_integer(repeats->max) : json_null());
    sb_put(making, json, "exact", json_boolean(repeats->exact));
    sb_put(making, json, "stop_diverged", json_boolean(repeats->stop_diverged));
    return json;
}

static json_t *require_json(struct sb_making *making, const struct sb_job *job) {
    json_t *json = sb_new(making, json_object());
    for (size_t i = 0; i < job->n_require; i++)
        sb_put_named(making, json, job->require[i].axis,
                     json_string(sb_need_names[job->require[i].need]));
    return json;
}

static json_t *tolerance_json(struct sb_making *making, const struct sb_tolerance *tolerance) {
    json_t *json = sb_new(making, json_object());
    const struct {
        const char *key;
        double value;
    } parts[] = {{"rtol", tolerance->rtol}, {"atol", tolerance->atol}, {"ulp", tolerance->ulp}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        sb_put(making, json, parts[i].key,
               parts[i].value < 0 ? json_null() : sb_json_real(parts[i].value));
    return json;
}

static json_t *axis_json(struct sb_making *making, const struct sb_job_axis *axis) {
    json_t *from = sb_new(making, json_array());
    for (size_t i = 0; i < axis->n_levels; i++)
        sb_push(making, from, json_integer(axis->from ? axis->from[i] : (json_int_t)i));
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "name", sb_json_string(axis->name));
    sb_put(making, json, "written", strings_json(making, axis->written, axis->n_written));
    sb_put(making, json, "from", from);
    sb_put(making, json, "in_command", json_boolean(axis->in_command));
    return json;
}

json_t *sb_asked_json(struct sb_making *making, const struct sb_job_plan *plan) {
    const struct sb_job *job = plan->job;
    json_t *axes = sb_new(making, json_array());
    for (size_t i = 0; i < plan->n_axes; i++)
        sb_push(making, axes, axis_json(making, &plan->axes[i]));
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "command",
           job->command ? strings_json(making, job->command, job->n_command) : json_null());
    sb_put(making, json, "arguments", arguments_json(making, job));
    sb_put(making, json, "weights", sb_json_string(job->weights));
    sb_put(making, json, "exclude", strings_json(making, job->exclude, job->n_exclude));
    sb_put(making, json, "include", strings_json(making, job->include, job->n_include));
    sb_put(making, json, "inputs", strings_json(making, job->inputs, job->n_inputs));
    sb_put(making, json, "design", json_string(sb_design_names[job->design]));
    sb_put(making, json, "repeats", repeats_json(making, &job->repeats));
    sb_put(making, json, "require", require_json(making, job));
    sb_put(making, json, "tolerance", tolerance_json(making, &job->tolerance));
    sb_put(making, json, "expect",
           job->expect ? json_string(sb_expect_names[job->expect]) : json_null());
    sb_put(making, json, "axes", axes);
    return json;
}
