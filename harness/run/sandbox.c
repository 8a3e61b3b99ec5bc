/* Stage 3: opens a sandbox: which way of isolating the working directory this machine allows is
 * found by trying it. */
#include "run/sandbox.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "run/process.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In the order in which AUTO tries them. A copy in the folder's place moves the user's own folder,
 * so it is never taken unasked. */
static const struct {
    const struct sb_view_kind *kind;
    bool unasked;
} kinds[] = {
    {&sb_view_overlay, true},
    {&sb_view_copy, true},
    {&sb_view_exchange, false},
    {&sb_view_inplace, true},
};

static const char *const always_shared[] = {
    "$HOME and every other folder outside the working directory",
    "/dev/shm and /tmp (TMPDIR is each run's own)",
    "the network and its ports",
};

static int share(struct sb_sandbox *sandbox, char *text) {
    if (!text)
        return -ENOMEM;
    if (sb_strings_contain(&sandbox->shared, text)) {
        free(text);
        return 0;
    }
    return sb_strings_take(&sandbox->shared, text);
}

void sb_sandbox_dismiss(struct sb_sandbox *sandbox) {
    for (size_t i = 0; i < sandbox->n_guards; i++)
        sb_guard_dismiss(sandbox->guards[i]);
}

static void close_attempt(struct sb_sandbox *sandbox) {
    sb_sandbox_dismiss(sandbox); /* they take their time at the same time */
    for (size_t i = 0; i < sandbox->n_guards; i++)
        sb_guard_stop(sandbox->guards[i]);
    sandbox->n_guards = 0;
    sb_cgroup_close(&sandbox->cgroup);
    sb_layers_close(sandbox);
}

static void open_cgroup(struct sb_sandbox *sandbox) {
    SB_AUTO_FREE char *name = sb_cgroup_name(sandbox->cookie);
    if (name)
        sb_cgroup_open(name, &sandbox->cgroup);
    sb_left_over_note(sandbox->base, &sandbox->cgroup);
}

/* One kind, with or without a user namespace. */
static int attempt(struct sb_sandbox *sandbox, const struct sb_view_kind *kind, bool user_namespace,
                   struct sb_error *err) {
    struct sb_guard *guard;
    struct sb_ready ready = {0};
    sandbox->kind = kind;
    sandbox->user_namespace = user_namespace;
    int rc = sb_layers_open_tmp(sandbox, err);
    if (rc == 0)
        open_cgroup(sandbox);
    if (rc == 0)
        rc = sb_layers_open(sandbox, kind == &sb_view_overlay, err);
    if (rc == 0)
        rc = sb_guard_start(sandbox, &guard, err);
    if (rc == 0)
        rc = sb_guard_await(guard, &ready, err);
    if (rc == 0) {
        sandbox->overlay_variant = ready.overlay_variant;
        for (size_t i = 0; rc == 0 && i < ready.notes.n; i++)
            rc = share(sandbox, strdup(ready.notes.items[i]));
    }
    sb_ready_clear(&ready);
    if (rc < 0)
        close_attempt(sandbox);
    return rc;
}

/* A user namespace is the second choice: files of other owners look like nobody's in it. */
static int attempt_kind(struct sb_sandbox *sandbox, const struct sb_view_kind *kind,
                        struct sb_error *err) {
    struct sb_error first = {0}, second = {0};
    int rc = attempt(sandbox, kind, false, &first);
    if (rc == 0 || rc == -EBUSY || !kind->mount_namespace)
        return rc < 0 ? sb_error_set(err, rc, "%s", first.text) : 0;
    int again = attempt(sandbox, kind, true, &second);
    if (again == 0)
        return 0;
    return sb_error_set(err, again, "%s; in a user namespace: %s", first.text, second.text);
}

static int choose(struct sb_sandbox *sandbox, enum sb_isolation mode, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings why = {0};
    int rc = -ENOTSUP;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct sb_error refused = {0};
        const struct sb_view_kind *kind = kinds[i].kind;
        if (mode == SB_ISOLATE_AUTO ? !kinds[i].unasked : kind->mode != mode)
            continue;
        rc = attempt_kind(sandbox, kind, &refused);
        if (rc == -EBUSY)
            return sb_error_set(err, rc, "%s", refused.text);
        if (rc == 0)
            break;
        int added = sb_strings_take(&why, sb_format("%s: %s", kind->name, refused.text));
        if (added < 0)
            return sb_error_errno(err, added, "isolation");
    }
    for (size_t i = 0; rc == 0 && mode == SB_ISOLATE_AUTO && i < why.n; i++)
        rc = share(sandbox, sb_format("not isolated better, because %s", why.items[i]));
    if (rc == 0)
        return 0;
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < why.n; i++)
        sb_text_printf(&text, "%s%s", i ? "; " : "", why.items[i]);
    return sb_error_set(err, rc, "isolation of %s: %s%s", sandbox->directory,
                        text.length ? text.data : "not enough memory",
                        mode == SB_ISOLATE_INPLACE ? "" : " (--isolate inplace needs nothing)");
}

static int describe_shared(struct sb_sandbox *sandbox) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof always_shared / sizeof *always_shared; i++)
        rc = share(sandbox, strdup(always_shared[i]));
    for (size_t i = 0; rc == 0 && i < sandbox->submounts.n; i++)
        rc = share(sandbox, sb_format("%s/%s, a mount of its own: what runs write there stays, and "
                                      "does not count as written",
                                      sandbox->directory, sandbox->submounts.items[i]));
    if (rc == 0 && sandbox->kind == &sb_view_inplace)
        rc =
            share(sandbox,
                  sb_format("%s itself: one run at a time, what a run writes is moved away after "
                            "it and what it changes is put back; do not edit files there meanwhile",
                            sandbox->directory));
    if (rc == 0 && sandbox->hidden && !sandbox->kind->mount_namespace)
        rc = share(sandbox,
                   sb_format("%s/%s, which runs can see", sandbox->directory, sandbox->hidden));
    return rc;
}

/* Relative path of `hidden` where it lies below the directory and exists. */
static int find_hidden(struct sb_sandbox *sandbox, const char *hidden) {
    SB_AUTO_FREE char *path = hidden ? realpath(hidden, NULL) : NULL;
    if (!path || !sb_path_below(path, sandbox->directory) || strcmp(path, sandbox->directory) == 0)
        return 0;
    sandbox->hidden = strdup(path + strlen(sandbox->directory) + 1);
    return sandbox->hidden ? 0 : -ENOMEM;
}

/* Mounts inside the hidden folder are hidden with it. */
static int find_skipped(struct sb_sandbox *sandbox, struct sb_error *err) {
    struct sb_strings all = {0};
    int rc = sb_mounts_below(sandbox->directory, &all, err);
    for (size_t i = 0; rc == 0 && i < all.n; i++)
        if (!sandbox->hidden || !sb_path_below(all.items[i], sandbox->hidden))
            rc = sb_strings_add(&sandbox->submounts, all.items[i]);
    sb_strings_clear(&all);
    if (rc == 0)
        rc = sb_strings_copy(&sandbox->skip, &sandbox->submounts);
    if (rc == 0 && sandbox->hidden)
        rc = sb_strings_add(&sandbox->skip, sandbox->hidden);
    return rc;
}

int sb_sandbox_open(const struct sb_sandbox_options *options, const struct sb_machine *machine,
                    struct sb_sandbox **sandbox, struct sb_error *err) {
    (void)machine; /* what it found possible is tried again, in this very folder */
    struct sb_sandbox *made = calloc(1, sizeof *made);
    if (!made)
        return sb_error_errno(err, -ENOMEM, "a sandbox");
    made->layers_lock = made->base_lock = made->stash_lock = made->lower = -1;
    made->cgroup.fd = -1;
    made->directory = realpath(options->directory, NULL);
    int rc = made->directory ? sb_exchange_recover(made->directory, err)
                             : sb_error_errno(err, -errno, "%s", options->directory);
    if (rc == 0 && strcmp(made->directory, "/") == 0)
        rc = sb_error_set(err, -EINVAL,
                          "the working directory is /, so that every file of this machine would "
                          "belong to the job: give the job a folder of its own");
    if (rc == 0)
        rc = find_hidden(made, options->hidden);
    if (rc == 0)
        rc = find_skipped(made, err);
    if (rc == 0) {
        snprintf(made->cookie, sizeof made->cookie, "%016llx",
                 (unsigned long long)sb_path_hash(made->directory));
        rc = choose(made, options->mode, err);
    }
    if (rc == 0)
        rc = describe_shared(made);
    if (rc < 0) {
        sb_sandbox_close(made);
        return rc;
    }
    *sandbox = made;
    return 0;
}

enum sb_isolation sb_sandbox_mode(const struct sb_sandbox *sandbox) {
    return sandbox->kind->mode;
}

unsigned sb_sandbox_concurrency(const struct sb_sandbox *sandbox) {
    return sandbox->kind->alone ? 1 : UINT_MAX;
}

const char *const *sb_sandbox_shared(const struct sb_sandbox *sandbox) {
    return (const char *const *)sandbox->shared.items;
}

void sb_sandbox_close(struct sb_sandbox *sandbox) {
    if (!sandbox)
        return;
    close_attempt(sandbox);
    free(sandbox->guards);
    free(sandbox->directory);
    free(sandbox->hidden);
    free(sandbox->base);
    free(sandbox->tmp);
    free(sandbox->empty_log);
    sb_strings_clear(&sandbox->submounts);
    sb_strings_clear(&sandbox->skip);
    sb_strings_clear(&sandbox->shared);
    free(sandbox);
}
