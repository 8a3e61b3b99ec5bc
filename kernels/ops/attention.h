/* kernels: the weights of attention, for oracles and prepared inputs. */
#ifndef SB_KERNELS_ATTENTION_H
#define SB_KERNELS_ATTENTION_H

#include "kernels/dispatch.h"

/* q, k, v are [b,h,s,d], the first three operands of both operations; attribute 0 is `causal`. A
 * row is one query: i / s of b·h heads, i % s its place. */

/* Keys that query i sees: those up to its own place, or all. */
size_t sb_attention_keys(const struct sb_call *call, size_t i);

/* q·k/√d of query i and the key at place j of its head; *scale: the magnitude of what was added. */
long double sb_attention_score(const struct sb_call *call, size_t i, size_t j, long double *scale);

/* Log of the sum of e^score over the keys that query i sees. */
long double sb_attention_log_sum(const struct sb_call *call, size_t i, long double *scale);

#endif
