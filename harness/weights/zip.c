/* Stage 4, weights: the directory of a zip archive. See weights/zip.h. */
#include "weights/zip.h"

#include "base/cleanup.h"
#include "weights/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20, /* before the end record, where the archive is in the 64-bit form */
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MOST_COMMENT = 65535,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1,
    EXTRA_64 = 1,
    MOST_DEFLATED = 1032, /* bytes out of one: 258 out of two bits (RFC 1951) */
};

static uint16_t u16(const unsigned char *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t u32(const unsigned char *at) {
    return u16(at) | (uint32_t)u16(at + 2) << 16;
}

static uint64_t u64(const unsigned char *at) {
    return u32(at) | (uint64_t)u32(at + 4) << 32;
}

static int bad(struct sb_error *err, const char *why) {
    return sb_error_set(err, -EBADMSG, "zip: %s", why);
}

static int get(int fd, void *data, size_t n, uint64_t offset, struct sb_error *err) {
    int rc = sb_read_at(fd, data, n, offset);
    return rc == -EBADMSG ? bad(err, "the file ends in the middle of a record")
           : rc < 0       ? sb_error_errno(err, rc, "zip")
                          : 0;
}

/* ---- Where the directory is ------------------------------------------------------------------ */

struct directory {
    uint64_t offset, bytes, n_members;
};

static int read_end64(int fd, uint64_t end_at, struct directory *directory, struct sb_error *err) {
    unsigned char locator[LOCATOR_BYTES], end[END64_BYTES];
    if (end_at < LOCATOR_BYTES)
        return bad(err, "no place for its 64-bit record");
    int rc = get(fd, locator, sizeof locator, end_at - LOCATOR_BYTES, err);
    if (rc == 0 && memcmp(locator, "PK\6\7", 4) != 0)
        return bad(err, "its 64-bit record is missing");
    if (rc == 0)
        rc = get(fd, end, sizeof end, u64(locator + 8), err);
    if (rc == 0 && memcmp(end, "PK\6\6", 4) != 0)
        return bad(err, "its 64-bit record is not where it should be");
    if (rc == 0)
        *directory = (struct directory){u64(end + 48), u64(end + 40), u64(end + 32)};
    return rc;
}

/* The end record is followed by a comment of up to 64 KiB and nothing else. */
static int find_directory(int fd, uint64_t file_bytes, struct directory *directory,
                          struct sb_error *err) {
    size_t room = END_BYTES + MOST_COMMENT, n = file_bytes < room ? (size_t)file_bytes : room;
    SB_AUTO_FREE unsigned char *tail = malloc(n + 1);
    if (!tail)
        return sb_error_errno(err, -ENOMEM, "zip");
    int rc = get(fd, tail, n, file_bytes - n, err);
    if (rc < 0)
        return rc;
    for (size_t at = n >= END_BYTES ? n - END_BYTES + 1 : 0; at-- > 0;) {
        const unsigned char *end = tail + at;
        if (memcmp(end, "PK\5\6", 4) != 0 || u16(end + 20) != n - at - END_BYTES)
            continue;
        *directory = (struct directory){u32(end + 16), u32(end + 12), u16(end + 10)};
        if (u16(end + 4) != 0 || u16(end + 6) != 0)
            return bad(err, "it is one part of several");
        if (directory->offset == UINT32_MAX || directory->bytes == UINT32_MAX ||
            directory->n_members == UINT16_MAX)
            return read_end64(fd, file_bytes - n + at, directory, err);
        return 0;
    }
    return bad(err, "the file has no directory: it is cut off, or no zip archive");
}

/* ---- Members --------------------------------------------------------------------------------- */

/* In the 64-bit form numbers that do not fit stand in an extra field, in this order, each only
 * where the short one is all ones. */
static int widen(const unsigned char *extra, size_t n, uint64_t *numbers[3], struct sb_error *err) {
    bool needed = false;
    for (int i = 0; i < 3; i++)
        needed |= *numbers[i] == UINT32_MAX;
    while (needed && n >= 4) {
        size_t bytes = u16(extra + 2);
        const unsigned char *at = extra + 4;
        if (bytes > n - 4)
            break;
        for (int i = 0; i < 3 && u16(extra) == EXTRA_64; i++) {
            if (*numbers[i] != UINT32_MAX)
                continue;
            if (at + 8 > extra + 4 + bytes)
                return bad(err, "a 64-bit field is cut off");
            *numbers[i] = u64(at);
            at += 8;
        }
        if (u16(extra) == EXTRA_64)
            return 0;
        extra += 4 + bytes;
        n -= 4 + bytes;
    }
    return needed ? bad(err, "a 64-bit field is missing") : 0;
}

/* One entry of the directory; member->data becomes the place of its local header. */
static int take_entry(const unsigned char *entry, size_t left, size_t *length,
                      struct sb_zip_member *member, struct sb_error *err) {
    if (left < ENTRY_BYTES || memcmp(entry, "PK\1\2", 4) != 0)
        return bad(err, "its directory is damaged");
    size_t n_name = u16(entry + 28), n_extra = u16(entry + 30), n_comment = u16(entry + 32);
    *length = ENTRY_BYTES + n_name + n_extra + n_comment;
    if (*length > left || memchr(entry + ENTRY_BYTES, 0, n_name))
        return bad(err, "its directory is damaged");
    *member = (struct sb_zip_member){.deflated = u16(entry + 10) == DEFLATED,
                                     .crc = u32(entry + 16),
                                     .compressed = u32(entry + 20),
                                     .size = u32(entry + 24),
                                     .data = u32(entry + 42)};
    member->name = strndup((const char *)entry + ENTRY_BYTES, n_name);
    if (!member->name)
        return sb_error_errno(err, -ENOMEM, "zip");
    int rc = widen(entry + ENTRY_BYTES + n_name, n_extra,
                   (uint64_t *[]){&member->size, &member->compressed, &member->data}, err);
    if (rc == 0 && u16(entry + 8) & ENCRYPTED)
        rc = sb_error_set(err, -EBADMSG, "zip: '%s' is encrypted", member->name);
    if (rc == 0 && u16(entry + 10) != STORED && u16(entry + 10) != DEFLATED)
        rc = sb_error_set(err, -EBADMSG, "zip: '%s' is compressed by method %u (known: 0, 8)",
                          member->name, u16(entry + 10));
    if (rc == 0 && !member->deflated && member->size != member->compressed)
        rc = sb_error_set(err, -EBADMSG, "zip: '%s' is stored with two sizes", member->name);
    if (rc == 0 && member->deflated && member->size / MOST_DEFLATED > member->compressed)
        rc = sb_error_set(err, -EBADMSG,
                          "zip: '%s' would be %" PRIu64 " bytes, more than so small a member holds",
                          member->name, member->size);
    return rc;
}

/* The local header before the bytes must say the same name: else two readers could see two files.
 */
static int locate(int fd, uint64_t directory_at, struct sb_zip_member *member,
                  struct sb_error *err) {
    unsigned char local[LOCAL_BYTES];
    uint64_t at = member->data;
    size_t n_name = strlen(member->name);
    if (at > directory_at || directory_at - at < LOCAL_BYTES + n_name)
        return sb_error_set(err, -EBADMSG, "zip: '%s' lies outside the file", member->name);
    int rc = get(fd, local, sizeof local, at, err);
    SB_AUTO_FREE char *name = rc == 0 ? malloc(n_name + 1) : NULL;
    if (rc == 0 && !name)
        return sb_error_errno(err, -ENOMEM, "zip");
    if (rc == 0)
        rc = get(fd, name, n_name, at + LOCAL_BYTES, err);
    if (rc < 0)
        return rc;
    if (memcmp(local, "PK\3\4", 4) != 0 || u16(local + 26) != n_name ||
        memcmp(name, member->name, n_name) != 0)
        return sb_error_set(err, -EBADMSG, "zip: '%s' is not where the directory says",
                            member->name);
    member->data = at + LOCAL_BYTES + n_name + u16(local + 28);
    if (member->data > directory_at || member->compressed > directory_at - member->data)
        return sb_error_set(err, -EBADMSG, "zip: '%s' reaches behind the end of the file",
                            member->name);
    return 0;
}

static int by_data(const void *a, const void *b) {
    const struct sb_zip_member *x = a, *y = b;
    return (x->data > y->data) - (x->data < y->data);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct sb_zip_member *)a)->name, ((const struct sb_zip_member *)b)->name);
}

/* Bytes that several members share would make a small file a large one. */
static int check_members(struct sb_zip *zip, struct sb_error *err) {
    struct sb_zip_member *m = zip->members;
    qsort(m, zip->n_members, sizeof *m, by_data);
    for (size_t i = 1; i < zip->n_members; i++) {
        if (m[i - 1].data + m[i - 1].compressed > m[i].data)
            return sb_error_set(err, -EBADMSG, "zip: '%s' and '%s' overlap", m[i - 1].name,
                                m[i].name);
    }
    qsort(m, zip->n_members, sizeof *m, by_name);
    for (size_t i = 1; i < zip->n_members; i++) {
        if (strcmp(m[i - 1].name, m[i].name) == 0)
            return sb_error_set(err, -EBADMSG, "zip: '%s' is there twice", m[i].name);
    }
    return 0;
}

static int take_members(struct sb_zip *zip, const struct directory *directory,
                        const unsigned char *entries, struct sb_error *err) {
    size_t at = 0, length = 0;
    int rc = 0;
    for (uint64_t i = 0; i < directory->n_members && rc == 0; i++, at += length) {
        struct sb_zip_member member = {0};
        rc = take_entry(entries + at, directory->bytes - at, &length, &member, err);
        size_t n = member.name ? strlen(member.name) : 0;
        bool folder = n && member.name[n - 1] == '/' && member.size == 0;
        if (rc == 0 && !folder)
            rc = locate(zip->fd, directory->offset, &member, err);
        if (rc == 0 && !folder)
            zip->members[zip->n_members++] = member;
        else
            free(member.name);
    }
    return rc == 0 ? check_members(zip, err) : rc;
}

int sb_zip_read(int fd, uint64_t file_bytes, struct sb_zip *zip, struct sb_error *err) {
    struct directory directory = {0};
    struct sb_zip read = {.fd = fd};
    int rc = find_directory(fd, file_bytes, &directory, err);
    if (rc < 0)
        return rc;
    if (directory.offset > file_bytes || directory.bytes > file_bytes - directory.offset ||
        directory.n_members > directory.bytes / ENTRY_BYTES)
        return bad(err, "its directory is larger than the file");
    SB_AUTO_FREE unsigned char *entries = malloc(directory.bytes + 1);
    read.members = calloc(directory.n_members + 1, sizeof *read.members);
    rc = entries && read.members ? get(fd, entries, directory.bytes, directory.offset, err)
                                 : sb_error_errno(err, -ENOMEM, "zip");
    if (rc == 0)
        rc = take_members(&read, &directory, entries, err);
    if (rc < 0)
        sb_zip_clear(&read);
    else
        *zip = read;
    return rc;
}

void sb_zip_clear(struct sb_zip *zip) {
    for (size_t i = 0; i < zip->n_members; i++)
        free(zip->members[i].name);
    free(zip->members);
    *zip = (struct sb_zip){0};
}

const struct sb_zip_member *sb_zip_find(const struct sb_zip *zip, const char *name) {
    struct sb_zip_member key = {.name = (char *)name};
    return zip->n_members
               ? bsearch(&key, zip->members, zip->n_members, sizeof *zip->members, by_name)
               : NULL;
}

bool sb_zip_first_member(const unsigned char *head, size_t n, const char *part, bool at_end) {
    if (n < LOCAL_BYTES || memcmp(head, "PK\3\4", 4) != 0)
        return false;
    size_t length = u16(head + 26), n_part = strlen(part);
    if (length < n_part || length > n - LOCAL_BYTES)
        return false;
    const unsigned char *name = head + LOCAL_BYTES;
    if (at_end)
        return memcmp(name + length - n_part, part, n_part) == 0;
    return memmem(name, length, part, n_part) != NULL;
}
