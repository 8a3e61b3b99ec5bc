/* Stage 4, weights: what an HDF5 datatype is as an element type. */
#ifndef SB_WEIGHTS_HDF5_TYPE_H
#define SB_WEIGHTS_HDF5_TYPE_H

#include "weights/hdf5_library.h"

#include <samebits/weights.h>

struct sb_hdf5_type {
    enum sb_dtype dtype;
    bool big_endian;
    const char *ignored; /* why it is no tensor's type; NULL: it is one */
};

/* The type of a dataset's elements as they are stored. Never fails: what is not understood is
 * ignored with a reason. */
struct sb_hdf5_type sb_hdf5_type(const struct sb_hdf5_library *h5, hid_t dataset, hid_t type);

/* The stored type that a tensor of this dtype gets, to be closed with H5Tclose; negative on
 * failure. */
hid_t sb_hdf5_type_new(const struct sb_hdf5_library *h5, enum sb_dtype dtype);

/* For opaque types: the text that their attribute `dtype` has, or NULL. */
const char *sb_hdf5_type_attribute(enum sb_dtype dtype);

#endif
