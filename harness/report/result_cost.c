/* Stage 7: what the deterministic flag costs. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <math.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
    if (!n)
        return NAN;
    qsort(values, n, sizeof *values, compare_doubles);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* One run and the cell that it was of, for putting cells side by side that differ in one axis. */
struct timed {
    const unsigned *level;
    double seconds;
};

struct order {
    size_t n_axes, axis;
};

/* By the levels of every axis but one. */
static int compare_others(const struct timed *a, const struct timed *b, const struct order *order) {
    for (size_t i = 0; i < order->n_axes; i++) {
        if (i != order->axis && a->level[i] != b->level[i])
            return a->level[i] < b->level[i] ? -1 : 1;
    }
    return 0;
}

static int compare_timed(const void *a, const void *b, void *context) {
    const struct order *order = context;
    const struct timed *x = a, *y = b;
    int others = compare_others(x, y, order);
    unsigned l = x->level[order->axis], m = y->level[order->axis];
    return others ? others : (l > m) - (l < m);
}

/* A quotient and its standard deviation; NAN where there is none. */
struct ratio {
    double value, sd;
};

/* Relative standard deviation around `middle`, of a sample; NAN for less than two. Of logarithms:
 * the same where times hardly differ, and not less than it is where the first runs, which read
 * their libraries from the disk, took ten times as long as the rest. */
static double relative_sd(const double *values, size_t n, double middle) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += log(values[i] / middle) * log(values[i] / middle);
    return n > 1 ? sqrt(sum / (double)(n - 1)) : NAN;
}

/* on / off among runs [from, to), which differ in the axis alone; NAN without both. The relative
 * variances of numerator and denominator add up to the quotient's, to first order. */
static struct ratio ratio(const struct timed *runs, size_t from, size_t to, size_t axis,
                          unsigned on, unsigned off, double *room) {
    double medians[2], sds[2];
    for (int side = 0; side < 2; side++) {
        size_t n = 0;
        for (size_t i = from; i < to; i++) {
            if (runs[i].level[axis] == (side ? on : off))
                room[n++] = runs[i].seconds;
        }
        medians[side] = median(room, n);
        sds[side] = relative_sd(room, n, medians[side]);
    }
    double value = medians[0] > 0 ? medians[1] / medians[0] : NAN;
    return (struct ratio){value, value * hypot(sds[0], sds[1])};
}

/* How long a run took by one of its clocks; NAN where it has none. */
typedef double seconds_of(const struct sb_run *run);

/* What a job says it took, in its experiment.json: of seconds in which a framework is imported and
 * milliseconds of training, the latter. NAN where it says nothing. */
static double said_seconds(const struct sb_run *run) {
    const json_t *seconds = json_object_get(run->seen.experiment, "seconds");
    double value = json_number_value(seconds);
    return json_is_number(seconds) && value > 0 ? value : NAN;
}

static double whole_seconds(const struct sb_run *run) {
    return run->wall_s;
}

/* The narrowest clock that all of these runs have: a kernel by itself takes microseconds of a
 * process that takes milliseconds. */
static seconds_of *clock_of(const struct sb_job_result *job) {
    static seconds_of *const clocks[] = {sb_call_seconds, said_seconds};
    for (size_t c = 0; c < sizeof clocks / sizeof *clocks; c++) {
        bool all = true;
        for (size_t i = 0; i < job->n_runs; i++)
            all &= job->runs[i]->status != SB_STATUS_OK || !isnan(clocks[c](job->runs[i]));
        if (all)
            return clocks[c];
    }
    return whole_seconds;
}

/* A worker says "no switch" where its backend has none. */
static bool has_switch(const struct sb_run *run) {
    return !json_is_string(json_object_get(run->seen.worker, "deterministic"));
}

/* The median over pairs of cells, and the root mean square of their standard deviations. */
static struct ratio median_ratio(struct sb_making *making, const struct sb_job_result *job,
                                 size_t axis, unsigned on, unsigned off) {
    SB_AUTO_FREE struct timed *runs = calloc(job->n_runs + 1, sizeof *runs);
    SB_AUTO_FREE double *room = calloc(job->n_runs + 1, sizeof *room);
    SB_AUTO_FREE double *ratios = calloc(job->n_runs + 1, sizeof *ratios);
    if (!runs || !room || !ratios) {
        making->failed = true;
        return (struct ratio){NAN, NAN};
    }
    seconds_of *seconds = clock_of(job);
    size_t n = 0, n_ratios = 0;
    double variances = 0;
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK && has_switch(run))
            runs[n++] = (struct timed){job->plan->cells[run->cell].level, seconds(run)};
    }
    struct order order = {.n_axes = job->plan->n_axes, .axis = axis};
    qsort_r(runs, n, sizeof *runs, compare_timed, &order);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && compare_others(&runs[from], &runs[to], &order) == 0;)
            to++;
        struct ratio one = ratio(runs, from, to, axis, on, off, room);
        if (isfinite(one.value)) {
            ratios[n_ratios++] = one.value;
            variances += one.sd * one.sd;
        }
    }
    return (struct ratio){median(ratios, n_ratios), sqrt(variances / (double)n_ratios)};
}

static unsigned level_of(const struct sb_job_axis *axis, const char *name) {
    unsigned level = 0;
    while (level < axis->n_levels && strcmp(axis->levels[level], name) != 0)
        level++;
    return level;
}

void sb_put_cost(struct sb_making *making, json_t *entry, const struct sb_job_result *job) {
    json_t *cost = sb_new(making, json_object()), *spread = sb_new(making, json_object());
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        if (strcmp(axis->name, "deterministic") != 0)
            continue;
        unsigned on = level_of(axis, "on"), off = level_of(axis, "off");
        struct ratio times = {NAN, NAN};
        if (on < axis->n_levels && off < axis->n_levels)
            times = median_ratio(making, job, i, on, off);
        if (isfinite(times.value))
            sb_put(making, cost, axis->name, sb_json_real(times.value));
        if (isfinite(times.sd))
            sb_put(making, spread, axis->name, sb_json_real(times.sd));
    }
    sb_put(making, entry, "cost", cost);
    sb_put(making, entry, "cost_sd", spread);
}
