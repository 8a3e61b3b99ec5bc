/* Stage 7, private: parts of result.json that have a file of their own. */
#ifndef SB_REPORT_RESULT_H
#define SB_REPORT_RESULT_H

#include <samebits/matrix.h>
#include <samebits/run.h>

#include <jansson.h>

/* What one run really had: per axis under its name, and cpus, threads, libraries, programs,
 * environment. New reference. */
json_t *sb_observed_json(const struct sb_job_plan *plan, const struct sb_run *run);

/* Version from a library's file name, malloc'd, or NULL when the name has none. */
char *sb_library_version(const char *path);

#endif
