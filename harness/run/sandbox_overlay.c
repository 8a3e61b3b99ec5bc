/* Stage 3: the working directory under an overlay: runs read the real files and write into private
 * ones. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"
#include "run/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Tried from the first. volatile spares a sync of the whole layer's file system at the end of each
 * run. With metacopy a file whose data was never opened for writing is marked as such. User
 * namespaces have userxattr only. */
static const struct {
    const char *options;
    const char *prefix; /* of extended attributes */
} variants[] = {
    {",volatile,redirect_dir=on,metacopy=on", "trusted.overlay."},
    {",redirect_dir=on,metacopy=on", "trusted.overlay."},
    {",volatile,userxattr", "user.overlay."},
    {",userxattr", "user.overlay."},
    {"", "trusted.overlay."},
};

unsigned sb_overlay_variants(void) {
    return sizeof variants / sizeof *variants;
}

static int overlay_open(struct sb_sandbox *sandbox, struct sb_error *err) {
    sandbox->lower = open(sandbox->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return sandbox->lower < 0 ? sb_error_errno(err, -errno, "%s", sandbox->directory) : 0;
}

static int overlay_before(struct sb_sandbox *sandbox, struct sb_layer *layer,
                          struct sb_error *err) {
    SB_AUTO_FREE char *work = sb_format("%s/work", layer->root);
    struct stat st;
    if (!work)
        return sb_error_errno(err, -ENOMEM, "a private layer");
    if (mkdir(work, 0700) < 0 && errno != EEXIST)
        return sb_error_errno(err, -errno, "%s", work);
    /* The view's own mode, owner and times are those of the layer's root. */
    if (fstat(sandbox->lower, &layer->lower) < 0)
        return sb_error_errno(err, -errno, "%s", sandbox->directory);
    sb_tree_set_metadata(layer->files, &layer->lower);
    if (layer->mask && sandbox->hidden && fstatat(sandbox->lower, sandbox->hidden, &st, 0) == 0)
        sb_tree_set_metadata(layer->mask, &st);
    return 0;
}

/* Paths may hold commas and colons, which would end an option: only descriptors are named. */
static int cover(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                 struct sb_launch *launch) {
    int upper = open(layer->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (upper < 0)
        return sb_launch_fail(launch, "open", layer->root);
    snprintf(launch->options, sizeof launch->options,
             "lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d/files,"
             "workdir=/proc/self/fd/%d/work%s",
             sandbox->lower, upper, upper, variants[sandbox->overlay_variant].options);
    int rc = mount("overlay", sandbox->directory, "overlay", 0, launch->options);
    if (rc < 0)
        sb_launch_fail(launch, "mount an overlay over", sandbox->directory);
    close(upper);
    return rc;
}

static int overlay_enter(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                         struct sb_launch *launch) {
    return sb_mounts_enter(sandbox, layer, launch, cover);
}

static bool has_mark(const char *path, const char *prefix, const char *name) {
    char attribute[64];
    snprintf(attribute, sizeof attribute, "%s%s", prefix, name);
    return lgetxattr(path, attribute, NULL, 0) >= 0;
}

/* A file in the layer was written by the run, unless it is an old one of which only the name, mode
 * or times were changed: those carry a mark of the copy that the kernel made of them. */
static int wrote(const struct sb_sandbox *sandbox, const struct sb_layer *layer,
                 const struct sb_entry *entry, bool *written) {
    const char *prefix = variants[sandbox->overlay_variant].prefix;
    const struct timespec *at = &entry->st.st_mtim, *since = &layer->since;
    struct stat lower;
    *written = false;
    if (!S_ISREG(entry->st.st_mode))
        return 0;
    SB_AUTO_FREE char *upper = sb_path_join(layer->files, entry->path);
    if (!upper)
        return -ENOMEM;
    bool copied = has_mark(upper, prefix, "origin");
    if (copied && has_mark(upper, prefix, "metacopy"))
        return 0;
    if (!copied)
        *written = true;
    else if (fstatat(sandbox->lower, entry->path, &lower, AT_SYMLINK_NOFOLLOW) == 0 &&
             S_ISREG(lower.st_mode))
        *written = lower.st_mtim.tv_sec != at->tv_sec || lower.st_mtim.tv_nsec != at->tv_nsec ||
                   lower.st_size != entry->st.st_size;
    else
        *written = at->tv_sec > since->tv_sec ||
                   (at->tv_sec == since->tv_sec && at->tv_nsec >= since->tv_nsec);
    return 0;
}

static int overlay_after(struct sb_sandbox *sandbox, struct sb_layer *layer, struct sb_error *err) {
    struct sb_listing listing = {0};
    int rc = sb_listing_make(layer->files, &sandbox->skip, &listing, err);
    for (size_t i = 0; rc == 0 && i < listing.n; i++) {
        bool written;
        rc = wrote(sandbox, layer, &listing.entries[i], &written);
        if (rc == 0 && written)
            rc = sb_strings_add(&layer->written, listing.entries[i].path);
    }
    sb_listing_clear(&listing);
    return rc;
}

const struct sb_view_kind sb_view_overlay = {
    .mode = SB_ISOLATE_OVERLAY,
    .name = "overlay",
    .mount_namespace = true,
    .ahead = true,
    .open = overlay_open,
    .before = overlay_before,
    .enter = overlay_enter,
    .after = overlay_after,
};
