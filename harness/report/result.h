/* Stage 7, private: result.json in the making. */
#ifndef SB_REPORT_RESULT_H
#define SB_REPORT_RESULT_H

#include <samebits/report.h>

#include "base/text.h"

/* A document in the making. `failed` stays once memory ran out, so that it is checked once. */
struct sb_making {
    bool failed;
    json_t *seen;  /* lists of libraries and of processes by their digest, once each */
    bool refer;    /* runs name the lists by their keys, and the document has them once */
    json_t *lists; /* by key, of runs that were read from a result.json; or NULL */
};

/* Each takes `value`; NULL counts as out of memory. sb_put_named takes any bytes for a key. */
void sb_put(struct sb_making *making, json_t *object, const char *key, json_t *value);
void sb_put_named(struct sb_making *making, json_t *object, const char *key, json_t *value);
void sb_push(struct sb_making *making, json_t *array, json_t *value);
/* An empty array or object of jansson, or `failed` and NULL. */
json_t *sb_new(struct sb_making *making, json_t *container);

/* Names of the levels, or axes, whose bits are set. */
json_t *sb_level_names(struct sb_making *making, const struct sb_job_axis *axis, sb_mask levels);
json_t *sb_axis_names(struct sb_making *making, const struct sb_job_plan *plan, sb_mask axes);

/* axes[] of a job. *all_inert: axes were to be varied, and every one is inert or unavailable. */
json_t *sb_axes_json(struct sb_making *making, const struct sb_job_result *job, bool *all_inert);

/* Levels of an axis: all, and those of which a run ended well. */
sb_mask sb_all_levels(const struct sb_job_axis *axis);
sb_mask sb_levels_had(const struct sb_job_result *job, size_t axis);

/* Cells of which no run ended well, although there are bits of others; null where there are none:
 * {"cells": 2, "of": 4, "levels": {"hash_seed": ["1"]}}, levels being those of which no run did. */
json_t *sb_missing_json(struct sb_making *making, const struct sb_job_result *job);

/* Outcomes of a job. */
enum sb_outcome {
    SB_OUTCOME_PASS,
    SB_OUTCOME_FAIL,
    SB_OUTCOME_XFAIL,
    SB_OUTCOME_XPASS,
    SB_OUTCOME_SKIPPED,
    SB_OUTCOME_ERROR,
    SB_N_OUTCOMES
};
extern const char *const sb_outcome_names[SB_N_OUTCOMES];

/* Appends the reason, if there is one to say. */
enum sb_outcome sb_job_outcome(const struct sb_job_result *job, bool all_inert,
                               struct sb_text *reason);
size_t sb_count_failed(const struct sb_job_result *job);

/* One entry of jobs[]. */
json_t *sb_job_json(struct sb_making *making, const struct sb_job_result *job,
                    enum sb_outcome *outcome);

/* Puts "cost": {"deterministic": 1.12}, how many times longer runs, or a kernel's calls, take that
 * differ in the flag alone, as the median over the pairs of cells; empty where there is no such
 * pair, and where a backend has no such switch. And "cost_sd", its standard deviation, from those
 * of the times on either side; empty where a side was timed once. */
void sb_put_cost(struct sb_making *making, json_t *entry, const struct sb_job_result *job);

/* Of a job that saves its weights on the way (result_growth.c): [{"step", "max_abs", "max_ulp",
 * "share"}], at most some 256 steps, of a group's comparison; null of others, or where nothing
 * differs. */
json_t *sb_growth_json(struct sb_making *making, const struct sb_comparison *comparison);

/* Of runs that were traced; null of others (result_trace.c). culprit: {"step", "seq", "kernel",
 * "backend", "call": "sgemm 256x256x784 f32", "status", "process", "program", "thread"}. trace:
 * {"calls": of both witnesses, or null, "cpu_share": the smallest of a run, "notes": sentences}. */
json_t *sb_culprit_json(struct sb_making *making, const struct sb_job_result *job);
json_t *sb_trace_json(struct sb_making *making, const struct sb_job_result *job);

struct sb_divergent_call;
/* As the culprit of a job; call->seq is not 0. New reference, NULL without memory. */
json_t *sb_divergent_call_json(const struct sb_divergent_call *call);

/* What kernel jobs add; null, empty or NAN for others. calls: {"n", "distinct", "differ_in"}: calls
 * in one process, the most different results among them, and runs in which there were several.
 * claims: [{"algorithm", "claim", "note", "run", "measured": "same|differs", "contradicted"}], one
 * for each algorithm that a library named. accuracy: the run with the largest error. */
json_t *sb_calls_json(struct sb_making *making, const struct sb_job_result *job);
json_t *sb_claims_json(struct sb_making *making, const struct sb_job_result *job);
json_t *sb_accuracy_json(struct sb_making *making, const struct sb_job_result *job);
/* Median seconds of one call in the run's process, NAN where it is not known. */
double sb_call_seconds(const struct sb_run *run);

/* `asked` of a job: what of the suite its runs and their judgement rest on, so that results can be
 * told to be of one suite, and judged again. */
json_t *sb_asked_json(struct sb_making *making, const struct sb_job_plan *plan);

/* What one run really had: per axis under its name, and cpus, threads, libraries, processes. */
json_t *sb_observed_json(struct sb_making *making, const struct sb_job_plan *plan,
                         const struct sb_run *run);

/* Version from a library's file name, malloc'd, or NULL when the name has none. */
char *sb_library_version(const char *path);

#endif
