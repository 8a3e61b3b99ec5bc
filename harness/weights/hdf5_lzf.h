/* Stage 4, weights: LZF, the filter that h5py brings along and libhdf5 does not have. */
#ifndef SB_WEIGHTS_HDF5_LZF_H
#define SB_WEIGHTS_HDF5_LZF_H

#include "weights/hdf5_library.h"

/* Makes the filter known to libhdf5, for reading. 0 or -errno. */
int sb_hdf5_lzf_register(const struct sb_hdf5_library *h5, struct sb_error *err);

/* Decompresses n bytes of LZF into a buffer of n_room bytes. The size of what comes out; 0 where
 * the input is damaged, SIZE_MAX where it needs more room. */
size_t sb_lzf_decompress(const unsigned char *input, size_t n, unsigned char *output,
                         size_t n_room);

#endif
