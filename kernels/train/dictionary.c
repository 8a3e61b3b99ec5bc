/* kernels, train: see dictionary.h. Open addressing, at most two thirds full. */
#include "kernels/train/dictionary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sb_dictionary {
    uint64_t seed;
    char **names; /* as added */
    size_t n;
    size_t *slots; /* 1 + index of a name, 0: free; a power of two */
    size_t n_slots;
};

static uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

uint64_t sb_siphash(uint64_t key_0, uint64_t key_1, const void *data, size_t n) {
    uint64_t v[4] = {key_0 ^ 0x736f6d6570736575u, key_1 ^ 0x646f72616e646f6du,
                     key_0 ^ 0x6c7967656e657261u, key_1 ^ 0x7465646279746573u};
    const unsigned char *bytes = data;
    for (size_t i = 0; i <= n / 8; i++) {
        uint64_t word = i == n / 8 ? (uint64_t)n << 56 : 0;
        for (size_t j = 0; j < 8 && i * 8 + j < n; j++)
            word |= (uint64_t)bytes[i * 8 + j] << (8 * j);
        v[3] ^= word;
        sip_round(v);
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int sb_dictionary_make(uint64_t hash_seed, struct sb_dictionary **dictionary,
                       struct sb_error *err) {
    struct sb_dictionary *made = calloc(1, sizeof *made);
    if (!made)
        return sb_error_errno(err, -ENOMEM, "dictionary");
    made->seed = hash_seed;
    *dictionary = made;
    return 0;
}

void sb_dictionary_free(struct sb_dictionary *dictionary) {
    if (!dictionary)
        return;
    for (size_t i = 0; i < dictionary->n; i++)
        free(dictionary->names[i]);
    free(dictionary->names);
    free(dictionary->slots);
    free(dictionary);
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t slot_of(const struct sb_dictionary *d, const char *name) {
    size_t slot = sb_siphash(d->seed, 0, name, strlen(name)) & (d->n_slots - 1);
    while (d->slots[slot] && strcmp(d->names[d->slots[slot] - 1], name) != 0)
        slot = (slot + 1) & (d->n_slots - 1);
    return slot;
}

static int grow(struct sb_dictionary *d) {
    size_t n_slots = d->n_slots ? d->n_slots * 2 : 8;
    size_t *slots = calloc(n_slots, sizeof *slots);
    char **names = realloc(d->names, n_slots * sizeof *names);
    if (names)
        d->names = names;
    if (!slots || !names) {
        free(slots);
        return -ENOMEM;
    }
    free(d->slots);
    d->slots = slots;
    d->n_slots = n_slots;
    for (size_t i = 0; i < d->n; i++)
        d->slots[slot_of(d, d->names[i])] = i + 1;
    return 0;
}

int sb_dictionary_add(struct sb_dictionary *d, const char *name, struct sb_error *err) {
    if ((d->n + 1) * 3 > d->n_slots * 2 && grow(d) < 0)
        return sb_error_errno(err, -ENOMEM, "dictionary");
    size_t slot = slot_of(d, name);
    if (d->slots[slot])
        return 0;
    d->names[d->n] = strdup(name);
    if (!d->names[d->n])
        return sb_error_errno(err, -ENOMEM, "dictionary");
    d->slots[slot] = ++d->n;
    return 0;
}

size_t sb_dictionary_size(const struct sb_dictionary *dictionary) {
    return dictionary->n;
}

size_t sb_dictionary_find(const struct sb_dictionary *d, const char *name) {
    size_t held = d->n_slots ? d->slots[slot_of(d, name)] : 0;
    return held ? held - 1 : SIZE_MAX;
}

void sb_dictionary_iterate(const struct sb_dictionary *d, size_t *order) {
    for (size_t slot = 0, n = 0; slot < d->n_slots; slot++) {
        if (d->slots[slot])
            order[n++] = d->slots[slot] - 1;
    }
}
