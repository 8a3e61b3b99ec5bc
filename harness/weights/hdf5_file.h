/* Stage 4, weights: an HDF5 file that is already open, for reading only. */
#ifndef SB_WEIGHTS_HDF5_FILE_H
#define SB_WEIGHTS_HDF5_FILE_H

#include "weights/hdf5_library.h"
#include "weights/stream.h"

/* Makes the file driver known to libhdf5; to be called before the sandbox closes. 0 or -errno. */
int sb_hdf5_file_prepare(const struct sb_hdf5_library *h5, struct sb_error *err);

/* Opens the HDF5 file that `bytes` are, which must outlive it: libhdf5 itself opens nothing, locks
 * nothing and writes nothing. -EBADMSG where it is not one. */
int sb_hdf5_file_open(const struct sb_hdf5_library *h5, const struct sb_bytes *bytes, hid_t *file,
                      struct sb_error *err);

#endif
