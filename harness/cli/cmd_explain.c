/* cli: samebits explain: why the bits of a result differ, found by intervention. */
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/identity.h"
#include "cli/interrupts.h"
#include "cli/options.h"
#include "cli/progress.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "report/display.h"
#include "report/sentences.h"

#include <samebits/report.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- One result ------------------------------------------------------------------------------
 */

struct request {
    const char *job; /* a name or an id; NULL: all */
    double seconds;
    unsigned runs;
    bool json, quiet;
};

static bool is_wanted(const struct request *request, const json_t *said) {
    const char *name = json_string_value(json_object_get(said, "name"));
    const char *id = json_string_value(json_object_get(said, "id"));
    return !request->job || (name && strcmp(name, request->job) == 0) ||
           (id && strcmp(id, request->job) == 0);
}

static const char *verdict_of(const json_t *said) {
    const char *verdict = json_string_value(json_object_get(said, "verdict"));
    return verdict ? verdict : "";
}

static const char *reason_of(const json_t *said) {
    const char *reason = json_string_value(json_object_get(said, "reason"));
    return reason ? reason : "samebits report says which";
}

/* Without a cause, and not because there is nothing to explain? */
static bool has_failed(const struct sb_explanation *explanation) {
    const char *outcome = json_string_value(json_object_get(explanation->said, "outcome"));
    return outcome && strcmp(outcome, "error") == 0 && !explanation->unfinished &&
           !explanation->open_question && !json_array_size(explanation->causes) &&
           strcmp(verdict_of(explanation->said), "inconclusive") != 0;
}

/* The result's own reason, which more runs may not be the cure of: weights that are all zero, say.
 */
static char *inconclusive_text(const json_t *said) {
    const char *reason = json_string_value(json_object_get(said, "reason"));
    return sb_format("the result does not say on what the bits depend: %s",
                     reason && *reason ? reason : "more repeats or the full design would tell");
}

static int explain_job(struct sb_explanation *explanation, struct sb_error *err) {
    const char *verdict = verdict_of(explanation->said);
    explanation->causes = json_array();
    if (!explanation->causes)
        return sb_error_errno(err, -ENOMEM, "causes");
    int rc = 0;
    if (strcmp(verdict, "nondeterministic") == 0)
        rc = sb_explain_repeats(explanation, err);
    if (rc == 0 && !explanation->unfinished)
        rc = sb_explain_axes(explanation, err);
    if (rc == 0 && strcmp(verdict, "error") == 0)
        explanation->open_question =
            strdup("the result has no answer for this job (samebits report)");
    else if (rc == 0 && has_failed(explanation))
        explanation->open_question =
            sb_format("the result has an answer for some of its runs alone: %s",
                      reason_of(explanation->said));
    if (rc == 0 && strcmp(verdict, "inconclusive") == 0 && !json_array_size(explanation->causes))
        explanation->open_question = inconclusive_text(explanation->said);
    return rc;
}

static json_t *job_json(const struct sb_explanation *explanation) {
    return json_pack(
        "{s:O, s:O, s:O, s:O, s:o, s:b}", "name", json_object_get(explanation->said, "name"), "id",
        json_object_get(explanation->said, "id"), "verdict",
        json_object_get(explanation->said, "verdict"), "causes", explanation->causes, "open",
        sb_json_string(explanation->open_question), "unfinished", explanation->unfinished);
}

static void print_line(const char *text) {
    enum { COLUMNS = 100 };
    SB_AUTO_FREE char *shown = sb_text_shown(text, sb_unicode_wanted());
    for (const char *at = shown ? shown : ""; *at;) {
        size_t n = sb_text_line(at, COLUMNS - 6);
        printf("      %.*s\n", (int)n, at);
        for (at += n; *at == ' ';)
            at++;
    }
}

static void print_runs(const json_t *runs) {
    json_int_t n = json_integer_value(json_object_get(runs, "runs"));
    json_int_t distinct = json_integer_value(json_object_get(runs, "distinct"));
    SB_AUTO_FREE char *text = sb_format(
        "%s: %lld runs, %lld result%s", json_string_value(json_object_get(runs, "setting")),
        (long long)n, (long long)distinct, distinct == 1 ? "" : "s");
    print_line(text ? text : "");
}

/* Is it a cause that shows in what kernels compute? Others change what goes into them. */
static bool is_of_kernels(const json_t *cause) {
    static const char *const sources[] = {"threads", "isa", "schedule", "deterministic"};
    const char *source = json_string_value(json_object_get(cause, "source"));
    for (size_t i = 0; source && i < sizeof sources / sizeof *sources; i++) {
        if (strcmp(source, sources[i]) == 0)
            return true;
    }
    return false;
}

/* The innermost caller, and the innermost in the folder that the job runs in, which is the current
 * one: what a framework does, and where it was asked to. */
static void print_callers(const json_t *frames) {
    SB_AUTO_FREE char *folder = getcwd(NULL, 0);
    const char *first = json_string_value(json_array_get(frames, 0)), *own = NULL;
    size_t i, n = folder ? strlen(folder) : 0;
    json_t *frame;
    json_array_foreach(frames, i, frame) {
        const char *text = json_string_value(frame);
        if (!own && n && strncmp(text, folder, n) == 0 && text[n] == '/')
            own = text + n + 1;
    }
    SB_AUTO_FREE char *text = !own ? sb_format("called by %s", first)
                              : own == first + n + 1
                                  ? sb_format("called by %s", own)
                                  : sb_format("called by %s, from %s", first, own);
    if (text)
        print_line(text);
}

/* Weights are no call: of those the first that differ are told. malloc'd. */
static char *culprit_text(const json_t *culprit) {
    const char *call = json_string_value(json_object_get(culprit, "call"));
    const char *backend = json_string_value(json_object_get(culprit, "backend"));
    const json_t *step = json_object_get(culprit, "step");
    if (sb_explain_is_weights(backend))
        return json_is_integer(step)
                   ? sb_format("first weights that differ: %s, after step %lld", call,
                               json_integer_value(step))
                   : sb_format("first weights that differ: %s, before the first step", call);
    return sb_format(
        "first call whose inputs are equal and whose output is not: %s of %s, call "
        "%lld (%s)",
        call, backend, json_integer_value(json_object_get(culprit, "seq")),
        json_string_value(json_object_get(culprit, "status")));
}

/* Where the bits part, as far as traces of the runs show it. */
static void print_culprit(const json_t *cause) {
    const json_t *culprit = json_object_get(cause, "culprit");
    const json_t *traced = json_object_get(cause, "traced");
    const json_t *share = json_object_get(traced, "cpu_share");
    double percent = 100 * json_number_value(share);
    const char *note = json_string_value(json_object_get(traced, "note"));
    SB_AUTO_FREE char *call = json_is_object(culprit) ? culprit_text(culprit) : NULL;
    if (call)
        print_line(call);
    if (json_array_size(json_object_get(culprit, "frames")))
        print_callers(json_object_get(culprit, "frames"));
    SB_AUTO_FREE char *little =
        !call && !note && is_of_kernels(cause) && json_is_number(share) && percent < 50
            ? sb_format(
                  "a trace sees %.0f%% of the CPU time: kernels that are linked in stay "
                  "unseen; points of the program's own show more (samebits/trace.h, "
                  "python/samebits.py)",
                  percent)
            : NULL;
    const char *by = json_string_value(json_object_get(traced, "by"));
    SB_AUTO_FREE char *share_text =
        by && strcmp(by, "framework operations") == 0 && json_is_number(share)
            ? sb_format("traced by framework operation: %.0f%% of the CPU time, the start included",
                        percent)
            : NULL;
    if (share_text)
        print_line(share_text);
    if (note || little)
        print_line(note ? note : little);
    SB_AUTO_TEXT struct sb_text growth = {0};
    if (sb_say_growth(&growth, "the difference", cause))
        print_line(growth.data);
}

static void print_cause(const json_t *cause) {
    const json_t *evidence = json_object_get(cause, "evidence");
    const json_t *alternatives = json_object_get(cause, "alternatives");
    const char *fix = json_string_value(json_object_get(cause, "fix"));
    printf("    %s (%s", json_string_value(json_object_get(cause, "source")),
           json_string_value(json_object_get(cause, "status")));
    size_t i;
    json_t *other;
    json_array_foreach(alternatives, i, other)
        printf("%s%s", i ? ", " : "; also cured by ", json_string_value(other));
    puts(")");
    if (json_is_object(evidence)) {
        print_runs(json_object_get(evidence, "without"));
        print_runs(json_object_get(evidence, "with"));
    }
    print_culprit(cause);
    double luck = json_number_value(json_object_get(evidence, "luck"));
    if (luck > 0) {
        SB_AUTO_FREE char *text = sb_format("agreement by luck: %.2g at the rate seen", luck);
        print_line(text ? text : "");
    }
    SB_AUTO_FREE char *text = fix ? sb_format("fix: %s", fix) : NULL;
    if (text)
        print_line(text);
}

static void print_job(const struct sb_explanation *explanation) {
    SB_AUTO_FREE char *name = sb_text_shown(
        json_string_value(json_object_get(explanation->said, "id")), sb_unicode_wanted());
    printf("  %s  %s\n", name ? name : "", verdict_of(explanation->said));
    size_t i;
    json_t *cause;
    json_array_foreach(explanation->causes, i, cause) print_cause(cause);
    if (explanation->open_question)
        print_line(explanation->open_question);
    else if (explanation->unfinished)
        print_line("not finished: the same command goes on");
    else if (!json_array_size(explanation->causes))
        print_line("nothing to explain");
    fflush(stdout);
}

/* Experiments of two programs answer nothing, and none of them may be found again. */
static int check_unchanged(const struct sb_restored *restored, const char *folder,
                           struct sb_error *err) {
    SB_AUTO_JSON json_t *now = NULL;
    bool with_tree = json_is_object(json_object_get(restored->identity, "git"));
    int rc = sb_identity_now(restored->plan, with_tree, &now, err);
    SB_AUTO_FREE char *changed = rc == 0 ? sb_identity_difference(restored->identity, now) : NULL;
    if (!changed)
        return rc;
    sb_remove_tree(folder, NULL);
    return sb_error_set(err, -EINVAL,
                        "samebits explain: changed while its runs were under way: %s; ask again",
                        changed);
}

static void print_changed(const char *changed) {
    SB_AUTO_FREE char *text = sb_format("changed since this result was made: %s", changed);
    if (text)
        print_line(text);
    print_line("what follows is true of the program as it is now");
}

static int explain_result(const struct request *request, const char *path,
                          const struct sb_restored *restored, const json_t *result,
                          struct sb_error *err) {
    struct sb_search_bounds bounds = {.seconds = request->seconds,
                                      .runs = request->runs,
                                      .began = sb_monotonic(),
                                      .quiet = request->quiet || !isatty(STDERR_FILENO)};
    SB_AUTO_FREE char *folder = sb_folder_file(restored->folder, "explain");
    SB_AUTO_JSON json_t *jobs = json_array();
    const json_t *said = json_object_get(result, "jobs");
    bool any = false, open = false;
    SB_AUTO_FREE char *changed =
        sb_identity_difference(json_object_get(result, "manifest"), restored->identity);
    if (!folder || !jobs)
        return sb_error_errno(err, -ENOMEM, "%s", path);
    if (changed && !request->json)
        print_changed(changed);
    for (size_t i = 0; i < json_array_size(said) && i < restored->plan->n_jobs; i++) {
        struct sb_explanation explanation = {.restored = restored,
                                             .job = i,
                                             .said = json_array_get(said, i),
                                             .folder = folder,
                                             .bounds = &bounds};
        if (!is_wanted(request, explanation.said))
            continue;
        any = true;
        bounds.what = restored->plan->jobs[i].job->id;
        int rc = explain_job(&explanation, err);
        if (rc == 0)
            rc = check_unchanged(restored, folder, err);
        if (rc == 0 && request->json)
            json_array_append_new(jobs, job_json(&explanation));
        else if (rc == 0)
            print_job(&explanation);
        open |= explanation.open_question || explanation.unfinished;
        sb_explanation_clear(&explanation);
        if (rc < 0)
            return rc;
    }
    if (!any)
        return sb_error_set(err, -EINVAL, "%s: no job '%s' (samebits report lists them)", path,
                            request->job ? request->job : "");
    if (request->json) {
        SB_AUTO_JSON json_t *document = json_pack("{s:s, s:O, s:o}", "schema", "samebits.explain/1",
                                                  "jobs", jobs, "changed", sb_json_string(changed));
        SB_AUTO_FREE char *text = document ? sb_json_text(document) : NULL;
        puts(text ? text : "");
    }
    return sb_interrupted ? SB_EXIT_INTERRUPTED : open ? SB_EXIT_ERROR : SB_EXIT_OK;
}

static int explain(const struct request *request, const char *path, struct sb_error *err) {
    SB_CLEANUP(sb_restored_clear) struct sb_restored restored = {0};
    SB_AUTO_JSON json_t *result = NULL;
    int rc = sb_restored_open(path, &restored, err);
    SB_AUTO_FREE char *file = rc == 0 ? sb_folder_file(restored.folder, "result.json") : NULL;
    if (rc == 0)
        rc = file ? sb_result_load(file, &result, err) : sb_error_errno(err, -ENOMEM, "%s", path);
    if (rc == 0)
        rc = sb_restored_plan(&restored, err);
    if (rc == 0)
        rc = sb_restored_identity(&restored, err);
    if (rc < 0)
        return rc;
    sb_catch_interrupts();
    return explain_result(request, path, &restored, result, err);
}

static int take_time(void *into, const char *value, struct sb_error *err) {
    return sb_duration_parse(value, into, err);
}

int sb_cmd_explain(int argc, char **argv) {
    struct request request = {0};
    const struct sb_option table[] = {
        {"job", 0, "NAME", "this job alone", sb_take_text, &request.job},
        {"time", 0, "60s", "stop looking after so long", take_time, &request.seconds},
        {"runs", 0, "N", "stop looking after so many runs", sb_take_unsigned, &request.runs},
        {"json", 0, NULL, "JSON on stdout", sb_take_flag, &request.json},
        {"quiet", 'q', NULL, "no progress", sb_take_flag, &request.quiet},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    SB_CLEANUP(sb_arguments_clear) struct sb_arguments arguments;
    if (sb_options_parse("samebits explain", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    if (arguments.help) {
        puts(
            "samebits explain [OPTION]… DIR\n"
            "Why the bits of a result's jobs differ, found by freezing one source after another "
            "in\n"
            "runs of its own: samebits explain latest. What was begun and not finished goes on.\n");
        sb_options_print(table, n_table);
        puts("\nExit: 0 explained or nothing to explain, 2 not explained, 130 interrupted.");
        return SB_EXIT_OK;
    }
    if (arguments.positional.n != 1) {
        sb_error_set(&err, 0, "samebits explain: give a results folder (samebits explain latest)");
        return sb_complain(&err);
    }
    int rc = explain(&request, arguments.positional.items[0], &err);
    return rc < 0 ? sb_complain(&err) : rc;
}
