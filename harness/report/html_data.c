/* Stage 7: what the HTML page is told. See report/html.h. */
#include "report/html.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "report/baseline.h"
#include "report/sentences.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_LOGS = 200,
    LOG_TAIL = 4096,
    MOST_LEVEL_COLUMNS = 24,
};

static json_t *text_json(struct sb_text *text) {
    json_t *json = sb_json_string(text->length ? text->data : "");
    sb_text_clear(text);
    return json;
}

/* A member as it is, or null. */
static void copy(json_t *to, const char *key, const json_t *from, const char *name) {
    json_t *value = json_object_get(from, name);
    json_object_set_new(to, key, value ? json_incref(value) : json_null());
}

/* ---- The matrix -------------------------------------------------------------------------------
 */

static const char *tone_name(enum sb_tone tone) {
    static const char *const names[] = {
        [SB_TONE_PLAIN] = "",    [SB_TONE_GOOD] = "good", [SB_TONE_BAD] = "bad",
        [SB_TONE_WARN] = "warn", [SB_TONE_DIM] = "dim",   [SB_TONE_BOLD] = ""};
    return names[tone];
}

static void add_cell(json_t *cells, enum sb_tone tone, struct sb_text *text) {
    json_t *cell = json_pack("[s, o]", tone_name(tone), text_json(text));
    json_array_append_new(cells, cell);
}

static json_t *cells_json(const json_t *job, const struct sb_strings *columns) {
    SB_AUTO_TEXT struct sb_text text = {0};
    json_t *cells = json_array();
    enum sb_tone tone = sb_say_repeats(&text, job);
    add_cell(cells, tone, &text);
    for (size_t i = 0; i < columns->n; i++) {
        tone = sb_say_axis(&text, job, sb_axis_of(job, columns->items[i]), MOST_LEVEL_COLUMNS);
        add_cell(cells, tone, &text);
    }
    return cells;
}

static void add_matrix(json_t *entry, const json_t *job, const struct sb_strings *columns) {
    SB_AUTO_TEXT struct sb_text text = {0};
    const json_t *worst = json_object_get(job, "worst");
    const json_t *confidence = json_object_get(job, "confidence");
    json_object_set_new(entry, "cells", cells_json(job, columns));
    sb_say_verdict(&text, job);
    json_object_set_new(entry, "judged", text_json(&text));
    sb_say_worst(&text, job, false);
    json_object_set_new(entry, "worst", text_json(&text));
    sb_say_evidence(&text, job);
    json_object_set_new(entry, "evidence", text_json(&text));
    sb_say_accuracy(&text, job);
    json_object_set_new(entry, "accuracy", text_json(&text));
    sb_say_cost(&text, job);
    json_object_set_new(entry, "cost", text_json(&text));
    copy(entry, "ulp", worst, "max_ulp");
    copy(entry, "bound", confidence, "max_mismatch_rate_95");
}

/* ---- Details ----------------------------------------------------------------------------------
 */

static json_t *sentences_json(const json_t *job) {
    static void (*const sentences[])(struct sb_text *, const json_t *) = {
        sb_say_alarm,      sb_say_missing,   sb_say_instability, sb_say_calls,
        sb_say_dependence, sb_say_magnitude, sb_say_trace};
    json_t *says = json_array();
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        sentences[i](&text, job);
        if (text.length)
            json_array_append_new(says, text_json(&text));
    }
    return says;
}

static json_t *groups_json(const json_t *job) {
    json_t *groups = json_array(), *group;
    size_t i;
    json_array_foreach(json_object_get(job, "groups"), i, group) {
        const json_t *sum = json_object_get(group, "sum");
        json_t *text =
            json_is_number(sum) ? json_sprintf("%.17g", json_number_value(sum)) : json_string("");
        json_array_append_new(
            groups, json_pack("[o, o]", sb_json_string(sb_text_of(group, "fingerprint")), text));
    }
    return groups;
}

/* Paragraphs in the order of explain's: {"text", "says": [lines that belong to it], "growth"}. */
static json_t *explained_json(const json_t *explained) {
    SB_AUTO_TEXT struct sb_text lines = {0};
    sb_say_explained(&lines, explained);
    json_t *paragraphs = json_array(), *last = NULL;
    const json_t *causes = json_object_get(explained, "causes");
    const char *at = lines.data;
    size_t n = *sb_text_of(explained, "changed") ? (size_t)-1 : 0;
    for (char *line; (line = sb_text_next_line(&at)); free(line)) {
        if (last && *line == ' ') {
            json_array_append_new(json_object_get(last, "says"),
                                  sb_json_string(line + strspn(line, " ")));
            continue;
        }
        last = json_pack("{s:o, s:[]}", "text", sb_json_string(line), "says");
        json_array_append_new(paragraphs, last);
        copy(last, "growth", json_array_get(causes, n++), "growth");
    }
    return paragraphs;
}

static void add_details(json_t *entry, const json_t *job) {
    static const char *const as_they_are[] = {"axes",       "witness", "culprit", "growth",
                                              "confidence", "reason",  "limits"};
    for (size_t i = 0; i < sizeof as_they_are / sizeof *as_they_are; i++) {
        if (json_object_get(job, as_they_are[i]))
            copy(entry, as_they_are[i], job, as_they_are[i]);
    }
    copy(entry, "worst_tensor", job, "worst");
    if (json_is_object(json_object_get(job, "explained")))
        json_object_set_new(entry, "explained", explained_json(json_object_get(job, "explained")));
    SB_AUTO_TEXT struct sb_text said = {0};
    json_t *cost = json_object();
    sb_say_cost(&said, job);
    const json_t *costly = said.length ? job : NULL; /* what is not said is not drawn either */
    copy(cost, "times", json_object_get(costly, "cost"), "deterministic");
    copy(cost, "sd", json_object_get(costly, "cost_sd"), "deterministic");
    json_object_set_new(entry, "cost_of", cost);
    json_object_set_new(entry, "says", sentences_json(job));
    json_object_set_new(entry, "groups", groups_json(job));
}

/* ---- Runs -------------------------------------------------------------------------------------
 */

/* What is known of one job while its runs are gone through. */
struct job {
    json_t *entry;
    json_t *cells;  /* text of a cell → its number */
    json_t *groups; /* fingerprint → its number */
};

static void job_begin(struct job *job, const json_t *from) {
    size_t i;
    json_t *group;
    job->entry = json_object();
    job->cells = json_object();
    job->groups = json_object();
    json_array_foreach(json_object_get(from, "groups"), i, group) json_object_set_new(
        job->groups, sb_text_of(group, "fingerprint"), json_integer((json_int_t)i));
    json_object_set_new(job->entry, "levels", json_array());
    json_object_set_new(job->entry, "runs", json_array());
}

static void job_end(struct job *job) {
    json_decref(job->cells);
    json_decref(job->groups);
}

/* The number of a text among those of a job; a new one is told to the page. */
static json_int_t cell_number(const struct job *job, const json_t *run) {
    SB_AUTO_TEXT struct sb_text text = {0};
    const char *axis;
    json_t *level;
    json_object_foreach(json_object_get(run, "cell"), axis, level) {
        const char *shown = json_is_string(level) ? json_string_value(level) : "?";
        sb_text_printf(&text, "%s%s=%s", text.length ? " " : "", axis, shown);
    }
    const char *key = text.length ? text.data : "";
    const json_t *known = json_object_get(job->cells, key);
    if (known)
        return json_integer_value(known);
    json_int_t number = (json_int_t)json_object_size(job->cells);
    json_object_set_new(job->cells, key, json_integer(number));
    json_array_append_new(json_object_get(job->entry, "levels"), json_string(key));
    return number;
}

static json_int_t status_number(json_t *statuses, const char *status) {
    size_t i;
    json_t *known;
    json_array_foreach(statuses, i, known) {
        if (strcmp(json_string_value(known), status) == 0)
            return (json_int_t)i;
    }
    json_array_append_new(statuses, json_string(status));
    return (json_int_t)json_array_size(statuses) - 1;
}

static double number_of(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void add_run(const struct job *job, const json_t *run, json_t *statuses) {
    const char *id = sb_text_of(run, "id"), *message = sb_text_of(run, "message");
    const json_t *group = json_object_get(job->groups, sb_text_of(run, "fingerprint"));
    json_t *row = json_array();
    json_array_append_new(row, json_integer(*id ? strtoll(id + 1, NULL, 10) : 0));
    json_array_append_new(row, json_integer(cell_number(job, run)));
    json_array_append_new(row, json_integer(sb_count_of(run, "repeat")));
    json_array_append_new(row, json_integer(status_number(statuses, sb_text_of(run, "status"))));
    json_array_append_new(row, json_integer(group ? json_integer_value(group) : -1));
    json_array_append_new(row, json_real(number_of(run, "wall_s")));
    json_array_append_new(row, json_real(number_of(run, "cpu_s")));
    json_array_append_new(row, json_integer(sb_count_of(run, "max_rss_kb")));
    if (*message)
        json_array_append_new(row, json_string(message));
    json_array_append_new(json_object_get(job->entry, "runs"), row);
}

/* ---- Logs -------------------------------------------------------------------------------------
 */

/* The last of what a run printed; nothing where there is none. */
static void add_log(json_t *logs, const struct sb_report_options *options, const char *id) {
    SB_AUTO_FREE char *text = NULL;
    size_t n;
    if (!options->directory || !*id || json_object_get(logs, id) ||
        strspn(id + 1, "0123456789") != strlen(id + 1) || json_object_size(logs) >= MOST_LOGS)
        return;
    SB_AUTO_FREE char *path = sb_format("%s/logs/%s.log", options->directory, id);
    if (!path || sb_file_read(path, 1 << 24, &text, &n, NULL) < 0 || !n)
        return;
    const char *tail = n > LOG_TAIL ? text + n - LOG_TAIL : text;
    const char *line = tail > text ? strchr(tail, '\n') : NULL;
    json_object_set_new(logs, id, sb_json_string(line ? line + 1 : tail));
}

static json_t *logs_json(const json_t *result, const struct sb_report_options *options) {
    struct sb_run_index index;
    json_t *logs = json_object(), *job;
    size_t i;
    if (sb_run_index_make(result, &index) < 0)
        return logs;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const json_t *witness = json_object_get(job, "witness");
        const json_t *failed = json_object_get(index.first_failed, sb_job_title(job));
        add_log(logs, options, sb_text_of(failed, "id"));
        add_log(logs, options, sb_text_of(witness, "a"));
        add_log(logs, options, sb_text_of(witness, "b"));
    }
    sb_run_index_clear(&index);
    return logs;
}

/* ---- All of it --------------------------------------------------------------------------------
 */

static json_t *jobs_json(const json_t *result, const struct sb_strings *columns, json_t *statuses) {
    const json_t *from = json_object_get(result, "jobs");
    size_t n = json_array_size(from), i;
    SB_AUTO_FREE struct job *jobs = calloc(n + 1, sizeof *jobs);
    SB_AUTO_JSON json_t *places = json_object();
    json_t *list = json_array(), *one;
    if (!jobs)
        return list;
    json_array_foreach(from, i, one) {
        job_begin(&jobs[i], one);
        json_object_set_new(places, sb_job_title(one), json_integer((json_int_t)i));
    }
    json_array_foreach(json_object_get(result, "runs"), i, one) {
        const char *title = sb_text_of(one, json_object_get(one, "job_id") ? "job_id" : "job");
        const json_t *place = json_object_get(places, title);
        if (place)
            add_run(&jobs[json_integer_value(place)], one, statuses);
    }
    json_array_foreach(from, i, one) {
        json_t *entry = jobs[i].entry;
        json_object_set_new(entry, "id", json_string(sb_job_title(one)));
        copy(entry, "outcome", one, "outcome");
        copy(entry, "verdict", one, "verdict");
        add_matrix(entry, one, columns);
        add_details(entry, one);
        json_array_append_new(list, entry);
        job_end(&jobs[i]);
    }
    return list;
}

json_t *sb_html_data(const json_t *result, const struct sb_report_options *options) {
    static const char *const as_they_are[] = {"tool", "suite", "started", "isolation", "manifest"};
    SB_AUTO_STRINGS struct sb_strings columns = {0};
    SB_AUTO_TEXT struct sb_text text = {0};
    if (sb_axis_columns(json_object_get(result, "jobs"), &columns) < 0)
        return NULL;
    json_t *data = json_object(), *statuses = json_array(), *names = json_array();
    enum sb_tone tone;
    for (size_t i = 0; i < sizeof as_they_are / sizeof *as_they_are; i++)
        copy(data, as_they_are[i], result, as_they_are[i]);
    json_object_set_new(data, "word", json_string(sb_result_word(result, &tone)));
    json_object_set_new(data, "tone", json_string(tone_name(tone)));
    sb_say_counts(&text, result);
    json_object_set_new(data, "counts", text_json(&text));
    sb_say_duration(&text, number_of(result, "elapsed_s"));
    json_object_set_new(data, "elapsed", text_json(&text));
    json_object_set_new(data, "legend", json_string(sb_bound_legend));
    json_object_set_new(data, "program",
                        sb_json_string(options->program ? options->program : "samebits"));
    json_object_set_new(data, "directory", sb_json_string(options->directory));
    const json_t *check = json_object_get(result, "baseline");
    if (json_is_object(check)) {
        sb_say_baseline(&text, check, false);
        json_object_set_new(data, "baseline", text_json(&text));
    }
    for (size_t i = 0; i < columns.n; i++)
        json_array_append_new(names, json_string(columns.items[i]));
    json_object_set_new(data, "columns", names);
    json_object_set_new(data, "jobs", jobs_json(result, &columns, statuses));
    json_object_set_new(data, "statuses", statuses);
    json_object_set_new(data, "logs", logs_json(result, options));
    return data;
}
