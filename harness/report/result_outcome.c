/* Stage 7: the outcome of a job, and why (DESIGN sections 3 and 4). */
#include "report/result.h"

#include "base/cleanup.h"

#include <string.h>

const char *const sb_outcome_names[SB_N_OUTCOMES] = {"pass",  "fail",    "xfail",
                                                     "xpass", "skipped", "error"};

size_t sb_count_failed(const struct sb_job_result *job) {
    size_t n = 0;
    for (size_t i = 0; i < job->n_runs; i++)
        n += job->runs[i]->status != SB_STATUS_OK;
    return n;
}

/* Kinds of failure that a reason names, and runs of each. */
enum { MOST_KINDS = 3, MOST_NAMED = 3 };

struct failure_kind {
    const struct sb_run *runs[MOST_NAMED]; /* the first ones */
    size_t n;
};

static bool fail_alike(const struct sb_run *a, const struct sb_run *b) {
    return a->status == b->status && (a->message && b->message ? strcmp(a->message, b->message) == 0
                                                               : a->message == b->message);
}

/* The first kinds of failure; returns how many runs failed in other ways. */
static size_t find_kinds(const struct sb_job_result *job, struct failure_kind *kinds) {
    size_t n = 0, others = 0;
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        size_t k = 0;
        if (run->status == SB_STATUS_OK)
            continue;
        while (k < n && !fail_alike(kinds[k].runs[0], run))
            k++;
        if (k == MOST_KINDS) {
            others++;
            continue;
        }
        n += k == n;
        if (kinds[k].n < MOST_NAMED)
            kinds[k].runs[kinds[k].n] = run;
        kinds[k].n++;
    }
    return others;
}

/* "2 of 12 runs failed: r00003 crashed (exit 1)"; runs that failed alike share the words: "r00001,
 * r00002, r00003, … (12 runs) crashed (exit 1)". */
static char *failures_text(const struct sb_job_result *job, size_t failed) {
    struct failure_kind kinds[MOST_KINDS] = {0};
    SB_AUTO_TEXT struct sb_text text = {0};
    size_t others = find_kinds(job, kinds);
    sb_text_printf(&text, "%zu of %zu run%s failed:", failed, job->n_runs,
                   job->n_runs == 1 ? "" : "s");
    for (size_t k = 0; k < MOST_KINDS && kinds[k].n; k++) {
        const struct failure_kind *kind = &kinds[k];
        sb_text_puts(&text, k ? ", " : " ");
        for (size_t i = 0; i < kind->n && i < MOST_NAMED; i++)
            sb_text_printf(&text, "%s%s", i ? ", " : "", kind->runs[i]->id);
        if (kind->n > MOST_NAMED)
            sb_text_printf(&text, ", … (%zu runs)", kind->n);
        sb_text_printf(&text, " %s", sb_status_names[kind->runs[0]->status]);
        if (kind->runs[0]->message)
            sb_text_printf(&text, " (%s)", kind->runs[0]->message);
    }
    if (others)
        sb_text_printf(&text, ", and %zu in other ways", others);
    return sb_text_take(&text);
}

/* Adds a sentence to a reason. */
static void add_reason(struct sb_text *reason, const char *sentence) {
    if (sentence && *sentence)
        sb_text_printf(reason, "%s%s", reason->length ? "; " : "", sentence);
}

static bool control_fired(const struct sb_job *job, const struct sb_analysis *analysis) {
    if (job->expect == SB_EXPECT_NONDETERMINISTIC)
        return analysis->verdict == SB_VERDICT_NONDETERMINISTIC;
    return analysis->verdict == SB_VERDICT_CONFIG_DEPENDENT ||
           (analysis->verdict == SB_VERDICT_NONDETERMINISTIC && analysis->depends_known &&
            analysis->depends_on);
}

/* A control that did not fire is "not demonstrated here", and that is no failure; neither is one
 * whose runs differ, on evidence that is too thin to say how. But where the runs could not have
 * shown anything (never twice, nothing trained), the control itself is broken. */
static enum sb_outcome control_outcome(const struct sb_job_result *job, struct sb_text *reason) {
    const struct sb_job *suite_job = job->plan->job;
    const struct sb_analysis *analysis = job->analysis;
    if (control_fired(suite_job, analysis))
        return SB_OUTCOME_XFAIL;
    if (analysis->verdict == SB_VERDICT_INCONCLUSIVE && (!analysis->replays || job->n_groups < 2))
        return SB_OUTCOME_ERROR;
    SB_AUTO_FREE char *sentence = sb_format("expected to be %s, and is not: not demonstrated here",
                                            sb_expect_names[suite_job->expect]);
    add_reason(reason, sentence);
    return SB_OUTCOME_XPASS;
}

enum sb_outcome sb_job_outcome(const struct sb_job_result *job, bool all_inert,
                               struct sb_text *reason) {
    const struct sb_analysis *analysis = job->analysis;
    if (job->skipped) {
        add_reason(reason, job->skipped);
        return SB_OUTCOME_SKIPPED;
    }
    size_t failed = sb_count_failed(job);
    if (failed) {
        SB_AUTO_FREE char *failures = failures_text(job, failed);
        add_reason(reason, failures);
    }
    if (analysis)
        add_reason(reason, analysis->reason);
    add_reason(reason, job->spoiled);
    if (failed || job->spoiled || !analysis || analysis->verdict == SB_VERDICT_ERROR) {
        if (!job->requirements_met)
            add_reason(reason, job->requirements_reason);
        return SB_OUTCOME_ERROR;
    }
    enum sb_expect expect = job->plan->job->expect;
    bool bitwise = expect == SB_EXPECT_BITWISE;
    bool control = expect != SB_EXPECT_NOTHING && !bitwise;
    if (job->unfinished &&
        (control ? !control_fired(job->plan->job, analysis) : job->requirements_met)) {
        add_reason(reason, "interrupted before all of its runs had ended");
        return SB_OUTCOME_ERROR;
    }
    if (control)
        return control_outcome(job, reason);
    if (!job->requirements_met)
        add_reason(reason, job->requirements_reason);
    if (analysis->verdict == SB_VERDICT_INCONCLUSIVE)
        return SB_OUTCOME_ERROR;
    /* A control that must not diverge, and did: what is found elsewhere cannot be trusted. */
    bitwise &= analysis->verdict != SB_VERDICT_BITWISE;
    if (bitwise)
        add_reason(reason, "a control that was expected to be bitwise, and is not");
    if (bitwise || !job->requirements_met)
        return SB_OUTCOME_FAIL;
    if (all_inert) {
        add_reason(reason, "nothing was varied: every axis is inert or unavailable here");
        return SB_OUTCOME_SKIPPED;
    }
    return SB_OUTCOME_PASS;
}
