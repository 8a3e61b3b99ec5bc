/* cli: what stands in the strips of a history. See cli/history.h. */
#include "cli/history.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- Machines ---------------------------------------------------------------------------------
 */

/* Which marks are not the same in all results? */
static unsigned varying_marks(const struct sb_history *history) {
    SB_AUTO_JSON json_t *first = NULL;
    unsigned varying = 0;
    for (size_t i = 0; i < history->machines.names.n; i++) {
        SB_AUTO_JSON json_t *machines = json_loads(history->machines.names.items[i], 0, NULL);
        for (size_t k = 0; k < json_array_size(machines); k++) {
            json_t *machine = json_array_get(machines, k);
            if (!first)
                first = json_incref(machine);
            for (int mark = 0; mark < SB_N_MARKS; mark++) {
                if (!json_equal(json_object_get(first, sb_mark_names[mark]),
                                json_object_get(machine, sb_mark_names[mark])))
                    varying |= 1U << mark;
            }
        }
    }
    return varying & history->marks;
}

char *sb_history_machine(const struct sb_history *history, int machines) {
    unsigned varying = varying_marks(history);
    SB_AUTO_JSON json_t *listed = json_loads(history->machines.names.items[machines], 0, NULL);
    SB_AUTO_TEXT struct sb_text text = {0};
    for (size_t k = 0; varying && k < json_array_size(listed); k++) {
        const char *gap = k ? " + " : "";
        for (int mark = 0; mark < SB_N_MARKS; mark++) {
            if (!(varying >> mark & 1))
                continue;
            sb_text_printf(&text, "%s%s", gap,
                           sb_marks_text(json_array_get(listed, k), (enum sb_mark)mark));
            gap = " / ";
        }
    }
    return sb_text_take(&text);
}

/* ---- Strips -----------------------------------------------------------------------------------
 */

/* A letter for each of the different bits, small where they depend on the configuration. */
static char glyph(const struct sb_history_job *job) {
    if (!job || job->verdict == SB_VERDICT_SKIPPED)
        return '.';
    if (job->verdict == SB_VERDICT_NONDETERMINISTIC)
        return '~';
    if (job->verdict == SB_VERDICT_INCONCLUSIVE)
        return '?';
    if (!job->nth)
        return '!';
    if (job->nth > 26)
        return '#';
    return (char)((job->verdict == SB_VERDICT_BITWISE ? 'A' : 'a') + job->nth - 1);
}

static int by_where(const void *a, const void *b) {
    const struct sb_history_strip *x = a, *y = b;
    if (x->of->suite != y->of->suite)
        return x->of->suite < y->of->suite ? -1 : 1;
    if (x->of->machines != y->of->machines)
        return x->of->machines < y->of->machines ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

static void add_place(struct sb_history_strip *strip, char glyph, size_t result) {
    size_t n = strip->glyphs.length;
    size_t *place = sb_array_add(&strip->results, &n);
    if (!place)
        return;
    *place = result;
    sb_text_putc(&strip->glyphs, glyph);
}

void sb_history_strips_free(struct sb_history_strip *strips, size_t n) {
    for (size_t i = 0; strips && i < n; i++) {
        sb_text_clear(&strips[i].glyphs);
        free(strips[i].results);
    }
    free(strips);
}

/* Each strip has a place for every result of its suite and machine. */
struct sb_history_strip *sb_history_strips(const struct sb_history *history) {
    struct sb_history_strip *strips = calloc(history->n_series + 1, sizeof *strips);
    for (size_t i = 0; strips && i < history->n_series; i++)
        strips[i] = (struct sb_history_strip){.series = i, .of = &history->series[i]};
    if (strips && history->n_series)
        qsort(strips, history->n_series, sizeof *strips, by_where);
    for (size_t i = 0; strips && i < history->n_results; i++) {
        const struct sb_history_result *result = &history->results[i];
        const struct sb_history_series here = {.suite = result->suite,
                                               .machines = result->machines};
        size_t low = 0, high = history->n_series;
        const struct sb_history_strip wanted = {.of = &here};
        while (low < high) { /* the first that is not before any of this suite and machine */
            size_t middle = (low + high) / 2;
            if (by_where(&strips[middle], &wanted) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        for (; low < history->n_series && strips[low].of->suite == here.suite &&
               strips[low].of->machines == here.machines;
             low++) {
            const struct sb_history_job *job = sb_history_find(result, strips[low].series);
            add_place(&strips[low], glyph(job), i);
            strips[low].last = job ? job : strips[low].last;
        }
    }
    return strips;
}
