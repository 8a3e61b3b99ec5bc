/* Stage 2, matrix: axis pid: process ids, as they come or counted from 1 in every run. */
#include "matrix/axis.h"

#include <string.h>

static const char *const levels[] = {"live", "frozen", NULL};

static char *unavailable(const struct sb_machine *machine, const char *level) {
    if (strcmp(level, "frozen") == 0 && machine->no_pid_namespace)
        return strdup(machine->no_pid_namespace);
    return sb_probe_unavailable(machine, level);
}

/* The probe sees whether anybody asks. */
static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    setup->pid_frozen = strcmp(level, "frozen") == 0;
    return sb_probe_apply(machine, setup);
}

const struct sb_axis sb_axis_pid = {
    .name = "pid",
    .summary = "process ids",
    .levels = "live, frozen",
    .among = levels,
    .unavailable = unavailable,
    .apply = apply,
    .observe = sb_probe_observe,
};
