/* Stage 7, private: text of unknown origin on a terminal. */
#ifndef SB_REPORT_DISPLAY_H
#define SB_REPORT_DISPLAY_H

#include <stdbool.h>
#include <stddef.h>

/* `text` with everything that could move a cursor, change a colour or turn the direction of
 * writing as \xHH or \uHHHH, malloc'd, or NULL without memory. Without `unicode` nothing but ASCII
 * is left: typographic signs become what stands for them ("≠" is "!="), the rest \uHHHH. */
char *sb_text_shown(const char *text, bool unicode);

/* sb_text_shown with unicode. */
char *sb_text_printable(const char *text);

/* Columns that printable text takes on a terminal: two for wide East Asian characters and emoji,
 * none for combining ones. */
size_t sb_text_columns(const char *text);

/* Printable text that takes at most `columns` (≥ 5), its middle replaced by `…` ("..." without
 * unicode) where it has to be; malloc'd, or NULL without memory. */
char *sb_text_shortened(const char *text, size_t columns, bool unicode);

/* Length in bytes of the next line of printable text that is `columns` wide, broken at a blank
 * where there is one; the caller skips the blanks that follow. */
size_t sb_text_line(const char *text, size_t columns);

#endif
