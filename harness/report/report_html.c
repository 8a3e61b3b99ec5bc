/* Stage 7: one page with everything, which needs nothing else: no network, no other file. */
#include "report/html.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* Inside a script element nothing ends the text but "</script", and "<!--" changes how it is read;
 * in JSON a "<" only stands in strings, where it may be written otherwise. */
static void put_json(const char *text, FILE *out) {
    for (const char *less; (less = strchr(text, '<')); text = less + 1)
        fprintf(out, "%.*s\\u003c", (int)(less - text), text);
    fputs(text, out);
}

static const struct {
    const char *mark; /* in page.html, where the part goes */
    const char *part; /* NULL: the data */
} parts[] = {{"{{digest}}", sb_html_script_digest},
             {"{{style}}", sb_html_style},
             {"{{data}}", NULL},
             {"{{script}}", sb_html_script}};

static int write_html(const json_t *result, const struct sb_report_options *options, FILE *out,
                      struct sb_error *err) {
    SB_AUTO_JSON json_t *data = sb_html_data(result, options);
    SB_AUTO_FREE char *text = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (!text)
        return sb_error_errno(err, -ENOMEM, "html report");
    const char *page = sb_html_page;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *mark = strstr(page, parts[i].mark);
        if (!mark)
            return sb_error_set(err, -EINVAL, "html report: page.html has no %s", parts[i].mark);
        fwrite(page, 1, (size_t)(mark - page), out);
        if (parts[i].part)
            fputs(parts[i].part, out);
        else
            put_json(text, out);
        page = mark + strlen(parts[i].mark);
    }
    fputs(page, out);
    return 0;
}

const struct sb_report sb_report_html = {
    .name = "html",
    .summary = "one page with everything, self-contained",
    .file_name = "report.html",
    .write = write_html,
};
