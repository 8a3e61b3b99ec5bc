/* Stage 5, compare: a comparison as bytes. See compare/answer.h. */
#include "compare/answer.h"

#include "base/cleanup.h"
#include "weights/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum message { MESSAGE_END, MESSAGE_TENSOR, MESSAGE_AXIS };

#define NO_AXIS UINT64_MAX

static void put_double(struct sb_text *wire, double value) {
    sb_wire_put(wire, &value, sizeof value);
}

static double get_double(struct sb_wire *wire) {
    double value;
    sb_wire_get(wire, &value, sizeof value);
    return value;
}

/* A number below a limit. */
static uint64_t get_below(struct sb_wire *wire, uint64_t limit) {
    uint64_t value = sb_wire_get_u64(wire);
    if (value < limit)
        return value;
    wire->failed = true;
    return 0;
}

/* Buckets that count any: few do. */
static void put_histogram(struct sb_text *wire, const uint64_t *histogram) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < SB_ULP_BUCKETS; i++)
        n += histogram[i] != 0;
    sb_wire_put_u64(wire, n);
    for (uint64_t i = 0; i < SB_ULP_BUCKETS; i++) {
        if (!histogram[i])
            continue;
        sb_wire_put_u64(wire, i);
        sb_wire_put_u64(wire, histogram[i]);
    }
}

static void get_histogram(struct sb_wire *wire, uint64_t *histogram) {
    for (uint64_t n = get_below(wire, SB_ULP_BUCKETS + 1); n > 0 && !wire->failed; n--) {
        uint64_t bucket = get_below(wire, SB_ULP_BUCKETS);
        histogram[bucket] = sb_wire_get_u64(wire);
    }
}

void sb_answer_put_tensor(struct sb_text *answer, const struct sb_tensor_difference *difference) {
    sb_wire_put_u64(answer, MESSAGE_TENSOR);
    sb_wire_put_info(answer, &difference->info);
    sb_wire_put_u64(answer, difference->state);
    if (difference->state == SB_TENSOR_SAME)
        return;
    sb_wire_put_string(answer, difference->changed);
    sb_wire_put_u64(answer, difference->grade);
    sb_wire_put_u64(answer, difference->shape);
    sb_wire_put_u64(answer, difference->within);
    sb_wire_put_u64(answer, difference->n_different);
    put_double(answer, difference->share);
    put_double(answer, difference->max_abs);
    put_double(answer, difference->max_rel);
    put_double(answer, difference->max_ulp);
    size_t index_bytes = difference->info.rank * sizeof *difference->first;
    sb_wire_put(answer, difference->first, index_bytes);
    sb_wire_put(answer, difference->worst, index_bytes);
    put_histogram(answer, difference->ulp_histogram);
    put_double(answer, difference->factor);
    put_double(answer, difference->offset);
    sb_answer_put_axis(answer, 0, difference->permuted_axis);
}

void sb_answer_put_axis(struct sb_text *answer, uint64_t index, int axis) {
    sb_wire_put_u64(answer, MESSAGE_AXIS);
    sb_wire_put_u64(answer, index);
    sb_wire_put_u64(answer, axis < 0 ? NO_AXIS : (uint64_t)axis);
}

void sb_answer_put_end(struct sb_text *answer) {
    sb_wire_put_u64(answer, MESSAGE_END);
}

static int get_axis(struct sb_wire *wire, unsigned rank) {
    uint64_t axis = sb_wire_get_u64(wire);
    if (axis == NO_AXIS)
        return -1;
    wire->failed |= axis >= rank;
    return wire->failed ? -1 : (int)axis;
}

static void get_index(struct sb_wire *wire, const struct sb_tensor_info *info, uint64_t *index) {
    for (unsigned i = 0; i < info->rank; i++) {
        index[i] = sb_wire_get_u64(wire);
        wire->failed |= info->dims[i] ? index[i] >= info->dims[i] : index[i] != 0;
    }
}

static bool printable(const char *string) {
    for (; *string; string++) {
        if ((unsigned char)*string < 0x20)
            return false;
    }
    return true;
}

static void get_difference(struct sb_wire *wire, struct sb_tensor_difference *difference) {
    const struct sb_tensor_info *info = &difference->info;
    difference->changed = sb_wire_get_string(wire);
    if ((difference->state == SB_TENSOR_CHANGED_TYPE) != (difference->changed != NULL) ||
        (difference->changed && !printable(difference->changed)))
        wire->failed = true;
    difference->grade = (enum sb_grade)get_below(wire, SB_GRADE_DIVERGENT + 1);
    difference->shape = (enum sb_shape)get_below(wire, SB_SHAPE_GROWN + 1);
    difference->within = get_below(wire, 2);
    difference->n_different = sb_wire_get_u64(wire);
    difference->share = get_double(wire);
    difference->max_abs = get_double(wire);
    difference->max_rel = get_double(wire);
    difference->max_ulp = get_double(wire);
    get_index(wire, info, difference->first);
    get_index(wire, info, difference->worst);
    get_histogram(wire, difference->ulp_histogram);
    difference->factor = get_double(wire);
    difference->offset = get_double(wire);
    get_below(wire, MESSAGE_AXIS + 1);
    sb_wire_get_u64(wire);
    difference->permuted_axis = get_axis(wire, info->rank);
}

static void get_tensor(struct sb_wire *wire, struct sb_tensor_difference *difference) {
    *difference = (struct sb_tensor_difference){.permuted_axis = -1};
    sb_wire_get_info(wire, &difference->info);
    uint64_t state = get_below(wire, SB_TENSOR_CHANGED_TYPE + 1);
    if (wire->failed)
        return;
    difference->state = (int)state;
    if (state != SB_TENSOR_SAME) {
        get_difference(wire, difference);
        return;
    }
    difference->within = true;
    difference->ulp_histogram[0] = difference->info.n_elements;
}

/* One tensor from the wire, as untrusted as the wire, into the comparison. */
static int take_tensor(struct sb_wire *wire, struct sb_comparison *comparison) {
    struct sb_tensor_difference difference;
    get_tensor(wire, &difference);
    int r = wire->failed ? -EBADMSG : sb_comparison_add(comparison, &difference);
    free(difference.info.name);
    free(difference.changed);
    return r;
}

static int take_axis(struct sb_wire *wire, struct sb_comparison *comparison) {
    uint64_t index = get_below(wire, comparison->n_tensors);
    if (wire->failed)
        return -EBADMSG;
    struct sb_tensor_difference difference;
    sb_comparison_tensor(comparison, index, &difference);
    comparison->tensors[index].permuted_axis = (signed char)get_axis(wire, difference.info.rank);
    return wire->failed ? -EBADMSG : 0;
}

/* 0: the answer ended in it. */
static int take_block(struct sb_wire *wire, struct sb_comparison *comparison) {
    while (wire->left) {
        uint64_t message = get_below(wire, MESSAGE_AXIS + 1);
        if (wire->failed)
            return -EBADMSG;
        if (message == MESSAGE_END)
            return wire->left ? -EBADMSG : 0;
        int r =
            message == MESSAGE_TENSOR ? take_tensor(wire, comparison) : take_axis(wire, comparison);
        if (r < 0)
            return r;
    }
    return 1;
}

void sb_answer_block(struct sb_text *answer, struct sb_text *block) {
    block->length = 0;
    block->failed |= answer->failed;
    sb_wire_put_u64(block, answer->length);
    sb_wire_put(block, answer->data, answer->length);
    answer->length = 0;
}

int sb_answer_take(struct sb_text *received, struct sb_comparison *comparison) {
    struct sb_wire wire = {.next = received->data, .left = received->length};
    int r = 1;
    for (uint64_t n; r == 1 && wire.left >= sizeof n;) {
        memcpy(&n, wire.next, sizeof n);
        if (n > wire.left - sizeof n)
            break;
        struct sb_wire block = {.next = wire.next + sizeof n, .left = n};
        r = take_block(&block, comparison);
        wire.next += sizeof n + n;
        wire.left -= sizeof n + n;
    }
    if (r == 0 && wire.left)
        return -EBADMSG;
    if (received->data)
        memmove(received->data, wire.next, wire.left);
    received->length = wire.left;
    return r;
}
