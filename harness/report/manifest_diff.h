/* Stage 7, private: what two results rest on differently: likely causes of other bits. */
#ifndef SB_REPORT_MANIFEST_DIFF_H
#define SB_REPORT_MANIFEST_DIFF_H

#include <jansson.h>

/* [{"what": "versions.libc", "was", "is"}], the values as the manifests have them, null where one
 * has none; in the order of likely causes (inputs, git, versions, cpu, gpu, kernel, environment),
 * then whatever else differs. New reference, or NULL without memory. */
json_t *sb_manifest_diff(const json_t *was, const json_t *is);

/* A difference in words: "commit 1a2b3c4d → 5e6f7a8b", "libc 2.36 → 2.37"; malloc'd or NULL. */
char *sb_manifest_diff_text(const json_t *difference);

#endif
