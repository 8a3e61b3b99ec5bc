/* check: elements, indices and differences as a test's message has them. */
#ifndef SB_CHECK_WORDING_H
#define SB_CHECK_WORDING_H

#include <samebits/suite.h>

#include "base/text.h"
#include "check/outputs.h"

/* The fewest digits that give the same element back: "1.25", "1.2500001", "-0", "1-2i", "nan". */
void sb_check_print_element(struct sb_text *text, enum sb_dtype dtype, const void *element);

/* "1.25 and 1.2500001 are 1 ulp apart", with their bits where they read alike. */
void sb_check_print_pair(struct sb_text *text, enum sb_dtype dtype, const void *a, const void *b);

/* "gradient", a name with nothing in it that moves a cursor. */
void sb_check_print_name(struct sb_text *text, const char *name);

/* Two outputs of one name as a sentence, `pair` saying which runs: 1 where they differ by more than
 * the tolerance (NULL: in any bit), 0 where they do not; then nothing is appended. */
int sb_check_compare(const struct sb_output *a, const struct sb_output *b,
                     const struct sb_tolerance *tolerance, const char *pair, struct sb_text *text);

#endif
