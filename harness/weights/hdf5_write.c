/* Stage 4, weights: writes HDF5 files whose bytes are a function of their tensors alone. */
#include "base/cleanup.h"
#include "base/text.h"
#include "weights/hdf5_type.h"
#include "weights/tensors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Property lists of one file. */
struct writing {
    const struct sb_hdf5_library *h5;
    hid_t file, links, creation;
};

/* A path that names something: parts between single slashes, none of them `.`. */
static bool path_is_good(const char *name) {
    for (const char *part = name;; part++) {
        size_t n = strcspn(part, "/");
        if (n == 0 || (n == 1 && *part == '.'))
            return false;
        part += n;
        if (!*part)
            return true;
    }
}

static int write_attribute(const struct writing *writing, hid_t dataset, const char *text) {
    const struct sb_hdf5_library *h5 = writing->h5;
    int r = -EIO;
    hid_t attribute = H5I_INVALID_HID;
    hid_t type = h5->H5Tcopy(*h5->H5T_C_S1_g), space = h5->H5Screate(H5S_SCALAR);
    if (type >= 0 && space >= 0 && h5->H5Tset_size(type, strlen(text)) >= 0 &&
        h5->H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0)
        attribute = h5->H5Acreate2(dataset, "dtype", type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        r = h5->H5Awrite(attribute, type, text) >= 0 ? 0 : -EIO;
        h5->H5Aclose(attribute);
    }
    if (type >= 0)
        h5->H5Tclose(type);
    if (space >= 0)
        h5->H5Sclose(space);
    return r;
}

static int write_dataset(const struct writing *writing, const struct sb_tensor *tensor,
                         uint64_t n_elements, hid_t type, hid_t space) {
    const struct sb_hdf5_library *h5 = writing->h5;
    const char *attribute = sb_hdf5_type_attribute(tensor->dtype);
    hid_t dataset = h5->H5Dcreate2(writing->file, tensor->name, type, space, writing->links,
                                   writing->creation, H5P_DEFAULT);
    if (dataset < 0)
        return -EIO;
    int r = 0;
    if (n_elements && h5->H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor->data) < 0)
        r = -EIO;
    if (r == 0 && attribute)
        r = write_attribute(writing, dataset, attribute);
    return h5->H5Dclose(dataset) < 0 ? -EIO : r;
}

static int write_tensor(const struct writing *writing, const struct sb_tensor *tensor,
                        struct sb_error *err) {
    const struct sb_hdf5_library *h5 = writing->h5;
    struct sb_tensor_info info = {
        .name = (char *)tensor->name, .dtype = tensor->dtype, .rank = tensor->rank};
    hsize_t dims[SB_MAX_RANK];
    if (!path_is_good(tensor->name))
        return sb_error_set(err, -EINVAL, "'%s' is no name in an HDF5 file", tensor->name);
    for (unsigned i = 0; i < tensor->rank && i < SB_MAX_RANK; i++)
        dims[i] = info.dims[i] = tensor->dims[i];
    int r = sb_tensor_info_count(&info, err);
    if (r < 0)
        return r;
    hid_t type = sb_hdf5_type_new(h5, tensor->dtype);
    hid_t space = tensor->rank ? h5->H5Screate_simple((int)tensor->rank, dims, NULL)
                               : h5->H5Screate(H5S_SCALAR);
    r = type < 0 || space < 0 ? -EIO : write_dataset(writing, tensor, info.n_elements, type, space);
    if (r < 0)
        r = sb_hdf5_error(h5, err, r, "'%s' cannot be written", tensor->name);
    if (type >= 0)
        h5->H5Tclose(type);
    if (space >= 0)
        h5->H5Sclose(space);
    return r;
}

/* No file locking: it fails on some network file systems, and nobody else knows the file yet. */
static hid_t create_file(const struct sb_hdf5_library *h5, const char *path, struct sb_error *err) {
    hid_t file = H5I_INVALID_HID;
    hid_t creation = h5->H5Pcreate(*h5->H5P_CLS_FILE_CREATE_ID_g);
    hid_t access = h5->H5Pcreate(*h5->H5P_CLS_FILE_ACCESS_ID_g);
    if (h5->H5Pset_file_locking && access >= 0)
        h5->H5Pset_file_locking(access, 0, 1);
    /* By name, for HDF5_DRIVER in the environment must not choose another. */
    if (creation >= 0 && access >= 0 && h5->H5Pset_fapl_sec2(access) >= 0 &&
        h5->H5Pset_obj_track_times(creation, 0) >= 0)
        file = h5->H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    if (file < 0) /* before another call forgets why */
        sb_hdf5_error(h5, err, -EIO, "%s cannot be created", path);
    if (creation >= 0)
        h5->H5Pclose(creation);
    if (access >= 0)
        h5->H5Pclose(access);
    return file;
}

static int write_tensors(struct writing *writing, const struct sb_tensor *tensors, size_t n,
                         struct sb_error *err) {
    const struct sb_hdf5_library *h5 = writing->h5;
    int r = 0;
    writing->links = h5->H5Pcreate(*h5->H5P_CLS_LINK_CREATE_ID_g);
    writing->creation = h5->H5Pcreate(*h5->H5P_CLS_DATASET_CREATE_ID_g);
    if (writing->links < 0 || writing->creation < 0 ||
        h5->H5Pset_create_intermediate_group(writing->links, 1) < 0 ||
        h5->H5Pset_obj_track_times(writing->creation, 0) < 0)
        r = sb_hdf5_error(h5, err, -EIO, "libhdf5 has no property lists");
    for (size_t i = 0; i < n && r == 0; i++)
        r = write_tensor(writing, &tensors[i], err);
    if (writing->links >= 0)
        h5->H5Pclose(writing->links);
    if (writing->creation >= 0)
        h5->H5Pclose(writing->creation);
    return r;
}

/* Half a file must not be taken for weights. */
static void remove_part(const char *path) {
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
        unlink(path);
}

int sb_weights_write_hdf5(const char *path, const struct sb_tensor *tensors, size_t n,
                          struct sb_error *err) {
    const struct sb_hdf5_library *h5 = sb_hdf5_library(err);
    if (!h5)
        return -ENOSYS;
    struct writing writing = {.h5 = h5, .file = create_file(h5, path, err)};
    if (writing.file < 0)
        return -EIO;
    int r = write_tensors(&writing, tensors, n, err);
    if (h5->H5Fclose(writing.file) < 0 && r == 0)
        r = sb_hdf5_error(h5, err, -EIO, "it cannot be completed");
    if (r < 0) {
        remove_part(path);
        return sb_error_prefix(err, r, "%s", path);
    }
    return 0;
}
