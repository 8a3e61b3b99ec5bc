/* Processors. */
#ifndef SB_BASE_CPUS_H
#define SB_BASE_CPUS_H

#include <stddef.h>

/* Numbers of the CPUs that this thread may run on, ascending; the caller frees them. 0 or -errno.
 */
int sb_allowed_cpus(int **cpus, size_t *n);
/* How many they are; 1 where that cannot be known. */
unsigned sb_count_allowed_cpus(void);

#endif
