/* Stage 7: Test Anything Protocol 14: one test point a job. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/sentences.h"

#include <errno.h>
#include <string.h>

/* A description or a reason: one line, in which `#` and `\` stand for themselves. */
static void add_escaped(struct sb_text *tap, const char *text) {
    SB_AUTO_FREE char *shown = sb_text_printable(text);
    if (!shown)
        tap->failed = true;
    for (const char *s = shown; s && *s; s++) {
        if (*s == '#' || *s == '\\')
            sb_text_putc(tap, '\\');
        sb_text_putc(tap, *s);
    }
}

/* `key: "value"`. JSON's strings are YAML's; YAML alone forbids the C1 controls, which are escaped
 * before. */
static void add_string(struct sb_text *tap, const char *key, const char *value) {
    SB_AUTO_FREE char *shown = sb_text_printable(value);
    SB_AUTO_JSON json_t *string = shown ? json_string(shown) : NULL;
    SB_AUTO_FREE char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    if (!quoted)
        tap->failed = true;
    else if (*shown)
        sb_text_printf(tap, "  %s: %s\n", key, quoted);
}

static void add_said(struct sb_text *tap, const char *key,
                     void (*say)(struct sb_text *, const json_t *), const json_t *job) {
    SB_AUTO_TEXT struct sb_text text = {0};
    say(&text, job);
    add_string(tap, key, text.data ? text.data : "");
}

static void add_diagnostics(struct sb_text *tap, const json_t *job,
                            const struct sb_run_index *index) {
    SB_AUTO_TEXT struct sb_text witness = {0};
    sb_text_puts(tap, "  ---\n");
    add_said(tap, "message", sb_say_message, job);
    add_string(tap, "severity", sb_text_of(job, "outcome"));
    add_string(tap, "verdict", sb_text_of(job, "verdict"));
    add_said(tap, "unstable", sb_say_instability, job);
    add_said(tap, "alarm", sb_say_alarm, job);
    add_said(tap, "calls", sb_say_calls, job);
    add_said(tap, "dependence", sb_say_dependence, job);
    add_said(tap, "magnitude", sb_say_magnitude, job);
    add_said(tap, "evidence", sb_say_evidence, job);
    sb_say_witness(&witness, job, index);
    add_string(tap, "witness", witness.data ? witness.data : "");
    add_said(tap, "traced", sb_say_trace, job);
    sb_text_puts(tap, "  ...\n");
}

/* A control that fired is a failure that was expected, which TAP calls TODO; one that did not fire
 * is a TODO that passed. Neither fails. */
static const struct {
    const char *outcome, *result, *directive;
} lines[] = {
    {"pass", "ok", NULL},
    {"fail", "not ok", NULL},
    {"error", "not ok", NULL},
    {"xfail", "not ok", "TODO control: diverged, as it must"},
    {"xpass", "ok", "TODO control: did not diverge here"},
    {"skipped", "ok", "SKIP"},
};

static void add_job(struct sb_text *tap, size_t number, const json_t *job,
                    const struct sb_run_index *index) {
    const char *result = "not ok", *directive = NULL;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (sb_text_is(job, "outcome", lines[i].outcome)) {
            result = lines[i].result;
            directive = lines[i].directive;
        }
    }
    sb_text_printf(tap, "%s %zu - ", result, number);
    add_escaped(tap, sb_job_title(job));
    if (directive)
        sb_text_printf(tap, " # %s", directive);
    bool skipped = directive && strcmp(directive, "SKIP") == 0;
    if (skipped && *sb_text_of(job, "reason")) {
        sb_text_putc(tap, ' ');
        add_escaped(tap, sb_text_of(job, "reason"));
    }
    sb_text_putc(tap, '\n');
    if (!skipped)
        add_diagnostics(tap, job, index);
}

static int write_tap(const json_t *result, const struct sb_report_options *options, FILE *out,
                     struct sb_error *err) {
    (void)options;
    const json_t *jobs = json_object_get(result, "jobs");
    SB_AUTO_TEXT struct sb_text tap = {0};
    SB_CLEANUP(sb_run_index_clear) struct sb_run_index index;
    if (sb_run_index_make(result, &index) < 0)
        return sb_error_errno(err, -ENOMEM, "tap report");
    size_t n = json_array_size(jobs);
    sb_text_printf(&tap, "TAP version 14\n1..%zu%s\n", n, n ? "" : " # SKIP no job");
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        add_job(&tap, i + 1, job, &index);
    }
    if (sb_count_of(result, "exit_code") == 130)
        sb_text_puts(&tap, "Bail out! interrupted\n");
    if (tap.failed)
        return sb_error_errno(err, -ENOMEM, "tap report");
    fputs(tap.data, out);
    return 0;
}

const struct sb_report sb_report_tap = {
    .name = "tap",
    .summary = "Test Anything Protocol 14, a test point a job",
    .write = write_tap,
};
