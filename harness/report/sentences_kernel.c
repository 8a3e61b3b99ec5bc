/* Stage 7: what reports say of kernel jobs, in words. See report/sentences.h. */
#include "report/sentences.h"

#include <math.h>

/* Claims that measurement contradicts, the first of which is said. */
static const json_t *contradicted(const json_t *job) {
    size_t i;
    json_t *claim;
    json_array_foreach(json_object_get(job, "claims"), i, claim) {
        if (json_is_true(json_object_get(claim, "contradicted")))
            return claim;
    }
    return NULL;
}

static void say_algorithm(struct sb_text *text, const json_t *claim) {
    const char *algorithm = sb_text_of(claim, "algorithm"), *note = sb_text_of(claim, "note");
    sb_text_printf(text, "the library says that %s is %s", *algorithm ? algorithm : "its algorithm",
                   sb_text_of(claim, "claim"));
    if (*note)
        sb_text_printf(text, " (%s)", note);
}

void sb_say_alarm(struct sb_text *text, const json_t *job) {
    const json_t *claim = contradicted(job), *accuracy = json_object_get(job, "accuracy");
    if (claim) {
        sb_text_puts(text, "CONTRADICTION: ");
        say_algorithm(text, claim);
        sb_text_puts(text, ", and its results differ from repeat to repeat.");
    }
    if (json_is_true(json_object_get(accuracy, "inaccurate")))
        sb_text_printf(
            text,
            "%sINACCURATE: its error against float64 is %.2g in %s; rounding in any "
            "order of summation makes at most %.2g.",
            claim ? " " : "", json_number_value(json_object_get(accuracy, "max_rel_vs_f64")),
            sb_text_of(accuracy, "run"), json_number_value(json_object_get(accuracy, "tolerance")));
}

void sb_say_calls(struct sb_text *text, const json_t *job) {
    const json_t *calls = json_object_get(job, "calls");
    json_int_t distinct = sb_count_of(calls, "distinct");
    if (distinct > 1) {
        sb_text_printf(text, "%lld calls in one process gave %lld different results (",
                       (long long)sb_count_of(calls, "n"), (long long)distinct);
        sb_say_list(text, json_object_get(calls, "differ_in"), ", ");
        sb_text_puts(text, ").");
    } else if (distinct == 1 && sb_text_is(job, "verdict", "nondeterministic")) {
        sb_text_puts(text, "Calls in one process agreed.");
    }
    size_t i;
    json_t *claim;
    json_array_foreach(json_object_get(job, "claims"), i, claim) {
        if (!sb_text_is(claim, "claim", "nondeterministic") ||
            !sb_text_is(claim, "measured", "same"))
            continue;
        sb_text_puts(text, text->length ? " That " : "That ");
        sb_text_printf(text, "%s is nondeterministic, as the library says, did not show here.",
                       sb_text_of(claim, "algorithm"));
    }
}

void sb_say_accuracy(struct sb_text *text, const json_t *job) {
    const json_t *error = json_object_get(json_object_get(job, "accuracy"), "max_rel_vs_f64");
    if (json_is_number(error))
        sb_text_printf(text, "%.1e", json_number_value(error));
}

/* Has the flag reached what computes? It changed bits, made repeats agree, or was seen there. */
static bool flag_reached(const json_t *job) {
    const json_t *axis = sb_axis_of(job, "deterministic");
    return sb_text_is(axis, "effect", "bits") || sb_text_is(axis, "effect", "none") ||
           json_object_get(json_object_get(job, "unstable_when"), "deterministic");
}

/* Of a flag of which that is not known, a quotient is what chance makes of two equal times; but one
 * that lies twice its spread from 1 is what only a flag makes that has reached. */
static bool is_cost(const json_t *job, const json_t *cost, const json_t *sd) {
    if (!json_is_number(cost) || flag_reached(job))
        return json_is_number(cost);
    return sb_text_is(sb_axis_of(job, "deterministic"), "effect", "unknown") &&
           json_is_number(sd) &&
           fabs(log(json_number_value(cost))) * json_number_value(cost) > 2 * json_number_value(sd);
}

void sb_say_cost(struct sb_text *text, const json_t *job) {
    const json_t *cost = json_object_get(json_object_get(job, "cost"), "deterministic");
    const json_t *sd = json_object_get(json_object_get(job, "cost_sd"), "deterministic");
    if (!is_cost(job, cost, sd))
        return;
    if (json_is_number(sd))
        sb_text_printf(text, "%.2f ± %.2f ×", json_number_value(cost), json_number_value(sd));
    else
        sb_text_printf(text, "%.2f ×", json_number_value(cost));
}
