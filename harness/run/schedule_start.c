/* Stage 3: what a run needs before it starts: its job's sandbox, CPUs of its own, its setup. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/schedule.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* Seconds between TERM and KILL; bytes kept of what a run prints. */
static const double grace_s = 2;
static const uint64_t log_limit = 4 << 20;

/* ---- The job's sandbox ------------------------------------------------------------------------
 */

int sb_schedule_note_isolation(struct sb_schedule *schedule, enum sb_isolation mode,
                               const char *const *shared) {
    struct sb_strings notes = {.items = schedule->result.shared};
    while (notes.items && notes.items[notes.n])
        notes.n++;
    int rc = 0;
    for (; rc == 0 && shared && *shared; shared++) {
        if (!sb_strings_contain(&notes, *shared))
            rc = sb_strings_add(&notes, *shared);
    }
    schedule->result.shared = notes.items;
    if (mode > schedule->result.mode)
        schedule->result.mode = mode;
    return rc;
}

/* Built-in jobs need no file of the user's: they get an empty folder among the results, which is
 * the same for every run and for a resumed schedule. */
char *sb_job_directory(const struct sb_schedule *schedule, struct sb_error *err) {
    const struct sb_job *job = sb_schedule_job(schedule);
    if (job->kind == SB_JOB_COMMAND)
        return strdup(job->directory);
    SB_AUTO_FREE char *work = sb_folder_file(schedule->folder, "work");
    if (!work || schedule->guest)
        return sb_steal_pointer(&work);
    if (sb_remove_tree(work, err) < 0 || sb_make_folders(work, 0777, err) < 0)
        return NULL;
    return sb_steal_pointer(&work);
}

void sb_job_directory_remove(const struct sb_schedule *schedule) {
    if (sb_schedule_job(schedule)->kind == SB_JOB_COMMAND || schedule->guest)
        return;
    SB_AUTO_FREE char *work = sb_folder_file(schedule->folder, "work");
    if (work)
        (void)sb_remove_tree(work, NULL);
}

/* What a killed samebits left to end its runs and tidy up holds their directory for a moment: a
 * schedule that is resumed at once waits for it. */
static int open_patiently(const struct sb_sandbox_options *options,
                          const struct sb_machine *machine, struct sb_sandbox **sandbox,
                          struct sb_error *err) {
    enum { ATTEMPTS = 100, PAUSE_MS = 100 };
    for (int attempt = 0;; attempt++) {
        int rc = sb_sandbox_open(options, machine, sandbox, err);
        if (rc != -EBUSY || attempt == ATTEMPTS || sb_interrupted)
            return rc;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
    }
}

int sb_job_isolate(struct sb_schedule *schedule, struct sb_error *err) {
    struct sb_error problem = {{0}};
    bool builtin = sb_schedule_job(schedule)->kind != SB_JOB_COMMAND;
    SB_AUTO_FREE char *directory = sb_job_directory(schedule, &problem);
    const struct sb_sandbox_options options = {
        .mode = schedule->options->isolate,
        .directory = directory,
        .hidden = builtin ? NULL : sb_folder_path(schedule->folder),
    };
    int rc = -ENOMEM;
    if (directory)
        rc = open_patiently(&options, schedule->plan->machine, &schedule->sandbox, &problem);
    if (rc < 0) {
        schedule->sandbox = NULL;
        schedule->sandbox_problem = strdup(problem.text[0] ? problem.text : "out of memory");
        return schedule->sandbox_problem ? 0 : sb_error_errno(err, -ENOMEM, "isolating runs");
    }
    rc = sb_schedule_note_isolation(schedule, sb_sandbox_mode(schedule->sandbox),
                                    sb_sandbox_shared(schedule->sandbox));
    return rc < 0 ? sb_error_errno(err, rc, "isolating runs") : 0;
}

void sb_job_close(struct sb_schedule *schedule, bool last) {
    /* Under an overlay nothing is still to be put back: what follows need not wait. */
    if (last && schedule->sandbox && sb_sandbox_mode(schedule->sandbox) == SB_ISOLATE_OVERLAY) {
        sb_sandbox_dismiss(schedule->sandbox);
        schedule->result.closing = schedule->sandbox;
    } else {
        sb_sandbox_close(schedule->sandbox);
    }
    schedule->sandbox = NULL;
    free(sb_steal_pointer(&schedule->sandbox_problem));
    sb_job_directory_remove(schedule);
}

/* ---- One run ----------------------------------------------------------------------------------
 */

void sb_slot_free(struct sb_schedule *schedule, struct sb_slot *slot) {
    if (!slot)
        return;
    if (slot->reading)
        schedule->callbacks->digesting->free(slot->reading);
    sb_process_free(slot->process);
    if (slot->n_cpus)
        sb_cpus_give(&schedule->cpus, slot->cpus, slot->n_cpus);
    sb_strings_pair_clear(&slot->weights);
    sb_setup_clear(&slot->setup);
    for (char **word = slot->command; word && *word; word++)
        free(*word);
    free(slot->command);
    free(slot->cpus);
    sb_run_clear(&slot->run);
    free(slot);
}

/* CPUs that a run takes away from others. A run without a threads level may use all that there
 * are: so it runs alone, unless -j says how many may run at once. One whose schedule is frozen does
 * always: it gives up its CPU to nobody, and the rest is left to who watches it. */
static size_t cpus_needed(const struct sb_schedule *schedule, const struct sb_setup *setup) {
    size_t n = schedule->cpus.n;
    if (setup->schedule_frozen)
        return n;
    if (setup->threads)
        return setup->threads < n ? setup->threads : n;
    return schedule->options->jobs ? 0 : n;
}

static size_t count_running(const struct sb_schedule *schedule) {
    size_t running = 0;
    for (size_t i = 0; i < schedule->n_slots; i++)
        running += !schedule->slots[i]->ended;
    return running;
}

static size_t most_running(const struct sb_schedule *schedule) {
    size_t most = schedule->options->jobs ? schedule->options->jobs : schedule->cpus.n;
    return most ? most : 1;
}

/* Is there room for a run that needs so many CPUs? */
static bool has_room(const struct sb_schedule *schedule, size_t n_cpus) {
    size_t running = count_running(schedule), reading = schedule->n_slots - running;
    size_t most = most_running(schedule);
    /* Where runs share one directory, the weights must be out of it before the next begins. */
    unsigned at_once = schedule->sandbox ? sb_sandbox_concurrency(schedule->sandbox) : 1;
    if (at_once == 1 && schedule->n_slots > 0)
        return false;
    /* Weights wait in the runs' layers: so what is unread is bounded. */
    return running < most && running < at_once && reading < 2 * most + 2 &&
           schedule->cpus.n_free >= n_cpus;
}

/* Built-in jobs get their command and their report file from here. */
static int complete_setup(struct sb_schedule *schedule, struct sb_slot *slot,
                          struct sb_error *err) {
    if (slot->setup.command)
        return 0;
    int rc = sb_worker_command(sb_schedule_job(schedule), schedule->options->program,
                               &slot->command, err);
    if (rc < 0)
        return rc;
    struct sb_strings environment = {.items = slot->setup.environment};
    while (environment.items && environment.items[environment.n])
        environment.n++;
    rc = sb_environment_set(&environment, "SAMEBITS_REPORT", SB_REPORT_FILE);
    slot->setup.environment = environment.items;
    return rc < 0 ? sb_error_errno(err, rc, "setting up a run") : 0;
}

static int start_process(struct sb_schedule *schedule, struct sb_slot *slot, struct sb_error *err) {
    if (!schedule->sandbox)
        return sb_error_set(err, -ENOENT, "%s", schedule->sandbox_problem);
    int rc = complete_setup(schedule, slot, err);
    if (rc < 0)
        return rc;
    SB_AUTO_FREE char *log =
        sb_format("%s/logs/%s.log", sb_folder_path(schedule->folder), slot->run.id);
    SB_AUTO_FREE char *trace = sb_format("%s.trace", slot->run.id);
    if (!log || !trace)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    size_t n_cpus = slot->setup.schedule_frozen && slot->n_cpus ? 1 : slot->n_cpus;
    bool pinned = (slot->setup.threads || slot->setup.schedule_frozen) && n_cpus;
    const struct sb_process_spec spec = {
        .setup = &slot->setup,
        .command = slot->command ? slot->command : slot->setup.command,
        .cpus = pinned ? slot->cpus : NULL,
        .n_cpus = pinned ? n_cpus : 0,
        .log_path = log,
        .trace = trace,
        .log_limit = log_limit,
        .timeout_s = sb_schedule_job(schedule)->timeout_s,
        .grace_s = grace_s,
        .followed = schedule->n_waiting > schedule->n_slots,
        .beside = schedule->n_waiting > 0 && count_running(schedule) + 1 < most_running(schedule) &&
                  schedule->cpus.n_free >= slot->n_cpus,
        .run_id = slot->run.id,
    };
    struct sb_process *process = NULL;
    rc = sb_process_start(schedule->sandbox, &spec, &process, err);
    if (rc == 0)
        slot->process = process;
    return rc;
}

static int take_cpus(struct sb_schedule *schedule, struct sb_slot *slot, size_t n) {
    slot->cpus = calloc(n + 1, sizeof *slot->cpus);
    if (!slot->cpus)
        return -ENOMEM;
    sb_cpus_take(&schedule->cpus, n, slot->cpus);
    slot->n_cpus = n;
    return 0;
}

int sb_slot_start(struct sb_schedule *schedule, const struct sb_due *due, struct sb_slot **slot,
                  struct sb_error *err) {
    const struct sb_job_plan *plan = &schedule->plan->jobs[schedule->job];
    struct sb_error problem = {{0}};
    struct sb_slot *made = calloc(1, sizeof *made);
    if (!made)
        return sb_error_errno(err, -ENOMEM, "starting a run");
    made->run = (struct sb_run){.job = schedule->job,
                                .cell = due->cell,
                                .repeat = due->repeat,
                                .exit_code = -1,
                                .accuracy = NAN};
    memcpy(made->run.id, due->id, sizeof due->id);
    int rc = sb_setup_make(schedule->plan, plan, &plan->cells[due->cell],
                           schedule->options->environment, &made->setup, &problem);
    if (rc == 0 && schedule->options->trace)
        rc = sb_setup_trace(schedule->plan->machine, &made->setup, &problem);
    size_t n_cpus = rc < 0 ? 0 : cpus_needed(schedule, &made->setup);
    if (!has_room(schedule, n_cpus)) {
        sb_slot_free(schedule, made);
        return 1;
    }
    if (take_cpus(schedule, made, n_cpus) < 0) {
        sb_slot_free(schedule, made);
        return sb_error_errno(err, -ENOMEM, "starting a run");
    }
    if (schedule->callbacks->started)
        schedule->callbacks->started(schedule->callbacks->context, schedule->job, made->run.id);
    if (rc == 0)
        rc = start_process(schedule, made, &problem);
    if (rc < 0) {
        made->run.status = SB_STATUS_SPAWN_FAILED;
        sb_run_note(&made->run, strdup(problem.text));
    }
    *slot = made;
    return 0;
}
