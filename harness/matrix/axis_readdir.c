/* Stage 2, matrix: axis readdir: the order in which folders list their entries. */
#include "matrix/axis.h"

#include <string.h>

/* In the order of enum sb_readdir. */
static const char *const levels[] = {"live", "sorted", "reversed", "shuffled", NULL};

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    for (unsigned i = 0; levels[i]; i++) {
        if (strcmp(level, levels[i]) == 0)
            setup->probe.readdir = (enum sb_readdir)i;
    }
    return sb_probe_apply(machine, setup);
}

const struct sb_axis sb_axis_readdir = {
    .name = "readdir",
    .summary = "order in which folders list their entries",
    .levels = "live, sorted, reversed, shuffled",
    .among = levels,
    .unavailable = sb_probe_unavailable,
    .apply = apply,
    .observe = sb_probe_observe,
};
