/* Stage 7: text tables whose columns fit what stands in them. */
#include "report/table.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

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

size_t sb_text_columns(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

char *sb_text_printable(const char *text) {
    SB_AUTO_TEXT struct sb_text printable = {0};
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            sb_text_printf(&printable, "\\x%02x", c);
        else
            sb_text_putc(&printable, *text);
    }
    return sb_text_take(&printable);
}

void sb_table_add(struct sb_table *table, char *text, enum sb_tone tone) {
    SB_AUTO_FREE char *raw = text;
    char *printable = raw ? sb_text_printable(raw) : NULL;
    struct sb_table_cell *cells = realloc(table->cells, (table->n_cells + 1) * sizeof *cells);
    if (cells)
        table->cells = cells;
    if (!cells || !printable) {
        free(printable);
        table->failed = true;
        return;
    }
    cells[table->n_cells++] = (struct sb_table_cell){.text = printable, .tone = tone};
}

void sb_table_print(const struct sb_table *table, const char *indent, bool colour, FILE *out) {
    SB_AUTO_FREE size_t *widths = calloc(table->n_columns + 1, sizeof *widths);
    if (!widths || table->failed)
        return;
    size_t n_rows = table->n_cells / table->n_columns;
    for (size_t column = 0; column < table->n_columns; column++) {
        bool empty = n_rows > 1;
        for (size_t row = 0; row < n_rows; row++) {
            size_t width = sb_text_columns(table->cells[row * table->n_columns + column].text);
            widths[column] = width > widths[column] ? width : widths[column];
            empty &= row == 0 || !width;
        }
        if (empty)
            widths[column] = 0;
    }
    for (size_t row = 0; row < n_rows; row++) {
        fputs(indent, out);
        size_t padding = 0; /* held back, so that no line ends in blanks */
        for (size_t column = 0; column < table->n_columns; column++) {
            const struct sb_table_cell *cell = &table->cells[row * table->n_columns + column];
            if (!widths[column])
                continue;
            size_t width = sb_text_columns(cell->text);
            if (width) {
                fprintf(out, "%*s", (int)padding, "");
                fprintf(out, "%s%s%s", sb_tone_start(cell->tone, colour), cell->text,
                        cell->tone ? sb_tone_end(colour) : "");
                padding = 0;
            }
            padding += widths[column] - width + 3;
        }
        fputc('\n', out);
    }
}

void sb_table_clear(struct sb_table *table) {
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct sb_table){.n_columns = table->n_columns};
}
