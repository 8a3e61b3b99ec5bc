/* Stage 7: the outcome of a job, and why (DESIGN sections 3 and 4). */
#include "report/result.h"

#include "base/cleanup.h"

const char *const sb_outcome_names[SB_N_OUTCOMES] = {"pass",  "fail",    "xfail",
                                                     "xpass", "skipped", "error"};

size_t sb_count_failed(const struct sb_job_result *job) {
    size_t n = 0;
    for (size_t i = 0; i < job->n_runs; i++)
        n += job->runs[i]->status != SB_STATUS_OK;
    return n;
}

/* "2 of 12 runs failed: r00003 crashed (exit 1), …" for the reason. */
static char *failures_text(const struct sb_job_result *job, size_t failed) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, "%zu of %zu run%s failed:", failed, job->n_runs,
                   job->n_runs == 1 ? "" : "s");
    size_t shown = 0;
    for (size_t i = 0; i < job->n_runs && shown < 3; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status == SB_STATUS_OK)
            continue;
        sb_text_printf(&text, "%s %s %s", shown++ ? "," : "", run->id,
                       sb_status_names[run->status]);
        if (run->message)
            sb_text_printf(&text, " (%s)", run->message);
    }
    if (failed > shown)
        sb_text_puts(&text, ", …");
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
    if (job->plan->job->expect != SB_EXPECT_NOTHING)
        return control_outcome(job, reason);
    if (!job->requirements_met)
        add_reason(reason, job->requirements_reason);
    if (analysis->verdict == SB_VERDICT_INCONCLUSIVE)
        return SB_OUTCOME_ERROR;
    if (!job->requirements_met)
        return SB_OUTCOME_FAIL;
    if (all_inert) {
        add_reason(reason, "nothing was varied: every axis is inert or unavailable here");
        return SB_OUTCOME_SKIPPED;
    }
    return SB_OUTCOME_PASS;
}
