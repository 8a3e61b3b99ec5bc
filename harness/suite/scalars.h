/* Stage 1, suite: numbers as suites and command lines write them. */
#ifndef SB_SUITE_SCALARS_H
#define SB_SUITE_SCALARS_H

#include <stdbool.h>
#include <stddef.h>

enum { SB_REPEATS_DEFAULT = 3, SB_REPEATS_LIMIT = 1000000 };

/* A finite decimal number; false for anything else. */
bool sb_parse_number(const char *text, double *number);
/* Decimal digits alone. */
bool sb_parse_size(const char *text, size_t *size);

#endif
