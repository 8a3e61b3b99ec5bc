/* Stage 4, weights: the fingerprint of files that are not trusted. See samebits/weights.h. */
#include "weights/fingerprint.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "weights/digest.h"
#include "weights/tensors.h"
#include "weights/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void free_collector(struct sb_collector **collector) {
    sb_collector_free(*collector);
}

static void free_isolated(struct sb_isolated **isolated) {
    sb_isolated_free(*isolated);
}

/* What was asked for beside the files. */
static int add_parts(struct sb_fingerprint *fingerprint, const struct sb_weights_file *file) {
    for (size_t i = 0; i < file->n_beside; i++) {
        if (!file->beside[i].asked)
            continue;
        struct sb_part *grown =
            reallocarray(fingerprint->parts, fingerprint->n_parts + 1, sizeof *fingerprint->parts);
        if (!grown)
            return -ENOMEM;
        fingerprint->parts = grown;
        char *name = strdup(file->beside[i].name);
        if (!name)
            return -ENOMEM;
        grown[fingerprint->n_parts++] = (struct sb_part){.of = file->index, .name = name};
    }
    return 0;
}

int sb_fingerprint_work(void *context, const struct sb_weights_file *files, size_t n, int output,
                        struct sb_error *err) {
    const struct sb_weights_options *options = context;
    SB_CLEANUP(sb_fingerprint_clear) struct sb_fingerprint fingerprint = {0};
    SB_AUTO_TEXT struct sb_text wire = {0};
    struct sb_tensor_sink sink;
    SB_CLEANUP(free_collector)
    struct sb_collector *collector =
        sb_collector_new(options ? options->digest : SB_DIGEST_XXH3,
                         sb_jail_threads(options ? options->threads : 1));
    if (!collector)
        return sb_error_errno(err, -ENOMEM, "fingerprint");
    sb_collector_sink(collector, &sink);
    for (size_t i = 0; i < n; i++) {
        int r = sb_weights_file_read(&files[i], options, &sink, err);
        if (r < 0)
            return r;
    }
    int r = sb_collector_finish(collector, &fingerprint, err);
    if (r < 0)
        return n ? sb_error_prefix(err, r, "%s", files[0].path) : r;
    for (size_t i = 0; i < n && r == 0; i++)
        r = add_parts(&fingerprint, &files[i]);
    sb_wire_put_fingerprint(&wire, &fingerprint);
    if (r < 0 || wire.failed)
        return sb_error_errno(err, -ENOMEM, "fingerprint");
    r = sb_write_all(output, wire.data, wire.length);
    return r < 0 ? sb_error_errno(err, r, "fingerprint") : 0;
}

int sb_fingerprint_received(const struct sb_text *received, struct sb_fingerprint *fingerprint,
                            struct sb_error *err) {
    struct sb_wire wire = {.next = received->data, .left = received->length};
    int r = sb_wire_get_fingerprint(&wire, fingerprint);
    if (r == -ENOMEM)
        return sb_error_errno(err, r, "fingerprint");
    return r < 0 ? sb_error_set(err, -EBADMSG, "the parser's answer makes no sense") : 0;
}

int sb_weights_fingerprint(const struct sb_weights_files *files,
                           const struct sb_weights_options *options,
                           struct sb_fingerprint *fingerprint, struct sb_error *err) {
    SB_CLEANUP(free_isolated) struct sb_isolated *isolated = NULL;
    SB_AUTO_TEXT struct sb_text received = {0};
    int r = options ? sb_digest_prepare(options->digest, err) : 0;
    if (r == 0)
        r = sb_isolated_start(files, sb_fingerprint_work, (void *)options, &isolated, err);
    if (r < 0)
        return r;
    int more;
    do
        more = sb_receive(sb_isolated_fd(isolated), &received, SIZE_MAX);
    while (more == 1);
    r = sb_isolated_finish(isolated, err);
    if (r == 0 && more < 0)
        r = sb_error_errno(err, more, "the parser's answer");
    if (r == 0)
        r = sb_fingerprint_received(&received, fingerprint, err);
    if (r == 0)
        fingerprint->met = sb_isolated_met(isolated);
    return r;
}
