/* cli: joins stage 3 with stage 4. See cli/digesting.h. */
#include "cli/digesting.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

struct digest_reading {
    struct sb_reading *reading;
    struct sb_weights_options options; /* the job's, which outlives it */
};

char **sb_digesting_prefixes(char *const *relative, size_t n) {
    char **prefixes = n > 1 ? calloc(n, sizeof *prefixes) : NULL;
    for (size_t i = 0; prefixes && i < n; i++) {
        prefixes[i] = sb_format("%s:", relative[i]);
        if (!prefixes[i]) {
            sb_digesting_prefixes_free(prefixes, n);
            return NULL;
        }
    }
    return prefixes;
}

void sb_digesting_prefixes_free(char **prefixes, size_t n) {
    for (size_t i = 0; prefixes && i < n; i++)
        free(prefixes[i]);
    free(prefixes);
}

static int start(void *context, const struct sb_job *job, const struct sb_strings_pair *files,
                 void **reading, struct sb_error *err) {
    char **prefixes = sb_digesting_prefixes(files->relative, files->n);
    struct digest_reading *started = calloc(1, sizeof *started);
    int rc = !started || (files->n > 1 && !prefixes)
                 ? sb_error_errno(err, -ENOMEM, "reading weights")
                 : 0;
    if (rc == 0) {
        const struct sb_weights_files weights = {
            .paths = files->absolute, .prefixes = prefixes, .n = files->n};
        started->options = (struct sb_weights_options){.exclude = job->exclude,
                                                       .n_exclude = job->n_exclude,
                                                       .include = job->include,
                                                       .n_include = job->n_include};
        rc = sb_reading_start(context, &weights, &started->options, &started->reading, err);
    }
    sb_digesting_prefixes_free(prefixes, files->n);
    if (rc < 0) {
        free(started);
        return rc;
    }
    *reading = started;
    return 0;
}

static int fd(void *reading) {
    return sb_reading_fd(((struct digest_reading *)reading)->reading);
}

/* Said of a glob, which most likely has a slip of the pen. */
static char *note(const struct sb_weights_options *options, const struct sb_globs_met *met) {
    char **unmet = sb_globs_unmet(options, met);
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; unmet && unmet[i]; i++) {
        sb_text_printf(&text, "%s%s", i ? ", " : "", unmet[i]);
        free(unmet[i]);
    }
    free(unmet);
    if (text.length == 0)
        return NULL;
    sb_text_puts(&text, ": matches no tensor");
    return sb_text_take(&text);
}

/* The path of a name in the folder of a file. */
static char *beside(const char *file, const char *name) {
    const char *slash = strrchr(file, '/');
    return sb_format("%.*s%s", slash ? (int)(slash + 1 - file) : 0, file, name);
}

static bool is_among(char *const *names, size_t n, const char *name) {
    while (n) {
        if (strcmp(names[--n], name) == 0)
            return true;
    }
    return false;
}

/* What was read as a part of the files and is none of them: each once. 0, -ENOMEM, or -EBADMSG
 * where the parser speaks of a file that it was not given. */
static int find_parts(const struct sb_fingerprint *fingerprint, const struct sb_strings_pair *files,
                      struct sb_strings_pair *parts) {
    parts->absolute = calloc(fingerprint->n_parts + 1, sizeof *parts->absolute);
    parts->relative = calloc(fingerprint->n_parts + 1, sizeof *parts->relative);
    if (!parts->absolute || !parts->relative)
        return -ENOMEM;
    for (size_t i = 0; i < fingerprint->n_parts; i++) {
        const struct sb_part *part = &fingerprint->parts[i];
        if (part->of >= files->n)
            return -EBADMSG;
        SB_AUTO_FREE char *relative = beside(files->relative[part->of], part->name);
        SB_AUTO_FREE char *absolute = beside(files->absolute[part->of], part->name);
        if (!relative || !absolute)
            return -ENOMEM;
        if (is_among(files->relative, files->n, relative) ||
            is_among(parts->relative, parts->n, relative))
            continue;
        parts->relative[parts->n] = sb_steal_pointer(&relative);
        parts->absolute[parts->n++] = sb_steal_pointer(&absolute);
    }
    return 0;
}

static int step(void *reading, const struct sb_strings_pair *files, struct sb_digest_result *result,
                struct sb_error *err) {
    SB_CLEANUP(sb_fingerprint_clear) struct sb_fingerprint fingerprint = {0};
    const struct digest_reading *started = reading;
    int rc = sb_reading_step(started->reading, &fingerprint, err);
    if (rc < 0)
        return rc;
    struct sb_strings_pair parts = {0};
    rc = find_parts(&fingerprint, files, &parts);
    if (rc < 0) {
        sb_strings_pair_clear(&parts);
        return sb_error_errno(err, rc, "the files that the weights are in");
    }
    *result = (struct sb_digest_result){.sum = fingerprint.sum,
                                        .all_zero = fingerprint.all_zero,
                                        .all_nan = fingerprint.all_nan,
                                        .note = note(&started->options, &fingerprint.met),
                                        .parts = parts};
    memcpy(result->fingerprint, fingerprint.text, sizeof fingerprint.text);
    return 0;
}

static void free_reading(void *reading) {
    struct digest_reading *started = reading;
    if (started)
        sb_reading_free(started->reading);
    free(started);
}

static bool recognised(void *context, const char *path) {
    (void)context;
    return sb_format_recognise(path) != NULL;
}

struct sb_digesting sb_digesting_make(struct sb_reader *reader) {
    return (struct sb_digesting){.context = reader,
                                 .start = start,
                                 .fd = fd,
                                 .step = step,
                                 .free = free_reading,
                                 .recognised = recognised};
}
