/* Stage 2, matrix: axis alignment: where in memory the operands of a kernel start. Elements
 * themselves are always aligned, so that a small level can become a larger one. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <inttypes.h>

enum { MOST = 64 }; /* bytes: a cache line, and the widest vector */

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (sb_level_number(level, false, MOST, &n) && n > 0 && (n & (n - 1)) == 0)
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (bytes: 1 2 4 8 16 32 64)", level);
}

const struct sb_axis sb_axis_alignment = {
    .name = "alignment",
    .summary = "alignment in memory of a kernel's operands, in bytes",
    .levels = "1, 2, 4, 8, 16, 32 or 64 bytes",
    .kinds = 1 << SB_JOB_KERNEL,
    .check = check,
    .apply = sb_worker_axis_apply,
    .observe = sb_worker_axis_observe,
};
