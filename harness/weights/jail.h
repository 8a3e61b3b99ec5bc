/* Stage 4, weights: what a process that parses hostile files may still do. */
#ifndef SB_WEIGHTS_JAIL_H
#define SB_WEIGHTS_JAIL_H

#include <stddef.h>
#include <stdint.h>

enum { SB_JAIL_OUTPUT = 3 }; /* the one descriptor that may be written to */

/* A seccomp program, made once and closed behind many processes. Needs no privilege. NULL where it
 * cannot be made: then there are only limits. Freed with free(). */
struct sb_jail_filter;
struct sb_jail_filter *sb_jail_filter_new(void);

/* For the calling process, for good, which then reads files of n_bytes together. The limits hold in
 * every case; -errno where the kernel does
 * not take the filter (a container may forbid it), which is no reason not to go on. */
int sb_jail_close(const struct sb_jail_filter *filter, uint64_t n_bytes);

/* CPU seconds that reading files of so many bytes may take, far above what it needs. */
uint64_t sb_jail_cpu_seconds(uint64_t n_bytes);

/* Bytes of address space a parser may take beyond what it has: chunks and their filters' buffers.
 */
#define SB_JAIL_MEMORY (UINT64_C(4) << 30)

/* How many of so many threads a parser may have: 1 under sanitizers, whose threads call for more
 * than parsers may do. */
unsigned sb_jail_threads(unsigned wanted);

/* Takes away what could make libhdf5 load, lock or trace anything. */
void sb_jail_clean_environment(void);

#endif
