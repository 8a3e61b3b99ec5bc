/* Stage 2, matrix: axis resume: training in one go, or stopped after a step and taken up by another
 * process. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <string.h>

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t step;
    if (strcmp(level, "none") == 0 ||
        (sb_level_number(level, false, UINT32_MAX, &step) && step > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (none, or a step from 1)", level);
}

const struct sb_axis sb_axis_resume = {
    .name = "resume",
    .summary = "training in one go, or stopped after a step and taken up by another process",
    .levels = "none, or a step from 1",
    .kinds = 1 << SB_JOB_TRAIN,
    .check = check,
    .apply = sb_worker_axis_apply,
    .observe = sb_worker_axis_observe,
};
