/* Stage 7, private: what tells the machines that results are of apart. */
#ifndef SB_REPORT_MACHINE_H
#define SB_REPORT_MACHINE_H

#include <jansson.h>

/* Each an axis of a merged result where it differs. */
enum sb_mark { SB_MARK_HOST, SB_MARK_CPU, SB_MARK_GPU, SB_N_MARKS };
extern const char *const sb_mark_names[]; /* host cpu gpu, NULL */

/* The machines of a manifest, of a merged result all of them: [{"host", "cpu", "gpu"}], null where
 * it is unknown or there is none. New reference, or NULL. */
json_t *sb_machines_of(const json_t *manifest);

#endif
