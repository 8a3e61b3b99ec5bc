/* cli: a job under the conditions of a question. See cli/experiment.h. */
#include "cli/experiment.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/digesting.h"
#include "cli/kept_plan.h"
#include "cli/progress.h"
#include "report/display.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

/* ---- Knobs ----------------------------------------------------------------------------------- */

int sb_knobs_add(struct sb_knobs *knobs, const char *axis, const char *level, const char *other) {
    struct sb_knob *grown = reallocarray(knobs->items, knobs->n + 1, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    knobs->items = grown;
    char *name = strdup(axis);
    if (!name)
        return -ENOMEM;
    grown[knobs->n++] = (struct sb_knob){.axis = name, .levels = {level, other}};
    return 0;
}

struct sb_knob *sb_knobs_find(const struct sb_knobs *knobs, const char *axis) {
    for (size_t i = 0; i < knobs->n; i++) {
        if (strcmp(knobs->items[i].axis, axis) == 0)
            return &knobs->items[i];
    }
    return NULL;
}

void sb_knobs_clear(struct sb_knobs *knobs) {
    for (size_t i = 0; i < knobs->n; i++)
        free(knobs->items[i].axis);
    free(knobs->items);
    *knobs = (struct sb_knobs){0};
}

/* ---- The plan -------------------------------------------------------------------------------- */

static void axes_free(struct sb_suite_axis *axes, size_t n) {
    for (size_t i = 0; axes && i < n; i++) {
        for (size_t k = 0; axes[i].levels && k < axes[i].n_levels; k++)
            free(axes[i].levels[k]);
        free(axes[i].levels);
        free(axes[i].level_where);
        free(axes[i].name);
    }
    free(axes);
}

static int make_axis(const struct sb_knob *knob, struct sb_suite_axis *axis) {
    static const struct sb_where where = {.file = "samebits explain"};
    size_t n = knob->levels[1] ? 2 : 1;
    *axis = (struct sb_suite_axis){.name = strdup(knob->axis),
                                   .levels = calloc(n, sizeof *axis->levels),
                                   .n_levels = n,
                                   .where = where,
                                   .level_where = calloc(n, sizeof *axis->level_where)};
    for (size_t i = 0; axis->levels && axis->level_where && i < n; i++) {
        axis->levels[i] = strdup(knob->levels[i]);
        axis->level_where[i] = where;
        if (!axis->levels[i])
            return -ENOMEM;
    }
    return axis->name && axis->levels && axis->level_where ? 0 : -ENOMEM;
}

/* A command in a job's place: nothing of the job but how long it may take. */
static struct sb_job job_instead(const struct sb_job *job, const struct sb_instead *instead) {
    return (struct sb_job){.name = job->name,
                           .id = job->id,
                           .kind = SB_JOB_COMMAND,
                           .command = instead->command,
                           .n_command = instead->n_command,
                           .command_where = instead->where,
                           .weights = instead->weights,
                           .directory = instead->directory,
                           .tolerance = job->tolerance,
                           .timeout_s = job->timeout_s,
                           .where = job->where};
}

static int make_plan(const struct sb_restored *restored, size_t job, const struct sb_knobs *knobs,
                     enum sb_design design, const struct sb_instead *instead,
                     struct sb_experiment *experiment, struct sb_error *err) {
    const struct sb_job *planned = restored->plan->jobs[job].job;
    experiment->job = instead ? job_instead(planned, instead) : *planned;
    experiment->job.axes = calloc(knobs->n + 1, sizeof *experiment->job.axes);
    experiment->job.n_axes = 0;
    if (!experiment->job.axes)
        return sb_error_errno(err, -ENOMEM, "axes");
    experiment->job.design = design;
    experiment->job.require = NULL;
    experiment->job.n_require = 0;
    experiment->job.expect = SB_EXPECT_NOTHING;
    experiment->job.repeats = (struct sb_repeats){.min = 1, .max = 1, .exact = true};
    for (size_t i = 0; i < knobs->n; i++) {
        int rc = make_axis(&knobs->items[i], &experiment->job.axes[experiment->job.n_axes++]);
        if (rc < 0)
            return sb_error_errno(err, rc, "axes");
    }
    experiment->suite =
        (struct sb_suite){.path = restored->suite->path, .jobs = &experiment->job, .n_jobs = 1};
    return sb_plan_make(&experiment->suite, restored->machine, &experiment->plan, err);
}

/* ---- Its folder ------------------------------------------------------------------------------ */

/* Named by what is asked, and of which program: the same question finds its runs again, another one
 * never does, nor the same of a program that was changed. */
static char *folder_name(const struct sb_restored *restored, const struct sb_experiment *experiment,
                         const char *folder_path) {
    SB_AUTO_JSON json_t *plan =
        sb_kept_plan_json(&restored->request, (int)restored->argv.n, restored->argv.items,
                          experiment->plan, restored->identity);
    SB_AUTO_FREE char *text = plan ? sb_json_text(plan) : NULL;
    return text ? sb_format("%s/experiment-%016llx", folder_path,
                            (unsigned long long)XXH3_64bits(text, strlen(text)))
                : NULL;
}

int sb_experiment_open(const struct sb_restored *restored, size_t job, const struct sb_knobs *knobs,
                       enum sb_design design, const struct sb_instead *instead,
                       const char *folder_path, struct sb_search_bounds *bounds,
                       struct sb_experiment *experiment, struct sb_error *err) {
    *experiment = (struct sb_experiment){.bounds = bounds};
    int rc = make_plan(restored, job, knobs, design, instead, experiment, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *path = folder_name(restored, experiment, folder_path);
    if (!path)
        return sb_error_errno(err, -ENOMEM, "%s", folder_path);
    rc = sb_make_folders(folder_path, 0777, err);
    if (rc < 0)
        return rc;
    return access(path, F_OK) == 0 ? sb_folder_open(path, true, &experiment->folder, err)
                                   : sb_folder_create(path, false, &experiment->folder, err);
}

void sb_experiment_close(struct sb_experiment *experiment) {
    sb_schedule_result_clear(&experiment->result);
    sb_folder_close(experiment->folder);
    sb_plan_free(experiment->plan);
    axes_free(experiment->job.axes, experiment->job.n_axes);
    *experiment = (struct sb_experiment){0};
}

size_t sb_experiment_cell(const struct sb_experiment *experiment, uint64_t others) {
    const struct sb_job_plan *plan = &experiment->plan->jobs[0];
    for (size_t c = 0; c < plan->n_cells; c++) {
        uint64_t found = 0;
        for (size_t i = 0; i < plan->n_axes; i++)
            found |= (uint64_t)(plan->cells[c].level[i] != 0) << i;
        if (found == others)
            return c;
    }
    return SIZE_MAX;
}

/* ---- Its runs -------------------------------------------------------------------------------- */

struct rounds {
    struct sb_experiment *experiment;
    sb_experiment_next *next;
    void *context;
    time_t second; /* in which the last round was asked for */
};

/* Rounds begin in different seconds, so that a seed out of the clock is not the same by chance in
 * runs that take milliseconds. */
static void wait_for_another_second(struct rounds *rounds) {
    while (time(NULL) == rounds->second && !sb_interrupted)
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    rounds->second = time(NULL);
}

static bool is_over(void *context) {
    struct sb_search_bounds *bounds = ((struct rounds *)context)->experiment->bounds;
    bounds->over |= (bounds->seconds > 0 && sb_monotonic() - bounds->began >= bounds->seconds) ||
                    (bounds->runs && bounds->made >= bounds->runs);
    return bounds->over;
}

static int more_runs(void *context, size_t job, const struct sb_run *runs, size_t n_runs,
                     unsigned *more, struct sb_error *err) {
    struct rounds *rounds = context;
    (void)job;
    int rc = rounds->next(rounds->context, runs, n_runs, more, err);
    bool asked = false;
    for (size_t c = 0; rc == 0 && c < rounds->experiment->plan->jobs[0].n_cells; c++)
        asked |= more[c] > 0;
    if (asked && !is_over(rounds))
        wait_for_another_second(rounds);
    return rc;
}

static void show(const struct sb_search_bounds *bounds) {
    if (bounds->quiet)
        return;
    SB_AUTO_FREE char *what = sb_text_printable(bounds->what);
    fprintf(stderr, "\r\033[K%s: %u runs, %.0f s", what ? what : "", bounds->made,
            sb_monotonic() - bounds->began);
    fflush(stderr);
}

static void started(void *context, size_t job, const char *run_id) {
    (void)job, (void)run_id;
    struct sb_search_bounds *bounds = ((struct rounds *)context)->experiment->bounds;
    bounds->made++;
    show(bounds);
}

static void finished(void *context, const struct sb_run *run) {
    (void)run;
    show(((struct rounds *)context)->experiment->bounds);
}

static void tick(void *context) {
    show(((struct rounds *)context)->experiment->bounds);
}

static int schedule(struct rounds *rounds, struct sb_reader *reader, const char *program,
                    const struct sb_request *request, struct sb_run *done, size_t n_done,
                    struct sb_error *err) {
    struct sb_experiment *experiment = rounds->experiment;
    const struct sb_digesting digesting = sb_digesting_make(reader);
    const struct sb_schedule_callbacks callbacks = {.context = rounds,
                                                    .more = more_runs,
                                                    .digesting = &digesting,
                                                    .started = started,
                                                    .finished = finished,
                                                    .tick = tick,
                                                    .stop = is_over};
    const struct sb_schedule_options options = {
        .jobs = request->jobs,
        .seed = request->seed,
        .isolate = request->isolate < 0 ? SB_ISOLATE_AUTO : (enum sb_isolation)request->isolate,
        .shard = 1,
        .n_shards = 1,
        .environment = sb_request_environment(request),
        .program = program,
        .forget_weights = true, /* whether bits are equal is all that is asked */
        .trace = experiment->trace,
        .done = done,
        .n_done = n_done,
    };
    int rc = sb_schedule_run(experiment->plan, experiment->folder, &options, &callbacks,
                             &experiment->result, err);
    if (!experiment->bounds->quiet)
        fputs("\r\033[K", stderr);
    return rc;
}

int sb_experiment_run(struct sb_experiment *experiment, const struct sb_request *request,
                      sb_experiment_next *next, void *context, struct sb_error *err) {
    struct rounds rounds = {.experiment = experiment, .next = next, .context = context};
    SB_AUTO_FREE char *program = sb_program_path();
    struct sb_run *done = NULL;
    struct sb_reader *reader = NULL;
    size_t n_done = 0;
    int rc = program ? sb_journal_read(experiment->folder, &done, &n_done, err)
                     : sb_error_errno(err, -errno, "/proc/self/exe");
    if (rc >= 0)
        rc = sb_reader_start(&reader, err);
    if (rc == 0)
        rc = schedule(&rounds, reader, program, request, done, n_done, err);
    for (size_t i = 0; i < n_done; i++)
        sb_run_clear(&done[i]);
    free(done);
    sb_reader_stop(reader);
    return rc;
}
