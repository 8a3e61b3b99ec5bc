/* cli: where the program asks for a source that is a cause, as one more run shows it. See
 * cli/explain.h and probe/asked.h. */
#include "cli/explain.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "probe/asked.h"
#include "report/sentences.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLACES = 8 }; /* of each kind */

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

/* The next place of the file: {"call", "frames"}, new reference, or NULL at its end. */
static json_t *next_place(const char **at) {
    SB_AUTO_FREE char *call = sb_text_next_line(at);
    json_t *frames = call ? json_array() : NULL;
    for (char *line; frames && (line = sb_text_next_line(at)); free(line)) {
        if (!*line) {
            free(line);
            break;
        }
        json_array_append_new(frames, sb_json_string(line));
    }
    return frames ? json_pack("{s:o, s:o}", "call", sb_json_string(call), "frames", frames) : NULL;
}

/* Places by who asks, each line of the program once. */
struct places {
    const char *directory;
    json_t *by[SB_N_ASKERS];
};

static bool has(const struct places *places, enum sb_asker asker, const char *call,
                const char *line) {
    size_t i;
    json_t *place;
    json_array_foreach(places->by[asker], i, place) {
        const char *by;
        sb_asker_of(json_object_get(place, "frames"), places->directory, &by);
        if (sb_text_is(place, "call", call) && strcmp(by, line) == 0)
            return true;
    }
    return false;
}

static void add_place(struct places *places, json_t *place) {
    const char *by;
    enum sb_asker asker = sb_asker_of(json_object_get(place, "frames"), places->directory, &by);
    if (json_array_size(places->by[asker]) < MOST_PLACES &&
        !has(places, asker, sb_text_of(place, "call"), by))
        json_array_append(places->by[asker], place);
}

/* The program's own lines, and what they import; where there are none of these, libraries, which
 * ask for reasons of their own. New reference. */
static json_t *places_of(const char *text, const char *directory) {
    struct places places = {.directory = directory};
    json_t *place, *chosen = json_array();
    for (size_t i = 0; i < SB_N_ASKERS; i++)
        places.by[i] = json_array();
    for (; (place = next_place(&text)); json_decref(place))
        add_place(&places, place);
    json_array_extend(chosen, places.by[SB_ASKER_PROGRAM]);
    json_array_extend(chosen, places.by[SB_ASKER_IMPORT]);
    for (int asker = SB_ASKER_LIBRARY; asker >= 0 && !json_array_size(chosen); asker--)
        json_array_extend(chosen, places.by[asker]);
    for (size_t i = 0; i < SB_N_ASKERS; i++)
        json_decref(places.by[i]);
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

/* A run that tells where sources are asked for takes longer than others; one in the middle of an
 * allocation, say, waits for ever to be told where it is. */
static double time_to_ask(const struct sb_experiment *others) {
    double longest = 0;
    for (size_t i = 0; i < others->result.n_runs; i++)
        longest = fmax(longest, others->result.runs[i].wall_s);
    return 10 + 5 * longest;
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

int sb_explain_asked(struct sb_explanation *explanation, const struct sb_knobs *knobs,
                     const struct sb_experiment *others, json_t *cause, struct sb_error *err) {
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs held = {0};
    SB_AUTO_FREE char *text = NULL;
    const struct sb_job *job = explanation->restored->plan->jobs[explanation->job].job;
    const char *source = json_string_value(json_object_get(cause, "source"));
    if (!is_asked_for(source) || job->kind != SB_JOB_COMMAND || !sb_explain_can_trace(explanation))
        return 0;
    int rc = 0;
    for (size_t i = 0; i < knobs->n && rc == 0; i++)
        rc = sb_knobs_add(&held, knobs->items[i].axis, knobs->items[i].levels[0], NULL);
    if (rc == 0)
        rc = sb_knobs_add(&held, "env:" SB_ASKED_VARIABLE, source, NULL);
    rc = rc < 0 ? sb_error_errno(err, rc, "axes")
                : run_and_read(explanation, &held, time_to_ask(others), &text, err);
    if (rc < 0 || !text)
        return rc;
    json_object_set_new(cause, "asked", places_of(text, job->directory));
    return 0;
}
