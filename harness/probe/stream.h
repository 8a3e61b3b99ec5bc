/* The probe's random stream, which the preloaded library and the guard of a run
 * (run/raw_serve.c) give out alike: words of a key and a counter. */
#ifndef SB_PROBE_STREAM_H
#define SB_PROBE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* splitmix64's finisher (Steele, Lea, Flood 2014). */
static inline uint64_t sb_probe_mix(uint64_t a, uint64_t b) {
    uint64_t z = a + 0x9e3779b97f4a7c15U * (b + 1);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

/* The key of the n-th thread or process, from 1, that was made by whoever has `parent`. */
static inline uint64_t sb_probe_child_key(uint64_t parent, uint64_t n) {
    return sb_probe_mix(parent, ~n);
}

static inline void sb_probe_stream(uint64_t key, uint64_t *counter, void *bytes, size_t n) {
    for (unsigned char *at = bytes; n;) {
        uint64_t word = sb_probe_mix(key, (*counter)++);
        size_t part = n < sizeof word ? n : sizeof word;
        memcpy(at, &word, part);
        at += part;
        n -= part;
    }
}

#endif
