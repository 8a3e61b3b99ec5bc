/* cli: what tells the machines that results are of apart. See cli/marks.h. */
#include "cli/marks.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/options.h"
#include "report/reading.h"

#include <errno.h>
#include <string.h>

static const char *const none_texts[] = {"unknown", "unknown", "none"};

const char *sb_marks_text(const json_t *machine, enum sb_mark mark) {
    const char *text = json_string_value(json_object_get(machine, sb_mark_names[mark]));
    return text ? text : none_texts[mark];
}

int sb_marks_parse(const char *command, const char *text, unsigned *marks, struct sb_error *err) {
    *marks = SB_ALL_MARKS;
    if (!text)
        return 0;
    *marks = 0;
    if (strcmp(text, "none") == 0)
        return 0;
    for (const char *at = text;;) {
        size_t n = strcspn(at, ",");
        SB_AUTO_FREE char *name = strndup(at, n);
        int mark = name ? sb_take_choice(sb_mark_names, name, err) : -ENOMEM;
        if (mark < 0)
            return sb_error_prefix(err, mark, "%s: --machine", command);
        *marks |= 1U << mark;
        if (!at[n])
            return 0;
        at += n + 1;
    }
}
