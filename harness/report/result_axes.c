/* Stage 7: axes[] of a job: levels, what was observed, and the effect that each axis had. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

json_t *sb_level_names(struct sb_making *making, const struct sb_job_axis *axis, sb_mask levels) {
    json_t *names = sb_new(making, json_array());
    for (size_t i = 0; i < axis->n_levels; i++) {
        if (levels >> i & 1)
            sb_push(making, names, sb_json_string(axis->levels[i]));
    }
    return names;
}

json_t *sb_axis_names(struct sb_making *making, const struct sb_job_plan *plan, sb_mask axes) {
    json_t *names = sb_new(making, json_array());
    for (size_t i = 0; i < plan->n_axes; i++) {
        if (axes >> i & 1)
            sb_push(making, names, sb_json_string(plan->axes[i].name));
    }
    return names;
}

/* What is known of one axis beside the analysis. */
struct observed {
    json_t *levels; /* texts, "unknown" where none of a level's runs could be seen */
    bool known;     /* every level is */
    bool alike;     /* all are proven to be one */
    sb_mask ran;    /* levels of which a run ended well */
};

static struct observed observe(struct sb_making *making, const struct sb_job_result *job,
                               size_t axis) {
    const struct sb_job_axis *job_axis = &job->plan->axes[axis];
    struct observed observed = {.levels = sb_new(making, json_array()), .known = true};
    SB_AUTO_FREE struct sb_axis_sight *sights = calloc(job->n_runs + 1, sizeof *sights);
    SB_AUTO_FREE char **texts = calloc(job_axis->n_levels + 1, sizeof *texts);
    if (!sights || !texts) {
        making->failed = true;
        return observed;
    }
    size_t n = 0;
    for (size_t i = 0; i < job->n_runs; i++) {
        const struct sb_run *run = job->runs[i];
        if (run->status != SB_STATUS_OK)
            continue;
        sights[n].level = job->plan->cells[run->cell].level[axis];
        sights[n].seen = &run->seen;
        observed.ran |= (sb_mask)1 << sights[n++].level;
    }
    if (sb_axis_observed(job_axis, sights, n, texts, &observed.alike) < 0)
        making->failed = true;
    for (size_t level = 0; level < job_axis->n_levels; level++) {
        observed.known &= texts[level] != NULL;
        sb_push(making, observed.levels, sb_json_string(texts[level] ? texts[level] : "unknown"));
        free(texts[level]);
    }
    return observed;
}

sb_mask sb_all_levels(const struct sb_job_axis *axis) {
    return axis->n_levels >= SB_MAX_LEVELS ? ~(sb_mask)0 : ((sb_mask)1 << axis->n_levels) - 1;
}

/* Did runs at all levels have the same bits, other things being equal? Levels that never met under
 * equal others (a fractional design) are alike still when the fingerprint is known to be a function
 * of other axes, in every cell that was run; among cells of which some are unstable that says
 * nothing. */
static bool bits_agree(const struct sb_analysis *analysis, size_t axis, sb_mask all, sb_mask ran) {
    const struct sb_axis_finding *finding = &analysis->axes[axis];
    if (finding->n_classes == 1 && finding->classes[0] == all)
        return true;
    bool stable =
        analysis->verdict == SB_VERDICT_BITWISE || analysis->verdict == SB_VERDICT_CONFIG_DEPENDENT;
    return stable && analysis->depends_known && !(analysis->depends_on >> axis & 1) && ran == all;
}

static const char *axis_effect(const struct sb_job_result *job, size_t axis,
                               const struct observed *observed) {
    const struct sb_job_axis *job_axis = &job->plan->axes[axis];
    const struct sb_analysis *analysis = job->analysis;
    if (job_axis->n_levels < 2)
        return "fixed";
    if (!analysis || axis >= analysis->n_axes || analysis->verdict == SB_VERDICT_ERROR)
        return "unknown";
    if (analysis->axes[axis].has_effect)
        return analysis->verdict == SB_VERDICT_INCONCLUSIVE ? "unknown" : "bits";
    if (!bits_agree(analysis, axis, sb_all_levels(job_axis), observed->ran))
        return "unknown"; /* other bits, of which several axes may be the cause; or no evidence */
    if (observed->alike)
        return "inert";
    return observed->known ? "none" : "unknown";
}

static json_t *axis_json(struct sb_making *making, const struct sb_job_result *job, size_t i,
                         const char **effect) {
    const struct sb_job_axis *axis = &job->plan->axes[i];
    const struct sb_analysis *analysis = job->analysis;
    struct observed observed = observe(making, job, i);
    *effect = axis_effect(job, i, &observed);
    json_t *classes = sb_new(making, json_array());
    for (size_t c = 0;
         axis->n_levels && analysis && i < analysis->n_axes && c < analysis->axes[i].n_classes; c++)
        sb_push(making, classes, sb_level_names(making, axis, analysis->axes[i].classes[c]));
    json_t *levels = sb_new(making, json_array());
    for (size_t k = 0; k < axis->n_levels; k++)
        sb_push(making, levels, sb_json_string(axis->levels[k]));
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "name", sb_json_string(axis->name));
    sb_put(making, json, "levels", levels);
    sb_put(making, json, "observed", observed.levels);
    sb_put(making, json, "classes", classes);
    /* Then classes are those of levels that never met, and no finding. */
    if (json_array_size(classes) > 1 && !analysis->axes[i].compared)
        sb_put(making, json, "compared", json_false());
    sb_put(making, json, "effect", json_string(*effect));
    if (strcmp(*effect, "none") == 0 && (job->plan->fractional || analysis->scope_cells_run))
        sb_put(making, json, "scope", json_string("cells run"));
    if (axis->unavailable)
        sb_put(making, json, "unavailable", sb_json_string(axis->unavailable));
    return json;
}

json_t *sb_axes_json(struct sb_making *making, const struct sb_job_result *job, bool *all_inert) {
    json_t *axes = sb_new(making, json_array());
    size_t n_varied = 0, n_inert = 0;
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        const char *effect;
        sb_push(making, axes, axis_json(making, job, i, &effect));
        n_varied += axis->n_written > 1;
        n_inert += axis->n_written > 1 && (axis->n_levels < 2 || strcmp(effect, "inert") == 0);
    }
    *all_inert = n_varied && n_inert == n_varied;
    return axes;
}
