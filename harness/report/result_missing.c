/* Stage 7: cells of which no run ended well, and so of which a verdict says nothing. */
#include "report/result.h"

#include "base/cleanup.h"
#include "base/json.h"

/* What is known of each cell of a job. */
enum { RAN = 1, ENDED_WELL = 2 };

static void mark_cells(const struct sb_job_result *job, unsigned char *cells) {
    for (size_t i = 0; i < job->n_runs; i++)
        cells[job->runs[i]->cell] |= RAN | (job->runs[i]->status == SB_STATUS_OK ? ENDED_WELL : 0);
}

/* A cell that was not run is missing where it should have been: a shard, or a job that was stopped
 * at the first difference, leaves cells out on purpose. */
static bool is_missing(const struct sb_job_result *job, unsigned char cell) {
    return !(cell & ENDED_WELL) && (cell & RAN || job->unfinished);
}

/* Levels that stand in missing cells, and in no other one that was run. */
static sb_mask lost_levels(const struct sb_job_result *job, const unsigned char *cells,
                           size_t axis) {
    sb_mask lost = 0, had = 0;
    for (size_t c = 0; c < job->plan->n_cells; c++) {
        sb_mask level = (sb_mask)1 << job->plan->cells[c].level[axis];
        if (is_missing(job, cells[c]))
            lost |= level;
        else if (cells[c] & ENDED_WELL)
            had |= level;
    }
    return lost & ~had;
}

sb_mask sb_levels_had(const struct sb_job_result *job, size_t axis) {
    sb_mask had = 0;
    for (size_t i = 0; i < job->n_runs; i++) {
        if (job->runs[i]->status == SB_STATUS_OK)
            had |= (sb_mask)1 << job->plan->cells[job->runs[i]->cell].level[axis];
    }
    return had;
}

json_t *sb_missing_json(struct sb_making *making, const struct sb_job_result *job) {
    SB_AUTO_FREE unsigned char *cells = calloc(job->plan->n_cells + 1, 1);
    size_t n_missing = 0, n_had = 0;
    making->failed |= !cells;
    if (!cells)
        return NULL;
    mark_cells(job, cells);
    for (size_t c = 0; c < job->plan->n_cells; c++) {
        n_missing += is_missing(job, cells[c]);
        n_had += (cells[c] & ENDED_WELL) != 0;
    }
    if (!n_missing || !n_had)
        return json_null();
    json_t *levels = sb_new(making, json_object());
    for (size_t i = 0; i < job->plan->n_axes; i++) {
        const struct sb_job_axis *axis = &job->plan->axes[i];
        sb_mask lost = axis->n_levels > 1 ? lost_levels(job, cells, i) : 0;
        if (lost)
            sb_put_named(making, levels, axis->name, sb_level_names(making, axis, lost));
    }
    json_t *json = sb_new(making, json_object());
    sb_put(making, json, "cells", json_integer((json_int_t)n_missing));
    sb_put(making, json, "of", json_integer((json_int_t)(n_missing + n_had)));
    sb_put(making, json, "levels", levels);
    return json;
}
