/* Stage 4, weights: chunks of an HDF5 dataset that several threads decompress.
 *
 * libhdf5 decompresses one chunk after the other under its lock. It is asked where chunks lie, and
 * the rest is done here, for the filters that nearly all weights have: shuffle and deflate. */
#ifndef SB_WEIGHTS_HDF5_CHUNKS_H
#define SB_WEIGHTS_HDF5_CHUNKS_H

#include "weights/hdf5_library.h"
#include "weights/stream.h"

struct sb_hdf5_chunks;

/* A chunked dataset, by so many threads at most. The identifiers and what is pointed to are
 * borrowed. *chunks stays NULL where libhdf5 has to read it: other filters, a user block, chunks
 * that are very large or very many. 0 or -ENOMEM. */
int sb_hdf5_chunks_open(const struct sb_hdf5_library *h5, const struct sb_bytes *bytes,
                        hid_t dataset, hid_t properties, const struct sb_tensor_info *info,
                        unsigned threads, struct sb_hdf5_chunks **chunks);
/* Reads the block of count[d] elements from start[d] on in C order, as stored. 1: done; 0: libhdf5
 * has to (a chunk that was never written, is not filtered as the others, or is damaged: then it
 * knows better what to say); -ENOMEM. */
int sb_hdf5_chunks_read(struct sb_hdf5_chunks *chunks, const hsize_t *start, const hsize_t *count,
                        char *elements, struct sb_error *err);
void sb_hdf5_chunks_close(struct sb_hdf5_chunks *chunks); /* may be NULL */

#endif
