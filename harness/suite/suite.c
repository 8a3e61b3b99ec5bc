/* Stage 1, suite: a suite file to struct sb_suite. */
#include "suite/build.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_BYTES = 256 << 20 };

const char *const sb_job_kind_names[] = {"command", "train", "kernel", NULL};
const char *const sb_design_names[] = {"full", "one-at-a-time", "pairwise", NULL};
const char *const sb_need_names[] = {"bitwise", "rounding", "ignore", NULL};
const char *const sb_isolation_names[] = {"auto", "overlay", "copy", "inplace", NULL};
const char *const sb_expect_names[] = {"", "nondeterministic", "config-dependent", "bitwise", NULL};

int sb_where_error(struct sb_error *err, int code, const struct sb_where *where, const char *format,
                   ...) {
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (where->file && where->line)
        return sb_error_prefix(err, code, "%s:%u:%u", where->file, where->line, where->column);
    return where->file ? sb_error_prefix(err, code, "%s", where->file) : code;
}

void sb_suite_free(struct sb_suite *suite) {
    if (!suite)
        return;
    for (size_t i = 0; i < suite->n_jobs; i++)
        sb_job_clear(&suite->jobs[i]);
    for (size_t i = 0; i < suite->n_files; i++)
        free(suite->files[i]);
    free(suite->jobs);
    free(suite->files);
    free(suite->path);
    free(suite->text);
    free(suite);
}

/* ---- The root ------------------------------------------------------------------------------- */

static int check_root(struct sb_build *build, const struct sb_node *root) {
    static const char *const keys[] = {"version", "defaults", "jobs"};
    enum { N_KEYS = sizeof keys / sizeof *keys };
    int rc = sb_need_map(build, root, "a suite");
    for (size_t i = 0; rc == 0 && i < root->n; i++) {
        bool known = false;
        for (size_t k = 0; k < N_KEYS; k++)
            known |= strcmp(root->keys[i]->text, keys[k]) == 0;
        if (!known)
            rc = sb_unknown_key(build, root->keys[i], "a suite", keys, N_KEYS);
    }
    if (rc < 0)
        return rc;
    const struct sb_node *version = sb_node_get(root, "version");
    if (!version)
        return sb_where_error(build->err, -EINVAL, &root->where,
                              "no version: a suite begins with 'version: 1'");
    if (version->kind != SB_NODE_TEXT || strcmp(version->text, "1") != 0)
        return sb_where_error(build->err, -EINVAL, &version->where,
                              "'version' must be 1, the one that this samebits reads");
    return 0;
}

static int read_jobs(struct sb_build *build, const struct sb_node *root, const char *directory,
                     const struct sb_overrides *overrides) {
    const struct sb_node *defaults = sb_node_get(root, "defaults"),
                         *jobs = sb_node_get(root, "jobs");
    if (defaults && sb_node_is_null(defaults)) /* all of it is commented out */
        defaults = NULL;
    int rc = defaults ? sb_read_defaults(build, defaults) : 0;
    if (rc < 0)
        return rc;
    if (!jobs)
        return sb_where_error(build->err, -EINVAL, &root->where, "no jobs");
    if (jobs->kind != SB_NODE_LIST || jobs->n == 0)
        return sb_where_error(
            build->err, -EINVAL, &jobs->where, "'jobs' must be a list of at least one job, not %s",
            jobs->kind == SB_NODE_LIST ? "an empty one" : sb_node_kind_text(jobs));
    for (size_t i = 0; i < jobs->n && rc == 0; i++) {
        SB_CLEANUP(sb_draft_clear) struct sb_draft draft;
        sb_draft_init(&draft);
        draft.job.directory = strdup(directory);
        if (!draft.job.directory)
            return sb_build_no_memory(build);
        rc = sb_read_job(build, defaults, jobs->values[i], &draft);
        if (rc == 0)
            rc = sb_draft_finish(build, &draft, overrides);
    }
    return rc;
}

/* Absolute path of the folder that a file is in, malloc'd. */
static int folder_of(const char *path, char **folder, struct sb_error *err) {
    const char *slash = strrchr(path, '/');
    SB_AUTO_FREE char *name =
        slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!name)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    *folder = realpath(name, NULL);
    return *folder ? 0 : sb_error_errno(err, -errno, "%s: folder %s", path, name);
}

static struct sb_suite *suite_new(const char *path, const char *text, size_t n) {
    struct sb_suite *suite = calloc(1, sizeof *suite);
    if (!suite)
        return NULL;
    suite->path = strdup(path);
    suite->text = text ? strndup(text, n) : NULL;
    if (suite->path && (suite->text || !text))
        return suite;
    sb_suite_free(suite);
    return NULL;
}

int sb_build_start(struct sb_build *build, const char *path, const char *text, size_t n,
                   struct sb_error *err) {
    *build = (struct sb_build){.err = err, .budget = MAX_BYTES};
    build->suite = suite_new(path, text, n);
    return build->suite ? 0 : sb_error_errno(err, -ENOMEM, "%s", path);
}

int sb_build_end(struct sb_build *build, int rc, struct sb_suite **suite) {
    if (rc < 0)
        sb_suite_free(build->suite);
    else
        *suite = build->suite;
    return rc;
}

int sb_suite_parse(const char *text, size_t n, const char *path,
                   const struct sb_overrides *overrides, struct sb_suite **suite,
                   struct sb_error *err) {
    struct sb_build build;
    struct sb_document document = {0};
    SB_AUTO_FREE char *directory = NULL;
    int rc = sb_build_start(&build, path, text, n, err);
    if (rc < 0)
        return rc;
    const char *file = sb_build_file(&build, path);
    rc = file ? sb_overrides_check(&build, overrides) : sb_build_no_memory(&build);
    if (rc == 0)
        rc = folder_of(path, &directory, err);
    if (rc == 0)
        rc = sb_document_parse(text, n, file, &document, err);
    if (rc == 0)
        rc = check_root(&build, document.root);
    if (rc == 0)
        rc = read_jobs(&build, document.root, directory, overrides);
    if (rc == 0)
        rc = sb_suite_select(&build, overrides);
    sb_document_clear(&document);
    return sb_build_end(&build, rc, suite);
}

int sb_suite_load(const char *path, const struct sb_overrides *overrides, struct sb_suite **suite,
                  struct sb_error *err) {
    SB_AUTO_FREE char *text = NULL;
    size_t n;
    int rc = sb_file_read(path, MAX_FILE, &text, &n, err);
    return rc < 0 ? rc : sb_suite_parse(text, n, path, overrides, suite, err);
}
