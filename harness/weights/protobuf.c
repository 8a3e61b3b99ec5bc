/* Stage 4, weights: Protocol Buffers. See weights/protobuf.h. */
#include "weights/protobuf.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>

enum { MOST_VARINT_BYTES = 10 };

static int damaged(const struct sb_protobuf *message, const char *what, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "a message is damaged: %s (byte %" PRIu64 ")", what,
                        message->at);
}

static int get_varint(struct sb_protobuf *message, uint64_t *value, struct sb_error *err) {
    unsigned char byte;
    *value = 0;
    for (unsigned i = 0; i < MOST_VARINT_BYTES; i++) {
        if (message->at == message->end ||
            sb_window_read(message->window, &byte, 1, message->at) < 0)
            return damaged(message, "it ends in a number", err);
        message->at++;
        *value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80)
            return 0;
    }
    return damaged(message, "a number has no end", err);
}

static int get_fixed(struct sb_protobuf *message, unsigned bytes, uint64_t *value,
                     struct sb_error *err) {
    *value = 0;
    if (message->end - message->at < bytes ||
        sb_window_read(message->window, value, bytes, message->at) < 0)
        return damaged(message, "it ends in a number", err);
    message->at += bytes;
    *value = le64toh(*value);
    return 0;
}

static int get_content(struct sb_protobuf *message, struct sb_field *field, struct sb_error *err) {
    switch (field->type) {
    case SB_WIRE_VARINT:
        return get_varint(message, &field->value, err);
    case SB_WIRE_FIXED64:
        return get_fixed(message, 8, &field->value, err);
    case SB_WIRE_FIXED32:
        return get_fixed(message, 4, &field->value, err);
    case SB_WIRE_LENGTH:
        break;
    default:
        return damaged(message, "a field of a kind that is not known", err);
    }
    int r = get_varint(message, &field->value, err);
    if (r < 0)
        return r;
    if (field->value > message->end - message->at)
        return damaged(message, "a field is longer than what it is in", err);
    field->begin = message->at;
    message->at += field->value;
    return 0;
}

int sb_protobuf_next(struct sb_protobuf *message, struct sb_field *field, struct sb_error *err) {
    uint64_t tag;
    if (message->at >= message->end)
        return 0;
    int r = get_varint(message, &tag, err);
    if (r < 0)
        return r;
    if (tag >> 3 == 0 || tag >> 3 >= 1u << 29)
        return damaged(message, "a field has no number", err);
    *field = (struct sb_field){
        .number = (uint32_t)(tag >> 3), .type = (enum sb_wire_type)(tag & 7), .begin = message->at};
    r = get_content(message, field, err);
    field->end = message->at;
    return r < 0 ? r : 1;
}

int sb_protobuf_varint(struct sb_protobuf *message, uint64_t *value, struct sb_error *err) {
    if (message->at >= message->end)
        return 0;
    int r = get_varint(message, value, err);
    return r < 0 ? r : 1;
}

struct sb_protobuf sb_protobuf_of(const struct sb_protobuf *outer, const struct sb_field *field) {
    return (struct sb_protobuf){outer->window, field->begin, field->end};
}
