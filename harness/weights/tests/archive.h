/* Zip archives, made byte by byte for tests. */
#ifndef SB_WEIGHTS_TESTS_ARCHIVE_H
#define SB_WEIGHTS_TESTS_ARCHIVE_H

#include <samebits/weights.h>

#include "base/file.h"
#include "tests/testing.h"

#include <string.h>
#include <zlib.h>

static char folder[] = "/tmp/samebits-zip-XXXXXX";
static char path[64];

/* An archive under construction; the directory is kept apart until it is closed. */
struct archive {
    unsigned char bytes[65536], directory[8192];
    size_t n, n_directory, members;
    bool wide; /* sizes and offsets in the 64-bit form */
};

static inline void put(unsigned char *bytes, size_t *n, uint64_t value, int size) {
    for (int i = 0; i < size; i++)
        bytes[(*n)++] = i < 8 ? (unsigned char)(value >> 8 * i) : 0;
}

static inline void put_bytes(unsigned char *bytes, size_t *n, const void *data, size_t size) {
    memcpy(bytes + *n, data, size);
    *n += size;
}

static inline size_t squeeze(const void *data, size_t n, unsigned char *out, size_t room) {
    z_stream z = {.next_in = (unsigned char *)data,
                  .avail_in = (uInt)n,
                  .next_out = out,
                  .avail_out = (uInt)room};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

/* What local header and directory share: flags, method, time, sum, sizes, length of the name. */
static inline void put_common(unsigned char *bytes, size_t *n, int method, uLong crc, size_t packed,
                              size_t size, size_t n_name, bool wide) {
    put(bytes, n, 0, 2);
    put(bytes, n, (uint64_t)method, 2);
    put(bytes, n, 0, 4);
    put(bytes, n, crc, 4);
    put(bytes, n, wide ? UINT32_MAX : packed, 4);
    put(bytes, n, wide ? UINT32_MAX : size, 4);
    put(bytes, n, n_name, 2);
}

static inline void add(struct archive *a, const char *name, const void *data, size_t size,
                       bool deflated) {
    static unsigned char packed[65536];
    size_t n_packed = size, at = a->n, n_name = strlen(name);
    if (deflated)
        n_packed = squeeze(data, size, packed, sizeof packed);
    else
        memcpy(packed, data, size);
    uLong crc = crc32(crc32(0, NULL, 0), data, (uInt)size);
    put_bytes(a->bytes, &a->n, "PK\3\4\24\0", 6);
    put_common(a->bytes, &a->n, deflated ? 8 : 0, crc, n_packed, size, n_name, false);
    put(a->bytes, &a->n, 0, 2);
    put_bytes(a->bytes, &a->n, name, n_name);
    put_bytes(a->bytes, &a->n, packed, n_packed);
    put_bytes(a->directory, &a->n_directory, "PK\1\2\24\0\24\0", 8);
    put_common(a->directory, &a->n_directory, deflated ? 8 : 0, crc, n_packed, size, n_name,
               a->wide);
    put(a->directory, &a->n_directory, a->wide ? 28 : 0, 2);
    put(a->directory, &a->n_directory, 0, 2 + 2 + 2 + 4);
    put(a->directory, &a->n_directory, a->wide ? UINT32_MAX : at, 4);
    put_bytes(a->directory, &a->n_directory, name, n_name);
    if (a->wide) {
        put(a->directory, &a->n_directory, 1, 2);
        put(a->directory, &a->n_directory, 24, 2);
        put(a->directory, &a->n_directory, size, 8);
        put(a->directory, &a->n_directory, n_packed, 8);
        put(a->directory, &a->n_directory, at, 8);
    }
    a->members++;
}

static inline void put_wide_end(struct archive *a, size_t directory_at) {
    size_t at = a->n;
    put_bytes(a->bytes, &a->n, "PK\6\6", 4);
    put(a->bytes, &a->n, 44, 8);
    put(a->bytes, &a->n, 0, 2 + 2 + 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, a->members, 8);
    put(a->bytes, &a->n, a->members, 8);
    put(a->bytes, &a->n, a->n_directory, 8);
    put(a->bytes, &a->n, directory_at, 8);
    put_bytes(a->bytes, &a->n, "PK\6\7", 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, at, 8);
    put(a->bytes, &a->n, 1, 4);
}

static inline void finish(struct archive *a) {
    size_t at = a->n;
    put_bytes(a->bytes, &a->n, a->directory, a->n_directory);
    if (a->wide)
        put_wide_end(a, at);
    put_bytes(a->bytes, &a->n, "PK\5\6", 4);
    put(a->bytes, &a->n, 0, 4);
    put(a->bytes, &a->n, a->wide ? UINT16_MAX : a->members, 2);
    put(a->bytes, &a->n, a->wide ? UINT16_MAX : a->members, 2);
    put(a->bytes, &a->n, a->wide ? UINT32_MAX : a->n_directory, 4);
    put(a->bytes, &a->n, a->wide ? UINT32_MAX : at, 4);
    put(a->bytes, &a->n, 0, 2);
}

static inline char *save(const struct archive *a, const char *name) {
    if (strstr(folder, "XXXXXX"))
        ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(sb_file_write(path, (const char *)a->bytes, a->n, NULL), 0);
    return path;
}

static inline void clean_up(void) {
    ck_assert_int_eq(sb_remove_tree(folder, NULL), 0);
}

static inline int fingerprint(char *file, struct sb_fingerprint *found, struct sb_error *err) {
    const struct sb_weights_files files = {.paths = &file, .n = 1};
    *found = (struct sb_fingerprint){0};
    return sb_weights_fingerprint(&files, NULL, found, err);
}

#endif
