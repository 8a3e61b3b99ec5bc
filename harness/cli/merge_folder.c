/* cli: what a merged result's folder holds beside its result.json: weights, logs and traces, and
 * what rerun and explain read. See cli/merge.h. */
#include "cli/merge.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "report/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- Weights, logs, traces --------------------------------------------------------------------
 */

static int copy_weights(const struct sb_merge *merge, const struct sb_merge_run *run,
                        const char *fingerprint, struct sb_folder *const *from,
                        struct sb_folder *folder, struct sb_error *err) {
    int rc = -ENOENT;
    for (size_t i = 0; rc == -ENOENT && i < run->n_sources; i++) {
        struct sb_folder *source = from[merge->sources[run->source + i].input];
        if (source)
            rc = sb_store_copy(folder, source, fingerprint, err);
    }
    return rc == -ENOENT ? 0 : rc;
}

/* The first input that has it gives it. */
static int copy_log(const struct sb_merge *merge, const struct sb_merge_run *run,
                    const char *suffix, const struct sb_folder *folder, struct sb_error *err) {
    for (size_t i = 0; i < run->n_sources; i++) {
        const struct sb_merge_source *source = &merge->sources[run->source + i];
        SB_AUTO_FREE char *from =
            sb_format("%s/logs/%s.%s", merge->inputs[source->input].folder, source->id, suffix);
        SB_AUTO_FREE char *to = sb_format("%s/logs/%s.%s", sb_folder_path(folder), run->id, suffix);
        if (!from || !to)
            return sb_error_errno(err, -ENOMEM, "logs");
        if (access(from, F_OK) == 0)
            return sb_copy_file(from, to, err);
    }
    return 0;
}

int sb_merge_copy(const struct sb_merge *merge, struct sb_folder *folder, struct sb_error *err) {
    struct sb_folder **from = calloc(merge->n_inputs + 1, sizeof *from);
    int rc = from ? 0 : sb_error_errno(err, -ENOMEM, "weights");
    /* Of a result.json without a folder of its own there is nothing to copy. */
    for (size_t i = 0; rc == 0 && i < merge->n_inputs; i++)
        (void)sb_folder_open(merge->inputs[i].folder, false, &from[i], NULL);
    for (size_t i = 0; rc == 0 && i < merge->n_runs; i++) {
        const struct sb_merge_run *run = &merge->runs[i];
        const char *fingerprint = merge->made[i].fingerprint;
        if (fingerprint)
            rc = copy_weights(merge, run, fingerprint, from, folder, err);
        if (rc == 0)
            rc = copy_log(merge, run, "log", folder, err);
        if (rc == 0 && merge->made[i].seen.trace)
            rc = copy_log(merge, run, "trace", folder, err);
    }
    for (size_t i = 0; from && i < merge->n_inputs; i++)
        sb_folder_close(from[i]);
    free(from);
    return rc;
}

/* ---- The plan ---------------------------------------------------------------------------------
 */

/* Do the jobs of a plan.json stand in the order of the merged result's? */
static bool same_jobs(const struct sb_merge *merge, const json_t *plan) {
    const json_t *jobs = json_object_get(plan, "jobs");
    bool same = json_array_size(jobs) == merge->n_jobs;
    for (size_t i = 0; same && i < merge->n_jobs; i++)
        same = sb_text_is(json_array_get(jobs, i), "id", merge->suite->jobs[i].id);
    return same;
}

/* The plan of the first input that has one. New reference, or NULL. */
static json_t *find_plan(const struct sb_merge *merge) {
    for (size_t i = 0; i < merge->n_inputs; i++) {
        SB_AUTO_FREE char *path = sb_path_join(merge->inputs[i].folder, "plan.json");
        json_t *plan = path ? json_load_file(path, 0, NULL) : NULL;
        if (plan && same_jobs(merge, plan))
            return plan;
        json_decref(plan);
    }
    return NULL;
}

/* The levels of a planned cell, and so of the runs that are of it, as a text; malloc'd. */
static char *cell_text(const json_t *axes, const json_t *cell) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < json_array_size(axes); i++) {
        const json_t *levels = json_object_get(json_array_get(axes, i), "levels");
        const char *level =
            json_is_array(cell)
                ? sb_text_at(levels, (size_t)json_integer_value(json_array_get(cell, i)))
                : sb_text_of(cell, sb_text_of(json_array_get(axes, i), "name"));
        sb_text_printf(&text, "%zu:%s,", strlen(level), level);
    }
    return sb_text_take(&text);
}

/* Of each job, the numbers of its cells by their texts. New reference. */
static json_t *number_cells(const json_t *plan) {
    json_t *all = json_array();
    size_t i, c;
    json_t *job, *cell;
    json_array_foreach(json_object_get(plan, "jobs"), i, job) {
        json_t *numbers = json_object();
        json_array_foreach(json_object_get(job, "cells"), c, cell) {
            SB_AUTO_FREE char *text = cell_text(json_object_get(job, "axes"), cell);
            if (text)
                json_object_set_new_nocheck(numbers, text, json_integer((json_int_t)c));
        }
        json_array_append_new(all, numbers);
    }
    return all;
}

/* A journal of the runs that are of the plan's cells: those of a machine with other levels are in
 * result.json alone. */
static int write_journal(const struct sb_merge *merge, const json_t *plan, struct sb_folder *folder,
                         struct sb_error *err) {
    SB_AUTO_JSON json_t *numbers = number_cells(plan);
    int rc = numbers ? 0 : sb_error_errno(err, -ENOMEM, "journal");
    for (size_t i = 0; rc == 0 && i < merge->n_runs; i++) {
        struct sb_run run = merge->made[i];
        const json_t *job = json_array_get(json_object_get(plan, "jobs"), run.job);
        SB_AUTO_FREE char *text =
            cell_text(json_object_get(job, "axes"), json_object_get(merge->runs[i].run, "cell"));
        const json_t *number =
            text ? json_object_get(json_array_get(numbers, run.job), text) : NULL;
        if (!number)
            continue;
        run.cell = (size_t)json_integer_value(number);
        rc = sb_journal_append(folder, &run, err);
    }
    return rc;
}

int sb_merge_keep_plan(const struct sb_merge *merge, struct sb_folder *folder,
                       struct sb_error *err) {
    SB_AUTO_JSON json_t *plan = find_plan(merge);
    if (!plan)
        return 0;
    SB_AUTO_FREE char *path = sb_folder_file(folder, "plan.json");
    /* Which --resume does not go on with: these runs are not all of one order. */
    json_object_set_new(plan, "shard", json_string("merged"));
    SB_AUTO_FREE char *text = sb_json_text(plan);
    int rc = path && text ? sb_file_write(path, text, strlen(text), err)
                          : sb_error_errno(err, -ENOMEM, "plan.json");
    return rc == 0 ? write_journal(merge, plan, folder, err) : rc;
}
