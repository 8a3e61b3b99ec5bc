/* Stage 2, matrix: a suite's jobs to axes that this machine can vary, and to cells. */
#include "matrix/plan.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Which axis is it? ----------------------------------------------------------------------- */

static int unknown_axis(const struct sb_job *job, const struct sb_suite_axis *axis,
                        struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text list = {0};
    SB_AUTO_STRINGS struct sb_strings known = {0};
    SB_AUTO_TEXT struct sb_text hint = {0};
    for (const struct sb_axis *const *a = sb_axes; *a; a++) {
        if (strcmp((*a)->name, "env:") == 0)
            continue;
        if (!(*a)->planned)
            sb_text_printf(&list, "%s, ", (*a)->name);
        if (sb_strings_add(&known, (*a)->name) < 0)
            return sb_error_errno(err, -ENOMEM, "axis '%s'", axis->name);
    }
    if (sb_command_names(job, &known) < 0)
        return sb_error_errno(err, -ENOMEM, "axis '%s'", axis->name);
    const char *near = sb_nearest(axis->name, (const char *const *)known.items, known.n);
    if (near)
        sb_text_printf(&hint, "; did you mean '%s'?", near);
    if (job->kind == SB_JOB_COMMAND)
        sb_text_printf(&list, "env:NAME, or {%s} in the command", axis->name);
    else
        sb_text_puts(&list, "env:NAME");
    if (list.failed || hint.failed)
        return sb_error_errno(err, -ENOMEM, "axis '%s'", axis->name);
    return sb_where_error(err, -EINVAL, &axis->where, "unknown axis '%s' (axes: %s)%s", axis->name,
                          list.data, hint.data ? hint.data : "");
}

static bool same_place(const struct sb_where *a, const struct sb_where *b) {
    return a->line == b->line && a->column == b->column &&
           (a->file == b->file || (a->file && b->file && strcmp(a->file, b->file) == 0));
}

/* Was the axis written for this job, rather than in the suite's defaults or with --vary, which mean
 * every job that the axis fits? What stands in the defaults stands before the jobs, or is had by
 * several. */
static bool is_own(const struct sb_suite *suite, const struct sb_job *job,
                   const struct sb_suite_axis *axis) {
    for (size_t j = 0; j < suite->n_jobs; j++) {
        const struct sb_job *other = &suite->jobs[j];
        if (axis->where.line == 0) {
            if (other->kind != SB_JOB_COMMAND)
                return false;
            continue;
        }
        if (same_place(&other->where, &job->where))
            continue;
        for (size_t a = 0; a < other->n_axes; a++) {
            if (same_place(&other->axes[a].where, &axis->where))
                return false;
        }
    }
    return axis->where.line == 0 || axis->where.line >= job->where.line;
}

/* ---- Levels ---------------------------------------------------------------------------------- */

/* What is wrong with an axis as it is written, beyond what stage 1 has found. */
static int check_axis(const struct sb_job *job, const struct sb_suite_axis *written,
                      const struct sb_axis *axis, bool in_command, const struct sb_machine *machine,
                      struct sb_error *err) {
    if (!axis && strncmp(written->name, "env:", 4) == 0)
        return sb_where_error(err, -EINVAL, &written->where,
                              "axis '%s': '%s' is no name of a variable (letters, digits and _)",
                              written->name, written->name + 4);
    if (!axis && !in_command)
        return unknown_axis(job, written, err);
    for (size_t l = 0; axis && !axis->planned && l < written->n_levels; l++) {
        struct sb_error inner = {0};
        int status = sb_axis_check(axis, machine, written->levels[l], &inner);
        if (status < 0)
            return sb_where_error(err, status, &written->level_where[l], "axis '%s': %s",
                                  written->name, inner.text);
    }
    return 0;
}

/* Why this machine cannot have the level, or NULL. */
static char *why_missing(const struct sb_job_axis *axis, const struct sb_machine *machine,
                         const char *level, const char *resolved) {
    if (axis->axis && axis->axis->planned)
        return strdup(axis->axis->planned);
    char *why = NULL;
    if (axis->axis && axis->axis->unavailable)
        why = axis->axis->unavailable(machine, level);
    for (size_t l = 0; !why && l < axis->n_levels; l++) {
        if (strcmp(axis->levels[l], resolved) == 0)
            why = sb_format("'%s' is the same as '%s' here", level, resolved);
    }
    return why;
}

/* The levels that there are, and why others are not. */
static int take_levels(struct sb_job_axis *axis, const struct sb_suite_axis *written,
                       const struct sb_machine *machine) {
    SB_AUTO_STRINGS struct sb_strings reasons = {0};
    SB_AUTO_STRINGS struct sb_strings as_written = {0};
    struct sb_strings levels = {0};
    axis->from = calloc(written->n_levels + 1, sizeof *axis->from);
    int status = axis->from ? 0 : -ENOMEM;
    bool reference = true;
    for (size_t l = 0; l < written->n_levels && status == 0; l++) {
        const char *level = written->levels[l];
        SB_AUTO_FREE char *resolved = axis->axis && axis->axis->resolve && !axis->axis->planned
                                          ? axis->axis->resolve(machine, level)
                                          : strdup(level);
        SB_AUTO_FREE char *why = resolved ? why_missing(axis, machine, level, resolved) : NULL;
        status = resolved ? sb_strings_add(&as_written, level) : -ENOMEM;
        if (status == 0 && why && !sb_strings_contain(&reasons, why))
            status = sb_strings_add(&reasons, why);
        reference &= l > 0 || !why;
        if (status == 0 && !why && reference) {
            axis->from[levels.n] = (unsigned)l;
            status = sb_strings_add(&levels, resolved);
        }
        axis->levels = levels.items;
        axis->n_levels = levels.n;
    }
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < reasons.n; i++)
        sb_text_printf(&text, "%s%s", i ? "; " : "", reasons.items[i]);
    if (status == 0 && reasons.n &&
        !(axis->unavailable = sb_format("%s: %s", axis->name, text.data)))
        status = -ENOMEM;
    axis->n_written = as_written.n;
    axis->written = sb_steal_pointer(&as_written.items);
    as_written.n = 0;
    return text.failed ? -ENOMEM : status;
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static int take_axes(const struct sb_suite *suite, const struct sb_machine *machine,
                     struct sb_job_plan *plan, struct sb_error *err) {
    const struct sb_job *job = plan->job;
    plan->axes = calloc(job->n_axes + 1, sizeof *plan->axes);
    if (!plan->axes)
        return sb_error_errno(err, -ENOMEM, "job '%s'", job->id);
    for (size_t a = 0; a < job->n_axes; a++) {
        const struct sb_suite_axis *written = &job->axes[a];
        const struct sb_axis *axis = sb_axis_find(written->name);
        bool in_command = sb_command_has(job, written->name);
        int status = check_axis(job, written, axis, in_command, machine, err);
        if (status < 0)
            return status;
        bool meant = !axis || !axis->kinds || axis->kinds >> job->kind & 1;
        if (!meant && !in_command) {
            if (!is_own(suite, job, written))
                continue;
            return sb_where_error(
                err, -EINVAL, &written->where, "axis '%s' has a meaning for %s only", written->name,
                axis->kinds == 1 << SB_JOB_KERNEL ? "single kernels" : "built-in trainings");
        }
        if (plan->n_axes == SB_MAX_AXES)
            return sb_where_error(err, -EINVAL, &written->where, "a job has at most %d axes",
                                  SB_MAX_AXES);
        struct sb_job_axis *taken = &plan->axes[plan->n_axes++];
        /* A name without a meaning here is any flag when it stands in the command. */
        taken->axis = axis && (axis->planned || !meant) && in_command ? NULL : axis;
        taken->in_command = in_command;
        taken->name = strdup(written->name);
        status = taken->name ? take_levels(taken, written, machine) : -ENOMEM;
        if (status < 0)
            return sb_error_errno(err, status, "axis '%s'", written->name);
    }
    return 0;
}

static int take_cells(struct sb_job_plan *plan, struct sb_error *err) {
    unsigned n_levels[SB_MAX_AXES];
    size_t combinations = 1;
    for (size_t a = 0; a < plan->n_axes; a++) {
        n_levels[a] = plan->axes[a].n_levels ? (unsigned)plan->axes[a].n_levels : 1;
        if (combinations <= SB_MAX_CELLS)
            combinations *= n_levels[a];
    }
    SB_AUTO_FREE unsigned *levels = NULL;
    size_t n = 0;
    struct sb_error inner = {0};
    int status = sb_design_cells(plan->job->design, n_levels, plan->n_axes, &levels, &n, &inner);
    if (status < 0)
        return sb_where_error(err, status, &plan->job->where, "job '%s': %s", plan->job->name,
                              inner.text);
    plan->cells = calloc(n, sizeof *plan->cells);
    if (!plan->cells)
        return sb_error_errno(err, -ENOMEM, "job '%s'", plan->job->id);
    for (size_t c = 0; c < n; c++)
        plan->cells[c].level = levels + c * plan->n_axes;
    levels = NULL; /* owned by cells[0] now */
    plan->n_cells = n;
    plan->fractional = n < combinations;
    return 0;
}

/* A requirement on an axis that is nowhere varied would be met by a slip of the pen. Names of axes
 * that another job of the suite has are fine: `require` is often a default. */
static int check_requirements(const struct sb_suite *suite, const struct sb_job *job,
                              struct sb_error *err) {
    for (size_t i = 0; i < job->n_require; i++) {
        const char *name = job->require[i].axis;
        bool known = strcmp(name, "repeats") == 0 || sb_axis_find(name);
        for (size_t j = 0; j < suite->n_jobs && !known; j++) {
            for (size_t k = 0; k < suite->jobs[j].n_axes && !known; k++)
                known = strcmp(suite->jobs[j].axes[k].name, name) == 0;
        }
        if (!known)
            return sb_where_error(err, -EINVAL, &job->require[i].where,
                                  "require: '%s' is no axis of this suite (repeats, or an axis: "
                                  "samebits list axes)",
                                  name);
    }
    return 0;
}

int sb_plan_make(const struct sb_suite *suite, const struct sb_machine *machine,
                 struct sb_plan **plan, struct sb_error *err) {
    struct sb_plan *made = calloc(1, sizeof *made);
    if (made)
        made->jobs = calloc(suite->n_jobs + 1, sizeof *made->jobs);
    if (!made || !made->jobs) {
        sb_plan_free(made);
        return sb_error_errno(err, -ENOMEM, "plan");
    }
    made->suite = suite;
    made->machine = machine;
    made->n_jobs = suite->n_jobs;
    int status = 0;
    for (size_t j = 0; j < suite->n_jobs && status == 0; j++) {
        made->jobs[j].job = &suite->jobs[j];
        status = sb_command_check(&suite->jobs[j], err);
        if (status == 0)
            status = check_requirements(suite, &suite->jobs[j], err);
        if (status == 0)
            status = take_axes(suite, machine, &made->jobs[j], err);
        if (status == 0)
            status = take_cells(&made->jobs[j], err);
    }
    if (status < 0) {
        sb_plan_free(made);
        return status;
    }
    *plan = made;
    return 0;
}

static void free_strings(char **strings) {
    for (char **string = strings; string && *string; string++)
        free(*string);
    free(strings);
}

void sb_plan_free(struct sb_plan *plan) {
    if (!plan)
        return;
    for (size_t j = 0; plan->jobs && j < plan->n_jobs; j++) {
        struct sb_job_plan *job = &plan->jobs[j];
        for (size_t a = 0; a < job->n_axes; a++) {
            free(job->axes[a].name);
            free_strings(job->axes[a].levels);
            free_strings(job->axes[a].written);
            free(job->axes[a].from);
            free(job->axes[a].unavailable);
        }
        free(job->axes);
        if (job->cells)
            free(job->cells[0].level);
        free(job->cells);
    }
    free(plan->jobs);
    free(plan);
}
