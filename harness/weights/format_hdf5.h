/* Stage 4, weights: HDF5, also as a part of another file. */
#ifndef SB_WEIGHTS_FORMAT_HDF5_H
#define SB_WEIGHTS_FORMAT_HDF5_H

#include "weights/stream.h"

/* Before the sandbox closes: loads libhdf5. */
int sb_hdf5_prepare(struct sb_error *err);

/* The tensors of an HDF5 file that these bytes are. As struct sb_format's read; recount: as in
 * struct sb_source. */
int sb_hdf5_read(const struct sb_bytes *bytes, bool recount, struct sb_tensor_sink *sink,
                 struct sb_error *err);

#endif
