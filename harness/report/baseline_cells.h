/* Stage 7, private: the cells of a result's jobs, for baselines. */
#ifndef SB_REPORT_BASELINE_CELLS_H
#define SB_REPORT_BASELINE_CELLS_H

#include "base/text.h"

#include <jansson.h>

/* {job id: [{"levels": {axis: level}, "fingerprint": text, or null where runs of the cell
 * differ}]}, of runs that ended well. New reference. */
json_t *sb_cells_by_job(const json_t *result);

/* "threads=1 hash_seed=0" of the axes in `by`; false where the cell has not all of them. */
bool sb_cell_key(struct sb_text *key, const json_t *levels, const json_t *by);

#endif
