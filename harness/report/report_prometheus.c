/* Stage 7: metrics in Prometheus's text format, for node_exporter's textfile collector. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "report/reading.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* A label's value: backslash, quote and newline are escaped, and nothing else may be; other control
 * characters, which readers may take for the end of a line, become question marks. */
static void put_label(FILE *out, const char *name, const char *value) {
    fprintf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '\\' || *value == '"')
            fprintf(out, "\\%c", *value);
        else
            fputc((unsigned char)*value < ' ' ? '?' : *value, out);
    }
    fputc('"', out);
}

static void put_head(FILE *out, const char *name, const char *help) {
    fprintf(out, "# HELP samebits_%s %s\n# TYPE samebits_%s gauge\n", name, help, name);
}

static void put_suite(FILE *out, const json_t *result, const char *name, const char *help,
                      double value) {
    put_head(out, name, help);
    fprintf(out, "samebits_%s{", name);
    put_label(out, "suite", sb_text_of(result, "suite"));
    fprintf(out, "} %.17g\n", value);
}

/* ---- Of jobs ----------------------------------------------------------------------------------
 */

static double count_of(const json_t *job, const char *key) {
    const json_t *value = json_object_get(job, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double runs_of(const json_t *job) {
    return count_of(job, "runs");
}

static double failed_of(const json_t *job) {
    return count_of(job, "failed");
}

static double distinct_of(const json_t *job) {
    return count_of(job, "distinct");
}

static double bound_of(const json_t *job) {
    return count_of(json_object_get(job, "confidence"), "max_mismatch_rate_95");
}

static double ulp_of(const json_t *job) {
    const json_t *ulp = json_object_get(json_object_get(job, "worst"), "max_ulp");
    return json_is_string(ulp) ? INFINITY : count_of(json_object_get(job, "worst"), "max_ulp");
}

static double cost_of(const json_t *job) {
    return count_of(json_object_get(job, "cost"), "deterministic");
}

static const struct metric {
    const char *name, *help;
    double (*value)(const json_t *job); /* NAN: the job has none */
} metrics[] = {
    {"job_runs", "Runs of a job.", runs_of},
    {"job_failed_runs", "Runs of a job that crashed, hung or saved no readable weights.",
     failed_of},
    {"job_distinct_results", "Different results among a job's runs.", distinct_of},
    {"job_mismatch_rate_bound", "With 95% confidence fewer of further runs would differ.",
     bound_of},
    {"job_max_ulp", "Largest distance of an element from the reference, in ULP.", ulp_of},
    {"job_deterministic_cost_ratio", "Time with deterministic=on over time without.", cost_of},
};

static void put_value(FILE *out, double value) {
    if (isinf(value))
        fputs(value > 0 ? " +Inf\n" : " -Inf\n", out);
    else
        fprintf(out, " %.17g\n", value);
}

static void put_metric(FILE *out, const json_t *result, const struct metric *metric) {
    size_t i, n = 0;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        double value = metric->value(job);
        if (isnan(value))
            continue;
        if (!n++)
            put_head(out, metric->name, metric->help);
        fprintf(out, "samebits_%s{", metric->name);
        put_label(out, "suite", sb_text_of(result, "suite"));
        fputc(',', out);
        put_label(out, "job", sb_job_title(job));
        fputc('}', out);
        put_value(out, value);
    }
}

static void put_verdicts(FILE *out, const json_t *result) {
    size_t i;
    json_t *job;
    if (json_array_size(json_object_get(result, "jobs")))
        put_head(out, "job_info", "Verdict and outcome of a job, always 1.");
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const struct {
            const char *name, *value;
        } labels[] = {{"suite", sb_text_of(result, "suite")},
                      {"job", sb_job_title(job)},
                      {"verdict", sb_text_of(job, "verdict")},
                      {"outcome", sb_text_of(job, "outcome")}};
        fputs("samebits_job_info{", out);
        for (size_t k = 0; k < sizeof labels / sizeof *labels; k++) {
            fputs(k ? "," : "", out);
            put_label(out, labels[k].name, labels[k].value);
        }
        fputs("} 1\n", out);
    }
}

static double started_of(const json_t *result) {
    struct tm when = {0};
    const char *end = strptime(sb_text_of(result, "started"), "%Y-%m-%dT%H:%M:%SZ", &when);
    return end ? (double)timegm(&when) : NAN;
}

static int write_prometheus(const json_t *result, const struct sb_report_options *options,
                            FILE *out, struct sb_error *err) {
    (void)options;
    (void)err;
    double started = started_of(result);
    put_suite(out, result, "exit_code", "Exit code: 0 as required, 1 not, 2 no answer.",
              count_of(result, "exit_code"));
    put_suite(out, result, "elapsed_seconds", "Time that the runs took.",
              count_of(result, "elapsed_s"));
    if (!isnan(started))
        put_suite(out, result, "started_timestamp_seconds", "When the first run began.", started);
    put_verdicts(out, result);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        put_metric(out, result, &metrics[i]);
    return 0;
}

const struct sb_report sb_report_prometheus = {
    .name = "prometheus",
    .summary = "metrics for Prometheus's textfile collector",
    .file_name = "samebits.prom",
    .write = write_prometheus,
};
