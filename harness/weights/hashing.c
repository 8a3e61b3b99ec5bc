/* Stage 4, weights: digest and sum of a tensor in one pass. See weights/hashing.h. */
#include "weights/hashing.h"

#include <errno.h>

int sb_hashing_open(struct sb_hashing *hashing, enum sb_digest_kind kind) {
    *hashing = (struct sb_hashing){.digest = sb_digest_new(kind)};
    return hashing->digest ? 0 : -ENOMEM;
}

void sb_hashing_close(struct sb_hashing *hashing) {
    sb_digest_free(hashing->digest);
    hashing->digest = NULL;
}

void sb_hashing_begin(struct sb_hashing *hashing, enum sb_dtype dtype) {
    sb_sum_begin(&hashing->sum, dtype);
}

void sb_hashing_add(struct sb_hashing *hashing, const void *elements, uint64_t n) {
    enum { BLOCK = 4096 }; /* elements that stay in the first cache between digest and sum */
    size_t size = sb_dtype_size(hashing->sum.dtype);
    const char *next = elements;
    while (n) {
        uint64_t block = n < BLOCK ? n : BLOCK;
        sb_digest_add(hashing->digest, next, block * size);
        sb_sum_add(&hashing->sum, next, block);
        next += block * size;
        n -= block;
    }
}

int sb_hashing_end(struct sb_hashing *hashing, struct sb_hashed *hashed) {
    hashed->sum = sb_sum_total(&hashing->sum);
    hashed->all_zero = hashing->sum.all_zero;
    hashed->all_nan = hashing->sum.all_nan;
    return sb_digest_finish(hashing->digest, hashed->digest);
}
