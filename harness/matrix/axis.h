/* Stage 2, matrix: what the axes share: edits of a setup, wording of errors, reading of what was
 * seen. */
#ifndef SB_MATRIX_AXIS_H
#define SB_MATRIX_AXIS_H

#include <samebits/matrix.h>

#include <stdint.h>

/* Edits of setup->environment, which may be NULL. 0 or -ENOMEM. */
const char *sb_setup_get(const struct sb_setup *setup, const char *name);
int sb_setup_set(struct sb_setup *setup, const char *name, const char *value);
void sb_setup_unset(struct sb_setup *setup, const char *name);
int sb_setup_set_table(struct sb_setup *setup, const struct sb_variable *table);

/* Sets glibc.cpu.hwcaps and the like inside GLIBC_TUNABLES, keeping the tunables that others set. A
 * tunable that is a list (`append`) gets `value` after what it has. */
int sb_setup_tunable(struct sb_setup *setup, const char *name, const char *value, bool append);

/* The same for words of a variable that are flags ("--flag=value"), XLA_FLAGS for one: removes the
 * flag, and puts `word` at the end unless it is NULL. */
int sb_setup_flag(struct sb_setup *setup, const char *variable, const char *flag, const char *word);

/* Is the level one of `known` (which ends with NULL)? -EINVAL with "unknown level 'onn' (levels: on
 * off)" and the nearest word. */
int sb_level_among(const char *level, const char *const *known, struct sb_error *err);

/* A whole number in decimal, or with 0x in hexadecimal where `hexadecimal`, of at most `maximum`.
 */
bool sb_level_number(const char *level, bool hexadecimal, uint64_t maximum, uint64_t *number);

/* A variable in what a process got; NULL: not set. The environment must be readable. */
const char *sb_seen_variable(const struct sb_seen_process *process, const char *name);

/* "A=1 B=2" of those names that are set, "<unset>" where none is, if all processes that were seen
 * agree; NULL otherwise. Names end with NULL. Programs that only start another one (env, nice) do
 * not count. */
char *sb_seen_variables(const struct sb_observation *seen, const char *const *names);

/* Is a shared object mapped whose file name starts so ("libc.so.6")? */
bool sb_seen_library(const struct sb_observation *seen, const char *prefix);

/* Last part of a path. */
const char *sb_base_name(const char *path);

/* A text member of the worker's report, or a number or boolean as text; NULL where there is none.
 */
char *sb_worker_word(const struct sb_observation *seen, const char *key);

/* Of an axis that is the worker's to vary: SAMEBITS_<NAME> says the level, and the member of the
 * axis's name in its report what it had. */
int sb_worker_axis_apply(const struct sb_machine *machine, const char *name, const char *level,
                         struct sb_setup *setup);
char *sb_worker_axis_observe(const char *name, const char *level,
                             const struct sb_observation *seen);

/* Finds the probe's library beside the program, or where it is installed. 0 or -ENOMEM. */
int sb_machine_find_probe(struct sb_machine *machine);

/* Axes of the probe: why it cannot be had, malloc'd, or NULL; has it preloaded, at every level, so
 * that this is no difference between them; and the level where the probe saw all of the run's
 * programs: "not consulted" where none asked for the source, else `level`. */
char *sb_probe_unavailable(const struct sb_machine *machine, const char *level);
int sb_probe_apply(const struct sb_machine *machine, struct sb_setup *setup);
char *sb_probe_observe(const char *source, const char *level, const struct sb_observation *seen);

#endif
