/* Stage 7: looking things up in a result.json. See report/reading.h. */
#include "report/reading.h"

#include <errno.h>
#include <string.h>

const char *sb_text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool sb_text_is(const json_t *object, const char *key, const char *text) {
    return strcmp(sb_text_of(object, key), text) == 0;
}

const char *sb_text_at(const json_t *array, size_t i) {
    const char *text = json_string_value(json_array_get(array, i));
    return text ? text : "";
}

json_int_t sb_count_of(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

const char *sb_job_title(const json_t *job) {
    const char *id = sb_text_of(job, "id");
    return *id ? id : sb_text_of(job, "name");
}

size_t sb_count_outcomes(const json_t *jobs, const char *outcome) {
    size_t i, n = 0;
    json_t *job;
    json_array_foreach(jobs, i, job) {
        n += sb_text_is(job, "outcome", outcome);
    }
    return n;
}

static int index_run(struct sb_run_index *index, json_t *run) {
    const char *job = sb_text_of(run, "job_id");
    if (!*job)
        job = sb_text_of(run, "job");
    double seconds = json_number_value(json_object_get(index->seconds, job)) +
                     json_number_value(json_object_get(run, "wall_s"));
    /* json_real refuses what is not finite; only a document that nobody measured adds up to that.
     */
    json_t *sum = json_real(seconds);
    int rc = json_object_set(index->by_id, sb_text_of(run, "id"), run);
    if (sum)
        rc |= json_object_set_new(index->seconds, job, sum);
    if (!sb_text_is(run, "status", "ok") && !json_object_get(index->first_failed, job))
        rc |= json_object_set(index->first_failed, job, run);
    return rc ? -ENOMEM : 0;
}

int sb_run_index_make(const json_t *result, struct sb_run_index *index) {
    *index = (struct sb_run_index){json_object(), json_object(), json_object()};
    int rc = index->by_id && index->seconds && index->first_failed ? 0 : -ENOMEM;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        if (rc == 0)
            rc = index_run(index, run);
    }
    if (rc < 0)
        sb_run_index_clear(index);
    return rc;
}

void sb_run_index_clear(struct sb_run_index *index) {
    json_decref(index->by_id);
    json_decref(index->seconds);
    json_decref(index->first_failed);
    *index = (struct sb_run_index){0};
}
