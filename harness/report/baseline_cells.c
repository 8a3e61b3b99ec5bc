/* Stage 7: the cells of a result's jobs, for baselines. See report/baseline_cells.h. */
#include "report/baseline_cells.h"

#include "base/cleanup.h"
#include "report/reading.h"

bool sb_cell_key(struct sb_text *key, const json_t *levels, const json_t *by) {
    size_t i;
    json_t *axis;
    json_array_foreach(by, i, axis) {
        const char *name = json_string_value(axis);
        const char *level = name ? json_string_value(json_object_get(levels, name)) : NULL;
        if (!level)
            return false;
        sb_text_printf(key, "%s%s=%s", i ? " " : "", name, level);
    }
    return true;
}

static json_t *member(json_t *object, const char *key, json_t *fresh) {
    json_t *found = json_object_get(object, key);
    if (found) {
        json_decref(fresh);
        return found;
    }
    json_object_set_new(object, key, fresh);
    return json_object_get(object, key);
}

json_t *sb_cells_by_job(const json_t *result) {
    SB_AUTO_JSON json_t *known = json_object(); /* job id → cell as text → the cell */
    json_t *by_job = json_object(), *run;
    size_t i;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        const char *job = sb_text_of(run, json_object_get(run, "job_id") ? "job_id" : "job");
        json_t *levels = json_object_get(run, "cell"), *print = json_object_get(run, "fingerprint");
        SB_AUTO_FREE char *text = json_dumps(levels, JSON_COMPACT | JSON_SORT_KEYS);
        if (!sb_text_is(run, "status", "ok") || !json_is_string(print) || !text)
            continue;
        json_t *cells = member(known, job, json_object());
        json_t *cell = json_object_get(cells, text);
        if (cell) {
            if (!json_equal(json_object_get(cell, "fingerprint"), print))
                json_object_set_new(cell, "fingerprint", json_null());
            continue;
        }
        cell = json_pack("{s:O, s:O}", "levels", levels, "fingerprint", print);
        json_object_set_new(cells, text, cell);
        json_array_append(member(by_job, job, json_array()), cell);
    }
    return by_job;
}
