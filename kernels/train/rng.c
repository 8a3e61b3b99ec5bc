/* kernels, train: see rng.h. */
#include "kernels/train/rng.h"
#include "kernels/numeric.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

void sb_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
    uint32_t k[2] = {key[0], key[1]};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
        memcpy(c, next, sizeof c);
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    memcpy(out, c, sizeof c);
}

struct sb_stream sb_stream_make(uint64_t global, uint64_t operation) {
    return (struct sb_stream){.global = global, .operation = operation};
}

int sb_seeds_stream(struct sb_seeds *seeds, const uint64_t *operation, struct sb_stream *stream,
                    struct sb_error *err) {
    uint64_t pair[2];
    if (seeds->given || operation) {
        pair[0] = seeds->given ? seeds->global : SB_DEFAULT_GLOBAL_SEED;
        pair[1] = operation ? *operation : (SB_OPERATION_SEED_MAX + 1) + seeds->made++;
    } else {
        for (size_t n = 0; n < sizeof pair;) {
            ssize_t got = getrandom((char *)pair + n, sizeof pair - n, 0);
            if (got < 0 && errno != EINTR)
                return sb_error_errno(err, -errno, "getrandom");
            n += got > 0 ? (size_t)got : 0;
        }
    }
    *stream = sb_stream_make(pair[0], pair[1]);
    return 0;
}

uint32_t sb_stream_u32(struct sb_stream *s) {
    if (s->left == 0) {
        const uint32_t counter[4] = {(uint32_t)s->position, (uint32_t)(s->position >> 32),
                                     (uint32_t)s->operation, (uint32_t)(s->operation >> 32)};
        const uint32_t key[2] = {(uint32_t)s->global, (uint32_t)(s->global >> 32)};
        sb_philox(counter, key, s->words);
        s->position++;
        s->left = 4;
    }
    return s->words[4 - s->left--];
}

uint64_t sb_stream_u64(struct sb_stream *stream) {
    uint64_t low = sb_stream_u32(stream);
    return low | (uint64_t)sb_stream_u32(stream) << 32;
}

/* Values below 2^64 mod bound are thrown away: what is left is a whole number of rounds. */
uint64_t sb_stream_below(struct sb_stream *stream, uint64_t bound) {
    uint64_t surplus = (0 - bound) % bound, value;
    do {
        value = sb_stream_u64(stream);
    } while (value < surplus);
    return value % bound;
}

double sb_stream_uniform(struct sb_stream *stream) {
    return (double)(sb_stream_u64(stream) >> 11) * 0x1p-53;
}

double sb_stream_normal(struct sb_stream *stream) {
    double radius = sb_sqrt(-2.0 * sb_log(1.0 - sb_stream_uniform(stream)));
    double sine, cosine;
    sb_sincos_turns(sb_stream_uniform(stream), &sine, &cosine);
    return radius * cosine;
}

void sb_stream_fill_uniform(struct sb_stream *stream, float low, float high, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        /* 24 bits: each is a float, so that no rounding reaches 1. */
        float share = (float)(sb_stream_u32(stream) >> 8) * 0x1p-24f;
        out[i] = low + share * (high - low);
    }
}

void sb_stream_fill_normal(struct sb_stream *stream, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = (float)sb_stream_normal(stream);
}
