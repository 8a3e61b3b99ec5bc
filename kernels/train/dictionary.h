/* kernels, train: a feature dictionary, whose order of iteration follows a hash seed as that of a
 * set of strings does in Python. */
#ifndef SB_KERNELS_DICTIONARY_H
#define SB_KERNELS_DICTIONARY_H

#include <samebits/error.h>

#include <stddef.h>
#include <stdint.h>

struct sb_dictionary;

/* SipHash-2-4 keyed by the seed (Aumasson and Bernstein, 2012). */
uint64_t sb_siphash(uint64_t key_0, uint64_t key_1, const void *data, size_t n);

int sb_dictionary_make(uint64_t hash_seed, struct sb_dictionary **dictionary, struct sb_error *err);
void sb_dictionary_free(struct sb_dictionary *dictionary);
/* Adds a name; one that is there is no error. */
int sb_dictionary_add(struct sb_dictionary *dictionary, const char *name, struct sb_error *err);
size_t sb_dictionary_size(const struct sb_dictionary *dictionary);
/* Number of a name in the order in which names were added, or SIZE_MAX. */
size_t sb_dictionary_find(const struct sb_dictionary *dictionary, const char *name);
/* Numbers (as of sb_dictionary_find) in the order of iteration, which is that of the table's slots.
 * order[size]. */
void sb_dictionary_iterate(const struct sb_dictionary *dictionary, size_t *order);

#endif
