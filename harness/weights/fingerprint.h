/* Stage 4, weights: the work of a parser that makes a fingerprint. */
#ifndef SB_WEIGHTS_FINGERPRINT_H
#define SB_WEIGHTS_FINGERPRINT_H

#include "weights/isolated.h"

/* An sb_isolated_work; its context is a const struct sb_weights_options, or NULL. */
int sb_fingerprint_work(void *context, const struct sb_weights_file *files, size_t n, int output,
                        struct sb_error *err);

/* What that work has written, as a fingerprint. */
int sb_fingerprint_received(const struct sb_text *received, struct sb_fingerprint *fingerprint,
                            struct sb_error *err);

#endif
