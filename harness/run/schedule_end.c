/* Stage 3: from the end of a process to the record of a run: status, weights, fingerprint, and a
 * message that says what to do about it. */
#include "base/cleanup.h"
#include "base/file.h"
#include "run/schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { REPORT_LIMIT = 1 << 20, EXPERIMENT_LIMIT = 1 << 14, NAMES_SHOWN = 5, LOG_LINE_SHOWN = 160 };

void sb_run_note(struct sb_run *run, char *text) {
    if (!text)
        return;
    char *joined = run->message ? sb_format("%s; %s", run->message, text) : text;
    if (joined == text) {
        run->message = text;
        return;
    }
    free(text);
    if (joined) {
        free(run->message);
        run->message = joined;
    }
}

/* ---- How the process ended --------------------------------------------------------------------
 */

/* The last line of a run's log that says anything: of a traceback, the error. malloc'd, or NULL. */
static char *last_log_line(const struct sb_schedule *schedule, const char *id) {
    SB_AUTO_FREE char *path = sb_format("%s/logs/%s.log", sb_folder_path(schedule->folder), id);
    SB_AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    char tail[2048];
    off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (size <= 0)
        return NULL;
    off_t from = size > (off_t)sizeof tail ? size - (off_t)sizeof tail : 0;
    ssize_t n = pread(fd, tail, sizeof tail, from);
    for (ssize_t i = 0; i < n; i++) {
        if ((unsigned char)tail[i] < 0x20 && tail[i] != '\n')
            tail[i] = ' ';
    }
    while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == ' '))
        n--;
    ssize_t start = n > 0 ? n : 0;
    while (start > 0 && tail[start - 1] != '\n')
        start--;
    while (start < n && tail[start] == ' ')
        start++;
    ssize_t length = n - start < LOG_LINE_SHOWN ? n - start : LOG_LINE_SHOWN;
    return length > 0 ? strndup(tail + start, (size_t)length) : NULL;
}

static void note_log(struct sb_schedule *schedule, struct sb_run *run) {
    SB_AUTO_FREE char *line = last_log_line(schedule, run->id);
    if (line)
        sb_run_note(run, sb_format("last line of its log: %s", line));
}

static enum sb_status status_of(const struct sb_process_end *end) {
    switch (end->how) {
    case SB_ENDED_EXIT:
        return end->exit_code == 0 ? SB_STATUS_OK : SB_STATUS_CRASHED;
    case SB_ENDED_TIMEOUT:
        return SB_STATUS_TIMEOUT;
    case SB_ENDED_NOT_STARTED:
        return SB_STATUS_SPAWN_FAILED;
    case SB_ENDED_INTERRUPTED:
        return SB_STATUS_INTERRUPTED;
    case SB_ENDED_SIGNAL:
        break;
    }
    return SB_STATUS_CRASHED;
}

static void take_end(struct sb_schedule *schedule, struct sb_run *run, struct sb_process_end *end) {
    run->status = status_of(end);
    run->exit_code = end->how == SB_ENDED_EXIT ? end->exit_code : -1;
    run->signal = end->how == SB_ENDED_SIGNAL ? end->signal : 0;
    run->wall_s = end->wall_s;
    run->cpu_s = end->cpu_s;
    run->max_rss_kb = end->max_rss_kb;
    run->seen = end->seen;
    end->seen = (struct sb_observation){0};
    sb_observation_filter(&run->seen, &schedule->kept_names);
    if (run->status == SB_STATUS_CRASHED && run->signal)
        sb_run_note(run, sb_format("signal %d (%s)", run->signal, strsignal(run->signal)));
    else if (run->status == SB_STATUS_CRASHED)
        sb_run_note(run, sb_format("exit code %d", run->exit_code));
    else if (run->status == SB_STATUS_TIMEOUT)
        sb_run_note(run,
                    sb_format("still running after %g s", sb_schedule_job(schedule)->timeout_s));
    sb_run_note(run, sb_steal_pointer(&end->message));
    if (run->status == SB_STATUS_CRASHED || run->status == SB_STATUS_TIMEOUT)
        note_log(schedule, run);
}

/* ---- A built-in job's own word ----------------------------------------------------------------
 */

/* The object in a file that the run wrote at the top of its working directory, or NULL; without an
 * error where there is no such file. New reference. */
static json_t *read_object(const struct sb_slot *slot, const char *name, size_t limit,
                           struct sb_error *err) {
    struct sb_strings_pair written = {0};
    if (sb_process_written(slot->process, name, &written, NULL) < 0 || written.n != 1) {
        sb_strings_pair_clear(&written);
        return NULL;
    }
    SB_AUTO_FREE char *text = NULL;
    json_error_t problem;
    json_t *object = NULL;
    size_t n = 0;
    int rc = sb_file_read(written.absolute[0], limit, &text, &n, NULL);
    sb_strings_pair_clear(&written);
    if (rc == -EFBIG)
        sb_error_set(err, rc, "%s: larger than %zu KiB", name, limit >> 10);
    else if (rc < 0)
        sb_error_set(err, rc, "%s: %s", name, strerror(-rc));
    else if (!(object = json_loadb(text, n, 0, &problem)))
        sb_error_set(err, -EINVAL, "%s:%d:%d: %s", name, problem.line, problem.column,
                     problem.text);
    else if (!json_is_object(object))
        sb_error_set(err, -EINVAL, "%s: no JSON object", name);
    if (!json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* What a command says of itself, as training scripts do. */
static void read_experiment(struct sb_slot *slot) {
    struct sb_error err = {.text = ""};
    slot->run.seen.experiment = read_object(slot, SB_EXPERIMENT_FILE, EXPERIMENT_LIMIT, &err);
    if (err.text[0])
        sb_run_note(&slot->run, sb_format("%s was not read: %s", SB_EXPERIMENT_FILE, err.text));
}

static void read_report(struct sb_schedule *schedule, struct sb_slot *slot) {
    struct sb_run *run = &slot->run;
    if (sb_schedule_job(schedule)->kind == SB_JOB_COMMAND) {
        read_experiment(slot);
        return;
    }
    SB_AUTO_JSON json_t *report =
        read_object(slot, SB_REPORT_FILE, REPORT_LIMIT, &(struct sb_error){0});
    if (!report)
        return;
    const json_t *accuracy = json_object_get(json_object_get(report, "accuracy"), "max_rel_vs_f64");
    if (json_is_number(accuracy))
        run->accuracy = json_number_value(accuracy);
    run->untrained = json_is_true(json_object_get(report, "untrained"));
    const char *unsupported = json_string_value(json_object_get(report, "unsupported"));
    if (unsupported && run->status != SB_STATUS_OK) { /* its log's last line says the same */
        free(run->message);
        run->message = strdup(unsupported);
    }
    json_decref(run->seen.worker);
    run->seen.worker = sb_steal_pointer(&report);
}

/* ---- Its weights ------------------------------------------------------------------------------
 */

/* The glob of a job's weights, or NULL for whatever it wrote that is a weights file. */
static const char *weights_glob(const struct sb_job *job) {
    const char *glob = job->weights;
    if (!glob && job->kind != SB_JOB_COMMAND)
        glob = SB_BUILTIN_WEIGHTS;
    while (glob && glob[0] == '.' && glob[1] == '/')
        glob += 2;
    return glob;
}

/* Keeps the weights files among what was written. */
static void keep_recognised(const struct sb_digesting *digesting, struct sb_strings_pair *files) {
    size_t n = 0;
    for (size_t i = 0; i < files->n; i++) {
        if (digesting->recognised &&
            !digesting->recognised(digesting->context, files->absolute[i])) {
            free(files->absolute[i]);
            free(files->relative[i]);
            continue;
        }
        files->absolute[n] = files->absolute[i];
        files->relative[n++] = files->relative[i];
    }
    files->n = n;
}

static const char wrote_nothing[] =
    "wrote no file in the working directory (files outside of it do not count)";

/* "wrote out.txt, model.bin and 3 more" or wrote_nothing. malloc'd. */
static char *describe_written(struct sb_process *process) {
    struct sb_strings_pair written = {0};
    if (sb_process_written(process, NULL, &written, NULL) < 0)
        return NULL;
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_puts(&text, written.n ? "wrote " : wrote_nothing);
    for (size_t i = 0; i < written.n && i < NAMES_SHOWN; i++)
        sb_text_printf(&text, "%s%.100s", i ? ", " : "", written.relative[i]);
    if (written.n > NAMES_SHOWN)
        sb_text_printf(&text, " and %zu more", written.n - NAMES_SHOWN);
    sb_strings_pair_clear(&written);
    return sb_text_take(&text);
}

static void note_no_weights(struct sb_schedule *schedule, struct sb_slot *slot) {
    const struct sb_job *job = sb_schedule_job(schedule);
    const char *glob = weights_glob(job);
    slot->run.status = SB_STATUS_NO_WEIGHTS;
    SB_AUTO_FREE char *wrote = describe_written(slot->process);
    const char *what = wrote ? wrote : "files cannot be listed";
    bool command = job->kind == SB_JOB_COMMAND;
    SB_AUTO_FREE char *before = glob && command ? sb_path_join(job->directory, glob) : NULL;
    if (before && access(before, F_OK) == 0)
        sb_run_note(
            &slot->run,
            sb_format("%s; %s is left over from before, this run did not write it", what, glob));
    else if (glob)
        sb_run_note(&slot->run, sb_format("%s; nothing that matches '%s'", what, glob));
    else if (wrote && strcmp(wrote, wrote_nothing) == 0)
        sb_run_note(&slot->run, strdup(wrote));
    else
        sb_run_note(&slot->run, sb_format("%s: no weights file (samebits list formats)", what));
    note_log(schedule, &slot->run);
}

static bool is_over(struct sb_slot *slot, enum sb_status status, const struct sb_error *err) {
    slot->run.status = status;
    sb_run_note(&slot->run, strdup(err->text));
    return true;
}

bool sb_slot_reading_start(struct sb_schedule *schedule, struct sb_slot *slot) {
    const struct sb_digesting *digesting = schedule->callbacks->digesting;
    const struct sb_job *job = sb_schedule_job(schedule);
    const char *glob = weights_glob(job);
    struct sb_error err = {{0}};
    int rc = sb_process_written(slot->process, glob, &slot->weights, &err);
    if (rc < 0)
        return is_over(slot, SB_STATUS_NO_WEIGHTS, &err);
    if (!glob)
        keep_recognised(digesting, &slot->weights);
    if (slot->weights.n == 0) {
        note_no_weights(schedule, slot);
        return true;
    }
    void *reading = NULL;
    rc = digesting->start(digesting->context, job, &slot->weights, &reading, &err);
    if (rc < 0)
        return is_over(slot, SB_STATUS_BAD_WEIGHTS, &err);
    slot->reading = reading;
    return false;
}

bool sb_slot_process_ended(struct sb_schedule *schedule, struct sb_slot *slot,
                           struct sb_process_end *end) {
    take_end(schedule, &slot->run, end);
    read_report(schedule, slot);
    return slot->run.status != SB_STATUS_OK || !schedule->callbacks->digesting;
}

/* ---- Its fingerprint --------------------------------------------------------------------------
 */

static void keep_weights(struct sb_schedule *schedule, struct sb_slot *slot,
                         const struct sb_digest_result *digest) {
    struct sb_run *run = &slot->run;
    struct sb_error err = {{0}};
    sb_run_note(run, digest->note);
    run->fingerprint = strdup(digest->fingerprint);
    if (!run->fingerprint) {
        run->status = SB_STATUS_BAD_WEIGHTS;
        return;
    }
    run->sum = digest->sum;
    run->all_zero = digest->all_zero;
    run->all_nan = digest->all_nan;
    /* The bits are known, so the run is good evidence; but --resume does it again, since a
     * difference could not be looked at. */
    if (!schedule->options->forget_weights &&
        sb_store_keep(schedule->folder, run->fingerprint, &slot->weights, &digest->parts, true,
                      &err) < 0)
        sb_run_note(run, sb_format("its weights could not be kept: %s", err.text));
}

/* Where messages begin with the path at which a file could be read, they begin with its own. */
static void name_as_written(const struct sb_strings_pair *files, struct sb_error *err) {
    for (size_t i = 0; i < files->n; i++) {
        size_t n = strlen(files->absolute[i]);
        if (strncmp(err->text, files->absolute[i], n) != 0 || err->text[n] != ':')
            continue;
        SB_AUTO_FREE char *rest = strdup(err->text + n);
        if (rest)
            sb_error_set(err, 0, "%s%s", files->relative[i], rest);
        return;
    }
}

bool sb_slot_reading_step(struct sb_schedule *schedule, struct sb_slot *slot) {
    const struct sb_digesting *digesting = schedule->callbacks->digesting;
    struct sb_digest_result digest = {.sum = 0};
    struct sb_error err = {{0}};
    int rc = digesting->step(slot->reading, &slot->weights, &digest, &err);
    if (rc == -EAGAIN)
        return false;
    if (rc == 0) {
        keep_weights(schedule, slot, &digest);
        sb_strings_pair_clear(&digest.parts);
        return true;
    }
    name_as_written(&slot->weights, &err);
    /* A Ctrl-C reaches the reader too: its failure then says nothing of the file. */
    enum sb_status failed = rc == -ENODATA ? SB_STATUS_NO_WEIGHTS : SB_STATUS_BAD_WEIGHTS;
    return is_over(slot, sb_interrupted ? SB_STATUS_INTERRUPTED : failed, &err);
}
