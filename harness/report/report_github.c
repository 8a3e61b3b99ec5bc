/* Stage 7: known by name, so that the message says what is missing. */
#include <samebits/report.h>

const struct sb_report sb_report_github = {
    .name = "github",
    .summary = "GitHub annotations and outputs",
    .planned = "not in this build",
};
