/* Stage 4, weights: every object of an HDF5 file, once, under its first name in byte order. */
#ifndef SB_WEIGHTS_HDF5_WALK_H
#define SB_WEIGHTS_HDF5_WALK_H

#include "weights/hdf5_library.h"

struct sb_hdf5_visitor {
    void *context;
    bool recount; /* names count anew within each group: weights/counters.h */
    /* An open dataset, which stays the walk's. Names are escaped; datasets come in byte order of
     * their names. A negative return ends the walk. */
    int (*dataset)(void *context, const char *name, hid_t dataset, struct sb_error *err);
    /* A link or object that is not visited. */
    int (*ignored)(void *context, const char *name, const char *why);
};

int sb_hdf5_walk(const struct sb_hdf5_library *h5, hid_t file,
                 const struct sb_hdf5_visitor *visitor, struct sb_error *err);

#endif
