/* cli: runs as results to be merged state them, for the stages that judge runs. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "report/reading.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    const json_t *run;
    const char *wrong; /* the first member that is not what it must be */
};

static void expect(struct reading *reading, bool good, const char *key) {
    if (!good && !reading->wrong)
        reading->wrong = key;
}

static long long integer_of(struct reading *reading, const char *key, long long least,
                            long long most, long long absent) {
    const json_t *value = json_object_get(reading->run, key);
    if (!value || json_is_null(value))
        return absent;
    long long n = json_integer_value(value);
    expect(reading, json_is_integer(value) && n >= least && n <= most, key);
    return n;
}

/* JSON has no infinities: they are texts. */
static double real_of(struct reading *reading, const char *key) {
    const json_t *value = json_object_get(reading->run, key);
    if (json_is_number(value))
        return json_number_value(value);
    if (sb_text_is(reading->run, key, "inf"))
        return INFINITY;
    if (sb_text_is(reading->run, key, "-inf"))
        return -INFINITY;
    expect(reading, !value || json_is_null(value), key);
    return NAN;
}

/* malloc'd, or NULL for null. */
static char *text_of(struct reading *reading, const char *key) {
    const json_t *value = json_object_get(reading->run, key);
    expect(reading, !value || json_is_null(value) || json_is_string(value), key);
    return json_is_string(value) ? strdup(json_string_value(value)) : NULL;
}

static enum sb_status status_of(struct reading *reading) {
    for (int i = 0; sb_status_names[i]; i++) {
        if (sb_text_is(reading->run, "status", sb_status_names[i]))
            return (enum sb_status)i;
    }
    expect(reading, false, "status");
    return SB_STATUS_CRASHED;
}

static json_t *object_of(const json_t *observed, const char *key) {
    json_t *value = json_object_get(observed, key);
    return json_is_object(value) ? json_incref(value) : NULL;
}

static unsigned count_of(const json_t *observed, const char *key) {
    json_int_t n = sb_count_of(observed, key);
    return n > 0 && n <= INT_MAX ? (unsigned)n : 0;
}

/* What judging looks at; the rest is passed on as it stands. */
static void take_observed(const struct sb_merge_run *from, struct sb_run *run) {
    json_t *observed = json_object_get(from->run, "observed");
    const json_t *worker = json_object_get(observed, "worker");
    const json_t *accuracy = json_object_get(json_object_get(worker, "accuracy"), "max_rel_vs_f64");
    run->accuracy = json_is_number(accuracy) ? json_number_value(accuracy) : NAN;
    run->seen.n_samples = count_of(observed, "samples");
    run->seen.n_cpus = count_of(observed, "cpus");
    run->seen.max_threads = count_of(observed, "threads");
    run->seen.worker = object_of(observed, "worker");
    run->seen.probe = object_of(observed, "probe");
    run->seen.trace = object_of(observed, "trace");
    run->seen.experiment = object_of(observed, "experiment");
    run->seen.stated = json_incref(observed);
}

static int make_run(const struct sb_merge *merge, const struct sb_merge_run *from,
                    struct sb_run *run, struct sb_error *err) {
    struct reading reading = {.run = from->run};
    memcpy(run->id, from->id, sizeof run->id);
    run->job = from->job;
    run->repeat = (unsigned)integer_of(&reading, "repeat", 1, INT_MAX, 0);
    run->status = status_of(&reading);
    run->lost = json_is_true(json_object_get(reading.run, "lost"));
    run->message = text_of(&reading, "message");
    run->exit_code = (int)integer_of(&reading, "exit", 0, INT_MAX, -1);
    run->signal = (int)integer_of(&reading, "signal", 1, INT_MAX, 0);
    run->fingerprint = text_of(&reading, "fingerprint");
    run->sum = real_of(&reading, "sum");
    run->all_zero = sb_text_is(from->run, "degenerate", "zero");
    run->all_nan = sb_text_is(from->run, "degenerate", "nan");
    run->untrained = sb_text_is(from->run, "degenerate", "untrained");
    run->wall_s = real_of(&reading, "wall_s");
    run->cpu_s = real_of(&reading, "cpu_s");
    run->max_rss_kb = (long)integer_of(&reading, "max_rss_kb", 0, LONG_MAX, 0);
    take_observed(from, run);
    expect(&reading, run->repeat > 0, "repeat");
    expect(&reading, (run->status == SB_STATUS_OK) == (run->fingerprint != NULL), "fingerprint");
    if (!reading.wrong)
        return 0;
    return sb_error_set(err, -EINVAL, "%s: run %s: '%s' is damaged",
                        merge->inputs[from->input].given, from->there, reading.wrong);
}

int sb_merge_make_runs(struct sb_merge *merge, struct sb_error *err) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->n_runs; i++)
        rc = make_run(merge, &merge->runs[i], &merge->made[i], err);
    return rc;
}
