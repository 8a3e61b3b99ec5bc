/* Stage 4, weights: walks through messages of Protocol Buffers where they lie, without a schema.
 * https://protobuf.dev/programming-guides/encoding */
#ifndef SB_WEIGHTS_PROTOBUF_H
#define SB_WEIGHTS_PROTOBUF_H

#include "weights/stream.h"

enum sb_wire_type {
    SB_WIRE_VARINT = 0,
    SB_WIRE_FIXED64 = 1,
    SB_WIRE_LENGTH = 2,
    SB_WIRE_FIXED32 = 5
};

/* The rest of a message. */
struct sb_protobuf {
    struct sb_window *window; /* lent */
    uint64_t at, end;         /* of the window's bytes */
};

struct sb_field {
    uint32_t number; /* from 1 */
    enum sb_wire_type type;
    uint64_t value;      /* VARINT and FIXED… */
    uint64_t begin, end; /* its content, without tag and length */
};

/* 1: a field, and the message is behind it; 0: the message ended; -EBADMSG: it is none (groups are
 * not known). */
int sb_protobuf_next(struct sb_protobuf *message, struct sb_field *field, struct sb_error *err);

/* The next of the varints that are packed in a field: message is what is left of its content. As
 * above.
 */
int sb_protobuf_varint(struct sb_protobuf *message, uint64_t *value, struct sb_error *err);

/* A field of LENGTH as a message. */
struct sb_protobuf sb_protobuf_of(const struct sb_protobuf *outer, const struct sb_field *field);

#endif
