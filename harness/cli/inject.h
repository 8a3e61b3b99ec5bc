/* cli: Python's helper in programs that know nothing of it: they seed what they import
 * (--inject-seeds), or trace by their framework's operations (explain). Python runs
 * python/inject/sitecustomize.py before a script, since that folder leads PYTHONPATH. */
#ifndef SB_CLI_INJECT_H
#define SB_CLI_INJECT_H

#include "base/text.h"

#include <samebits/error.h>

/* This process' environment with that in it. `seed`: NULL is SAMEBITS_SEED, or 0. -ENOENT: the
 * file is not where it belongs. */
int sb_inject_seeds(const char *seed, struct sb_strings *environment, struct sb_error *err);

/* The seed in what sb_inject_seeds made; NULL where it was not called. Borrowed. */
const char *sb_injected_seed(const struct sb_strings *environment);

#define SB_INJECT_SEARCH "PYTHONPATH"
#define SB_INJECT_WHAT "SAMEBITS_INJECT" /* "seeds", "operations", or both with a comma */

/* PYTHONPATH of that environment with the helper's folder in front, malloc'd. -ENOENT as above. */
int sb_inject_search(char *const *environment, char **search, struct sb_error *err);

/* Where a file of the helper's folder is, malloc'd. -ENOENT as above. */
int sb_inject_file(const char *name, char **path, struct sb_error *err);

#endif
