/* Processors. See base/cpus.h. */
#include "base/cpus.h"

#include <sched.h>

unsigned sb_allowed_cpus(void) {
    enum { MOST = 8192 };
    cpu_set_t *cpus = CPU_ALLOC(MOST);
    size_t size = CPU_ALLOC_SIZE(MOST);
    int n = cpus && sched_getaffinity(0, size, cpus) == 0 ? CPU_COUNT_S(size, cpus) : 1;
    CPU_FREE(cpus);
    return n > 0 ? (unsigned)n : 1;
}
