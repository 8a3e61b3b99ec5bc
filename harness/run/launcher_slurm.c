/* Stage 3: the launcher `slurm`: a round's runs are tasks of job arrays of a Slurm cluster. Each
 * task is a samebits that does what this one would do here (run/batch.h), for one run, or for as
 * many that follow each other as have CPUs of their own in what is allocated to it.
 *
 * What is in the spools is the truth. Slurm is asked only where a task says nothing, so that one
 * that vanished (its node failed, it was cancelled, preempted, out of time) is an error of its runs
 * and is not waited for. */
#include "run/launcher_slurm.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "run/process.h"
#include "run/slurm.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* Seconds. Spools are looked at more and more seldom, up to the second figure; so is Slurm. */
static const double look_s = 0.1, look_seldom_s = 2;
static const double ask_s = 2, ask_seldom_s = 20, ask_ending_s = 1;
static const double tick_s = 0.25;
static const double settle_s = 5;   /* from the end of a task to its last record being seen */
static const double ending_s = 120; /* tasks may take to end when they were told to */

/* ---- Waiting ----------------------------------------------------------------------------------
 */

/* Reads what there is new of a task. Returns whether there was something. */
static bool look_at(struct sb_slurm_round *round, size_t i) {
    struct sb_slurm_task *task = &round->tasks[i];
    struct sb_error err = {{0}};
    SB_AUTO_FREE char *spool = sb_batch_spool(round->path, i);
    int rc = spool ? sb_spooled_read(&task->spooled, spool, &err) : -ENOMEM;
    if (rc < 0)
        sb_schedule_fail(round->schedule, rc, &err);
    if (task->spooled.machine && !task->begun)
        sb_slurm_begin_task(round, task);
    return rc > 0;
}

/* Has the task ended, and is nothing of it to come any more? */
static bool is_silent(const struct sb_slurm_round *round, const struct sb_slurm_task *task) {
    double wait = round->cancelled ? ask_ending_s : settle_s;
    if (!task->begun &&
        (task->exit_code == SB_SLURM_NO_FOLDER || task->exit_code == SB_SLURM_NO_PROGRAM))
        wait = 0;
    return task->over && sb_monotonic() - task->over_at > wait;
}

static void settle_task(struct sb_slurm_round *round, struct sb_slurm_task *task) {
    bool ended_here = round->cancelled || (round->withdrawn && !task->begun);
    if (sb_slurm_task_complete(round, task))
        task->settled = true;
    else if (task->spooled.error)
        sb_slurm_settle(round, task, SB_STATUS_SPAWN_FAILED, task->spooled.error);
    else if (is_silent(round, task) && !ended_here)
        sb_slurm_settle_lost(round, task);
    else if (is_silent(round, task))
        task->settled = true; /* see finish */
}

/* One look at all that is under way; *left counts it. Returns whether there was something new. */
static bool look(struct sb_slurm_round *round, size_t *left) {
    bool found = false;
    *left = 0;
    round->doubts = false;
    for (size_t i = 0; i < round->n_tasks; i++) {
        struct sb_slurm_task *task = &round->tasks[i];
        if (!task->array || task->settled)
            continue;
        found |= look_at(round, i);
        settle_task(round, task);
        *left += !task->settled;
        round->doubts |= !task->settled && task->doubted;
    }
    return found;
}

static void pass_on(struct sb_slurm_round *round) {
    bool ending = sb_interrupted || round->schedule->rc < 0;
    if (ending && !round->cancelled) {
        round->cancelled = true;
        round->cancelled_at = sb_monotonic();
        sb_slurm_cancel(&round->arrays, false);
    } else if (!round->withdrawn && !sb_schedule_may_start(round->schedule)) {
        round->withdrawn = true;
        sb_slurm_cancel(&round->arrays, true);
    }
}

/* Sleeps, with ticks, until then or a signal. */
static void sleep_until(struct sb_slurm_round *round, double until) {
    const struct sb_schedule_callbacks *callbacks = round->schedule->callbacks;
    int before = sb_interrupted;
    for (double left; (left = until - sb_monotonic()) > 0 && sb_interrupted == before;) {
        double part = left < tick_s ? left : tick_s;
        nanosleep(&(struct timespec){.tv_nsec = (long)(part * 1e9)}, NULL);
        if (callbacks->tick)
            callbacks->tick(callbacks->context);
    }
}

static void await(struct sb_slurm_round *round) {
    double pause = look_s, asking = ask_s, asked = sb_monotonic();
    round->heard_at = asked;
    for (size_t left = 0;;) {
        pass_on(round);
        bool found = look(round, &left);
        double now = sb_monotonic();
        bool given_up = round->cancelled && now - round->cancelled_at > ending_s;
        if (left == 0 || sb_interrupted < 0 || given_up)
            break;
        if (now - asked >= (round->cancelled || round->doubts ? ask_ending_s : asking)) {
            sb_slurm_ask(round);
            asked = sb_monotonic();
            asking = fmin(asking * 1.5, ask_seldom_s);
        }
        pause = found ? look_s : fmin(pause * 1.3, look_seldom_s);
        sleep_until(round, sb_monotonic() + pause);
    }
}

/* What is still without a record: what was never submitted, and what was ended from here. */
static void finish(struct sb_slurm_round *round) {
    bool refused = round->refused.text[0];
    for (size_t i = 0; i < round->n_tasks; i++) {
        struct sb_slurm_task *task = &round->tasks[i];
        if (!task->array && refused && sb_schedule_may_start(round->schedule))
            sb_slurm_settle(round, task, SB_STATUS_SPAWN_FAILED, round->refused.text);
        else if (task->begun)
            sb_slurm_settle(round, task, SB_STATUS_INTERRUPTED, NULL);
    }
    if (!round->path)
        return;
    /* In any case nothing of it is to begin any more. */
    if (sb_remove_tree(round->path, NULL) == 0) {
        *strrchr(round->path, '/') = '\0';
        (void)rmdir(round->path);
    }
}

static void clear_round(struct sb_slurm_round *round) {
    for (size_t i = 0; i < round->n_tasks; i++)
        sb_spooled_clear(&round->tasks[i].spooled);
    sb_strings_clear(&round->arrays);
    free(round->tasks);
    free(round->recorded);
    free(round->due);
    free(round->path);
}

static int collect_due(struct sb_slurm_round *round, const struct sb_due *due, size_t n) {
    round->due = calloc(n + 1, sizeof *round->due);
    round->recorded = calloc(n + 1, sizeof *round->recorded);
    if (!round->due || !round->recorded)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!due[i].done)
            round->due[round->n++] = due[i];
    }
    return 0;
}

static void run_round(struct sb_schedule *schedule, const struct sb_due *due, size_t n) {
    SB_CLEANUP(clear_round) struct sb_slurm_round round = {.schedule = schedule};
    int rc = collect_due(&round, due, n);
    if (rc == 0 && round.n == 0)
        return;
    if (rc == 0)
        rc = sb_slurm_plan_tasks(&round);
    if (rc < 0) {
        sb_schedule_fail(schedule, rc, &(struct sb_error){"out of memory: planning tasks"});
        return;
    }
    for (size_t i = 0; i < round.n_tasks; i++) {
        round.tasks[i].spooled.run = sb_slurm_take_run;
        round.tasks[i].spooled.context = &round.tasks[i];
        round.tasks[i].round = &round;
    }
    if (sb_slurm_make_batch(&round, &round.refused) == 0) {
        sb_slurm_submit_round(&round);
        await(&round);
    }
    finish(&round);
}

/* ---- The launcher -----------------------------------------------------------------------------
 */

static char *missing(void) {
    return sb_slurm_found() ? NULL : strdup("there is no sbatch on PATH");
}

/* The level `all` of threads is all CPUs of a node. */
static int adapt(struct sb_machine *machine, char *const *arguments, struct sb_error *err) {
    size_t cpus = 0;
    int rc = sb_slurm_node_cpus(arguments, &cpus, err);
    if (rc == 0 && sb_machine_set_cpus(machine, cpus) < 0)
        rc = sb_error_errno(err, -ENOMEM, "CPUs");
    return rc;
}

static int open_job(struct sb_schedule *schedule, struct sb_error *err) {
    struct sb_error problem = {"out of memory"};
    unsigned *array_size = malloc(sizeof *array_size);
    SB_AUTO_FREE char *directory = sb_job_directory(schedule, &problem);
    if (!array_size || !directory) {
        free(array_size);
        return sb_error_set(err, -EIO, "a job's tasks: %s", problem.text);
    }
    *array_size = sb_slurm_array_size();
    schedule->launched = array_size;
    return 0;
}

static void close_job(struct sb_schedule *schedule, bool last) {
    (void)last;
    free(sb_steal_pointer(&schedule->launched));
    sb_job_directory_remove(schedule);
}

const struct sb_launcher sb_launcher_slurm = {
    .name = "slurm",
    .summary = "job arrays of a Slurm cluster",
    .missing = missing,
    .adapt = adapt,
    .recover = sb_slurm_recover,
    .open = open_job,
    .round = run_round,
    .close = close_job,
};
