/* Stage 3: the launcher `slurm`, after a samebits that was killed: its tasks are ended, and what
 * they had done until then is taken in. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "run/batch.h"
#include "run/launcher_slurm.h"
#include "run/process.h"
#include "run/slurm.h"

#include <errno.h>
#include <string.h>

/* So long a task may take to end when it was told to. */
static const double patience_s = 60;

static void count_live(void *context, const struct sb_slurm_state *state) {
    *(size_t *)context += !state->ended;
}

/* Two tasks must not write one run's log. */
static void end_arrays(const struct sb_strings *arrays) {
    double until = sb_monotonic() + patience_s;
    for (size_t live = 1; live && sb_monotonic() < until && !sb_interrupted;) {
        sb_slurm_cancel(arrays, false);
        live = 0;
        if (sb_slurm_states(arrays, count_live, &live, NULL) < 0)
            return;
        if (live)
            nanosleep(&(struct timespec){.tv_nsec = 500000000L}, NULL);
    }
}

static int read_arrays(const char *path, struct sb_strings *arrays) {
    SB_AUTO_FREE char *file = sb_path_join(path, SB_SLURM_ARRAYS);
    SB_AUTO_FREE char *text = NULL;
    if (!file || sb_file_read(file, 1 << 20, &text, NULL, NULL) < 0)
        return 0; /* nothing was submitted */
    int rc = 0;
    char *next = NULL;
    for (char *id = strtok_r(text, "\n", &next); rc == 0 && id; id = strtok_r(NULL, "\n", &next)) {
        if (strspn(id, "0123456789") == strlen(id))
            rc = sb_strings_add(arrays, id);
    }
    return rc;
}

static int take_run(void *context, struct sb_run *run, struct sb_error *err) {
    return sb_journal_append(context, run, err);
}

/* In the journal a run may stand twice; what is not known is done again. */
static int harvest(struct sb_folder *folder, const char *path, struct sb_error *err) {
    int rc = 0;
    for (size_t task = 0; rc >= 0; task++) {
        struct sb_spooled spooled = {.run = take_run, .context = folder};
        SB_AUTO_FREE char *spool = sb_batch_spool(path, task);
        if (!spool)
            return sb_error_errno(err, -ENOMEM, "%s", path);
        if (access(spool, F_OK) < 0)
            break;
        rc = sb_spooled_read(&spooled, spool, err);
        sb_spooled_clear(&spooled);
    }
    return rc < 0 ? rc : 0;
}

static int recover_batch(struct sb_folder *folder, const char *path, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings arrays = {0};
    SB_AUTO_FREE char *file = sb_path_join(path, SB_BATCH_FILE);
    if (!file || read_arrays(path, &arrays) < 0)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    /* First: what a task that is cancelled says of its runs is no fact. */
    int rc = harvest(folder, path, err);
    if (rc < 0)
        return rc;
    /* Whoever begins only now finds nothing to do. */
    if (unlink(file) < 0 && errno != ENOENT)
        return sb_error_errno(err, -errno, "%s", file);
    if (arrays.n)
        end_arrays(&arrays);
    return sb_remove_tree(path, err);
}

int sb_slurm_recover(struct sb_folder *folder, struct sb_error *err) {
    SB_AUTO_FREE char *parent = sb_folder_file(folder, SB_BATCHES);
    SB_AUTO_DIR DIR *batches = parent ? opendir(parent) : NULL;
    int rc = 0;
    for (struct dirent *entry; rc == 0 && batches && (entry = readdir(batches));) {
        if (strncmp(entry->d_name, "batch-", strlen("batch-")) != 0)
            continue;
        SB_AUTO_FREE char *path = sb_path_join(parent, entry->d_name);
        rc = path ? recover_batch(folder, path, err) : sb_error_errno(err, -ENOMEM, "%s", parent);
    }
    if (rc == 0 && parent)
        (void)rmdir(parent);
    return rc;
}
