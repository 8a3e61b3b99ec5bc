/* kernels: work shared out over threads. Who does which piece never decides a result: pieces are
 * disjoint. */
#ifndef SB_KERNELS_PARALLEL_H
#define SB_KERNELS_PARALLEL_H

/* Calls piece(context, i, n) for every i below n, each on a thread of its own, the last on the
 * caller's; where no thread can be had, the caller does it. Returns when all are done. n is at most
 * 256. */
void sb_parallel(unsigned n, void (*piece)(void *context, unsigned i, unsigned n), void *context);

#endif
