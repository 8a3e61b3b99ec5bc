/* cli: files that jobs read, hashed before and after their runs. */
#ifndef SB_CLI_INPUTS_H
#define SB_CLI_INPUTS_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include <jansson.h>

/* Digests of every job's inputs: a JSON object of path → "xxh3:<32 hex>" (of the file's bytes).
 * -ENOENT naming the job's pattern when nothing matches it. New reference. */
int sb_inputs_digest(const struct sb_suite *suite, json_t **digests, struct sb_error *err);

/* The inputs of a job whose digest is not the same in both, as a malloc'd sentence, or NULL when
 * all are. */
char *sb_inputs_changed(const struct sb_job *job, const json_t *before, const json_t *after);

#endif
