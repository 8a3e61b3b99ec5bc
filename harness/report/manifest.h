/* Stage 7, private: parts of the manifest. */
#ifndef SB_REPORT_MANIFEST_H
#define SB_REPORT_MANIFEST_H

#include "report/result.h"

/* Names and versions of what runs had: libraries, python, samebits, libc, compiler. New reference,
 * or NULL. */
json_t *sb_versions_json(const struct sb_run *runs, size_t n_runs);

/* Models of the GPUs that NVIDIA's driver lists in a folder, a folder each; sorted. null where
 * there is none. New reference, or NULL. */
json_t *sb_gpus_json(const char *gpus);

#endif
