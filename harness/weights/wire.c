/* Stage 4, weights: values as bytes. See weights/wire.h. */
#include "weights/wire.h"

#include "base/cleanup.h"
#include "weights/tensors.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NO_STRING UINT64_MAX

void sb_wire_put(struct sb_text *wire, const void *bytes, size_t n) {
    sb_text_add(wire, bytes, n);
}

void sb_wire_put_u64(struct sb_text *wire, uint64_t value) {
    sb_wire_put(wire, &value, sizeof value);
}

void sb_wire_put_string(struct sb_text *wire, const char *string) {
    sb_wire_put_u64(wire, string ? strlen(string) : NO_STRING);
    if (string)
        sb_wire_put(wire, string, strlen(string));
}

void sb_wire_put_info(struct sb_text *wire, const struct sb_tensor_info *info) {
    unsigned char small[2] = {(unsigned char)info->dtype, (unsigned char)info->rank};
    sb_wire_put_string(wire, info->name);
    sb_wire_put(wire, small, sizeof small);
    sb_wire_put(wire, info->dims, info->rank * sizeof *info->dims);
}

void sb_wire_put_fingerprint(struct sb_text *wire, const struct sb_fingerprint *fingerprint) {
    unsigned char flags[2] = {fingerprint->all_zero, fingerprint->all_nan};
    sb_wire_put_string(wire, fingerprint->text);
    sb_wire_put(wire, &fingerprint->sum, sizeof fingerprint->sum);
    sb_wire_put(wire, flags, sizeof flags);
    sb_wire_put_u64(wire, fingerprint->n_tensors);
    for (size_t i = 0; i < fingerprint->n_tensors; i++) {
        const struct sb_tensor_digest *tensor = &fingerprint->tensors[i];
        unsigned char tensor_flags[2] = {tensor->all_zero, tensor->all_nan};
        const struct sb_tensor_info info = sb_tensor_label_info(&tensor->info);
        sb_wire_put_info(wire, &info);
        sb_wire_put_string(wire, tensor->digest);
        sb_wire_put(wire, &tensor->sum, sizeof tensor->sum);
        sb_wire_put(wire, tensor_flags, sizeof tensor_flags);
    }
    sb_wire_put_u64(wire, fingerprint->n_ignored);
    for (size_t i = 0; i < fingerprint->n_ignored; i++)
        sb_wire_put_string(wire, fingerprint->ignored[i]);
    sb_wire_put_u64(wire, fingerprint->n_parts);
    for (size_t i = 0; i < fingerprint->n_parts; i++) {
        sb_wire_put_u64(wire, fingerprint->parts[i].of);
        sb_wire_put_string(wire, fingerprint->parts[i].name);
    }
}

void sb_wire_get(struct sb_wire *wire, void *bytes, size_t n) {
    if (wire->failed || n > wire->left) {
        wire->failed = true;
        memset(bytes, 0, n);
        return;
    }
    if (n)
        memcpy(bytes, wire->next, n);
    wire->next += n;
    wire->left -= n;
}

uint64_t sb_wire_get_u64(struct sb_wire *wire) {
    uint64_t value;
    sb_wire_get(wire, &value, sizeof value);
    return value;
}

char *sb_wire_get_string(struct sb_wire *wire) {
    uint64_t n = sb_wire_get_u64(wire);
    if (wire->failed || n == NO_STRING)
        return NULL;
    if (n > wire->left || memchr(wire->next, '\0', n)) {
        wire->failed = true;
        return NULL;
    }
    char *string = strndup(wire->next, n);
    wire->failed |= !string;
    wire->next += n;
    wire->left -= n;
    return string;
}

/* Terminals, and the lines of a fingerprint, rest on it. */
static bool printable(const char *string) {
    for (; string && *string; string++) {
        if ((unsigned char)*string < 0x20)
            return false;
    }
    return string != NULL;
}

/* A string into a buffer of a struct. */
static void get_text(struct sb_wire *wire, char *text, size_t size) {
    SB_AUTO_FREE char *string = sb_wire_get_string(wire);
    if (printable(string) && strlen(string) < size)
        memcpy(text, string, strlen(string) + 1);
    else
        wire->failed = true;
}

void sb_wire_get_info(struct sb_wire *wire, struct sb_tensor_info *info) {
    unsigned char small[2];
    *info = (struct sb_tensor_info){.name = sb_wire_get_string(wire)};
    sb_wire_get(wire, small, sizeof small);
    if (!printable(info->name) || small[0] >= SB_N_DTYPES || small[1] > SB_MAX_RANK) {
        wire->failed = true;
        return;
    }
    info->dtype = small[0];
    info->rank = small[1];
    sb_wire_get(wire, info->dims, info->rank * sizeof *info->dims);
    if (sb_tensor_info_count(info, NULL) < 0)
        wire->failed = true;
}

static void get_tensor(struct sb_wire *wire, struct sb_tensor_digest *tensor) {
    unsigned char flags[2];
    struct sb_tensor_info info;
    sb_wire_get_info(wire, &info);
    if (!wire->failed && sb_tensor_label_make(&info, &tensor->info) < 0)
        wire->failed = true;
    free(info.name);
    get_text(wire, tensor->digest, sizeof tensor->digest);
    sb_wire_get(wire, &tensor->sum, sizeof tensor->sum);
    sb_wire_get(wire, flags, sizeof flags);
    tensor->all_zero = flags[0];
    tensor->all_nan = flags[1];
}

/* A count of things that each take at least so many bytes: what is allocated for them stays in
 * proportion to what was sent. */
static size_t get_count(struct sb_wire *wire, size_t least_bytes) {
    uint64_t n = sb_wire_get_u64(wire);
    if (n > wire->left / least_bytes)
        wire->failed = true;
    return wire->failed ? 0 : (size_t)n;
}

static void get_tensors(struct sb_wire *wire, struct sb_fingerprint *got) {
    enum { LEAST_BYTES = 8 + 2 + 8 + 8 + 2 };
    size_t n = get_count(wire, LEAST_BYTES);
    got->tensors = calloc(n + 1, sizeof *got->tensors);
    wire->failed |= !got->tensors;
    for (; got->n_tensors < n && !wire->failed; got->n_tensors++)
        get_tensor(wire, &got->tensors[got->n_tensors]);
}

static void get_ignored(struct sb_wire *wire, struct sb_fingerprint *got) {
    size_t n = get_count(wire, sizeof(uint64_t));
    got->ignored = calloc(n + 1, sizeof *got->ignored);
    wire->failed |= !got->ignored;
    for (; got->n_ignored < n && !wire->failed; got->n_ignored++) {
        got->ignored[got->n_ignored] = sb_wire_get_string(wire);
        wire->failed |= !printable(got->ignored[got->n_ignored]);
    }
}

/* A name that leads nowhere but to a file of the folder it is looked for in. */
static bool plain(const char *name) {
    return name && *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void get_parts(struct sb_wire *wire, struct sb_fingerprint *got) {
    size_t n = get_count(wire, 2 * sizeof(uint64_t));
    got->parts = calloc(n + 1, sizeof *got->parts);
    wire->failed |= !got->parts;
    for (; got->n_parts < n && !wire->failed; got->n_parts++) {
        struct sb_part *part = &got->parts[got->n_parts];
        part->of = (size_t)sb_wire_get_u64(wire);
        part->name = sb_wire_get_string(wire);
        wire->failed |= !plain(part->name);
    }
}

int sb_wire_get_fingerprint(struct sb_wire *wire, struct sb_fingerprint *fingerprint) {
    SB_CLEANUP(sb_fingerprint_clear) struct sb_fingerprint got = {0};
    unsigned char flags[2];
    get_text(wire, got.text, sizeof got.text);
    sb_wire_get(wire, &got.sum, sizeof got.sum);
    sb_wire_get(wire, flags, sizeof flags);
    got.all_zero = flags[0];
    got.all_nan = flags[1];
    get_tensors(wire, &got);
    get_ignored(wire, &got);
    get_parts(wire, &got);
    if (wire->failed || wire->left)
        return -EBADMSG;
    *fingerprint = got;
    got = (struct sb_fingerprint){0};
    return 0;
}
