/* Stage 7, private: looking things up in a result.json that anyone may have written. */
#ifndef SB_REPORT_READING_H
#define SB_REPORT_READING_H

#include <jansson.h>
#include <stdbool.h>

/* The string under a key, "" where there is none. */
const char *sb_text_of(const json_t *object, const char *key);
bool sb_text_is(const json_t *object, const char *key, const char *text);
/* The i-th string of an array, "" where it is something else. */
const char *sb_text_at(const json_t *array, size_t i);
json_int_t sb_count_of(const json_t *object, const char *key);

/* A job's id, which documents without ids have as its name. */
const char *sb_job_title(const json_t *job);

/* jobs[] with this outcome. */
size_t sb_count_outcomes(const json_t *jobs, const char *outcome);

/* What reports ask of runs[], gathered in one pass. */
struct sb_run_index {
    json_t *by_id;        /* run id → run */
    json_t *seconds;      /* job id → wall time of its runs added up */
    json_t *first_failed; /* job id → its first run that is not ok */
};

/* 0 or -ENOMEM. */
int sb_run_index_make(const json_t *result, struct sb_run_index *index);
void sb_run_index_clear(struct sb_run_index *index);

#endif
