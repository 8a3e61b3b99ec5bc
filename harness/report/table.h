/* Stage 7, private: text tables whose columns fit what stands in them. */
#ifndef SB_REPORT_TABLE_H
#define SB_REPORT_TABLE_H

#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>

enum sb_tone { SB_TONE_PLAIN, SB_TONE_GOOD, SB_TONE_BAD, SB_TONE_WARN, SB_TONE_DIM, SB_TONE_BOLD };

/* ANSI sequence that starts a tone, "" without colour. */
const char *sb_tone_start(enum sb_tone tone, bool colour);
const char *sb_tone_end(bool colour);

struct sb_table_cell {
    char *text; /* owned */
    enum sb_tone tone;
};

struct sb_table {
    size_t n_columns;
    struct sb_table_cell *cells; /* row by row */
    size_t n_cells;
    bool failed; /* out of memory */
};

/* Adds the next cell of the current row; takes `text` (NULL counts as out of memory). Control
 * characters are written \xHH. */
void sb_table_add(struct sb_table *table, char *text, enum sb_tone tone);
/* Columns are as wide as their widest cell; those that are empty but for the heading are left out.
 * The last is not padded. */
void sb_table_print(const struct sb_table *table, const char *indent, bool colour, FILE *out);
void sb_table_clear(struct sb_table *table);

/* Columns that UTF-8 text takes on a terminal, one for every code point. */
size_t sb_text_columns(const char *text);

/* `text` with control characters as \xHH, malloc'd. */
char *sb_text_printable(const char *text);

#endif
