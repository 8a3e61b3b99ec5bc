/* Stage 3: one round of a job: which runs are due, in which order, under which ids, and which of
 * them the journal has already.
 *
 * All of it is a function of the plan, the seed and the results of the rounds before, so that a
 * resumed schedule gives every run the id that it had. */
#include "base/cleanup.h"
#include "run/schedule.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

/* ---- Ids --------------------------------------------------------------------------------------
 */

static unsigned long long most_repeats(const struct sb_repeats *repeats) {
    if (repeats->exact)
        return repeats->min;
    unsigned most = repeats->max ? repeats->max : SB_REPEATS_MAX;
    return most > repeats->min ? most : repeats->min;
}

int sb_numbering_start(const struct sb_plan *plan, struct sb_numbering *numbering,
                       struct sb_error *err) {
    unsigned long long most = 0;
    for (size_t i = 0; i < plan->n_jobs; i++)
        most += plan->jobs[i].n_cells * most_repeats(&plan->jobs[i].job->repeats);
    *numbering = (struct sb_numbering){.width = 5, .next = 1};
    for (most /= 100000; most; most /= 10)
        numbering->width++;
    if (numbering->width + 2 > SB_RUN_ID_SIZE)
        return sb_error_set(err, -E2BIG, "the plan has too many runs");
    return 0;
}

static int next_id(struct sb_numbering *numbering, char id[SB_RUN_ID_SIZE], struct sb_error *err) {
    char text[32];
    int length = snprintf(text, sizeof text, "r%0*llu", (int)numbering->width, numbering->next++);
    if ((unsigned)length != numbering->width + 1)
        return sb_error_set(err, -E2BIG, "more runs are asked for than the plan allows");
    memcpy(id, text, (size_t)length + 1);
    return 0;
}

/* ---- What is done already ---------------------------------------------------------------------
 */

static int compare_runs(const void *a, const void *b) {
    return strcmp((*(const struct sb_run *const *)a)->id, (*(const struct sb_run *const *)b)->id);
}

int sb_round_index_done(struct sb_schedule *schedule, struct sb_error *err) {
    size_t n = schedule->options->n_done;
    schedule->done = calloc(n + 1, sizeof *schedule->done);
    if (!schedule->done)
        return sb_error_errno(err, -ENOMEM, "resuming");
    for (size_t i = 0; i < n; i++)
        schedule->done[i] = &schedule->options->done[i];
    qsort(schedule->done, n, sizeof *schedule->done, compare_runs);
    return 0;
}

static const struct sb_run *find_done(const struct sb_schedule *schedule, const char *id) {
    struct sb_run wanted;
    memcpy(wanted.id, id, sizeof wanted.id);
    const struct sb_run *key = &wanted;
    const struct sb_run **found = bsearch(&key, schedule->done, schedule->options->n_done,
                                          sizeof *schedule->done, compare_runs);
    return found ? *found : NULL;
}

/* Sets due->done where the journal has this run and it need not be done again. */
static int take_from_journal(struct sb_schedule *schedule, struct sb_due *due,
                             struct sb_error *err) {
    const struct sb_run *done = find_done(schedule, due->id);
    due->done = NULL;
    /* A run that could not be started shows nothing, and what was in its way may be gone. */
    if (!done || done->status == SB_STATUS_INTERRUPTED || done->status == SB_STATUS_SPAWN_FAILED)
        return 0;
    if (done->job != schedule->job || done->cell != due->cell || done->repeat != due->repeat) {
        /* Where a run of an earlier round had to be done again (its record was damaged, its weights
         * lost), it may have come out otherwise, and what was asked for after it with it. */
        if (schedule->renewed)
            return 0;
        return sb_error_set(err, -EINVAL,
                            "%s: %s is repeat %u of cell %zu of job %zu, where it should be repeat "
                            "%u of cell %zu of job %zu: the suite, the machine or the seed has "
                            "changed since (--force starts anew)",
                            sb_folder_path(schedule->folder), due->id, done->repeat, done->cell + 1,
                            done->job + 1, due->repeat, due->cell + 1, schedule->job + 1);
    }
    /* Bits without weights cannot be compared. */
    if (!done->fingerprint || schedule->options->forget_weights ||
        sb_store_has(schedule->folder, done->fingerprint))
        due->done = done;
    return 0;
}

/* ---- A round ----------------------------------------------------------------------------------
 */

/* Is this cell of this shard? The cells of all jobs are dealt out in turn, and each with all of its
 * repeats: one that is split between two machines would show neither whether its repeats agree.
 * Only first rounds are asked for where there are several shards. */
static bool in_shard(const struct sb_schedule *schedule, size_t cell) {
    const struct sb_schedule_options *options = schedule->options;
    for (size_t i = 0; i < schedule->job; i++)
        cell += schedule->plan->jobs[i].n_cells;
    return options->n_shards < 2 || cell % options->n_shards == options->shard - 1;
}

/* From text, so that it is the same on machines of either byte order. */
static uint64_t round_seed(const struct sb_schedule *schedule, unsigned round) {
    char key[80];
    int n = snprintf(key, sizeof key, "%llu/%zu/%u", (unsigned long long)schedule->options->seed,
                     schedule->job, round);
    return XXH3_64bits(key, (size_t)n);
}

static int fill_round(struct sb_schedule *schedule, const size_t *order, size_t n_order,
                      unsigned *repeats, struct sb_due *due, size_t *n, struct sb_error *err) {
    *n = 0;
    for (size_t i = 0; i < n_order; i++) {
        struct sb_due *one = &due[*n];
        int rc = next_id(&schedule->numbering, one->id, err);
        if (rc < 0)
            return rc;
        one->cell = order[i];
        one->repeat = ++repeats[order[i]];
        if (!in_shard(schedule, order[i]))
            continue;
        rc = take_from_journal(schedule, one, err);
        if (rc < 0)
            return rc;
        schedule->renewing |= !one->done;
        ++*n;
    }
    return 0;
}

int sb_round_plan(struct sb_schedule *schedule, unsigned round, unsigned *repeats,
                  struct sb_due **due, size_t *n, struct sb_error *err) {
    const struct sb_schedule_callbacks *callbacks = schedule->callbacks;
    size_t n_cells = schedule->plan->jobs[schedule->job].n_cells, n_order = 0;
    *n = 0;
    if (round > 0 && schedule->options->n_shards > 1)
        return 0;
    schedule->renewed |= schedule->renewing;
    schedule->renewing = false;
    SB_AUTO_FREE unsigned *more = calloc(n_cells + 1, sizeof *more);
    if (!more)
        return sb_error_errno(err, -ENOMEM, "planning runs");
    size_t n_runs = schedule->result.n_runs - schedule->job_start;
    const struct sb_run *runs = n_runs ? schedule->result.runs + schedule->job_start : NULL;
    int rc = callbacks->more(callbacks->context, schedule->job, runs, n_runs, more, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n_cells; i++)
        n_order += more[i];
    if (!n_order)
        return 0;
    SB_AUTO_FREE size_t *order = calloc(n_order, sizeof *order);
    SB_AUTO_FREE struct sb_due *planned = calloc(n_order, sizeof *planned);
    if (!order || !planned)
        return sb_error_errno(err, -ENOMEM, "planning runs");
    sb_order_runs(more, n_cells, round == 0, round_seed(schedule, round), order);
    rc = fill_round(schedule, order, n_order, repeats, planned, n, err);
    if (rc < 0)
        return rc;
    *due = sb_steal_pointer(&planned);
    return 0;
}
