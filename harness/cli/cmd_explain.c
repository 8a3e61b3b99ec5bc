/* cli: samebits explain: why the bits of a result differ, found by intervention. */
#include "cli/command.h"
#include "cli/explain.h"
#include "cli/explained.h"
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

/* Do its bits differ? */
static bool has_question(const json_t *said) {
    return strcmp(verdict_of(said), "nondeterministic") == 0 ||
           strcmp(verdict_of(said), "config-dependent") == 0;
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

/* The folder that the job runs in. */
static const char *directory_of(const struct sb_explanation *explanation) {
    return explanation->restored->plan->jobs[explanation->job].job->directory;
}

/* Each line folded, what goes on in it at its own indentation. */
static void print_lines(const char *text) {
    enum { COLUMNS = 100, MARGIN = 4 };
    for (char *line; (line = sb_text_next_line(&text)); free(line)) {
        size_t indent = strspn(line, " ");
        SB_AUTO_FREE char *shown = sb_text_shown(line + indent, sb_unicode_wanted());
        for (const char *at = shown ? shown : ""; *at;) {
            size_t n = sb_text_line(at, COLUMNS - MARGIN - indent), seen = n;
            while (seen && at[seen - 1] == ' ')
                seen--;
            printf("%*s%.*s\n", (int)(MARGIN + indent), "", (int)seen, at);
            at += n;
            at += strspn(at, " ");
        }
    }
}

static void print_line(const char *text) {
    SB_AUTO_FREE char *line = sb_format("  %s", text);
    print_lines(line ? line : "");
}

static void print_job(const struct sb_explanation *explanation) {
    SB_AUTO_TEXT struct sb_text said = {0};
    SB_AUTO_FREE char *name = sb_text_shown(
        json_string_value(json_object_get(explanation->said, "id")), sb_unicode_wanted());
    printf("  %s  %s\n", name ? name : "", verdict_of(explanation->said));
    size_t i;
    json_t *cause;
    json_array_foreach(explanation->causes, i, cause)
        sb_say_cause(&said, cause, directory_of(explanation));
    if (said.length)
        print_lines(said.data);
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

/* As reports are told of it: see cli/explained.h. New reference, or NULL. */
static json_t *with_directory(const struct sb_explanation *explanation, const json_t *answer) {
    json_t *entry = json_copy((json_t *)answer);
    if (entry)
        json_object_set_new(entry, "directory", sb_json_string(directory_of(explanation)));
    return entry;
}

/* One job: its answer goes to `answered`, and for reports to `found` if there was a question. */
static int explain_one(const struct request *request, struct sb_explanation *explanation,
                       json_t *answered, json_t *found, bool *open, struct sb_error *err) {
    int rc = explain_job(explanation, err);
    if (rc == 0)
        rc = check_unchanged(explanation->restored, explanation->folder, err);
    if (rc < 0)
        return rc;
    SB_AUTO_JSON json_t *answer = job_json(explanation);
    bool unanswered = explanation->open_question || explanation->unfinished;
    if (!answer || json_array_append(answered, answer) < 0)
        return sb_error_errno(err, -ENOMEM, "causes");
    if (!request->json)
        print_job(explanation);
    if (has_question(explanation->said) &&
        json_array_append_new(found, with_directory(explanation, answer)) < 0)
        return sb_error_errno(err, -ENOMEM, "causes");
    *open |= unanswered;
    return 0;
}

static void print_document(json_t *answered, const char *changed) {
    SB_AUTO_JSON json_t *document = json_pack("{s:s, s:O, s:o}", "schema", "samebits.explain/1",
                                              "jobs", answered, "changed", sb_json_string(changed));
    SB_AUTO_FREE char *text = document ? sb_json_text(document) : NULL;
    puts(text ? text : "");
}

static int explain_result(const struct request *request, const char *path,
                          const struct sb_restored *restored, const json_t *result,
                          struct sb_error *err) {
    struct sb_search_bounds bounds = {.seconds = request->seconds,
                                      .runs = request->runs,
                                      .began = sb_monotonic(),
                                      .quiet = request->quiet || !isatty(STDERR_FILENO)};
    SB_AUTO_FREE char *folder = sb_folder_file(restored->folder, "explain");
    SB_AUTO_JSON json_t *answered = json_array();
    SB_AUTO_JSON json_t *found = json_array();
    const json_t *said = json_object_get(result, "jobs");
    bool any = false, open = false;
    SB_AUTO_FREE char *changed =
        sb_identity_difference(json_object_get(result, "manifest"), restored->identity);
    if (!folder || !answered || !found)
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
        int rc = explain_one(request, &explanation, answered, found, &open, err);
        sb_explanation_clear(&explanation);
        if (rc < 0)
            return rc;
    }
    if (!any)
        return sb_error_set(err, -EINVAL, "%s: no job '%s' (samebits report lists them)", path,
                            request->job ? request->job : "");
    if (request->json)
        print_document(answered, changed);
    int rc = sb_explained_save(restored->folder, result, found, changed, err);
    return rc < 0 ? rc : sb_interrupted ? SB_EXIT_INTERRUPTED : open ? SB_EXIT_ERROR : SB_EXIT_OK;
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
