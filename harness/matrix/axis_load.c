/* Stage 2, matrix: axis load: a busy neighbour on the run's CPUs, which takes its threads from them
 * at moments of the kernel's choosing. */
#include "matrix/axis.h"

#include <string.h>

static const char *const levels[] = {"off", "on", NULL};

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    setup->load = strcmp(level, "on") == 0;
    return 0;
}

/* A run whose neighbour could not be started does not start. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)seen;
    return strdup(level);
}

const struct sb_axis sb_axis_load = {
    .name = "load",
    .summary = "a busy neighbour on each of the run's CPUs",
    .levels = "off, on",
    .among = levels,
    .apply = apply,
    .observe = observe,
};
