/* cli: files that the commands of jobs name. See cli/program.h. */
#include "cli/program.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "matrix/plan.h"
#include "suite/adhoc.h"
#include "weights/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The files of one job, which share with those before it what was hashed and what may still be. */
struct naming {
    const struct sb_job *job;
    json_t *digests; /* of the job */
    json_t *known;   /* of all jobs */
    uint64_t *left;
};

static char *digest_of(const char *path, const struct stat *st, uint64_t *left) {
    char digest[SB_DIGEST_TEXT];
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc = fd < 0                          ? -errno
             : (uint64_t)st->st_size > *left ? -EFBIG
                                             : sb_digest_file(fd, left, digest);
    return rc == 0        ? sb_format("xxh3:%s", digest)
           : rc == -EFBIG ? sb_format("not hashed: %lld bytes", (long long)st->st_size)
                          : strdup("not hashed: cannot be read");
}

static bool is_below(const char *folder, const char *path) {
    SB_AUTO_FREE char *root = realpath(folder, NULL);
    SB_AUTO_FREE char *file = realpath(path, NULL);
    size_t n = root ? strlen(root) : 0;
    return n && file && strncmp(file, root, n) == 0 && (root[n - 1] == '/' || file[n] == '/');
}

bool sb_program_is_source(const char *path) {
    static const char *const extensions[] = {".yaml", ".yml",  ".toml", ".ini",
                                             ".cfg",  ".conf", ".gin"};
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++) {
        if (strcmp(dot, extensions[i]) == 0)
            return true;
    }
    return sb_is_script(path);
}

static bool is_weights(const struct sb_job *job, const char *path) {
    return job->weights &&
           sb_glob_match(job->weights, path + (strncmp(path, "./", 2) == 0 ? 2 : 0));
}

/* 1: a regular file, whether it is taken or not; 0: none. */
static int take_file(struct naming *naming, const char *path, bool program) {
    SB_AUTO_FREE char *full = sb_path_join(naming->job->directory, path);
    SB_AUTO_JSON json_t *name = sb_json_string(path);
    const char *key = json_string_value(name);
    struct stat st;
    if (!full || !key)
        return -ENOMEM;
    if (!*path || stat(full, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (json_object_get(naming->digests, key) || is_weights(naming->job, path) ||
        (!program && !sb_program_is_source(path) && !is_below(naming->job->directory, full)))
        return 1;
    json_t *digest = json_object_get(naming->known, key);
    if (!digest) {
        SB_AUTO_FREE char *text = digest_of(full, &st, naming->left);
        digest = text ? json_string(text) : NULL;
        if (json_object_set_new_nocheck(naming->known, key, digest) < 0)
            return -ENOMEM;
    }
    return json_object_set_nocheck(naming->digests, key, digest) < 0 ? -ENOMEM : 1;
}

/* "--config=a.yaml" names a.yaml. */
static int take_argument(struct naming *naming, const char *argument) {
    int rc = take_file(naming, argument, false);
    const char *equals = strchr(argument, '=');
    return rc == 0 && equals ? take_file(naming, equals + 1, false) : rc;
}

/* python3 -m pkg.train: a file of the job's folder goes before one that is installed. */
static int take_module(struct naming *naming, const char *module) {
    static const char *const ends[] = {".py", "/__main__.py"};
    SB_AUTO_FREE char *path = strdup(module);
    int rc = path ? 0 : -ENOMEM;
    for (char *dot = path; dot && (dot = strchr(dot, '.'));)
        *dot = '/';
    for (size_t i = 0; i < sizeof ends / sizeof *ends && rc == 0; i++) {
        SB_AUTO_FREE char *file = sb_format("%s%s", path, ends[i]);
        rc = file ? take_file(naming, file, true) : -ENOMEM;
    }
    return rc;
}

/* Argument i in every cell. */
static int take_levels(struct naming *naming, const struct sb_job_plan *plan, size_t i) {
    const char *argument = plan->job->command[i];
    size_t n = strchr(argument, '{') ? plan->n_cells : 1;
    int rc = 0;
    for (size_t c = 0; c < n && rc >= 0; c++) {
        SB_AUTO_FREE char *text = sb_command_argument(plan, &plan->cells[c], argument);
        if (!text)
            return -ENOMEM;
        /* A program without a slash is looked for on PATH. */
        if (i > 0)
            rc = take_argument(naming, text);
        else if (strchr(text, '/'))
            rc = take_file(naming, text, true);
    }
    return rc;
}

static int take_command(struct naming *naming, const struct sb_job_plan *plan) {
    const struct sb_job *job = plan->job;
    bool python = false;
    int rc = 0;
    for (size_t i = 0; i < job->n_command && rc >= 0; i++) {
        const char *word = job->command[i], *slash = strrchr(word, '/');
        if (strstr(word, "{weights}"))
            continue;
        rc = python && strcmp(job->command[i - 1], "-m") == 0 ? take_module(naming, word)
                                                              : take_levels(naming, plan, i);
        python |= strncmp(slash ? slash + 1 : word, "python", strlen("python")) == 0;
    }
    return rc;
}

int sb_program_digest_all(const struct sb_plan *plan, json_t **jobs, struct sb_error *err) {
    SB_AUTO_JSON json_t *made = json_array();
    SB_AUTO_JSON json_t *known = json_object();
    uint64_t left = SB_MOST_HASHED;
    int rc = made && known ? 0 : -ENOMEM;
    for (size_t i = 0; i < plan->n_jobs && rc >= 0; i++) {
        struct naming naming = {
            .job = plan->jobs[i].job, .digests = json_object(), .known = known, .left = &left};
        if (json_array_append_new(made, naming.digests) < 0)
            rc = -ENOMEM;
        else
            rc = take_command(&naming, &plan->jobs[i]);
    }
    if (rc < 0)
        return sb_error_errno(err, rc, "the files that commands name");
    *jobs = sb_steal_pointer(&made);
    return 0;
}
