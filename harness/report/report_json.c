/* Stage 7: result.json as it is. */
#include <samebits/report.h>

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>

static int write_json(const json_t *result, const struct sb_report_options *options, FILE *out,
                      struct sb_error *err) {
    (void)options;
    SB_AUTO_FREE char *text = sb_json_text(result);
    if (!text)
        return sb_error_errno(err, -ENOMEM, "json report");
    fputs(text, out);
    return 0;
}

const struct sb_report sb_report_json = {
    .name = "json",
    .summary = "result.json: everything, for programs",
    .write = write_json,
};
