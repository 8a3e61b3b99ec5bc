/* Stage 2, matrix: axis schedule: delays where threads start and meet, so that a race that is won
 * by the same thread nearly always is lost now and then; or, frozen, one CPU on which threads take
 * turns where they wait, so that it is won by the same thread always. */
#include "base/cleanup.h"
#include "matrix/axis.h"
#include "probe/probe.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char choices[] =
    "off, a seed from 1 to 4294967295, random (another seed each time), or frozen";

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    uint64_t seed;
    (void)machine;
    if (strcmp(level, "off") == 0 || strcmp(level, "random") == 0 || strcmp(level, "frozen") == 0 ||
        (sb_level_number(level, false, UINT32_MAX, &seed) && seed > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (levels: %s)", level, choices);
}

/* Found by trying, in a child: who may is a matter of capabilities, limits and control groups. */
static bool may_freeze(void) {
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1}) != 0);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return child > 0 && status == 0;
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    if (strcmp(level, "frozen") == 0 && !may_freeze())
        return strdup("real-time scheduling is not permitted (CAP_SYS_NICE, ulimit -r)");
    return sb_probe_unavailable(machine, level);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    setup->probe.schedule = 0;
    setup->schedule_frozen = strcmp(level, "frozen") == 0;
    if (strcmp(level, "random") == 0)
        setup->probe.schedule = SB_PROBE_SCHEDULE_RANDOM;
    else
        sb_level_number(level, false, UINT32_MAX, &setup->probe.schedule);
    return sb_probe_apply(machine, setup);
}

/* A program that starts no thread has no schedule. Threads that are made without pthread_create
 * (Go's) would show in the number that was seen. Processes have one too, which only `frozen`
 * changes. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name;
    if (strcmp(level, "frozen") == 0)
        return strdup(level); /* a run that cannot have it does not start */
    SB_AUTO_FREE char *text = sb_probe_observe("threads", level, seen);
    return text && strcmp(text, level) != 0 && seen->max_threads > 1 ? NULL
                                                                     : sb_steal_pointer(&text);
}

const struct sb_axis sb_axis_schedule = {
    .name = "schedule",
    .summary = "random delays where threads start and meet, or turns in a fixed order",
    .levels = choices,
    .check = check,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
};
