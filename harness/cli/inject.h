/* cli: --inject-seeds: Python programs that know nothing of it seed what they import. Python runs
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

#endif
