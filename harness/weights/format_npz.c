/* Stage 4, weights: npz, a zip archive of NumPy arrays. Names are the members' without ".npy". */
#include "base/cleanup.h"
#include "weights/npy_header.h"
#include "weights/tensors.h"
#include "weights/zip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 256 << 10, MOST_REORDERED = 1 << 30 };

static const char ending[] = ".npy";

static size_t stem(const char *name) {
    size_t n = strlen(name), n_ending = strlen(ending);
    return n > n_ending && strcmp(name + n - n_ending, ending) == 0 ? n - n_ending : 0;
}

static void close_stream(struct sb_zip_stream **stream) {
    sb_zip_stream_close(*stream);
}

static int read_next(void *context, void *data, size_t n, struct sb_error *err) {
    return sb_zip_stream_read(context, data, n, err);
}

static int in_order(struct sb_stream *out, const struct sb_npy_header *header,
                    struct sb_zip_stream *in, struct sb_error *err) {
    size_t size = sb_dtype_size(header->info.dtype);
    uint64_t left = header->info.n_elements;
    int rc = sb_stream_reserve(out, PIECE_BYTES, header->info.name, err);
    while (rc == 0 && left) {
        uint64_t n = left < PIECE_BYTES / size ? left : PIECE_BYTES / size;
        rc = sb_zip_stream_read(in, out->buffer, n * size, err);
        if (rc == 0)
            rc = sb_stream_hand_out(out, &header->info, header->big_endian, n, err);
        left -= n;
    }
    return rc;
}

/* The whole array has to be there before its first row is known. */
static int reordered(struct sb_stream *out, const struct sb_npy_header *header,
                     struct sb_zip_stream *in, struct sb_error *err) {
    uint64_t bytes = header->info.n_elements * sb_dtype_size(header->info.dtype);
    if (bytes > MOST_REORDERED)
        return sb_error_set(err, -EFBIG,
                            "'%s' stands in Fortran order and is too large to be turned round; "
                            "save it in C order, or as an npy file",
                            header->info.name);
    SB_AUTO_FREE char *stored = malloc(bytes + 1);
    if (!stored)
        return sb_error_errno(err, -ENOMEM, "'%s'", header->info.name);
    int rc = sb_zip_stream_read(in, stored, bytes, err);
    return rc < 0 ? rc : sb_npy_gather(out, header, stored, err);
}

static int read_elements(struct sb_stream *out, const struct sb_npy_header *header,
                         struct sb_zip_stream *in, struct sb_error *err) {
    bool turned = header->fortran_order && header->info.rank > 1 && header->info.n_elements;
    int rc = turned ? reordered(out, header, in, err) : in_order(out, header, in, err);
    return rc < 0 ? rc : sb_zip_stream_finish(in, err);
}

static int read_array(const struct sb_zip *zip, const struct sb_zip_member *member, char *name,
                      struct sb_stream *out, struct sb_error *err) {
    SB_CLEANUP(close_stream) struct sb_zip_stream *in = NULL;
    struct sb_tensor_sink *sink = out->sink;
    struct sb_npy_header header;
    bool wanted = true;
    int rc = sb_zip_stream_open(zip, member, &in, err);
    if (rc == 0)
        rc = sb_npy_header_read(read_next, in, &header, err);
    if (rc < 0)
        return sb_error_prefix(err, rc, "'%s'", name);
    header.info.name = name;
    if (header.ignored)
        return sink->ignored ? sink->ignored(sink->context, name, header.ignored) : 0;
    if (member->size - header.data != header.info.n_elements * sb_dtype_size(header.info.dtype))
        return sb_error_set(err, -EBADMSG, "'%s' has not the size that its header says", name);
    rc = sink->begin(sink->context, &header.info, &wanted, err);
    if (rc < 0 || !wanted)
        return rc;
    rc = read_elements(out, &header, in, err);
    return rc < 0 ? rc : sink->end(sink->context, err);
}

/* "a.npy" stands before "a-b.npy" among the members' names and behind it among the tensors'. */
static int by_stem(const void *a, const void *b) {
    const char *x = (*(const struct sb_zip_member *const *)a)->name;
    const char *y = (*(const struct sb_zip_member *const *)b)->name;
    size_t n = stem(x), m = stem(y);
    int order = memcmp(x, y, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static int pass_over(const struct sb_tensor_sink *sink, const char *member) {
    SB_AUTO_TEXT struct sb_text name = {0};
    sb_name_escape(&name, member, strlen(member));
    if (name.failed)
        return -ENOMEM;
    return sink->ignored && name.data ? sink->ignored(sink->context, name.data, "no array of NumPy")
                                      : 0;
}

static int read_members(const struct sb_zip *zip, struct sb_stream *out, struct sb_error *err) {
    SB_AUTO_FREE const struct sb_zip_member **sorted = calloc(zip->n_members + 1, sizeof *sorted);
    size_t n = 0;
    int rc = 0;
    if (!sorted)
        return sb_error_errno(err, -ENOMEM, "npz");
    for (size_t i = 0; i < zip->n_members; i++) {
        if (stem(zip->members[i].name))
            sorted[n++] = &zip->members[i];
        else if (rc == 0)
            rc = pass_over(out->sink, zip->members[i].name);
    }
    qsort(sorted, n, sizeof *sorted, by_stem);
    for (size_t i = 0; i < n && rc == 0; i++) {
        SB_AUTO_TEXT struct sb_text name = {0};
        sb_name_escape(&name, sorted[i]->name, stem(sorted[i]->name));
        rc = name.data ? read_array(zip, sorted[i], name.data, out, err)
                       : sb_error_errno(err, -ENOMEM, "npz");
    }
    return rc;
}

static int npz_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                    struct sb_error *err) {
    SB_CLEANUP(sb_zip_clear) struct sb_zip zip = {0};
    SB_CLEANUP(sb_stream_clear) struct sb_stream out = {.sink = sink};
    int rc = sb_bytes_of_file(source->fd, &out.bytes);
    rc = rc < 0 ? sb_error_errno(err, rc, "%s", source->path)
                : sb_zip_read(source->fd, out.bytes.n, &zip, err);
    return rc < 0 ? rc : read_members(&zip, &out, err);
}

static bool npz_recognise(const unsigned char *head, size_t n, const char *path) {
    (void)path;
    return sb_zip_first_member(head, n, ending, true);
}

const struct sb_format sb_format_npz = {
    .name = "npz",
    .summary = "NumPy: several arrays in a zip archive",
    .extensions = ".npz",
    .recognise = npz_recognise,
    .read = npz_read,
};
