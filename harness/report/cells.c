/* Stage 7: what stands in the matrix and below it, in words. See report/sentences.h. */
#include "report/sentences.h"

#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const char sb_bound_legend[] =
    "(< N%): with 95% confidence fewer than N% of further runs would differ";

enum sb_tone sb_say_repeats(struct sb_text *text, const json_t *job) {
    json_int_t failed = sb_count_of(job, "failed");
    json_int_t replays = sb_count_of(json_object_get(job, "confidence"), "replays");
    bool differs = sb_text_is(job, "verdict", "nondeterministic");
    if (sb_text_is(job, "verdict", "skipped")) {
        sb_text_puts(text, "·");
        return SB_TONE_DIM;
    }
    if (differs || failed) {
        sb_text_puts(text, differs ? "≠ differs" : "");
        if (failed)
            sb_text_printf(text, "%s✗ %lld failed", differs ? ", " : "", (long long)failed);
        return SB_TONE_BAD;
    }
    sb_text_puts(text, replays ? "= same" : "? once");
    return replays ? SB_TONE_GOOD : SB_TONE_WARN;
}

/* "0=1|2": levels that are alike joined by =, classes by |; "0,1,2" where none were compared. What
 * is longer than `most` is counted. */
static void add_levels(struct sb_text *text, const json_t *axis, size_t most) {
    const json_t *classes = json_object_get(axis, "classes");
    const json_t *levels = json_object_get(axis, "levels");
    SB_AUTO_TEXT struct sb_text list = {0};
    bool none = json_is_false(json_object_get(axis, "compared"));
    size_t n_classes = none ? 0 : json_array_size(classes);
    for (size_t i = 0; i < n_classes; i++) {
        sb_text_puts(&list, i ? "|" : "");
        sb_say_list(&list, json_array_get(classes, i), "=");
    }
    if (!n_classes)
        sb_say_list(&list, levels, ",");
    if (list.data && sb_text_columns(list.data) <= most)
        sb_text_puts(text, list.data);
    else if (n_classes > 1)
        sb_text_printf(text, "%zu classes", n_classes);
    else
        sb_text_printf(text, "%zu levels", json_array_size(levels));
}

enum sb_tone sb_say_axis(struct sb_text *text, const json_t *job, const json_t *axis, size_t most) {
    static const struct {
        const char *effect, *glyph, *word;
        enum sb_tone tone;
    } effects[] = {{"bits", "≠", NULL, SB_TONE_WARN},
                   {"none", "=", NULL, SB_TONE_GOOD},
                   {"unknown", "?", NULL, SB_TONE_DIM},
                   {"inert", "·", "inert", SB_TONE_DIM},
                   {"fixed", "·", "fixed", SB_TONE_DIM}};
    if (!axis || sb_text_is(job, "verdict", "skipped"))
        return SB_TONE_DIM;
    bool absent = json_is_string(json_object_get(axis, "unavailable")) &&
                  json_array_size(json_object_get(axis, "levels")) < 2;
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
        if (!sb_text_is(axis, "effect", absent ? "fixed" : effects[i].effect))
            continue;
        const char *word = absent ? "unavailable" : effects[i].word;
        sb_text_puts(text, absent ? "·" : effects[i].glyph);
        if (most)
            sb_text_putc(text, ' ');
        if (most && word)
            sb_text_puts(text, word);
        else if (most)
            add_levels(text, axis, most);
        return absent ? SB_TONE_DIM : effects[i].tone;
    }
    return SB_TONE_DIM;
}

enum sb_tone sb_say_verdict(struct sb_text *text, const json_t *job) {
    static const struct {
        const char *outcome;
        enum sb_tone tone;
    } tones[] = {{"pass", SB_TONE_GOOD},   {"xfail", SB_TONE_GOOD}, {"xpass", SB_TONE_WARN},
                 {"skipped", SB_TONE_DIM}, {"fail", SB_TONE_BAD},   {"error", SB_TONE_BAD}};
    sb_text_puts(text, sb_text_of(job, "verdict"));
    sb_say_scope(text, job);
    for (size_t i = 0; i < sizeof tones / sizeof *tones; i++) {
        if (sb_text_is(job, "outcome", tones[i].outcome))
            return tones[i].tone;
    }
    return SB_TONE_PLAIN;
}

void sb_say_evidence(struct sb_text *text, const json_t *job) {
    const json_t *confidence = json_object_get(job, "confidence");
    const json_t *p = json_object_get(confidence, "dependence_p");
    const json_t *bound = json_object_get(confidence, "max_mismatch_rate_95");
    json_int_t replays = sb_count_of(confidence, "replays"), runs = sb_count_of(job, "runs");
    if (sb_text_is(job, "verdict", "nondeterministic")) {
        sb_text_printf(text, "%lld results in %lld runs", (long long)sb_count_of(job, "distinct"),
                       (long long)runs);
        return;
    }
    if (json_is_number(p))
        sb_text_printf(text, "p = %.2g, ", json_number_value(p));
    if (replays)
        sb_text_printf(text, "%lld replay%s", (long long)replays, replays == 1 ? "" : "s");
    else if (runs)
        sb_text_printf(text, "%lld run%s", (long long)runs, runs == 1 ? "" : "s");
    if (json_is_number(bound) && replays)
        sb_text_printf(text, " (< %.0f%%)", ceil(100 * json_number_value(bound)));
}

void sb_say_counts(struct sb_text *text, const json_t *result) {
    static const struct {
        const char *outcome, *one, *many;
    } words[] = {
        {"pass", "as required", "as required"},
        {"fail", "not as required", "not as required"},
        {"error", "without an answer", "without an answer"},
        {"xfail", "control that fired", "controls that fired"},
        {"xpass", "control not demonstrated here", "controls not demonstrated here"},
        {"skipped", "skipped", "skipped"},
    };
    const json_t *jobs = json_object_get(result, "jobs");
    size_t n_jobs = json_array_size(jobs);
    sb_text_printf(text, "%zu job%s: ", n_jobs, n_jobs == 1 ? "" : "s");
    size_t said = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = sb_count_outcomes(jobs, words[i].outcome);
        if (n && n == n_jobs && n == 1)
            sb_text_puts(text, words[i].one);
        else if (n)
            sb_text_printf(text, "%s%zu %s", said ? ", " : "", n,
                           n == 1 ? words[i].one : words[i].many);
        said += n;
    }
    sb_text_puts(text, said ? "" : "nothing ran");
}

void sb_say_duration(struct sb_text *text, double seconds) {
    if (seconds < 120)
        sb_text_printf(text, "%.1f s", seconds);
    else if (seconds < 7200)
        sb_text_printf(text, "%d min %02d s", (int)seconds / 60, (int)seconds % 60);
    else
        sb_text_printf(text, "%.0f h %02d min", floor(seconds / 3600), (int)fmod(seconds / 60, 60));
}

const char *sb_result_word(const json_t *result, enum sb_tone *tone) {
    static const struct {
        json_int_t code;
        const char *word;
        enum sb_tone tone;
    } ends[] = {{0, "PASS", SB_TONE_GOOD},
                {1, "FAIL", SB_TONE_BAD},
                {2, "ERROR", SB_TONE_BAD},
                {77, "SKIPPED", SB_TONE_WARN},
                {130, "INTERRUPTED", SB_TONE_WARN}};
    const json_t *code = json_object_get(result, "exit_code");
    for (size_t i = 0; json_is_integer(code) && i < sizeof ends / sizeof *ends; i++) {
        if (ends[i].code == json_integer_value(code)) {
            *tone = ends[i].tone;
            return ends[i].word;
        }
    }
    *tone = SB_TONE_BAD;
    return "ERROR";
}

int sb_axis_columns(const json_t *jobs, struct sb_strings *columns) {
    size_t i, k;
    json_t *job, *axis;
    json_array_foreach(jobs, i, job) {
        json_array_foreach(json_object_get(job, "axes"), k, axis) {
            const char *name = sb_text_of(axis, "name");
            if (!sb_strings_contain(columns, name) && sb_strings_add(columns, name) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}
