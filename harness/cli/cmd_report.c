/* cli: samebits report. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/reporting.h"

#include "base/cleanup.h"

#include <stdio.h>

int sb_cmd_report(int argc, char **argv) {
    struct sb_strings reports = {0};
    bool verbose = false;
    const struct sb_option table[] = {
        {"report", 'r', "FORMAT[:PATH]", "which, and where to (default terminal)", sb_take_list,
         &reports},
        {"verbose", 'v', NULL, "details of every job", sb_take_flag, &verbose},
    };
    const size_t n_table = sizeof table / sizeof *table;
    struct sb_error err = {0};
    struct sb_arguments arguments;
    if (sb_options_parse("samebits report", table, n_table, argc, argv, &arguments, &err) < 0)
        return sb_complain(&err);
    int code = SB_EXIT_OK;
    if (arguments.help) {
        puts("samebits report [OPTION]… DIR…   reports of results that are there\n");
        sb_options_print(table, n_table);
    } else if (!arguments.positional.n) {
        sb_error_set(&err, 0, "samebits report: give a results folder (samebits-results/latest)");
        code = sb_complain(&err);
    }
    if (!reports.n)
        sb_strings_add(&reports, "terminal");
    for (size_t i = 0; !arguments.help && i < arguments.positional.n; i++) {
        SB_AUTO_JSON json_t *result = NULL;
        const char *folder = arguments.positional.items[i];
        int rc = sb_result_load(folder, &result, &err);
        for (size_t k = 0; k < reports.n && rc == 0; k++)
            rc = sb_reporting_write_one(reports.items[k], result, folder, verbose, &err);
        if (rc < 0)
            code = sb_complain(&err);
    }
    sb_strings_clear(&reports);
    sb_arguments_clear(&arguments);
    return code;
}
