/* cli: samebits baseline, save and check. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "report/baseline.h"
#include "report/display.h"
#include "report/reading.h"

#include <samebits/report.h>
#include <samebits/run.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_file[] = "samebits.baseline";

struct command {
    const char *file;
    bool update, prune, json, all;
};

static void print_text(const struct sb_text *text) {
    const char *at = text->data;
    for (char *line; (line = sb_text_next_line(&at)); free(line)) {
        SB_AUTO_FREE char *shown = sb_text_shown(line, sb_unicode_wanted());
        puts(shown ? shown : "");
    }
}

/* ---- save -------------------------------------------------------------------------------------
 */

/* Jobs that the old entry has and the new one has not stay, unless they are to go. */
static void keep_others(json_t *fresh, const json_t *old) {
    json_t *jobs = json_object_get(fresh, "jobs"), *job;
    const char *id;
    json_object_foreach(json_object_get(old, "jobs"), id, job) {
        if (!json_object_get(jobs, id))
            json_object_set(jobs, id, job);
    }
}

static void replace_machine(json_t *baseline, json_t *old, json_t *fresh) {
    json_t *machines = json_object_get(baseline, "machines"), *one;
    size_t i;
    json_array_foreach(machines, i, one) {
        if (one == old) {
            json_array_set(machines, i, fresh);
            return;
        }
    }
    json_array_append(machines, fresh);
}

static int write_baseline(const char *file, const json_t *baseline, struct sb_error *err) {
    SB_AUTO_FREE char *text = sb_baseline_text(baseline);
    return text ? sb_file_write(file, text, strlen(text), err)
                : sb_error_errno(err, -ENOMEM, "%s", file);
}

/* Jobs without an answer, and why that is. */
static void say_left_out(const json_t *result, const struct sb_strings *left_out) {
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(result, "jobs"), i, job) {
        const char *id = sb_job_title(job), *reason = sb_text_of(job, "reason");
        if (!sb_strings_contain(left_out, id))
            continue;
        SB_AUTO_FREE char *text =
            sb_format("left out: %s, which has no answer%s%s", id, *reason ? ": " : "", reason);
        SB_AUTO_FREE char *shown = text ? sb_text_shown(text, sb_unicode_wanted()) : NULL;
        fprintf(stderr, "samebits: %s\n", shown ? shown : id);
    }
}

static int save(const struct command *command, const json_t *result, struct sb_error *err) {
    SB_AUTO_STRINGS struct sb_strings left_out = {0};
    SB_AUTO_JSON json_t *fresh = sb_baseline_machine(result, &left_out);
    SB_AUTO_JSON json_t *baseline = NULL;
    bool exists = access(command->file, F_OK) == 0;
    if (exists && !command->update)
        return sb_error_set(err, -EEXIST,
                            "%s is there already; --update shows what changes, and writes it",
                            command->file);
    say_left_out(result, &left_out);
    if (!json_object_size(json_object_get(fresh, "jobs")))
        return sb_error_set(err, -EINVAL, "no job of this result has an answer to keep");
    int rc = 0;
    if (exists)
        rc = sb_baseline_read(command->file, &baseline, err);
    else
        baseline = json_pack("{s:s, s:[]}", "version", "1", "machines");
    if (rc < 0)
        return rc;
    json_t *old = sb_baseline_find(baseline, fresh);
    if (exists) {
        SB_AUTO_TEXT struct sb_text text = {0};
        SB_AUTO_JSON json_t *check = sb_baseline_check(baseline, result, command->file);
        sb_say_baseline(&text, check, false);
        print_text(&text);
    }
    if (old && !command->prune)
        keep_others(fresh, old);
    replace_machine(baseline, old, fresh);
    rc = write_baseline(command->file, baseline, err);
    if (rc == 0)
        printf("wrote %s: %zu job%s\n", command->file,
               json_object_size(json_object_get(fresh, "jobs")),
               json_object_size(json_object_get(fresh, "jobs")) == 1 ? "" : "s");
    return rc;
}

/* ---- check ------------------------------------------------------------------------------------
 */

static int check(const struct command *command, const json_t *result, struct sb_error *err) {
    SB_AUTO_JSON json_t *baseline = NULL;
    int rc = sb_baseline_read(command->file, &baseline, err);
    if (rc < 0)
        return rc;
    SB_AUTO_JSON json_t *found = sb_baseline_check(baseline, result, command->file);
    SB_AUTO_FREE char *json = command->json ? sb_json_text(found) : NULL;
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_say_baseline(&text, found, command->all);
    if (json)
        fputs(json, stdout);
    else
        print_text(&text);
    return (int)json_integer_value(json_object_get(found, "exit_code"));
}

/* ---- Command line -----------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    int (*run)(const struct command *command, const json_t *result, struct sb_error *err);
} actions[] = {{"save", save}, {"check", check}};

static int act(struct command *command, const struct sb_strings *given, struct sb_error *err) {
    SB_AUTO_JSON json_t *result = NULL;
    size_t i = 0, n = sizeof actions / sizeof *actions;
    while (given->n && i < n && strcmp(given->items[0], actions[i].name) != 0)
        i++;
    if (!given->n || i == n)
        return sb_error_set(err, -EINVAL, "samebits baseline: say save or check%s%s%s",
                            given->n ? ", not '" : "", given->n ? given->items[0] : "",
                            given->n ? "'" : "");
    if (given->n != 2)
        return sb_error_set(err, -EINVAL,
                            "samebits baseline %s: give one result (samebits baseline %s "
                            "samebits-results/latest)",
                            actions[i].name, actions[i].name);
    if (!command->file)
        command->file = default_file;
    int rc = sb_reporting_load(given->items[1], &result, err);
    return rc < 0 ? rc : actions[i].run(command, result, err);
}

int sb_cmd_baseline(int argc, char **argv) {
    struct command command = {.file = NULL};
    const struct sb_option table[] = {
        {"file", 'f', "FILE", "the baseline (samebits.baseline)", sb_take_text, &command.file},
        {"update", 0, NULL, "save: show what changes, and write it", sb_take_flag, &command.update},
        {"prune", 0, NULL, "save: forget jobs that the result has not", sb_take_flag,
         &command.prune},
        {"json", 0, NULL, "check: JSON alone on stdout", sb_take_flag, &command.json},
        {"verbose", 'v', NULL, "check: jobs that are as they were, too", sb_take_flag,
         &command.all},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {{0}};
    struct sb_arguments arguments;
    if (sb_options_parse("samebits baseline", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    int code = SB_EXIT_OK;
    if (arguments.help) {
        puts(
            "samebits baseline [OPTION]… save DIR    keep the bits of a result, for git\n"
            "samebits baseline [OPTION]… check DIR   are they still the same?\n");
        sb_options_print(table, n_table);
        puts("Exit 1: changed, newly nondeterministic; 2: no answer; 77: nothing to compare");
    } else {
        code = act(&command, &arguments.positional, &err);
        if (code < 0)
            code = sb_complain(&err);
    }
    sb_arguments_clear(&arguments);
    return code;
}
