/* Stage 5, compare: a difference in few bytes. See compare/packed.h.
 *
 * The bytes: name, NUL; dtype, rank, and one for each dimension. Of a tensor that is not the same
 * on both sides, after them: what changed, NUL; shape, within, number of elements; first and worst
 * index; max_rel, factor, offset; of the histogram the buckets that count any, each with its
 * number. Whole numbers take seven bits to a byte, the least first. */
#include "compare/packed.h"

#include "base/text.h"
#include "weights/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void put_number(struct sb_text *bytes, uint64_t number) {
    for (; number > 0x7f; number >>= 7)
        sb_text_putc(bytes, (char)(0x80 | (number & 0x7f)));
    sb_text_putc(bytes, (char)number);
}

static uint64_t get_number(const char **at) {
    uint64_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        unsigned char byte = (unsigned char)*(*at)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
}

static void put_double(struct sb_text *bytes, double value) {
    sb_text_add(bytes, (const char *)&value, sizeof value);
}

static double get_double(const char **at) {
    double value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return value;
}

static void put_string(struct sb_text *bytes, const char *string) {
    sb_text_add(bytes, string, strlen(string) + 1);
}

static const char *get_string(const char **at) {
    const char *string = *at;
    *at += strlen(string) + 1;
    return string;
}

static void put_numbers(struct sb_text *bytes, const uint64_t *numbers, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        put_number(bytes, numbers[i]);
}

static void get_numbers(const char **at, uint64_t *numbers, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        numbers[i] = get_number(at);
}

static void put_histogram(struct sb_text *bytes, const uint64_t *histogram) {
    unsigned n = 0;
    for (unsigned i = 0; i < SB_ULP_BUCKETS; i++)
        n += histogram[i] != 0;
    put_number(bytes, n);
    for (unsigned i = 0; i < SB_ULP_BUCKETS; i++) {
        if (!histogram[i])
            continue;
        put_number(bytes, i);
        put_number(bytes, histogram[i]);
    }
}

static void get_histogram(const char **at, uint64_t *histogram) {
    for (uint64_t n = get_number(at); n > 0; n--) {
        uint64_t bucket = get_number(at);
        histogram[bucket] = get_number(at);
    }
}

static void put_difference(struct sb_text *bytes, const struct sb_tensor_difference *difference) {
    put_string(bytes, difference->changed ? difference->changed : "");
    put_number(bytes, difference->shape);
    put_number(bytes, difference->within);
    put_number(bytes, difference->n_different);
    put_numbers(bytes, difference->first, difference->info.rank);
    put_numbers(bytes, difference->worst, difference->info.rank);
    put_double(bytes, difference->max_rel);
    put_double(bytes, difference->factor);
    put_double(bytes, difference->offset);
    put_histogram(bytes, difference->ulp_histogram);
}

static void get_difference(const char *at, struct sb_tensor_difference *difference) {
    const char *changed = get_string(&at);
    if (difference->state == SB_TENSOR_CHANGED_TYPE && *changed)
        difference->changed = (char *)changed;
    difference->shape = (enum sb_shape)get_number(&at);
    difference->within = get_number(&at);
    difference->n_different = get_number(&at);
    get_numbers(&at, difference->first, difference->info.rank);
    get_numbers(&at, difference->worst, difference->info.rank);
    difference->max_rel = get_double(&at);
    difference->factor = get_double(&at);
    difference->offset = get_double(&at);
    get_histogram(&at, difference->ulp_histogram);
}

int sb_packed_make(const struct sb_tensor_difference *difference,
                   struct sb_packed_difference *packed) {
    const struct sb_tensor_info *info = &difference->info;
    struct sb_text bytes = {0};
    put_string(&bytes, info->name);
    put_number(&bytes, info->dtype);
    put_number(&bytes, info->rank);
    put_numbers(&bytes, info->dims, info->rank);
    if (difference->state != SB_TENSOR_SAME)
        put_difference(&bytes, difference);
    *packed = (struct sb_packed_difference){
        .bytes = bytes.failed ? NULL : malloc(bytes.length),
        .max_ulp = difference->max_ulp,
        .max_abs = difference->max_abs,
        .share = difference->share,
        .grade = (unsigned char)difference->grade,
        .state = (unsigned char)difference->state,
        .permuted_axis = (signed char)difference->permuted_axis,
    };
    if (packed->bytes)
        memcpy(packed->bytes, bytes.data, bytes.length);
    sb_text_clear(&bytes);
    return packed->bytes ? 0 : -ENOMEM;
}

void sb_packed_clear(struct sb_packed_difference *packed) {
    free(packed->bytes);
    *packed = (struct sb_packed_difference){0};
}

const char *sb_packed_name(const struct sb_packed_difference *packed) {
    return packed->bytes;
}

void sb_packed_spread(const struct sb_packed_difference *packed,
                      struct sb_tensor_difference *difference) {
    const char *at = packed->bytes;
    *difference = (struct sb_tensor_difference){
        .info.name = (char *)get_string(&at),
        .max_ulp = packed->max_ulp,
        .max_abs = packed->max_abs,
        .share = packed->share,
        .grade = (enum sb_grade)packed->grade,
        .permuted_axis = packed->permuted_axis,
    };
    struct sb_tensor_info *info = &difference->info;
    difference->state = packed->state;
    info->dtype = (enum sb_dtype)get_number(&at);
    info->rank = (unsigned)get_number(&at);
    get_numbers(&at, info->dims, info->rank);
    sb_tensor_info_count(info, NULL);
    if (difference->state != SB_TENSOR_SAME) {
        get_difference(at, difference);
        return;
    }
    difference->within = true;
    difference->ulp_histogram[0] = info->n_elements;
}
