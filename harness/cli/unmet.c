/* cli: warns of globs that matched no tensor. See cli/unmet.h. */
#include "cli/unmet.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "report/display.h"

#include <stdio.h>
#include <stdlib.h>

json_t *sb_warn_unmet(const struct sb_weights_options *options, const struct sb_globs_met *met) {
    char **unmet = sb_globs_unmet(options, met);
    json_t *list = json_array();
    for (size_t i = 0; unmet && unmet[i]; i++) {
        SB_AUTO_FREE char *shown = sb_text_printable(unmet[i]);
        fprintf(stderr, "samebits: warning: --%s: matches no tensor\n", shown ? shown : "");
        json_array_append_new(list, sb_json_string(unmet[i]));
        free(unmet[i]);
    }
    free(unmet);
    return list;
}
