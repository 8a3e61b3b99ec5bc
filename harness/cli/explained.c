/* cli: explain.json. See cli/explained.h. */
#include "cli/explained.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "report/display.h"
#include "report/reading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { MOST_BYTES = 256 << 20 };

static const char schema[] = "samebits.explain/1";

/* What a job's answer is about, so that it is not taken for one of another result: the verdict, and
 * which run gave which bits (--resume makes more). malloc'd. */
static char *digest_of(const json_t *job) {
    static const char *const members[] = {"verdict", "depends_on", "unstable_when", "groups"};
    SB_AUTO_JSON json_t *asked = json_object();
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        json_object_set(asked, members[i], json_object_get(job, members[i]));
    SB_AUTO_FREE char *text = json_dumps(asked, JSON_SORT_KEYS | JSON_COMPACT);
    if (!text)
        return NULL;
    XXH128_hash_t hash = XXH3_128bits(text, strlen(text));
    return sb_format("xxh3:%016llx%016llx", (unsigned long long)hash.high64,
                     (unsigned long long)hash.low64);
}

/* Job id → job. New reference. */
static json_t *by_id(const json_t *jobs) {
    json_t *map = json_object(), *job;
    size_t i;
    json_array_foreach(jobs, i, job) json_object_set(map, sb_job_title(job), job);
    return map;
}

/* The document; NULL where it is not there, and where it cannot be read, which `why` says then. */
static json_t *read_document(const char *path, struct sb_error *why) {
    SB_AUTO_FREE char *text = NULL;
    json_error_t problem;
    size_t n;
    if (access(path, F_OK) < 0 || sb_file_read(path, MOST_BYTES, &text, &n, why) < 0)
        return NULL;
    json_t *kept = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (!kept)
        sb_error_set(why, -EINVAL, "%s: line %d: %s", path, problem.line, problem.text);
    else if (!sb_text_is(kept, "schema", schema))
        sb_error_set(why, -EINVAL, "%s: not of schema %s", path, schema);
    else
        return kept;
    json_decref(kept);
    return NULL;
}

/* Job id → what is known of it, of the result as it is; empty where the document cannot be read.
 * New reference. */
static json_t *known_of(const char *path, const json_t *result, struct sb_error *why) {
    json_t *known = json_object();
    SB_AUTO_JSON json_t *kept = read_document(path, why);
    SB_AUTO_JSON json_t *found = by_id(json_object_get(kept, "jobs"));
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        json_t *one = json_object_get(found, sb_job_title(job));
        SB_AUTO_FREE char *digest = one ? digest_of(job) : NULL;
        if (digest && sb_text_is(one, "of", digest))
            json_object_set(known, sb_job_title(job), one);
    }
    return known;
}

static int add_found(json_t *known, const json_t *result, const json_t *found,
                     const char *changed) {
    SB_AUTO_JSON json_t *jobs = by_id(json_object_get(result, "jobs"));
    size_t i;
    json_t *one;
    json_array_foreach(found, i, one) {
        const char *title = sb_job_title(one);
        SB_AUTO_FREE char *digest = digest_of(json_object_get(jobs, title));
        SB_AUTO_JSON json_t *entry = json_copy(one);
        if (!entry || !digest || json_object_set_new(entry, "of", json_string(digest)) < 0 ||
            json_object_set_new(entry, "changed", sb_json_string(changed)) < 0 ||
            json_object_set(known, title, entry) < 0)
            return -ENOMEM;
    }
    return 0;
}

int sb_explained_save(const struct sb_folder *folder, const json_t *result, const json_t *found,
                      const char *changed, struct sb_error *err) {
    if (!json_array_size(found))
        return 0;
    SB_AUTO_FREE char *path = sb_folder_file(folder, "explain.json");
    SB_AUTO_JSON json_t *known = path ? known_of(path, result, NULL) : NULL;
    SB_AUTO_JSON json_t *jobs = json_array();
    if (!known || !jobs || add_found(known, result, found, changed) < 0)
        return sb_error_errno(err, -ENOMEM, "explain.json");
    const char *id;
    json_t *one;
    json_object_foreach(known, id, one) json_array_append(jobs, one);
    SB_AUTO_JSON json_t *document = json_pack("{s:s, s:O}", "schema", schema, "jobs", jobs);
    SB_AUTO_FREE char *text = document ? sb_json_text(document) : NULL;
    if (!text)
        return sb_error_errno(err, -ENOMEM, "explain.json");
    return sb_file_write(path, text, strlen(text), err);
}

void sb_explained_join(const char *folder, json_t *result) {
    SB_AUTO_FREE char *path = sb_path_join(folder, "explain.json");
    struct sb_error why = {0};
    SB_AUTO_JSON json_t *known = path ? known_of(path, result, &why) : NULL;
    if (why.text[0]) {
        SB_AUTO_FREE char *shown = sb_text_printable(why.text);
        fprintf(stderr, "samebits: %s; reports leave it out\n", shown ? shown : "explain.json");
    }
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        json_t *found = json_object_get(known, sb_job_title(job));
        if (found)
            json_object_set(job, "explained", found);
    }
}
