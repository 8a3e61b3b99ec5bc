/* Stage 4, weights: counters in names, as Keras gives them to layers ("dense", "dense_1",
 * "dense_2"). They go on counting where a process makes a second model, so that the same layer has
 * another name there. */
#ifndef SB_WEIGHTS_COUNTERS_H
#define SB_WEIGHTS_COUNTERS_H

#include <stddef.h>

/* Gives names that differ in their counters alone the counters that a first model would have:
 * dense_7, dense_10 and dense_9 become dense, dense_2 and dense_1. A name is words between `_`; a
 * word may have a counter behind it, a decimal number without leading zeros. Names of the same
 * words are counted by their first word's counters, none coming before 0, and within each of these
 * by the next one's: net_1_dense_2_bias and net_1_dense_3_bias become net_dense_bias and
 * net_dense_1_bias. So two models whose counters rise alike get the same names. The names are
 * malloc'd, and others take their place; the first n_kept bytes of each are left alone. 0 or
 * -ENOMEM. */
int sb_names_recount(char **names, size_t n, size_t n_kept);

#endif
