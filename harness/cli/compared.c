/* cli: finds the files of one side of a comparison. See cli/compared.h. */
#include "cli/compared.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/digesting.h"

#include <samebits/report.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void sb_compared_clear(struct sb_compared *compared) {
    sb_digesting_prefixes_free(compared->prefixes, compared->stored.n);
    sb_strings_pair_clear(&compared->stored);
    free(compared->path);
    *compared = (struct sb_compared){0};
}

/* Where a run's name begins in RESULT/RUN, or NULL. */
static const char *run_of(const char *name) {
    const char *slash = strrchr(name, '/');
    if (!slash || slash == name || slash[1] != 'r' || !slash[2] ||
        strspn(slash + 2, "0123456789") != strlen(slash + 2))
        return NULL;
    return slash + 1;
}

/* By result.json, which of a merged result alone has all runs. malloc'd, or NULL. */
static char *fingerprint_of(const struct sb_folder *folder, const char *id) {
    SB_AUTO_JSON json_t *result = NULL;
    if (sb_result_load(sb_folder_path(folder), &result, NULL) < 0)
        return NULL;
    size_t i;
    json_t *run;
    json_array_foreach(json_object_get(result, "runs"), i, run) {
        const char *fingerprint = json_string_value(json_object_get(run, "fingerprint"));
        const char *name = json_string_value(json_object_get(run, "id"));
        if (name && fingerprint && strcmp(name, id) == 0)
            return strdup(fingerprint);
    }
    return NULL;
}

static int find_run(struct sb_folder *folder, const char *name, const char *id,
                    struct sb_compared *compared, struct sb_error *err) {
    struct sb_run *runs = NULL;
    size_t n = 0, at = 0;
    int rc = sb_journal_read(folder, &runs, &n, err);
    if (rc < 0)
        return rc;
    while (at < n && strcmp(runs[at].id, id) != 0)
        at++;
    SB_AUTO_FREE char *merged = at == n ? fingerprint_of(folder, id) : NULL;
    if (merged)
        rc = sb_store_find(folder, merged, &compared->stored, err);
    else if (at == n)
        rc = sb_error_set(err, -ENOENT, "%s: no such run (runs: %s to %s)", name,
                          n ? runs[0].id : "none", n ? runs[n - 1].id : "none");
    else if (!runs[at].fingerprint)
        rc = sb_error_set(err, -ENOENT, "%s: the run saved no weights (%s)", name,
                          sb_status_names[runs[at].status]);
    else
        rc = sb_store_find(folder, runs[at].fingerprint, &compared->stored, err);
    for (size_t i = 0; i < n; i++)
        sb_run_clear(&runs[i]);
    free(runs);
    return rc;
}

static int open_run(const char *name, const char *id, struct sb_compared *compared,
                    struct sb_error *err) {
    struct sb_folder *folder = NULL;
    SB_AUTO_FREE char *result = strndup(name, (size_t)(id - name) - 1);
    if (!result)
        return sb_error_errno(err, -ENOMEM, "%s", name);
    int rc = sb_folder_open(result, false, &folder, err);
    if (rc == 0)
        rc = find_run(folder, name, id, compared, err);
    sb_folder_close(folder);
    if (rc < 0)
        return rc;
    const struct sb_strings_pair *stored = &compared->stored;
    compared->prefixes = sb_digesting_prefixes(stored->relative, stored->n);
    if (stored->n > 1 && !compared->prefixes)
        return sb_error_errno(err, -ENOMEM, "%s", name);
    compared->files = (struct sb_weights_files){
        .paths = stored->absolute, .prefixes = compared->prefixes, .n = stored->n};
    return 0;
}

int sb_compared_open(char *name, struct sb_compared *compared, struct sb_error *err) {
    const char *id = run_of(name);
    *compared = (struct sb_compared){0};
    if (id && access(name, F_OK) < 0)
        return open_run(name, id, compared, err);
    /* Caches of models are full of links. What is not there is named when it is opened. */
    compared->path = sb_weights_path(name);
    if (!compared->path)
        return sb_error_errno(err, -ENOMEM, "%s", name);
    compared->files = (struct sb_weights_files){.paths = &compared->path, .n = 1};
    return 0;
}
