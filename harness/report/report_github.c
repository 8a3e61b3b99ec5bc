/* Stage 7: annotations for a step of GitHub Actions, as workflow commands on standard output. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/reading.h"
#include "report/sentences.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* GitHub shows ten of a kind for a step and drops the rest in silence. */
enum { MOST_OF_A_KIND = 10 };

/* One annotation. */
struct note {
    const json_t *job;
    double rank; /* the larger, the worse */
};

/* As workflow commands want it; a property's text may not hold what ends it either. */
static void put_escaped(FILE *out, const char *text, bool property) {
    for (; *text; text++) {
        if (strchr("%\r\n", *text) || (property && strchr(":,", *text)))
            fprintf(out, "%%%02X", (unsigned char)*text);
        else if ((unsigned char)*text >= ' ' || *text == '\t')
            fputc(*text, out);
        else
            fputc('?', out);
    }
}

static void put_note(FILE *out, const char *kind, const json_t *result, const char *title,
                     const char *message) {
    const char *suite = sb_text_of(result, "suite");
    fprintf(out, "::%s title=", kind);
    put_escaped(out, title, true);
    if (*suite && strcmp(suite, "command line") != 0) {
        fputs(",file=", out);
        put_escaped(out, suite, true);
    }
    fputs("::", out);
    put_escaped(out, message, false);
    fputc('\n', out);
}

/* Jobs without an answer stand first, then those that differ from run to run, then by ULP. */
static double rank_of(const json_t *job) {
    const json_t *ulp = json_object_get(json_object_get(job, "worst"), "max_ulp");
    double distance = json_is_number(ulp)   ? json_number_value(ulp)
                      : json_is_string(ulp) ? 1e300
                                            : 0;
    double rank = log2(1 + distance);
    if (sb_text_is(job, "verdict", "nondeterministic"))
        rank += 2000;
    return sb_text_is(job, "outcome", "error") ? rank + 4000 : rank;
}

static int compare_notes(const void *a, const void *b) {
    const struct note *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return strcmp(sb_job_title(x->job), sb_job_title(y->job));
}

/* The worst of the jobs that went wrong, at most ten lines with the one that counts the others. */
static int put_jobs(const json_t *result, FILE *out) {
    const json_t *jobs = json_object_get(result, "jobs");
    SB_AUTO_FREE struct note *notes = calloc(json_array_size(jobs) + 1, sizeof *notes);
    size_t n = 0, i;
    json_t *job;
    if (!notes)
        return -ENOMEM;
    json_array_foreach(jobs, i, job) {
        if (sb_text_is(job, "outcome", "fail") || sb_text_is(job, "outcome", "error"))
            notes[n++] = (struct note){job, rank_of(job)};
    }
    qsort(notes, n, sizeof *notes, compare_notes);
    size_t shown = n > MOST_OF_A_KIND ? MOST_OF_A_KIND - 1 : n;
    for (i = 0; i < shown; i++) {
        SB_AUTO_TEXT struct sb_text text = {0};
        sb_say_message(&text, notes[i].job);
        put_note(out, "error", result, sb_job_title(notes[i].job), text.data ? text.data : "");
    }
    SB_AUTO_FREE char *rest = sb_format("%zu more jobs are not as required", n - shown);
    if (shown < n)
        put_note(out, "error", result, "samebits", rest ? rest : "");
    return 0;
}

/* What a baseline knew otherwise; and controls that showed nothing. */
static void put_warnings(const json_t *result, FILE *out) {
    const json_t *checked = json_object_get(json_object_get(result, "baseline"), "jobs");
    size_t n = 0, i;
    json_t *job;
    json_array_foreach(checked, i, job) {
        const char *answer = sb_text_of(job, "answer");
        bool changed =
            sb_count_of(job, "changed") > 0 || strcmp(answer, "newly nondeterministic") == 0;
        if (changed && n++ < MOST_OF_A_KIND) {
            SB_AUTO_FREE char *text = sb_format("baseline: %s", answer);
            put_note(out, "warning", result, sb_text_of(job, "job"), text ? text : answer);
        }
    }
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        if (sb_text_is(job, "outcome", "xpass") && n++ < MOST_OF_A_KIND)
            put_note(out, "warning", result, sb_job_title(job),
                     "a control that showed nothing here");
    }
}

static int write_github(const json_t *result, const struct sb_report_options *options, FILE *out,
                        struct sb_error *err) {
    (void)options;
    enum sb_tone tone;
    SB_AUTO_TEXT struct sb_text counts = {0};
    int rc = put_jobs(result, out);
    if (rc < 0)
        return sb_error_errno(err, rc, "github report");
    put_warnings(result, out);
    sb_text_printf(&counts, "%s  ", sb_result_word(result, &tone));
    sb_say_counts(&counts, result);
    put_note(out, "notice", result, "samebits", counts.data ? counts.data : "");
    return 0;
}

static int write_summary(const json_t *result, const struct sb_report_options *options, FILE *out,
                         struct sb_error *err) {
    return sb_report_find("markdown")->write(result, options, out, err);
}

static int write_outputs(const json_t *result, const struct sb_report_options *options, FILE *out,
                         struct sb_error *err) {
    const json_t *jobs = json_object_get(result, "jobs");
    const char *directory = options->directory ? options->directory : ".";
    (void)err;
    fprintf(out, "outcome=%s\nexit-code=%lld\njobs=%zu\nfailed=%zu\n",
            sb_text_of(result, "outcome"), (long long)sb_count_of(result, "exit_code"),
            json_array_size(jobs),
            sb_count_outcomes(jobs, "fail") + sb_count_outcomes(jobs, "error"));
    if (!strpbrk(directory,
                 "\r\n")) /* what stands behind a line end would be an output of its own */
        fprintf(out, "result=%s/result.json\n", directory);
    return 0;
}

static const struct sb_report_appendix appendices[] = {
    {"GITHUB_STEP_SUMMARY", write_summary}, {"GITHUB_OUTPUT", write_outputs}, {NULL, NULL}};

const struct sb_report sb_report_github = {
    .name = "github",
    .summary = "annotations, step summary and outputs of GitHub Actions",
    .write = write_github,
    .appendices = appendices,
};
