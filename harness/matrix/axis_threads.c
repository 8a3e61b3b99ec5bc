/* Stage 2, matrix: axis threads: how many threads libraries start, and the CPUs that the run may
 * use. */
#include "base/cleanup.h"
#include "base/text.h"
#include "matrix/axis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 4096 };

/* Variables that hold the number of threads. */
static const char *const numbers[] = {
    "SAMEBITS_THREADS",       "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",   "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",        "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",    "NUMEXPR_MAX_THREADS", /* numexpr refuses a NUM above its MAX */
    "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
    "RAYON_NUM_THREADS",      "POLARS_MAX_THREADS",
    "JULIA_NUM_THREADS",      "GOMAXPROCS",
    "LOKY_MAX_CPU_COUNT",     "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
};

/* Without these a library may take fewer threads when the machine is busy. */
static const struct sb_variable fixed[] = {
    {"OMP_DYNAMIC", "FALSE"},
    {"MKL_DYNAMIC", "FALSE"},
    {NULL, NULL},
};

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    uint64_t n;
    if (strcmp(level, "all") == 0 || (sb_level_number(level, false, MAX_THREADS, &n) && n > 0))
        return 0;
    return sb_error_set(err, -EINVAL, "unknown level '%s' (a number from 1 to %d, or all)", level,
                        MAX_THREADS);
}

static unsigned count_of(const struct sb_machine *machine, const char *level) {
    uint64_t n = 1;
    if (sb_level_number(level, false, MAX_THREADS, &n) && n > 0)
        return (unsigned)n;
    return machine && machine->n_cpus ? (unsigned)machine->n_cpus : 1;
}

static char *resolve(const struct sb_machine *machine, const char *level) {
    return sb_format("%u", count_of(machine, level));
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)name;
    unsigned n = count_of(machine, level);
    char text[16];
    snprintf(text, sizeof text, "%u", n);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int status = sb_setup_set(setup, numbers[i], text);
        if (status < 0)
            return status;
    }
    /* More threads than CPUs is allowed: it finds races. The CPUs stay those that there are. */
    setup->threads = machine && n > machine->n_cpus ? (unsigned)machine->n_cpus : n;
    return sb_setup_set_table(setup, fixed);
}

static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    char *word = sb_worker_word(seen, "threads");
    if (word || !seen->n_samples || !seen->n_cpus)
        return word;
    if (seen->max_threads <= seen->n_cpus)
        return sb_format("%u", seen->n_cpus);
    return sb_format("%u CPU%s, %u threads", seen->n_cpus, seen->n_cpus == 1 ? "" : "s",
                     seen->max_threads);
}

/* Then its code has no order of threads that could have shown. */
static const char *limit(const struct sb_observation *const *seen, size_t n) {
    for (size_t i = 0; i < n; i++) {
        SB_AUTO_FREE char *word = sb_worker_word(seen[i], "threads");
        if (word || !seen[i]->n_samples || seen[i]->max_threads != 1 ||
            sb_observation_asked(seen[i], "threads"))
            return NULL;
    }
    return n ? "no run was seen with more than one thread: threads varied only the CPUs that a run "
               "may use"
             : NULL;
}

const struct sb_axis sb_axis_threads = {
    .name = "threads",
    .summary = "threads of every numeric library, and the CPUs that the run may use",
    .levels = "a number from 1, or all (the CPUs that there are)",
    .check = check,
    .resolve = resolve,
    .apply = apply,
    .observe = observe,
    .limit = limit,
};
