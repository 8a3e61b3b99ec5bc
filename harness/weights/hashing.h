/* Stage 4, weights: tensors to digests and sums, one after the other or several at once. */
#ifndef SB_WEIGHTS_HASHING_H
#define SB_WEIGHTS_HASHING_H

#include "weights/digest.h"
#include "weights/stream.h"

/* What a fingerprint takes of one tensor. */
struct sb_hashed {
    char digest[SB_DIGEST_TEXT];
    double sum;
    bool all_zero, all_nan;
};

/* Digest and sum of one tensor at a time, in one pass over its elements. */
struct sb_hashing {
    struct sb_digest *digest;
    struct sb_sum sum;
};

int sb_hashing_open(struct sb_hashing *hashing, enum sb_digest_kind kind); /* 0 or -ENOMEM */
void sb_hashing_close(struct sb_hashing *hashing);
void sb_hashing_begin(struct sb_hashing *hashing, enum sb_dtype dtype);
void sb_hashing_add(struct sb_hashing *hashing, const void *elements, uint64_t n);
/* -EIO where the digest failed. The next may begin. */
int sb_hashing_end(struct sb_hashing *hashing, struct sb_hashed *hashed);

/* A tensor whose elements lie in a file as they are. The name is borrowed until it is hashed. */
struct sb_range {
    size_t tensor; /* the caller's number for it */
    struct sb_tensor_info info;
    struct sb_bytes bytes;
    bool big_endian;
    uint64_t offset;
};

/* Ranges hashed by so many threads at most, that of the caller among them. */
struct sb_hashers;

/* `done` is called for each range that was hashed, never by two threads at once. 0 or -ENOMEM. */
int sb_hashers_new(enum sb_digest_kind kind, unsigned threads,
                   void (*done)(void *context, size_t tensor, const struct sb_hashed *hashed),
                   void *context, struct sb_hashers **hashers);
/* Has the range hashed now or later. An error of an earlier one ends the reading. */
int sb_hashers_put(struct sb_hashers *hashers, const struct sb_range *range, struct sb_error *err);
/* Waits until all are hashed. Of several errors that of the first tensor. */
int sb_hashers_wait(struct sb_hashers *hashers, struct sb_error *err);
/* Around whatever `done` must not meet. */
void sb_hashers_lock(struct sb_hashers *hashers);
void sb_hashers_unlock(struct sb_hashers *hashers);
void sb_hashers_free(struct sb_hashers *hashers); /* may be NULL */

#endif
