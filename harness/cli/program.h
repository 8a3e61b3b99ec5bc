/* cli: files that the commands of jobs name: programs, scripts, configurations. */
#ifndef SB_CLI_PROGRAM_H
#define SB_CLI_PROGRAM_H

#include <samebits/error.h>
#include <samebits/matrix.h>

#include <jansson.h>
#include <stdbool.h>

/* An array with an object for each job of the plan: path, as the command names it → "xxh3:<32 hex>"
 * of the file's bytes, or "not hashed: <why>" where it is too large (SB_MOST_HASHED over all jobs,
 * in the order of their commands) or cannot be read. In it are the command where it is a path,
 * python's -m where it means a file of the job's folder, and every argument, or what stands behind
 * its `=`, that is a regular file at any level of an axis. Of files outside the job's folder, which
 * isolation does not put back, those alone that are by their names not what a run writes. What
 * {weights} stands for is no part of the program. New reference. */
int sb_program_digest_all(const struct sb_plan *plan, json_t **jobs, struct sb_error *err);

/* Is it a script or a configuration by its name, which runs read and do not write? */
bool sb_program_is_source(const char *path);

#endif
