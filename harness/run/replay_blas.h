/* Stage 3, run: a call of BLAS that the trace library kept, made again. Apart from what the worker
 * has else: its operands and those of the dispatch layer are described differently. */
#ifndef SB_RUN_REPLAY_BLAS_H
#define SB_RUN_REPLAY_BLAS_H

#include "base/saved_call.h"

/* What a call gives beside the operands that it writes. */
struct sb_replayed {
    unsigned char result[16]; /* of a function */
    size_t n_result;          /* its bytes; 0: it is none */
    uint8_t out[16];          /* digest of all that came out, as a trace has it */
};

/* Calls the library that computed it; outputs go to the loaded operands. -ENOTSUP: it is not here,
 * or has no C interface for that. */
int sb_replay_blas(struct sb_loaded_call *loaded, struct sb_replayed *replayed,
                   struct sb_error *err);

#endif
