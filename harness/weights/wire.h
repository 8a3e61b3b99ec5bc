/* Stage 4, weights: values as bytes, between a parser and those who wait for it. What comes from a
 * parser is not trusted: every read is checked. */
#ifndef SB_WEIGHTS_WIRE_H
#define SB_WEIGHTS_WIRE_H

#include "base/text.h"

#include <samebits/weights.h>

void sb_wire_put(struct sb_text *wire, const void *bytes, size_t n);
void sb_wire_put_u64(struct sb_text *wire, uint64_t value);
void sb_wire_put_string(struct sb_text *wire, const char *string); /* NULL stays NULL */
void sb_wire_put_info(struct sb_text *wire, const struct sb_tensor_info *info);
void sb_wire_put_fingerprint(struct sb_text *wire, const struct sb_fingerprint *fingerprint);

/* Where to read on. After the first value that is not there, or is none, `failed` is set and all
 * further ones are 0 or NULL. */
struct sb_wire {
    const char *next;
    size_t left;
    bool failed;
};

void sb_wire_get(struct sb_wire *wire, void *bytes, size_t n);
uint64_t sb_wire_get_u64(struct sb_wire *wire);
char *sb_wire_get_string(struct sb_wire *wire); /* malloc'd */
/* The name is malloc'd and the caller's, on failure too; the count is computed, not believed. */
void sb_wire_get_info(struct sb_wire *wire, struct sb_tensor_info *info);
/* -EBADMSG where the bytes are no fingerprint; nothing is set then. */
int sb_wire_get_fingerprint(struct sb_wire *wire, struct sb_fingerprint *fingerprint);

#endif
