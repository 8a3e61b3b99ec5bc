/* Stage 3: what came out of a batch's task, out of its spool. See run/batch.h. */
#include "base/cleanup.h"
#include "run/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int take_begin(struct sb_spooled *spooled, const json_t *json) {
    const char *mode = json_string_value(json_object_get(json, "mode"));
    size_t i;
    json_t *note;
    if (spooled->machine)
        return 0;
    for (i = 0; mode && sb_isolation_names[i]; i++) {
        if (strcmp(mode, sb_isolation_names[i]) == 0)
            spooled->mode = (enum sb_isolation)i;
    }
    json_array_foreach(json_object_get(json, "shared"), i, note) {
        const char *text = json_string_value(note);
        if (text && sb_strings_add(&spooled->shared, text) < 0)
            return -ENOMEM;
    }
    spooled->machine = json_incref(json_object_get(json, "machine"));
    return 0;
}

static int take_record(void *context, const json_t *json, struct sb_error *err) {
    struct sb_spooled *spooled = context;
    const char *error = json_string_value(json_object_get(json, "error"));
    if (error) {
        free(spooled->error);
        spooled->error = strdup(error);
        return spooled->error ? 0 : sb_error_errno(err, -ENOMEM, "reading runs");
    }
    if (json_object_get(json, "shared"))
        return take_begin(spooled, json) < 0 ? sb_error_errno(err, -ENOMEM, "reading runs") : 0;
    SB_CLEANUP(sb_run_clear) struct sb_run run = {0};
    int rc = sb_run_from_json(json, &run, err);
    if (rc < 0)
        return rc;
    json_decref(run.seen.machine);
    run.seen.machine = json_incref(spooled->machine);
    return spooled->run(spooled->context, &run, err);
}

int sb_spooled_read(struct sb_spooled *spooled, const char *path, struct sb_error *err) {
    /* Opened for its size: an attribute alone may be minutes old under NFS. */
    SB_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return sb_error_errno(err, -errno, "%s", path);
    if (st.st_size == spooled->size)
        return 0;
    int rc = sb_journal_scan(path, take_record, spooled, err);
    if (rc < 0)
        return rc;
    spooled->size = st.st_size;
    return 1;
}

void sb_spooled_clear(struct sb_spooled *spooled) {
    json_decref(spooled->machine);
    sb_strings_clear(&spooled->shared);
    free(spooled->error);
    *spooled = (struct sb_spooled){0};
}
