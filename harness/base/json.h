/* base: JSON from bytes that may be anything. */
#ifndef SB_BASE_JSON_H
#define SB_BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A JSON string of `bytes`; what is no valid UTF-8 is written as \xHH, since JSON has no place for
 * it. JSON null for NULL. New reference, or NULL without memory. */
json_t *sb_json_string(const char *bytes);

/* A JSON array of strings up to a NULL; an empty array for NULL. New reference, or NULL. */
json_t *sb_json_strings(const char *const *strings);

/* A JSON number, or null where JSON has none (NaN); infinities become the string "inf" or "-inf".
 */
json_t *sb_json_real(double value);

/* A value as JSON on one line, "nothing" for NULL; what is longer than `most` bytes ends in "…".
 * malloc'd, or NULL. */
char *sb_json_brief(const json_t *value, size_t most);

/* The n numbers as an array. New reference, or NULL when memory is out. */
json_t *sb_json_counts(const uint64_t *counts, size_t n);
/* The same up to the last that is not 0, as for histograms. */
json_t *sb_json_histogram(const uint64_t *counts, size_t n);

/* The text of a document as samebits writes it: indented, keys in the order they were set, doubles
 * exact, a newline at the end. malloc'd, or NULL. */
char *sb_json_text(const json_t *json);

/* Prints an object with one more member, a list of n items, each made when it is printed and then
 * forgotten: as one document in memory, millions of them would take gigabytes. No newline at the
 * end. */
void sb_json_print_list(FILE *out, const json_t *object, const char *name, size_t n,
                        json_t *(*item)(const void *context, size_t i), const void *context);

#endif
