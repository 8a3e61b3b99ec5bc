/* cli: what makes runs of one cell differ: the search of attribute/search.h over experiments. See
 * cli/explain.h. */
#include "cli/explain.h"

#include "attribute/search.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sources that an axis can freeze, the one nearest the program's own fault first. The order of a
 * folder may be that in which threads or processes filled it, and so may what memory holds. */
static const struct {
    const char *axis, *live, *frozen;
    bool fresh; /* see struct sb_search */
} sources[] = {
    {"hash_seed", "random", "0", true},   {"entropy", "live", "frozen", true},
    {"clock", "live", "frozen", true},    {"pid", "live", "frozen", true},
    {"readdir", "live", "sorted", false}, {"memory", "off", "zero", false},
    {"aslr", "on", "off", true},
};

enum { N_SOURCES = sizeof sources / sizeof *sources, MOST_KNOBS = 64 };

struct repeats {
    struct sb_explanation *explanation;
    struct sb_knobs knobs;
    struct sb_search search;
    const char *names[N_SOURCES]; /* of the search's sources */
    const char *clock;            /* the level at which that is frozen */
    sb_switches turns;            /* schedule=frozen, 0: it cannot be switched */
    /* For each knob, the search's switch it goes with; 0: it is held. */
    sb_switches switches[MOST_KNOBS];
    size_t cell; /* of the job: the one whose repeats are asked about */
    struct sb_experiment experiment;
    size_t *cells; /* [n_settings] of each setting, SIZE_MAX where no cell is */
    size_t n_settings;
    struct sb_search_answer answer;
    char *not_tried; /* sources that this machine cannot freeze */
};

/* The cell whose runs differ the most. */
static size_t unstable_cell(const struct sb_explanation *explanation) {
    const struct sb_restored *restored = explanation->restored;
    const struct sb_job_plan *plan = &restored->plan->jobs[explanation->job];
    size_t best = SIZE_MAX;
    double most = 0;
    for (size_t c = 0; c < plan->n_cells; c++) {
        struct sb_cell_runs runs =
            sb_explain_cell_runs(restored->runs, restored->n_runs, explanation->job, c);
        double share = runs.distinct > 1 ? (double)runs.distinct / runs.good : 0;
        if (share > most) {
            most = share;
            best = c;
        }
    }
    return best;
}

/* Why this axis cannot be switched for this job, malloc'd, or NULL. */
static char *cannot_switch(const struct repeats *repeats, const char *axis_name,
                           const char *level) {
    const struct sb_restored *restored = repeats->explanation->restored;
    const struct sb_axis *axis = sb_axis_find(axis_name);
    enum sb_job_kind kind = restored->plan->jobs[repeats->explanation->job].job->kind;
    if (!axis || axis->planned)
        return strdup("not in this build");
    if (axis->kinds && !(axis->kinds & 1u << kind))
        return strdup("not for jobs of this kind");
    return axis->unavailable ? axis->unavailable(restored->machine, level) : NULL;
}

/* Makes `axis` a knob that goes with the switch; false where it cannot be one, or is held already
 * at the level it would be switched to. */
static int add_switch(struct repeats *repeats, const char *axis, const char *off, const char *on,
                      sb_switches which, bool *added) {
    struct sb_knob *held = sb_knobs_find(&repeats->knobs, axis);
    *added = false;
    if (held && (held->levels[1] || strcmp(held->levels[0], off) != 0))
        return 0;
    SB_AUTO_FREE char *why = cannot_switch(repeats, axis, on);
    if (why) {
        char *more = sb_format("%s%s%s (%s)", repeats->not_tried ? repeats->not_tried : "",
                               repeats->not_tried ? ", " : "", axis, why);
        free(repeats->not_tried);
        repeats->not_tried = more;
        return more ? 0 : -ENOMEM;
    }
    int rc = held ? 0 : sb_knobs_add(&repeats->knobs, axis, off, on);
    if (held)
        held->levels[1] = on;
    size_t at = held ? (size_t)(held - repeats->knobs.items) : repeats->knobs.n - 1;
    if (rc == 0 && at < MOST_KNOBS) {
        repeats->switches[at] = which;
        *added = true;
    }
    return rc;
}

/* threads=1, whatever the variables of single libraries say, or a program of its OpenMP
 * (num_threads). */
static int add_one_thread(struct repeats *repeats, sb_switches which) {
    static const char ending[] = "_NUM_THREADS";
    const struct sb_knob *threads = sb_knobs_find(&repeats->knobs, "threads");
    bool added = false, tied = false;
    int rc = 0;
    if (!threads || strcmp(threads->levels[0], "1") != 0)
        rc = add_switch(repeats, "threads", threads ? threads->levels[0] : "all", "1", which,
                        &added);
    for (size_t i = 0; rc == 0 && added && i < repeats->knobs.n; i++) {
        struct sb_knob *knob = &repeats->knobs.items[i];
        size_t n = strlen(knob->axis);
        if (strncmp(knob->axis, "env:", 4) == 0 && n >= sizeof ending &&
            strcmp(knob->axis + n - (sizeof ending - 1), ending) == 0 &&
            strcmp(knob->levels[0], "1") != 0)
            rc = add_switch(repeats, knob->axis, knob->levels[0], "1", which, &tied);
    }
    if (rc == 0 && !getenv("OMP_THREAD_LIMIT"))
        rc = add_switch(repeats, "env:OMP_THREAD_LIMIT", "<unset>", "1", which, &tied);
    if (added || tied)
        repeats->search.tame[repeats->search.n_tame++] = which;
    return rc;
}

/* schedule=frozen, for threads whose number nothing outside decides, and for processes. */
static int add_turns(struct repeats *repeats, sb_switches which) {
    const struct sb_knob *held = sb_knobs_find(&repeats->knobs, "schedule");
    bool added = false;
    int rc =
        add_switch(repeats, "schedule", held ? held->levels[0] : "off", "frozen", which, &added);
    if (added)
        repeats->search.tame[repeats->search.n_tame++] = repeats->turns = which;
    return rc;
}

static int make_switches(struct repeats *repeats) {
    bool added;
    int rc = 0;
    for (size_t i = 0; i < N_SOURCES && rc == 0; i++) {
        unsigned at = repeats->search.n_sources;
        bool is_clock = strcmp(sources[i].axis, "clock") == 0;
        rc =
            add_switch(repeats, sources[i].axis, sources[i].live,
                       is_clock ? repeats->clock : sources[i].frozen, (sb_switches)1 << at, &added);
        if (rc < 0 || !added)
            continue;
        repeats->search.fresh |= sources[i].fresh ? (sb_switches)1 << at : 0;
        repeats->names[repeats->search.n_sources++] = sources[i].axis;
    }
    sb_switches next = (sb_switches)1 << repeats->search.n_sources;
    if (rc == 0)
        rc = add_one_thread(repeats, next);
    if (rc == 0)
        rc = add_turns(repeats, next << 1);
    const struct sb_knob *flag = sb_knobs_find(&repeats->knobs, "deterministic");
    added = false;
    if (rc == 0 && repeats->search.n_tame && (!flag || strcmp(flag->levels[0], "off") == 0))
        rc = add_switch(repeats, "deterministic", "off", "on", next << 2, &added);
    if (rc == 0 && added)
        repeats->search.flag = next << 2;
    return rc;
}

/* The cell of every setting. */
static int map_settings(struct repeats *repeats) {
    const struct sb_job_plan *plan = &repeats->experiment.plan->jobs[0];
    repeats->n_settings = (size_t)1 << (repeats->search.n_sources + SB_SEARCH_TAMERS + 1);
    repeats->cells = malloc(repeats->n_settings * sizeof *repeats->cells);
    if (!repeats->cells)
        return -ENOMEM;
    for (size_t s = 0; s < repeats->n_settings; s++)
        repeats->cells[s] = SIZE_MAX;
    for (size_t c = 0; c < plan->n_cells; c++) {
        sb_switches on = 0, off = 0;
        for (size_t i = 0; i < repeats->knobs.n && i < MOST_KNOBS; i++)
            *(plan->cells[c].level[i] ? &on : &off) |= repeats->switches[i];
        if (!(on & off) && on < repeats->n_settings)
            repeats->cells[on] = c;
    }
    return 0;
}

/* The experiment's runs as the search sees them. malloc'd; NULL without memory. */
static struct sb_search_run *search_runs(const struct repeats *repeats, const struct sb_run *runs,
                                         size_t n) {
    const struct sb_job_plan *plan = &repeats->experiment.plan->jobs[0];
    struct sb_search_run *seen = calloc(n + 1, sizeof *seen);
    for (size_t i = 0; seen && i < n; i++) {
        for (size_t k = 0; k < repeats->knobs.n && k < MOST_KNOBS; k++)
            seen[i].on |= plan->cells[runs[i].cell].level[k] ? repeats->switches[k] : 0;
        seen[i].group = runs[i].fingerprint ? (int)i : -1;
        for (size_t k = 0; k < i && seen[i].group >= 0; k++) {
            if (runs[k].fingerprint && strcmp(runs[k].fingerprint, runs[i].fingerprint) == 0) {
                seen[i].group = seen[k].group;
                break;
            }
        }
    }
    return seen;
}

/* One that ends soon is seen by the probe alone. */
static bool has_threads(const struct sb_observation *seen) {
    return seen->max_threads > 1 || sb_observation_asked(seen, "threads");
}

static bool has_room_for_a_race(const struct sb_run *runs, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (has_threads(&runs[i].seen) || runs[i].seen.n_processes > 1)
            return true;
    }
    return false;
}

static int next_round(void *context, const struct sb_run *runs, size_t n, unsigned *more,
                      struct sb_error *err) {
    struct repeats *repeats = context;
    struct sb_search_ask asks[SB_SEARCH_ASKS];
    SB_AUTO_FREE struct sb_search_run *seen = search_runs(repeats, runs, n);
    if (!seen)
        return sb_error_errno(err, -ENOMEM, "runs");
    repeats->search.idle = sb_explain_idle(repeats->names, repeats->search.n_sources, runs, n);
    repeats->search.turns = has_room_for_a_race(runs, n) ? repeats->turns : 0;
    size_t n_asks = sb_search_step(&repeats->search, seen, n, asks, &repeats->answer);
    for (size_t i = 0; i < n_asks; i++)
        more[repeats->cells[asks[i].on]] += asks[i].runs;
    return 0;
}

/* ---- What it found ---------------------------------------------------------------------------
 */

/* "entropy frozen, threads=1". malloc'd. */
static char *setting_text(const struct repeats *repeats, sb_switches on) {
    SB_AUTO_TEXT struct sb_text text = {0};
    const char *separator = "";
    for (size_t i = 0; i < repeats->knobs.n && i < MOST_KNOBS; i++) {
        if (!(repeats->switches[i] & on))
            continue;
        sb_text_printf(&text, "%s%s=%s", separator, repeats->knobs.items[i].axis,
                       repeats->knobs.items[i].levels[1]);
        separator = " ";
    }
    return text.length ? sb_text_take(&text) : strdup("nothing frozen");
}

static json_t *setting_json(const struct repeats *repeats, sb_switches on) {
    const struct sb_schedule_result *result = &repeats->experiment.result;
    struct sb_cell_runs runs =
        sb_explain_cell_runs(result->runs, result->n_runs, 0, repeats->cells[on]);
    SB_AUTO_FREE char *text = setting_text(repeats, on);
    return sb_explain_runs_json(&runs, text ? text : "");
}

static json_t *evidence_json(const struct repeats *repeats, sb_switches without, sb_switches with) {
    return json_pack("{s:o, s:o, s:o}", "without", setting_json(repeats, without), "with",
                     setting_json(repeats, with), "luck", sb_json_real(repeats->answer.luck));
}

/* One that ended well; where programs make raw system calls, one in which these were seen. */
static const struct sb_observation *a_run_seen(const struct repeats *repeats) {
    const struct sb_schedule_result *result = &repeats->experiment.result;
    const struct sb_observation *first = NULL;
    for (size_t i = 0; i < result->n_runs; i++) {
        const struct sb_observation *seen = &result->runs[i].seen;
        if (result->runs[i].status != SB_STATUS_OK)
            continue;
        if (json_array_size(sb_explain_raw_programs(seen)))
            return seen;
        first = first ? first : seen;
    }
    return first ? first : &result->runs[0].seen;
}

/* The cause, borrowed from the explanation; NULL without memory. */
static json_t *add_cause(struct repeats *repeats, const char *source, sb_switches without,
                         sb_switches with, sb_switches alternatives) {
    json_t *others = json_array();
    for (unsigned s = 0; s < repeats->search.n_sources; s++) {
        if (alternatives & (sb_switches)1 << s)
            json_array_append_new(others, json_string(repeats->names[s]));
    }
    json_t *cause = sb_explain_cause(
        source, repeats->answer.luck <= 0.05, evidence_json(repeats, without, with),
        sb_explain_fix(source, a_run_seen(repeats), repeats->answer.flag_cures), others);
    return json_array_append_new(repeats->explanation->causes, cause) == 0 ? cause : NULL;
}

/* Where a race begins: two runs with nothing frozen that differ, traced; in a Python framework by
 * its operations, which has the calls between libraries too. */
static int trace_race(struct repeats *repeats, const struct sb_knobs *held, json_t *race,
                      struct sb_error *err) {
    struct sb_explanation *explanation = repeats->explanation;
    struct sb_experiment traced = {.plan = NULL};
    bool answered = false;
    int rc = sb_explain_operations(explanation, held, &repeats->experiment, race, &answered, err);
    if (rc < 0 || answered)
        return rc;
    rc = sb_explain_run_until_two_differ(explanation, held, NULL, true, &traced, err);
    if (rc == 0)
        rc = sb_explain_culprit(explanation, held, &traced, race, err);
    sb_experiment_close(&traced);
    return rc;
}

static int add_causes(struct repeats *repeats, struct sb_error *err) {
    const struct sb_search_answer *answer = &repeats->answer;
    struct sb_explanation *explanation = repeats->explanation;
    SB_CLEANUP(sb_knobs_clear) struct sb_knobs held = {0};
    int rc =
        sb_explain_hold(&explanation->restored->plan->jobs[explanation->job], repeats->cell, &held);
    if (rc < 0)
        return sb_error_errno(err, rc, "axes");
    if (answer->tamed) {
        json_t *race =
            add_cause(repeats, "schedule", answer->cured & ~answer->tamed, answer->cured, 0);
        if (race && sb_explain_can_trace(explanation))
            rc = trace_race(repeats, &held, race, err);
    }
    for (size_t i = 0; i < answer->n_causes && rc == 0; i++) {
        const struct sb_search_cause *found = &answer->causes[i];
        json_t *cause = add_cause(repeats, repeats->names[found->source], found->without,
                                  found->with, found->alternatives);
        if (cause)
            rc = sb_explain_asked(explanation, &held, &repeats->experiment, cause, err);
    }
    return rc;
}

static void list_names(struct sb_text *text, const char *introduction, const json_t *names) {
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name)
        sb_text_printf(text, "%s%s", i ? ", " : introduction, json_string_value(name));
}

/* "; the probe, which freezes, is not in rares, tool": of programs that were seen to run without
 * it, statically linked or set-uid, in the run with everything frozen that shows the most.
 * malloc'd, "" where there are none. */
static char *uncovered_text(const struct repeats *repeats) {
    const struct sb_schedule_result *result = &repeats->experiment.result;
    const json_t *most = NULL, *most_raw = NULL;
    for (size_t i = 0; i < result->n_runs; i++) {
        const struct sb_observation *seen = &result->runs[i].seen;
        const json_t *names = json_object_get(seen->probe, "not_covered");
        const json_t *raw = json_object_get(seen->probe, "raw");
        if (json_array_size(names) > json_array_size(most) && json_is_object(raw))
            most = names;
        if (json_array_size(sb_explain_raw_programs(seen)) > json_array_size(most_raw))
            most_raw = sb_explain_raw_programs(seen);
    }
    SB_AUTO_TEXT struct sb_text text = {0};
    list_names(&text, "; the probe, which freezes, is not in ", most);
    list_names(&text, "; system calls are all that is frozen of ", most_raw);
    return sb_text_take(&text);
}

static char *unexplained_text(const struct repeats *repeats) {
    static const char ways[] =
        "what is left are threads that compute for long, and sources that cannot be frozen from "
        "outside (clocks of CPU time, times and numbers of files, RDRAND, AT_RANDOM, a GPU; in "
        "statically linked programs clocks and the order of folders too)";
    switch (repeats->answer.end) {
    case SB_SEARCH_NOT_REPRODUCED:
        return strdup("runs agree now, where they differed in the result: nothing to take apart");
    case SB_SEARCH_FAILED:
        return strdup("runs fail now (samebits rerun shows how)");
    default:
        break;
    }
    SB_AUTO_FREE char *uncovered = uncovered_text(repeats);
    return sb_format("runs differ with everything frozen%s: %s%s%s%s",
                     repeats->search.n_tame ? " and threads held back" : "", ways,
                     repeats->not_tried ? "; not tried: " : "",
                     repeats->not_tried ? repeats->not_tried : "", uncovered ? uncovered : "");
}

/* Did a run with this setting have threads? */
static bool had_threads(const struct repeats *repeats, sb_switches on) {
    const struct sb_schedule_result *result = &repeats->experiment.result;
    for (size_t i = 0; i < result->n_runs; i++) {
        if (result->runs[i].cell == repeats->cells[on] && has_threads(&result->runs[i].seen))
            return true;
    }
    return false;
}

/* A program has threads of its own, whose number nothing outside decides, and no schedule held them
 * (that could not be frozen here, or they computed for too long): a race between them is what is
 * left to think of. */
static void suspect_race(struct repeats *repeats) {
    const struct sb_search *search = &repeats->search;
    sb_switches held = search->idle | repeats->answer.unusable;
    sb_switches all = (((sb_switches)1 << search->n_sources) - 1) & ~held;
    sb_switches tamed = all;
    for (unsigned i = 0; i < search->n_tame; i++) {
        if (had_threads(repeats, all | search->tame[i]))
            tamed = all | search->tame[i];
    }
    if (tamed != all)
        add_cause(repeats, "schedule", 0, tamed, 0);
}

/* What a search that was cut short knows: its first settings, in the order in which they were
 * tried. malloc'd, NULL where nothing was run. */
static char *so_far_text(const struct repeats *repeats) {
    enum { MOST = 4 };
    const struct sb_schedule_result *result = &repeats->experiment.result;
    size_t shown[MOST], n = 0;
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < result->n_runs && n < MOST; i++) {
        size_t cell = result->runs[i].cell, k = 0;
        while (k < n && shown[k] != cell)
            k++;
        for (sb_switches on = 0; k == n && on < repeats->n_settings; on++) {
            if (repeats->cells[on] != cell)
                continue;
            struct sb_cell_runs runs = sb_explain_cell_runs(result->runs, result->n_runs, 0, cell);
            SB_AUTO_FREE char *setting = setting_text(repeats, on);
            sb_text_printf(&text, "%s%s: %u runs, %u result%s",
                           n ? "; " : "not finished, the same command goes on; so far: ",
                           setting ? setting : "", runs.good, runs.distinct,
                           runs.distinct == 1 ? "" : "s");
            shown[n++] = cell;
        }
    }
    return text.length ? sb_text_take(&text) : NULL;
}

static int search(struct repeats *repeats, struct sb_error *err) {
    struct sb_explanation *explanation = repeats->explanation;
    int rc = sb_experiment_open(explanation->restored, explanation->job, &repeats->knobs,
                                SB_DESIGN_FULL, NULL, explanation->folder, explanation->bounds,
                                &repeats->experiment, err);
    if (rc == 0 && map_settings(repeats) < 0)
        rc = sb_error_errno(err, -ENOMEM, "settings");
    if (rc == 0)
        rc = sb_experiment_run(&repeats->experiment, &explanation->restored->request, next_round,
                               repeats, err);
    if (rc < 0)
        return rc;
    switch (repeats->answer.end) {
    case SB_SEARCH_FOUND:
        return add_causes(repeats, err);
    case SB_SEARCH_GOES_ON:
        explanation->unfinished = true;
        explanation->open_question = so_far_text(repeats);
        return 0;
    case SB_SEARCH_UNEXPLAINED:
        suspect_race(repeats);
        break;
    default:
        break;
    }
    explanation->open_question = unexplained_text(repeats);
    return 0;
}

static int search_with(struct sb_explanation *explanation, size_t cell, const char *clock,
                       enum sb_search_end *end, struct sb_error *err) {
    struct repeats repeats = {.explanation = explanation, .cell = cell, .clock = clock};
    int rc =
        sb_explain_hold(&explanation->restored->plan->jobs[explanation->job], cell, &repeats.knobs);
    if (rc == 0)
        rc = make_switches(&repeats);
    rc = rc < 0 ? sb_error_errno(err, rc, "switches") : search(&repeats, err);
    *end = repeats.answer.end;
    sb_experiment_close(&repeats.experiment);
    sb_knobs_clear(&repeats.knobs);
    free(repeats.cells);
    free(repeats.not_tried);
    return rc;
}

/* Clocks that only run are left alone at first, since programs wait by them. */
int sb_explain_repeats_of(struct sb_explanation *explanation, size_t cell, struct sb_error *err) {
    static const char *const clocks[] = {"frozen", "frozen+monotonic"};
    enum sb_search_end end = SB_SEARCH_UNEXPLAINED;
    int rc = 0;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks && rc == 0 && !explanation->unfinished &&
                       end == SB_SEARCH_UNEXPLAINED;
         i++) {
        free(sb_steal_pointer(&explanation->open_question));
        json_array_clear(explanation->causes);
        rc = search_with(explanation, cell, clocks[i], &end, err);
    }
    return rc;
}

int sb_explain_repeats(struct sb_explanation *explanation, struct sb_error *err) {
    size_t cell = unstable_cell(explanation);
    if (cell != SIZE_MAX)
        return sb_explain_repeats_of(explanation, cell, err);
    explanation->open_question = strdup("no cell has runs that differ");
    return 0;
}
