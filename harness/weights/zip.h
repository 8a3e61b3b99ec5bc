/* Stage 4, weights: zip archives, which npz, .keras and PyTorch's files are. The directory is read
 * here, since tensors that are stored as they are get read by their place in the file, and
 * libraries do not tell it; what is compressed is zlib's. Format: APPNOTE.TXT 6.3, PKWARE. */
#ifndef SB_WEIGHTS_ZIP_H
#define SB_WEIGHTS_ZIP_H

#include <samebits/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sb_zip_member {
    char *name; /* bytes as they are, without NUL */
    bool deflated;
    uint64_t data;       /* where its bytes begin in the file */
    uint64_t compressed; /* bytes there */
    uint64_t size;       /* bytes when they are not compressed */
    uint32_t crc;        /* of those */
};

struct sb_zip {
    int fd;
    struct sb_zip_member *members; /* in byte order of their names; folders are left out */
    size_t n_members;
};

/* -EBADMSG: not a zip archive, damaged, encrypted, with members that overlap or share a name, or
 * compressed in another way than by deflate. Free with sb_zip_clear. */
int sb_zip_read(int fd, uint64_t file_bytes, struct sb_zip *zip, struct sb_error *err);
void sb_zip_clear(struct sb_zip *zip);

/* The member of that name, or NULL. */
const struct sb_zip_member *sb_zip_find(const struct sb_zip *zip, const char *name);

/* Does the name of the archive's first member contain `part`, or end with it? For telling formats
 * apart by the beginning of a file. */
bool sb_zip_first_member(const unsigned char *head, size_t n, const char *part, bool at_end);

/* One member's bytes from the first on, decompressed. */
struct sb_zip_stream;
int sb_zip_stream_open(const struct sb_zip *zip, const struct sb_zip_member *member,
                       struct sb_zip_stream **stream, struct sb_error *err);
/* Exactly n bytes; -EBADMSG where there are fewer, or they are damaged. */
int sb_zip_stream_read(struct sb_zip_stream *stream, void *data, size_t n, struct sb_error *err);
/* Reads what is left and checks the member's sum; -EBADMSG. */
int sb_zip_stream_finish(struct sb_zip_stream *stream, struct sb_error *err);
void sb_zip_stream_close(struct sb_zip_stream *stream);

/* All of a member, malloc'd, with a NUL behind it; -EFBIG above `most` bytes. */
int sb_zip_member_read(const struct sb_zip *zip, const struct sb_zip_member *member, uint64_t most,
                       char **data, struct sb_error *err);

#endif
