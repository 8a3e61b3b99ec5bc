/* cli: samebits merge. */
#include "cli/command.h"
#include "cli/merge.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct command {
    struct sb_request request; /* of reports, and where to */
    const char *marks;
};

static int read_inputs(const struct sb_strings *given, struct sb_merge *merge,
                       struct sb_error *err) {
    merge->inputs = calloc(given->n, sizeof *merge->inputs);
    merge->lists = json_object();
    int rc = merge->inputs && merge->lists ? 0 : sb_error_errno(err, -ENOMEM, "samebits merge");
    for (size_t i = 0; rc == 0 && i < given->n; i++) {
        rc = sb_merge_read(given->items[i], merge->lists, &merge->inputs[i], err);
        merge->n_inputs = i + 1;
    }
    return rc;
}

/* --force would remove it before it is copied. */
static int check_out(const struct sb_merge *merge, const char *out, struct sb_error *err) {
    SB_AUTO_FREE char *real = realpath(out, NULL);
    for (size_t i = 0; real && i < merge->n_inputs; i++) {
        SB_AUTO_FREE char *input = realpath(merge->inputs[i].folder, NULL);
        if (input && strcmp(input, real) == 0)
            return sb_error_set(err, -EINVAL, "samebits merge: --out %s is one of the results",
                                out);
    }
    return 0;
}

static int merge_into(struct sb_merge *merge, const struct sb_request *request,
                      struct sb_error *err) {
    struct sb_folder *folder = NULL;
    SB_AUTO_JSON json_t *result = NULL;
    int rc = sb_folder_create(request->out, request->force, &folder, err);
    if (rc == 0)
        rc = sb_merge_copy(merge, folder, err);
    if (rc == 0)
        rc = sb_merge_keep_plan(merge, folder, err);
    if (rc == 0)
        rc = sb_merge_result(merge, folder, &result, err);
    if (rc == 0)
        rc = sb_reporting_save(folder, result, err);
    if (rc == 0)
        rc = sb_reporting_write(request, result, folder, err);
    sb_folder_close(folder);
    return rc < 0 ? rc : (int)json_integer_value(json_object_get(result, "exit_code"));
}

static int merge_results(const struct command *command, struct sb_error *err) {
    const struct sb_request *request = &command->request;
    const struct sb_strings *given = &request->arguments.positional;
    SB_CLEANUP(sb_merge_clear) struct sb_merge merge = {0};
    if (!given->n || !request->out)
        return sb_error_set(err, -EINVAL,
                            "samebits merge: give results and --out, a new folder (samebits merge "
                            "shard-1 shard-2 --out merged)");
    int rc = sb_marks_parse("samebits merge", command->marks, &merge.marks, err);
    if (rc == 0)
        rc = sb_reporting_check(request, err);
    if (rc == 0)
        rc = read_inputs(given, &merge, err);
    if (rc == 0)
        rc = check_out(&merge, request->out, err);
    if (rc == 0)
        rc = sb_merge_find_machines(&merge, err);
    if (rc == 0)
        rc = sb_merge_find_jobs(&merge, err);
    if (rc == 0)
        rc = sb_merge_find_runs(&merge, err);
    if (rc == 0)
        rc = sb_merge_plan(&merge, err);
    return rc == 0 ? merge_into(&merge, request, err) : rc;
}

int sb_cmd_merge(int argc, char **argv) {
    struct command command = {.marks = NULL};
    struct sb_request *request = &command.request;
    const struct sb_option table[] = {
        {"out", 0, "DIR", "a new folder for the merged result", sb_take_text, &request->out},
        {"force", 0, NULL, "replace the result that it holds", sb_take_flag, &request->force},
        {"machine", 0, "MARKS", "axes: host,cpu,gpu (all three), none", sb_take_text,
         &command.marks},
        {"report", 'r', "FORMAT[:PATH]", "samebits list reports; PATH - is stdout", sb_take_list,
         &request->reports},
        {"json", 0, NULL, "JSON alone on stdout", sb_take_flag, &request->json},
        {"quiet", 'q', NULL, NULL, sb_take_flag, &request->quiet},
        {"verbose", 'v', NULL, "errors only, or details of every job", sb_take_flag,
         &request->verbose},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    int code;
    if (sb_options_parse("samebits merge", table, n_table, argc, argv, &request->arguments, &err) <
        0)
        return sb_complain(&err);
    if (request->arguments.help) {
        puts(
            "samebits merge [OPTION]… DIR… --out DIR\n"
            "Joins results of one suite, of shards or machines, and judges them anew:\n"
            "samebits merge shard-1 shard-2 gpu/result.json --out merged\n");
        sb_options_print(table, n_table);
        puts(
            "\nOrder and repetition make no difference. Weights that no DIR has are said to be\n"
            "lacking. Exit: as of the merged result (samebits run); 2 where they do not fit.");
        code = SB_EXIT_OK;
    } else {
        code = merge_results(&command, &err);
        if (code < 0)
            code = sb_complain(&err);
    }
    sb_request_clear(request);
    return code;
}
