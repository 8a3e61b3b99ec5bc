/* Tests of weights/: any function of libhdf5, for files that no writer of ours makes. */
#ifndef SB_WEIGHTS_TESTS_LIBHDF5_H
#define SB_WEIGHTS_TESTS_LIBHDF5_H

#include "tests/testing.h"
#include "weights/hdf5_library.h"
#include "weights/samebits-hdf5.h"

#include <dlfcn.h>

static inline void *libhdf5_symbol(const char *name) {
    ck_assert_ptr_nonnull(sb_hdf5_library(NULL));
    void *handle = dlopen(SB_HDF5_SONAME, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle ? dlsym(handle, name) : NULL;
    ck_assert_msg(symbol != NULL, "libhdf5 has no %s", name);
    dlclose(handle); /* it stays loaded: the library under test holds it */
    return symbol;
}

/* H5(H5Lcreate_hard)(…), and H5_ID(H5T_STD_I8LE_g) for an identifier. */
#define H5(function) ((__typeof__(function) *)libhdf5_symbol(#function))
#define H5_ID(identifier) (*(hid_t *)libhdf5_symbol(#identifier))

static inline hid_t good(hid_t id) {
    ck_assert_int_ge(id, 0);
    return id;
}

static inline hid_t new_file(const char *path) {
    return good(H5(H5Fcreate)(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
}

/* Creates a dataset, with data unless that is NULL, and closes it. */
static inline void new_dataset(hid_t file, const char *name, hid_t type, hid_t space,
                               hid_t creation, const void *data) {
    hid_t dataset =
        good(H5(H5Dcreate2)(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
    if (data)
        ck_assert_int_ge(H5(H5Dwrite)(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5(H5Dclose)(dataset);
}

static inline hid_t new_space(int rank, const hsize_t *dims) {
    return good(rank ? H5(H5Screate_simple)(rank, dims, NULL) : H5(H5Screate)(H5S_SCALAR));
}

/* A one-dimensional f32 dataset. */
static inline void new_floats(hid_t file, const char *name, const float *data, hsize_t n) {
    hid_t space = new_space(1, &n);
    new_dataset(file, name, H5_ID(H5T_IEEE_F32LE_g), space, H5P_DEFAULT, data);
    H5(H5Sclose)(space);
}

static inline hid_t new_creation(void) {
    return good(H5(H5Pcreate)(H5_ID(H5P_CLS_DATASET_CREATE_ID_g)));
}

#endif
