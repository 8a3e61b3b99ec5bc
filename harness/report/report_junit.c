/* Stage 7: JUnit XML as Jenkins, GitLab and Buildkite read it: one testcase a job, a divergence is
 * a failure. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* XML 1.0 has no place for most control characters, not even escaped: they are written \xHH.
 * jansson hands out valid UTF-8, in which U+FFFE and U+FFFF (EF BF BE, EF BF BF) are still not
 * allowed in XML. */
static void add_escaped(struct sb_text *xml, const char *text) {
    for (const unsigned char *s = (const unsigned char *)text; *s; s++) {
        bool noncharacter = s[0] == 0xef && s[1] == 0xbf && (s[2] == 0xbe || s[2] == 0xbf);
        if (*s == '&')
            sb_text_puts(xml, "&amp;");
        else if (*s == '<')
            sb_text_puts(xml, "&lt;");
        else if (*s == '>')
            sb_text_puts(xml, "&gt;");
        else if (*s == '"')
            sb_text_puts(xml, "&quot;");
        else if (*s < 0x20 || *s == 0x7f)
            sb_text_printf(xml, "\\x%02x", *s);
        else if (noncharacter)
            sb_text_puts(xml, "\\u"), sb_text_puts(xml, *(s += 2) == 0xbe ? "fffe" : "ffff");
        else
            sb_text_putc(xml, (char)*s);
    }
}

static void add_attribute(struct sb_text *xml, const char *name, const char *value) {
    sb_text_printf(xml, " %s=\"", name);
    add_escaped(xml, value);
    sb_text_putc(xml, '"');
}

/* "config-dependent: depends on threads, isa; divergent" */
static char *job_message(const json_t *job) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, text_of(job, "verdict"));
    size_t i;
    json_t *axis;
    json_array_foreach(json_object_get(job, "depends_on"), i, axis) {
        sb_text_printf(&text, "%s%s", i ? ", " : ": depends on ", json_string_value(axis));
    }
    if (*text_of(job, "reason"))
        sb_text_printf(&text, "; %s", text_of(job, "reason"));
    return sb_text_take(&text);
}

/* Wall time of a job's runs added up. */
static double job_seconds(const json_t *result, const json_t *job) {
    double seconds = 0;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        if (strcmp(text_of(run, "job_id"), text_of(job, "id")) == 0)
            seconds += json_number_value(json_object_get(run, "wall_s"));
    }
    return seconds;
}

static void add_body(struct sb_text *xml, const json_t *job) {
    const json_t *witness = json_object_get(job, "witness"), *worst = json_object_get(job, "worst");
    SB_AUTO_TEXT struct sb_text body = {0};
    if (json_is_object(witness))
        sb_text_printf(&body, "witness: %s against %s\n", text_of(witness, "a"),
                       text_of(witness, "b"));
    if (json_is_object(worst))
        sb_text_printf(&body, "worst tensor: %s (%s)\n", text_of(worst, "tensor"),
                       text_of(job, "grade"));
    if (*text_of(job, "reason"))
        sb_text_printf(&body, "%s\n", text_of(job, "reason"));
    /* Line ends are allowed in an element's text and stay. */
    for (char *line = body.data, *end; line && *line; line = end) {
        end = strchr(line, '\n');
        *end++ = '\0';
        add_escaped(xml, line);
        sb_text_putc(xml, '\n');
    }
}

static void add_testcase(struct sb_text *xml, const json_t *result, const json_t *job) {
    static const struct {
        const char *outcome, *element;
    } elements[] = {{"fail", "failure"}, {"error", "error"}, {"skipped", "skipped"}};
    sb_text_puts(xml, "  <testcase");
    SB_AUTO_FREE char *class_name = sb_format("samebits.%s", text_of(result, "suite"));
    add_attribute(xml, "classname", class_name ? class_name : "samebits");
    add_attribute(xml, "name", text_of(job, "id"));
    sb_text_printf(xml, " time=\"%.6f\">\n", job_seconds(result, job));
    SB_AUTO_FREE char *message = job_message(job);
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        if (strcmp(text_of(job, "outcome"), elements[i].outcome) != 0)
            continue;
        sb_text_printf(xml, "    <%s", elements[i].element);
        add_attribute(xml, "message", message ? message : "");
        if (strcmp(elements[i].element, "skipped") != 0)
            add_attribute(xml, "type", text_of(job, "verdict"));
        sb_text_puts(xml, ">");
        add_body(xml, job);
        sb_text_printf(xml, "</%s>\n", elements[i].element);
    }
    sb_text_puts(xml, "    <system-out>");
    add_escaped(xml, message ? message : "");
    sb_text_puts(xml, "</system-out>\n  </testcase>\n");
}

static size_t count(const json_t *jobs, const char *outcome) {
    size_t i, n = 0;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        n += strcmp(text_of(job, "outcome"), outcome) == 0;
    }
    return n;
}

static int write_junit(const json_t *result, const struct sb_report_options *options, FILE *out,
                       struct sb_error *err) {
    (void)options;
    const json_t *jobs = json_object_get(result, "jobs");
    SB_AUTO_TEXT struct sb_text xml = {0};
    SB_AUTO_TEXT struct sb_text counts = {0};
    sb_text_printf(&counts,
                   " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.6f\"",
                   json_array_size(jobs), count(jobs, "fail"), count(jobs, "error"),
                   count(jobs, "skipped"), json_number_value(json_object_get(result, "elapsed_s")));
    sb_text_puts(&xml, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"samebits\"");
    sb_text_puts(&xml, counts.data ? counts.data : "");
    sb_text_puts(&xml, ">\n <testsuite");
    add_attribute(&xml, "name", text_of(result, "suite"));
    sb_text_puts(&xml, counts.data ? counts.data : "");
    add_attribute(&xml, "timestamp", text_of(result, "started"));
    sb_text_puts(&xml, ">\n");
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        add_testcase(&xml, result, job);
    }
    sb_text_puts(&xml, " </testsuite>\n</testsuites>\n");
    if (xml.failed)
        return sb_error_errno(err, -ENOMEM, "junit report");
    fputs(xml.data, out);
    return 0;
}

const struct sb_report sb_report_junit = {
    .name = "junit",
    .summary = "JUnit XML for Jenkins, GitLab and Buildkite",
    .file_name = "junit.xml",
    .write = write_junit,
};
