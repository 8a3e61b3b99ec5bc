/* cli: samebits diff-manifest. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "report/display.h"
#include "report/manifest_diff.h"

#include <samebits/run.h>

#include <errno.h>

#include <stdio.h>

static void print_differences(const json_t *differences) {
    size_t i;
    json_t *difference;
    json_array_foreach(differences, i, difference) {
        SB_AUTO_FREE char *text = sb_manifest_diff_text(difference);
        SB_AUTO_FREE char *shown = text ? sb_text_shown(text, sb_unicode_wanted()) : NULL;
        puts(shown ? shown : "");
    }
    if (!json_array_size(differences))
        puts("the same");
}

static int compare(const struct sb_strings *given, bool json, struct sb_error *err) {
    if (given->n != 2)
        return sb_error_set(err, -EINVAL,
                            "samebits diff-manifest: two results are needed, %zu given", given->n);
    SB_AUTO_JSON json_t *a = NULL;
    SB_AUTO_JSON json_t *b = NULL;
    int rc = sb_reporting_load(given->items[0], &a, err);
    if (rc == 0)
        rc = sb_reporting_load(given->items[1], &b, err);
    if (rc < 0)
        return rc;
    SB_AUTO_JSON json_t *differences =
        sb_manifest_diff(json_object_get(a, "manifest"), json_object_get(b, "manifest"));
    SB_AUTO_JSON json_t *document =
        json_pack("{s:s, s:o, s:o, s:O}", "schema", "samebits.diff-manifest/1", "a",
                  sb_json_string(given->items[0]), "b", sb_json_string(given->items[1]),
                  "differences", differences);
    SB_AUTO_FREE char *text = document ? sb_json_text(document) : NULL;
    if (!text)
        return sb_error_errno(err, -ENOMEM, "samebits diff-manifest");
    if (json)
        fputs(text, stdout);
    else
        print_differences(differences);
    return json_array_size(differences) ? SB_EXIT_DIVERGED : SB_EXIT_OK;
}

int sb_cmd_diff_manifest(int argc, char **argv) {
    bool json = false;
    const struct sb_option table[] = {
        {"json", 0, NULL, "JSON alone on stdout", sb_take_flag, &json},
    };
    struct sb_error err = {{0}};
    struct sb_arguments arguments;
    if (sb_options_parse("samebits diff-manifest", table, 1, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    int code = SB_EXIT_OK;
    if (arguments.help) {
        puts(
            "samebits diff-manifest [OPTION]… A B\n"
            "What two results rest on differently: program, versions, CPU, commit, inputs,\n"
            "variables. The first thing to look at when bits changed. Exit 1 where something\n"
            "differs.\n");
        sb_options_print(table, 1);
    } else {
        code = compare(&arguments.positional, json, &err);
        if (code < 0)
            code = sb_complain(&err);
    }
    sb_arguments_clear(&arguments);
    return code;
}
