/* Stage 7: known by name, so that the message says what is missing. */
#include <samebits/report.h>

const struct sb_report sb_report_tap = {
    .name = "tap",
    .summary = "Test Anything Protocol 14",
    .planned = "not in this build",
};
