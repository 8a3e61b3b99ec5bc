/* Stage 1, suite: the name of a command's job. */
#ifndef SB_SUITE_ADHOC_H
#define SB_SUITE_ADHOC_H

#include <stdbool.h>
#include <stddef.h>

/* The script's name (train.py), else the program's; malloc'd, printable ASCII, or NULL without
 * memory. */
char *sb_command_name(char *const *command, size_t n);

/* Is this word a script by its name? */
bool sb_is_script(const char *argument);

#endif
