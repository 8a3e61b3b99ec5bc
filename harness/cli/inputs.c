/* cli: files that jobs read, hashed before and after their runs. */
#include "cli/inputs.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "weights/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

static int digest_file(const char *path, char text[SB_DIGEST_TEXT], struct sb_error *err) {
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint64_t left = UINT64_MAX;
    if (fd < 0 || fstat(fd, &st) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return sb_error_set(err, -EINVAL, "%s: not a regular file", path);
    int rc = sb_digest_file(fd, &left, text);
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
        char digest[SB_DIGEST_TEXT];
        rc = path ? digest_file(path, digest, err) : -ENOMEM;
        if (rc < 0)
            return rc;
        SB_AUTO_JSON json_t *name = sb_json_string(found.items[i]);
        json_object_set_new_nocheck(digests, json_string_value(name),
                                    json_sprintf("xxh3:%s", digest));
    }
    return 0;
}

int sb_inputs_digest(const struct sb_job *job, json_t **digests, struct sb_error *err) {
    SB_AUTO_JSON json_t *made = json_object();
    for (size_t i = 0; i < job->n_inputs; i++) {
        int rc = add_pattern(job, job->inputs[i], made, err);
        if (rc < 0)
            return rc;
    }
    *digests = sb_steal_pointer(&made);
    return 0;
}

int sb_inputs_digest_all(const struct sb_suite *suite, json_t **jobs, struct sb_error *err) {
    SB_AUTO_JSON json_t *made = json_array();
    for (size_t i = 0; i < suite->n_jobs; i++) {
        json_t *digests = NULL;
        int rc = sb_inputs_digest(&suite->jobs[i], &digests, err);
        if (rc < 0)
            return rc;
        json_array_append_new(made, digests);
    }
    *jobs = sb_steal_pointer(&made);
    return 0;
}
