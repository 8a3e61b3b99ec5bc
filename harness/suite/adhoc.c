/* Stage 1, suite: a suite of one command, from a command line. */
#include "suite/build.h"

#include "base/cleanup.h"
#include "suite/adhoc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *levels[3];
} default_axes[] = {
    {"hash_seed", {"0", "1"}},
    {"threads", {"1", "all"}},
    {"deterministic", {"off", "on"}},
};

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

bool sb_is_script(const char *argument) {
    static const char *const extensions[] = {".py", ".sh", ".bash", ".zsh",  ".pl", ".rb",
                                             ".R",  ".r",  ".jl",   ".lua",  ".js", ".mjs",
                                             ".ts", ".m",  ".mk",   ".ipynb"};
    const char *dot = strrchr(base_name(argument), '.');
    if (*argument == '-' || !dot || argument[strcspn(argument, " \t\r\n;")])
        return false;
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (strcmp(dot, extensions[i]) == 0)
            return true;
    }
    return false;
}

char *sb_command_name(char *const *command, size_t n) {
    const char *found = NULL;
    for (size_t i = 0; i < n && !found; i++) {
        bool module = i > 0 && i + 1 < n && strcmp(command[i], "-m") == 0 &&
                      strncmp(base_name(command[0]), "python", 6) == 0;
        if (sb_is_script(command[i]))
            found = base_name(command[i]);
        else if (module)
            found = command[i + 1];
    }
    char *name = strndup(found ? found : base_name(command[0]), 100);
    for (char *p = name; p && *p; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = '_';
    }
    return name;
}

static int add_default_axes(struct sb_build *build, struct sb_job *job,
                            const struct sb_where *where) {
    struct sb_where places[] = {*where, *where, *where};
    int rc = 0;
    for (size_t i = 0; i < sizeof default_axes / sizeof *default_axes && rc == 0; i++) {
        char *levels[3];
        memcpy(levels, default_axes[i].levels, sizeof levels);
        const struct sb_suite_axis axis = {
            .name = (char *)default_axes[i].name,
            .levels = levels,
            .n_levels = 2,
            .where = *where,
            .level_where = places,
        };
        rc = sb_axes_put(build, &job->axes, &job->n_axes, &axis);
    }
    return rc;
}

static int take_command(struct sb_build *build, char *const *command, size_t n,
                        const struct sb_where *where, struct sb_job *job) {
    SB_CLEANUP(sb_texts_clear) struct sb_texts texts = {0};
    int rc = 0;
    if (n == 0 || !*command[0])
        return sb_error_set(build->err, -EINVAL,
                            "no command: write it after --, such as "
                            "samebits run -- python3 train.py");
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = sb_texts_add(build, &texts, command[i], where);
    if (rc < 0)
        return rc;
    job->command = sb_steal_pointer(&texts.strings.items);
    job->n_command = texts.strings.n;
    job->command_where = sb_steal_pointer(&texts.where);
    texts.strings.n = 0;
    return 0;
}

static int fill_draft(struct sb_build *build, char *const *command, size_t n, const char *weights,
                      const struct sb_overrides *overrides, struct sb_draft *draft) {
    struct sb_job *job = &draft->job;
    struct sb_where where = {.file = sb_build_file(build, "command line")};
    const struct sb_where option = {.file = "--weights"};
    int rc = where.file ? take_command(build, command, n, &where, job) : sb_build_no_memory(build);
    if (rc < 0)
        return rc;
    job->where = draft->name_where = draft->weights_where = where;
    job->name = sb_command_name(command, n);
    job->directory = realpath(".", NULL);
    if (!job->directory)
        return sb_error_errno(build->err, -errno, "the current directory");
    job->weights = weights ? strdup(weights) : NULL;
    if (!job->name || (weights && !job->weights))
        return sb_build_no_memory(build);
    rc = weights ? sb_check_below(build, &option, "", weights) : 0;
    if (rc == 0 && (!overrides || overrides->n_axes == 0)) {
        job->design = SB_DESIGN_ONE_AT_A_TIME;
        rc = add_default_axes(build, job, &where);
    }
    return rc;
}

int sb_suite_adhoc(char *const *command, size_t n_command, const char *weights,
                   const struct sb_overrides *overrides, struct sb_suite **suite,
                   struct sb_error *err) {
    struct sb_build build;
    SB_CLEANUP(sb_draft_clear) struct sb_draft draft;
    sb_draft_init(&draft);
    int rc = sb_build_start(&build, "command line", NULL, 0, err);
    if (rc < 0)
        return rc;
    rc = sb_overrides_check(&build, overrides);
    if (rc == 0)
        rc = fill_draft(&build, command, n_command, weights, overrides, &draft);
    if (rc == 0)
        rc = sb_draft_finish(&build, &draft, overrides);
    if (rc == 0)
        rc = sb_suite_select(&build, overrides);
    return sb_build_end(&build, rc, suite);
}
