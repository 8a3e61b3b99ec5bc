/* Stage 7: what traces say of a job: the culprit, and in sentences what else they show. */
#include "attribute/divergence.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "report/result.h"

#include <samebits/weights.h>

#include <math.h>
#include <stdlib.h>

/* "sgemm 256x256x784 f32" */
static char *call_text(const struct sb_divergent_call *call) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, call->kernel);
    for (size_t i = 0; i < call->n_sizes; i++)
        sb_text_printf(&text, "%c%llu", i ? 'x' : ' ', (unsigned long long)call->sizes[i]);
    if (call->dtype < SB_N_DTYPES)
        sb_text_printf(&text, " %s", sb_dtype_names[call->dtype]);
    return text.failed ? NULL : sb_text_take(&text);
}

json_t *sb_divergent_call_json(const struct sb_divergent_call *call) {
    SB_AUTO_FREE char *text = call_text(call);
    return text ? json_pack("{s:o, s:I, s:o, s:o, s:s, s:s, s:i, s:o, s:i}", "step",
                            call->step ? json_integer(call->step) : json_null(), "seq",
                            (json_int_t)call->seq, "kernel", sb_json_string(call->kernel),
                            "backend", sb_json_string(call->backend), "call", text, "status",
                            "suspected", "process", (int)call->process, "program",
                            sb_json_string(call->program), "thread", (int)call->thread)
                : NULL;
}

json_t *sb_culprit_json(struct sb_making *making, const struct sb_job_result *job) {
    const struct sb_divergent_call *call = job->divergence ? &job->divergence->culprit : NULL;
    return call && call->seq ? sb_new(making, sb_divergent_call_json(call)) : json_null();
}

/* ---- Sentences --------------------------------------------------------------------------------
 */

static void push(struct sb_making *making, json_t *notes, char *text) {
    making->failed |= !text;
    sb_push(making, notes, sb_json_string(text));
    free(text);
}

static void say_divergence(struct sb_making *making, const struct sb_divergence *divergence,
                           json_t *notes) {
    const struct sb_divergent_call *culprit = &divergence->culprit, *other = &divergence->other;
    SB_AUTO_FREE char *call = culprit->seq ? call_text(culprit) : NULL;
    SB_AUTO_FREE char *before = other->seq ? call_text(other) : NULL;
    bool after = other->seq && (!culprit->seq || other->seq < culprit->seq);
    if (!divergence->calls[0] && !divergence->calls[1])
        push(making, notes, sb_format("no call was traced: what differs is not seen"));
    else if (!culprit->seq && !other->seq)
        push(making, notes,
             sb_format("each of %llu traced calls is the same in both witnesses: what differs is "
                       "not traced",
                       (unsigned long long)divergence->calls[0]));
    if (culprit->seq)
        push(making, notes,
             sb_format("call %llu, %s of %s, is the first with equal inputs and other outputs",
                       (unsigned long long)culprit->seq, call ? call : "?", culprit->backend));
    if (after)
        push(
            making, notes,
            sb_format("call %llu, %s of %s, had other inputs%s: data, a seed, an order, or what is "
                      "not traced made a difference before it",
                      (unsigned long long)other->seq, before ? before : "?", other->backend,
                      culprit->seq ? " already" : ""));
}

/* NAN where no run has one. */
static double least_share(const struct sb_job_result *job, json_int_t *lost) {
    double least = NAN;
    *lost = 0;
    for (size_t i = 0; i < job->n_runs; i++) {
        const json_t *trace = job->runs[i]->seen.trace;
        const json_t *share = json_object_get(trace, "cpu_share");
        if (json_is_real(share) && !(least <= json_real_value(share)))
            least = json_real_value(share);
        *lost += json_integer_value(json_object_get(trace, "lost"));
    }
    return least;
}

static bool any_traced(const struct sb_job_result *job) {
    for (size_t i = 0; i < job->n_runs; i++) {
        if (job->runs[i]->seen.trace)
            return true;
    }
    return false;
}

json_t *sb_trace_json(struct sb_making *making, const struct sb_job_result *job) {
    const struct sb_divergence *divergence = job->divergence;
    if (!any_traced(job))
        return json_null();
    json_t *json = sb_new(making, json_object()), *notes = sb_new(making, json_array());
    json_t *calls = divergence ? sb_new(making, json_array()) : json_null();
    for (size_t side = 0; divergence && side < 2; side++)
        sb_push(making, calls, json_integer((json_int_t)divergence->calls[side]));
    json_int_t lost;
    double share = least_share(job, &lost);
    sb_put(making, json, "calls", calls);
    sb_put(making, json, "cpu_share", isnan(share) ? json_null() : sb_json_real(share));
    if (divergence)
        say_divergence(making, divergence, notes);
    if (job->no_divergence)
        sb_push(making, notes, sb_json_string(job->no_divergence));
    if (share < 0.5)
        push(making, notes,
             sb_format("traced calls took %.0f%% of a run's CPU time: most of its work was not "
                       "seen",
                       100 * share));
    if (lost)
        push(making, notes, sb_format("%lld calls could not be traced", (long long)lost));
    sb_put(making, json, "notes", notes);
    return json;
}
