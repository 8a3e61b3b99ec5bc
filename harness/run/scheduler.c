/* Stage 3: the scheduler: every job of the plan, round by round, as many runs at once as have CPUs
 * of their own, each to its record in the journal.
 *
 * Runs start in the order of their ids and nothing is overtaken: a run that needs many CPUs waits
 * until they are free, and those after it wait with it. Between two rounds of a job everything has
 * ended, so that what the next round holds depends on results and never on timing. */
#include "base/cleanup.h"
#include "run/schedule.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define TOPOLOGY "/sys/devices/system/cpu"

static const double tick_s = 0.25;

static double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool is_reading(const struct sb_slot *slot) {
    return slot->reading != NULL;
}

/* ---- Records ----------------------------------------------------------------------------------
 */

static void fail(struct sb_schedule *schedule, int rc, const struct sb_error *err) {
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
            fail(schedule, -ENOMEM, &(struct sb_error){"out of memory: keeping runs"});
            return;
        }
        result->runs = runs;
        schedule->capacity = capacity;
    }
    result->runs[result->n_runs++] = *run;
    *run = (struct sb_run){0};
}

/* The end of a run that this schedule did. Without a journal nothing that follows would be kept. */
static void record(struct sb_schedule *schedule, struct sb_slot *slot) {
    if (slot->run.status != SB_STATUS_INTERRUPTED) {
        struct sb_error err = {{0}};
        int rc = sb_journal_append(schedule->folder, &slot->run, &err);
        if (rc < 0)
            fail(schedule, rc, &err);
    }
    keep_run(schedule, &slot->run);
    sb_slot_free(schedule, slot);
}

/* A record from the journal, as a copy. */
static void take_over(struct sb_schedule *schedule, const struct sb_run *done) {
    SB_AUTO_JSON json_t *json = sb_run_to_json(done);
    struct sb_run copy = {0};
    struct sb_error err = {"out of memory: resuming"};
    int rc = json ? sb_run_from_json(json, &copy, &err) : -ENOMEM;
    if (rc < 0)
        fail(schedule, rc, &err);
    else
        keep_run(schedule, &copy);
}

/* ---- Waiting and stepping ---------------------------------------------------------------------
 */

static void note_due(struct sb_slot *slot) {
    int wait_ms = sb_process_wait_ms(slot->process);
    slot->due = wait_ms < 0 ? INFINITY : monotonic() + wait_ms / 1000.0;
    slot->ready = false;
}

static double wait_until(const struct sb_schedule *schedule) {
    double until = schedule->callbacks->tick ? schedule->ticked + tick_s : INFINITY;
    for (size_t i = 0; i < schedule->n_slots; i++) {
        const struct sb_slot *slot = schedule->slots[i];
        if (!is_reading(slot) && slot->due < until)
            until = slot->due;
    }
    return until;
}

/* How far the runs have to be told of signals and errors: see pass_interrupt. */
static int interrupts_wanted(const struct sb_schedule *schedule) {
    int signal_number = sb_interrupted;
    return signal_number < 0 ? 2 : signal_number > 0 || schedule->rc < 0 ? 1 : 0;
}

/* poll(2) until `until`. A signal between the look at sb_interrupted and the sleep must not be
 * slept over, so the two are one. */
static int sleep_until(struct sb_schedule *schedule, double until) {
    double left = until - monotonic();
    left = left > 0 ? left : 0;
    struct timespec timeout = {0};
    if (isfinite(left)) {
        timeout.tv_sec = (time_t)left;
        timeout.tv_nsec = (long)((left - (double)timeout.tv_sec) * 1e9);
    }
    sigset_t stopping, before;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGINT);
    sigaddset(&stopping, SIGTERM);
    sigaddset(&stopping, SIGHUP);
    sigprocmask(SIG_BLOCK, &stopping, &before);
    int n = 0;
    if (schedule->interrupts >= interrupts_wanted(schedule))
        n = ppoll(schedule->polled, schedule->n_slots, isfinite(left) ? &timeout : NULL, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void wait_for_something(struct sb_schedule *schedule) {
    double until = wait_until(schedule);
    for (size_t i = 0; i < schedule->n_slots; i++) {
        struct sb_slot *slot = schedule->slots[i];
        schedule->polled[i] = (struct pollfd){
            .fd = is_reading(slot) ? schedule->callbacks->digesting->fd(slot->reading)
                                   : sb_process_fd(slot->process),
            .events = POLLIN};
    }
    int n = sleep_until(schedule, until);
    for (size_t i = 0; n > 0 && i < schedule->n_slots; i++)
        schedule->slots[i]->ready = schedule->polled[i].revents != 0;
}

/* Returns true when the run is over. */
static bool step_process(struct sb_schedule *schedule, struct sb_slot *slot) {
    struct sb_process_end end = {0};
    struct sb_error err = {{0}};
    int rc = sb_process_step(slot->process, &end, &err);
    if (rc == -EAGAIN) {
        note_due(slot);
        return false;
    }
    bool over = true;
    if (rc < 0) {
        slot->run.status = SB_STATUS_CRASHED;
        sb_run_note(&slot->run, strdup(err.text));
    } else {
        over = sb_slot_process_ended(schedule, slot, &end);
        sb_process_end_clear(&end);
    }
    /* Nothing of it is alive any more: its CPUs are free while its weights are read. */
    sb_cpus_give(&schedule->cpus, slot->cpus, slot->n_cpus);
    slot->n_cpus = 0;
    slot->ended = true;
    return over;
}

static bool step_slot(struct sb_schedule *schedule, struct sb_slot *slot, double now) {
    if (!slot->ready && (is_reading(slot) || slot->due > now))
        return false;
    if (!is_reading(slot))
        return step_process(schedule, slot);
    slot->ready = false;
    return sb_slot_reading_step(schedule, slot);
}

/* Starts to read the weights of runs that have ended, by now when others have been started on their
 * CPUs: reading can wait. Returns whether any run is over already, which makes room. */
static bool read_ended(struct sb_schedule *schedule) {
    size_t kept = 0, n = schedule->n_slots;
    for (size_t i = 0; i < n; i++) {
        struct sb_slot *slot = schedule->slots[i];
        if (slot->ended && !is_reading(slot) &&
            (sb_slot_reading_start(schedule, slot) || sb_slot_reading_step(schedule, slot)))
            record(schedule, slot);
        else
            schedule->slots[kept++] = slot;
    }
    schedule->n_slots = kept;
    return kept < n;
}

static void step_all(struct sb_schedule *schedule) {
    double now = monotonic();
    size_t kept = 0;
    for (size_t i = 0; i < schedule->n_slots; i++) {
        struct sb_slot *slot = schedule->slots[i];
        if (step_slot(schedule, slot, now))
            record(schedule, slot);
        else
            schedule->slots[kept++] = slot;
    }
    schedule->n_slots = kept;
    const struct sb_schedule_callbacks *callbacks = schedule->callbacks;
    if (callbacks->tick && now >= schedule->ticked + tick_s) {
        schedule->ticked = now;
        callbacks->tick(callbacks->context);
    }
}

/* The first time every run is asked to end, the second time it is killed, and no weights are read
 * any more. */
static void pass_interrupt(struct sb_schedule *schedule) {
    int wanted = interrupts_wanted(schedule);
    for (; schedule->interrupts < wanted; schedule->interrupts++) {
        for (size_t i = 0; i < schedule->n_slots; i++) {
            if (!schedule->slots[i]->ended)
                sb_process_interrupt(schedule->slots[i]->process);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < schedule->n_slots; i++) {
        struct sb_slot *slot = schedule->slots[i];
        if (wanted == 2 && slot->ended) {
            slot->run.status = SB_STATUS_INTERRUPTED;
            record(schedule, slot);
        } else {
            schedule->slots[kept++] = slot;
        }
    }
    schedule->n_slots = kept;
}

/* ---- Rounds and jobs --------------------------------------------------------------------------
 */

static int slots_reserve(struct sb_schedule *schedule) {
    if (schedule->n_slots < schedule->slots_capacity)
        return 0;
    size_t capacity = schedule->slots_capacity ? 2 * schedule->slots_capacity : 16;
    struct sb_slot **slots = realloc(schedule->slots, capacity * sizeof *slots);
    if (slots)
        schedule->slots = slots;
    struct pollfd *polled = realloc(schedule->polled, capacity * sizeof *polled);
    if (polled)
        schedule->polled = polled;
    if (!slots || !polled)
        return -ENOMEM;
    schedule->slots_capacity = capacity;
    return 0;
}

static bool may_start(struct sb_schedule *schedule) {
    const struct sb_schedule_callbacks *callbacks = schedule->callbacks;
    if (schedule->rc < 0 || sb_interrupted || schedule->result.stopped)
        return false;
    if (callbacks->stop && callbacks->stop(callbacks->context))
        schedule->result.stopped = true;
    if (callbacks->give_up && callbacks->give_up(callbacks->context, schedule->job))
        return false;
    return !schedule->result.stopped;
}

/* Starts what there is room for of due[*next…]. What keeps one run from starting is its own end,
 * not that of the others. */
static void start_ready(struct sb_schedule *schedule, const struct sb_due *due, size_t n,
                        size_t *next) {
    for (; *next < n; ++*next) {
        if (due[*next].done)
            continue;
        schedule->n_waiting = n - *next - 1;
        if (!may_start(schedule))
            return;
        struct sb_slot *slot = NULL;
        struct sb_error err = {"out of memory: starting a run"};
        int rc = slots_reserve(schedule);
        if (rc == 0)
            rc = sb_slot_start(schedule, &due[*next], &slot, &err);
        if (rc < 0)
            fail(schedule, rc, &err);
        if (rc != 0)
            return;
        if (slot->process) {
            note_due(slot);
            schedule->slots[schedule->n_slots++] = slot;
        } else {
            record(schedule, slot);
        }
    }
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
    for (size_t next = 0;;) {
        pass_interrupt(schedule);
        start_ready(schedule, due, n, &next);
        if (read_ended(schedule))
            continue;
        if (!schedule->n_slots)
            break;
        wait_for_something(schedule);
        step_all(schedule);
    }
    if (schedule->result.n_runs > schedule->job_start)
        qsort(schedule->result.runs + schedule->job_start,
              schedule->result.n_runs - schedule->job_start, sizeof *schedule->result.runs,
              compare_ids);
}

static int open_job(struct sb_schedule *schedule) {
    int rc =
        sb_names_set_by_axes(schedule->plan, &schedule->plan->jobs[schedule->job],
                             schedule->options->environment, &schedule->kept_names, schedule->err);
    return rc < 0 ? rc : sb_job_isolate(schedule, schedule->err);
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
        (rc = sb_cpus_open(plan->machine->cpus, plan->machine->n_cpus, TOPOLOGY, &schedule.cpus,
                           schedule.err)) < 0)
        return rc;
    for (; rc == 0 && schedule.job < plan->n_jobs; schedule.job++) {
        schedule.job_start = schedule.result.n_runs;
        rc = run_job(&schedule);
        bool ending = rc < 0 || sb_interrupted || schedule.result.stopped;
        sb_job_close(&schedule, ending || schedule.job + 1 == plan->n_jobs);
        if (ending)
            break;
    }
    schedule.result.interrupted = sb_interrupted != 0;
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
