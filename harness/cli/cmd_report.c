/* cli: samebits report. */
#include "cli/command.h"
#include "cli/explained.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int report_one(const char *given, const struct sb_strings *reports,
                      struct sb_reporting_manner manner, struct sb_error *err) {
    SB_AUTO_JSON json_t *result = NULL;
    SB_AUTO_FREE char *folder = sb_reporting_folder(given);
    int rc = folder ? 0 : sb_error_errno(err, -ENOMEM, "%s", given);
    if (rc == 0)
        rc = sb_reporting_load(given, &result, err);
    if (rc == 0)
        sb_explained_join(folder, result);
    for (size_t k = 0; k < reports->n && rc == 0; k++)
        rc = sb_reporting_write_one(reports->items[k], result, folder, manner, err);
    return rc;
}

int sb_cmd_report(int argc, char **argv) {
    struct sb_strings reports = {0};
    bool verbose = false, quiet = false;
    const struct sb_option table[] = {
        {"report", 'r', "FORMAT[:PATH]", "samebits list reports; PATH - is stdout", sb_take_list,
         &reports},
        {"quiet", 'q', NULL, "do not say where files went", sb_take_flag, &quiet},
        {"verbose", 'v', NULL, "details of every job", sb_take_flag, &verbose},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    struct sb_arguments arguments;
    if (sb_options_parse("samebits report", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    int code = SB_EXIT_OK;
    if (arguments.help) {
        puts(
            "samebits report [OPTION]… DIR…\n"
            "Reports of results that are there; on the terminal unless told another.\n");
        sb_options_print(table, n_table);
    } else if (!arguments.positional.n) {
        sb_error_set(&err, 0, "samebits report: give a results folder (samebits-results/latest)");
        code = sb_complain(&err);
    }
    if (!reports.n)
        sb_strings_add(&reports, "terminal");
    for (size_t i = 0; !arguments.help && i < arguments.positional.n; i++) {
        const struct sb_reporting_manner manner = {.verbose = verbose, .silent = quiet};
        if (report_one(arguments.positional.items[i], &reports, manner, &err) < 0)
            code = sb_complain(&err);
    }
    sb_strings_clear(&reports);
    sb_arguments_clear(&arguments);
    return code;
}
