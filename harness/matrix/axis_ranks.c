/* Stage 2, matrix: axis ranks: how many share each batch of a training. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>

enum { MOST = 1024 };

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (sb_level_number(level, false, MOST, &n) && n > 0)
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (a number from 1 to %d)", level, MOST);
}

const struct sb_axis sb_axis_ranks = {
    .name = "ranks",
    .summary = "ranks that share each batch of a training and add up their gradients",
    .levels = "a number from 1",
    .kinds = 1 << SB_JOB_TRAIN,
    .check = check,
    .apply = sb_worker_axis_apply,
    .observe = sb_worker_axis_observe,
};
