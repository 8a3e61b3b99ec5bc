/* Stage 7: what a result is beside the bits of before. See report/baseline.h. */
#include "report/baseline.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "report/baseline_cells.h"
#include "report/manifest_diff.h"
#include "report/reading.h"

#include <string.h>

enum { EXIT_PASS = 0, EXIT_FAIL = 1, EXIT_ERROR = 2, EXIT_SKIPPED = 77 };

/* ---- One job ----------------------------------------------------------------------------------
 */

/* How the cells of a job compare with what the baseline has of it. */
struct tally {
    size_t compared, changed, outside;
    json_t *example; /* the first cell that changed, or NULL */
};

static bool lists(const json_t *list, const json_t *value) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (json_equal(item, value))
            return true;
    }
    return false;
}

/* Was every level of the cell among those of the baseline, and every axis too? */
static bool is_inside(const json_t *levels, const json_t *axes) {
    const char *axis;
    json_t *level;
    json_object_foreach((json_t *)levels, axis, level) {
        if (!lists(json_object_get(axes, axis), level))
            return false;
    }
    json_object_foreach((json_t *)axes, axis, level) {
        if (json_array_size(level) && !json_object_get(levels, axis))
            return false;
    }
    return true;
}

static void compare_cells(const json_t *cells, const json_t *was, struct tally *tally) {
    const json_t *by = json_object_get(was, "by"), *bits = json_object_get(was, "bits");
    size_t i;
    json_t *cell;
    json_array_foreach(cells, i, cell) {
        SB_AUTO_TEXT struct sb_text key = {0};
        const json_t *levels = json_object_get(cell, "levels");
        json_t *is = json_object_get(cell, "fingerprint"), *before = NULL;
        if (!json_is_string(is))
            continue; /* unstable */
        if (is_inside(levels, json_object_get(was, "axes")) && sb_cell_key(&key, levels, by))
            before = json_object_get(bits, key.length ? key.data : "");
        if (!json_is_string(before)) {
            tally->outside++;
            continue;
        }
        tally->compared++;
        if (json_equal(before, is))
            continue;
        if (!tally->changed++)
            tally->example = json_pack("{s:s, s:O, s:O}", "cell", key.length ? key.data : "", "was",
                                       before, "is", is);
    }
}

static bool is_racy(const json_t *job) {
    return sb_text_is(job, "verdict", "nondeterministic");
}

static const char *answer_of(const json_t *was, const json_t *is, const struct tally *tally) {
    if (!was)
        return "new";
    if (!is)
        return "no answer";
    if (is_racy(is))
        return is_racy(was) ? "still nondeterministic" : "newly nondeterministic";
    if (is_racy(was))
        return "no longer nondeterministic";
    if (!tally->compared)
        return "not comparable";
    return tally->changed ? "changed, stable" : "same bits";
}

static void note_lists(json_t *notes, const char *what, const json_t *was, const json_t *is) {
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t i;
    json_t *item;
    if (json_equal(was, is))
        return;
    sb_text_printf(&text, "%s ", what);
    json_array_foreach(is, i, item)
        sb_text_printf(&text, "%s%s", i ? ", " : "", json_string_value(item));
    sb_text_puts(&text, json_array_size(is) ? " now, " : "nothing now, ");
    json_array_foreach(was, i, item)
        sb_text_printf(&text, "%s%s", i ? ", " : "", json_string_value(item));
    sb_text_puts(&text, json_array_size(was) ? " before" : "nothing before");
    json_array_append_new(notes, sb_json_string(text.data));
}

static json_t *notes_json(const json_t *was, const json_t *is, const struct tally *tally) {
    json_t *notes = json_array();
    if (!was || !is)
        return notes;
    if (!is_racy(was) && !is_racy(is))
        note_lists(notes, "depends on", json_object_get(was, "by"), json_object_get(is, "by"));
    const json_t *before = json_object_get(was, "asked"), *now = json_object_get(is, "asked");
    if (!json_equal(before, now))
        json_array_append_new(notes,
                              json_sprintf("asked for '%s' now, '%s' before",
                                           sb_text_of(is, "asked"), sb_text_of(was, "asked")));
    if (tally->outside)
        json_array_append_new(
            notes,
            json_sprintf("%zu of %zu cells are new: the baseline has no bits of their levels",
                         tally->outside, tally->outside + tally->compared));
    return notes;
}

static json_t *job_json(const char *id, const json_t *was, const json_t *is, const json_t *cells) {
    struct tally tally = {0};
    if (was && is)
        compare_cells(cells, was, &tally);
    json_t *before = was ? json_object_get(was, "verdict") : NULL;
    json_t *now = is ? json_object_get(is, "verdict") : NULL;
    return json_pack("{s:s, s:s, s:O, s:O, s:I, s:I, s:I, s:o, s:o}", "job", id, "answer",
                     answer_of(was, is, &tally), "was", before ? before : json_null(), "is",
                     now ? now : json_null(), "compared", (json_int_t)tally.compared, "changed",
                     (json_int_t)tally.changed, "outside", (json_int_t)tally.outside, "example",
                     tally.example ? tally.example : json_null(), "notes",
                     notes_json(was, is, &tally));
}

/* ---- All of them ------------------------------------------------------------------------------
 */

static int exit_of(const json_t *jobs) {
    bool compared = false, failed = false, unanswered = false;
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        const char *answer = sb_text_of(job, "answer");
        bool racy = strstr(answer, "nondeterministic") != NULL;
        compared |= racy || sb_count_of(job, "compared") > 0;
        failed |= strcmp(answer, "newly nondeterministic") == 0 || sb_count_of(job, "changed") > 0;
        unanswered |= strcmp(answer, "no answer") == 0;
    }
    return unanswered ? EXIT_ERROR : failed ? EXIT_FAIL : compared ? EXIT_PASS : EXIT_SKIPPED;
}

static json_t *jobs_json(const json_t *was, const json_t *is, const json_t *result) {
    SB_AUTO_JSON json_t *cells = sb_cells_by_job(result);
    json_t *list = json_array(), *job, *before;
    const char *id;
    size_t i;
    SB_AUTO_JSON json_t *seen = json_object();
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        id = sb_job_title(job);
        json_object_set_new(seen, id, json_true());
        json_array_append_new(list, job_json(id, json_object_get(was, id), json_object_get(is, id),
                                             json_object_get(cells, id)));
    }
    json_object_foreach((json_t *)was, id, before) {
        if (!json_object_get(seen, id))
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:O, s:n, s:i, s:i, s:i, s:n, s:[]}", "job", id,
                                "answer", "gone", "was", json_object_get(before, "verdict"), "is",
                                "compared", 0, "changed", 0, "outside", 0, "example", "notes"));
    }
    return list;
}

json_t *sb_baseline_check(const json_t *baseline, const json_t *result, const char *file) {
    static const char *const outcomes[] = {"pass", "fail", "error"};
    SB_AUTO_JSON json_t *now = sb_baseline_machine(result, NULL);
    const json_t *before = sb_baseline_find(baseline, now);
    json_t *jobs = jobs_json(json_object_get(before, "jobs"), json_object_get(now, "jobs"), result);
    int code = exit_of(jobs);
    json_t *differences = before ? sb_manifest_diff(json_object_get(before, "manifest"),
                                                    json_object_get(now, "manifest"))
                                 : json_array();
    return json_pack("{s:s, s:s, s:{s:O, s:O}, s:b, s:s, s:i, s:o, s:o}", "schema",
                     "samebits.baseline-check/1", "file", file, "machine", "cpu",
                     json_object_get(now, "cpu"), "gpu", json_object_get(now, "gpu"), "known",
                     before != NULL, "outcome", code == EXIT_SKIPPED ? "skipped" : outcomes[code],
                     "exit_code", code, "jobs", jobs, "differences", differences);
}

/* The larger, the more an exit code counts; one that is worse than an error is none of a check's.
 */
static int weight_of(json_int_t code) {
    static const json_int_t order[] = {EXIT_PASS, EXIT_SKIPPED, EXIT_FAIL, EXIT_ERROR};
    int weight = 0;
    while (weight < 4 && order[weight] != code)
        weight++;
    return weight;
}

void sb_baseline_join(json_t *result, const json_t *baseline, const char *file) {
    json_t *check = sb_baseline_check(baseline, result, file);
    json_int_t now = sb_count_of(result, "exit_code"), found = sb_count_of(check, "exit_code");
    /* A machine of which the baseline has nothing leaves the result as it is. */
    if (found != EXIT_SKIPPED && weight_of(found) > weight_of(now)) {
        json_object_set(result, "exit_code", json_object_get(check, "exit_code"));
        json_object_set(result, "outcome", json_object_get(check, "outcome"));
    }
    json_object_set_new(result, "baseline", check);
}

/* ---- In words ---------------------------------------------------------------------------------
 */

static bool is_quiet(const char *answer) {
    return strcmp(answer, "same bits") == 0 || strcmp(answer, "still nondeterministic") == 0;
}

static void say_job(struct sb_text *text, const json_t *job) {
    const json_t *example = json_object_get(job, "example");
    size_t i;
    json_t *note;
    sb_text_printf(text, "  %-26s %s", sb_text_of(job, "answer"), sb_text_of(job, "job"));
    if (json_is_object(example)) {
        const char *cell = sb_text_of(example, "cell");
        sb_text_printf(text, "  %s%s%s → %s, %lld of %lld cells", cell, *cell ? ": " : "",
                       sb_text_of(example, "was"), sb_text_of(example, "is"),
                       (long long)sb_count_of(job, "changed"),
                       (long long)sb_count_of(job, "compared"));
    }
    json_array_foreach(json_object_get(job, "notes"), i, note)
        sb_text_printf(text, "%s%s", i ? "; " : "  ", json_string_value(note));
    sb_text_putc(text, '\n');
}

void sb_say_baseline(struct sb_text *text, const json_t *check, bool all) {
    static const char *const answers[] = {"same bits",
                                          "changed, stable",
                                          "newly nondeterministic",
                                          "still nondeterministic",
                                          "no longer nondeterministic",
                                          "new",
                                          "gone",
                                          "not comparable",
                                          "no answer"};
    const json_t *jobs = json_object_get(check, "jobs");
    size_t i, said = 0;
    json_t *one;
    sb_text_printf(text, "baseline  %s: ", sb_text_of(check, "file"));
    if (!json_is_true(json_object_get(check, "known"))) {
        const json_t *machine = json_object_get(check, "machine");
        sb_text_printf(text, "has nothing of this machine (cpu: %s", sb_text_of(machine, "cpu"));
        if (*sb_text_of(machine, "gpu"))
            sb_text_printf(text, ", gpu: %s", sb_text_of(machine, "gpu"));
        sb_text_puts(text, "); samebits baseline save --update adds it\n");
        return;
    }
    for (size_t a = 0; a < sizeof answers / sizeof *answers; a++) {
        size_t n = 0;
        json_array_foreach(jobs, i, one) n += sb_text_is(one, "answer", answers[a]);
        if (n)
            sb_text_printf(text, "%s%zu %s", said++ ? ", " : "", n, answers[a]);
    }
    sb_text_putc(text, '\n');
    json_array_foreach(jobs, i, one) {
        if (all || !is_quiet(sb_text_of(one, "answer")) || sb_count_of(one, "changed"))
            say_job(text, one);
    }
    json_array_foreach(json_object_get(check, "differences"), i, one) {
        sb_text_puts(text, i ? "                   " : "  unlike then      ");
        SB_AUTO_FREE char *difference = sb_manifest_diff_text(one);
        sb_text_printf(text, "%s\n", difference ? difference : "");
    }
}
