/* cli: files that jobs read, hashed before and after their runs. */
#ifndef SB_CLI_INPUTS_H
#define SB_CLI_INPUTS_H

#include <samebits/error.h>
#include <samebits/suite.h>

#include <jansson.h>

/* Digests of a job's inputs: a JSON object of path, as the suite names it → "xxh3:<32 hex>" (of the
 * file's bytes). -ENOENT naming the job's pattern when nothing matches it. New reference. */
int sb_inputs_digest(const struct sb_job *job, json_t **digests, struct sb_error *err);

/* An array of them, one for each job of the suite. */
int sb_inputs_digest_all(const struct sb_suite *suite, json_t **jobs, struct sb_error *err);

#endif
