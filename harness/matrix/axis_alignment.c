/* Stage 2, matrix: axis alignment: where in memory the operands of a kernel start. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <inttypes.h>

static const char variable[] = "SAMEBITS_ALIGNMENT";

enum { MOST = 64 }; /* bytes: a cache line, and the widest vector */

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (sb_level_number(level, false, MOST, &n) && n > 0 && (n & (n - 1)) == 0)
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (bytes: 1 2 4 8 16 32 64)", level);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    return sb_setup_set(setup, variable, level);
}

/* Elements themselves are always aligned, so that a small level can become a larger one. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return sb_worker_word(seen, "alignment");
}

const struct sb_axis sb_axis_alignment = {
    .name = "alignment",
    .summary = "alignment in memory of a kernel's operands, in bytes",
    .levels = "1, 2, 4, 8, 16, 32 or 64 bytes",
    .kinds = 1 << SB_JOB_KERNEL,
    .check = check,
    .apply = apply,
    .observe = observe,
};
