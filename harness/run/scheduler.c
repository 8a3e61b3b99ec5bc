/* Stage 3: the scheduler: every job of the plan, round by round, each run to its record in the
 * journal. Where and how the runs of a round are done is the launcher's affair.
 *
 * Between two rounds of a job everything has ended, so that what the next round holds depends on
 * results and never on timing. */
#include "base/cleanup.h"
#include "run/schedule.h"

#include <errno.h>
#include <string.h>

#define TOPOLOGY "/sys/devices/system/cpu"

/* ---- Records ----------------------------------------------------------------------------------
 */

void sb_schedule_fail(struct sb_schedule *schedule, int rc, const struct sb_error *err) {
    if (schedule->rc == 0)
        schedule->rc = sb_error_set(schedule->err, rc, "%s", err->text);
}

/* Tells of the run and takes it. */
static void keep_run(struct sb_schedule *schedule, struct sb_run *run) {
    struct sb_schedule_result *result = &schedule->result;
    if (schedule->callbacks->finished)
        schedule->callbacks->finished(schedule->callbacks->context, run);
    if (result->n_runs == schedule->capacity) {
        size_t capacity = schedule->capacity ? 2 * schedule->capacity : 64;
        struct sb_run *runs = realloc(result->runs, capacity * sizeof *runs);
        if (!runs) {
            sb_run_clear(run);
            sb_schedule_fail(schedule, -ENOMEM, &(struct sb_error){"out of memory: keeping runs"});
            return;
        }
        result->runs = runs;
        schedule->capacity = capacity;
    }
    result->runs[result->n_runs++] = *run;
    *run = (struct sb_run){0};
}

void sb_schedule_record(struct sb_schedule *schedule, struct sb_run *run) {
    /* What ends a guest signals its runs too: how these end then says nothing of them. */
    if (schedule->guest && sb_interrupted)
        run->status = SB_STATUS_INTERRUPTED;
    if (run->status != SB_STATUS_INTERRUPTED) {
        struct sb_error err = {{0}};
        int rc = sb_journal_append(schedule->folder, run, &err);
        if (rc < 0)
            sb_schedule_fail(schedule, rc, &err);
    }
    keep_run(schedule, run);
}

/* A record from the journal, as a copy. */
static void take_over(struct sb_schedule *schedule, const struct sb_run *done) {
    SB_AUTO_JSON json_t *json = sb_run_to_json(done);
    struct sb_run copy = {0};
    struct sb_error err = {"out of memory: resuming"};
    int rc = json ? sb_run_from_json(json, &copy, &err) : -ENOMEM;
    if (rc < 0)
        sb_schedule_fail(schedule, rc, &err);
    else
        keep_run(schedule, &copy);
}

/* ---- Rounds and jobs --------------------------------------------------------------------------
 */

bool sb_schedule_may_start(struct sb_schedule *schedule) {
    const struct sb_schedule_callbacks *callbacks = schedule->callbacks;
    if (schedule->rc < 0 || sb_interrupted || schedule->result.stopped)
        return false;
    if (callbacks->stop && callbacks->stop(callbacks->context))
        schedule->result.stopped = true;
    if (callbacks->give_up && callbacks->give_up(callbacks->context, schedule->job))
        return false;
    return !schedule->result.stopped;
}

static int compare_ids(const void *a, const void *b) {
    return strcmp(((const struct sb_run *)a)->id, ((const struct sb_run *)b)->id);
}

static void run_round(struct sb_schedule *schedule, const struct sb_due *due, size_t n) {
    /* First, so that a second interruption loses nothing of the first result. */
    for (size_t i = 0; i < n; i++) {
        if (due[i].done)
            take_over(schedule, due[i].done);
    }
    schedule->launcher->round(schedule, due, n);
    if (schedule->result.n_runs > schedule->job_start)
        qsort(schedule->result.runs + schedule->job_start,
              schedule->result.n_runs - schedule->job_start, sizeof *schedule->result.runs,
              compare_ids);
}

static int open_job(struct sb_schedule *schedule) {
    int rc =
        sb_names_set_by_axes(schedule->plan, &schedule->plan->jobs[schedule->job],
                             schedule->options->environment, &schedule->kept_names, schedule->err);
    return rc < 0 ? rc : schedule->launcher->open(schedule, schedule->err);
}

/* All rounds of schedule->job. */
static int run_job(struct sb_schedule *schedule) {
    size_t n_cells = schedule->plan->jobs[schedule->job].n_cells;
    SB_AUTO_FREE unsigned *repeats = calloc(n_cells + 1, sizeof *repeats);
    if (!repeats)
        return sb_error_errno(schedule->err, -ENOMEM, "planning runs");
    for (unsigned round = 0;; round++) {
        SB_AUTO_FREE struct sb_due *due = NULL;
        size_t n = 0;
        schedule->round = round;
        int rc = sb_round_plan(schedule, round, repeats, &due, &n, schedule->err);
        if (rc < 0 || n == 0)
            return rc;
        if (round == 0 && (rc = open_job(schedule)) < 0)
            return rc;
        run_round(schedule, due, n);
        if (schedule->rc < 0 || sb_interrupted || schedule->result.stopped)
            return schedule->rc;
    }
}

/* Everything that does not depend on what is due. */
static int open_schedule(struct sb_schedule *schedule) {
    const struct sb_machine *machine = schedule->plan->machine;
    const struct sb_launcher *launcher = schedule->options->launcher;
    schedule->launcher = launcher ? launcher : &sb_launcher_local;
    return sb_cpus_open(machine->cpus, machine->n_cpus, TOPOLOGY, &schedule->cpus, schedule->err);
}

static void clear_schedule(struct sb_schedule *schedule) {
    sb_cpus_clear(&schedule->cpus);
    free(schedule->done);
    free(schedule->slots);
    free(schedule->polled);
}

int sb_schedule_run(const struct sb_plan *plan, struct sb_folder *folder,
                    const struct sb_schedule_options *options,
                    const struct sb_schedule_callbacks *callbacks,
                    struct sb_schedule_result *result, struct sb_error *err) {
    struct sb_error unwanted;
    SB_CLEANUP(clear_schedule)
    struct sb_schedule schedule = {
        .plan = plan,
        .folder = folder,
        .options = options,
        .callbacks = callbacks,
        .err = err ? err : &unwanted,
    };
    int rc = sb_numbering_start(plan, &schedule.numbering, schedule.err);
    if (rc < 0 || (rc = sb_round_index_done(&schedule, schedule.err)) < 0 ||
        (rc = open_schedule(&schedule)) < 0)
        return rc;
    for (; rc == 0 && schedule.job < plan->n_jobs; schedule.job++) {
        schedule.job_start = schedule.result.n_runs;
        rc = run_job(&schedule);
        bool ending = rc < 0 || sb_interrupted || schedule.result.stopped;
        schedule.launcher->close(&schedule, ending || schedule.job + 1 == plan->n_jobs);
        sb_strings_clear(&schedule.kept_names);
        if (ending)
            break;
    }
    schedule.result.interrupted = sb_interrupted != 0;
    schedule.result.job = schedule.job;
    *result = schedule.result;
    return rc;
}

int sb_schedule_share(const struct sb_plan *plan, struct sb_folder *folder,
                      const struct sb_schedule_options *options,
                      const struct sb_schedule_callbacks *callbacks, const struct sb_share *share,
                      struct sb_schedule_result *result, struct sb_error *err) {
    struct sb_error unwanted;
    SB_CLEANUP(clear_schedule)
    struct sb_schedule schedule = {
        .plan = plan,
        .folder = folder,
        .options = options,
        .callbacks = callbacks,
        .err = err ? err : &unwanted,
        .job = share->job,
        .guest = true,
    };
    int rc = open_schedule(&schedule);
    if (rc == 0)
        rc = open_job(&schedule);
    if (rc == 0)
        rc = share->opened(share->context, &schedule);
    if (rc == 0) {
        run_round(&schedule, share->due, share->n_due);
        rc = schedule.rc;
    }
    sb_job_close(&schedule, true);
    sb_strings_clear(&schedule.kept_names);
    *result = schedule.result;
    return rc;
}

void sb_schedule_result_clear(struct sb_schedule_result *result) {
    sb_sandbox_close(result->closing);
    for (size_t i = 0; i < result->n_runs; i++)
        sb_run_clear(&result->runs[i]);
    free(result->runs);
    for (char **note = result->shared; note && *note; note++)
        free(*note);
    free(result->shared);
    *result = (struct sb_schedule_result){0};
}
