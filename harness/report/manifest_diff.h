/* Stage 7, private: what two results rest on differently: likely causes of other bits. */
#ifndef SB_REPORT_MANIFEST_DIFF_H
#define SB_REPORT_MANIFEST_DIFF_H

#include <jansson.h>

/* [{"what": "versions.libc", "was", "is"}], the values as the manifests have them, null where one
 * has none; in the order of likely causes (program, inputs, git, versions, cpu, gpu, kernel,
 * environment), then whatever else differs; without what only one of the two can say of the program
 * and of uncommitted changes. New reference, or NULL without memory. */
json_t *sb_manifest_diff(const json_t *was, const json_t *is);

/* A difference in words: "commit 1a2b3c4d → 5e6f7a8b", "libc 2.36 → 2.37", "train.py
 * changed"; malloc'd or NULL. */
char *sb_manifest_diff_text(const json_t *difference);

#endif
