/* cli: which reports go where. */
#ifndef SB_CLI_REPORTING_H
#define SB_CLI_REPORTING_H

#include "cli/request.h"

#include <samebits/report.h>
#include <samebits/run.h>

/* --report FORMAT[:PATH] …: are the formats known and in this build? -EINVAL with the choices. */
int sb_reporting_check(const struct sb_request *request, struct sb_error *err);

/* Writes what was asked for; without any --report, and unless quiet, the terminal's. */
int sb_reporting_write(const struct sb_request *request, const json_t *result,
                       const struct sb_folder *folder, struct sb_error *err);

/* One report as "FORMAT[:PATH]"; without a path into `folder_path` under the format's file name, or
 * to stdout. */
int sb_reporting_write_one(const char *written, const json_t *result, const char *folder_path,
                           bool verbose, struct sb_error *err);

#endif
