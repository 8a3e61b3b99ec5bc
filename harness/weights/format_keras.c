/* Stage 4, weights: .keras, a zip archive that has the weights as an HDF5 file in it. */
#include "base/cleanup.h"
#include "weights/format_hdf5.h"
#include "weights/zip.h"

#include <errno.h>
#include <string.h>

static const char weights[] = "model.weights.h5";

/* Compressed, which Keras itself never does, it has to be unpacked into memory, since HDF5 is not
 * read from its beginning to its end. */
enum { MOST_UNPACKED = 1 << 30 };

static int read_weights(const struct sb_zip *zip, const struct sb_zip_member *member, bool recount,
                        struct sb_tensor_sink *sink, struct sb_error *err) {
    SB_AUTO_FREE char *unpacked = NULL;
    struct sb_bytes bytes = {.fd = zip->fd, .begin = member->data, .n = member->size};
    if (member->deflated) {
        int rc = sb_zip_member_read(zip, member, MOST_UNPACKED, &unpacked, err);
        if (rc < 0)
            return rc;
        bytes.memory = unpacked;
    }
    return sb_hdf5_read(&bytes, recount, sink, err);
}

static int keras_read(const struct sb_source *source, struct sb_tensor_sink *sink,
                      struct sb_error *err) {
    SB_CLEANUP(sb_zip_clear) struct sb_zip zip = {0};
    struct sb_bytes bytes;
    int rc = sb_bytes_of_file(source->fd, &bytes);
    rc = rc < 0 ? sb_error_errno(err, rc, "%s", source->path)
                : sb_zip_read(source->fd, bytes.n, &zip, err);
    if (rc < 0)
        return rc;
    const struct sb_zip_member *member = sb_zip_find(&zip, weights);
    if (!member)
        return sb_error_set(err, -EBADMSG, "the archive has no %s", weights);
    return read_weights(&zip, member, source->recount, sink, err);
}

static bool keras_recognise(const unsigned char *head, size_t n, const char *path) {
    size_t length = strlen(path), ending = strlen(".keras");
    return sb_zip_first_member(head, n, "metadata.json", true) ||
           (length > ending && strcmp(path + length - ending, ".keras") == 0 &&
            sb_zip_first_member(head, n, "", true));
}

const struct sb_format sb_format_keras = {
    .name = "keras",
    .summary = "Keras 3 model archives",
    .extensions = ".keras",
    .recognise = keras_recognise,
    .prepare = sb_hdf5_prepare,
    .read = keras_read,
};
