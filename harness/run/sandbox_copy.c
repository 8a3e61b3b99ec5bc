/* Stage 3: a copy of the working directory for each run, mounted in its place. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"
#include "run/sandbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

int sb_copy_make(struct sb_sandbox *sandbox, struct sb_layer *layer, const char *from,
                 struct sb_error *err) {
    const struct sb_copy_options options = {.skip = &sandbox->skip,
                                            .cancelled = sandbox->cancelled,
                                            .context = sandbox->cancelled_context};
    int rc = sb_tree_copy(from, layer->files, &options, err);
    if (rc == 0)
        rc = sb_listing_make(layer->files, &sandbox->skip, &layer->listing, err);
    clock_gettime(CLOCK_REALTIME, &layer->since); /* later than every old file's time */
    return rc;
}

struct comparing {
    struct sb_layer *layer;
};

static int compared(void *context, enum sb_change change, struct sb_entry *before,
                    struct sb_entry *now) {
    struct sb_layer *layer = ((struct comparing *)context)->layer;
    if (change != SB_CHANGE_CREATED && change != SB_CHANGE_MODIFIED)
        return 0;
    if (!sb_listing_wrote(&layer->listing, before, now, layer->since))
        return 0;
    return sb_strings_add(&layer->written, now->path);
}

int sb_copy_compare(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    struct comparing comparing = {layer};
    struct sb_listing now = {0};
    int rc = sb_listing_make(layer->files, &sandbox->skip, &now, err);
    if (rc == 0)
        rc = sb_listing_compare(&layer->listing, &now, compared, &comparing);
    sb_listing_clear(&now);
    return rc;
}

static int copy_before(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    return sb_copy_make(sandbox, layer, sandbox->directory, err);
}

static int cover(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                 struct sb_launch *launch) {
    if (mount(layer->files, sandbox->directory, NULL, MS_BIND, NULL) < 0)
        return sb_launch_fail(launch, "mount a copy over", sandbox->directory);
    return 0;
}

static int copy_enter(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                      struct sb_launch *launch) {
    return sb_mounts_enter(sandbox, layer, launch, cover);
}

static int copy_after(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    return sb_copy_compare(sandbox, layer, err);
}

const struct sb_view_kind sb_view_copy = {
    .mode = SB_ISOLATE_COPY,
    .name = "copy",
    .mount_namespace = true,
    .before = copy_before,
    .enter = copy_enter,
    .after = copy_after,
};
