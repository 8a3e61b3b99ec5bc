/* Stage 2, matrix: axis clock: the time that programs are told, live or the same in every run: that
 * of the calendar, and on request that of clocks which only run. */
#include "matrix/axis.h"

#include <stdlib.h>
#include <string.h>

/* In the order of enum sb_clock. */
static const char *const levels[] = {"live", "frozen", "frozen+monotonic", NULL};

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    for (unsigned i = 0; levels[i]; i++) {
        if (strcmp(level, levels[i]) == 0)
            setup->probe.clock = (enum sb_clock)i;
    }
    return sb_probe_apply(machine, setup);
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    char *observed = sb_probe_observe(name, level, seen);
    if (!observed || strcmp(observed, level) == 0 || strcmp(level, levels[2]) != 0)
        return observed;
    free(observed);
    return sb_probe_observe("monotonic", level, seen);
}

const struct sb_axis sb_axis_clock = {
    .name = "clock",
    .summary = "the time that programs are told",
    .levels = "live, frozen, frozen+monotonic",
    .among = levels,
    .unavailable = sb_probe_unavailable,
    .apply = apply,
    .observe = observe,
};
