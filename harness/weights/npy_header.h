/* Stage 4, weights: the header of an npy file (numpy.lib.format, versions 1 to 3). */
#ifndef SB_WEIGHTS_NPY_HEADER_H
#define SB_WEIGHTS_NPY_HEADER_H

#include <samebits/weights.h>

#include <stdbool.h>
#include <stdint.h>

struct sb_npy_header {
    struct sb_tensor_info info; /* dtype, rank, dims, n_elements; no name */
    bool big_endian, fortran_order;
    const char *ignored; /* why it is no tensor (strings, records), or NULL */
    uint64_t data;       /* where the elements begin */
};

/* Reads the header at the beginning of fd. -EBADMSG saying what is wrong; Python objects, which are
 * pickles, are refused so. */
int sb_npy_header_read(int fd, struct sb_npy_header *header, struct sb_error *err);

#endif
