/* Stage 4, weights: a file driver for libhdf5 over bytes that are open already. See
 * weights/hdf5_file.h. The parser's sandbox allows no open(2); and so a file cannot make libhdf5
 * open another one. */
#include "weights/hdf5_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A name says which bytes are meant: where in this process they are described. */
#define NAME_FORMAT "samebits bytes %p"

/* Chunks that straddle two slabs are decompressed once while they fit. A prime, as the manual asks.
 */
enum { CHUNK_CACHE_SLOTS = 5003, CHUNK_CACHE_BYTES = 16 << 20 };

struct bytes_file {
    H5FD_t base; /* must be first: libhdf5 hands out pointers to it */
    const struct sb_bytes *bytes;
    haddr_t end_of_allocation;
};

static H5FD_t *file_open(const char *name, unsigned flags, hid_t access, haddr_t max_address) {
    (void)access;
    (void)max_address;
    void *bytes;
    if (sscanf(name, NAME_FORMAT, &bytes) != 1 || (flags & H5F_ACC_RDWR))
        return NULL;
    struct bytes_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->bytes = bytes;
    return &file->base;
}

static herr_t file_close(H5FD_t *base) {
    free(base);
    return 0;
}

static int file_compare(const H5FD_t *a, const H5FD_t *b) {
    uintptr_t x = (uintptr_t)((const struct bytes_file *)a)->bytes,
              y = (uintptr_t)((const struct bytes_file *)b)->bytes;
    return (x > y) - (x < y);
}

static herr_t file_query(const H5FD_t *base, unsigned long *flags) {
    (void)base;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
    return 0;
}

static haddr_t file_end_of_allocation(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const struct bytes_file *)base)->end_of_allocation;
}

static herr_t file_set_end_of_allocation(H5FD_t *base, H5FD_mem_t type, haddr_t address) {
    (void)type;
    ((struct bytes_file *)base)->end_of_allocation = address;
    return 0;
}

static haddr_t file_end(const H5FD_t *base, H5FD_mem_t type) {
    (void)type;
    return ((const struct bytes_file *)base)->bytes->n;
}

/* libhdf5's own drivers read zeros behind the end of a file; weights that are not there must not
 * become zeros. */
static herr_t file_read(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n,
                        void *data) {
    (void)type;
    (void)transfer;
    return sb_bytes_read(((const struct bytes_file *)base)->bytes, data, n, address) < 0 ? -1 : 0;
}

static herr_t file_write(H5FD_t *base, H5FD_mem_t type, hid_t transfer, haddr_t address, size_t n,
                         const void *data) {
    (void)base;
    (void)type;
    (void)transfer;
    (void)address;
    (void)n;
    (void)data;
    return -1;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)511, /* 256 to 511 are free for drivers that are not registered */
#endif
    .name = "samebits",
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .open = file_open,
    .close = file_close,
    .cmp = file_compare,
    .query = file_query,
    .get_eoa = file_end_of_allocation,
    .set_eoa = file_set_end_of_allocation,
    .get_eof = file_end,
    .read = file_read,
    .write = file_write,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

int sb_hdf5_file_prepare(const struct sb_hdf5_library *h5, struct sb_error *err) {
    hid_t id = h5->H5FDregister(&driver);
    if (id < 0)
        return sb_hdf5_error(h5, err, -EIO, "libhdf5 refuses the file driver");
    h5->H5FDunregister(id);
    return 0;
}

int sb_hdf5_file_open(const struct sb_hdf5_library *h5, const struct sb_bytes *bytes, hid_t *file,
                      struct sb_error *err) {
    char name[64];
    snprintf(name, sizeof name, NAME_FORMAT, (const void *)bytes);
    hid_t driver_id = h5->H5FDregister(&driver);
    hid_t access = h5->H5Pcreate(*h5->H5P_CLS_FILE_ACCESS_ID_g);
    hid_t opened = H5I_INVALID_HID;
    /* Nothing is looked at twice: without the eviction each object leaves half a kilobyte behind.
     */
    if (driver_id >= 0 && access >= 0 && h5->H5Pset_driver(access, driver_id, NULL) >= 0 &&
        h5->H5Pset_cache(access, 0, CHUNK_CACHE_SLOTS, CHUNK_CACHE_BYTES, 1.0) >= 0 &&
        h5->H5Pset_evict_on_close(access, true) >= 0)
        opened = h5->H5Fopen(name, H5F_ACC_RDONLY, access);
    if (opened < 0) /* before another call forgets why */
        sb_hdf5_error(h5, err, -EBADMSG, "it is no readable HDF5 file");
    if (access >= 0)
        h5->H5Pclose(access);
    if (driver_id >= 0)
        h5->H5FDunregister(driver_id); /* the open file keeps it */
    if (opened < 0)
        return -EBADMSG;
    *file = opened;
    return 0;
}
