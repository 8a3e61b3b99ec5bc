/* Stage 7, private: parts of the manifest. */
#ifndef SB_REPORT_MANIFEST_H
#define SB_REPORT_MANIFEST_H

#include "report/result.h"

/* Names and versions of what runs had: libraries, python, samebits, libc, compiler. New reference,
 * or NULL. */
json_t *sb_versions_json(const struct sb_run *runs, size_t n_runs);

/* {"commit", "dirty"} of the folder that `directory` is in, JSON null where it is in none. New
 * reference. */
json_t *sb_git_json(const char *directory);

#endif
