/* Stage 7, private: a manifest as lines, for text that belongs into git. */
#ifndef SB_REPORT_MANIFEST_FLAT_H
#define SB_REPORT_MANIFEST_FLAT_H

#include "base/text.h"

#include <jansson.h>

/* Keys of an object, by bytes. 0 or -ENOMEM. */
int sb_sorted_keys(const json_t *object, struct sb_strings *keys);

/* A manifest as one object of texts: {"cpu.model": "…", "versions.OpenBLAS": "0.3.21",
 * "git.commit": "…", "inputs.data.csv": "xxh3:…"}; null where it says null. Left out is what says
 * nothing of where bits come from: PATH, the host's name, and what the suite asks for. New
 * reference. */
json_t *sb_manifest_flat(const json_t *manifest);

#endif
