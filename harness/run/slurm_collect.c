/* Stage 3: the launcher `slurm`: from what tasks say, and Slurm of them, to records of runs. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "run/launcher_slurm.h"
#include "run/process.h"
#include "run/slurm.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Slurm may be away so many seconds: tasks go on without it. */
static const double silence_s = 30 * 60.0;

/* ---- What comes back --------------------------------------------------------------------------
 */

static struct sb_run blank_run(const struct sb_slurm_round *round, size_t i) {
    const struct sb_due *due = &round->due[i];
    struct sb_run run = {.job = round->schedule->job,
                         .cell = due->cell,
                         .repeat = due->repeat,
                         .exit_code = -1,
                         .accuracy = NAN};
    memcpy(run.id, due->id, sizeof due->id);
    return run;
}

static int compare_due(const void *a, const void *b) {
    return strcmp(((const struct sb_due *)a)->id, ((const struct sb_due *)b)->id);
}

/* Slurm ends a task by a signal to every process in it, and a run that gets it before samebits
 * there does looks as if it had failed by itself: whether it has is known when the task's end is.
 */
static bool is_doubtful(struct sb_slurm_task *task, const struct sb_run *run) {
    bool failed = run->status == SB_STATUS_CRASHED || run->status == SB_STATUS_NO_WEIGHTS ||
                  run->status == SB_STATUS_BAD_WEIGHTS;
    task->doubted |= failed;
    return failed && (!task->over || task->broken_off);
}

/* A run out of a spool. */
int sb_slurm_take_run(void *context, struct sb_run *run, struct sb_error *err) {
    struct sb_slurm_task *task = context;
    struct sb_slurm_round *round = task->round;
    struct sb_due key = {.cell = 0};
    memcpy(key.id, run->id, sizeof key.id);
    const struct sb_due *found =
        bsearch(&key, round->due, round->n, sizeof *round->due, compare_due);
    size_t i = found ? (size_t)(found - round->due) : 0;
    if (!found || run->job != round->schedule->job || run->cell != found->cell ||
        run->repeat != found->repeat)
        return sb_error_set(err, -EBADMSG, "%s: run %s is not of this plan", round->path, run->id);
    /* What was told to end says nothing of the run. */
    if (round->recorded[i] || (round->cancelled && run->status != SB_STATUS_OK) ||
        is_doubtful(task, run))
        return 0;
    round->recorded[i] = true;
    sb_schedule_record(round->schedule, run);
    return 0;
}

void sb_slurm_begin_task(struct sb_slurm_round *round, struct sb_slurm_task *task) {
    const struct sb_schedule_callbacks *callbacks = round->schedule->callbacks;
    task->begun = true;
    if (sb_schedule_note_isolation(round->schedule, task->spooled.mode,
                                   (const char *const *)task->spooled.shared.items) < 0)
        sb_schedule_fail(round->schedule, -ENOMEM, &(struct sb_error){"out of memory: a task"});
    for (size_t i = 0; callbacks->started && i < task->runs.n; i++)
        callbacks->started(callbacks->context, round->schedule->job,
                           round->due[task->runs.first + i].id);
}

/* As far as it is known: of a task that never began, no more than Slurm's name for the node. */
static json_t *machine_of(const struct sb_slurm_task *task) {
    if (task->spooled.machine)
        return json_incref(task->spooled.machine);
    return json_pack("{s:s?, s:n, s:n}", "host", task->node[0] ? task->node : NULL, "cpu", "gpu");
}

/* The end of a run of which there is no record. */
static void record_missing(struct sb_slurm_round *round, const struct sb_slurm_task *task, size_t i,
                           enum sb_status status, const char *why) {
    struct sb_run run = blank_run(round, i);
    run.seen.machine = machine_of(task);
    run.status = status;
    run.lost = status == SB_STATUS_INTERRUPTED && why;
    sb_run_note(&run, why ? strdup(why) : NULL);
    round->recorded[i] = true;
    sb_schedule_record(round->schedule, &run);
}

void sb_slurm_settle(struct sb_slurm_round *round, struct sb_slurm_task *task,
                     enum sb_status status, const char *why) {
    for (size_t i = task->runs.first; i < task->runs.first + task->runs.n; i++) {
        if (!round->recorded[i])
            record_missing(round, task, i, status, why);
    }
    task->settled = true;
}

bool sb_slurm_task_complete(const struct sb_slurm_round *round, const struct sb_slurm_task *task) {
    for (size_t i = 0; i < task->runs.n; i++) {
        if (!round->recorded[task->runs.first + i])
            return false;
    }
    return true;
}

/* ---- Tasks that vanished ----------------------------------------------------------------------
 */

void sb_slurm_settle_lost(struct sb_slurm_round *round, struct sb_slurm_task *task) {
    const struct sb_schedule *schedule = round->schedule;
    const char *node = task->node[0] ? task->node : "its node";
    SB_AUTO_FREE char *why = NULL;
    enum sb_status status = SB_STATUS_INTERRUPTED;
    if (!task->begun && task->exit_code == SB_SLURM_NO_FOLDER) {
        status = SB_STATUS_SPAWN_FAILED;
        why = sb_format(
            "%s is not there on %s: with --launcher slurm the results folder (--out) has "
            "to lie on a file system that all nodes share",
            sb_folder_path(schedule->folder), node);
    } else if (!task->begun && task->exit_code == SB_SLURM_NO_PROGRAM) {
        status = SB_STATUS_SPAWN_FAILED;
        why = sb_format(
            "%s is not there on %s: with --launcher slurm samebits has to be at the same "
            "path on all nodes",
            schedule->options->program, node);
    } else {
        why = sb_format("Slurm task %s_%u%s%s: %s%s", task->array, task->index,
                        task->node[0] ? " on " : "", task->node,
                        task->state[0] ? task->state : "Slurm knows nothing of it any more",
                        task->begun ? " before the run had ended" : " before it had begun");
    }
    sb_slurm_settle(round, task, status, why);
}

static struct sb_slurm_task *find_task(struct sb_slurm_round *round,
                                       const struct sb_slurm_state *state) {
    for (size_t i = 0; i < round->n_tasks; i++) {
        struct sb_slurm_task *task = &round->tasks[i];
        if (task->array && strcmp(task->array, state->array) == 0) {
            size_t place = i + state->task; /* its array's tasks follow each other */
            return place < round->n_tasks && round->tasks[place].array == task->array
                       ? &round->tasks[place]
                       : NULL;
        }
    }
    return NULL;
}

static void note_over(struct sb_slurm_task *task) {
    if (task->over)
        return;
    task->over_at = sb_monotonic();
    task->over = true;
    task->spooled.size = 0; /* what was doubted is looked at again */
}

static void take_state(void *context, const struct sb_slurm_state *state) {
    struct sb_slurm_round *round = context;
    struct sb_slurm_task *task = find_task(round, state);
    if (!task)
        return;
    task->known = true;
    task->exit_code = state->exit_code > 255 ? state->exit_code >> 8 : state->exit_code;
    snprintf(task->state, sizeof task->state, "%s", state->state);
    snprintf(task->node, sizeof task->node, "%s", state->node);
    if (state->ended)
        note_over(task);
    task->broken_off = state->broken_off;
    if (strcmp(state->state, "PENDING") == 0) {
        snprintf(round->reason, sizeof round->reason, "%s", state->reason);
        round->n_queued++;
    }
}

static void say_waiting(struct sb_slurm_round *round) {
    const struct sb_schedule_callbacks *callbacks = round->schedule->callbacks;
    if (!callbacks->waiting)
        return;
    SB_AUTO_FREE char *text =
        round->n_queued ? sb_format("%zu queued (%s)", round->n_queued, round->reason) : NULL;
    callbacks->waiting(callbacks->context, text);
}

/* Asks Slurm about every task. What it does not know has ended a while ago. */
void sb_slurm_ask(struct sb_slurm_round *round) {
    struct sb_error err;
    double now = sb_monotonic();
    for (size_t i = 0; i < round->n_tasks; i++)
        round->tasks[i].known = false;
    round->n_queued = 0;
    if (sb_slurm_states(&round->arrays, take_state, round, &err) < 0) {
        if (now - round->heard_at < silence_s)
            return;
    } else {
        round->heard_at = now;
    }
    bool forgotten = false;
    for (size_t i = 0; i < round->n_tasks; i++) {
        struct sb_slurm_task *task = &round->tasks[i];
        if (!task->array || task->settled || task->known)
            continue;
        note_over(task);
        forgotten = true;
    }
    if (forgotten)
        sb_slurm_accounts(&round->arrays, take_state, round);
    say_waiting(round);
}
