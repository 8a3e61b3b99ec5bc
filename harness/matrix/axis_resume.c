/* Stage 2, matrix: axis resume: training in one go, or stopped after a step and taken up by another
 * process. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <string.h>

static const char variable[] = "SAMEBITS_RESUME";

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t step;
    if (strcmp(level, "none") == 0 ||
        (sb_level_number(level, false, UINT32_MAX, &step) && step > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (none, or a step from 1)", level);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    return sb_setup_set(setup, variable, level);
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return sb_worker_word(seen, "resume");
}

const struct sb_axis sb_axis_resume = {
    .name = "resume",
    .summary = "training in one go, or stopped after a step and taken up by another process",
    .levels = "none, or a step from 1",
    .kinds = 1 << SB_JOB_TRAIN,
    .check = check,
    .apply = apply,
    .observe = observe,
};
