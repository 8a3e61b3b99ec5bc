/* Stage 4, weights: the header of an npy file (numpy.lib.format, versions 1 to 3). */
#ifndef SB_WEIGHTS_NPY_HEADER_H
#define SB_WEIGHTS_NPY_HEADER_H

#include "weights/stream.h"

#include <samebits/weights.h>

#include <stdbool.h>
#include <stdint.h>

struct sb_npy_header {
    struct sb_tensor_info info; /* dtype, rank, dims, n_elements; no name */
    bool big_endian, fortran_order;
    const char *ignored; /* why it is no tensor (strings, records), or NULL */
    uint64_t data;       /* where the elements begin */
};

/* Exactly the next n bytes; -EBADMSG where there are fewer. */
typedef int sb_npy_read(void *context, void *data, size_t n, struct sb_error *err);

/* Reads the header, and nothing behind it. -EBADMSG saying what is wrong; Python objects, which are
 * pickles, are refused so. */
int sb_npy_header_read(sb_npy_read *read, void *context, struct sb_npy_header *header,
                       struct sb_error *err);

/* Hands the elements of an array in Fortran order out in C order. */
int sb_npy_gather(struct sb_stream *stream, const struct sb_npy_header *header, const char *stored,
                  struct sb_error *err);

#endif
