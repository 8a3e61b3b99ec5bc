/* Stage 2, matrix: axis ranks: how many share each batch of a training. */
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>

static const char variable[] = "SAMEBITS_RANKS";

enum { MOST = 1024 };

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (sb_level_number(level, false, MOST, &n) && n > 0)
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (a number from 1 to %d)", level, MOST);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    return sb_setup_set(setup, variable, level);
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return sb_worker_word(seen, "ranks");
}

const struct sb_axis sb_axis_ranks = {
    .name = "ranks",
    .summary = "ranks that share each batch of a training and add up their gradients",
    .levels = "a number from 1",
    .kinds = 1 << SB_JOB_TRAIN,
    .check = check,
    .apply = apply,
    .observe = observe,
};
