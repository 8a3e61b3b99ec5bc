/* Stage 2, matrix: axis entropy: random bytes that the system hands out, live or the same in every
 * run. */
#include "matrix/axis.h"

#include <string.h>

static const char *const levels[] = {"live", "frozen", NULL};

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    setup->probe.entropy_frozen = strcmp(level, "frozen") == 0;
    return sb_probe_apply(machine, setup);
}

const struct sb_axis sb_axis_entropy = {
    .name = "entropy",
    .summary = "random bytes that the system hands out",
    .levels = "live, frozen",
    .among = levels,
    .unavailable = sb_probe_unavailable,
    .apply = apply,
    .observe = sb_probe_observe,
};
