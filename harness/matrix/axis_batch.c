/* Stage 2, matrix: axis batch: the same rows of a kernel, computed together with others or not. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (strcmp(level, "all") == 0 || (sb_level_number(level, false, UINT32_MAX, &n) && n > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (a number of rows from 1, or all)",
                        level);
}

const struct sb_axis sb_axis_batch = {
    .name = "batch",
    .summary = "rows of a kernel that are computed together: the same rows in another batch",
    .levels = "a number of rows from 1, or all",
    .kinds = 1 << SB_JOB_KERNEL,
    .check = check,
    .apply = sb_worker_axis_apply,
    .observe = sb_worker_axis_observe,
};
