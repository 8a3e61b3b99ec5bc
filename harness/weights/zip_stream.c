/* Stage 4, weights: the bytes of one member of a zip archive. See weights/zip.h. */
#include "weights/zip.h"

#include "base/cleanup.h"
#include "weights/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

enum { PIECE_BYTES = 64 << 10, MOST_AT_ONCE = 1 << 30 };

struct sb_zip_stream {
    int fd;
    const struct sb_zip_member *member;
    uint64_t at, left;  /* in the file: next byte, and bytes to come */
    uint64_t delivered; /* bytes handed out */
    uLong crc;          /* of those */
    bool inflating;     /* `inflater` is in use */
    z_stream inflater;
    unsigned char in[PIECE_BYTES];
};

int sb_zip_stream_open(const struct sb_zip *zip, const struct sb_zip_member *member,
                       struct sb_zip_stream **stream, struct sb_error *err) {
    struct sb_zip_stream *opened = calloc(1, sizeof *opened);
    if (!opened)
        return sb_error_errno(err, -ENOMEM, "zip: '%s'", member->name);
    opened->fd = zip->fd;
    opened->member = member;
    opened->at = member->data;
    opened->left = member->compressed;
    opened->crc = crc32(0, NULL, 0);
    /* Negative: without the header that zlib's own format has. */
    if (member->deflated && inflateInit2(&opened->inflater, -MAX_WBITS) != Z_OK) {
        free(opened);
        return sb_error_errno(err, -ENOMEM, "zip: '%s'", member->name);
    }
    opened->inflating = member->deflated;
    *stream = opened;
    return 0;
}

static int damaged(const struct sb_zip_stream *stream, const char *how, struct sb_error *err) {
    return sb_error_set(err, -EBADMSG, "zip: '%s' %s", stream->member->name, how);
}

static int get(struct sb_zip_stream *stream, void *data, size_t n, struct sb_error *err) {
    int rc = sb_read_at(stream->fd, data, n, stream->at);
    if (rc < 0)
        return sb_error_errno(err, rc, "zip: '%s'", stream->member->name);
    stream->at += n;
    stream->left -= n;
    return 0;
}

static int inflate_more(struct sb_zip_stream *stream, unsigned char *data, size_t n,
                        struct sb_error *err) {
    z_stream *z = &stream->inflater;
    z->next_out = data;
    z->avail_out = (uInt)n;
    while (z->avail_out) {
        if (!z->avail_in && stream->left) {
            size_t piece = stream->left < PIECE_BYTES ? (size_t)stream->left : PIECE_BYTES;
            int rc = get(stream, stream->in, piece, err);
            if (rc < 0)
                return rc;
            z->next_in = stream->in;
            z->avail_in = (uInt)piece;
        }
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_STREAM_END && z->avail_out)
            return damaged(stream, "ends before its size", err);
        if (result != Z_OK && result != Z_STREAM_END)
            return damaged(stream, "is damaged: it cannot be decompressed", err);
    }
    return 0;
}

int sb_zip_stream_read(struct sb_zip_stream *stream, void *data, size_t n, struct sb_error *err) {
    unsigned char *next = data;
    if (n > stream->member->size - stream->delivered)
        return damaged(stream, "ends too early", err);
    while (n) {
        size_t piece = n < MOST_AT_ONCE ? n : MOST_AT_ONCE;
        int rc = stream->inflating ? inflate_more(stream, next, piece, err)
                                   : get(stream, next, piece, err);
        if (rc < 0)
            return rc;
        stream->crc = crc32(stream->crc, next, (uInt)piece);
        stream->delivered += piece;
        next += piece;
        n -= piece;
    }
    return 0;
}

int sb_zip_stream_finish(struct sb_zip_stream *stream, struct sb_error *err) {
    unsigned char rest[4096];
    while (stream->delivered < stream->member->size) {
        uint64_t left = stream->member->size - stream->delivered;
        int rc =
            sb_zip_stream_read(stream, rest, left < sizeof rest ? (size_t)left : sizeof rest, err);
        if (rc < 0)
            return rc;
    }
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return 0; /* or no mutation would come further than this */
#endif
    return stream->crc == stream->member->crc
               ? 0
               : damaged(stream, "is damaged: its checksum is another", err);
}

void sb_zip_stream_close(struct sb_zip_stream *stream) {
    if (stream && stream->inflating)
        inflateEnd(&stream->inflater);
    free(stream);
}

static void close_stream(struct sb_zip_stream **stream) {
    sb_zip_stream_close(*stream);
}

int sb_zip_member_read(const struct sb_zip *zip, const struct sb_zip_member *member, uint64_t most,
                       char **data, struct sb_error *err) {
    SB_CLEANUP(close_stream) struct sb_zip_stream *stream = NULL;
    if (member->size > most)
        return sb_error_set(err, -EFBIG, "zip: '%s' is larger than %llu bytes", member->name,
                            (unsigned long long)most);
    SB_AUTO_FREE char *bytes = malloc(member->size + 1);
    if (!bytes)
        return sb_error_errno(err, -ENOMEM, "zip: '%s'", member->name);
    int rc = sb_zip_stream_open(zip, member, &stream, err);
    if (rc == 0)
        rc = sb_zip_stream_read(stream, bytes, member->size, err);
    if (rc == 0)
        rc = sb_zip_stream_finish(stream, err);
    if (rc < 0)
        return rc;
    bytes[member->size] = '\0';
    *data = sb_steal_pointer(&bytes);
    return 0;
}
