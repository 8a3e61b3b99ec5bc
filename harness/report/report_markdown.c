/* Stage 7: Markdown for the summary of a CI step or a merge request: the matrix as a table, details
 * below. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/baseline.h"
#include "report/sentences.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* GitHub drops a step's summary whole beyond 1 MiB (1,048,576 bytes). Rows and details are added
 * only where they fit, so that the document cannot grow beyond MOST_BYTES plus the notes on what
 * was left out. */
enum {
    MOST_BYTES = 1000000,
    MOST_TABLE = 600000,
    MOST_NAME = 120, /* columns of a name */
    MOST_TEXT = 4000 /* columns of a sentence */
};

struct page {
    const json_t *result, *jobs;
    const struct sb_report_options *options;
    struct sb_run_index index;
    struct sb_text text;
};

/* Is this ASCII character no sign to any Markdown where it stands? Inside a word `_`, `-` and `+`
 * are none, and before a blank `:` ends no emoji's name. */
static bool is_plain(const char *text, const char *at) {
    static const char safe[] = " ,;()%/.=", in_words[] = "_-+";
    bool in_word = at > text && isalnum((unsigned char)at[-1]) && isalnum((unsigned char)at[1]);
    return isalnum((unsigned char)*at) || strchr(safe, *at) || (in_word && strchr(in_words, *at)) ||
           (*at == ':' && (at[1] == ' ' || !at[1]));
}

/* Text that no Markdown reads as a sign: ASCII punctuation as numeric references, which never form
 * structure (CommonMark 0.31, 2.5). */
static void add_escaped(struct sb_text *out, const char *text, size_t most) {
    SB_AUTO_FREE char *shown = sb_text_printable(text);
    SB_AUTO_FREE char *fitting = shown ? sb_text_shortened(shown, most, true) : NULL;
    if (!fitting)
        out->failed = true;
    for (const char *s = fitting; s && *s; s++) {
        if ((unsigned char)*s >= 0x80 || is_plain(fitting, s))
            sb_text_putc(out, *s);
        else
            sb_text_printf(out, "&#%u;", (unsigned char)*s);
    }
}

/* Takes what `said` holds. */
static void add_said(struct sb_text *out, struct sb_text *said, size_t most) {
    add_escaped(out, said->data ? said->data : "", most);
    sb_text_clear(said);
}

static const char *outcome_mark(const json_t *job) {
    static const char *const marks[][2] = {{"pass", "✅ pass"},        {"fail", "❌ **fail**"},
                                           {"error", "❌ **error**"},  {"xfail", "✅ xfail"},
                                           {"xpass", "⚠️ xpass"}, {"skipped", "➖ skipped"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (sb_text_is(job, "outcome", marks[i][0]))
            return marks[i][1];
    }
    return "";
}

static void add_heading(struct sb_text *table, const struct sb_strings *axes) {
    sb_text_puts(table, "| outcome | job | run to run |");
    for (size_t i = 0; i < axes->n; i++) {
        sb_text_putc(table, ' ');
        add_escaped(table, axes->items[i], MOST_NAME);
        sb_text_puts(table, " |");
    }
    sb_text_puts(table, " verdict | worst difference | evidence |\n|");
    for (size_t i = 0; i < axes->n + 6; i++)
        sb_text_puts(table, " --- |");
    sb_text_putc(table, '\n');
}

static void add_cell(struct sb_text *row, struct sb_text *said) {
    sb_text_putc(row, ' ');
    add_said(row, said, MOST_NAME);
    sb_text_puts(row, " |");
}

static void add_row(struct sb_text *row, const json_t *job, const struct sb_strings *axes) {
    SB_AUTO_TEXT struct sb_text said = {0};
    sb_text_printf(row, "| %s |", outcome_mark(job));
    sb_text_puts(&said, sb_job_title(job));
    add_cell(row, &said);
    sb_say_repeats(&said, job);
    add_cell(row, &said);
    for (size_t i = 0; i < axes->n; i++) {
        sb_say_axis(&said, job, sb_axis_of(job, axes->items[i]), 60);
        add_cell(row, &said);
    }
    sb_say_verdict(&said, job);
    add_cell(row, &said);
    sb_say_worst(&said, job, true);
    add_cell(row, &said);
    sb_say_evidence(&said, job);
    add_cell(row, &said);
    sb_text_putc(row, '\n');
}

static bool went_wrong(const json_t *job) {
    return sb_text_is(job, "outcome", "fail") || sb_text_is(job, "outcome", "error");
}

/* Appends a part where it fits. */
static bool add_part(struct page *page, struct sb_text *part, size_t most) {
    bool fits = page->text.length + part->length <= most;
    if (part->failed)
        page->text.failed = true;
    else if (fits && part->length)
        sb_text_add(&page->text, part->data, part->length);
    sb_text_clear(part);
    return fits;
}

static void add_left_out(struct page *page, size_t n, const char *what) {
    if (n)
        sb_text_printf(&page->text, "\n%zu more %s: result.json has them.\n", n, what);
}

static int add_matrix(struct page *page) {
    SB_AUTO_STRINGS struct sb_strings axes = {0};
    SB_AUTO_TEXT struct sb_text part = {0};
    int rc = sb_axis_columns(page->jobs, &axes);
    if (rc < 0)
        return rc;
    add_heading(&part, &axes);
    size_t i, left = 0;
    json_t *job;
    if (!json_array_size(page->jobs) || !add_part(page, &part, MOST_TABLE))
        return 0;
    json_array_foreach(page->jobs, i, job) {
        add_row(&part, job, &axes);
        left += !add_part(page, &part, MOST_TABLE);
    }
    add_left_out(page, left, "jobs");
    return 0;
}

static void add_item(struct sb_text *list, const char *label, struct sb_text *said) {
    if (said->length) {
        sb_text_printf(list, "- %s", label);
        add_said(list, said, MOST_TEXT);
        sb_text_putc(list, '\n');
    }
    sb_text_clear(said);
}

/* What explain found: a list within the item. */
static void add_why(struct sb_text *part, const json_t *job) {
    SB_AUTO_TEXT struct sb_text lines = {0};
    sb_say_explained(&lines, json_object_get(job, "explained"));
    const char *at = lines.data;
    for (char *line; (line = sb_text_next_line(&at)); free(line)) {
        bool within = *line == ' ';
        sb_text_puts(part, within ? "  - " : "- why: ");
        add_escaped(part, line + strspn(line, " "), MOST_TEXT);
        sb_text_putc(part, '\n');
    }
}

static void add_details(struct page *page, struct sb_text *part, const json_t *job) {
    SB_AUTO_TEXT struct sb_text said = {0};
    sb_text_printf(part, "\n<details%s><summary>%s", went_wrong(job) ? " open" : "",
                   went_wrong(job) ? "❌ " : "");
    add_escaped(part, sb_job_title(job), MOST_TEXT);
    sb_text_puts(part, "</summary>\n\n");
    sb_say_missing(&said, job);
    add_item(part, "", &said);
    sb_say_instability(&said, job);
    add_item(part, "", &said);
    sb_say_alarm(&said, job);
    add_item(part, "", &said);
    sb_say_calls(&said, job);
    add_item(part, "", &said);
    sb_say_dependence(&said, job);
    add_item(part, "", &said);
    sb_say_magnitude(&said, job);
    add_item(part, "", &said);
    sb_text_puts(&said, sb_text_of(job, "reason"));
    add_item(part, went_wrong(job) ? "because " : "note: ", &said);
    sb_say_witness(&said, job, &page->index);
    add_item(part, "witness: ", &said);
    add_why(part, job);
    sb_say_trace(&said, job);
    add_item(part, "traced: ", &said);
    sb_text_puts(&said,
                 sb_text_of(json_object_get(page->index.first_failed, sb_job_title(job)), "log"));
    add_item(part, "log: ", &said);
    sb_text_puts(part, "\n</details>\n");
}

static bool has_details(const json_t *job) {
    return !sb_text_is(job, "verdict", "bitwise") || !sb_text_is(job, "outcome", "pass");
}

/* What went wrong comes first, so that it is the last to be left out. */
static void add_all_details(struct page *page) {
    SB_AUTO_TEXT struct sb_text part = {0};
    size_t left = 0;
    for (int wrong = 1; wrong >= 0; wrong--) {
        size_t i;
        json_t *job;
        json_array_foreach(page->jobs, i, job) {
            if (went_wrong(job) != (bool)wrong || !has_details(job))
                continue;
            add_details(page, &part, job);
            left += !add_part(page, &part, MOST_BYTES);
        }
    }
    add_left_out(page, left, "jobs with details");
}

static void add_baseline(struct page *page) {
    const json_t *check = json_object_get(page->result, "baseline");
    SB_AUTO_TEXT struct sb_text part = {0};
    SB_AUTO_TEXT struct sb_text lines = {0};
    if (!json_is_object(check))
        return;
    sb_say_baseline(&lines, check, false);
    const char *at = lines.data;
    bool first = true;
    for (char *line; (line = sb_text_next_line(&at)); free(line), first = false) {
        sb_text_puts(&part, first ? "\n" : "- ");
        add_escaped(&part, line + strspn(line, " "), MOST_TEXT);
        sb_text_puts(&part, first ? "\n\n" : "\n");
    }
    add_part(page, &part, MOST_BYTES);
}

static void add_shared(struct page *page) {
    const json_t *shared = json_object_get(json_object_get(page->result, "isolation"), "shared");
    SB_AUTO_TEXT struct sb_text part = {0};
    SB_AUTO_TEXT struct sb_text said = {0};
    sb_text_puts(&part, "\n");
    add_escaped(&part, sb_bound_legend, MOST_TEXT);
    sb_text_puts(&part, ".\n");
    if (json_array_size(shared)) {
        sb_text_puts(&part, "\nNot isolated: ");
        sb_say_list(&said, shared, "; ");
        add_said(&part, &said, MOST_TEXT);
        sb_text_putc(&part, '\n');
    }
    add_part(page, &part, MOST_BYTES);
}

static int write_markdown(const json_t *result, const struct sb_report_options *options, FILE *out,
                          struct sb_error *err) {
    struct page page = {
        .result = result, .jobs = json_object_get(result, "jobs"), .options = options};
    SB_AUTO_TEXT struct sb_text said = {0};
    enum sb_tone tone;
    int rc = sb_run_index_make(result, &page.index);
    sb_text_printf(&page.text, "### samebits: %s ", sb_result_word(result, &tone));
    sb_text_puts(&said, sb_text_of(result, "suite"));
    add_said(&page.text, &said, MOST_NAME);
    sb_text_puts(&page.text, "\n\n");
    sb_say_counts(&said, result);
    sb_text_puts(&said, " in ");
    sb_say_duration(&said, json_number_value(json_object_get(result, "elapsed_s")));
    add_said(&page.text, &said, MOST_TEXT);
    sb_text_puts(&page.text, ".\n\n");
    if (rc == 0)
        rc = add_matrix(&page);
    if (rc == 0) {
        add_baseline(&page);
        add_shared(&page);
        add_all_details(&page);
        rc = page.text.failed ? -ENOMEM : 0;
    }
    if (rc == 0)
        fputs(page.text.data, out);
    sb_run_index_clear(&page.index);
    sb_text_clear(&page.text);
    return rc < 0 ? sb_error_errno(err, rc, "markdown report") : 0;
}

const struct sb_report sb_report_markdown = {
    .name = "markdown",
    .summary = "for the summary of a CI step: a table and details, below 1 MiB",
    .write = write_markdown,
};
