/* cli: globs that matched no tensor, which most likely are misspelt. */
#ifndef SB_CLI_UNMET_H
#define SB_CLI_UNMET_H

#include <samebits/weights.h>

#include <jansson.h>

/* A warning on stderr for each, and the list of them for a document ("exclude GLOB"), which may be
 * empty. */
json_t *sb_warn_unmet(const struct sb_weights_options *options, const struct sb_globs_met *met);

#endif
