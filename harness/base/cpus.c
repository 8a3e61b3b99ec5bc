/* Processors. See base/cpus.h. */
#include "base/cpus.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>

static int list(const cpu_set_t *set, size_t bytes, int size, int **cpus, size_t *n) {
    int *numbers = malloc((size_t)CPU_COUNT_S(bytes, set) * sizeof *numbers);
    if (!numbers)
        return -ENOMEM;
    *n = 0;
    for (int cpu = 0; cpu < size; cpu++) {
        if (CPU_ISSET_S((size_t)cpu, bytes, set))
            numbers[(*n)++] = cpu;
    }
    *cpus = numbers;
    return 0;
}

int sb_allowed_cpus(int **cpus, size_t *n) {
    /* The kernel refuses a set that is smaller than its own, whose size is not told. */
    int rc = -EINVAL;
    for (int size = 1024; rc == -EINVAL && size <= 1 << 20; size *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)size);
        size_t bytes = CPU_ALLOC_SIZE((size_t)size);
        if (!set)
            return -ENOMEM;
        rc = sched_getaffinity(0, bytes, set) < 0 ? -errno : list(set, bytes, size, cpus, n);
        CPU_FREE(set);
    }
    return rc;
}

unsigned sb_count_allowed_cpus(void) {
    SB_AUTO_FREE int *cpus = NULL;
    size_t n = 0;
    return sb_allowed_cpus(&cpus, &n) == 0 && n > 0 ? (unsigned)n : 1;
}

cpu_set_t *sb_cpu_set(const int *cpus, size_t n, size_t *bytes) {
    int highest = 0;
    for (size_t i = 0; i < n; i++)
        highest = cpus[i] > highest ? cpus[i] : highest;
    cpu_set_t *set = CPU_ALLOC((size_t)highest + 1);
    *bytes = CPU_ALLOC_SIZE((size_t)highest + 1);
    if (set)
        CPU_ZERO_S(*bytes, set);
    for (size_t i = 0; set && i < n; i++)
        CPU_SET_S((size_t)cpus[i], *bytes, set);
    return set;
}
