/* Stage 7: what `samebits explain` found, in words. See report/sentences.h. */
#include "report/sentences.h"

#include "base/cleanup.h"
#include "base/trace.h"

#include <stdlib.h>
#include <string.h>

static void begin_line(struct sb_text *text) {
    sb_text_puts(text, text->length ? "\n  " : "  ");
}

static void say_runs(struct sb_text *text, const json_t *runs) {
    json_int_t distinct = sb_count_of(runs, "distinct");
    begin_line(text);
    sb_text_printf(text, "%s: %lld runs, %lld result%s", sb_text_of(runs, "setting"),
                   (long long)sb_count_of(runs, "runs"), (long long)distinct,
                   distinct == 1 ? "" : "s");
}

/* Is it a cause that shows in what kernels compute? Others change what goes into them. */
static bool is_of_kernels(const json_t *cause) {
    static const char *const sources[] = {"threads", "isa", "schedule", "deterministic"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (sb_text_is(cause, "source", sources[i]))
            return true;
    }
    return false;
}

/* The innermost frame in the folder that the job runs in, of all; json_array_size: there is none.
 */
static size_t own_frame(const json_t *frames, const char *directory) {
    size_t n = strlen(directory), i = 0;
    for (; i < json_array_size(frames); i++) {
        const char *frame = sb_text_at(frames, i);
        if (n && strncmp(frame, directory, n) == 0 && frame[n] == '/')
            break;
    }
    return i;
}

/* "train.py:12 in step" of a frame in that folder. */
static const char *within(const json_t *frames, size_t own, const char *directory) {
    return sb_text_at(frames, own) + strlen(directory) + 1;
}

/* Who called, and where the program's own folder asked for that: what a framework does, and why. */
static void say_callers(struct sb_text *text, const json_t *frames, const char *directory) {
    size_t own = own_frame(frames, directory);
    begin_line(text);
    sb_text_puts(text, "called by ");
    if (own > 0)
        sb_text_puts(text, sb_text_at(frames, 0));
    if (own < json_array_size(frames))
        sb_text_printf(text, "%s%s", own ? ", from " : "", within(frames, own, directory));
}

/* Weights are no call: of those the first that differ are told. */
static void say_call(struct sb_text *text, const json_t *culprit) {
    const char *call = sb_text_of(culprit, "call"), *backend = sb_text_of(culprit, "backend");
    const json_t *step = json_object_get(culprit, "step");
    begin_line(text);
    if (!sb_trace_has_weights(backend))
        sb_text_printf(
            text,
            "first call whose inputs are equal and whose output is not: %s of %s, call %lld "
            "(%s)",
            call, backend, (long long)sb_count_of(culprit, "seq"), sb_text_of(culprit, "status"));
    else if (json_is_integer(step))
        sb_text_printf(text, "first weights that differ: %s, after step %lld", call,
                       (long long)json_integer_value(step));
    else
        sb_text_printf(text, "first weights that differ: %s, before the first step", call);
}

static bool loads_a_module(const char *frame) {
    static const char loads[] = "<frozen importlib";
    return strncmp(frame, loads, strlen(loads)) == 0;
}

enum sb_asker sb_asker_of(const json_t *frames, const char *directory, const char **by) {
    size_t own = own_frame(frames, directory);
    *by = sb_text_at(frames, 0);
    if (own == json_array_size(frames))
        return loads_a_module(*by) ? SB_ASKER_START : SB_ASKER_LIBRARY;
    *by = within(frames, own, directory);
    for (size_t i = 0; i < own; i++) {
        if (loads_a_module(sb_text_at(frames, i)))
            return SB_ASKER_IMPORT;
    }
    return SB_ASKER_PROGRAM;
}

static void add_once(struct sb_strings *list, char *text) {
    if (text && !sb_strings_contain(list, text))
        sb_strings_take(list, text);
    else
        free(text);
}

/* Where a source is asked for: lines of the program itself, or else what called; imports last,
 * together. */
static void say_asked(struct sb_text *text, const json_t *cause, const char *directory) {
    enum { MOST = 4 };
    SB_AUTO_STRINGS struct sb_strings places = {0};
    SB_AUTO_STRINGS struct sb_strings imports = {0};
    size_t i;
    json_t *place;
    json_array_foreach(json_object_get(cause, "asked"), i, place) {
        const char *by;
        if (sb_asker_of(json_object_get(place, "frames"), directory, &by) == SB_ASKER_IMPORT)
            add_once(&imports, strndup(by, strcspn(by, " ")));
        else
            add_once(&places, sb_format("%s (%s)", by, sb_text_of(place, "call")));
    }
    for (i = 0; i < places.n && i < MOST; i++) {
        begin_line(text);
        sb_text_printf(text, "asked for by %s", places.items[i]);
    }
    if (imports.n) {
        begin_line(text);
        sb_text_printf(text, "asked for by what is imported%s: ", places.n ? ", too" : "");
    }
    for (i = 0; i < imports.n; i++)
        sb_text_printf(text, "%s%s", i ? ", " : "", imports.items[i]);
}

/* How far what was traced can be relied on. */
static void say_share(struct sb_text *text, const json_t *cause, bool found) {
    const json_t *traced = json_object_get(cause, "traced");
    const json_t *share = json_object_get(traced, "cpu_share");
    double percent = 100 * json_number_value(share);
    const char *note = sb_text_of(traced, "note");
    if (sb_text_is(traced, "by", "framework operations") && json_is_number(share)) {
        begin_line(text);
        sb_text_printf(text,
                       "traced by framework operation: %.0f%% of the CPU time, the start included",
                       percent);
    }
    if (*note) {
        begin_line(text);
        sb_text_puts(text, note);
    } else if (!found && is_of_kernels(cause) && json_is_number(share) && percent < 50) {
        begin_line(text);
        if (percent < 0.5)
            sb_text_puts(text,
                         "no call is named: it makes none that a trace sees (of BLAS, CUDA's "
                         "libraries, MPI)");
        else
            sb_text_printf(text,
                           "a trace sees %.0f%% of the CPU time: kernels that are linked in stay "
                           "unseen",
                           percent);
        sb_text_puts(text,
                     "; points of the program's own show more (samebits/trace.h, "
                     "python/samebits.py)");
    }
}

/* Where the bits part, as far as traces of the runs show it. */
static void say_culprit(struct sb_text *text, const json_t *cause, const char *directory) {
    const json_t *culprit = json_object_get(cause, "culprit");
    const json_t *frames = json_object_get(culprit, "frames");
    bool found = json_is_object(culprit);
    if (found)
        say_call(text, culprit);
    if (json_array_size(frames))
        say_callers(text, frames, directory);
    say_share(text, cause, found);
    SB_AUTO_TEXT struct sb_text growth = {0};
    if (sb_say_growth(&growth, "the difference", cause)) {
        begin_line(text);
        sb_text_puts(text, growth.data);
    }
}

void sb_say_cause(struct sb_text *text, const json_t *cause, const char *directory) {
    const json_t *evidence = json_object_get(cause, "evidence");
    const json_t *alternatives = json_object_get(cause, "alternatives");
    sb_text_printf(text, "%s%s (%s", text->length ? "\n" : "", sb_text_of(cause, "source"),
                   sb_text_of(cause, "status"));
    for (size_t i = 0; i < json_array_size(alternatives); i++)
        sb_text_printf(text, "%s%s", i ? ", " : "; also cured by ", sb_text_at(alternatives, i));
    sb_text_putc(text, ')');
    if (json_is_object(evidence)) {
        say_runs(text, json_object_get(evidence, "without"));
        say_runs(text, json_object_get(evidence, "with"));
    }
    say_culprit(text, cause, directory);
    say_asked(text, cause, directory);
    double luck = json_number_value(json_object_get(evidence, "luck"));
    if (luck > 0) {
        begin_line(text);
        sb_text_printf(text, "agreement by luck: %.2g at the rate seen", luck);
    }
    const char *fix = sb_text_of(cause, "fix");
    if (*fix) {
        begin_line(text);
        sb_text_printf(text, "fix: %s", fix);
    }
}

void sb_say_explained(struct sb_text *text, const json_t *explained) {
    const json_t *causes = json_object_get(explained, "causes");
    const char *open = sb_text_of(explained, "open"), *changed = sb_text_of(explained, "changed");
    size_t i;
    json_t *cause;
    if (*changed)
        sb_text_printf(text,
                       "true of the program as it was later: changed since this result was "
                       "made: %s",
                       changed);
    json_array_foreach(causes, i, cause)
        sb_say_cause(text, cause, sb_text_of(explained, "directory"));
    if (*open || json_is_true(json_object_get(explained, "unfinished")))
        sb_text_printf(text, "%s%s", text->length ? "\n" : "",
                       *open ? open : "not finished: samebits explain goes on");
}
