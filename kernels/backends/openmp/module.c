/* kernels, openmp: the module, whose loops are shared out over threads as people do it. What it
 * links (an OpenMP runtime) comes into the process with it. */
#include "kernels/backends/openmp.h"
#include "kernels/backends/openmp/order.h"

#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int load(void **state, struct sb_error *err) {
    struct openmp *openmp = calloc(1, sizeof *openmp);
    if (!openmp)
        return sb_error_errno(err, -ENOMEM, "load");
    omp_set_dynamic(0); /* as many threads as are asked for, where there are fewer CPUs too */
    *state = openmp;
    return 0;
}

static void unload(void *state) {
    free(state);
}

static int set_threads(void *state, unsigned threads, struct sb_error *err) {
    (void)state, (void)err;
    omp_set_num_threads((int)threads);
    return 0;
}

static int set_deterministic(void *state, bool on, struct sb_error *err) {
    (void)err;
    ((struct openmp *)state)->deterministic = on;
    return 0;
}

static void describe(void *state, struct sb_backend_facts *facts) {
    (void)state;
    snprintf(facts->version, sizeof facts->version, "OpenMP %d", _OPENMP);
    facts->threads = (unsigned)omp_get_max_threads();
}

static void say(const struct sb_call *call, const char *why) {
    if (call->report) {
        call->report->claim = SB_CLAIM_DETERMINISTIC;
        snprintf(call->report->note, sizeof call->report->note, "%s", why);
    }
}

void say_rows(const struct sb_call *call) {
    say(call, "one thread computes a row");
}

void say_elements(const struct sb_call *call) {
    say(call, "one thread computes an element");
}

enum order order_of(const struct openmp *openmp, const struct sb_call *call) {
    static const char *const names[] = {"arrival", "tree", "ring"};
    enum order order = openmp->deterministic ? TREE : ARRIVAL;
    if (call->algorithm)
        order = strcmp(call->algorithm, "tree") == 0   ? TREE
                : strcmp(call->algorithm, "ring") == 0 ? RING
                                                       : ARRIVAL;
    if (call->report) {
        snprintf(call->report->algorithm, sizeof call->report->algorithm, "%s", names[order]);
        call->report->claim = order == ARRIVAL ? SB_CLAIM_NONDETERMINISTIC : SB_CLAIM_DETERMINISTIC;
        snprintf(call->report->note, sizeof call->report->note, "%s",
                 order == ARRIVAL ? "threads add their parts in the order in which they arrive"
                                  : "parts and the order of their sum do not depend on threads");
    }
    return order;
}

#define KERNEL(operation, algorithms)                                                              \
    static int operation(void *state, const struct sb_call *call, struct sb_error *err) {          \
        return (call->dtype == SB_DTYPE_F32 ? operation##_f32 : operation##_f64)(state, call,      \
                                                                                 err);             \
    }
#include "kernels/backends/openmp_kernels.h"

#define KERNEL(operation, algorithms)                                                              \
    {#operation, SB_OPENMP_DTYPES, operation, SB_OPENMP_WIDENED, algorithms},
static const struct sb_kernel kernels[] = {
#include "kernels/backends/openmp_kernels.h"
    {NULL},
};

extern const struct sb_backend sb_backend_openmp __attribute__((visibility("default")));
const struct sb_backend sb_backend_openmp = {
    .api = SB_BACKEND_API,
    .name = "openmp",
    .kernels = kernels,
    .load = load,
    .unload = unload,
    .set_threads = set_threads,
    .set_deterministic = set_deterministic,
    .describe = describe,
};
