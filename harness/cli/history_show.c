/* cli: a history on the terminal: a strip for each job, then its changes. See cli/history.h. */
#include "cli/history.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "report/manifest_diff.h"
#include "report/reading.h"
#include "report/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CHANGES = 20, MOST_NAME = 32, MOST_STRIP = 60 };

/* ---- Strips -----------------------------------------------------------------------------------
 */

static void add_heading(struct sb_table *table) {
    static const char *const headings[] = {"job", "machine", "history", "last", "changes"};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        sb_table_add(table, strdup(headings[i]), 0, SB_TONE_DIM);
}

static void add_strip(struct sb_table *table, const struct sb_history *history,
                      const struct sb_history_strip *strip) {
    const char *glyphs = strip->glyphs.data ? strip->glyphs.data : "";
    size_t n = strlen(glyphs), skip = n > MOST_STRIP ? n - MOST_STRIP + 1 : 0;
    const struct sb_history_job *last = strip->last;
    bool judged = last && last->verdict >= 0;
    enum sb_tone tone = !judged ? SB_TONE_PLAIN : last->failed ? SB_TONE_BAD : SB_TONE_GOOD;
    sb_table_add(table, strdup(history->jobs.names.items[strip->of->job]), MOST_NAME,
                 SB_TONE_PLAIN);
    sb_table_add(table, sb_history_machine(history, strip->of->machines), MOST_NAME, SB_TONE_PLAIN);
    sb_table_add(table, sb_format("%s%s", skip ? "…" : "", glyphs + skip), 0, SB_TONE_PLAIN);
    sb_table_add(table, strdup(judged ? sb_verdict_names[last->verdict] : "unknown"), 0, tone);
    sb_table_add(table, sb_format("%zu", strip->of->n_changes), 0,
                 strip->of->n_changes ? SB_TONE_WARN : SB_TONE_PLAIN);
}

static void print_strips(const struct sb_history *history, const struct sb_history_view *view) {
    struct sb_history_strip *strips = sb_history_strips(history);
    struct sb_table table = {.n_columns = 5,
                             .n_keys = 2,
                             .indent = "  ",
                             .width = view->width,
                             .colour = view->colour,
                             .unicode = view->unicode};
    add_heading(&table);
    for (size_t i = 0; strips && i < history->n_series; i++)
        add_strip(&table, history, &strips[i]);
    putchar('\n');
    sb_table_print(&table, stdout);
    sb_table_clear(&table);
    sb_history_strips_free(strips, history->n_series);
    puts(
        "\n  A B C: these bits, those, others; small letters where they depend on the "
        "configuration\n"
        "  ~ nondeterministic   ? inconclusive   ! no answer   . not run");
}

/* ---- Changes ----------------------------------------------------------------------------------
 */

static void print_shown(const char *prefix, const char *text, bool unicode) {
    SB_AUTO_FREE char *shown = text ? sb_text_shown(text, unicode) : NULL;
    printf("%s%s\n", prefix, shown ? shown : "");
}

char *sb_history_change_text(const struct sb_history *history, const json_t *change) {
    const struct sb_history_result *at = &history->results[sb_count_of(change, "result")];
    const char *kind = sb_text_of(change, "kind");
    SB_AUTO_FREE char *machine = sb_history_machine(history, at->machines);
    SB_AUTO_TEXT struct sb_text text = {0};
    sb_text_printf(&text, "%s  %s%s%s: ", at->started, sb_text_of(change, "job"),
                   machine && *machine ? " on " : "", machine ? machine : "");
    if (strcmp(kind, "groups") == 0)
        sb_text_puts(&text, "other bits beside the reference's, which are the same");
    else
        sb_text_printf(&text, "%s %.21s → %.21s", strcmp(kind, "bits") == 0 ? "bits" : "verdict",
                       sb_text_of(change, "was"), sb_text_of(change, "is"));
    return sb_text_take(&text);
}

char *sb_history_differences_text(const json_t *change) {
    enum { LISTED = 6 };
    const json_t *differences = json_object_get(change, "differences");
    size_t n = json_array_size(differences);
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t i = 0; i < n && i < LISTED; i++) {
        SB_AUTO_FREE char *one = sb_manifest_diff_text(json_array_get(differences, i));
        sb_text_printf(&text, "%s%s", i ? "; " : "", one ? one : "?");
    }
    if (n > LISTED)
        sb_text_printf(&text, "; and %zu more", n - LISTED);
    if (!n)
        sb_text_puts(&text, "nothing that the manifests know of differs");
    return sb_text_take(&text);
}

static void print_change(const struct sb_history *history, const json_t *change,
                         const struct sb_history_view *view) {
    const struct sb_history_result *since = &history->results[sb_count_of(change, "since")];
    const struct sb_history_result *at = &history->results[sb_count_of(change, "result")];
    SB_AUTO_FREE char *text = sb_history_change_text(history, change);
    SB_AUTO_FREE char *where = sb_format("%s → %s", since->path, at->path);
    SB_AUTO_FREE char *differences = sb_history_differences_text(change);
    const char *reason = sb_text_of(change, "reason");
    print_shown("  ", text, view->unicode);
    if (*reason)
        print_shown("      because ", reason, view->unicode);
    print_shown("      ", where, view->unicode);
    print_shown("      ", differences, view->unicode);
}

void sb_history_print(const struct sb_history *history, const json_t *changes,
                      const struct sb_history_view *view) {
    size_t n = json_array_size(changes), i;
    json_t *change;
    printf("%zu result%s, %s to %s\n", history->n_results, history->n_results == 1 ? "" : "s",
           history->results[0].started, history->results[history->n_results - 1].started);
    print_strips(history, view);
    puts(n ? "" : "\n  no verdict and no bits changed");
    size_t skip = n > MOST_CHANGES && !view->verbose ? n - MOST_CHANGES : 0;
    if (skip)
        printf("  %zu earlier changes are left out (-v shows all)\n", skip);
    json_array_foreach(changes, i, change) {
        if (i >= skip)
            print_change(history, change, view);
    }
}
