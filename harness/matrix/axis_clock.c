/* Stage 2, matrix: axis clock: the time that programs are told, live or the same in every run: that
 * of the calendar, and on request that of clocks which only run. */
#include "matrix/axis.h"

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

const struct sb_axis sb_axis_clock = {
    .name = "clock",
    .summary = "the time that programs are told",
    .levels = "live, frozen, frozen+monotonic",
    .among = levels,
    .unavailable = sb_probe_unavailable,
    .apply = apply,
    .observe = sb_probe_observe,
};
