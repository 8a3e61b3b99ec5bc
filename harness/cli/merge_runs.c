/* cli: the runs of results to be merged, each once, with ids that are theirs alone. See
 * cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "report/reading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The id names a log file, so nothing but r and digits is taken. */
static bool is_run_id(const char *id) {
    size_t n = strlen(id);
    return id[0] == 'r' && n >= 2 && n < sizeof((struct sb_merge_run *)NULL)->id &&
           strspn(id + 1, "0123456789") == n - 1;
}

static int bad_run(const struct sb_merge_input *input, size_t i, const char *what,
                   struct sb_error *err) {
    return sb_error_set(err, -EINVAL, "%s: runs[%zu]: '%s' is damaged", input->given, i, what);
}

/* ---- Gathering --------------------------------------------------------------------------------
 */

static int take_run(struct sb_merge *merge, size_t input, size_t i, const json_t *numbers,
                    struct sb_error *err) {
    const struct sb_merge_input *from = &merge->inputs[input];
    json_t *run = json_array_get(json_object_get(from->result, "runs"), i);
    const json_t *number = json_object_get(numbers, sb_text_of(run, "job_id"));
    const json_t *origin = json_object_get(run, "origin");
    struct sb_merge_run *taken = &merge->runs[merge->n_runs];
    *taken = (struct sb_merge_run){.input = input, .run = run, .there = sb_text_of(run, "id")};
    taken->origin = origin ? json_string_value(origin) : taken->there;
    if (!is_run_id(taken->there))
        return bad_run(from, i, "id", err);
    if (!taken->origin || !is_run_id(taken->origin))
        return bad_run(from, i, "origin", err);
    if (!number)
        return bad_run(from, i, "job_id", err);
    taken->job = (size_t)json_integer_value(number);
    int rc = sb_merge_machine_of(merge, from, run, &taken->machine, err);
    if (rc < 0)
        return rc;
    merge->n_runs++;
    return 0;
}

static int gather(struct sb_merge *merge, struct sb_error *err) {
    SB_AUTO_JSON json_t *numbers = json_object();
    size_t n = 0;
    for (size_t i = 0; i < merge->n_jobs; i++)
        json_object_set_new(numbers, sb_text_of(merge->jobs[i].entry, "id"),
                            json_integer((json_int_t)i));
    for (size_t i = 0; i < merge->n_inputs; i++)
        n += json_array_size(json_object_get(merge->inputs[i].result, "runs"));
    merge->runs = calloc(n + 1, sizeof *merge->runs);
    if (!merge->runs || json_object_size(numbers) != merge->n_jobs)
        return sb_error_errno(err, -ENOMEM, "runs");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++) {
        const json_t *runs = json_object_get(merge->inputs[i].result, "runs");
        for (size_t k = 0; rc == 0 && k < json_array_size(runs); k++)
            rc = take_run(merge, i, k, numbers, err);
    }
    return rc;
}

/* ---- Once each --------------------------------------------------------------------------------
 */

static int compare_ids(const char *a, const char *b) {
    size_t m = strlen(a), n = strlen(b);
    return m != n ? (m < n ? -1 : 1) : strcmp(a, b);
}

static int by_place(const void *a, const void *b) {
    const struct sb_merge_run *x = a, *y = b;
    if (x->job != y->job)
        return x->job < y->job ? -1 : 1;
    if (x->machine != y->machine)
        return x->machine < y->machine ? -1 : 1;
    int order = compare_ids(x->origin, y->origin);
    return order ? order : (x->input > y->input) - (x->input < y->input);
}

static bool is_mark(const struct sb_merge *merge, const struct sb_merge_run *run,
                    const char *axis) {
    const json_t *axes = merge->jobs[run->job].axes;
    for (size_t i = 0; i < json_array_size(axes); i++) {
        if (sb_text_is(json_array_get(axes, i), "name", axis))
            return false;
    }
    return true;
}

/* Levels of axes that are the suite's and were varied. */
static json_t *own_cell(const struct sb_merge *merge, const struct sb_merge_run *run) {
    json_t *own = json_object();
    const char *axis;
    json_t *level;
    json_object_foreach(json_object_get(run->run, "cell"), axis, level) {
        const char *text = json_string_value(level);
        if (!is_mark(merge, run, axis) && !(text && strcmp(text, SB_LEVEL_AS_IS) == 0))
            json_object_set(own, axis, level);
    }
    return own;
}

static int contradiction(const struct sb_merge *merge, const struct sb_merge_run *a,
                         const struct sb_merge_run *b, const char *key, const json_t *one,
                         const json_t *other, struct sb_error *err) {
    SB_AUTO_FREE char *x = sb_json_brief(one, SB_MERGE_SHOWN),
                      *y = sb_json_brief(other, SB_MERGE_SHOWN);
    return sb_error_set(err, -EINVAL,
                        "%s and %s contradict each other: run %s of job '%s' on host %s: '%s' is "
                        "%s in the one and %s in the other (results of different times are for "
                        "samebits history)",
                        merge->inputs[a->input].given, merge->inputs[b->input].given, a->origin,
                        sb_text_of(merge->jobs[a->job].entry, "id"),
                        sb_merge_mark_text(merge, a->machine, SB_MARK_HOST), key, x ? x : "?",
                        y ? y : "?");
}

/* What else stands in a merged result is its own. */
static int same_run(const struct sb_merge *merge, const struct sb_merge_run *a,
                    const struct sb_merge_run *b, struct sb_error *err) {
    static const char *const keys[] = {"repeat",      "status", "message",    "exit",
                                       "signal",      "sum",    "degenerate", "wall_s",
                                       "fingerprint", "cpu_s",  "max_rss_kb"};
    static const char *const seen[] = {"samples",   "cpus",   "threads", "hostname", "libraries",
                                       "processes", "worker", "probe",   "trace",    "experiment"};
    const json_t *observed_a = json_object_get(a->run, "observed"),
                 *observed_b = json_object_get(b->run, "observed");
    SB_AUTO_JSON json_t *cell_a = own_cell(merge, a), *cell_b = own_cell(merge, b);
    if (!json_equal(cell_a, cell_b))
        return contradiction(merge, a, b, "cell", cell_a, cell_b, err);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *one = json_object_get(a->run, keys[i]),
                     *other = json_object_get(b->run, keys[i]);
        if ((one || other) && !json_equal(one, other))
            return contradiction(merge, a, b, keys[i], one, other, err);
    }
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        const json_t *one = json_object_get(observed_a, seen[i]),
                     *other = json_object_get(observed_b, seen[i]);
        if ((one || other) && !json_equal(one, other))
            return contradiction(merge, a, b, seen[i], one, other, err);
    }
    return 0;
}

static bool was_interrupted(const struct sb_merge_run *run) {
    return sb_text_is(run->run, "status", sb_status_names[SB_STATUS_INTERRUPTED]);
}

static int drop_repeated(struct sb_merge *merge, struct sb_error *err) {
    size_t kept = 0;
    qsort(merge->runs, merge->n_runs, sizeof *merge->runs, by_place);
    merge->sources = calloc(merge->n_runs + 1, sizeof *merge->sources);
    if (!merge->sources)
        return sb_error_errno(err, -ENOMEM, "runs");
    for (size_t i = 0; i < merge->n_runs; i++) {
        struct sb_merge_run *run = &merge->runs[i], *last = kept ? &merge->runs[kept - 1] : NULL;
        merge->sources[i] = (struct sb_merge_source){run->input, run->there};
        if (!last || last->job != run->job || last->machine != run->machine ||
            strcmp(last->origin, run->origin) != 0) {
            run->source = i;
            run->n_sources = 1;
            merge->runs[kept++] = *run;
            continue;
        }
        last->n_sources++;
        if (was_interrupted(last) != was_interrupted(run)) {
            if (was_interrupted(last)) { /* it was done again by --resume */
                last->run = run->run;
                last->input = run->input;
                last->there = run->there;
            }
            continue;
        }
        int rc = same_run(merge, last, run, err);
        if (rc < 0)
            return rc;
    }
    merge->n_runs = kept;
    return 0;
}

/* ---- Ids --------------------------------------------------------------------------------------
 */

static int by_origin(const void *a, const void *b) {
    const struct sb_merge_run *x = a, *y = b;
    return compare_ids(x->origin, y->origin);
}

/* "r00012", `width` digits. */
static void write_id(char id[16], size_t width, size_t n) {
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%zu", n);
    memset(id, 0, 16);
    memset(id, '0', width + 1);
    id[0] = 'r';
    memcpy(id + 1 + width - length, digits, length);
}

/* Runs of the shards of one machine keep their ids; where two runs would have one id, all are
 * numbered anew: by job, machine, and the ids that they had. */
static void number(struct sb_merge *merge) {
    size_t n = merge->n_runs, width = 5;
    bool anew = false;
    qsort(merge->runs, n, sizeof *merge->runs, by_origin);
    for (size_t i = 1; i < n; i++) {
        const char *one = merge->runs[i - 1].origin, *other = merge->runs[i].origin;
        anew |= strcmp(one, other) == 0 || strlen(one) != strlen(other);
    }
    if (anew)
        qsort(merge->runs, n, sizeof *merge->runs, by_place);
    for (size_t most = 99999; most < n && width < 14; most = 10 * most + 9)
        width++;
    for (size_t i = 0; i < n; i++) {
        struct sb_merge_run *run = &merge->runs[i];
        if (anew)
            write_id(run->id, width, i + 1);
        else
            memcpy(run->id, run->origin, strlen(run->origin) + 1);
    }
}

int sb_merge_find_runs(struct sb_merge *merge, struct sb_error *err) {
    int rc = gather(merge, err);
    if (rc == 0)
        rc = drop_repeated(merge, err);
    if (rc == 0)
        number(merge);
    return rc;
}
