/* Stage 7: the matrix on a terminal: a line for every job and backend, a column for every axis. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/baseline.h"
#include "report/sentences.h"
#include "report/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    FEW_JOBS = 4,       /* so many jobs all get their details, unasked */
    MOST_DETAILS = 20,  /* jobs that get them however many went wrong */
    MOST_JOB_NAME = 64, /* columns of the matrix; the details have names in full */
    MOST_AXIS_NAME = 24,
    MOST_PLACE = 44,
};

struct page {
    const json_t *result, *jobs;
    const struct sb_report_options *options;
    struct sb_run_index index;
    FILE *out;
};

/* Prints a paragraph that begins at column `begun` of a line, folded where a width is given, with
 * further lines from column `margin`. Escapes and clears the text. */
static void print_folded(const struct page *page, struct sb_text *text, size_t begun,
                         size_t margin) {
    SB_AUTO_FREE char *shown =
        text->length ? sb_text_shown(text->data, page->options->unicode) : NULL;
    size_t width = page->options->width, column = begun;
    sb_text_clear(text);
    for (const char *line = shown; line && *line; column = margin) {
        size_t room = width > column + 10 ? width - column : 10;
        size_t n = width ? sb_text_line(line, room) : strlen(line), seen = n;
        while (seen && line[seen - 1] == ' ')
            seen--;
        fprintf(page->out, "%*s%.*s\n", line == shown ? 0 : (int)margin, "", (int)seen, line);
        line += n;
        line += strspn(line, " ");
    }
}

/* A paragraph of its own, further lines of which are indented by `indent`. */
static void print_text(const struct page *page, struct sb_text *text, size_t indent) {
    if (text->length)
        fputs("  ", page->out);
    print_folded(page, text, 2, 2 + indent);
}

/* ---- The matrix -------------------------------------------------------------------------------
 */

/* Columns that only some jobs have something for: they are there where one has. */
static const struct {
    const char *heading;
    void (*say)(struct sb_text *text, const json_t *job);
} extras[] = {{"error vs f64", sb_say_accuracy}, {"cost of det.", sb_say_cost}};
enum { N_EXTRAS = sizeof extras / sizeof *extras };

static bool has_extra(const json_t *jobs, size_t extra) {
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        SB_AUTO_TEXT struct sb_text text = {0};
        extras[extra].say(&text, job);
        if (text.length)
            return true;
    }
    return false;
}

/* How much stands in the cells: all, or what leaves room for more columns. */
struct density {
    size_t job, axis, levels; /* columns for the names of jobs and axes, and for levels */
    bool place;               /* tensor and index of the worst difference */
    bool verdict_first;       /* before the axes, so that it stands in the first block of a folded
                                 table */
    const bool *extras;       /* N_EXTRAS: which of those columns there are */
};

static void add_text(struct sb_table *table, struct sb_text *text, size_t most, enum sb_tone tone) {
    sb_table_add(table, sb_text_take(text), most, tone);
}

static void add_heading(struct sb_table *table, const struct sb_strings *axes,
                        const struct density *density) {
    static const char *const before[] = {"", "job", "run to run"};
    for (size_t i = 0; i < 3; i++)
        sb_table_add(table, strdup(before[i]), 0, SB_TONE_BOLD);
    if (density->verdict_first)
        sb_table_add(table, strdup("verdict"), 0, SB_TONE_BOLD);
    for (size_t i = 0; i < axes->n; i++)
        sb_table_add(table, strdup(axes->items[i]), density->axis, SB_TONE_BOLD);
    if (!density->verdict_first)
        sb_table_add(table, strdup("verdict"), 0, SB_TONE_BOLD);
    sb_table_add(table, strdup("worst difference"), 0, SB_TONE_BOLD);
    for (size_t i = 0; i < N_EXTRAS; i++) {
        if (density->extras[i])
            sb_table_add(table, strdup(extras[i].heading), 0, SB_TONE_BOLD);
    }
    sb_table_add(table, strdup("evidence"), 0, SB_TONE_BOLD);
}

/* The outcome in a word, so that a matrix reads without colours; empty for a single job, which the
 * last line speaks of. */
static const char *outcome_word(const struct page *page, const json_t *job) {
    static const char *const words[][2] = {{"pass", "pass"},   {"fail", "FAIL"},
                                           {"error", "ERROR"}, {"xfail", "xfail"},
                                           {"xpass", "xpass"}, {"skipped", "skip"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (json_array_size(page->jobs) > 1 && sb_text_is(job, "outcome", words[i][0]))
            return words[i][1];
    }
    return "";
}

static void add_job(struct sb_table *table, const struct page *page, const json_t *job,
                    const struct sb_strings *axes, const struct density *density) {
    struct sb_text text = {0}, verdict = {0};
    enum sb_tone judged = sb_say_verdict(&verdict, job), tone;
    sb_table_add(table, strdup(outcome_word(page, job)), 0, judged);
    sb_table_add(table, strdup(sb_job_title(job)), density->job, SB_TONE_PLAIN);
    tone = sb_say_repeats(&text, job);
    add_text(table, &text, 0, tone);
    if (density->verdict_first)
        add_text(table, &verdict, 0, judged);
    for (size_t i = 0; i < axes->n; i++) {
        tone = sb_say_axis(&text, job, sb_axis_of(job, axes->items[i]), density->levels);
        add_text(table, &text, 0, tone);
    }
    if (!density->verdict_first)
        add_text(table, &verdict, 0, judged);
    sb_say_worst(&text, job, density->place);
    add_text(table, &text, MOST_PLACE, SB_TONE_PLAIN);
    for (size_t i = 0; i < N_EXTRAS; i++) {
        if (!density->extras[i])
            continue;
        extras[i].say(&text, job);
        add_text(table, &text, 0, SB_TONE_PLAIN);
    }
    sb_say_evidence(&text, job);
    add_text(table, &text, 0, SB_TONE_PLAIN);
}

static int make_matrix(const struct page *page, const struct sb_strings *axes,
                       const struct density *density, struct sb_table *table) {
    sb_table_clear(table);
    size_t n_extras = 0;
    for (size_t i = 0; i < N_EXTRAS; i++)
        n_extras += density->extras[i];
    *table = (struct sb_table){.n_columns = axes->n + 6 + n_extras,
                               .n_keys = 2,
                               .indent = "  ",
                               .width = page->options->width,
                               .colour = page->options->colour,
                               .unicode = page->options->unicode};
    add_heading(table, axes, density);
    size_t i;
    json_t *job;
    json_array_foreach(page->jobs, i, job) {
        add_job(table, page, job, axes, density);
    }
    return table->failed ? -ENOMEM : 0;
}

/* The roomiest matrix that fits. Where none does, it is folded: that of many jobs without the
 * levels, so that it takes few blocks, that of few jobs with them. */
static int print_matrix(const struct page *page) {
    const size_t width = page->options->width, third = width / 3 > 16 ? width / 3 : 16;
    const size_t name = third < MOST_JOB_NAME ? third : MOST_JOB_NAME;
    const bool has[N_EXTRAS] = {has_extra(page->jobs, 0), has_extra(page->jobs, 1)};
    struct density densities[] = {
        {.job = MOST_JOB_NAME, .axis = MOST_AXIS_NAME, .levels = 28, .place = true},
        {.job = name, .axis = MOST_AXIS_NAME, .levels = 12},
        {.job = name, .axis = 13, .verdict_first = true},
        {.job = name, .axis = MOST_AXIS_NAME, .levels = 12, .verdict_first = true}};
    const size_t n_densities = json_array_size(page->jobs) > FEW_JOBS ? 3 : 4;
    SB_AUTO_STRINGS struct sb_strings axes = {0};
    SB_CLEANUP(sb_table_clear) struct sb_table table = {0};
    if (!json_array_size(page->jobs))
        return 0;
    int rc = sb_axis_columns(page->jobs, &axes);
    for (size_t i = 0; i < n_densities && rc == 0; i++) {
        densities[i].extras = has;
        rc = make_matrix(page, &axes, &densities[i], &table);
        if (rc == 0 && (!width || sb_table_columns(&table) <= width))
            break;
    }
    if (rc == 0)
        sb_table_print(&table, page->out);
    return rc;
}

/* ---- Details ----------------------------------------------------------------------------------
 */

static bool went_wrong(const json_t *job) {
    return sb_text_is(job, "outcome", "fail") || sb_text_is(job, "outcome", "error");
}

/* Is there more to say of the job than its line says? */
static bool has_details(const json_t *job) {
    SB_AUTO_TEXT struct sb_text alarm = {0};
    sb_say_alarm(&alarm, job);
    return alarm.length || !sb_text_is(job, "verdict", "bitwise") ||
           !sb_text_is(job, "outcome", "pass");
}

/* "build/samebits rerun": as the program was called. */
static void add_program(struct sb_text *text, const struct page *page, const char *command) {
    sb_text_quote(text, page->options->program ? page->options->program : "samebits");
    sb_text_printf(text, " %s ", command);
}

/* A line that people copy, and so never folded. */
static void print_whole(const struct page *page, struct sb_text *text) {
    SB_AUTO_FREE char *shown =
        text->length ? sb_text_shown(text->data, page->options->unicode) : NULL;
    sb_text_clear(text);
    if (shown)
        fprintf(page->out, "  %s\n", shown);
}

static void print_trace(const struct page *page, const json_t *job) {
    SB_AUTO_TEXT struct sb_text said = {0}, text = {0};
    sb_say_trace(&said, job);
    if (said.length)
        sb_text_printf(&text, "traced    %s", said.data);
    print_text(page, &text, 10);
}

static void print_witness(const struct page *page, const json_t *job) {
    const json_t *witness = json_object_get(job, "witness");
    SB_AUTO_TEXT struct sb_text text = {0};
    if (!json_is_object(witness))
        return;
    sb_text_puts(&text, "witness   ");
    sb_say_witness(&text, job, &page->index);
    print_text(page, &text, 10);
    if (!page->options->directory)
        return;
    sb_text_puts(&text, "again     ");
    add_program(&text, page, "rerun");
    sb_text_quote(&text, page->options->directory);
    sb_text_printf(&text, " %s", sb_text_of(witness, "b"));
    print_whole(page, &text);
}

/* What explain found, or how to ask it. */
static void print_why(const struct page *page, const json_t *job) {
    const json_t *explained = json_object_get(job, "explained");
    SB_AUTO_TEXT struct sb_text lines = {0}, text = {0};
    sb_say_explained(&lines, explained);
    const char *at = lines.data, *label = "why       ";
    for (char *line; (line = sb_text_next_line(&at)); free(line), label = "          ") {
        sb_text_printf(&text, "%s%s", label, line);
        print_text(page, &text, 10 + strspn(line, " "));
    }
    bool unfinished = json_is_true(json_object_get(explained, "unfinished"));
    if ((explained && !unfinished) || !json_is_object(json_object_get(job, "witness")) ||
        !page->options->directory)
        return;
    sb_text_puts(&text, unfinished ? "goes on   " : "why       ");
    add_program(&text, page, "explain");
    sb_text_quote(&text, page->options->directory);
    if (json_array_size(page->jobs) > 1) {
        sb_text_puts(&text, " --job ");
        sb_text_quote(&text, sb_job_title(job));
    }
    print_whole(page, &text);
}

/* Where the first failed run of the job says more. */
static void print_log(const struct page *page, const json_t *job) {
    const json_t *run = json_object_get(page->index.first_failed, sb_job_title(job));
    SB_AUTO_TEXT struct sb_text text = {0};
    if (!*sb_text_of(run, "log") || !page->options->directory)
        return;
    sb_text_printf(&text, "log       %s/%s", page->options->directory, sb_text_of(run, "log"));
    print_whole(page, &text);
}

/* Each distinct result with the sum of its elements, for those who compare sums. */
static void print_groups(const struct page *page, const json_t *job) {
    enum { MOST_GROUPS = 8 };
    const json_t *groups = json_object_get(job, "groups");
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t i;
    json_t *group;
    json_array_foreach(groups, i, group) {
        if (i == MOST_GROUPS) {
            sb_text_printf(&text, "          … and %zu more results", json_array_size(groups) - i);
            print_whole(page, &text);
            break;
        }
        size_t n = json_array_size(json_object_get(group, "runs"));
        sb_text_printf(&text, "%s   %s", i ? "       " : "weights",
                       sb_text_of(group, "fingerprint"));
        const json_t *sum = json_object_get(group, "sum"); /* JSON has no NaN and no infinity */
        if (n && json_is_number(sum))
            sb_text_printf(&text, "   sum %.17g", json_number_value(sum));
        else if (n)
            sb_text_printf(&text, "   sum %s",
                           json_is_string(sum) ? json_string_value(sum) : "nan");
        if (n)
            sb_text_printf(&text, "   %zu run%s", n, n == 1 ? "" : "s");
        else
            sb_text_puts(&text, "   only in later calls of a process");
        print_whole(page, &text);
    }
}

static void print_details(const struct page *page, const json_t *job) {
    static void (*const sentences[])(struct sb_text *, const json_t *) = {
        sb_say_missing, sb_say_instability, sb_say_calls, sb_say_dependence, sb_say_magnitude};
    SB_AUTO_TEXT struct sb_text text = {0};
    bool colour = page->options->colour;
    fputc('\n', page->out);
    if (json_array_size(page->jobs) > 1) {
        SB_AUTO_FREE char *title = sb_text_shown(sb_job_title(job), page->options->unicode);
        enum sb_tone tone = sb_say_verdict(&text, job);
        sb_text_clear(&text);
        fprintf(page->out, "  %s%s%s  %s%s%s\n", sb_tone_start(SB_TONE_BOLD, colour),
                title ? title : "", sb_tone_end(colour), sb_tone_start(tone, colour),
                outcome_word(page, job), sb_tone_end(colour));
    }
    for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
        sentences[i](&text, job);
        print_text(page, &text, 0);
    }
    if (*sb_text_of(job, "reason"))
        sb_text_printf(&text, "%s   %s", went_wrong(job) ? "because" : "note   ",
                       sb_text_of(job, "reason"));
    print_text(page, &text, 10);
    print_witness(page, job);
    print_why(page, job);
    print_trace(page, job);
    if (page->options->verbose)
        print_groups(page, job);
    print_log(page, job);
}

/* Directly below the matrix, whatever else there is to say. */
static void print_alarms(const struct page *page) {
    bool colour = page->options->colour;
    size_t i;
    json_t *job;
    json_array_foreach(page->jobs, i, job) {
        SB_AUTO_TEXT struct sb_text alarm = {0};
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_say_alarm(&alarm, job);
        if (!alarm.length)
            continue;
        sb_text_printf(&text, "%s: %s", sb_job_title(job), alarm.data ? alarm.data : "");
        fprintf(page->out, "\n%s", sb_tone_start(SB_TONE_BAD, colour));
        print_text(page, &text, 2);
        fputs(sb_tone_end(colour), page->out);
    }
}

static bool has_few_jobs(const struct page *page) {
    return json_array_size(page->jobs) <= FEW_JOBS;
}

/* Details of what went wrong come for every job, up to a number that can be read; those of jobs
 * that are as required only where there are few jobs. */
static void print_all_details(const struct page *page) {
    bool all = page->options->verbose, few = has_few_jobs(page);
    size_t i, printed = 0, left = 0;
    json_t *job;
    json_array_foreach(page->jobs, i, job) {
        bool wanted =
            all || (has_details(job) && (few || went_wrong(job)) && printed < MOST_DETAILS);
        if (wanted)
            print_details(page, job);
        printed += wanted;
        left += !wanted && has_details(job);
    }
    SB_AUTO_TEXT struct sb_text text = {0};
    if (!left)
        return;
    sb_text_printf(&text, "%zu %sjob%s details: ", left, printed ? "more " : "",
                   left == 1 ? " has" : "s have");
    add_program(&text, page, "report -v");
    sb_text_quote(&text, page->options->directory ? page->options->directory : "DIR");
    fputc('\n', page->out);
    print_whole(page, &text);
}

/* ---- Below all --------------------------------------------------------------------------------
 */

/* Each reason once, however many jobs have the axis. */
static void print_unavailable(const struct page *page) {
    SB_AUTO_STRINGS struct sb_strings said = {0};
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t i, k;
    json_t *job, *axis;
    json_array_foreach(page->jobs, i, job) {
        json_array_foreach(json_object_get(job, "axes"), k, axis) {
            const char *why = sb_text_of(axis, "unavailable"), *name = sb_text_of(axis, "name");
            if (!*why)
                continue;
            /* Reasons begin with the axis' name, those that the plan wrote. */
            bool named = strncmp(why, name, strlen(name)) == 0;
            sb_text_printf(&text, "unavailable here: %s%s%s", named ? "" : name, named ? "" : ": ",
                           why);
            if (text.data && sb_strings_contain(&said, text.data))
                sb_text_clear(&text);
            else if (text.data)
                sb_strings_add(&said, text.data);
            print_text(page, &text, 4);
        }
    }
}

/* Where jobs are too many for the details of each: every reason once, and how many it kept. */
static void print_skipped(const struct page *page) {
    SB_AUTO_JSON json_t *reasons = json_object();
    size_t i;
    const char *reason;
    json_t *job, *n;
    json_array_foreach(page->jobs, i, job) {
        reason = sb_text_of(job, "reason");
        if (!sb_text_is(job, "outcome", "skipped") || !*reason)
            continue;
        n = json_object_get(reasons, reason);
        json_object_set_new(reasons, reason, json_integer(json_integer_value(n) + 1));
    }
    json_object_foreach(reasons, reason, n) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_text_printf(&text, "skipped, %" JSON_INTEGER_FORMAT " job%s: %s", json_integer_value(n),
                       json_integer_value(n) == 1 ? "" : "s", reason);
        print_text(page, &text, 4);
    }
}

static bool has_bound(const struct page *page) {
    size_t i;
    json_t *job;
    json_array_foreach(page->jobs, i, job) {
        const json_t *confidence = json_object_get(job, "confidence");
        if (json_is_number(json_object_get(confidence, "max_mismatch_rate_95")))
            return true;
    }
    return false;
}

/* Lines of their own, of which each may be long. */
static void print_baseline(const struct page *page) {
    const json_t *check = json_object_get(page->result, "baseline");
    SB_AUTO_TEXT struct sb_text lines = {0};
    if (!json_is_object(check))
        return;
    sb_say_baseline(&lines, check, page->options->verbose);
    fputc('\n', page->out);
    const char *at = lines.data;
    for (char *line; (line = sb_text_next_line(&at)); free(line)) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_text_puts(&text, line);
        print_text(page, &text, 10);
    }
}

static void print_footer(const struct page *page) {
    const json_t *isolation = json_object_get(page->result, "isolation");
    const json_t *shared = json_object_get(isolation, "shared");
    SB_AUTO_TEXT struct sb_text text = {0};
    fputc('\n', page->out);
    if (has_bound(page))
        sb_text_puts(&text, sb_bound_legend);
    print_text(page, &text, 4);
    print_unavailable(page);
    if (!has_few_jobs(page) && !page->options->verbose)
        print_skipped(page);
    if (json_array_size(shared))
        sb_text_puts(&text, "not isolated: ");
    sb_say_list(&text, shared, "; ");
    print_text(page, &text, 4);
    if (has_bound(page) || json_array_size(shared))
        fputc('\n', page->out);
    enum sb_tone tone;
    const char *word = sb_result_word(page->result, &tone);
    sb_say_counts(&text, page->result);
    sb_text_puts(&text, "   ");
    sb_say_duration(&text, json_number_value(json_object_get(page->result, "elapsed_s")));
    fprintf(page->out, "  %s%s%s  ", sb_tone_start(tone, page->options->colour), word,
            sb_tone_end(page->options->colour));
    print_folded(page, &text, strlen(word) + 4, strlen(word) + 4);
}

static int write_terminal(const json_t *result, const struct sb_report_options *options, FILE *out,
                          struct sb_error *err) {
    struct page page = {
        .result = result, .jobs = json_object_get(result, "jobs"), .options = options, .out = out};
    int rc = sb_run_index_make(result, &page.index);
    fputc('\n', out);
    if (rc == 0)
        rc = print_matrix(&page);
    if (rc == 0) {
        print_alarms(&page);
        print_all_details(&page);
        print_baseline(&page);
        print_footer(&page);
    }
    sb_run_index_clear(&page.index);
    return rc < 0 ? sb_error_errno(err, rc, "terminal report") : 0;
}

const struct sb_report sb_report_terminal = {
    .name = "terminal",
    .summary = "the matrix and what follows from it, for people",
    .write = write_terminal,
};
