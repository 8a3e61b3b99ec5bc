/* Stage 3: the launcher `local`: runs are processes on this machine, as many at once as have CPUs
 * of their own.
 *
 * Runs start in the order of their ids and nothing is overtaken: a run that needs many CPUs waits
 * until they are free, and those after it wait with it. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/process.h"
#include "run/schedule.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const double tick_s = 0.25;

static bool is_reading(const struct sb_slot *slot) {
    return slot->reading != NULL;
}

/* The end of a run that this schedule did. */
static void record(struct sb_schedule *schedule, struct sb_slot *slot) {
    sb_schedule_record(schedule, &slot->run);
    sb_slot_free(schedule, slot);
}

/* ---- Waiting and stepping ---------------------------------------------------------------------
 */

static void note_due(struct sb_slot *slot) {
    int wait_ms = sb_process_wait_ms(slot->process);
    slot->due = wait_ms < 0 ? INFINITY : sb_monotonic() + wait_ms / 1000.0;
    slot->ready = false;
}

static double wait_until(const struct sb_schedule *schedule) {
    double until = schedule->callbacks->tick ? schedule->ticked + tick_s : INFINITY;
    if (schedule->held > 0 && schedule->held < until)
        until = schedule->held;
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
    double left = until - sb_monotonic();
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
    double now = sb_monotonic();
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

/* ---- Rounds -----------------------------------------------------------------------------------
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

/* A round as far as it has come. */
struct round {
    const struct sb_due *due;
    size_t n, next;
    double *began; /* when the first run of each cell started, monotonic; 0: none of them did */
};

/* When the next run may start, monotonic; 0: at once. */
static double start_of_next(const struct sb_schedule *schedule, const struct round *round) {
    const struct sb_job *job = sb_schedule_job(schedule);
    double began = round->began[round->due[round->next].cell];
    for (size_t i = round->next + 1; i < round->n; i++) {
        if (!round->due[i].done)
            return 0;
    }
    bool spread =
        schedule->round == 0 && job->kind == SB_JOB_COMMAND && !job->repeats.exact && began > 0;
    return spread ? began + schedule->options->spread_s : 0;
}

/* Is it known what the runs gave that have ended? */
static bool bits_are_known(const struct sb_schedule *schedule) {
    for (size_t i = 0; i < schedule->n_slots; i++) {
        if (schedule->slots[i]->ended)
            return false;
    }
    return true;
}

/* Starts what there is room for. What keeps one run from starting is its own end, not that of the
 * others. */
static void start_ready(struct sb_schedule *schedule, struct round *round) {
    schedule->held = 0;
    for (; round->next < round->n; round->next++) {
        const struct sb_due *due = &round->due[round->next];
        if (due->done)
            continue;
        schedule->n_waiting = round->n - round->next - 1;
        if (!sb_schedule_may_start(schedule) ||
            (schedule->options->wait_for_bits && !bits_are_known(schedule)))
            return;
        double start = start_of_next(schedule, round), now = sb_monotonic();
        if (start > now) {
            schedule->held = start;
            return;
        }
        struct sb_slot *slot = NULL;
        struct sb_error err = {"out of memory: starting a run"};
        int rc = slots_reserve(schedule);
        if (rc == 0)
            rc = sb_slot_start(schedule, due, &slot, &err);
        if (rc < 0)
            sb_schedule_fail(schedule, rc, &err);
        if (rc != 0)
            return;
        if (round->began[due->cell] <= 0)
            round->began[due->cell] = now;
        if (slot->process) {
            note_due(slot);
            schedule->slots[schedule->n_slots++] = slot;
        } else {
            record(schedule, slot);
        }
    }
}

static void run_round(struct sb_schedule *schedule, const struct sb_due *due, size_t n) {
    SB_AUTO_FREE double *began =
        calloc(schedule->plan->jobs[schedule->job].n_cells + 1, sizeof *began);
    struct round round = {due, n, 0, began};
    if (!began)
        sb_schedule_fail(schedule, -ENOMEM, &(struct sb_error){"out of memory: starting runs"});
    while (began) {
        pass_interrupt(schedule);
        start_ready(schedule, &round);
        if (read_ended(schedule))
            continue;
        if (!schedule->n_slots && schedule->held <= 0)
            break;
        wait_for_something(schedule);
        step_all(schedule);
    }
}

const struct sb_launcher sb_launcher_local = {
    .name = "local",
    .summary = "processes on this machine",
    .open = sb_job_isolate,
    .round = run_round,
    .close = sb_job_close,
};
