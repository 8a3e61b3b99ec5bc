/* Stage 7, private: text tables whose columns fit what stands in them. */
#ifndef SB_REPORT_TABLE_H
#define SB_REPORT_TABLE_H

#include "report/display.h"

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

/* Set n_columns and what follows it, zero the rest, add the cells row by row, headings first. */
struct sb_table {
    size_t n_columns;
    size_t n_keys; /* columns at the left that are repeated where the table is folded */
    const char *indent;
    size_t
        width; /* of the terminal: a wider table is folded into blocks of columns. 0: unlimited */
    bool colour, unicode;
    struct sb_table_cell *cells;
    size_t n_cells, capacity;
    bool failed; /* out of memory */
};

/* Adds the next cell; takes `text` (NULL counts as out of memory), shown as sb_text_shown has it
 * and shortened to `most` columns (0: as it is). */
void sb_table_add(struct sb_table *table, char *text, size_t most, enum sb_tone tone);
/* Columns on a terminal that the table takes when it is not folded. */
size_t sb_table_columns(const struct sb_table *table);
/* Columns are as wide as their widest cell; those that are empty but for the heading are left out.
 * No line ends in blanks. */
void sb_table_print(const struct sb_table *table, FILE *out);
void sb_table_clear(struct sb_table *table);

#endif
