/* Stage 7: known by name, so that the message says what is missing. */
#include <samebits/report.h>

const struct sb_report sb_report_html = {
    .name = "html",
    .summary = "one page with everything, self-contained",
    .planned = "not in this build",
};
