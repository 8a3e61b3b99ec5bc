/* Stage 3: batches: a round's runs as files that other machines work from, and the doing of one
 * task. See run/batch.h. */
#include "run/batch.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define SCHEMA "samebits.batch/1"

enum { MOST_ENVIRONMENT = 1 << 26 };

struct sb_batch {
    char *path;
    json_t *json;
    struct sb_strings environment;
};

char *sb_batch_spool(const char *path, size_t task) {
    return sb_format("%s/%zu.spool", path, task);
}

/* ---- Making ---------------------------------------------------------------------------------- */

static json_t *task_json(const struct sb_due *due, const struct sb_batch_task *task) {
    json_t *runs = json_array();
    for (size_t i = 0; i < task->n; i++) {
        const struct sb_due *run = &due[task->first + i];
        json_array_append_new(runs, json_pack("{s:s, s:I, s:i}", "id", run->id, "cell",
                                              (json_int_t)run->cell, "repeat", (int)run->repeat));
    }
    return runs;
}

static json_t *batch_json(const struct sb_schedule *schedule, const struct sb_due *due,
                          const struct sb_batch_task *tasks, size_t n_tasks) {
    const struct sb_schedule_options *options = schedule->options;
    json_t *all = json_array();
    for (size_t i = 0; i < n_tasks; i++)
        json_array_append_new(all, task_json(due, &tasks[i]));
    return json_pack("{s:s, s:o, s:I, s:i, s:b, s:b, s:o}", "schema", SCHEMA, "results",
                     sb_json_string(sb_folder_path(schedule->folder)), "job",
                     (json_int_t)schedule->job, "isolate", (int)options->isolate, "trace",
                     options->trace, "forget_weights", options->forget_weights, "tasks", all);
}

static int make_folder(const struct sb_schedule *schedule, char **path, struct sb_error *err) {
    uint64_t token;
    if (getrandom(&token, sizeof token, 0) != sizeof token)
        return sb_error_errno(err, -errno, "a batch of runs");
    SB_AUTO_FREE char *parent = sb_folder_file(schedule->folder, SB_BATCHES);
    SB_AUTO_FREE char *made =
        parent ? sb_format("%s/batch-%016llx", parent, (unsigned long long)token) : NULL;
    if (!made)
        return sb_error_errno(err, -ENOMEM, "a batch of runs");
    int rc = sb_make_folders(parent, 0777, err);
    if (rc == 0 && mkdir(made, 0700) < 0)
        rc = sb_error_errno(err, -errno, "%s", made);
    if (rc == 0)
        *path = sb_steal_pointer(&made);
    return rc;
}

static int write_file(const char *path, const char *name, const char *data, size_t n,
                      struct sb_error *err) {
    SB_AUTO_FREE char *file = sb_path_join(path, name);
    return file ? sb_file_write(file, data, n, err) : sb_error_errno(err, -ENOMEM, "%s", path);
}

static int write_environment(const char *path, char *const *environment, struct sb_error *err) {
    SB_AUTO_TEXT struct sb_text text = {0};
    for (; environment && *environment; environment++)
        sb_text_add(&text, *environment, strlen(*environment) + 1);
    return text.failed
               ? sb_error_errno(err, -ENOMEM, "%s", path)
               : write_file(path, "environment", text.data ? text.data : "", text.length, err);
}

/* A folder that is nothing but the journal in it. */
static int open_spool(const char *path, size_t task, struct sb_folder *spool,
                      struct sb_error *err) {
    *spool = (struct sb_folder){.path = (char *)path, .lock = -1, .journal = -1};
    SB_AUTO_FREE char *file = sb_batch_spool(path, task);
    return file ? sb_journal_attach(spool, file, err) : sb_error_errno(err, -ENOMEM, "%s", path);
}

static void close_spool(struct sb_folder *spool) {
    sb_folder_sync(spool);
    if (spool->journal >= 0)
        close(spool->journal);
}

static int fill_folder(const struct sb_schedule *schedule, const struct sb_due *due,
                       const struct sb_batch_task *tasks, size_t n_tasks, const char *path,
                       struct sb_error *err) {
    SB_AUTO_JSON json_t *json = batch_json(schedule, due, tasks, n_tasks);
    SB_AUTO_FREE char *text = json ? sb_json_text(json) : NULL;
    if (!text)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    int rc = write_environment(path, schedule->options->environment, err);
    for (size_t i = 0; rc == 0 && i < n_tasks; i++) {
        struct sb_folder spool;
        rc = open_spool(path, i, &spool, err);
        close_spool(&spool);
    }
    return rc < 0 ? rc : write_file(path, SB_BATCH_FILE, text, strlen(text), err);
}

int sb_batch_make(const struct sb_schedule *schedule, const struct sb_due *due,
                  const struct sb_batch_task *tasks, size_t n_tasks, char **path,
                  struct sb_error *err) {
    SB_AUTO_FREE char *made = NULL;
    int rc = make_folder(schedule, &made, err);
    if (rc < 0)
        return rc;
    rc = fill_folder(schedule, due, tasks, n_tasks, made, err);
    if (rc < 0)
        (void)sb_remove_tree(made, NULL);
    else
        *path = sb_steal_pointer(&made);
    return rc;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int read_environment(struct sb_batch *batch, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_path_join(batch->path, "environment");
    SB_AUTO_FREE char *text = NULL;
    size_t n = 0;
    int rc = path ? sb_file_read(path, MOST_ENVIRONMENT, &text, &n, err)
                  : sb_error_errno(err, -ENOMEM, "%s", batch->path);
    for (size_t at = 0; rc == 0 && at < n; at += strlen(text + at) + 1) {
        if (sb_strings_add(&batch->environment, text + at) < 0)
            rc = sb_error_errno(err, -ENOMEM, "%s", path);
    }
    return rc;
}

static int read_batch(struct sb_batch *batch, struct sb_error *err) {
    SB_AUTO_FREE char *path = sb_path_join(batch->path, SB_BATCH_FILE);
    json_error_t problem = {.text = "out of memory"};
    batch->json = path ? json_load_file(path, 0, &problem) : NULL;
    if (!batch->json)
        return sb_error_set(err, -EINVAL, "%s: %s", path ? path : batch->path, problem.text);
    const char *schema = json_string_value(json_object_get(batch->json, "schema"));
    if (!schema || strcmp(schema, SCHEMA) != 0 || !sb_batch_results(batch))
        return sb_error_set(err, -EINVAL, "%s: schema '%s', and this samebits reads '" SCHEMA "'",
                            path, schema ? schema : "unknown");
    return read_environment(batch, err);
}

int sb_batch_open(const char *path, struct sb_batch **batch, struct sb_error *err) {
    struct sb_batch *opened = calloc(1, sizeof *opened);
    int rc = opened && (opened->path = strdup(path)) ? 0 : sb_error_errno(err, -ENOMEM, "%s", path);
    if (rc == 0)
        rc = read_batch(opened, err);
    if (rc < 0)
        sb_batch_free(opened);
    else
        *batch = opened;
    return rc;
}

const char *sb_batch_results(const struct sb_batch *batch) {
    return json_string_value(json_object_get(batch->json, "results"));
}

char **sb_batch_environment(struct sb_batch *batch) {
    return batch->environment.items;
}

void sb_batch_free(struct sb_batch *batch) {
    if (!batch)
        return;
    sb_strings_clear(&batch->environment);
    json_decref(batch->json);
    free(batch->path);
    free(batch);
}

/* ---- Doing a task ---------------------------------------------------------------------------- */

struct doing {
    const struct sb_batch *batch;
    struct sb_folder *folder;
    json_t *machine;
    size_t n_tasks;
    struct sb_due *due;
    size_t n_due;
};

static int read_task(struct doing *doing, const struct sb_plan *plan, size_t job, unsigned task,
                     struct sb_error *err) {
    const json_t *tasks = json_object_get(doing->batch->json, "tasks");
    const json_t *runs = json_array_get(tasks, task);
    doing->n_tasks = json_array_size(tasks);
    doing->n_due = json_array_size(runs);
    doing->due = calloc(doing->n_due + 1, sizeof *doing->due);
    if (!doing->due)
        return sb_error_errno(err, -ENOMEM, "%s", doing->batch->path);
    bool good = doing->n_due > 0 && job < plan->n_jobs;
    for (size_t i = 0; good && i < doing->n_due; i++) {
        const json_t *run = json_array_get(runs, i);
        const char *id = json_string_value(json_object_get(run, "id"));
        json_int_t cell = json_integer_value(json_object_get(run, "cell"));
        json_int_t repeat = json_integer_value(json_object_get(run, "repeat"));
        good = id && sb_run_id_valid(id) && cell >= 0 && (size_t)cell < plan->jobs[job].n_cells &&
               repeat >= 1 && repeat <= INT_MAX;
        if (!good)
            break;
        doing->due[i] = (struct sb_due){.cell = (size_t)cell, .repeat = (unsigned)repeat};
        memcpy(doing->due[i].id, id, strlen(id) + 1);
    }
    return good ? 0
                : sb_error_set(err, -EINVAL, "%s: task %u is not of this plan", doing->batch->path,
                               task);
}

/* Where runs share one directory, two tasks on two machines would spoil each other's. */
static void refuse_shared_directory(const struct doing *doing, struct sb_schedule *schedule) {
    if (!schedule->sandbox || doing->n_tasks < 2 || sb_sandbox_concurrency(schedule->sandbox) > 1)
        return;
    schedule->sandbox_problem = sb_format(
        "runs cannot be isolated on %s: neither overlays nor mount namespaces can be had there, "
        "and "
        "tasks of other nodes work in the same directory (--isolate inplace does all runs of a "
        "round on one node, one after the other)",
        json_string_value(json_object_get(doing->machine, "host")));
    sb_sandbox_close(schedule->sandbox);
    schedule->sandbox = NULL;
}

static int say_opened(void *context, struct sb_schedule *schedule) {
    struct doing *doing = context;
    refuse_shared_directory(doing, schedule);
    SB_AUTO_JSON json_t *line =
        json_pack("{s:O, s:s, s:o}", "machine", doing->machine, "mode",
                  sb_isolation_names[schedule->result.mode], "shared",
                  sb_json_strings((const char *const *)schedule->result.shared));
    int rc = sb_journal_append_json(schedule->folder, line, schedule->err);
    sb_folder_sync(schedule->folder);
    return rc;
}

/* Only what was synced is seen on another machine. */
static void sync_run(void *context, const struct sb_run *run) {
    (void)run;
    sb_folder_sync(((struct doing *)context)->folder);
}

/* Nobody waits for it any more. */
static bool is_withdrawn(void *context) {
    const struct doing *doing = context;
    SB_AUTO_FREE char *path = sb_path_join(doing->batch->path, SB_BATCH_FILE);
    return path && access(path, F_OK) < 0 && errno == ENOENT;
}

int sb_batch_do(struct sb_batch *batch, unsigned task, const struct sb_plan *plan,
                struct sb_folder *folder, const char *program, json_t *machine,
                const struct sb_digesting *digesting, struct sb_error *err) {
    json_int_t job = json_integer_value(json_object_get(batch->json, "job"));
    json_int_t isolate = json_integer_value(json_object_get(batch->json, "isolate"));
    struct doing doing = {.batch = batch, .folder = folder, .machine = machine};
    SB_AUTO_FREE char *spool = sb_batch_spool(batch->path, task);
    int rc = spool ? read_task(&doing, plan, (size_t)job, task, err)
                   : sb_error_errno(err, -ENOMEM, "%s", batch->path);
    SB_AUTO_FREE struct sb_due *due = doing.due;
    if (rc == 0)
        rc = sb_journal_attach(folder, spool, err);
    if (rc < 0)
        return rc;
    const struct sb_schedule_options options = {
        .isolate = (enum sb_isolation)isolate,
        .trace = json_is_true(json_object_get(batch->json, "trace")),
        .forget_weights = json_is_true(json_object_get(batch->json, "forget_weights")),
        .environment = environ,
        .program = program,
    };
    const struct sb_schedule_callbacks callbacks = {
        .context = &doing,
        .digesting = digesting,
        .finished = sync_run,
        .stop = is_withdrawn,
    };
    const struct sb_share share = {.job = (size_t)job,
                                   .due = due,
                                   .n_due = doing.n_due,
                                   .opened = say_opened,
                                   .context = &doing};
    struct sb_schedule_result result = {0};
    rc = sb_schedule_share(plan, folder, &options, &callbacks, &share, &result, err);
    sb_schedule_result_clear(&result);
    return rc;
}

void sb_batch_complain(const struct sb_batch *batch, unsigned task, const struct sb_error *err) {
    struct sb_folder spool;
    SB_AUTO_JSON json_t *line = json_pack("{s:o}", "error", sb_json_string(err->text));
    if (open_spool(batch->path, task, &spool, NULL) == 0)
        (void)sb_journal_append_json(&spool, line, NULL);
    close_spool(&spool);
}
