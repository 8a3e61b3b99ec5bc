/* Stage 7: JUnit XML as Jenkins, GitLab and Buildkite read it: one testcase a job, a divergence is
 * a failure. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/sentences.h"

#include <errno.h>
#include <string.h>

/* XML 1.0 has no place for most control characters, not even escaped: they are written \xHH.
 * jansson hands out valid UTF-8, in which U+FFFE and U+FFFF (EF BF BE, EF BF BF) are still not
 * allowed in XML. `lines`: line ends stay, as they may in an element's text. */
static void add_escaped(struct sb_text *xml, const char *text, bool lines) {
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
        else if ((*s < 0x20 && !(lines && *s == '\n')) || *s == 0x7f)
            sb_text_printf(xml, "\\x%02x", *s);
        else if (noncharacter)
            sb_text_puts(xml, *(s += 2) == 0xbe ? "\\ufffe" : "\\uffff");
        else
            sb_text_putc(xml, (char)*s);
    }
}

static void add_attribute(struct sb_text *xml, const char *name, const char *value) {
    sb_text_printf(xml, " %s=\"", name);
    add_escaped(xml, value, false);
    sb_text_putc(xml, '"');
}

/* Never in exponent form. */
static void add_time(struct sb_text *xml, double seconds) {
    sb_text_printf(xml, " time=\"%.6f\"", seconds > 0 ? seconds : 0);
}

/* "suites/gpu.nightly.yaml" → "samebits.gpu_nightly": viewers cut at dots to make packages. */
static char *class_name(const json_t *result) {
    const char *path = sb_text_of(result, "suite"), *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t n = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    sb_text_printf(&text, "samebits.%.*s", (int)n, name);
    for (char *c = text.data ? text.data + strlen("samebits.") : NULL; c && *c; c++)
        *c = *c == '.' ? '_' : *c;
    return sb_text_take(&text);
}

/* GitLab keeps only the first of several tests with one name: further ones get a number. */
static int add_name(struct sb_text *xml, json_t *seen, const json_t *job) {
    const char *title = sb_job_title(job);
    json_int_t times = json_integer_value(json_object_get(seen, title)) + 1;
    SB_AUTO_FREE char *numbered =
        times > 1 ? sb_format("%s (%lld)", title, (long long)times) : NULL;
    if (json_object_set_new(seen, title, json_integer(times)) < 0 || (times > 1 && !numbered))
        return -ENOMEM;
    add_attribute(xml, "name", numbered ? numbered : title);
    return 0;
}

static void add_paragraph(struct sb_text *text, struct sb_text *paragraph, const char *label) {
    if (paragraph->length)
        sb_text_printf(text, "%s%s\n", label, paragraph->data);
    sb_text_clear(paragraph);
}

static void add_body(struct sb_text *xml, const json_t *job, const struct sb_run_index *index) {
    SB_AUTO_TEXT struct sb_text body = {0};
    SB_AUTO_TEXT struct sb_text part = {0};
    sb_say_instability(&part, job);
    add_paragraph(&body, &part, "");
    sb_say_alarm(&part, job);
    add_paragraph(&body, &part, "");
    sb_say_calls(&part, job);
    add_paragraph(&body, &part, "");
    sb_say_dependence(&part, job);
    add_paragraph(&body, &part, "");
    sb_say_magnitude(&part, job);
    add_paragraph(&body, &part, "");
    sb_say_evidence(&part, job);
    add_paragraph(&body, &part, "evidence: ");
    sb_say_witness(&part, job, index);
    add_paragraph(&body, &part, "witness: ");
    sb_say_explained(&part, json_object_get(job, "explained"));
    add_paragraph(&body, &part, "why: ");
    sb_say_trace(&part, job);
    add_paragraph(&body, &part, "traced: ");
    sb_text_puts(&part, sb_text_of(json_object_get(index->first_failed, sb_job_title(job)), "log"));
    add_paragraph(&body, &part, "log: ");
    add_escaped(xml, body.data ? body.data : "", true);
}

static int add_testcase(struct sb_text *xml, const json_t *job, const char *class,
                        const struct sb_run_index *index, json_t *seen) {
    static const struct {
        const char *outcome, *element;
    } elements[] = {{"fail", "failure"}, {"error", "error"}, {"skipped", "skipped"}};
    SB_AUTO_TEXT struct sb_text message = {0};
    const char *element = "system-out"; /* what is as required says what was found, too */
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        if (sb_text_is(job, "outcome", elements[i].outcome))
            element = elements[i].element;
    }
    bool skipped = strcmp(element, "skipped") == 0, told = strcmp(element, "system-out") != 0;
    sb_text_puts(xml, "  <testcase");
    add_attribute(xml, "classname", class);
    if (add_name(xml, seen, job) < 0)
        return -ENOMEM;
    add_time(xml, json_number_value(json_object_get(index->seconds, sb_job_title(job))));
    sb_text_printf(xml, ">\n    <%s", element);
    sb_say_message(&message, job);
    if (told)
        add_attribute(xml, "message", message.data ? message.data : "");
    if (told && !skipped)
        add_attribute(xml, "type", sb_text_of(job, "verdict"));
    sb_text_puts(xml, ">");
    if (!told) {
        add_escaped(xml, message.data ? message.data : "", true);
        sb_text_putc(xml, '\n');
    }
    if (!skipped)
        add_body(xml, job, index);
    sb_text_printf(xml, "</%s>\n  </testcase>\n", element);
    return 0;
}

/* Of a check against a baseline: jobs whose bits are not those of before. */
static bool is_changed(const json_t *checked) {
    return sb_count_of(checked, "changed") > 0 ||
           sb_text_is(checked, "answer", "newly nondeterministic");
}

static const json_t *checked_jobs(const json_t *result) {
    return json_object_get(json_object_get(result, "baseline"), "jobs");
}

static size_t count_changed(const json_t *checked) {
    size_t n = 0, i;
    json_t *job;
    json_array_foreach(checked, i, job) n += is_changed(job);
    return n;
}

/* A test case for each job that a baseline knows: are its bits still the same? */
static void add_baseline(struct sb_text *xml, const json_t *checked, const char *class) {
    size_t i;
    json_t *job;
    json_array_foreach(checked, i, job) {
        SB_AUTO_FREE char *name = sb_format("%s: baseline", sb_text_of(job, "job"));
        const json_t *example = json_object_get(job, "example");
        sb_text_puts(xml, "  <testcase");
        add_attribute(xml, "classname", class);
        add_attribute(xml, "name", name ? name : "baseline");
        if (!is_changed(job)) {
            sb_text_puts(xml, "/>\n");
            continue;
        }
        sb_text_puts(xml, ">\n   <failure");
        add_attribute(xml, "message", sb_text_of(job, "answer"));
        add_attribute(xml, "type", "baseline");
        sb_text_puts(xml, ">");
        SB_AUTO_FREE char *body = sb_format("%s: %s, now %s", sb_text_of(example, "cell"),
                                            sb_text_of(example, "was"), sb_text_of(example, "is"));
        if (json_is_object(example))
            add_escaped(xml, body ? body : "", true);
        sb_text_puts(xml, "</failure>\n  </testcase>\n");
    }
}

static void add_suite(struct sb_text *xml, const json_t *result) {
    const json_t *jobs = json_object_get(result, "jobs"), *checked = checked_jobs(result);
    SB_AUTO_TEXT struct sb_text counts = {0};
    sb_text_printf(&counts, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\"",
                   json_array_size(jobs) + json_array_size(checked),
                   sb_count_outcomes(jobs, "fail") + count_changed(checked),
                   sb_count_outcomes(jobs, "error"));
    add_time(&counts, json_number_value(json_object_get(result, "elapsed_s")));
    const char *shown = counts.data ? counts.data : "";
    const char *started = sb_text_of(result, "started");
    /* The schema wants a time without a zone; it is UTC. */
    SB_AUTO_FREE char *timestamp = strndup(started, strcspn(started, "Z"));
    sb_text_printf(xml,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<testsuites name=\"samebits\"%s>\n <testsuite",
                   shown);
    add_attribute(xml, "name", sb_text_of(result, "suite"));
    sb_text_printf(xml, "%s skipped=\"%zu\"", shown, sb_count_outcomes(jobs, "skipped"));
    if (timestamp && *timestamp)
        add_attribute(xml, "timestamp", timestamp);
    sb_text_puts(xml, ">\n");
}

static int write_junit(const json_t *result, const struct sb_report_options *options, FILE *out,
                       struct sb_error *err) {
    (void)options;
    SB_AUTO_TEXT struct sb_text xml = {0};
    SB_AUTO_FREE char *class = class_name(result);
    SB_AUTO_JSON json_t *seen = json_object();
    SB_CLEANUP(sb_run_index_clear) struct sb_run_index index;
    int rc = sb_run_index_make(result, &index);
    if (!class || !seen)
        rc = -ENOMEM;
    add_suite(&xml, result);
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        if (rc == 0)
            rc = add_testcase(&xml, job, class, &index, seen);
    }
    if (rc == 0)
        add_baseline(&xml, checked_jobs(result), class);
    sb_text_puts(&xml, " </testsuite>\n</testsuites>\n");
    if (rc < 0 || xml.failed)
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
