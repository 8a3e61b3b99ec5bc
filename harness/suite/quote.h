/* Stage 1, suite: any bytes as a YAML scalar. */
#ifndef SB_SUITE_QUOTE_H
#define SB_SUITE_QUOTE_H

#include "base/text.h"

/* Appends `bytes` so that reading gives them back: plain where that reads as text to every YAML
 * program, else between double quotes, or as !!binary where they are no UTF-8. */
void sb_quote_yaml(struct sb_text *text, const char *bytes);

#endif
