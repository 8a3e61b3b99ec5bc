/* cli: a history as a page: a strip for each job, like a benchmark dashboard. See cli/history.h. */
#include "cli/history.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/display.h"
#include "report/reading.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n<title>samebits history</title>\n<style>\n"
    ":root{color-scheme:light dark;--text:#1b1f24;--back:#fff;--line:#d0d7de;--dim:#57606a}\n"
    "@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--back:#0d1117;--line:#30363d;"
    "--dim:#8b949e}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);"
    "margin:2em auto;max-width:80em;padding:0 1em}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "th,td{text-align:left;padding:.3em .6em;border-bottom:1px solid var(--line);"
    "vertical-align:middle}\nthead th,.dim{color:var(--dim);font-weight:normal}\n"
    ".strip{width:55%}.strip div{display:flex;overflow-x:auto}\n"
    ".strip span{flex:1 0 1.1em;font:12px/1.8 monospace;text-align:center;color:#000;"
    "background:#b8c0c8;border-right:1px solid var(--back)}\n"
    ".strip .k0{background:#8fd3a6}.strip .k1{background:#9cc4f0}.strip .k2{background:#e3b7ee}\n"
    ".strip .k3{background:#f0d38a}.strip .k4{background:#8fd8d8}.strip .k5{background:#c9c2f5}\n"
    ".strip .nd{background:#f2806f}.strip .q{background:#f5d76e}.strip .e{background:#d9534f;"
    "color:#fff}\nli{margin:.6em 0}code{overflow-wrap:anywhere}.bad{color:#d1242f}\n"
    "</style>\n</head>\n<body>\n";

/* Text for a page, with nothing in it that a browser or a terminal would take for its own. */
static void put(struct sb_text *page, const char *text) {
    SB_AUTO_FREE char *shown = sb_text_printable(text);
    for (const char *at = shown ? shown : ""; *at; at++) {
        static const struct {
            char c;
            const char *entity;
        } entities[] = {{'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}};
        const char *entity = NULL;
        for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
            entity = entities[i].c == *at ? entities[i].entity : entity;
        if (entity)
            sb_text_puts(page, entity);
        else
            sb_text_putc(page, *at);
    }
    page->failed |= !shown;
}

/* Places that follow each other and are alike are one, as wide as they are many. */
static void put_places(struct sb_text *page, const struct sb_history *history,
                       const struct sb_history_strip *strip) {
    const char *glyphs = strip->glyphs.data;
    size_t n = strip->glyphs.length;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && glyphs[to] == glyphs[from];)
            to++;
        char c = glyphs[from], kind[8] = "";
        if (isalpha((unsigned char)c))
            snprintf(kind, sizeof kind, "k%d", (tolower((unsigned char)c) - 'a') % 6);
        else
            strcpy(kind, c == '~' ? "nd" : c == '?' ? "q" : c == '!' ? "e" : "");
        const struct sb_history_result *first = &history->results[strip->results[from]];
        const struct sb_history_result *last = &history->results[strip->results[to - 1]];
        sb_text_printf(page, "<span class=\"%s\" style=\"flex-grow:%zu\" title=\"", kind,
                       to - from);
        SB_AUTO_FREE char *title =
            sb_format("%zu result%s, %s to %s: %s", to - from, to - from == 1 ? "" : "s",
                      first->started, last->started, last->path);
        put(page, title ? title : "");
        sb_text_printf(page, "\">%c</span>", c);
    }
}

static void put_strip(struct sb_text *page, const struct sb_history *history,
                      const struct sb_history_strip *strip) {
    SB_AUTO_FREE char *machine = sb_history_machine(history, strip->of->machines);
    const struct sb_history_job *last = strip->last;
    bool judged = last && last->verdict >= 0;
    sb_text_puts(page, "<tr><th scope=\"row\">");
    put(page, history->jobs.names.items[strip->of->job]);
    sb_text_puts(page, "</th><td>");
    put(page, machine ? machine : "");
    sb_text_puts(page, "</td><td class=\"strip\"><div>");
    put_places(page, history, strip);
    sb_text_printf(page, "</div></td><td class=\"%s\">%s</td><td>%zu</td></tr>\n",
                   judged && last->failed ? "bad" : "",
                   judged ? sb_verdict_names[last->verdict] : "unknown", strip->of->n_changes);
}

static void put_change(struct sb_text *page, const struct sb_history *history,
                       const json_t *change) {
    SB_AUTO_FREE char *text = sb_history_change_text(history, change);
    SB_AUTO_FREE char *differences = sb_history_differences_text(change);
    SB_AUTO_FREE char *where =
        sb_format("%s → %s", history->results[sb_count_of(change, "since")].path,
                  history->results[sb_count_of(change, "result")].path);
    sb_text_puts(page, "<li><strong>");
    put(page, text ? text : "");
    sb_text_puts(page, "</strong><br>");
    const char *reason = sb_text_of(change, "reason");
    if (*reason) {
        sb_text_puts(page, "because ");
        put(page, reason);
        sb_text_puts(page, "<br>");
    }
    put(page, differences ? differences : "");
    sb_text_puts(page, "<br><code class=\"dim\">");
    put(page, where ? where : "");
    sb_text_puts(page, "</code></li>\n");
}

char *sb_history_html(const struct sb_history *history, const json_t *changes) {
    struct sb_history_strip *strips = sb_history_strips(history);
    SB_AUTO_TEXT struct sb_text page = {.failed = !strips};
    sb_text_puts(&page, head);
    sb_text_printf(&page, "<h1>%zu results</h1>\n<p>", history->n_results);
    put(&page, history->results[0].started);
    sb_text_puts(&page, " to ");
    put(&page, history->results[history->n_results - 1].started);
    sb_text_puts(&page,
                 "</p>\n<table>\n<thead><tr><th>job</th><th>machine</th><th>history</th>"
                 "<th>last</th><th>changes</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; strips && i < history->n_series; i++)
        put_strip(&page, history, &strips[i]);
    sb_text_puts(&page,
                 "</tbody>\n</table>\n<p class=\"dim\">A B C: these bits, those, others; small "
                 "letters where they depend on the configuration. ~ nondeterministic, ? "
                 "inconclusive, ! no answer, . not run. The width of a field is the number of "
                 "results.</p>\n<h2>Changes</h2>\n");
    sb_text_puts(&page, json_array_size(changes)
                            ? "<ol reversed>\n"
                            : "<p>No verdict and no bits changed.</p>\n<ol>\n");
    for (size_t i = json_array_size(changes); i > 0; i--)
        put_change(&page, history, json_array_get(changes, i - 1));
    sb_text_puts(&page, "</ol>\n</body>\n</html>\n");
    sb_history_strips_free(strips, history->n_series);
    return page.failed ? NULL : sb_text_take(&page);
}
