/* Stage 2, matrix: axis path: the path at which the run sees its working directory. */
#include "base/cleanup.h"
#include "matrix/axis.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 128 };

static const char usual[] = "usual";

static int check(const struct sb_machine *machine, const char *level, struct sb_error *err) {
    (void)machine;
    size_t n = 0;
    while (level[n] && (isalnum((unsigned char)level[n]) || strchr(" .-_", level[n])))
        n++;
    if (n && !level[n] && n <= MAX_NAME && strcmp(level, ".") != 0 && strcmp(level, "..") != 0)
        return 0;
    return sb_error_set(
        err, -EINVAL,
        "unknown level '%s' (usual, or a folder's name of letters, digits, space, . "
        "- and _, at most %d)",
        level, MAX_NAME);
}

static char *unavailable(const struct sb_machine *machine, const char *level) {
    if (strcmp(level, usual) == 0 || !machine->no_mount_namespace)
        return NULL;
    return strdup(machine->no_mount_namespace);
}

static int apply(const struct sb_machine *machine, const char *name, const char *level,
                 struct sb_setup *setup) {
    (void)machine, (void)name;
    char *path = NULL;
    if (strcmp(level, usual) != 0 && !(path = strdup(level)))
        return -ENOMEM;
    free(setup->path);
    setup->path = path;
    return 0;
}

/* The path itself: whether levels differ shows in comparing them. */
static char *observe(const char *name, const char *level, const struct sb_observation *seen) {
    (void)name, (void)level;
    return seen->cwd ? strdup(seen->cwd) : NULL;
}

const struct sb_axis sb_axis_path = {
    .name = "path",
    .summary = "path at which the run sees its working directory",
    .levels = "usual, or the name of another folder",
    .check = check,
    .unavailable = unavailable,
    .apply = apply,
    .observe = observe,
};
