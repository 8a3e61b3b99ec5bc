/* cli: which reports go where. */
#ifndef SB_CLI_REPORTING_H
#define SB_CLI_REPORTING_H

#include "cli/request.h"

#include <samebits/report.h>
#include <samebits/run.h>

/* --report FORMAT[:PATH] …: are the formats known and in this build, and can files be made where
 * they are to go? -EINVAL with the choices, or -errno of the path. */
int sb_reporting_check(const struct sb_request *request, struct sb_error *err);

/* Keeps a result in its folder, as result.json. */
int sb_reporting_save(struct sb_folder *folder, const json_t *result, struct sb_error *err);

/* Writes what was asked for; without any --report, and unless quiet, the terminal's. */
int sb_reporting_write(const struct sb_request *request, const json_t *result,
                       const struct sb_folder *folder, struct sb_error *err);

struct sb_reporting_manner {
    bool verbose; /* details of every job */
    bool silent;  /* do not say on stderr where files were written */
};

/* One report as "FORMAT[:PATH]"; without a path into `folder_path` under the format's file name, or
 * to stdout; to stdout where the path is "-". */
int sb_reporting_write_one(const char *written, const json_t *result, const char *folder_path,
                           struct sb_reporting_manner manner, struct sb_error *err);

/* The folder of a result as it was named: "latest" and "0003" are folders in samebits-results/, and
 * a result.json stands for its folder. malloc'd, or NULL. */
char *sb_reporting_folder(const char *given);
/* The result that was named so. */
int sb_reporting_load(const char *given, json_t **result, struct sb_error *err);

/* The folder as people would type it: relative to here where it lies below. In `buffer`. */
const char *sb_reporting_shown_folder(const char *folder_path, char *buffer, size_t n);

#endif
