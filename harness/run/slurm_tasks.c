/* Stage 3: the launcher `slurm`: from a round's runs to tasks, and to arrays of them. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/launcher_slurm.h"
#include "run/slurm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* ---- Tasks ------------------------------------------------------------------------------------
 */

/* CPUs of a cell's runs; 0: no level of threads says. */
static unsigned cpus_of(const struct sb_schedule *schedule, size_t cell) {
    const struct sb_job_plan *plan = &schedule->plan->jobs[schedule->job];
    SB_CLEANUP(sb_setup_clear) struct sb_setup setup = {0};
    if (sb_setup_make(schedule->plan, plan, &plan->cells[cell], schedule->options->environment,
                      &setup, NULL) < 0)
        return 0; /* the node will say why */
    return setup.threads;
}

static unsigned *cells_cpus(const struct sb_slurm_round *round) {
    const struct sb_schedule *schedule = round->schedule;
    size_t n_cells = schedule->plan->jobs[schedule->job].n_cells;
    unsigned *cpus = calloc(n_cells + 1, sizeof *cpus);
    SB_AUTO_FREE bool *known = calloc(n_cells + 1, sizeof *known);
    for (size_t i = 0; cpus && known && i < round->n; i++) {
        size_t cell = round->due[i].cell;
        if (!known[cell])
            cpus[cell] = cpus_of(schedule, cell);
        known[cell] = true;
    }
    if (known)
        return cpus;
    free(cpus);
    return NULL;
}

/* Runs stay in their order. A task has as many CPUs as its largest run needs, and so smaller ones
 * go together while they fit. In place, where one task after the other would have to wait for the
 * directory, there is one. */
int sb_slurm_plan_tasks(struct sb_slurm_round *round) {
    SB_AUTO_FREE unsigned *cpus = cells_cpus(round);
    round->tasks = calloc(round->n, sizeof *round->tasks);
    if (!cpus || !round->tasks)
        return -ENOMEM;
    for (size_t i = 0; i < round->n; i++)
        round->cpus =
            cpus[round->due[i].cell] > round->cpus ? cpus[round->due[i].cell] : round->cpus;
    bool together = round->schedule->options->isolate == SB_ISOLATE_INPLACE;
    unsigned used = 0;
    for (size_t i = 0; i < round->n; i++) {
        unsigned need = cpus[round->due[i].cell];
        bool fits = round->n_tasks && need && used + need <= round->cpus;
        if (round->n_tasks && (fits || together)) {
            round->tasks[round->n_tasks - 1].runs.n++;
            used += need;
            continue;
        }
        round->tasks[round->n_tasks++].runs = (struct sb_batch_task){.first = i, .n = 1};
        used = need;
    }
    return 0;
}

int sb_slurm_make_batch(struct sb_slurm_round *round, struct sb_error *err) {
    SB_AUTO_FREE struct sb_batch_task *tasks = calloc(round->n_tasks, sizeof *tasks);
    if (!tasks)
        return sb_error_errno(err, -ENOMEM, "a batch of runs");
    for (size_t i = 0; i < round->n_tasks; i++)
        tasks[i] = round->tasks[i].runs;
    return sb_batch_make(round->schedule, round->due, tasks, round->n_tasks, &round->path, err);
}

/* ---- Submitting -------------------------------------------------------------------------------
 */

static char *make_script(const struct sb_slurm_round *round, size_t first) {
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, "#!/bin/sh\ntest -f ");
    sb_text_quote(&text, round->path);
    sb_text_printf(&text, "/%s || exit %d\ntest -x ", SB_BATCH_FILE, SB_SLURM_NO_FOLDER);
    sb_text_quote(&text, round->schedule->options->program);
    sb_text_printf(&text, " || exit %d\nexec ", SB_SLURM_NO_PROGRAM);
    sb_text_quote(&text, round->schedule->options->program);
    sb_text_puts(&text, " node ");
    sb_text_quote(&text, round->path);
    sb_text_printf(&text, " %zu\n", first);
    return text.failed ? NULL : sb_text_take(&text);
}

/* For a samebits that goes on when this one was killed. */
static int note_array(const struct sb_slurm_round *round, const char *id, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_path_join(round->path, SB_SLURM_ARRAYS);
    SB_AUTO_FREE char *line = sb_format("%s\n", id);
    if (!path || !line)
        return sb_error_errno(err, -ENOMEM, "%s", round->path);
    SB_AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int rc = fd < 0 ? -errno : sb_write_all(fd, line, strlen(line));
    return rc < 0 ? sb_error_errno(err, rc, "%s", path) : 0;
}

static int submit_array(struct sb_slurm_round *round, size_t first, size_t n,
                        struct sb_error *err) {
    const struct sb_schedule_options *options = round->schedule->options;
    SB_AUTO_FREE char *script = make_script(round, first);
    char *id = NULL;
    if (!script)
        return sb_error_errno(err, -ENOMEM, "sbatch");
    const struct sb_slurm_array array = {
        .arguments = options->launcher_arguments,
        .n = n,
        .cpus = round->cpus,
        .at_once = options->jobs,
        .script = script,
    };
    int rc = sb_slurm_submit(&array, &id, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++) {
        round->tasks[first + i].array = id;
        round->tasks[first + i].index = (unsigned)i;
    }
    rc = sb_strings_take(&round->arrays, id);
    return rc < 0 ? sb_error_errno(err, rc, "sbatch") : note_array(round, id, err);
}

void sb_slurm_submit_round(struct sb_slurm_round *round) {
    size_t most = *(unsigned *)round->schedule->launched;
    for (size_t first = 0; first < round->n_tasks && sb_schedule_may_start(round->schedule);) {
        size_t n = round->n_tasks - first < most ? round->n_tasks - first : most;
        if (submit_array(round, first, n, &round->refused) < 0)
            return;
        first += n;
    }
}
