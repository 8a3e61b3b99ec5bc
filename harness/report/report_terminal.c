/* Stage 7: the matrix on a terminal: a line for every job and backend, a column for every axis. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "report/table.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Glyphs where the terminal has them, and what stands for them elsewhere. */
struct glyphs {
    const char *differs, *dot, *cross;
};
static const struct glyphs unicode_glyphs = {"≠", "·", "✗"};
static const struct glyphs ascii_glyphs = {"!=", "-", "x"};

struct page {
    const json_t *result;
    const struct sb_report_options *options;
    const struct glyphs *glyphs;
    FILE *out;
};

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const json_t *axis_of(const json_t *job, const char *name) {
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        if (strcmp(text_of(axis, "name"), name) == 0)
            return axis;
    }
    return NULL;
}

/* Appends the strings of an array, joined. */
static void add_joined(struct sb_text *text, const json_t *strings, const char *separator) {
    size_t i;
    json_t *string;
    json_array_foreach(strings, i, string) {
        sb_text_printf(text, "%s%s", i ? separator : "", json_string_value(string));
    }
}

/* "0=1|2": levels that are alike joined by =, classes by |. */
static void add_classes(struct sb_text *text, const json_t *axis) {
    const json_t *classes = json_object_get(axis, "classes");
    if (!json_array_size(classes)) {
        add_joined(text, json_object_get(axis, "levels"), ",");
        return;
    }
    size_t i;
    json_t *members;
    json_array_foreach(classes, i, members) {
        if (i)
            sb_text_putc(text, '|');
        add_joined(text, members, "=");
    }
}

static void add_axis_cell(struct sb_table *table, const struct page *page, const json_t *axis) {
    SB_AUTO_TEXT struct sb_text text = {0};
    enum sb_tone tone = SB_TONE_DIM;
    const char *effect = axis ? text_of(axis, "effect") : "";
    if (!axis) {
        sb_text_puts(&text, "");
    } else if (json_object_get(axis, "unavailable") &&
               json_array_size(json_object_get(axis, "levels")) < 2) {
        sb_text_printf(&text, "%s unavailable", page->glyphs->dot);
    } else if (strcmp(effect, "bits") == 0) {
        tone = SB_TONE_WARN;
        sb_text_printf(&text, "%s ", page->glyphs->differs);
        add_classes(&text, axis);
    } else if (strcmp(effect, "none") == 0) {
        tone = SB_TONE_GOOD;
        sb_text_puts(&text, "= ");
        add_classes(&text, axis);
    } else if (strcmp(effect, "unknown") == 0) {
        sb_text_puts(&text, "? ");
        add_classes(&text, axis);
    } else {
        sb_text_printf(&text, "%s %s", page->glyphs->dot, effect);
    }
    sb_table_add(table, sb_text_take(&text), tone);
}

static void add_repeats_cell(struct sb_table *table, const struct page *page, const json_t *job) {
    const char *verdict = text_of(job, "verdict");
    json_int_t failed = json_integer_value(json_object_get(job, "failed"));
    json_int_t replays =
        json_integer_value(json_object_get(json_object_get(job, "confidence"), "replays"));
    if (strcmp(verdict, "nondeterministic") == 0)
        sb_table_add(table, sb_format("%s differs", page->glyphs->differs), SB_TONE_BAD);
    else if (strcmp(verdict, "skipped") == 0)
        sb_table_add(table, sb_format("%s", page->glyphs->dot), SB_TONE_DIM);
    else if (failed)
        sb_table_add(table, sb_format("%s %lld failed", page->glyphs->cross, (long long)failed),
                     SB_TONE_BAD);
    else if (!replays)
        sb_table_add(table, strdup("? once"), SB_TONE_WARN);
    else
        sb_table_add(table, strdup("= same"), SB_TONE_GOOD);
}

static enum sb_tone verdict_tone(const json_t *job) {
    static const struct {
        const char *outcome;
        enum sb_tone tone;
    } tones[] = {{"pass", SB_TONE_GOOD},   {"xfail", SB_TONE_GOOD}, {"xpass", SB_TONE_WARN},
                 {"skipped", SB_TONE_DIM}, {"fail", SB_TONE_BAD},   {"error", SB_TONE_BAD}};
    for (size_t i = 0; i < sizeof tones / sizeof *tones; i++) {
        if (strcmp(text_of(job, "outcome"), tones[i].outcome) == 0)
            return tones[i].tone;
    }
    return SB_TONE_PLAIN;
}

/* "3 ulp  dense/kernel[3,17]" */
static void add_worst_cell(struct sb_table *table, const json_t *job) {
    const json_t *worst = json_object_get(job, "worst");
    SB_AUTO_TEXT struct sb_text text = {0};
    if (json_is_object(worst)) {
        const json_t *ulp = json_object_get(worst, "max_ulp");
        if (json_is_number(ulp) && json_number_value(ulp) < 1e6)
            sb_text_printf(&text, "%.0f ulp  ", json_number_value(ulp));
        else if (json_is_number(ulp))
            sb_text_printf(&text, "%.1e ulp  ", json_number_value(ulp));
        sb_text_puts(&text, text_of(worst, "tensor"));
        const json_t *index = json_object_get(worst, "index");
        for (size_t i = 0; i < json_array_size(index); i++)
            sb_text_printf(&text, "%c%lld", i ? ',' : '[',
                           (long long)json_integer_value(json_array_get(index, i)));
        if (json_array_size(index))
            sb_text_putc(&text, ']');
        if (!index)
            sb_text_printf(&text, " %s", text_of(worst, "difference"));
    }
    sb_table_add(table, sb_text_take(&text), SB_TONE_PLAIN);
}

/* "p = 0.002, 8 replays" or "8 replays: < 32% differ" */
static void add_evidence_cell(struct sb_table *table, const json_t *job) {
    const json_t *confidence = json_object_get(job, "confidence");
    json_int_t replays = json_integer_value(json_object_get(confidence, "replays"));
    const json_t *p = json_object_get(confidence, "dependence_p");
    const json_t *bound = json_object_get(confidence, "max_mismatch_rate_95");
    const char *plural = replays == 1 ? "" : "s";
    const char *verdict = text_of(job, "verdict");
    if (strcmp(verdict, "nondeterministic") == 0)
        sb_table_add(table,
                     sb_format("%lld results in %lld runs",
                               (long long)json_integer_value(json_object_get(job, "distinct")),
                               (long long)json_integer_value(json_object_get(job, "runs"))),
                     SB_TONE_PLAIN);
    else if (json_is_number(p))
        sb_table_add(
            table,
            sb_format("p = %.2g, %lld replay%s", json_number_value(p), (long long)replays, plural),
            SB_TONE_PLAIN);
    else if (json_is_number(bound) && replays)
        sb_table_add(table,
                     sb_format("%lld replay%s: < %.0f%% differ", (long long)replays, plural,
                               ceil(100 * json_number_value(bound))),
                     SB_TONE_PLAIN);
    else
        sb_table_add(table, strdup(""), SB_TONE_PLAIN);
}

/* Names of all jobs' axes, in order of appearance. */
static int axis_columns(const json_t *jobs, struct sb_strings *columns) {
    size_t i, k;
    json_t *job, *axis;
    json_array_foreach(jobs, i, job) {
        json_array_foreach(json_object_get(job, "axes"), k, axis) {
            if (!sb_strings_contain(columns, text_of(axis, "name")) &&
                sb_strings_add(columns, text_of(axis, "name")) < 0)
                return -ENOMEM;
        }
    }
    return 0;
}

static int print_matrix(const struct page *page) {
    const json_t *jobs = json_object_get(page->result, "jobs");
    SB_AUTO_STRINGS struct sb_strings columns = {0};
    if (axis_columns(jobs, &columns) < 0)
        return -ENOMEM;
    struct sb_table table = {.n_columns = columns.n + 5};
    sb_table_add(&table, strdup("job"), SB_TONE_BOLD);
    sb_table_add(&table, strdup("run to run"), SB_TONE_BOLD);
    for (size_t i = 0; i < columns.n; i++)
        sb_table_add(&table, strdup(columns.items[i]), SB_TONE_BOLD);
    sb_table_add(&table, strdup("verdict"), SB_TONE_BOLD);
    sb_table_add(&table, strdup("worst difference"), SB_TONE_BOLD);
    sb_table_add(&table, strdup("evidence"), SB_TONE_BOLD);
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        sb_table_add(&table, strdup(text_of(job, "id")), SB_TONE_PLAIN);
        add_repeats_cell(&table, page, job);
        for (size_t k = 0; k < columns.n; k++)
            add_axis_cell(&table, page, axis_of(job, columns.items[k]));
        sb_table_add(&table, strdup(text_of(job, "verdict")), verdict_tone(job));
        add_worst_cell(&table, job);
        add_evidence_cell(&table, job);
    }
    bool failed = table.failed;
    sb_table_print(&table, "  ", page->options->colour, page->out);
    sb_table_clear(&table);
    return failed ? -ENOMEM : 0;
}

/* "threads=2 and deterministic=off" of an object that maps axes to lists of levels. */
static void add_when(struct sb_text *text, const json_t *when) {
    const char *name;
    json_t *levels;
    bool first = true;
    json_object_foreach((json_t *)when, name, levels) {
        sb_text_printf(text, "%s%s=", first ? "" : " and ", name);
        add_joined(text, levels, ",");
        first = false;
    }
}

/* What changes the weights and what does not, in sentences. */
static void add_dependence(struct sb_text *text, const json_t *job) {
    const json_t *depends = json_object_get(job, "depends_on");
    bool stable_part = strcmp(text_of(job, "verdict"), "nondeterministic") == 0;
    SB_AUTO_TEXT struct sb_text changed = {0}, same = {0}, unproven = {0};
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        const char *effect = text_of(axis, "effect");
        bool bits = strcmp(effect, "bits") == 0, none = strcmp(effect, "none") == 0;
        bool unknown = strcmp(effect, "unknown") == 0 &&
                       json_array_size(json_object_get(axis, "classes")) == 1;
        struct sb_text *list = bits ? &changed : none ? &same : unknown ? &unproven : NULL;
        if (!list)
            continue;
        sb_text_printf(list, "%s%s", list->length ? ", " : "", text_of(axis, "name"));
        if (bits) {
            sb_text_puts(list, " (");
            add_classes(list, axis);
            sb_text_putc(list, ')');
        }
    }
    if (json_array_size(depends) && changed.length)
        sb_text_printf(text, "%s a function of %s.",
                       stable_part ? "Where they are stable, the weights are" : "The weights are",
                       changed.data);
    if (same.length)
        sb_text_printf(text, "%s%s: no effect.", text->length ? " " : "", same.data);
    if (unproven.length)
        sb_text_printf(text, "%s%s: no effect seen, and no proof that the program uses it.",
                       text->length ? " " : "", unproven.data);
    size_t k;
    json_t *condition;
    json_array_foreach(json_object_get(job, "conditions"), k, condition) {
        sb_text_printf(text, " %s matters only at ", text_of(condition, "axis"));
        add_when(text, json_object_get(condition, "when"));
        sb_text_putc(text, '.');
    }
}

static void add_instability(struct sb_text *text, const json_t *job) {
    if (strcmp(text_of(job, "verdict"), "nondeterministic") != 0)
        return;
    const json_t *when = json_object_get(job, "unstable_when");
    if (json_is_object(when) && !json_object_size(when)) {
        sb_text_puts(text, "Repeats differ in every cell.");
    } else if (json_is_object(when)) {
        sb_text_puts(text, "Repeats differ exactly when ");
        add_when(text, when);
        sb_text_putc(text, '.');
    } else {
        sb_text_puts(text, "Repeats differ in some cells.");
    }
}

static void add_magnitude(struct sb_text *text, const json_t *job) {
    const json_t *worst = json_object_get(job, "worst");
    const json_t *abs = json_object_get(worst, "max_abs"), *share = json_object_get(worst, "share");
    if (!json_is_object(worst))
        return;
    if (json_is_number(abs))
        sb_text_printf(
            text, "Largest difference %.2g in %s (%.2g%% of its elements; looks like: %s): %s.",
            json_number_value(abs), text_of(worst, "tensor"), 100 * json_number_value(share),
            text_of(worst, "shape_of_difference"), text_of(job, "grade"));
    else
        sb_text_printf(text, "Largest difference: %s (looks like: %s): %s.",
                       text_of(worst, "tensor"), text_of(worst, "shape_of_difference"),
                       text_of(job, "grade"));
}

static const json_t *run_of(const json_t *result, const char *id) {
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        if (strcmp(text_of(run, "id"), id) == 0)
            return run;
    }
    return NULL;
}

static void add_witness(struct sb_text *text, const struct page *page, const json_t *job) {
    const json_t *witness = json_object_get(job, "witness");
    if (!json_is_object(witness))
        return;
    const char *const sides[] = {"a", "b"};
    sb_text_puts(text, "witness");
    for (size_t side = 0; side < 2; side++) {
        const char *id = text_of(witness, sides[side]);
        const json_t *cell = json_object_get(run_of(page->result, id), "cell");
        sb_text_printf(text, "   %s (", id);
        size_t i;
        json_t *axis;
        json_array_foreach(json_object_get(witness, "differs_in"), i, axis) {
            sb_text_printf(text, "%s%s=%s", i ? " " : "", json_string_value(axis),
                           text_of(cell, json_string_value(axis)));
        }
        if (!json_array_size(json_object_get(witness, "differs_in")))
            sb_text_puts(text, "same cell");
        sb_text_putc(text, ')');
    }
    if (page->options->directory)
        sb_text_printf(text, "      samebits rerun %s %s", page->options->directory,
                       text_of(witness, "b"));
}

/* Prints what a paragraph's builder made, if anything. */
static void print_line(const struct page *page, struct sb_text *text) {
    SB_AUTO_FREE char *line = text->length ? sb_text_printable(text->data) : NULL;
    if (line)
        fprintf(page->out, "  %s\n", line);
    sb_text_clear(text);
}

static void print_unavailable(const struct page *page, const json_t *job) {
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "axes"), i, axis) {
        const char *why = text_of(axis, "unavailable");
        SB_AUTO_TEXT struct sb_text text = {0};
        if (*why)
            sb_text_printf(&text, "%s: unavailable here: %s", text_of(axis, "name"), why);
        print_line(page, &text);
    }
}

static void print_details(const struct page *page, const json_t *job, bool heading) {
    SB_AUTO_TEXT struct sb_text text = {0};
    bool colour = page->options->colour;
    if (heading) {
        SB_AUTO_FREE char *id = sb_text_printable(text_of(job, "id"));
        fprintf(page->out, "\n  %s%s%s  %s\n", sb_tone_start(SB_TONE_BOLD, colour), id ? id : "",
                sb_tone_end(colour), text_of(job, "outcome"));
    } else {
        fputc('\n', page->out);
    }
    add_instability(&text, job);
    print_line(page, &text);
    if (json_integer_value(json_object_get(job, "distinct")) > 0)
        add_dependence(&text, job);
    print_line(page, &text);
    add_magnitude(&text, job);
    print_line(page, &text);
    if (*text_of(job, "reason"))
        sb_text_printf(&text, "why       %s", text_of(job, "reason"));
    print_line(page, &text);
    add_witness(&text, page, job);
    print_line(page, &text);
    print_unavailable(page, job);
}

static bool is_worth_details(const struct page *page, const json_t *job) {
    const char *outcome = text_of(job, "outcome");
    return page->options->verbose || strcmp(text_of(job, "verdict"), "bitwise") != 0 ||
           strcmp(outcome, "fail") == 0 || strcmp(outcome, "error") == 0 ||
           strcmp(outcome, "xpass") == 0 || strcmp(outcome, "skipped") == 0;
}

static void print_summary(const struct page *page) {
    static const char *const order[] = {"pass", "fail", "error", "xfail", "xpass", "skipped"};
    static const char *const words[] = {"as required",
                                        "not as required",
                                        "without an answer",
                                        "control fired",
                                        "control not demonstrated here",
                                        "skipped"};
    const json_t *jobs = json_object_get(page->result, "jobs");
    SB_AUTO_TEXT struct sb_text counts = {0};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        size_t i, n = 0;
        json_t *job;
        json_array_foreach(jobs, i, job) {
            n += strcmp(text_of(job, "outcome"), order[k]) == 0;
        }
        if (n)
            sb_text_printf(&counts, "%s%zu %s", counts.length ? ", " : "", n, words[k]);
    }
    int code = (int)json_integer_value(json_object_get(page->result, "exit_code"));
    static const struct {
        int code;
        const char *word;
        enum sb_tone tone;
    } ends[] = {{0, "PASS", SB_TONE_GOOD},
                {1, "FAIL", SB_TONE_BAD},
                {2, "ERROR", SB_TONE_BAD},
                {77, "SKIPPED", SB_TONE_WARN},
                {130, "INTERRUPTED", SB_TONE_WARN}};
    const json_t *shared = json_object_get(json_object_get(page->result, "isolation"), "shared");
    fputc('\n', page->out);
    if (json_array_size(shared)) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_text_puts(&text, "not isolated: ");
        add_joined(&text, shared, ", ");
        print_line(page, &text);
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (ends[i].code == code)
            fprintf(page->out, "  %s%s%s  ", sb_tone_start(ends[i].tone, page->options->colour),
                    ends[i].word, sb_tone_end(page->options->colour));
    }
    size_t n = json_array_size(jobs);
    fprintf(page->out, "%zu job%s: %s   %.1f s\n", n, n == 1 ? "" : "s",
            counts.data ? counts.data : "nothing ran",
            json_number_value(json_object_get(page->result, "elapsed_s")));
}

static int write_terminal(const json_t *result, const struct sb_report_options *options, FILE *out,
                          struct sb_error *err) {
    struct page page = {.result = result,
                        .options = options,
                        .glyphs = options->unicode ? &unicode_glyphs : &ascii_glyphs,
                        .out = out};
    fputc('\n', out);
    if (print_matrix(&page) < 0)
        return sb_error_errno(err, -ENOMEM, "terminal report");
    const json_t *jobs = json_object_get(result, "jobs");
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        if (is_worth_details(&page, job))
            print_details(&page, job, json_array_size(jobs) > 1);
    }
    print_summary(&page);
    return 0;
}

const struct sb_report sb_report_terminal = {
    .name = "terminal",
    .summary = "the matrix and what follows from it, for people",
    .write = write_terminal,
};
