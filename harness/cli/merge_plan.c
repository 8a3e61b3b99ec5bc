/* cli: the suite and the plan that results to be merged are judged by. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/groups.h"
#include "report/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- The suite --------------------------------------------------------------------------------
 */

static char *copy_of(const json_t *text) {
    return json_is_string(text) ? strdup(json_string_value(text)) : NULL;
}

/* Index of a name in a list that ends with NULL; `otherwise` where it is none of them. */
static int choice_of(const char *const *names, const json_t *text, int otherwise) {
    for (int i = 0; json_is_string(text) && names[i]; i++) {
        if (strcmp(names[i], json_string_value(text)) == 0)
            return i;
    }
    return otherwise;
}

/* A list of strings that ends with NULL; NULL for an empty one, or without memory. */
static char **texts_of(const json_t *array, size_t *n) {
    struct sb_strings texts = {0};
    for (size_t i = 0; i < json_array_size(array); i++)
        sb_strings_add(&texts, sb_text_at(array, i));
    *n = texts.n;
    return texts.items;
}

static double tolerance_of(const json_t *tolerance, const char *key) {
    const json_t *value = json_object_get(tolerance, key);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static int take_requirements(const json_t *require, struct sb_job *job, struct sb_error *err) {
    const char *axis;
    json_t *need;
    job->require = calloc(json_object_size(require) + 1, sizeof *job->require);
    if (!job->require)
        return sb_error_errno(err, -ENOMEM, "require");
    json_object_foreach((json_t *)require, axis, need) {
        int n = choice_of(sb_need_names, need, -1);
        if (n < 0)
            return sb_error_set(err, -EINVAL, "job '%s': require: '%s' is damaged", job->id, axis);
        job->require[job->n_require].need = (enum sb_need)n;
        job->require[job->n_require].axis = strdup(axis);
        if (!job->require[job->n_require++].axis)
            return sb_error_errno(err, -ENOMEM, "require");
    }
    return 0;
}

static void take_shape(const json_t *shape, struct sb_job *job) {
    job->shape = json_is_array(shape) ? calloc(json_array_size(shape) + 1, sizeof(size_t)) : NULL;
    for (size_t i = 0; job->shape && i < json_array_size(shape); i++)
        job->shape[job->n_shape++] = (size_t)json_integer_value(json_array_get(shape, i));
}

static void take_identity(const json_t *entry, struct sb_job *job) {
    job->name = copy_of(json_object_get(entry, "name"));
    job->id = copy_of(json_object_get(entry, "id"));
    job->kind = (enum sb_job_kind)choice_of(sb_job_kind_names, json_object_get(entry, "kind"), 0);
    job->subject = copy_of(json_object_get(entry, "kernel"));
    job->backend = copy_of(json_object_get(entry, "backend"));
    job->dtype = copy_of(json_object_get(entry, "dtype"));
    job->algorithm = copy_of(json_object_get(entry, "algorithm"));
    take_shape(json_object_get(entry, "shape"), job);
}

static int take_arguments(const json_t *arguments, struct sb_job *job, struct sb_error *err) {
    const char *name;
    json_t *value;
    job->arguments = calloc(json_object_size(arguments) + 1, sizeof *job->arguments);
    bool whole = job->arguments;
    json_object_foreach((json_t *)arguments, name, value) {
        struct sb_argument *argument = whole ? &job->arguments[job->n_arguments++] : NULL;
        const char *text = json_string_value(value);
        if (!argument)
            break;
        argument->name = strdup(name);
        argument->value = strdup(text ? text : "");
        whole = argument->name && argument->value;
    }
    return whole ? 0 : sb_error_errno(err, -ENOMEM, "arguments");
}

static int take_job(const json_t *entry, struct sb_job *job, struct sb_error *err) {
    const json_t *asked = json_object_get(entry, "asked");
    const json_t *repeats = json_object_get(asked, "repeats");
    const json_t *tolerance = json_object_get(asked, "tolerance");
    take_identity(entry, job);
    if (!job->name || !job->id)
        return sb_error_errno(err, -ENOMEM, "jobs");
    job->weights = copy_of(json_object_get(asked, "weights"));
    job->exclude = texts_of(json_object_get(asked, "exclude"), &job->n_exclude);
    job->include = texts_of(json_object_get(asked, "include"), &job->n_include);
    job->inputs = texts_of(json_object_get(asked, "inputs"), &job->n_inputs);
    job->command = texts_of(json_object_get(asked, "command"), &job->n_command);
    job->design = (enum sb_design)choice_of(sb_design_names, json_object_get(asked, "design"), 0);
    job->expect = (enum sb_expect)choice_of(sb_expect_names, json_object_get(asked, "expect"), 0);
    job->repeats = (struct sb_repeats){
        .min = (unsigned)sb_count_of(repeats, "min"),
        .max = (unsigned)sb_count_of(repeats, "max"),
        .exact = json_is_true(json_object_get(repeats, "exact")),
        .stop_diverged = json_is_true(json_object_get(repeats, "stop_diverged")),
    };
    job->tolerance =
        (struct sb_tolerance){tolerance_of(tolerance, "rtol"), tolerance_of(tolerance, "atol"),
                              tolerance_of(tolerance, "ulp")};
    int rc = take_requirements(json_object_get(asked, "require"), job, err);
    return rc == 0 ? take_arguments(json_object_get(asked, "arguments"), job, err) : rc;
}

static int make_suite(struct sb_merge *merge, struct sb_error *err) {
    struct sb_suite *suite = merge->suite = calloc(1, sizeof *suite);
    if (suite) {
        /* Results may have been given the suite by several paths. */
        suite->path = strdup(sb_merge_first(merge, "suite"));
        suite->jobs = calloc(merge->n_jobs + 1, sizeof *suite->jobs);
    }
    if (!suite || !suite->path || !suite->jobs)
        return sb_error_errno(err, -ENOMEM, "suite");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < merge->n_jobs; i++) {
        suite->n_jobs = i + 1;
        rc = take_job(merge->jobs[i].entry, &suite->jobs[i], err);
        if (rc < 0)
            sb_error_prefix(err, rc, "%s", merge->inputs[merge->jobs[i].input].given);
    }
    return rc;
}

/* ---- Axes -------------------------------------------------------------------------------------
 */

size_t sb_merge_suite_axes(const struct sb_merge *merge, size_t job) {
    return json_array_size(merge->jobs[job].axes);
}

static char *unavailable_text(const json_t *axis) {
    const json_t *reasons = json_object_get(axis, "unavailable");
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < json_array_size(reasons); i++)
        sb_text_printf(&text, "%s%s%s", i ? "; " : sb_text_of(axis, "name"), i ? "" : ": ",
                       sb_text_at(reasons, i));
    return text.length ? sb_text_take(&text) : NULL;
}

static int take_axis(const json_t *merged, struct sb_job_axis *axis) {
    const json_t *levels = json_object_get(merged, "levels");
    struct sb_strings names = {0};
    size_t i;
    json_t *level;
    axis->name = strdup(sb_text_of(merged, "name"));
    axis->in_command = json_is_true(json_object_get(merged, "in_command"));
    axis->axis = axis->name && !axis->in_command ? sb_axis_find(axis->name) : NULL;
    axis->written = texts_of(json_object_get(merged, "written"), &axis->n_written);
    axis->unavailable = unavailable_text(merged);
    axis->from = calloc(json_array_size(levels) + 1, sizeof *axis->from);
    int rc = axis->name && axis->from ? 0 : -ENOMEM;
    json_array_foreach(levels, i, level) {
        if (rc == 0)
            rc = sb_strings_add(&names, sb_text_of(level, "level"));
        if (rc == 0)
            axis->from[i] = (unsigned)sb_count_of(level, "from");
    }
    axis->levels = names.items;
    axis->n_levels = names.n;
    return rc;
}

/* Machines on which a run of the job was made. */
static void find_machines(const struct sb_merge *merge, size_t job, bool *ran) {
    for (size_t i = 0; i < merge->n_runs; i++) {
        if (merge->runs[i].job == job)
            ran[merge->runs[i].machine] = true;
    }
}

static int level_of(const struct sb_job_axis *axis, const char *level) {
    for (size_t i = 0; i < axis->n_levels; i++) {
        if (strcmp(axis->levels[i], level) == 0)
            return (int)i;
    }
    return -1;
}

/* An axis of the machines' marks; none where they are all alike. An axis of the suite may have the
 * name. */
static int add_mark(const struct sb_merge *merge, const bool *ran, enum sb_mark mark,
                    struct sb_job_plan *plan, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings levels = {0};
    const char *name = sb_mark_names[mark];
    for (size_t m = 0; m < json_array_size(merge->machines); m++) {
        const char *text = sb_merge_mark_text(merge, m, mark);
        if (ran[m] && !sb_strings_contain(&levels, text) && sb_strings_add(&levels, text) < 0)
            return sb_error_errno(err, -ENOMEM, "axis '%s'", name);
    }
    if (levels.n < 2)
        return 0;
    if (levels.n > SB_MAX_LEVELS || plan->n_axes == SB_MAX_AXES)
        return sb_error_set(err, -EINVAL,
                            "axis '%s' has %zu levels, and may have %d: --machine names the marks "
                            "that are to be axes",
                            name, levels.n, SB_MAX_LEVELS);
    sb_strings_sort(&levels);
    bool taken = false;
    for (size_t i = 0; i < plan->n_axes; i++)
        taken |= strcmp(plan->axes[i].name, name) == 0;
    struct sb_job_axis *axis = &plan->axes[plan->n_axes];
    struct sb_strings written = {0};
    axis->name = sb_format("%s%s", taken ? "machine " : "", name);
    if (!axis->name || sb_strings_copy(&written, &levels) < 0)
        return sb_error_errno(err, -ENOMEM, "axis '%s'", name);
    axis->written = written.items;
    axis->n_written = written.n;
    axis->levels = sb_steal_pointer(&levels.items);
    axis->n_levels = levels.n;
    levels.n = 0;
    plan->n_axes++;
    return 0;
}

/* ---- Cells ------------------------------------------------------------------------------------
 */

/* Cells in the making; groups number them by their text. */
struct cells {
    struct sb_groups known;
    unsigned *levels; /* row by row */
    size_t room;
};

static void cells_clear(struct cells *cells) {
    sb_groups_clear(&cells->known);
    free(cells->levels);
}

static int add_cell(struct cells *cells, const unsigned *levels, size_t n, size_t *cell) {
    char text[SB_MAX_AXES * 4 + 1];
    size_t at = 0;
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%u,", levels[i]);
    text[at] = '\0';
    size_t before = cells->known.names.n;
    if (sb_groups_find(&cells->known, text, cell) < 0)
        return -ENOMEM;
    if (*cell < before)
        return 0;
    if (cells->known.names.n > cells->room) {
        size_t room = cells->room ? 2 * cells->room : 64;
        unsigned *more = reallocarray(cells->levels, room, (n + 1) * sizeof *more);
        if (!more)
            return -ENOMEM;
        cells->levels = more;
        cells->room = room;
    }
    memcpy(cells->levels + *cell * n, levels, n * sizeof *levels);
    return *cell >= SB_MAX_CELLS ? -E2BIG : 0;
}

/* Levels of the machines' axes on one machine, behind those of the suite's. */
static void set_marks(const struct sb_merge *merge, const struct sb_job_plan *plan, size_t n_own,
                      size_t machine, unsigned *levels) {
    for (size_t i = n_own; i < plan->n_axes; i++) {
        for (int mark = 0; mark < SB_N_MARKS; mark++) {
            const char *name = strrchr(plan->axes[i].name, ' ');
            if (strcmp(name ? name + 1 : plan->axes[i].name, sb_mark_names[mark]) != 0)
                continue;
            int level =
                level_of(&plan->axes[i], sb_merge_mark_text(merge, machine, (enum sb_mark)mark));
            levels[i] = level < 0 ? 0 : (unsigned)level;
        }
    }
}

/* On each machine, the cells of the suite's design. */
static int design(const struct sb_merge *merge, const struct sb_job_plan *plan, size_t n_own,
                  const bool *ran, struct cells *cells, struct sb_error *err) {
    unsigned n_levels[SB_MAX_AXES], levels[SB_MAX_AXES];
    SB_AUTO_FREE unsigned *rows = NULL;
    size_t n = 0, cell;
    for (size_t i = 0; i < n_own; i++)
        n_levels[i] = plan->axes[i].n_levels ? (unsigned)plan->axes[i].n_levels : 1;
    int rc = sb_design_cells(plan->job->design, n_levels, n_own, &rows, &n, err);
    for (size_t m = 0; rc == 0 && m < json_array_size(merge->machines); m++) {
        for (size_t c = 0; rc == 0 && ran[m] && c < n; c++) {
            memcpy(levels, rows + c * n_own, n_own * sizeof *levels);
            set_marks(merge, plan, n_own, m, levels);
            rc = add_cell(cells, levels, plan->n_axes, &cell);
        }
    }
    return rc;
}

/* The cell of a run: of a suite whose machines had different levels, none of the design's maybe. */
static int find_cell(const struct sb_merge *merge, const struct sb_merge_run *run,
                     const struct sb_job_plan *plan, size_t n_own, unsigned *levels,
                     struct sb_error *err) {
    const json_t *said = json_object_get(run->run, "cell");
    for (size_t i = 0; i < n_own; i++) {
        const struct sb_job_axis *axis = &plan->axes[i];
        const json_t *text = json_object_get(said, axis->name);
        const char *level = json_string_value(text);
        int at = level_of(axis, level ? level : SB_LEVEL_AS_IS);
        if ((text && !level) || (at < 0 && (level || axis->n_levels)))
            return sb_error_set(err, -EINVAL, "%s: run %s: axis '%s' has no level '%s'",
                                merge->inputs[run->input].given, run->there, axis->name,
                                level ? level : "");
        levels[i] = at < 0 ? 0 : (unsigned)at;
    }
    set_marks(merge, plan, n_own, run->machine, levels);
    return 0;
}

static int take_cells(const struct sb_merge *merge, size_t job, const bool *ran,
                      struct sb_job_plan *plan, struct sb_error *err) {
    SB_CLEANUP(cells_clear) struct cells cells = {.room = 0};
    unsigned levels[SB_MAX_AXES];
    size_t n_own = sb_merge_suite_axes(merge, job), cell, combinations = 1;
    int rc = design(merge, plan, n_own, ran, &cells, err);
    for (size_t i = 0; rc == 0 && i < merge->n_runs; i++) {
        if (merge->runs[i].job != job)
            continue;
        rc = find_cell(merge, &merge->runs[i], plan, n_own, levels, err);
        if (rc == 0)
            rc = add_cell(&cells, levels, plan->n_axes, &cell);
        merge->made[i].cell = cell;
    }
    if (rc == -E2BIG)
        return sb_error_set(err, rc, "job '%s': more than %d cells", plan->job->id, SB_MAX_CELLS);
    if (rc == -ENOMEM)
        return sb_error_errno(err, rc, "job '%s'", plan->job->id);
    plan->cells = rc == 0 ? calloc(cells.known.names.n + 1, sizeof *plan->cells) : NULL;
    if (!plan->cells)
        return rc < 0 ? rc : sb_error_errno(err, -ENOMEM, "job '%s'", plan->job->id);
    plan->n_cells = cells.known.names.n;
    for (size_t c = 0; c < plan->n_cells; c++)
        plan->cells[c].level = cells.levels + c * plan->n_axes;
    cells.levels = NULL; /* owned by cells[0] now */
    for (size_t i = 0; i < plan->n_axes && combinations <= SB_MAX_CELLS; i++)
        combinations *= plan->axes[i].n_levels ? plan->axes[i].n_levels : 1;
    plan->fractional = plan->n_cells < combinations;
    return 0;
}

/* ---- The plan ---------------------------------------------------------------------------------
 */

/* Which of the machines' axes tell the level of which others? */
static void find_implied(const struct sb_merge *merge, const bool *ran, size_t n_own,
                         struct sb_job_plan *plan) {
    size_t n = json_array_size(merge->machines);
    for (size_t a = n_own; a < plan->n_axes; a++) {
        for (size_t b = n_own; b < plan->n_axes; b++) {
            unsigned seen[SB_MAX_LEVELS], levels[SB_MAX_AXES];
            bool tells = a != b, met[SB_MAX_LEVELS] = {false};
            for (size_t m = 0; tells && m < n; m++) {
                if (!ran[m])
                    continue;
                set_marks(merge, plan, n_own, m, levels);
                tells = !met[levels[a]] || seen[levels[a]] == levels[b];
                met[levels[a]] = true;
                seen[levels[a]] = levels[b];
            }
            plan->axes[a].implies |= tells ? UINT64_C(1) << b : 0;
        }
    }
}

static int plan_job(struct sb_merge *merge, size_t job, struct sb_error *err) {
    struct sb_job_plan *plan = &merge->plan->jobs[job];
    size_t n_own = sb_merge_suite_axes(merge, job), n = json_array_size(merge->machines);
    SB_AUTO_FREE bool *ran = calloc(n + 1, sizeof *ran);
    plan->job = &merge->suite->jobs[job];
    plan->axes = calloc(n_own + SB_N_MARKS, sizeof *plan->axes);
    if (!plan->axes || !ran)
        return sb_error_errno(err, -ENOMEM, "job '%s'", plan->job->id);
    find_machines(merge, job, ran);
    bool any = false;
    for (size_t m = 0; m < n; m++)
        any |= ran[m];
    ran[0] |= !any;
    for (; plan->n_axes < n_own; plan->n_axes++) {
        if (take_axis(json_array_get(merge->jobs[job].axes, plan->n_axes),
                      &plan->axes[plan->n_axes]) < 0)
            return sb_error_errno(err, -ENOMEM, "job '%s'", plan->job->id);
    }
    int rc = 0;
    for (int mark = 0; rc == 0 && mark < SB_N_MARKS; mark++) {
        if (merge->marks >> mark & 1)
            rc = add_mark(merge, ran, (enum sb_mark)mark, plan, err);
    }
    if (rc < 0)
        return sb_error_prefix(err, rc, "job '%s'", plan->job->id);
    find_implied(merge, ran, n_own, plan);
    return take_cells(merge, job, ran, plan, err);
}

int sb_merge_plan(struct sb_merge *merge, struct sb_error *err) {
    int rc = make_suite(merge, err);
    if (rc < 0)
        return rc;
    merge->made = calloc(merge->n_runs + 1, sizeof *merge->made);
    merge->plan = calloc(1, sizeof *merge->plan);
    if (merge->plan)
        merge->plan->jobs = calloc(merge->n_jobs + 1, sizeof *merge->plan->jobs);
    if (!merge->made || !merge->plan || !merge->plan->jobs)
        return sb_error_errno(err, -ENOMEM, "plan");
    merge->plan->suite = merge->suite;
    merge->plan->n_jobs = merge->n_jobs;
    for (size_t i = 0; rc == 0 && i < merge->n_jobs; i++)
        rc = plan_job(merge, i, err);
    return rc == 0 ? sb_merge_make_runs(merge, err) : rc;
}
