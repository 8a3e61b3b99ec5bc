/* cli: files that jobs read, hashed before and after their runs. */
#include "cli/inputs.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

static int digest_file(const char *path, char *digest, size_t n, struct sb_error *err) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return sb_error_set(err, -EINVAL, "%s: not a regular file", path);
    XXH3_state_t *state = XXH3_createState();
    SB_AUTO_FREE char *buffer = malloc(1 << 18);
    int rc = state && buffer ? 0 : -ENOMEM;
    if (rc == 0)
        XXH3_128bits_reset(state);
    for (ssize_t got = 1; rc == 0 && got != 0;) {
        got = read(fd, buffer, 1 << 18);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = -errno;
        else
            XXH3_128bits_update(state, buffer, (size_t)got);
    }
    if (rc == 0) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
        int at = snprintf(digest, n, "xxh3:");
        for (size_t i = 0; i < sizeof canonical.digest; i++)
            at += snprintf(digest + at, n - (size_t)at, "%02x", canonical.digest[i]);
    }
    XXH3_freeState(state);
    return rc < 0 ? sb_error_errno(err, rc, "%s", path) : 0;
}

/* Files below `folder` whose path relative to `root` matches, in byte order. */
static int find_files(const char *root, const char *relative, const char *pattern,
                      struct sb_strings *found) {
    SB_AUTO_FREE char *folder = sb_path_join(root, *relative ? relative : ".");
    SB_AUTO_DIR DIR *dir = folder ? opendir(folder) : NULL;
    if (!dir)
        return folder ? 0 : -ENOMEM;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        SB_AUTO_FREE char *path =
            *relative ? sb_path_join(relative, entry->d_name) : strdup(entry->d_name);
        struct stat st;
        if (!path)
            return -ENOMEM;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int rc = 0;
        if (S_ISDIR(st.st_mode))
            rc = find_files(root, path, pattern, found);
        else if (S_ISREG(st.st_mode) && sb_glob_match(pattern, path))
            rc = sb_strings_add(found, path);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Files that a glob means, as it names them. Only what lies below the folder that it names outright
 * is walked through: "../data" of "../data/[a-c].csv". */
static int find_glob(const char *directory, const char *pattern, struct sb_strings *found) {
    size_t n = strcspn(pattern, "*?[\\");
    while (n && pattern[n - 1] != '/')
        n--;
    SB_AUTO_FREE char *folder = strndup(pattern, n);
    SB_AUTO_FREE char *root = folder ? sb_path_join(directory, n ? folder : ".") : NULL;
    SB_AUTO_STRINGS struct sb_strings below = {0};
    int rc = root ? find_files(root, "", pattern + n, &below) : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < below.n; i++)
        rc = sb_strings_take(found, sb_format("%s%s", folder, below.items[i]));
    return rc;
}

static int add_pattern(const struct sb_job *job, const char *pattern, json_t *digests,
                       struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings found = {0};
    SB_AUTO_FREE char *literal = sb_path_join(job->directory, pattern);
    int rc = 0;
    if (!literal)
        return sb_error_errno(err, -ENOMEM, "inputs");
    if (access(literal, F_OK) == 0)
        rc = sb_strings_add(&found, pattern);
    else
        rc = find_glob(job->directory, pattern, &found);
    if (rc < 0)
        return sb_error_errno(err, rc, "inputs");
    if (!found.n)
        return sb_where_error(err, -ENOENT, &job->where,
                              "job '%s': inputs: '%s' matches no file in %s", job->name, pattern,
                              job->directory);
    sb_strings_sort(&found);
    for (size_t i = 0; i < found.n; i++) {
        SB_AUTO_FREE char *path = sb_path_join(job->directory, found.items[i]);
        char digest[48];
        rc = path ? digest_file(path, digest, sizeof digest, err) : -ENOMEM;
        if (rc < 0)
            return rc;
        SB_AUTO_JSON json_t *name = sb_json_string(found.items[i]);
        json_object_set_new_nocheck(digests, json_string_value(name), json_string(digest));
    }
    return 0;
}

int sb_inputs_digest(const struct sb_suite *suite, json_t **digests, struct sb_error *err) {
    SB_AUTO_JSON json_t *all = json_object();
    for (size_t i = 0; i < suite->n_jobs; i++) {
        for (size_t k = 0; k < suite->jobs[i].n_inputs; k++) {
            int rc = add_pattern(&suite->jobs[i], suite->jobs[i].inputs[k], all, err);
            if (rc < 0)
                return rc;
        }
    }
    *digests = sb_steal_pointer(&all);
    return 0;
}

static bool is_input(const struct sb_job *job, const char *path) {
    for (size_t i = 0; i < job->n_inputs; i++) {
        SB_AUTO_JSON json_t *named = sb_json_string(job->inputs[i]);
        const char *pattern = json_string_value(named);
        if (pattern && (strcmp(pattern, path) == 0 || sb_glob_match(pattern, path)))
            return true;
    }
    return false;
}

char *sb_inputs_changed(const struct sb_job *job, const json_t *before, const json_t *after) {
    SB_AUTO_TEXT struct sb_text changed = {0};
    const char *path;
    json_t *digest;
    json_object_foreach((json_t *)before, path, digest) {
        if (is_input(job, path) && !json_equal(digest, json_object_get(after, path)))
            sb_text_printf(&changed, "%s%s", changed.length ? ", " : "", path);
    }
    json_object_foreach((json_t *)after, path, digest) {
        if (is_input(job, path) && !json_object_get(before, path))
            sb_text_printf(&changed, "%s%s (new)", changed.length ? ", " : "", path);
    }
    return changed.length
               ? sb_format("inputs changed while the runs were under way: %s", changed.data)
               : NULL;
}
