/* Stage 2, matrix: placeholders of a job's command. */
#ifndef SB_MATRIX_PLAN_H
#define SB_MATRIX_PLAN_H

#include "base/text.h"

#include <samebits/matrix.h>

/* Does {name} stand in an argument of the job's command? */
bool sb_command_has(const struct sb_job *job, const char *name);

/* Adds the names that stand in the command, without "weights". 0 or -ENOMEM. */
int sb_command_names(const struct sb_job *job, struct sb_strings *names);

/* Is every name in the command an axis of the job, or {weights}? -EINVAL as file:line:column with
 * what is known. */
int sb_command_check(const struct sb_job *job, struct sb_error *err);

/* An argument of the job's command as a cell has it; malloc'd, or NULL without memory. */
char *sb_command_argument(const struct sb_job_plan *job, const struct sb_cell *cell,
                          const char *argument);

#endif
