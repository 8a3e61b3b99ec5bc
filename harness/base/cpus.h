/* Processors. */
#ifndef SB_BASE_CPUS_H
#define SB_BASE_CPUS_H

/* How many this thread may run on; 1 where that cannot be known. */
unsigned sb_allowed_cpus(void);

#endif
