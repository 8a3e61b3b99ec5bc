/* Processors. */
#ifndef SB_BASE_CPUS_H
#define SB_BASE_CPUS_H

#include <sched.h>
#include <stddef.h>

/* Numbers of the CPUs that this thread may run on, ascending; the caller frees them. 0 or -errno.
 */
int sb_allowed_cpus(int **cpus, size_t *n);
/* How many they are; 1 where that cannot be known. */
unsigned sb_count_allowed_cpus(void);

/* A set of those, for sched_setaffinity(2), and its size; the caller frees it by CPU_FREE. NULL: no
 * memory. */
cpu_set_t *sb_cpu_set(const int *cpus, size_t n, size_t *bytes);

#endif
