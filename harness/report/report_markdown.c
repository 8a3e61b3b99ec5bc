/* Stage 7: known by name, so that the message says what is missing. */
#include <samebits/report.h>

const struct sb_report sb_report_markdown = {
    .name = "markdown",
    .summary = "a table for job summaries and comments",
    .planned = "not in this build",
};
