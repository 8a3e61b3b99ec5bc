/* Stage 7: looking up a report format. */
#include <samebits/report.h>

#include <string.h>

const struct sb_report *sb_report_find(const char *name) {
    for (size_t i = 0; sb_reports[i]; i++) {
        if (strcmp(sb_reports[i]->name, name) == 0)
            return sb_reports[i];
    }
    return NULL;
}
