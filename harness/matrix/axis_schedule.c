/* Stage 2, matrix: axis schedule: delays where threads start and meet, so that a race that is won
 * by the same thread nearly always is lost now and then. */
#include "base/cleanup.h"
#include "matrix/axis.h"
#include "probe/probe.h"

#include <errno.h>
#include <string.h>

static const char choices[] =
    "off, a seed from 1 to 4294967295, or random (another seed each time)";

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    uint64_t seed;
    (void)machine;
    if (strcmp(level, "off") == 0 || strcmp(level, "random") == 0 ||
        (sb_level_number(level, false, UINT32_MAX, &seed) && seed > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (levels: %s)", level, choices);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    setup->probe.schedule = 0;
    if (strcmp(level, "random") == 0)
        setup->probe.schedule = SB_PROBE_SCHEDULE_RANDOM;
    else
        sb_level_number(level, false, UINT32_MAX, &setup->probe.schedule);
    return sb_probe_apply(machine, setup);
}

/* A program that starts no thread has no schedule. Threads that are made without pthread_create
 * (Go's) would show in the number that was seen. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name;
    SB_AUTO_FREE char *text = sb_probe_observe("threads", level, seen);
    return text && strcmp(text, level) != 0 && seen->max_threads > 1 ? NULL
                                                                     : sb_steal_pointer(&text);
}

const struct sb_axis sb_axis_schedule = {
    .name = "schedule",
    .summary = "random delays at locks, barriers and thread starts",
    .levels = choices,
    .check = check,
    .unavailable = sb_probe_unavailable,
    .apply = apply,
    .observe = observe,
};
