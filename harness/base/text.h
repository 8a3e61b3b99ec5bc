/* base: growing text and lists of strings. */
#ifndef SB_BASE_TEXT_H
#define SB_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* A growing, always NUL-terminated text. Zero-initialise; free with sb_text_clear.
 * A failed allocation sets `failed` and makes later appends do nothing, so that a caller may append
 * many times and check once. */
struct sb_text {
    char *data; /* NULL until something was appended */
    size_t length;
    size_t capacity;
    bool failed;
};

void sb_text_add(struct sb_text *text, const char *bytes, size_t n);
void sb_text_puts(struct sb_text *text, const char *string);
void sb_text_putc(struct sb_text *text, char c);
void sb_text_printf(struct sb_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Text of at most `most` bytes, with "…" where some is left out; no character is cut in half.
 * malloc'd, or NULL. */
char *sb_text_brief(const char *text, size_t most);

/* A word as a shell takes it back: between single quotes where it has to be. */
void sb_text_quote(struct sb_text *text, const char *word);
void sb_text_clear(struct sb_text *text);
/* The text as a malloc'd string owned by the caller ("" where nothing was appended), or NULL when
 * an allocation failed. Leaves `text` empty. */
char *sb_text_take(struct sb_text *text);

#define SB_AUTO_TEXT __attribute__((cleanup(sb_text_clear)))

/* The next line of a text, malloc'd, without its end; *at, which begins at the text (or NULL), goes
 * on behind it. NULL: there is none, or no memory. */
char *sb_text_next_line(const char **at);

/* A list of owned strings; `items` has a NULL after the last, so that it serves as argv or environ.
 * Zero-initialise; free with sb_strings_clear. */
struct sb_strings {
    char **items; /* NULL until the first was added */
    size_t n;
};

/* Each returns 0 or -ENOMEM. _add copies the string; _take takes ownership, on failure too. */
int sb_strings_add(struct sb_strings *list, const char *string);
int sb_strings_take(struct sb_strings *list, char *string);
int sb_strings_copy(struct sb_strings *to, const struct sb_strings *from);
bool sb_strings_contain(const struct sb_strings *list, const char *string);
void sb_strings_sort(struct sb_strings *list); /* by bytes */
void sb_strings_clear(struct sb_strings *list);

#define SB_AUTO_STRINGS __attribute__((cleanup(sb_strings_clear)))

/* Environment edits on a list of "NAME=value" strings. */
const char *sb_environment_get(const struct sb_strings *environment, const char *name);
int sb_environment_set(struct sb_strings *environment, const char *name, const char *value);
void sb_environment_unset(struct sb_strings *environment, const char *name);

/* May this variable change what a program computes? Only such ones are written to a result: the
 * rest of an environment may hold secrets (base/environment.c). */
bool sb_environment_matters(const char *name);

/* A malloc'd string by printf, or NULL. */
char *sb_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Two hex digits a byte: text[2 * n + 1]. */
void sb_hex(const void *bytes, size_t n, char *text);

/* Length of the valid UTF-8 sequence at `text` (Unicode 15, table 3-7), 0 where there is none; 1 at
 * the NUL. */
size_t sb_utf8_length(const char *text);

/* Matches a path or tensor name against a glob: `*` and `?` stay within one `/`-separated part,
 * `**` crosses parts ("optimizer/" followed by two stars matches everything below), `[a-c]` is a
 * class, `\` quotes. */
bool sb_glob_match(const char *pattern, const char *string);

/* The candidate nearest to `word` by edit distance, for "did you mean"; NULL when none is close. */
const char *sb_nearest(const char *word, const char *const *candidates, size_t n);

#endif
