/* Stage 7: text tables whose columns fit what stands in them. See report/table.h. */
#include "report/table.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* Blanks between two columns. */
enum { GAP = 3 };

const char *sb_tone_start(enum sb_tone tone, bool colour) {
    static const char *const starts[] = {
        [SB_TONE_PLAIN] = "",        [SB_TONE_GOOD] = "\033[32m", [SB_TONE_BAD] = "\033[1;31m",
        [SB_TONE_WARN] = "\033[33m", [SB_TONE_DIM] = "\033[2m",   [SB_TONE_BOLD] = "\033[1m",
    };
    return colour ? starts[tone] : "";
}

const char *sb_tone_end(bool colour) {
    return colour ? "\033[0m" : "";
}

static bool make_room(struct sb_table *table) {
    if (table->n_cells < table->capacity)
        return true;
    size_t capacity = table->capacity ? 2 * table->capacity : 64;
    struct sb_table_cell *cells = reallocarray(table->cells, capacity, sizeof *cells);
    if (!cells)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void sb_table_add(struct sb_table *table, char *text, size_t most, enum sb_tone tone) {
    SB_AUTO_FREE char *raw = text;
    SB_AUTO_FREE char *shown = raw ? sb_text_shown(raw, table->unicode) : NULL;
    char *fitting = NULL;
    if (shown)
        fitting = most ? sb_text_shortened(shown, most, table->unicode) : strdup(shown);
    if (!fitting || !make_room(table)) {
        free(fitting);
        table->failed = true;
        return;
    }
    table->cells[table->n_cells++] = (struct sb_table_cell){.text = fitting, .tone = tone};
}

/* Widths of all columns, 0 for those that are left out; malloc'd, or NULL. */
static size_t *column_widths(const struct sb_table *table) {
    size_t *widths = calloc(table->n_columns + 1, sizeof *widths);
    size_t n_rows = table->n_cells / table->n_columns;
    for (size_t column = 0; widths && column < table->n_columns; column++) {
        bool empty = n_rows > 1;
        for (size_t row = 0; row < n_rows; row++) {
            size_t width = sb_text_columns(table->cells[row * table->n_columns + column].text);
            widths[column] = width > widths[column] ? width : widths[column];
            empty &= row == 0 || !width;
        }
        if (empty)
            widths[column] = 0;
    }
    return widths;
}

/* Columns on a terminal that columns [from, to) add to a line. */
static size_t taken(const size_t *widths, size_t from, size_t to) {
    size_t sum = 0;
    for (size_t i = from; i < to; i++)
        sum += widths[i] ? widths[i] + GAP : 0;
    return sum;
}

size_t sb_table_columns(const struct sb_table *table) {
    SB_AUTO_FREE size_t *widths = table->failed ? NULL : column_widths(table);
    size_t sum = widths ? taken(widths, 0, table->n_columns) : 0;
    return sum ? strlen(table->indent) + sum - GAP : 0;
}

static void print_row(const struct sb_table *table, size_t row, const size_t *widths, size_t from,
                      size_t to, FILE *out) {
    size_t padding = strlen(table->indent); /* held back, so that no line ends in blanks */
    for (size_t column = 0; column < to; column++) {
        if (!widths[column] || (column >= table->n_keys && column < from))
            continue;
        const struct sb_table_cell *cell = &table->cells[row * table->n_columns + column];
        size_t width = sb_text_columns(cell->text);
        if (width) {
            fprintf(out, "%*s%s%s%s", (int)padding, "", sb_tone_start(cell->tone, table->colour),
                    cell->text, cell->tone ? sb_tone_end(table->colour) : "");
            padding = 0;
        }
        padding += widths[column] - width + GAP;
    }
    fputc('\n', out);
}

void sb_table_print(const struct sb_table *table, FILE *out) {
    SB_AUTO_FREE size_t *widths = table->failed ? NULL : column_widths(table);
    if (!widths)
        return;
    size_t keys = strlen(table->indent) + taken(widths, 0, table->n_keys);
    size_t n_rows = table->n_cells / table->n_columns;
    for (size_t from = table->n_keys, to; from < table->n_columns; from = to) {
        to = from + 1;
        while (to < table->n_columns &&
               (!table->width || keys + taken(widths, from, to + 1) <= table->width + GAP))
            to++;
        if (!taken(widths, from, to))
            continue;
        if (from > table->n_keys)
            fputc('\n', out);
        for (size_t row = 0; row < n_rows; row++)
            print_row(table, row, widths, from, to, out);
    }
}

void sb_table_clear(struct sb_table *table) {
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    table->cells = NULL;
    table->n_cells = table->capacity = 0;
}
