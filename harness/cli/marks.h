/* cli: what tells the machines that results are of apart. */
#ifndef SB_CLI_MARKS_H
#define SB_CLI_MARKS_H

#include <samebits/error.h>

#include "report/machine.h"

#include <jansson.h>

enum { SB_ALL_MARKS = (1 << SB_N_MARKS) - 1 };

/* "host,gpu" or "none" to bits 1 << sb_mark; all for NULL. `command` is for messages. */
int sb_marks_parse(const char *command, const char *text, unsigned *marks, struct sb_error *err);

/* A mark of a machine as a level. */
const char *sb_marks_text(const json_t *machine, enum sb_mark mark);

#endif
