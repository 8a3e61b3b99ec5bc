/* cli: where the program asks for a source that is a cause, as one more run shows it. See
 * cli/explain.h and probe/asked.h. */
#include "cli/explain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "probe/asked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLACES = 8 };

/* Of which it can be seen who asks. */
static bool is_asked_for(const char *source) {
    static const char *const sources[] = {"entropy",  "clock",   "pid",
                                          "hostname", "readdir", "locale"};
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(sources[i], source) == 0)
            return true;
    }
    return false;
}

/* ---- What was written ------------------------------------------------------------------------ */

static bool lies_in(const char *frame, const char *directory) {
    size_t n = strlen(directory);
    return strncmp(frame, directory, n) == 0 && frame[n] == '/';
}

/* The next place of the file: {"call", "frames"}, new reference, or NULL at its end; *own: a frame
 * of it lies in the folder that the job runs in. */
static json_t *next_place(const char **at, const char *directory, bool *own) {
    SB_AUTO_FREE char *call = sb_text_next_line(at);
    json_t *frames = call ? json_array() : NULL;
    *own = false;
    for (char *line; frames && (line = sb_text_next_line(at)); free(line)) {
        if (!*line) {
            free(line);
            break;
        }
        *own |= lies_in(line, directory);
        json_array_append_new(frames, sb_json_string(line));
    }
    return frames ? json_pack("{s:o, s:o}", "call", sb_json_string(call), "frames", frames) : NULL;
}

static bool has(const json_t *places, const json_t *wanted) {
    size_t i;
    json_t *place;
    json_array_foreach(places, i, place) {
        if (json_equal(place, (json_t *)wanted))
            return true;
    }
    return false;
}

/* Those of the program's own where there are any: a library asks for reasons of its own. */
static json_t *places_of(const char *text, const char *directory) {
    json_t *own = json_array(), *others = json_array(), *place;
    bool is_own;
    while ((place = next_place(&text, directory, &is_own))) {
        json_t *to = is_own ? own : others;
        if (json_array_size(to) < MOST_PLACES && !has(to, place))
            json_array_append(to, place);
        json_decref(place);
    }
    json_t *chosen = json_array_size(own) ? own : others;
    json_incref(chosen);
    json_decref(own);
    json_decref(others);
    return chosen;
}

/* ---- The run --------------------------------------------------------------------------------- */

struct once {
    bool asked;
};

static int ask_once(void *context, const struct sb_run *runs, size_t n, unsigned *more,
                    struct sb_error *err) {
    struct once *once = context;
    (void)runs, (void)n, (void)err;
    more[0] = !once->asked;
    once->asked = true;
    return 0;
}

/* The file of a run in which it is noted, malloc'd; NULL: there is none. */
static int run_and_read(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                        double seconds, char **text, struct sb_error *err) {
    struct sb_experiment watched = {.plan = NULL};
    struct once once = {false};
    int rc = sb_experiment_open(explanation->restored, explanation->job, knobs, SB_DESIGN_FULL,
                                NULL, explanation->folder, explanation->bounds, &watched, err);
    if (rc < 0)
        return rc;
    watched.trace = true;
    /* Who asks in the middle of an allocation, say, waits for ever to be told where from. */
    if (!watched.job.timeout_s || watched.job.timeout_s > seconds)
        watched.job.timeout_s = seconds;
    rc = sb_experiment_run(&watched, &explanation->restored->request, ask_once, &once, err);
    SB_AUTO_FREE char *path =
        rc == 0 && watched.result.n_runs && watched.result.runs[0].status == SB_STATUS_OK
            ? sb_explain_log_file(&watched, &watched.result.runs[0], SB_ASKED_FILE)
            : NULL;
    size_t n;
    if (path && sb_file_read(path, SB_ASKED_BYTES, text, &n, NULL) < 0)
        *text = NULL; /* nothing was asked for */
    sb_experiment_close(&watched);
    return rc;
}

int sb_explain_asked(struct sb_explanation *explanation, const struct sb_knobs *held,
                     double seconds, json_t *cause, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs knobs = {0};
    SB_AUTO_FREE char *text = NULL;
    const struct sb_job *job = explanation->restored->plan->jobs[explanation->job].job;
    const char *source = json_string_value(json_object_get(cause, "source"));
    if (!is_asked_for(source) || job->kind != SB_JOB_COMMAND || !sb_explain_can_trace(explanation))
        return 0;
    int rc = 0;
    for (size_t i = 0; i < held->n && rc == 0; i++)
        rc = sb_knobs_add(&knobs, held->items[i].axis, held->items[i].levels[0], NULL);
    if (rc == 0)
        rc = sb_knobs_add(&knobs, "env:" SB_ASKED_VARIABLE, source, NULL);
    rc = rc < 0 ? sb_error_errno(err, rc, "axes")
                : run_and_read(explanation, &knobs, seconds, &text, err);
    if (rc < 0 || !text)
        return rc;
    json_object_set_new(cause, "asked", places_of(text, job->directory));
    return 0;
}
